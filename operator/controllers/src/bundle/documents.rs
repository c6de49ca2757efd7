//! The JSON documents of a verified bundle, kept in a ConfigMap, so that the other controllers (and people) read them
//! by the API, wherever the archive was unpacked.

use std::collections::BTreeMap;

use homeport_bundle::Bundle;
use homeport_bundle::cutover::CutoverManifest;
use homeport_bundle::dns::DnsRecords;
use homeport_bundle::manifest::Manifest;
use homeport_bundle::secrets::SecretsManifest;
use homeport_bundle::sync::SyncManifest;
use homeport_bundle::validation::{Endpoints, ExpectedResponses, RollbackTriggers};
use homeport_crds::HprtBundle;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runtime::Failure;

const FIELD_MANAGER: &str = "homeport";
const DIGEST: &str = "homeport.dev/bundle-digest";

/// The documents of a bundle, and the digest of the archive that they come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Documents {
    /// The SHA-256 of the archive.
    pub digest: String,
    /// The documents. The manifest's checksums are left out: they are of no use without the archive.
    pub bundle: Bundle,
}

/// The name of the ConfigMap that holds the documents of a bundle.
pub fn config_map_name(bundle: &str) -> String {
    format!("{bundle}-documents")
}

/// Writes the documents of a verified bundle. The ConfigMap is owned by the HprtBundle and goes with it.
///
/// # Errors
/// When there is a ConfigMap of that name that is not this bundle's, or when the API refuses, for example since the
/// documents are over a ConfigMap's one MiB.
pub async fn publish(client: &Client, owner: &HprtBundle, documents: &Documents) -> Result<(), Failure> {
    let name = config_map_name(&owner.name_any());
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &owner.namespace().unwrap_or_default());
    if let Some(existing) = api.get_opt(&name).await?
        && !existing
            .owner_references()
            .iter()
            .any(|reference| Some(&reference.uid) == owner.uid().as_ref())
    {
        return Err(Failure::terminal(
            "ConfigMapNotOurs",
            format!(
                "ConfigMap {name} exists and is not this bundle's: remove it, or give the bundle another name"
            ),
        ));
    }
    let config_map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            annotations: Some(BTreeMap::from([(DIGEST.to_owned(), documents.digest.clone())])),
            owner_references: owner.controller_owner_ref(&()).map(|reference| vec![reference]),
            ..ObjectMeta::default()
        },
        data: Some(to_data(&documents.bundle)?),
        ..ConfigMap::default()
    };
    api.patch(
        &name,
        &PatchParams::apply(FIELD_MANAGER).force(),
        &Patch::Apply(&config_map),
    )
    .await?;
    Ok(())
}

/// Reads the documents of the bundle of a name.
///
/// # Errors
/// [`Failure::Waiting`] until the bundle has been verified.
pub async fn read(client: &Client, namespace: &str, bundle: &str) -> Result<Documents, Failure> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let Some(config_map) = api.get_opt(&config_map_name(bundle)).await? else {
        return Err(Failure::waiting(
            "WaitingForBundle",
            format!("HprtBundle {namespace}/{bundle} has not been verified yet"),
        ));
    };
    let digest = config_map.annotations().get(DIGEST).cloned().unwrap_or_default();
    let bundle = from_data(&config_map.data.unwrap_or_default())
        .map_err(|error| Failure::transient("DocumentsUnreadable", error))?;
    Ok(Documents { digest, bundle })
}

fn to_data(bundle: &Bundle) -> Result<BTreeMap<String, String>, Failure> {
    let manifest = Manifest {
        checksums: BTreeMap::default(),
        ..bundle.manifest.clone()
    };
    let mut data = BTreeMap::new();
    put(&mut data, Manifest::PATH, Some(&manifest))?;
    put(&mut data, SecretsManifest::PATH, bundle.secrets.as_ref())?;
    put(&mut data, SyncManifest::PATH, bundle.sync.as_ref())?;
    put(&mut data, DnsRecords::PATH, bundle.dns.as_ref())?;
    put(&mut data, CutoverManifest::PATH, bundle.cutover.as_ref())?;
    put(&mut data, Endpoints::PATH, bundle.endpoints.as_ref())?;
    put(
        &mut data,
        ExpectedResponses::PATH,
        bundle.expected_responses.as_ref(),
    )?;
    put(
        &mut data,
        RollbackTriggers::PATH,
        bundle.rollback_triggers.as_ref(),
    )?;
    Ok(data)
}

fn from_data(data: &BTreeMap<String, String>) -> Result<Bundle, String> {
    Ok(Bundle {
        manifest: get(data, Manifest::PATH)?.ok_or("the ConfigMap has no manifest.json")?,
        secrets: get(data, SecretsManifest::PATH)?,
        sync: get(data, SyncManifest::PATH)?,
        dns: get(data, DnsRecords::PATH)?,
        cutover: get(data, CutoverManifest::PATH)?,
        endpoints: get(data, Endpoints::PATH)?,
        expected_responses: get(data, ExpectedResponses::PATH)?,
        rollback_triggers: get(data, RollbackTriggers::PATH)?,
    })
}

/// A document's key is the name of its file.
fn key(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn put(
    data: &mut BTreeMap<String, String>,
    path: &str,
    document: Option<&impl Serialize>,
) -> Result<(), Failure> {
    if let Some(document) = document {
        let text = serde_json::to_string_pretty(document)
            .map_err(|error| Failure::terminal("DocumentsUnwritable", format!("{path}: {error}")))?;
        data.insert(key(path).to_owned(), text);
    }
    Ok(())
}

fn get<T: DeserializeOwned>(data: &BTreeMap<String, String>, path: &str) -> Result<Option<T>, String> {
    let Some(text) = data.get(key(path)) else {
        return Ok(None);
    };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| format!("{}: {error}", key(path)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn documents_come_back_as_they_were() {
        let bundle = Bundle {
            secrets: Some(serde_json::from_str(r#"{"secrets":[{"name":"A","source":"env"}]}"#).unwrap()),
            cutover: Some(serde_json::from_str(r#"{"zone":"shop.example"}"#).unwrap()),
            ..Bundle::default()
        };
        assert_eq!(from_data(&to_data(&bundle).unwrap()).unwrap(), bundle);
    }
}
