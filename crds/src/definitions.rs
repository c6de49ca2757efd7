//! The CustomResourceDefinitions, made from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use kube::CustomResourceExt;

use crate::{Cutover, DataSync, HprtBundle, SecretBinding};

/// The definitions of the four resources, in the order in which a migration uses them.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![
        HprtBundle::crd(),
        SecretBinding::crd(),
        DataSync::crd(),
        Cutover::crd(),
    ];
    definitions.iter_mut().for_each(default_to_nothing_observed);
    definitions
}

/// Gives `status` a default, so that an object that no controller has seen yet never looks done to kstatus: a
/// missing status counts as "no conditions, so current".
fn default_to_nothing_observed(definition: &mut CustomResourceDefinition) {
    for version in &mut definition.spec.versions {
        let status = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
            .and_then(|schema| schema.properties.as_mut())
            .and_then(|properties| properties.get_mut("status"));
        if let Some(status) = status {
            status.default = Some(JSON(serde_json::json!({ "observedGeneration": -1 })));
        }
    }
}

/// The name of a definition's file, in the form that Kubebuilder made common: `<group>_<plural>.yaml`.
pub fn file_name(definition: &CustomResourceDefinition) -> String {
    format!("{}_{}.yaml", definition.spec.group, definition.spec.names.plural)
}

/// A definition as YAML, with a head that says how it was made.
///
/// # Errors
/// When the definition cannot be written as YAML, which would be a defect of a type in this crate.
pub fn to_yaml(definition: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    let body = serde_saphyr::to_string(definition)?;
    Ok(format!(
        "# Generated from the types in crds/src by `make crds`. Do not edit.\n{body}"
    ))
}
