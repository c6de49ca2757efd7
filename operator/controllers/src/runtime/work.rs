//! Long work: tasks that outlive a reconcile.
//!
//! A reconcile asks for a piece of work by key and input. The first time that starts it, later times say how far it
//! is; another input stops it and starts anew. When it ends, its object is reconciled at once.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures::Stream;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Managed;
use super::driver::reference;

/// Names a piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkKey {
    /// The namespace of the object that it is done for.
    pub namespace: String,
    /// The name of that object.
    pub name: String,
    /// The uid of that object.
    pub uid: String,
    /// Which of the object's works it is, such as `deploy` or a task's name.
    pub part: String,
}

impl WorkKey {
    /// The key of a part of an object's work.
    pub fn new<K: Managed>(object: &K, part: &str) -> Self {
        Self {
            namespace: object.meta().namespace.clone().unwrap_or_default(),
            name: object.meta().name.clone().unwrap_or_default(),
            uid: object.meta().uid.clone().unwrap_or_default(),
            part: part.to_owned(),
        }
    }
}

/// How far a piece of work is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkState<P, T> {
    /// It goes on, and said this last.
    Running(P),
    /// It ended with this.
    Ended(T),
    /// It ended without a result, since it panicked or the process shuts down.
    Lost,
}

/// The works of one controller. `P` is what they say while they run, `T` what they end with.
pub struct Works<P, T> {
    entries: Mutex<HashMap<WorkKey, Entry<P, T>>>,
    ended: mpsc::UnboundedSender<WorkKey>,
    wakes: Mutex<Option<mpsc::UnboundedReceiver<WorkKey>>>,
}

struct Entry<P, T> {
    input: String,
    cancel: CancellationToken,
    progress: watch::Receiver<P>,
    result: watch::Receiver<Option<T>>,
    task: JoinHandle<()>,
}

impl<P, T> Default for Works<P, T> {
    fn default() -> Self {
        let (ended, wakes) = mpsc::unbounded_channel();
        Self {
            entries: Mutex::default(),
            ended,
            wakes: Mutex::new(Some(wakes)),
        }
    }
}

impl<P, T> Works<P, T>
where
    P: Clone + Debug + Default + Send + Sync + 'static,
    T: Clone + Debug + Send + Sync + 'static,
{
    /// The works of a controller, none yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// How far the work of this key and input is. Starts it where there is none.
    ///
    /// `input` tells whether it is the same work still: where it differs, what runs is cancelled first, and the work
    /// starts once that has ended.
    pub async fn ensure<F>(
        &self,
        key: &WorkKey,
        input: &str,
        start: impl FnOnce(CancellationToken, watch::Sender<P>) -> F + Send,
    ) -> WorkState<P, T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        if self.input(key).is_some_and(|running| running != input) {
            self.cancel(key).await;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries
            .entry(key.clone())
            .or_insert_with(|| self.spawn(key, input, start));
        entry.state()
    }

    /// How far the work of a key is, whatever its input; None where there is none.
    pub fn state(&self, key: &WorkKey) -> Option<WorkState<P, T>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).map(Entry::state)
    }

    /// The keys of the works that there are for an object, whatever their state.
    pub fn keys_of<K: Managed>(&self, object: &K) -> Vec<WorkKey> {
        let WorkKey { uid, .. } = WorkKey::new(object, "");
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.keys().filter(|key| key.uid == uid).cloned().collect()
    }

    /// Stops the work of a key and waits for its end. Nothing where there is none.
    pub async fn cancel(&self, key: &WorkKey) {
        let removed = self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
        if let Some(entry) = removed {
            entry.cancel.cancel();
            // An end by panic is an end too; it is logged by the runtime's hook.
            let _ = entry.task.await;
        }
    }

    /// Forgets work that has ended, so that it can be done again. What runs is kept.
    pub fn forget_ended(&self, key: &WorkKey) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries
            .get(key)
            .is_some_and(|entry| !matches!(entry.state(), WorkState::Running(_)))
        {
            entries.remove(key);
        }
    }

    /// The objects whose work has ended, to be reconciled. There is one stream; later calls get an empty one.
    pub fn wakes<K: Managed>(&self) -> impl Stream<Item = ObjectRef<DeserializeGuard<K>>> + Send + 'static {
        let receiver = self.wakes.lock().unwrap_or_else(PoisonError::into_inner).take();
        futures::stream::unfold(receiver, |receiver| async move {
            let mut receiver = receiver?;
            let key = receiver.recv().await?;
            Some((reference(Some(key.namespace), &key.name), Some(receiver)))
        })
    }

    /// Whether there is work of this key and input, at its end or not.
    pub fn runs_with(&self, key: &WorkKey, input: &str) -> bool {
        self.input(key).is_some_and(|running| running == input)
    }

    fn input(&self, key: &WorkKey) -> Option<String> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).map(|entry| entry.input.clone())
    }

    fn spawn<F>(
        &self,
        key: &WorkKey,
        input: &str,
        start: impl FnOnce(CancellationToken, watch::Sender<P>) -> F,
    ) -> Entry<P, T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let cancel = CancellationToken::new();
        let (progress_sender, progress) = watch::channel(P::default());
        let (result_sender, result) = watch::channel(None);
        let work = start(cancel.clone(), progress_sender);
        let (ended, key) = (self.ended.clone(), key.clone());
        let task = tokio::spawn(async move {
            let outcome = work.await;
            // Both receivers live in the entry; where it was cancelled and dropped, nobody is left to be told.
            result_sender.send_replace(Some(outcome));
            let _ = ended.send(key);
        });
        Entry {
            input: input.to_owned(),
            cancel,
            progress,
            result,
            task,
        }
    }
}

impl<P: Clone, T: Clone> Entry<P, T> {
    fn state(&self) -> WorkState<P, T> {
        // The task's end is read before its result: a task that ends in between has stored its result by then.
        let finished = self.task.is_finished();
        match (self.result.borrow().clone(), finished) {
            (Some(outcome), _) => WorkState::Ended(outcome),
            (None, true) => WorkState::Lost,
            (None, false) => WorkState::Running(self.progress.borrow().clone()),
        }
    }
}

impl<P, T> Drop for Works<P, T> {
    fn drop(&mut self) {
        for entry in self
            .entries
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
        {
            entry.cancel.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use futures::StreamExt;
    use homeport_crds::DataSync;

    fn key() -> WorkKey {
        WorkKey {
            namespace: "a".into(),
            name: "b".into(),
            uid: "c".into(),
            part: "d".into(),
        }
    }

    #[tokio::test]
    async fn work_runs_once_and_wakes_its_object_at_the_end() {
        let works = Works::<u32, &str>::new();
        let mut wakes = std::pin::pin!(works.wakes::<DataSync>());
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let state = works
            .ensure(&key(), "1", |_, progress| async move {
                progress.send_replace(50);
                let _ = gone.await;
                "done"
            })
            .await;
        assert!(matches!(state, WorkState::Running(_)));
        let again = works
            .ensure(&key(), "1", |_, _| async { panic!("started twice") })
            .await;
        assert!(matches!(again, WorkState::Running(_)));
        go.send(()).unwrap();
        assert_eq!(wakes.next().await.unwrap().name, "b");
        assert_eq!(works.state(&key()), Some(WorkState::Ended("done")));
    }

    #[tokio::test]
    async fn another_input_stops_what_runs_before_it_starts() {
        let works = Works::<u32, bool>::new();
        let (stopped, was_stopped) = tokio::sync::oneshot::channel::<()>();
        works
            .ensure(&key(), "1", |cancel, _| async move {
                cancel.cancelled().await;
                stopped.send(()).is_ok()
            })
            .await;
        works.ensure(&key(), "2", |_, _| async { true }).await;
        was_stopped.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_loses_the_work_and_nothing_else() {
        let works = Works::<u32, bool>::new();
        works
            .ensure(&key(), "1", |_, _| async { panic!("on purpose") })
            .await;
        while matches!(works.state(&key()), Some(WorkState::Running(_))) {
            tokio::task::yield_now().await;
        }
        assert_eq!(works.state(&key()), Some(WorkState::Lost));
        works.forget_ended(&key());
        assert_eq!(works.state(&key()), None);
    }
}
