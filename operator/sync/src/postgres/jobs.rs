//! A queue of jobs that several workers share, the heaviest first: what takes longest should not begin last.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Jobs, some of which lead to others while they run.
#[derive(Debug)]
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<J> {
    waiting: BinaryHeap<Waiting<J>>,
    running: usize,
    pushed: u64,
}

#[derive(Debug)]
struct Waiting<J> {
    weight: u64,
    /// The earlier of two equally heavy jobs goes first.
    number: u64,
    job: J,
}

impl<J> Queue<J> {
    pub(super) fn new() -> Self {
        Queue {
            state: Mutex::new(State {
                waiting: BinaryHeap::new(),
                running: 0,
                pushed: 0,
            }),
            changed: Notify::new(),
        }
    }

    pub(super) fn push(&self, weight: u64, job: J) {
        let mut state = self.lock();
        state.pushed += 1;
        let number = state.pushed;
        state.waiting.push(Waiting { weight, number, job });
        drop(state);
        self.changed.notify_waiters();
    }

    /// The heaviest job, once there is one; none when all are done and none runs that could push more. Whoever
    /// takes a job calls [`Queue::done`] after having pushed what it leads to.
    pub(super) async fn take(&self) -> Option<J> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                if let Some(next) = state.waiting.pop() {
                    state.running += 1;
                    return Some(next.job);
                }
                if state.running == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }

    pub(super) fn done(&self) {
        self.lock().running -= 1;
        self.changed.notify_waiters();
    }

    /// How many of so many workers have nothing to do and nothing waiting for them.
    pub(super) fn idle(&self, workers: usize) -> usize {
        let state = self.lock();
        workers.saturating_sub(state.running + state.waiting.len())
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> Ord for Waiting<J> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.weight
            .cmp(&other.weight)
            .then(other.number.cmp(&self.number))
    }
}

impl<J> PartialOrd for Waiting<J> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<J> PartialEq for Waiting<J> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<J> Eq for Waiting<J> {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn heaviest_first_then_in_order() {
        let queue = Queue::new();
        for (weight, job) in [(1, "light"), (5, "heavy"), (5, "heavy too"), (3, "middle")] {
            queue.push(weight, job);
        }
        let mut order = Vec::new();
        while let Some(job) = queue.take().await {
            order.push(job);
            queue.done();
        }
        assert_eq!(order, ["heavy", "heavy too", "middle", "light"]);
    }

    #[tokio::test]
    async fn workers_are_idle_beyond_what_runs_and_waits() {
        let queue = Queue::new();
        assert_eq!(queue.idle(3), 3);
        queue.push(1, ());
        queue.push(1, ());
        queue.take().await.unwrap();
        assert_eq!(queue.idle(3), 1);
        assert_eq!(queue.idle(1), 0);
        queue.done();
        assert_eq!(queue.idle(3), 2);
    }

    #[tokio::test]
    async fn workers_wait_for_what_running_jobs_lead_to() {
        let queue = Arc::new(Queue::new());
        queue.push(1, 3u32);
        let workers = (0..4).map(|_| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                let mut done = 0;
                while let Some(job) = queue.take().await {
                    tokio::task::yield_now().await;
                    (0..job).for_each(|_| queue.push(1, job - 1));
                    queue.done();
                    done += 1;
                }
                done
            })
        });
        let done: u32 = futures::future::join_all(workers)
            .await
            .into_iter()
            .map(Result::unwrap)
            .sum();
        assert_eq!(done, 1 + 3 + 3 * 2 + 3 * 2);
    }
}
