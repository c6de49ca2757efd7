//! The same tree gives the same bytes.

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;

use homeport_bundle::{PackOptions, pack};

use crate::support::Scene;

#[test]
fn neither_threads_nor_times_nor_order_nor_modes_matter() {
    let scene = Scene::new();
    let text = (0..200_000)
        .map(|i| format!("line {}\n", i * 7919 % 10_007))
        .collect::<String>();
    scene.write("migrations/b.sql", &text);
    scene.write("migrations/a.sql", &text[..text.len() / 3]);
    let first = scene.pack().unwrap();
    let bytes = fs::read(scene.archive()).unwrap();

    let other = Scene::new();
    other.write("migrations/a.sql", &text[..text.len() / 3]);
    other.write("migrations/b.sql", &text);
    for (path, mode) in [("migrations/a.sql", 0o600), ("migrations/b.sql", 0o666)] {
        fs::set_permissions(other.tree().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    for threads in [1, 2, 7] {
        let options = PackOptions {
            threads: NonZeroUsize::new(threads),
            ..PackOptions::default()
        };
        let report = pack(&other.tree(), &other.archive(), &options).unwrap();
        assert_eq!(report.archive, first.archive);
        assert!(fs::read(other.archive()).unwrap() == bytes, "{threads} threads");
    }
}

#[test]
fn an_unpacked_bundle_packs_to_the_same_bytes() {
    let scene = Scene::new();
    let first = scene.pack().unwrap();
    homeport_bundle::unpack(&scene.archive(), &scene.dest(), &Default::default(), None).unwrap();
    let again = pack(&scene.dest(), &scene.archive(), &PackOptions::default()).unwrap();
    assert_eq!(again.archive.sha256, first.archive.sha256);
}

#[test]
fn the_reported_digest_is_that_of_the_file() {
    let scene = Scene::new();
    let report = scene.pack().unwrap();
    let bytes = fs::read(scene.archive()).unwrap();
    assert_eq!(report.archive.sha256, homeport_bundle::Checksum::of(&bytes));
    assert_eq!(report.archive.archive_size, bytes.len() as u64);
}
