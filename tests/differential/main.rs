//! kubectl cannot tell `homeport up` from a kube-apiserver: each scenario beside this file is put to both, and what kubectl
//! prints and how it exits is compared.
//!
//! What differs for good reason is listed in `accepted.txt`; all else is in the failure's message.
//! `DIFFERENTIAL=get,apply` runs these scenarios alone; `DIFFERENTIAL_REFERENCE` and `DIFFERENTIAL_HOMEPORT` name
//! kubeconfigs of servers that run already.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod accepted;
mod normal;
mod scenario;
mod server;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use accepted::Accepted;
use scenario::{Scenario, Step};
use server::Server;

#[test]
fn kubectl_cannot_tell_homeport_from_kube_apiserver() {
    let chosen = std::env::var("DIFFERENTIAL").unwrap_or_default();
    let chosen: Vec<&str> = chosen.split(',').filter(|name| !name.is_empty()).collect();
    let directory = tempfile::tempdir().unwrap();
    let work = directory.path();
    let Some(reference) = Server::kube_apiserver(work) else {
        return;
    };
    let homeport = Server::homeport(work);

    let mut accepted = Accepted::read(&here().join("accepted.txt"));
    let (mut scenarios, mut steps, mut report) = (0, 0, String::new());
    for scenario in Scenario::all(&here()) {
        if !chosen.is_empty() && !chosen.contains(&scenario.name.as_str()) {
            continue;
        }
        let (expected, found) = thread::scope(|scope| {
            let expected = scope.spawn(|| scenario.run(&reference, &work.join("kube-apiserver")));
            let found = scope.spawn(|| scenario.run(&homeport, &work.join("homeport")));
            (expected.join().unwrap(), found.join().unwrap())
        });
        scenarios += 1;
        steps += expected.len();
        report.push_str(&compare(&scenario, &expected, &found, &mut accepted, work));
    }
    if chosen.is_empty() {
        for entry in accepted.unused() {
            let _ = writeln!(report, "accepted.txt: nothing differs any more at {entry}");
        }
    }
    println!(
        "{steps} commands in {scenarios} scenarios compared; {} differences accepted",
        accepted.count()
    );
    assert!(
        report.is_empty(),
        "kubectl sees differences (- kube-apiserver, + homeport):\n{report}"
    );
}

fn here() -> PathBuf {
    homeport_tests::repository().join("tests/differential")
}

/// What differs and is not accepted.
fn compare(
    scenario: &Scenario,
    expected: &[Step],
    found: &[Step],
    accepted: &mut Accepted,
    work: &Path,
) -> String {
    let mut report = String::new();
    if expected.len() != found.len() {
        let (there, here) = (expected.len(), found.len());
        let _ = writeln!(
            report,
            "{}: ran {there} commands there, {here} here",
            scenario.name
        );
    }
    for (expected, found) in expected.iter().zip(found) {
        let command = format!("{}: {}", scenario.name, expected.command);
        let (there, here) = accepted.strip(&command, &expected.output, &found.output);
        if there != here {
            let _ = writeln!(report, "\n{command}\n{}", difference(&there, &here, work));
        }
    }
    report
}

/// The lines that differ, as `diff` shows them.
fn difference(expected: &str, found: &str, work: &Path) -> String {
    let (there, here) = (work.join("expected"), work.join("found"));
    fs::write(&there, expected).unwrap();
    fs::write(&here, found).unwrap();
    let diff = std::process::Command::new("diff")
        .args(["--unified=1"])
        .args([&there, &here])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&diff.stdout);
    text.lines().skip(2).fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "    {line}");
        all
    })
}
