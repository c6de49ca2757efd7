//! Exponential backoff with jitter, one for each object.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// How often each object failed in a row, and so how long to wait before the next try.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
}

impl Backoff {
    /// Counts a failure of the object with this uid, and says how long to wait.
    pub fn failed(&self, uid: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        delay(*count, rand::random_range(0.75..=1.25))
    }

    /// Forgets the failures of an object: it succeeded, or it is gone.
    pub fn reset(&self, uid: &str) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
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

    #[test]
    fn a_success_starts_over() {
        let backoff = Backoff::default();
        for _ in 0..5 {
            backoff.failed("a");
        }
        assert!(backoff.failed("a") > Duration::from_secs(10));
        backoff.reset("a");
        assert!(backoff.failed("a") < Duration::from_secs(2));
    }
}
