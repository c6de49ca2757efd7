//! Results appear whole or not at all.

use std::fs;

use homeport_bundle::{Error, Limits, unpack};

use crate::support::Scene;

#[test]
fn what_dead_runs_left_is_removed_and_what_living_ones_hold_is_not() {
    let scene = Scene::new();
    let (dead_dir, dead_file, living) = (
        ".unpacked.partial-dead",
        ".app.hprt.partial-dead",
        ".unpacked.partial-living",
    );
    fs::create_dir_all(scene.dir.path().join(dead_dir).join("configs")).unwrap();
    fs::write(scene.dir.path().join(dead_file), "half").unwrap();
    fs::create_dir(scene.dir.path().join(living)).unwrap();
    let lock = fs::File::open(scene.dir.path().join(living)).unwrap();
    lock.try_lock().unwrap();

    scene.pack().unwrap();
    unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap();
    assert_eq!(scene.names(), [living, "app.hprt", "tree", "unpacked"]);
}

#[test]
fn a_full_destination_is_left_alone() {
    let scene = Scene::new();
    scene.pack().unwrap();
    fs::create_dir(scene.dest()).unwrap();
    fs::write(scene.dest().join("mine"), "precious").unwrap();
    let error = unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap_err();
    assert!(matches!(error, Error::DestinationExists { .. }), "{error}");
    assert_eq!(fs::read(scene.dest().join("mine")).unwrap(), b"precious");
}

#[test]
fn a_link_at_the_destination_is_not_followed() {
    let scene = Scene::new();
    scene.pack().unwrap();
    std::os::unix::fs::symlink("/nonexistent", scene.dest()).unwrap();
    let error = unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap_err();
    assert!(matches!(error, Error::DestinationExists { .. }), "{error}");
}

#[test]
fn an_empty_destination_is_filled() {
    let scene = Scene::new();
    scene.pack().unwrap();
    fs::create_dir(scene.dest()).unwrap();
    unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap();
    assert!(scene.dest().join("manifest.json").exists());
}

#[test]
fn a_failed_pack_leaves_the_earlier_archive() {
    let scene = Scene::new();
    scene.pack().unwrap();
    let before = fs::read(scene.archive()).unwrap();
    scene.write("secrets/secrets-manifest.json", "{");
    scene.pack().unwrap_err();
    assert!(fs::read(scene.archive()).unwrap() == before);
    assert_eq!(scene.names(), ["app.hprt", "tree"]);
}
