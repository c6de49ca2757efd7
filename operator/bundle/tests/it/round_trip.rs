//! A tree packed and unpacked is the same tree.

use std::fs;

use homeport_bundle::{Bundle, Limits, PackOptions, inspect, pack, unpack, verify, verify_tree};
use proptest::prelude::*;

use crate::support::{Scene, files};

#[test]
fn files_come_back_with_content_and_mode() {
    let scene = Scene::new();
    scene.write("configs/empty.conf", "");
    scene.write(
        "migrations/big.sql",
        "INSERT INTO t VALUES (1, 'a');\n".repeat(100_000),
    );
    let packed = scene.pack().unwrap();
    let unpacked = unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap();
    assert_eq!(packed.archive, unpacked.archive);

    let mut before = files(&scene.tree());
    let mut after = files(&scene.dest());
    before.remove("manifest.json");
    after.remove("manifest.json");
    assert_eq!(before, after);
    assert!(after["scripts/pre-deploy.sh"].1, "the script is executable");
}

#[test]
fn verify_inspect_and_load_say_the_same() {
    let scene = Scene::new();
    let packed = scene.pack().unwrap();
    let limits = Limits::default();
    assert_eq!(verify(&scene.archive(), &limits, None).unwrap(), packed.archive);
    assert_eq!(inspect(&scene.archive(), &limits).unwrap(), packed.archive);
    assert_eq!(packed.archive.warnings, Vec::<String>::new());

    unpack(&scene.archive(), &scene.dest(), &limits, None).unwrap();
    assert_eq!(Bundle::load(&scene.dest()).unwrap(), packed.archive.bundle);
    assert_eq!(verify_tree(&scene.dest()).unwrap(), packed.archive.bundle);
}

#[test]
fn an_unpacked_tree_that_was_changed_is_noticed() {
    let scene = Scene::new();
    scene.pack().unwrap();
    unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap();
    fs::write(scene.dest().join("README.md"), "other").unwrap();
    let error = verify_tree(&scene.dest()).unwrap_err().to_string();
    assert!(
        error.starts_with("README.md does not match its checksum"),
        "{error}"
    );
}

#[test]
fn fields_of_later_minor_versions_are_kept() {
    let scene = Scene::new();
    let manifest = r#"{"version": "1.9.0", "format": "hprt", "created": "2024-01-15T10:30:00Z", "mood": "good",
        "stacks": [{"name": "app", "type": "quantum", "colour": "red"}]}"#;
    scene.write("manifest.json", manifest);
    let packed = scene.pack().unwrap();
    assert_eq!(packed.archive.warnings.len(), 1, "{:?}", packed.archive.warnings);

    unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap();
    let manifest = fs::read(scene.dest().join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["mood"], "good");
    assert_eq!(manifest["stacks"][0]["colour"], "red");
    assert_eq!(manifest["stacks"][0]["type"], "quantum");
}

#[test]
fn the_clock_is_never_asked() {
    let scene = Scene::new();
    scene.write("manifest.json", r#"{"version": "1.0.0", "format": "hprt"}"#);
    let error = scene.pack().unwrap_err().to_string();
    assert!(error.contains("SOURCE_DATE_EPOCH"), "{error}");

    let created = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let options = homeport_bundle::PackOptions {
        created: Some(created),
        ..Default::default()
    };
    let packed = homeport_bundle::pack(&scene.tree(), &scene.archive(), &options).unwrap();
    assert_eq!(packed.archive.bundle.manifest.created, Some(created));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_contents_come_back(
        contents in prop::collection::btree_map(
            "(configs|migrations)/d[a-z]{1,8}(/d[a-z0-9_-]{1,120}){0,1}/f[a-z]{1,8}",
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..3000),
                (any::<u8>(), 0usize..3_000_000).prop_map(|(byte, count)| vec![byte; count.min(1_000_000)]),
            ],
            0..8,
        )
    ) {
        let scene = Scene::new();
        for (path, content) in &contents {
            scene.write(path, content);
        }
        let limits = Limits { max_ratio: u32::MAX, ..Limits::default() };
        let options = PackOptions { limits, ..PackOptions::default() };
        pack(&scene.tree(), &scene.archive(), &options).unwrap();
        unpack(&scene.archive(), &scene.dest(), &limits, None).unwrap();
        let after = files(&scene.dest());
        for (path, content) in &contents {
            prop_assert_eq!(&after[path].0, content);
        }
        prop_assert_eq!(after.len(), contents.len() + 4);
    }
}
