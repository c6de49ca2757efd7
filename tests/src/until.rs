//! Waiting for a condition instead of sleeping.

use std::thread;
use std::time::{Duration, Instant};

/// The time that anything here may take before it counts as stuck. Not a measurement: nothing passes for being fast.
const STUCK: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(50);

/// Asks again and again until there is an answer, and returns it.
///
/// # Panics
/// If there is none for so long that there will be none: `what` and the text of `explain` say what was waited for.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>, explain: impl FnOnce() -> String) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            begin.elapsed() < STUCK,
            "still waiting for: {what}\n{}",
            explain()
        );
        thread::sleep(PAUSE);
    }
}
