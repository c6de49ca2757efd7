//! Other programs read our archives, and we read theirs.

use std::fs;
use std::process::Command;

use homeport_bundle::{Limits, unpack, verify};

use crate::support::{RawHeader, RawTar, Scene, files, manifest};

/// Whether a program can be started; says so if not.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

#[test]
fn tar_unpacks_our_archives() {
    if !has("tar") {
        return;
    }
    let scene = Scene::new();
    scene.write("migrations/big.sql", "SELECT 1;\n".repeat(500_000));
    scene.write(&format!("configs/{}/{}", "d".repeat(90), "f".repeat(90)), "long");
    scene.pack().unwrap();
    unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap();

    let by_tar = scene.dir.path().join("by-tar");
    fs::create_dir(&by_tar).unwrap();
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(scene.archive())
        .arg("-C")
        .arg(&by_tar)
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(files(&by_tar), files(&scene.dest()));
}

#[test]
fn we_unpack_tars_archives() {
    if !has("tar") {
        return;
    }
    let scene = Scene::new();
    scene.pack().unwrap();
    unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap();
    for format in ["gnu", "ustar", "v7", "pax"] {
        let archive = scene.dir.path().join("by-tar.hprt");
        let status = Command::new("tar")
            .args(["--format", format, "-czf"])
            .arg(&archive)
            .arg("-C")
            .arg(scene.dest())
            .args(["manifest.json", "README.md", "compose", "scripts"])
            .status()
            .unwrap();
        assert!(status.success());
        let again = scene.dir.path().join(format);
        unpack(&archive, &again, &Limits::default(), None).unwrap();
        assert_eq!(files(&again), files(&scene.dest()), "{format}");
    }
}

#[test]
fn a_manifest_without_a_digest_of_itself_is_read_with_a_warning() {
    let scene = Scene::new();
    fs::write(
        scene.archive(),
        RawTar::listing(&[("README.md", "x")])
            .file("README.md", "x")
            .gzip(),
    )
    .unwrap();
    let report = verify(&scene.archive(), &Limits::default(), None).unwrap();
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
}

#[test]
fn harmless_pax_records_directories_and_padding_are_read() {
    let scene = Scene::new();
    let records = "20 mtime=1700000.25\n";
    let mut bytes = RawTar::default()
        .entry(
            RawHeader::new("PaxHeaders/manifest.json", records.len()).kind(b'x'),
            records.as_bytes(),
        )
        .file("manifest.json", &manifest(&[("configs/a", "x")]))
        .entry(RawHeader::new("configs/", 0).kind(b'5'), b"")
        .file("configs/a", "x")
        .end();
    bytes.resize(10 * 1024, 0);
    fs::write(scene.archive(), crate::support::gzip(&bytes)).unwrap();
    verify(&scene.archive(), &Limits::default(), None).unwrap();
}
