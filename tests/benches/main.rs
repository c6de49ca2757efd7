//! Measures homeport beside its peers: the same work, on the same machine, in the same run, taking turns.
//!
//! Writes `target/bench/results.json` and prints a table of it. `HOMEPORT_BENCH_SCALE` (default 1.0) makes the work
//! smaller or larger, `HOMEPORT_BENCH_ROUNDS` (default 3) sets how often each is measured; the median counts. Exit status
//! 1 if a benchmark misses its bar. Arguments choose groups: `bundle`, `postgres`; all without.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark that cannot be run ends, and says why; its table is its output"
)]

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use homeport_tests::{PostgresServer, postgres_program, repository, run_ok, search_path};
use serde::Serialize;
use tempfile::TempDir;

/// One line of the results.
#[derive(Debug, Serialize)]
struct Comparison {
    /// What is measured.
    name: String,
    /// What it is measured beside.
    peer: String,
    /// Our median.
    ours: f64,
    /// The peer's median.
    theirs: f64,
    /// The unit of both.
    unit: &'static str,
    /// Above 1: ours is better.
    ratio: f64,
    /// The most memory that ours held at once, in MiB; absent where it was not measured.
    peak_mib: Option<f64>,
    /// The ratio that is wanted at least.
    bar: f64,
}

/// One run of a program.
struct Measured {
    seconds: f64,
    peak_mib: f64,
}

/// Benchmarks that share what they prepare; takes the scale and the rounds.
type Group = fn(f64, usize) -> Vec<Comparison>;

fn main() -> ExitCode {
    let scale: f64 = setting("HOMEPORT_BENCH_SCALE", 1.0);
    let rounds: usize = setting("HOMEPORT_BENCH_ROUNDS", 3);
    let chosen: Vec<String> = env::args().skip(1).collect();
    let groups: [(&str, Group); 2] = [("bundle", bundles), ("postgres", postgres)];
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

/// A program built for release: benchmarks of debug builds mean nothing.
fn release_program(name: &str) -> PathBuf {
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
fn measure(command: &mut Command) -> Measured {
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
fn high_water_mark(status_file: &str) -> Option<u32> {
    let status = fs::read_to_string(status_file).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn seconds_of(runs: &[Measured]) -> f64 {
    median(runs.iter().map(|run| run.seconds).collect())
}

fn peak_of(runs: &[Measured]) -> f64 {
    runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max)
}

fn compare(name: &str, peer: &str, ours: &[Measured], theirs: &[Measured]) -> Comparison {
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

/// Packing and unpacking a bundle, beside tar with pigz and sha256sum: the same compression, and a checksum of each file.
fn bundles(scale: f64, rounds: usize) -> Vec<Comparison> {
    let homeport = release_program("homeport");
    // Nothing is removed before the end: a big tree that is being removed slows down whatever comes after.
    let work = TempDir::new().expect("a directory");
    let tree = work.path().join("tree");
    let megabytes = bundle_tree(&tree, scale);
    eprintln!("bundle: a tree of {megabytes} MB, {rounds} rounds");

    let (mut pack, mut peer_pack, mut unpack, mut peer_unpack) = (vec![], vec![], vec![], vec![]);
    for round in 0..rounds {
        let at = |name: &str| work.path().join(format!("{name}-{round}"));
        let (bundle, archive) = (at("bundle.hprt"), at("peer.tar.gz"));
        pack.push(measure(
            Command::new(&homeport)
                .args(["bundle", "pack"])
                .arg(&tree)
                .arg("-o")
                .arg(&bundle),
        ));
        let sums = at("sums");
        peer_pack.push(measure(
            shell("cd \"$1\" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >\"$2\" && tar -I pigz -cf \"$3\" .")
                .args([&tree, &sums, &archive]),
        ));
        let unpacked = at("unpacked");
        unpack.push(measure(
            Command::new(&homeport)
                .args(["bundle", "unpack"])
                .arg(&bundle)
                .arg("-o")
                .arg(&unpacked),
        ));
        peer_unpack.push(measure(
            shell("mkdir \"$1\" && cd \"$1\" && tar -I pigz -xf \"$3\" && sha256sum --quiet -c \"$2\"")
                .args([&at("peer-unpacked"), &sums, &archive]),
        ));
    }
    vec![
        compare("bundle pack", "tar -I pigz + sha256sum", &pack, &peer_pack),
        compare("bundle unpack", "tar -I pigz + sha256sum", &unpack, &peer_unpack),
    ]
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script, "bench"]);
    command
}

/// Writes a bundle tree of about 50 MB: the webshop's, and beside it configuration text, SQL and incompressible files as
/// real bundles carry them. Returns its size in MB.
fn bundle_tree(tree: &Path, scale: f64) -> u64 {
    run_ok(
        Command::new("cp")
            .arg("-r")
            .arg(repository().join("examples/webshop/bundle"))
            .arg(tree),
    );
    let mut random = Random(7);
    let configs = tree.join("configs/generated");
    fs::create_dir_all(&configs).expect("a directory");
    let files = (600.0 * scale) as u32;
    for number in 0..files {
        let mut text = String::new();
        while text.len() < 40_000 {
            text.push_str(&format!(
                "server {{ listen {}; name host-{}.internal; root /srv/{}; }}\n",
                random.next() % 60_000,
                random.next() % 5_000,
                random.next()
            ));
        }
        fs::write(configs.join(format!("site-{number}.conf")), text).expect("writable");
    }
    let sql = tree.join("migrations/postgres/lookup.sql");
    let rows = (120_000.0 * scale) as u32;
    let text: String = (0..rows)
        .map(|row| {
            format!(
                "CREATE INDEX lookup_{row} ON lookup_{} (c{}, c{});\n",
                random.next() % 999,
                row % 40,
                random.next() % 9
            )
        })
        .collect();
    fs::write(sql, text).expect("writable");
    for number in 0..(20.0 * scale) as u32 {
        let bytes: Vec<u8> = (0..131_072).flat_map(|_| random.next().to_le_bytes()).collect();
        fs::write(configs.join(format!("asset-{number}.bin")), bytes).expect("writable");
    }
    let size = run_ok(Command::new("du").args(["-sb", "--apparent-size"]).arg(tree));
    size.split_whitespace()
        .next()
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or_default()
        / 1_000_000
}

/// A small generator of numbers that are the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// Copying a database of about 1 GB from one server to another, beside pg_dump and pg_restore in both of the forms that
/// people use.
fn postgres(scale: f64, rounds: usize) -> Vec<Comparison> {
    let copy = release_program("examples/pgcopy");
    let settings = [
        "shared_buffers=512MB",
        "max_wal_size=4GB",
        "maintenance_work_mem=256MB",
    ];
    let (source, target) = (PostgresServer::start(&settings), PostgresServer::start(&settings));
    let megabytes = fill(&source, scale);
    eprintln!("PostgreSQL: a database of {megabytes} MB, {rounds} rounds");

    let (mut ours, mut custom, mut directory) = (vec![], vec![], vec![]);
    for round in 0..rounds {
        ours.push(into_fresh(&target, |name| {
            let mut command = Command::new(&copy);
            command
                // As many streams as the peer's -j2 has.
                .env("JOBS", "2")
                .env("SOURCE_URL", source.url("shop"))
                .env("TARGET_URL", target.url(name));
            command
        }));
        custom.push(into_fresh(&target, |name| {
            let mut command = dump_and_restore(
                "\"$1\" -Fc shop | PGHOST=$TO_HOST PGPORT=$TO_PORT \"$2\" --exit-on-error -d \"$3\"",
                &source,
                &target,
            );
            command.arg(name);
            command
        }));
        let dump = TempDir::new().expect("a directory");
        directory.push(into_fresh(&target, |name| {
            let mut command = dump_and_restore(
                "\"$1\" -Fd -Z0 -j2 -f \"$4\" shop && PGHOST=$TO_HOST PGPORT=$TO_PORT \"$2\" --exit-on-error -j2 -d \"$3\" \"$4\"",
                &source,
                &target,
            );
            command.arg(name).arg(dump.path().join("dump"));
            command
        }));
        eprintln!(
            "  round {}: ours {:.1} s, custom {:.1} s, directory {:.1} s",
            round + 1,
            ours[round].seconds,
            custom[round].seconds,
            directory[round].seconds
        );
    }
    vec![
        compare(
            "PostgreSQL copy, verified",
            "pg_dump -Fc | pg_restore",
            &ours,
            &custom,
        ),
        compare(
            "PostgreSQL copy, verified",
            "pg_dump -Fd -Z0 -j2 + pg_restore -j2",
            &ours,
            &directory,
        ),
    ]
}

fn dump_and_restore(script: &str, source: &PostgresServer, target: &PostgresServer) -> Command {
    let mut command = shell(script);
    command.args([postgres_program("pg_dump"), postgres_program("pg_restore")]);
    command.envs(source.environment());
    for (variable, value) in target.environment() {
        command.env(variable.replace("PG", "TO_"), value);
    }
    command
}

/// Measures a copy into a database that is made for it and dropped after it.
fn into_fresh(target: &PostgresServer, command: impl FnOnce(&str) -> Command) -> Measured {
    target.sql("postgres", "CREATE DATABASE shop_copy");
    // What the copy before has left to be written would be counted against this one.
    target.sql("postgres", "CHECKPOINT");
    let measured = measure(&mut command("shop_copy"));
    target.sql("postgres", "DROP DATABASE shop_copy");
    measured
}

/// Fills the source with the webshop's mixed tables: wide and narrow rows, text, numbers, jsonb, bytea, an enum.
fn fill(source: &PostgresServer, scale: f64) -> u64 {
    source.sql("postgres", "CREATE DATABASE shop");
    let products = (12_500.0 * scale) as u32;
    let schema = repository().join("examples/webshop/bundle/migrations/postgres/schema.sql");
    let data = repository().join("scripts/demo/webshop-data.sql");
    run_ok(
        source
            .client("psql")
            .args(["-Xq", "--set=ON_ERROR_STOP=1", "--dbname=shop", "--file"])
            .arg(schema),
    );
    let mut load = source.client("psql");
    load.args([
        "-Xq",
        "--dbname=shop",
        &format!("--set=scale={products}"),
        "--file",
    ])
    .arg(data);
    run_ok(&mut load);
    source.sql("shop", "VACUUM ANALYZE");
    source
        .sql("shop", "SELECT pg_database_size('shop') / 1000000")
        .trim()
        .parse()
        .unwrap_or_default()
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
        "{:<28}{:<40}{:>9}{:>9}{:>9}{:>7}{:>12}",
        "benchmark", "peer", "ours", "theirs", "ratio", "bar", "peak"
    );
    for result in results {
        let peak = result
            .peak_mib
            .map_or_else(|| "-".to_owned(), |peak| format!("{peak:.0} MiB"));
        let verdict = if result.ratio < result.bar { "  missed" } else { "" };
        println!(
            "{:<28}{:<40}{:>7.2} {}{:>7.2} {}{:>9.2}{:>7.2}{:>12}{verdict}",
            result.name,
            result.peer,
            result.ours,
            result.unit,
            result.theirs,
            result.unit,
            result.ratio,
            result.bar,
            peak
        );
    }
}
