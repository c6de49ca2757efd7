//! Exponential backoff with jitter, one for each object or piece of work.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// How often each thing failed in a row, and when it may be tried again.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: Mutex<HashMap<String, Failures>>,
}

#[derive(Debug, Default)]
struct Failures {
    count: u32,
    /// None while the next try is under way.
    wait_until: Option<Instant>,
}

impl Backoff {
    /// How long is still to be waited after a failure of `key`; None when the time is over and it may be tried again.
    ///
    /// The first call after a failure counts it; calls while the time runs do not, so that looking does not lengthen
    /// the wait.
    pub fn wait(&self, key: &str) -> Option<Duration> {
        let mut all = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = all.entry(key.to_owned()).or_default();
        let now = Instant::now();
        match failures.wait_until {
            Some(until) if now < until => Some(until - now),
            Some(_) => {
                failures.wait_until = None;
                None
            }
            None => {
                failures.count = failures.count.saturating_add(1);
                let delay = delay(failures.count, rand::random_range(0.75..=1.25));
                failures.wait_until = Some(now + delay);
                Some(delay)
            }
        }
    }

    /// How long to wait after a failure, where each call may be a try that failed.
    pub fn failed(&self, key: &str) -> Duration {
        self.wait(key).or_else(|| self.wait(key)).unwrap_or(FIRST)
    }

    /// Forgets the failures of a thing: it succeeded, or it is gone.
    pub fn reset(&self, key: &str) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

/// The wait after `failures` failures in a row: it doubles from a second to half a minute.
fn delay(failures: u32, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST.saturating_mul(1 << doublings).min(LONGEST).mul_f64(jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_half_a_minute() {
        let seconds: Vec<u64> = (1..=7).map(|failures| delay(failures, 1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(delay(u32::MAX, 1.0), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn looking_does_not_lengthen_the_wait() {
        let backoff = Backoff::default();
        for _ in 0..5 {
            assert!(
                backoff
                    .wait("a")
                    .is_some_and(|wait| wait < Duration::from_secs(2))
            );
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(backoff.wait("a"), None, "it may be tried again");
        assert!(
            backoff
                .wait("a")
                .is_some_and(|wait| wait > Duration::from_millis(1400)),
            "it failed again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_starts_over() {
        let backoff = Backoff::default();
        for _ in 0..5 {
            tokio::time::advance(backoff.failed("a")).await;
        }
        assert!(backoff.failed("a") > Duration::from_secs(10));
        backoff.reset("a");
        assert!(backoff.failed("a") < Duration::from_secs(2));
    }
}
