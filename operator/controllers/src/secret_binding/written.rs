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
/// The label by which a binding knows its own Secret.
const BINDING: &str = "homeport.dev/secret-binding";

/// The name of the Secret that a binding writes.
pub(super) fn name(binding: &SecretBinding) -> String {
    match &binding.spec.target {
        Some(target) => target.name.clone(),
        None => format!("{}-values", binding.name_any()),
    }
}

/// Writes what was resolved. A value whose source failed just now keeps what it had: an outage takes nothing away.
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
            labels: Some(BTreeMap::from([(BINDING.to_owned(), binding.name_any())])),
            ..ObjectMeta::default()
        },
        data: Some(data(resolution, &held)),
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

/// Deletes the Secret, where it is the binding's own.
pub(super) async fn delete(client: &Client, binding: &SecretBinding) -> Result<(), Failure> {
    let api = secrets(client, binding);
    let name = name(binding);
    if api
        .get_opt(&name)
        .await?
        .is_some_and(|secret| is_ours(binding, &secret))
    {
        api.delete(&name, &DeleteParams::default()).await?;
    }
    Ok(())
}

fn secrets(client: &Client, binding: &SecretBinding) -> Api<Secret> {
    Api::namespaced(client.clone(), &binding.namespace().unwrap_or_default())
}

fn is_ours(binding: &SecretBinding, secret: &Secret) -> bool {
    secret
        .labels()
        .get(BINDING)
        .is_some_and(|owner| *owner == binding.name_any())
}

fn data(resolution: &Resolution, held: &BTreeMap<String, ByteString>) -> BTreeMap<String, ByteString> {
    let found = resolution.values.iter().map(|(name, resolved)| {
        (
            name.clone(),
            ByteString(resolved.value.expose_secret().as_bytes().to_vec()),
        )
    });
    let kept = resolution
        .missing
        .iter()
        .filter(|missing| matches!(missing.why, Why::Failed(_)))
        .filter_map(|missing| {
            held.get(&missing.name)
                .map(|value| (missing.name.clone(), value.clone()))
        });
    found.chain(kept).collect()
}

#[cfg(test)]
mod tests {
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
        let outage = Error::Source {
            source_name: "vault".into(),
            secret: "A".into(),
            message: "connection refused".into(),
            transient: true,
        };
        let resolution = Resolution {
            values: BTreeMap::new(),
            missing: vec![
                missing("A", Why::Failed(outage)),
                missing(
                    "B",
                    Why::NotFound {
                        asked: vec!["vault".into()],
                    },
                ),
            ],
        };
        assert_eq!(data(&resolution, &held).into_keys().collect::<Vec<_>>(), ["A"]);
    }
}
