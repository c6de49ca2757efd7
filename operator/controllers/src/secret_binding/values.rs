//! The values that a bundle's bindings have resolved, read from the Secrets that they wrote.

use std::collections::BTreeMap;

use homeport_crds::SecretBinding;
use homeport_crds::common::SecretKeyRef;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use secrecy::SecretString;

use crate::runtime::Failure;

/// The values of all SecretBindings that name a bundle, by the names of the secrets. Where two bindings have the same
/// name, that of the binding whose name sorts first is taken.
///
/// # Errors
/// When the API cannot be read, or a value is no text. A binding that has resolved nothing yet adds nothing.
pub async fn of_bundle(
    client: &Client,
    namespace: &str,
    bundle: &str,
) -> Result<BTreeMap<String, SecretString>, Failure> {
    let bindings: Api<SecretBinding> = Api::namespaced(client.clone(), namespace);
    let mut bindings = bindings.list(&ListParams::default()).await?.items;
    bindings.retain(|binding| binding.spec.bundle_ref.name == bundle);
    bindings.sort_by_key(ResourceExt::name_any);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut values = BTreeMap::new();
    for binding in bindings {
        let (binding, status) = (binding.name_any(), binding.status);
        let Some(name) = status.and_then(|status| status.secret_name) else {
            continue;
        };
        let Some(secret) = secrets.get_opt(&name).await? else {
            // As after a restart of homeport's own API, which keeps values in memory only.
            let message = format!("Secret {namespace}/{name} is written again by SecretBinding {binding}");
            return Err(Failure::waiting("WaitingForSecrets", message));
        };
        for key in secret.data.iter().flatten().map(|(key, _)| key) {
            if !values.contains_key(key) {
                values.insert(key.clone(), text(&secret, key)?);
            }
        }
    }
    Ok(values)
}

/// One key of a Secret of a namespace.
///
/// # Errors
/// [`Failure::Waiting`] until the Secret and its key are there.
pub async fn of_key(
    client: &Client,
    namespace: &str,
    reference: &SecretKeyRef,
) -> Result<SecretString, Failure> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let missing = |what: &str| {
        Failure::waiting(
            "WaitingForSecret",
            format!(
                "Secret {namespace}/{} {what}; it is looked for again by itself",
                reference.name
            ),
        )
    };
    let secret = secrets
        .get_opt(&reference.name)
        .await?
        .ok_or_else(|| missing("does not exist yet"))?;
    if !secret.data.iter().flatten().any(|(key, _)| *key == reference.key) {
        return Err(missing(&format!("has no key {} yet", reference.key)));
    }
    text(&secret, &reference.key)
}

fn text(secret: &Secret, key: &str) -> Result<SecretString, Failure> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    let value = bytes
        .map(|bytes| String::from_utf8(bytes.0.clone()))
        .unwrap_or_else(|| Ok(String::new()));
    value.map(SecretString::from).map_err(|_| {
        Failure::terminal(
            "SecretNotText",
            format!("key {key} of Secret {} is not UTF-8 text", secret.name_any()),
        )
    })
}
