//! Programs run to their end, with their time and memory, and what comes of comparing two.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use homeport_tests::{repository, search_path};
use serde::Serialize;

/// One line of the results.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// What is measured.
    pub(crate) name: String,
    /// What it is measured beside.
    pub(crate) peer: String,
    /// Our median.
    pub(crate) ours: f64,
    /// The peer's median.
    pub(crate) theirs: f64,
    /// The unit of both.
    pub(crate) unit: &'static str,
    /// Above 1: ours is better.
    pub(crate) ratio: f64,
    /// The most memory that ours held at once, in MiB; absent where it was not measured.
    pub(crate) peak_mib: Option<f64>,
    /// The ratio that is wanted at least.
    pub(crate) bar: f64,
}

/// One run of a program.
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) peak_mib: f64,
}

/// A program built for release: benchmarks of debug builds mean nothing.
pub(crate) fn release_program(name: &str) -> PathBuf {
    let path = repository().join("target/release").join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `make bench`",
        path.display()
    );
    path
}

/// Runs a program to its end and watches its memory. The kernel keeps the highest value (VmHWM), so that looking
/// often is only needed to see it before the process is gone.
pub(crate) fn measure(command: &mut Command) -> Measured {
    let text = format!("{command:?}");
    let begin = Instant::now();
    let mut child = command
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{text} cannot be started: {error}"));
    let status_file = format!("/proc/{}/status", child.id());
    let watcher = thread::spawn(move || {
        let mut peak_kib = 0;
        while let Some(kib) = high_water_mark(&status_file) {
            peak_kib = peak_kib.max(kib);
            thread::sleep(Duration::from_millis(5));
        }
        peak_kib
    });
    let mut errors = String::new();
    child
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut errors)
        .ok();
    let status = child.wait().expect("the child is ours");
    let seconds = begin.elapsed().as_secs_f64();
    assert!(status.success(), "{text} failed: {status}\n{errors}");
    let peak_kib = watcher.join().expect("the watcher does not panic");
    Measured {
        seconds,
        peak_mib: f64::from(peak_kib) / 1024.0,
    }
}

/// VmHWM in KiB, or nothing when the process has no memory any more.
pub(crate) fn high_water_mark(status_file: &str) -> Option<u32> {
    let status = fs::read_to_string(status_file).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn seconds_of(runs: &[Measured]) -> f64 {
    median(runs.iter().map(|run| run.seconds).collect())
}

pub(crate) fn peak_of(runs: &[Measured]) -> f64 {
    runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max)
}

pub(crate) fn compare(name: &str, peer: &str, ours: &[Measured], theirs: &[Measured]) -> Comparison {
    let (our_seconds, their_seconds) = (seconds_of(ours), seconds_of(theirs));
    Comparison {
        name: name.to_owned(),
        peer: peer.to_owned(),
        ours: our_seconds,
        theirs: their_seconds,
        unit: "s",
        ratio: their_seconds / our_seconds,
        peak_mib: Some(peak_of(ours)),
        bar: 1.0,
    }
}

pub(crate) fn shell(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script, "bench"]);
    command
}
