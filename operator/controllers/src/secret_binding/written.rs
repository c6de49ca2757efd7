//! The Secret that a binding writes.

use std::collections::BTreeMap;

use homeport_crds::SecretBinding;
use homeport_secrets::{Resolution, Why};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use secrecy::ExposeSecret;

use crate::runtime::Failure;

const FIELD_MANAGER: &str = "homeport";
/// The annotation by which a binding knows its own Secret.
const BINDING: &str = "homeport.dev/secret-binding";
/// The annotation that names the bundle that the values are for.
const BUNDLE: &str = "homeport.dev/bundle";

/// The name of the Secret that a binding writes.
pub(super) fn name(binding: &SecretBinding) -> String {
    match &binding.spec.target {
        Some(target) => target.name.clone(),
        None => format!("{}-values", binding.name_any()),
    }
}

/// The bundle that a Secret holds values for, where a binding wrote it.
pub(crate) fn bundle_of(secret: &Secret) -> Option<&String> {
    secret.annotations().get(BUNDLE)
}

/// Writes what was resolved. A value whose source failed just now keeps what it had: an outage takes nothing away.
///
/// # Errors
/// Where it had nothing: who reads the Secret could not tell that from a value that does not exist.
pub(super) async fn write(
    client: &Client,
    binding: &SecretBinding,
    resolution: &Resolution,
) -> Result<(), Failure> {
    let api = secrets(client, binding);
    let name = name(binding);
    let existing = api.get_opt(&name).await?;
    if existing.as_ref().is_some_and(|secret| !is_ours(binding, secret)) {
        return Err(Failure::terminal(
            "SecretNotOurs",
            format!(
                "Secret {name} exists and was not written by this binding; name another one in spec.target"
            ),
        ));
    }
    let held = existing.and_then(|secret| secret.data).unwrap_or_default();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            annotations: Some(BTreeMap::from([
                (BINDING.to_owned(), binding.name_any()),
                (BUNDLE.to_owned(), binding.spec.bundle_ref.name.clone()),
            ])),
            ..ObjectMeta::default()
        },
        data: Some(data(resolution, &held)?),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    api.patch(
        &name,
        &PatchParams::apply(FIELD_MANAGER).force(),
        &Patch::Apply(&secret),
    )
    .await?;
    Ok(())
}

/// Deletes a Secret of that name, where it is the binding's own.
pub(super) async fn delete(client: &Client, binding: &SecretBinding, name: &str) -> Result<(), Failure> {
    let api = secrets(client, binding);
    if api
        .get_opt(name)
        .await?
        .is_some_and(|secret| is_ours(binding, &secret))
    {
        api.delete(name, &DeleteParams::default()).await?;
    }
    Ok(())
}

fn secrets(client: &Client, binding: &SecretBinding) -> Api<Secret> {
    Api::namespaced(client.clone(), &binding.namespace().unwrap_or_default())
}

fn is_ours(binding: &SecretBinding, secret: &Secret) -> bool {
    secret
        .annotations()
        .get(BINDING)
        .is_some_and(|owner| *owner == binding.name_any())
}

fn data(
    resolution: &Resolution,
    held: &BTreeMap<String, ByteString>,
) -> Result<BTreeMap<String, ByteString>, Failure> {
    let mut data = BTreeMap::new();
    for (name, resolved) in &resolution.values {
        let value = resolved.value.expose_secret().as_bytes().to_vec();
        data.insert(name.clone(), ByteString(value));
    }
    for missing in &resolution.missing {
        let Why::Failed(error) = &missing.why else {
            continue;
        };
        match held.get(&missing.name) {
            Some(value) => data.insert(missing.name.clone(), value.clone()),
            None => return Err(Failure::transient("SourceUnreadable", error.to_string())),
        };
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use homeport_secrets::{Error, Missing};

    #[test]
    fn an_outage_of_a_source_takes_no_value_away() {
        let held = BTreeMap::from([
            ("A".to_owned(), ByteString(b"1".to_vec())),
            ("B".to_owned(), ByteString(b"2".to_vec())),
        ]);
        let missing = |name: &str, why| Missing {
            name: name.to_owned(),
            required: true,
            why,
        };
        let outage = |name: &str| Error::Source {
            source_name: "vault".into(),
            secret: name.into(),
            message: "connection refused".into(),
            transient: true,
        };
        let missing = |found: &[&str]| Resolution {
            values: BTreeMap::new(),
            missing: found
                .iter()
                .map(|name| missing(name, Why::Failed(outage(name))))
                .chain([missing(
                    "B",
                    Why::NotFound {
                        asked: vec!["vault".into()],
                    },
                )])
                .collect(),
        };
        let kept = data(&missing(&["A"]), &held).unwrap();
        assert_eq!(kept.into_keys().collect::<Vec<_>>(), ["A"]);
        let unknown = data(&missing(&["C"]), &held).unwrap_err();
        assert_eq!(unknown.reason(), "SourceUnreadable");
    }
}
