//! Events: a line in `kubectl describe` for every transition that a person would want to know of.

use homeport_crds::conditions::{READY, RECONCILING, STALLED};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::Managed;

/// The longest note that the events API takes, in bytes.
const NOTE_LIMIT: usize = 1024;

#[derive(Clone)]
pub(super) struct Events {
    recorder: Recorder,
}

impl Events {
    pub(super) fn new(client: Client) -> Self {
        Self {
            recorder: Recorder::new(client, Reporter::from("homeport")),
        }
    }

    /// Publishes what changed between two lists of conditions. That an event could not be published is logged, and
    /// stops nothing.
    pub(super) async fn publish_transitions<K: Managed>(
        &self,
        object: &K,
        old: &[Condition],
        new: &[Condition],
    ) {
        for event in transitions(old, new) {
            if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
                tracing::warn!(%error, reason = event.reason, "an event could not be published");
            }
        }
    }
}

/// An event for each condition whose status or reason is new. `Reconciling` and `Stalled` repeat what `Ready` says, and
/// make none; and where `Ready` in its turn repeats the reason of a stage, once is enough.
fn transitions(old: &[Condition], new: &[Condition]) -> Vec<Event> {
    let is_news = |condition: &&Condition| {
        !old.iter().any(|before| {
            before.type_ == condition.type_
                && before.status == condition.status
                && before.reason == condition.reason
        })
    };
    let stages = new
        .iter()
        .filter(|condition| ![READY, RECONCILING, STALLED].contains(&condition.type_.as_str()));
    let stages: Vec<&Condition> = stages.filter(is_news).collect();
    let ready = new
        .iter()
        .filter(|condition| condition.type_ == READY)
        .filter(is_news);
    let ready = ready.filter(|ready| !stages.iter().any(|stage| stage.reason == ready.reason));
    let mut news: Vec<&Condition> = stages.iter().copied().chain(ready).collect();
    news.dedup_by(|a, b| a.reason == b.reason && a.message == b.message);
    news.into_iter()
        .map(|condition| Event {
            type_: event_type(condition, new),
            reason: condition.reason.clone(),
            note: Some(truncate(&condition.message)),
            action: condition.type_.clone(),
            secondary: None,
        })
        .collect()
}

/// A condition that is False while work goes on is news, not a warning.
fn event_type(condition: &Condition, all: &[Condition]) -> EventType {
    let failing = all
        .iter()
        .any(|other| other.type_ == READY && other.status == "False");
    if condition.status == "False" && failing {
        EventType::Warning
    } else {
        EventType::Normal
    }
}

fn truncate(message: &str) -> String {
    if message.len() <= NOTE_LIMIT {
        return message.to_owned();
    }
    let mut end = NOTE_LIMIT - '…'.len_utf8();
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeport_crds::conditions::{self, DEPLOYED, Verdict};

    #[test]
    fn only_news_makes_events() {
        let mut old = Vec::new();
        conditions::set(&mut old, 1, DEPLOYED, false, "Deploying", "1/2");
        let mut new = old.clone();
        conditions::set(&mut new, 1, DEPLOYED, false, "Deploying", "2/2");
        assert_eq!(transitions(&old, &new).len(), 0);
        conditions::set(&mut new, 1, DEPLOYED, true, "Deployed", "2/2");
        let ready = |new: &mut Vec<Condition>, reason: &str| {
            let (reason, message) = (reason.to_owned(), "2/2".to_owned());
            conditions::summarize(new, 1, -1, &Verdict::Ready { reason, message });
        };
        let actions = |new: &[Condition]| -> Vec<String> {
            transitions(&old, new)
                .into_iter()
                .map(|event| event.action)
                .collect()
        };
        ready(&mut new, "Deployed");
        assert_eq!(actions(&new), [DEPLOYED], "Ready repeats the reason of Deployed");
        ready(&mut new, "Healthy");
        assert_eq!(actions(&new), [DEPLOYED, READY]);
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let note = truncate(&"ä".repeat(1000));
        assert!(note.len() <= NOTE_LIMIT && note.ends_with('…'));
    }
}
