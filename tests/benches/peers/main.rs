//! Measures homeport beside its peers: the same work, on the same machine, in the same run, taking turns.
//!
//! Writes `target/bench/results.json` and prints a table of it. `HOMEPORT_BENCH_SCALE` (default 1.0) makes the work
//! smaller or larger, `HOMEPORT_BENCH_ROUNDS` (default 3) sets how often each is measured; the median counts. Exit status
//! 1 if a benchmark misses its bar. Arguments choose groups: `api`, `bundle`, `postgres`; all without.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark that cannot be run ends, and says why; its table is its output"
)]

mod api;
mod api_client;
mod bundle;
mod measure;
mod postgres;

use std::env;
use std::fs;
use std::process::ExitCode;

use homeport_tests::repository;

use crate::measure::Comparison;

/// Benchmarks that share what they prepare; takes the scale and the rounds.
type Group = fn(f64, usize) -> Vec<Comparison>;

fn main() -> ExitCode {
    let scale: f64 = setting("HOMEPORT_BENCH_SCALE", 1.0);
    let rounds: usize = setting("HOMEPORT_BENCH_ROUNDS", 3);
    // Cargo adds options of its own.
    let chosen: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let groups: [(&str, Group); 3] = [
        ("bundle", bundle::bundles),
        ("api", api::api),
        ("postgres", postgres::postgres),
    ];
    for choice in &chosen {
        assert!(
            groups.iter().any(|(name, _)| name == choice),
            "there is no group of benchmarks '{choice}'"
        );
    }
    let mut results = Vec::new();
    for (name, group) in groups {
        if chosen.is_empty() || chosen.iter().any(|choice| choice == name) {
            results.extend(group(scale, rounds));
        }
    }
    write(&results);
    print(&results);
    let missed = results.iter().any(|result| result.ratio < result.bar);
    if missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn write(results: &[Comparison]) {
    let path = repository().join("target/bench/results.json");
    fs::create_dir_all(path.parent().expect("a file in a directory")).expect("writable");
    let text = serde_json::to_string_pretty(results).expect("plain data");
    fs::write(&path, text + "\n").expect("writable");
    eprintln!("written to {}", path.display());
}

fn print(results: &[Comparison]) {
    println!(
        "{:<42}{:<40}{:>13}{:>13}{:>8}{:>7}{:>12}",
        "benchmark", "peer", "ours", "theirs", "ratio", "bar", "peak"
    );
    for result in results {
        let peak = result
            .peak_mib
            .map_or_else(|| "-".to_owned(), |peak| format!("{peak:.0} MiB"));
        let verdict = if result.ratio < result.bar { "  missed" } else { "" };
        println!(
            "{:<42}{:<40}{:>13}{:>13}{:>8.2}{:>7.2}{:>12}{verdict}",
            result.name,
            result.peer,
            format!("{:.2} {}", result.ours, result.unit),
            format!("{:.2} {}", result.theirs, result.unit),
            result.ratio,
            result.bar,
            peak
        );
    }
}
