//! Copies one PostgreSQL database into another and prints a report as JSON, for benchmarks and for trying things.
//!
//! `SOURCE_URL` and `TARGET_URL` are `postgres://user:password@host:port/database`; `JOBS` is the parallelism.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use homeport_sync::{Endpoint, Engine, Postgres, Progress, Task, Tls, TlsMode};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut task = Task::new("pgcopy", endpoint("SOURCE_URL")?, endpoint("TARGET_URL")?);
    if let Ok(jobs) = std::env::var("JOBS") {
        task.parallelism = jobs.parse()?;
    }
    let (progress, _) = watch::channel(Progress::default());
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    let start = Instant::now();
    let report = Postgres.copy(&task, &progress, &cancel).await?;
    let report = json!({
        "seconds": start.elapsed().as_secs_f64(),
        "peak_rss_kib": peak_rss_kib(),
        "report": report,
    });
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn endpoint(variable: &str) -> Result<Endpoint, Box<dyn Error>> {
    let url = Url::parse(&std::env::var(variable).map_err(|_| format!("{variable} is not set"))?)?;
    Ok(Endpoint {
        host: url.host_str().unwrap_or("127.0.0.1").to_owned(),
        port: url.port().unwrap_or(5432),
        database: url.path().trim_start_matches('/').to_owned(),
        user: url.username().to_owned(),
        password: url.password().unwrap_or_default().into(),
        tls: Tls {
            mode: TlsMode::Prefer,
            ca_pem: None,
        },
    })
}

/// The process's highest resident set so far, as Linux counts it.
fn peak_rss_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse()
            .ok()
    })
}
