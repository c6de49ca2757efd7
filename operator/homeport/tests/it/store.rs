//! `homeport store` beside a homeport that runs, and after it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn homeport(arguments: &[&str], state_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeport"));
    command
        .args(arguments)
        .arg("--state-dir")
        .arg(state_dir)
        .args(["--log", "error"])
        .env_remove("HOMEPORT_STATE_DIR");
    command
}

fn run(arguments: &[&str], state_dir: &Path) -> Output {
    homeport(arguments, state_dir).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A homeport that runs until it is dropped.
struct Running(Child);

impl Running {
    fn start(state_dir: &Path) -> Self {
        let mut child = homeport(&["up", "--listen", "127.0.0.1:0"], state_dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("homeport is ready"), "{line}");
        Running(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // As it must bear it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_running_homeport_is_backed_up_checked_and_not_restored() {
    let directory = tempfile::tempdir().unwrap();
    let state_dir = directory.path().join("state");
    let backup = directory.path().join("backup.db");
    let backup = backup.to_str().unwrap();
    let running = Running::start(&state_dir);

    let backed_up = run(&["store", "backup", "-o", backup], &state_dir);
    assert!(backed_up.status.success(), "{}", text(&backed_up.stderr));
    assert!(text(&backed_up.stdout).starts_with("backed up to "));
    let checked = run(&["store", "check", "-o", "json"], &state_dir);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(
        report["objects"]["customresourcedefinitions.apiextensions.k8s.io"],
        4
    );
    assert_eq!(report["problem_count"], 0);
    let refused = run(&["store", "restore", backup, "--force"], &state_dir);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("in use by another process"));
    drop(running);

    let refused = run(&["store", "restore", backup], &state_dir);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("--force"),
        "{}",
        text(&refused.stderr)
    );
    let restored = run(&["store", "restore", backup, "--force"], &state_dir);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    assert!(text(&restored.stdout).contains("is kept as"));
    drop(Running::start(&state_dir));
    assert!(run(&["store", "check"], &state_dir).status.success());

    let elsewhere = directory.path().join("elsewhere");
    let restored = run(&["store", "restore", backup], &elsewhere);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    drop(Running::start(&elsewhere));
}

#[test]
fn a_damaged_backup_is_told_by_the_exit_status() {
    let directory = tempfile::tempdir().unwrap();
    let state_dir = directory.path().join("state");
    let backup = directory.path().join("backup.db");
    drop(Running::start(&state_dir));
    let name = backup.to_str().unwrap();
    assert!(run(&["store", "backup", "-o", name], &state_dir).status.success());
    let mut bytes = std::fs::read(&backup).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 2000].fill(0xa5);
    std::fs::write(&backup, bytes).unwrap();

    let checked = run(&["store", "check", name], &state_dir);
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        text(&checked.stdout).contains("problem: "),
        "{}",
        text(&checked.stdout)
    );
    assert!(
        text(&checked.stderr).contains("is damaged"),
        "{}",
        text(&checked.stderr)
    );
    let restored = run(&["store", "restore", name], &directory.path().join("elsewhere"));
    assert_eq!(restored.status.code(), Some(1));
    assert!(text(&restored.stderr).contains("nothing was written"));
    let missing = run(&["store", "check"], &directory.path().join("nowhere"));
    assert_eq!(missing.status.code(), Some(1));
}
