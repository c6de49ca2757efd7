//! The sources of a binding's spec, opened.

use std::collections::BTreeMap;

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
            return Ok(match FileSource::load(&context.resolve_path(&file.path)).await {
                Ok(source) => {
                    self.warnings
                        .extend(source.warnings().iter().map(ToString::to_string));
                    Box::new(source)
                }
                Err(error) => Box::new(Unavailable::new("file", error.to_string())),
            });
        }
        if let Some(manual) = &spec.manual {
            return secret_source(context, binding, "manual", &manual.secret_ref.name).await;
        }
        if let Some(kubernetes) = &spec.kubernetes {
            return secret_source(context, binding, "kubernetes", &kubernetes.name).await;
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

/// Only variables with the prefix: the key of a reference is chosen by who made the bundle, and must not reach the rest
/// of homeport's environment.
fn env_source(prefix: String) -> EnvSource {
    EnvSource::with_lookup(move |variable| {
        let name = variable.strip_prefix(PREFIX).unwrap_or(variable);
        std::env::var_os(format!("{prefix}{name}"))
    })
}

/// The values of a Secret. One that does not exist is no empty one: standalone, a Secret is gone after a restart, and
/// what is missing then must not be taken from the next source.
async fn secret_source(
    context: &Context,
    binding: &SecretBinding,
    source: &'static str,
    name: &str,
) -> Result<Box<dyn Source>, Failure> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &binding.namespace().unwrap_or_default());
    let Some(secret) = api.get_opt(name).await? else {
        let message =
            format!("Secret {name} does not exist; create it (again: standalone, a restart loses it)");
        return Ok(Box::new(Unavailable::new(source, message)));
    };
    let mut values = BTreeMap::new();
    for (key, bytes) in secret.data.unwrap_or_default() {
        let Ok(value) = String::from_utf8(bytes.0) else {
            let message =
                format!("key {key} of Secret {name} is not UTF-8 text; encode it, for example as base64");
            return Ok(Box::new(Unavailable::new(source, message)));
        };
        values.insert(key, SecretString::from(value));
    }
    Ok(Box::new(Named {
        name: source,
        source: ManualSource::new(values),
    }))
}

/// A source that cannot be used now: whoever asks it gets its error. It is opened anew with the next pass.
struct Unavailable {
    name: &'static str,
    message: String,
}

impl Unavailable {
    fn new(name: &'static str, message: String) -> Self {
        Self { name, message }
    }
}

#[async_trait]
impl Source for Unavailable {
    fn name(&self) -> &str {
        self.name
    }

    async fn fetch(&self, reference: &SecretReference) -> Result<Option<SecretString>, Error> {
        Err(Error::Source {
            source_name: self.name.to_owned(),
            secret: reference.name.clone(),
            message: self.message.clone(),
            transient: true,
        })
    }
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
