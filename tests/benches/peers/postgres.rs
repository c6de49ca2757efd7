//! Copies of PostgreSQL databases, beside pg_dump and pg_restore.

use std::process::Command;

use homeport_tests::{PostgresServer, postgres_program, repository, run_ok};
use tempfile::TempDir;

use crate::measure::{Comparison, Measured, compare, measure, release_program, shell};

/// Copying a database of about 1 GB from one server to another, beside pg_dump and pg_restore in both of the forms that
/// people use.
pub(crate) fn postgres(scale: f64, rounds: usize) -> Vec<Comparison> {
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
    // As our sessions have it: a copy that is not complete is worth nothing, so that none of its commits need wait.
    command.env("PGOPTIONS", "-c synchronous_commit=off");
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
