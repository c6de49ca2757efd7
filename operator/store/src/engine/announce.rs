//! Telling who follows changes that there are some. Those who follow one resource are not woken by others, of which
//! there may be thousands of changes a second.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// The revision of the last change, for all and for each resource that is followed.
#[derive(Debug)]
pub(super) struct Announcer {
    /// `None` once nothing will change any more.
    channels: Mutex<Option<Channels>>,
}

#[derive(Debug)]
struct Channels {
    all: watch::Sender<u64>,
    by_resource: HashMap<Arc<str>, watch::Sender<u64>>,
}

impl Announcer {
    pub(super) fn new(revision: u64) -> Self {
        let channels = Channels {
            all: watch::Sender::new(revision),
            by_resource: HashMap::new(),
        };
        Announcer {
            channels: Mutex::new(Some(channels)),
        }
    }

    /// Hears of changes of `resource`, or of all. It is closed when nothing will change any more.
    pub(super) fn subscribe(&self, resource: Option<&Arc<str>>) -> watch::Receiver<u64> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        match (channels.as_mut(), resource) {
            (None, _) => watch::Sender::new(0).subscribe(),
            (Some(channels), None) => channels.all.subscribe(),
            (Some(channels), Some(resource)) => channels
                .by_resource
                .entry(Arc::clone(resource))
                .or_insert_with(|| watch::Sender::new(0))
                .subscribe(),
        }
    }

    /// Says that `resources` have changed, the last of them at `revision`.
    pub(super) fn announce(&self, revision: u64, resources: &BTreeSet<Arc<str>>) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(channels) = channels.as_mut() else {
            return;
        };
        channels.all.send_replace(revision);
        for resource in resources {
            if let Some(channel) = channels.by_resource.get(resource) {
                channel.send_replace(revision);
            }
        }
    }

    /// Says that nothing will change any more.
    pub(super) fn close(&self) {
        *self.channels.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
