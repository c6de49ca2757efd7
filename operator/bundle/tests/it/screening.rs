//! Every text file is shown to the screen, whole and in order, whenever a bundle is packed, verified or unpacked.

use std::fs;
use std::sync::Mutex;

use homeport_bundle::{
    Error, Finding, Limits, PackOptions, Screen, ScreenFile, inspect, pack, unpack, verify,
};

use crate::support::{COMPOSE, MANIFEST, Scene};

/// Finds the word `hunter2`, and remembers what it was shown.
#[derive(Default)]
struct FindHunter {
    shown: Mutex<Vec<(String, usize)>>,
}

struct Watched {
    path: String,
    seen: Vec<u8>,
    screen: &'static FindHunter,
}

impl Screen for &'static FindHunter {
    fn open(&self, path: &str) -> Box<dyn ScreenFile> {
        Box::new(Watched {
            path: path.to_owned(),
            seen: Vec::new(),
            screen: self,
        })
    }
}

impl ScreenFile for Watched {
    fn write(&mut self, chunk: &[u8]) {
        self.seen.extend_from_slice(chunk);
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.screen
            .shown
            .lock()
            .unwrap()
            .push((self.path.clone(), self.seen.len()));
        let text = String::from_utf8_lossy(&self.seen);
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.contains("hunter2"));
        lines
            .map(|(i, _)| Finding {
                path: self.path.clone(),
                line: i as u64 + 1,
                rule: "hunter".to_owned(),
            })
            .collect()
    }
}

fn screen() -> &'static FindHunter {
    Box::leak(Box::default())
}

#[test]
fn a_secret_stops_packing_verifying_and_unpacking() {
    let scene = Scene::new();
    scene.write("configs/app.env", "A=1\nPASSWORD=hunter2\n");
    let screen = screen();
    let options = PackOptions {
        screen: Some(&screen),
        ..PackOptions::default()
    };
    let error = pack(&scene.tree(), &scene.archive(), &options).unwrap_err();
    assert!(
        matches!(&error, Error::SecretFound { findings } if findings.len() == 1),
        "{error}"
    );
    assert!(
        error.to_string().contains("configs/app.env:2") && error.to_string().contains("hunter"),
        "{error}"
    );
    assert!(!error.to_string().contains("hunter2"), "the value is not shown");
    assert_eq!(scene.names(), ["tree"]);

    scene.pack().unwrap();
    let limits = Limits::default();
    assert!(matches!(
        verify(&scene.archive(), &limits, Some(&screen)),
        Err(Error::SecretFound { .. })
    ));
    let unpacked = unpack(&scene.archive(), &scene.dest(), &limits, Some(&screen));
    assert!(matches!(unpacked, Err(Error::SecretFound { .. })));
    assert_eq!(scene.names(), ["app.hprt", "tree"]);
    inspect(&scene.archive(), &limits).unwrap();
}

#[test]
fn a_secret_in_the_manifest_is_found_too() {
    let scene = Scene::new();
    scene.write("manifest.json", MANIFEST.replace("\"web\"", "\"hunter2\""));
    let screen = screen();
    let options = PackOptions {
        screen: Some(&screen),
        ..PackOptions::default()
    };
    let error = pack(&scene.tree(), &scene.archive(), &options).unwrap_err();
    assert!(error.to_string().contains("manifest.json:5"), "{error}");
    scene.pack().unwrap();
    let verified = verify(&scene.archive(), &Limits::default(), Some(&screen));
    assert!(matches!(verified, Err(Error::SecretFound { .. })));
}

#[test]
fn every_file_is_shown_whole() {
    let scene = Scene::new();
    let text: String = (0..300_000).map(|i| format!("{i}\n")).collect();
    scene.write("migrations/a.sql", &text);
    scene.write("configs/empty", "");
    scene.write("data-sync/image.bin", [b"text".as_slice(), &[0; 100]].concat());
    let binary = ("data-sync/image.bin".to_owned(), 104);
    let packing = screen();
    let options = PackOptions {
        screen: Some(&packing),
        ..PackOptions::default()
    };
    pack(&scene.tree(), &scene.archive(), &options).unwrap();
    let verifying = screen();
    verify(&scene.archive(), &Limits::default(), Some(&verifying)).unwrap();

    let mut expected = vec![
        (
            "README.md".to_owned(),
            fs::metadata(scene.tree().join("README.md")).unwrap().len() as usize,
        ),
        ("compose/docker-compose.yml".to_owned(), COMPOSE.len()),
        ("configs/empty".to_owned(), 0),
        binary,
        ("manifest.json".to_owned(), MANIFEST.len()),
        ("migrations/a.sql".to_owned(), text.len()),
        ("scripts/pre-deploy.sh".to_owned(), 15),
    ];
    expected.sort();
    let mut shown = packing.shown.lock().unwrap().clone();
    shown.sort();
    assert_eq!(shown, expected);
    // The archive's manifest is another than the author's: it has checksums.
    let mut shown = verifying.shown.lock().unwrap().clone();
    shown.sort();
    let without_manifest = |shown: &[(String, usize)]| -> Vec<(String, usize)> {
        shown
            .iter()
            .filter(|(path, _)| path != "manifest.json")
            .cloned()
            .collect()
    };
    assert_eq!(without_manifest(&shown), without_manifest(&expected));
    assert_eq!(shown.len(), expected.len());
}
