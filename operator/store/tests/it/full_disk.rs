//! A disk without space: writes are refused with a word that says why, reads go on, and all is well again once there
//! is space, without a restart.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use homeport_store::{Options, Store, backup, check};
use serde_json::{Value, json};

use crate::support::{get, post, send};

const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";

/// A file system of a few megabytes in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount(at: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk(at.to_owned())),
            other => {
                eprintln!("skipped: a small file system cannot be mounted here: {other:?}");
                None
            }
        }
    }

    /// Takes all the space that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = File::create(&path).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn config(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"padding": "x".repeat(20_000)}})
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_space_again() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(directory.path()) else {
        return;
    };
    let state = directory.path().join("state.db");
    let store = Store::open(Options::file(&state)).await.unwrap();
    assert_eq!(post(&store, CONFIGS, &config("first")).await.0, 201);

    let mut stored = vec!["first".to_owned()];
    for round in 0..3 {
        let ballast = disk.fill();
        let refused = loop {
            let name = format!("r{round}-{}", stored.len());
            match post(&store, CONFIGS, &config(&name)).await {
                (201, _) => stored.push(name),
                refused => break refused,
            }
        };
        assert_eq!(
            (refused.0, &refused.1["kind"]),
            (507, &json!("Status")),
            "{}",
            refused.1
        );
        let message = refused.1["message"].as_str().unwrap();
        assert!(message.contains("no space left"), "{message}");
        let (code, _, _) = send(&store, "DELETE", &format!("{CONFIGS}/first"), &[], "").await;
        assert_eq!(code, 507, "a deletion is a write too");

        let listed = get(&store, CONFIGS).await;
        assert_eq!(
            listed["items"].as_array().unwrap().len(),
            stored.len(),
            "what was refused is not there"
        );
        assert_eq!(get(&store, "/readyz").await, json!("ok"));
        let refused = backup(&state, &directory.path().join("backup.db")).unwrap_err();
        assert!(refused.to_string().contains("no space left"), "{refused}");

        fs::remove_file(ballast).unwrap();
        let name = format!("r{round}-after");
        assert_eq!(post(&store, CONFIGS, &config(&name)).await.0, 201);
        stored.push(name);
    }
    store.close().await;
    let report = check(&state).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let store = Store::open(Options::file(&state)).await.unwrap();
    for name in &stored {
        get(&store, &format!("{CONFIGS}/{name}")).await;
    }
    store.close().await;
}
