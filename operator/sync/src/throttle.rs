//! A bandwidth limit shared by all streams of a task: a token bucket.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Hands out at most so many bytes a second. Unused allowance of up to a quarter of a second is saved for a burst.
#[derive(Debug)]
pub(crate) struct Throttle {
    bytes_per_second: Option<u64>,
    /// When everything handed out so far will have been paid for.
    paid_at: Mutex<Instant>,
}

impl Throttle {
    const BURST: Duration = Duration::from_millis(250);

    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Throttle {
            bytes_per_second,
            paid_at: Mutex::new(Instant::now()),
        }
    }

    /// Returns when `bytes` more may pass.
    pub(crate) async fn take(&self, bytes: usize) {
        if let Some(rate) = self.bytes_per_second {
            tokio::time::sleep_until(self.reserve(Instant::now(), bytes, rate)).await;
        }
    }

    /// When `bytes` that are asked for at `now` may pass.
    fn reserve(&self, now: Instant, bytes: usize, rate: u64) -> Instant {
        let cost = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(Self::BURST).unwrap_or(now);
        *paid_at = (*paid_at).max(earliest) + cost;
        *paid_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 1_000_000;

    #[test]
    fn streams_share_one_allowance() {
        let throttle = Throttle::new(Some(RATE));
        let start = Instant::now() + Duration::from_secs(1);
        // Four streams ask for the next piece as soon as they got the last one.
        let mut streams = [start; 4];
        for _ in 0..10 {
            for at in &mut streams {
                *at = throttle.reserve(*at, 100_000, RATE).max(*at);
            }
        }
        let took = streams.into_iter().max().unwrap_or(start) - start;
        assert!(
            took >= Duration::from_millis(3749),
            "4 MB at 1 MB/s less one burst took {took:?}"
        );
        assert!(
            took <= Duration::from_millis(4001),
            "4 MB at 1 MB/s took {took:?}"
        );
    }

    #[test]
    fn idle_time_is_saved_for_one_burst_only() {
        let throttle = Throttle::new(Some(RATE));
        let later = Instant::now() + Duration::from_secs(60);
        assert!(throttle.reserve(later, 200_000, RATE) <= later);
        assert!(throttle.reserve(later, 200_000, RATE) > later);
    }

    #[tokio::test]
    async fn without_a_limit_nothing_waits() {
        Throttle::new(None).take(usize::MAX).await;
    }
}
