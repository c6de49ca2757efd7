//! The sources of a binding's spec, opened.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use homeport_bundle::SecretReference;
use homeport_crds::SecretBinding;
use homeport_crds::secret_binding::SecretSource as SourceSpec;
use homeport_secrets::{EnvSource, Error, FileSource, ManualSource, PREFIX, Source};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use secrecy::SecretString;

use crate::runtime::{Context, Failure};

/// The sources of a binding, in the order of its spec.
pub(super) struct Sources {
    pub(super) list: Vec<Box<dyn Source>>,
    /// What the owner of a source should mend, though it can be used.
    pub(super) warnings: Vec<String>,
}

impl Sources {
    pub(super) async fn open(context: &Context, binding: &SecretBinding) -> Result<Self, Failure> {
        if binding.spec.push.is_some() {
            return Err(Failure::terminal(
                "PushNotSupported",
                "spec.push: this version of homeport does not push values to a Vault; remove it",
            ));
        }
        let mut sources = Self {
            list: Vec::new(),
            warnings: Vec::new(),
        };
        for (index, spec) in binding.spec.sources.iter().enumerate() {
            let source = sources.open_one(context, binding, index, spec).await?;
            sources.list.push(match spec.only.as_slice() {
                [] => source,
                only => Box::new(Only {
                    names: only.to_vec(),
                    source,
                }),
            });
        }
        Ok(sources)
    }

    async fn open_one(
        &mut self,
        context: &Context,
        binding: &SecretBinding,
        index: usize,
        spec: &SourceSpec,
    ) -> Result<Box<dyn Source>, Failure> {
        if let Some(env) = &spec.env {
            return Ok(Box::new(env_source(env.prefix.clone())));
        }
        if let Some(file) = &spec.file {
            let source = open_file(&context.resolve_path(&file.path)).await?;
            self.warnings
                .extend(source.warnings().iter().map(ToString::to_string));
            return Ok(Box::new(source));
        }
        if let Some(manual) = &spec.manual {
            let values = secret_values(context, binding, &manual.secret_ref.name).await?;
            return Ok(Box::new(Named {
                name: "manual",
                source: ManualSource::new(values),
            }));
        }
        if let Some(kubernetes) = &spec.kubernetes {
            let values = secret_values(context, binding, &kubernetes.name).await?;
            return Ok(Box::new(Named {
                name: "kubernetes",
                source: ManualSource::new(values),
            }));
        }
        Err(Failure::terminal(
            "SourceNotSupported",
            format!(
                "spec.sources[{index}]: this version of homeport reads manual, env, file and kubernetes; use one of them"
            ),
        ))
    }
}

/// Whether a binding reads a Secret of this name.
pub(super) fn reads(binding: &SecretBinding, secret: &str) -> bool {
    binding.spec.sources.iter().any(|source| {
        source
            .manual
            .as_ref()
            .is_some_and(|manual| manual.secret_ref.name == secret)
            || source
                .kubernetes
                .as_ref()
                .is_some_and(|kubernetes| kubernetes.name == secret)
    })
}

fn env_source(prefix: String) -> EnvSource {
    EnvSource::with_lookup(move |variable| match variable.strip_prefix(PREFIX) {
        Some(name) => std::env::var_os(format!("{prefix}{name}")),
        None => std::env::var_os(variable),
    })
}

/// A file that cannot be used now may be mended without a change of the binding: it is tried again.
async fn open_file(path: &Path) -> Result<FileSource, Failure> {
    FileSource::load(path)
        .await
        .map_err(|error| Failure::transient("SourceUnreadable", error.to_string()))
}

/// The values of a Secret; none where it does not exist (yet).
async fn secret_values(
    context: &Context,
    binding: &SecretBinding,
    name: &str,
) -> Result<BTreeMap<String, SecretString>, Failure> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &binding.namespace().unwrap_or_default());
    let data = api
        .get_opt(name)
        .await?
        .and_then(|secret| secret.data)
        .unwrap_or_default();
    data.into_iter()
        .map(|(key, bytes)| match String::from_utf8(bytes.0) {
            Ok(value) => Ok((key, SecretString::from(value))),
            Err(_) => Err(Failure::transient(
                "SourceUnreadable",
                format!(
                    "key {key} of Secret {name} is not UTF-8 text; encode the value, for example as base64"
                ),
            )),
        })
        .collect()
}

/// A source that is asked for some names only.
struct Only {
    names: Vec<String>,
    source: Box<dyn Source>,
}

#[async_trait]
impl Source for Only {
    fn name(&self) -> &str {
        self.source.name()
    }

    async fn fetch(&self, reference: &SecretReference) -> Result<Option<SecretString>, Error> {
        if self.names.contains(&reference.name) {
            self.source.fetch(reference).await
        } else {
            Ok(None)
        }
    }
}

/// A source under the name that the spec has for it.
struct Named<S> {
    name: &'static str,
    source: S,
}

#[async_trait]
impl<S: Source> Source for Named<S> {
    fn name(&self) -> &str {
        self.name
    }

    async fn fetch(&self, reference: &SecretReference) -> Result<Option<SecretString>, Error> {
        self.source.fetch(reference).await
    }
}
