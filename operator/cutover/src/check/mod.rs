//! Checks of a running service, before and after a switch. A check measures; others judge what follows from it.

mod http;
mod tcp;

use std::fmt;
use std::time::{Duration, Instant};

use homeport_bundle::validation::{Check as BundleCheck, CheckKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use http::HttpProbe;
pub use tcp::TcpProbe;

use crate::error::{Error, Result};

/// How long one attempt may take when the check does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between attempts when the check does not say.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(2);

/// A question to a service, and how often it is asked.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its name in measurements.
    pub name: String,
    /// The question.
    pub probe: Probe,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The time between attempts.
    pub interval: Duration,
    /// How many attempts there are at most; at least 1.
    pub attempts: u32,
    /// How many of them must succeed in a row; at least 1.
    pub successes: u32,
}

/// What is asked.
#[derive(Debug, Clone)]
pub enum Probe {
    /// A request over HTTP or HTTPS.
    Http(HttpProbe),
    /// A connection over TCP.
    Tcp(TcpProbe),
}

impl Check {
    /// A check with default times, one attempt, one success.
    pub fn new(name: impl Into<String>, probe: Probe) -> Self {
        Self {
            name: name.into(),
            probe,
            timeout: DEFAULT_TIMEOUT,
            interval: DEFAULT_INTERVAL,
            attempts: 1,
            successes: 1,
        }
    }

    /// A check of a bundle.
    pub fn from_bundle(check: &BundleCheck) -> Self {
        let probe = match check.kind {
            CheckKind::Http => Probe::Http(HttpProbe::from_bundle(check)),
            CheckKind::Tcp => Probe::Tcp(TcpProbe {
                host: check.host.clone().unwrap_or_default(),
                port: check.port.unwrap_or_default(),
            }),
        };
        Self {
            timeout: check.timeout.map_or(DEFAULT_TIMEOUT, |duration| duration.get()),
            interval: check.interval.map_or(DEFAULT_INTERVAL, |duration| duration.get()),
            attempts: check.retries.unwrap_or_default().saturating_add(1),
            ..Self::new(&check.name, probe)
        }
    }
}

/// Whether a check passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The service is as it should be.
    Pass,
    /// It is not.
    Fail,
}

/// What one attempt of a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// The check's name.
    pub check: String,
    /// When the attempt began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// Whether it passed.
    pub verdict: Verdict,
    /// What was seen, such as `200` or `connected`.
    pub observed: String,
    /// What is to be said of it, for people.
    pub message: String,
}

impl Measurement {
    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Pass
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({} ms)", self.check, self.message, self.latency_ms)
    }
}

/// What a probe saw: what was observed, and why that is not as it should be, if it is not.
struct Seen {
    observed: String,
    fault: Option<String>,
}

/// Runs checks.
#[derive(Debug, Clone)]
pub struct Checker {
    _private: (),
}

impl Checker {
    /// A checker. It needs rustls's default crypto provider, and installs that of aws-lc if there is none.
    pub fn new() -> Result<Self> {
        if rustls::crypto::CryptoProvider::get_default().is_none()
            && rustls::crypto::aws_lc_rs::default_provider()
                .install_default()
                .is_err()
            && rustls::crypto::CryptoProvider::get_default().is_none()
        {
            return Err(Error::invalid(
                "TLS",
                "",
                "has no crypto provider; this is a fault of the build",
            ));
        }
        Ok(Self { _private: () })
    }

    /// Asks once.
    pub async fn attempt(&self, check: &Check) -> Measurement {
        let at = Timestamp::now();
        let begin = Instant::now();
        let probe = async {
            match &check.probe {
                Probe::Http(probe) => probe.ask(check.timeout).await,
                Probe::Tcp(probe) => probe.ask().await,
            }
        };
        let seen = tokio::time::timeout(check.timeout, probe)
            .await
            .unwrap_or_else(|_| Seen {
                observed: "no answer".to_owned(),
                fault: Some(format!("no answer within {} ms", check.timeout.as_millis())),
            });
        let latency_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (verdict, message) = match seen.fault {
            None => (Verdict::Pass, seen.observed.clone()),
            Some(fault) => (Verdict::Fail, fault),
        };
        Measurement {
            check: check.name.clone(),
            at,
            latency_ms,
            verdict,
            observed: seen.observed,
            message,
        }
    }

    /// Asks until enough attempts in a row succeeded, or too few are left for that. The last measurement is the verdict.
    pub async fn run(&self, check: &Check) -> Measurement {
        let needed = check.successes.max(1);
        let mut left = check.attempts.max(needed);
        let mut in_a_row = 0;
        loop {
            let measurement = self.attempt(check).await;
            left -= 1;
            in_a_row = if measurement.passed() { in_a_row + 1 } else { 0 };
            if in_a_row >= needed || left < needed - in_a_row {
                return measurement;
            }
            tokio::time::sleep(check.interval).await;
        }
    }

    /// Runs several checks at once; the results are in their order.
    pub async fn run_all(&self, checks: &[Check]) -> Vec<Measurement> {
        futures::future::join_all(checks.iter().map(|check| self.run(check))).await
    }
}
