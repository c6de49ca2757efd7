//! The generated files are as the types say, and the definitions keep the promises that users rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use serde_json::{Value, json};

fn definition(plural: &str) -> Value {
    let all = homeport_crds::definitions();
    let found = all
        .iter()
        .find(|definition| definition.spec.names.plural == plural)
        .unwrap();
    serde_json::to_value(found).unwrap()
}

#[test]
fn the_files_are_not_stale() {
    for definition in homeport_crds::definitions() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(homeport_crds::file_name(&definition));
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let wanted = homeport_crds::to_yaml(&definition).unwrap();
        assert!(
            found == wanted,
            "{} is stale: run `make crds` and commit the result",
            path.display()
        );
    }
}

#[test]
fn every_resource_is_found_by_category_and_never_looks_done_when_new() {
    for (plural, short_name) in [
        ("hprtbundles", "hprt"),
        ("secretbindings", "sbind"),
        ("datasyncs", "dsync"),
        ("cutovers", "cut"),
    ] {
        let definition = definition(plural);
        let names = &definition["spec"]["names"];
        assert_eq!(names["categories"], json!(["homeport"]));
        assert_eq!(names["shortNames"], json!([short_name]));
        let version = &definition["spec"]["versions"][0];
        assert_eq!(version["subresources"], json!({ "status": {} }));
        let status = &version["schema"]["openAPIV3Schema"]["properties"]["status"];
        assert_eq!(status["default"], json!({ "observedGeneration": -1 }));
        assert_eq!(status["properties"]["observedGeneration"]["default"], json!(-1));
    }
}

/// Every field that a user can set says what it is for in `kubectl explain`.
#[test]
fn every_field_is_described() {
    fn undescribed(path: &str, schema: &Value, found: &mut Vec<String>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if property["description"].as_str().unwrap_or_default().is_empty() {
                found.push(path.clone());
            }
            undescribed(&path, property, found);
            undescribed(&path, &property["items"], found);
        }
    }
    let mut found = Vec::new();
    for definition in homeport_crds::definitions() {
        let definition = serde_json::to_value(definition).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for part in ["spec", "status"] {
            undescribed(part, &schema["properties"][part], &mut found);
        }
    }
    assert_eq!(found, Vec::<String>::new());
}
