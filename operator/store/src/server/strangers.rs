//! Connections that have not yet shown the token. They are few, and the oldest makes room for the newest: who means
//! well introduces himself in milliseconds, and whoever opens connections to fill the places only pushes out his own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Those that there are, by age.
#[derive(Clone, Debug)]
pub(super) struct Strangers {
    /// How many there may be.
    most: usize,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, CancellationToken>,
}

impl Strangers {
    /// For at most as many at a time.
    pub(super) fn new(most: usize) -> Self {
        Strangers {
            most,
            waiting: Arc::default(),
        }
    }

    /// Lets one more in; whether another had to go for it.
    pub(super) fn admit(&self) -> (Stranger, bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let age = waiting.next;
        waiting.next += 1;
        let evicted = CancellationToken::new();
        waiting.by_age.insert(age, evicted.clone());
        let crowded = waiting.by_age.len() > self.most;
        if crowded && let Some((_, oldest)) = waiting.by_age.pop_first() {
            oldest.cancel();
        }
        let stranger = Stranger {
            age,
            evicted,
            introduced: CancellationToken::new(),
            strangers: self.clone(),
        };
        (stranger, crowded)
    }

    fn remove(&self, age: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.by_age.remove(&age);
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Stranger {
    age: u64,
    evicted: CancellationToken,
    introduced: CancellationToken,
    strangers: Strangers,
}

impl Stranger {
    /// It has shown the token and is no stranger any more.
    pub(super) fn introduce(&self) {
        if !self.introduced.is_cancelled() {
            self.strangers.remove(self.age);
            self.introduced.cancel();
        }
    }

    /// Waits until it must go to make room.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// Waits until it has shown the token.
    pub(super) async fn introduced(&self) {
        self.introduced.cancelled().await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.remove(self.age);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_and_who_is_introduced_stays() {
        let strangers = Strangers::new(3);
        let (known, _) = strangers.admit();
        known.introduce();
        let crowd: Vec<Stranger> = (0..3).map(|_| strangers.admit().0).collect();
        assert!(crowd.iter().all(|stranger| !stranger.evicted.is_cancelled()));
        let (newest, crowded) = strangers.admit();
        assert!(crowded && crowd[0].evicted.is_cancelled());
        assert!(!crowd[1].evicted.is_cancelled() && !newest.evicted.is_cancelled());
        assert!(!known.evicted.is_cancelled());
        drop(crowd);
        assert!(!strangers.admit().1, "who has left has made room");
    }
}
