//! When measurements after the switch undo it: a pure state machine over them.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use homeport_bundle::validation::{RollbackTrigger, TriggerKind};
use jiff::Timestamp;

use crate::check::Measurement;

/// The window of a trigger that names none.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);
/// How many measurements a share or a mean needs before it says anything.
const FEWEST: usize = 3;
/// How many measurements are remembered at most.
const MOST: usize = 4096;

/// A condition that undoes the switch.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// The check that is looked at; all of them if none is named.
    pub check: Option<String>,
    /// What must come about.
    pub condition: Condition,
}

/// What makes a trigger fire.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// So many failures in a row, of any one check.
    ConsecutiveFailures(u32),
    /// More than this share of failures (0 to 1) in the window.
    ErrorRate {
        /// The share.
        above: f64,
        /// The time that is looked at.
        window: Duration,
    },
    /// A longer mean time to answer than this in the window.
    Latency {
        /// The time.
        above: Duration,
        /// The time that is looked at.
        window: Duration,
    },
}

impl Trigger {
    /// A trigger of a bundle.
    pub fn from_bundle(trigger: &RollbackTrigger) -> Self {
        let window = trigger.window.map_or(DEFAULT_WINDOW, |window| window.get());
        let threshold = if trigger.threshold.is_finite() {
            trigger.threshold.max(0.0)
        } else {
            f64::from(u32::MAX)
        };
        let condition = match trigger.kind {
            TriggerKind::ConsecutiveFailures => Condition::ConsecutiveFailures((threshold as u32).max(1)),
            TriggerKind::ErrorRate => Condition::ErrorRate {
                above: threshold,
                window,
            },
            TriggerKind::Latency => {
                let above = Duration::try_from_secs_f64(threshold).unwrap_or(Duration::MAX);
                Condition::Latency { above, window }
            }
        };
        Self {
            name: trigger.name.clone(),
            check: trigger.check.clone(),
            condition,
        }
    }
}

/// A trigger that has fired, and what it saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// The trigger's name.
    pub trigger: String,
    /// What came about.
    pub message: String,
}

impl fmt::Display for Fired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.trigger, self.message)
    }
}

/// The measurements since the switch, as far as triggers look back.
#[derive(Debug, Clone, Default)]
pub struct TriggerState {
    recent: VecDeque<Measurement>,
}

impl TriggerState {
    /// Takes a measurement, and says which trigger it sets off, the first in their order.
    pub fn observe(&mut self, measurement: Measurement, triggers: &[Trigger]) -> Option<Fired> {
        let now = measurement.at;
        self.recent.push_back(measurement);
        if self.recent.len() > MOST {
            self.recent.pop_front();
        }
        triggers.iter().find_map(|trigger| {
            let message = self.fires(trigger, now)?;
            Some(Fired {
                trigger: trigger.name.clone(),
                message,
            })
        })
    }

    fn fires(&self, trigger: &Trigger, now: Timestamp) -> Option<String> {
        let seen = || {
            let wanted = trigger.check.as_deref();
            self.recent
                .iter()
                .filter(move |m| wanted.is_none_or(|check| m.check == check))
        };
        let within = |window: Duration| {
            seen().filter(move |m| {
                let age = now.duration_since(m.at);
                age.is_negative() || age.unsigned_abs() <= window
            })
        };
        match &trigger.condition {
            Condition::ConsecutiveFailures(limit) => {
                let last = seen().next_back()?;
                let failures = seen()
                    .rev()
                    .filter(|m| m.check == last.check)
                    .take_while(|m| !m.passed())
                    .count();
                (failures >= *limit as usize).then(|| {
                    format!(
                        "{} failed {failures} times in a row: {}",
                        last.check, last.message
                    )
                })
            }
            Condition::ErrorRate { above, window } => {
                let total = within(*window).count();
                let failed = within(*window).filter(|m| !m.passed()).count();
                let share = failed as f64 / total as f64;
                (total >= FEWEST && share > *above).then(|| {
                    format!(
                        "{failed} of {total} checks failed in {} s, more than {:.0} %",
                        window.as_secs(),
                        above * 100.0
                    )
                })
            }
            Condition::Latency { above, window } => {
                let total = within(*window).count();
                let mean = within(*window).map(|m| m.latency_ms).sum::<u64>() / total.max(1) as u64;
                (total >= FEWEST && u128::from(mean) > above.as_millis()).then(|| {
                    format!(
                        "checks took {mean} ms on average in {} s, more than {} ms",
                        window.as_secs(),
                        above.as_millis()
                    )
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::check::Verdict;
    use proptest::prelude::*;
    use rstest::rstest;

    fn measurement(check: &str, second: i64, latency_ms: u64, passed: bool) -> Measurement {
        Measurement {
            check: check.to_owned(),
            at: Timestamp::from_second(second).unwrap(),
            latency_ms,
            verdict: if passed { Verdict::Pass } else { Verdict::Fail },
            observed: String::new(),
            message: "as it is".to_owned(),
        }
    }

    /// `+` passes, `-` fails, `s` passes slowly; one a second. Where the trigger fires first.
    fn first_fired(condition: Condition, series: &str) -> Option<usize> {
        let triggers = [Trigger {
            name: "t".to_owned(),
            check: None,
            condition,
        }];
        let mut state = TriggerState::default();
        series.chars().enumerate().find_map(|(second, c)| {
            let latency = if c == 's' { 900 } else { 100 };
            state
                .observe(measurement("page", second as i64, latency, c != '-'), &triggers)
                .map(|_| second)
        })
    }

    #[rstest]
    #[case("+++++", None)]
    #[case("--+--+", None)]
    #[case("---", Some(2))]
    #[case("+-+---", Some(5))]
    fn failures_in_a_row(#[case] series: &str, #[case] fires: Option<usize>) {
        assert_eq!(first_fired(Condition::ConsecutiveFailures(3), series), fires);
    }

    #[rstest]
    #[case::too_few_to_tell("--", None)]
    #[case("---", Some(2))]
    #[case("+-+-", None)]
    #[case("+--", Some(2))]
    #[case::old_failures_are_forgotten("++--++++++++++++-+-", None)]
    fn share_of_failures(#[case] series: &str, #[case] fires: Option<usize>) {
        let condition = Condition::ErrorRate {
            above: 0.5,
            window: Duration::from_secs(5),
        };
        assert_eq!(first_fired(condition, series), fires);
    }

    #[rstest]
    #[case("+++++", None)]
    #[case("+s+s+", None)]
    #[case("++ssss", Some(4))]
    fn mean_latency(#[case] series: &str, #[case] fires: Option<usize>) {
        let condition = Condition::Latency {
            above: Duration::from_millis(600),
            window: Duration::from_secs(3),
        };
        assert_eq!(first_fired(condition, series), fires);
    }

    #[test]
    fn failures_of_different_checks_are_not_in_a_row() {
        let triggers = [Trigger {
            name: "t".to_owned(),
            check: None,
            condition: Condition::ConsecutiveFailures(2),
        }];
        let mut state = TriggerState::default();
        assert_eq!(state.observe(measurement("a", 1, 1, false), &triggers), None);
        assert_eq!(state.observe(measurement("b", 2, 1, false), &triggers), None);
        assert!(state.observe(measurement("a", 3, 1, false), &triggers).is_some());
    }

    #[test]
    fn a_trigger_may_look_at_one_check_only() {
        let condition = Condition::ConsecutiveFailures(1);
        let triggers = [Trigger {
            name: "t".to_owned(),
            check: Some("a".to_owned()),
            condition,
        }];
        let mut state = TriggerState::default();
        assert_eq!(state.observe(measurement("b", 1, 1, false), &triggers), None);
        assert!(state.observe(measurement("a", 2, 1, false), &triggers).is_some());
    }

    proptest! {
        #[test]
        fn what_passes_never_fires(seconds in proptest::collection::vec(0..10_000_i64, 0..200), limit in 1..5_u32, share in 0.0..1.0) {
            let window = Duration::from_secs(30);
            let triggers = [
                Trigger { name: "a".to_owned(), check: None, condition: Condition::ConsecutiveFailures(limit) },
                Trigger { name: "b".to_owned(), check: None, condition: Condition::ErrorRate { above: share, window } },
            ];
            let mut state = TriggerState::default();
            for second in seconds {
                prop_assert_eq!(state.observe(measurement("a", second, 1, true), &triggers), None);
            }
        }

        #[test]
        fn memory_is_bounded(count in 0..10_000_usize) {
            let mut state = TriggerState::default();
            for second in 0..count {
                state.observe(measurement("a", second as i64, 1, true), &[]);
            }
            prop_assert!(state.recent.len() <= MOST);
        }
    }
}
