//! One deployment of a bundle at a time.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::layout::Layout;
use crate::record::read_json;

/// Locks that this process holds. One of this process that is not among them was left by a task that was dropped.
static HELD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The lock of a bundle, held.
#[derive(Debug)]
pub(crate) struct Lock {
    token: String,
}

/// What the file of a lock says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Holder {
    token: String,
    owner: String,
    reason: String,
    since: Timestamp,
    process: Process,
}

/// A process, told apart from every other that ever had its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    machine: String,
    boot: String,
    pid: u32,
    /// In clock ticks since the boot.
    started: Option<u64>,
}

impl Lock {
    /// Takes the lock, also from who held it and is dead.
    pub(crate) async fn acquire(host: &dyn Host, layout: &Layout, owner: &str, reason: &str) -> Result<Self> {
        let path = layout.lock();
        let lock = Self::new();
        let own = Holder {
            token: lock.token.clone(),
            owner: owner.to_owned(),
            reason: reason.to_owned(),
            since: Timestamp::now(),
            process: Process::own(),
        };
        let content = serde_json::to_vec(&own).map_err(|error| Error::DamagedFile {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        loop {
            if host.create(&path, &content).await? {
                return Ok(lock);
            }
            let Some(holder) = read_json::<Holder>(host, &path).await? else {
                continue;
            };
            if holder.is_alive() {
                return Err(Error::Locked {
                    bundle: layout.bundle_name(),
                    owner: holder.owner,
                    reason: holder.reason,
                    since: holder.since.to_string(),
                    path,
                });
            }
            tracing::info!(
                bundle = layout.bundle_name(),
                owner = holder.owner,
                "takes over the lock of a dead owner"
            );
            take_away(host, layout, &holder).await?;
        }
    }

    fn new() -> Self {
        let token = Uuid::new_v4().to_string();
        held().insert(token.clone());
        Self { token }
    }

    /// Gives the lock back.
    pub(crate) async fn release(self, host: &dyn Host, layout: &Layout) -> Result<()> {
        host.remove(&layout.lock()).await
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        held().remove(&self.token);
    }
}

fn held() -> std::sync::MutexGuard<'static, BTreeSet<String>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the lock of a dead owner. Of two who try, only one removes it; and neither removes the other's new lock.
async fn take_away(host: &dyn Host, layout: &Layout, dead: &Holder) -> Result<()> {
    let aside = layout.lock().with_extension(format!("dead-{}", Uuid::new_v4()));
    if !host.rename(&layout.lock(), &aside).await? {
        return Ok(());
    }
    let moved = read_json::<Holder>(host, &aside).await?;
    if moved.as_ref().is_some_and(|moved| moved.token != dead.token)
        && let Some(content) = host.read(&aside).await?
    {
        host.create(&layout.lock(), &content).await?;
    }
    host.remove(&aside).await
}

impl Holder {
    fn is_alive(&self) -> bool {
        let own = Process::own();
        if self.process == own {
            return held().contains(&self.token);
        }
        // Of another machine nothing is known: its owner must say.
        self.process.machine != own.machine || self.process.is_alive(&own.boot)
    }
}

impl Process {
    fn own() -> Self {
        let pid = std::process::id();
        Self {
            machine: read_trimmed("/etc/machine-id"),
            boot: read_trimmed("/proc/sys/kernel/random/boot_id"),
            pid,
            started: start_time(pid),
        }
    }

    fn is_alive(&self, boot: &str) -> bool {
        self.boot == boot && start_time(self.pid).is_some_and(|started| Some(started) == self.started)
    }
}

fn read_trimmed(path: &str) -> String {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// When a process was started, in clock ticks since the boot: proc(5), field 22 of `/proc/<pid>/stat`.
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then(|| fields.nth(18)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::host::LocalHost;

    fn place() -> (tempfile::TempDir, LocalHost, Layout) {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path(), "default", "shop").unwrap();
        (directory, LocalHost::new(None), layout)
    }

    async fn leave_lock(host: &LocalHost, layout: &Layout, process: Process) {
        let holder = Holder {
            token: Uuid::new_v4().to_string(),
            owner: "somebody".to_owned(),
            reason: "deploy revision 1".to_owned(),
            since: Timestamp::now(),
            process,
        };
        host.write(&layout.lock(), &serde_json::to_vec(&holder).unwrap())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn two_cannot_hold_it() {
        let (_directory, host, layout) = place();
        let lock = Lock::acquire(&host, &layout, "first", "deploy revision 1")
            .await
            .unwrap();
        let error = Lock::acquire(&host, &layout, "second", "deploy")
            .await
            .unwrap_err();
        assert!(error.is_transient());
        let message = error.to_string();
        assert!(
            message.contains("first") && message.contains("deploy revision 1"),
            "{message}"
        );
        lock.release(&host, &layout).await.unwrap();
        Lock::acquire(&host, &layout, "second", "deploy").await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_task_holds_it_no_longer() {
        let (_directory, host, layout) = place();
        drop(Lock::acquire(&host, &layout, "first", "deploy").await.unwrap());
        Lock::acquire(&host, &layout, "second", "deploy").await.unwrap();
    }

    #[tokio::test]
    async fn a_dead_process_holds_it_no_longer() {
        let (_directory, host, layout) = place();
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process {
            pid: child.id(),
            started: start_time(child.id()),
            ..Process::own()
        };
        leave_lock(&host, &layout, process).await;
        let error = Lock::acquire(&host, &layout, "second", "deploy")
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Locked { .. }));

        child.kill().unwrap();
        child.wait().unwrap();
        Lock::acquire(&host, &layout, "second", "deploy").await.unwrap();
    }

    #[tokio::test]
    async fn neither_does_a_process_from_before_the_boot_or_whose_number_another_has() {
        let (_directory, host, layout) = place();
        let another_boot = Process {
            boot: "another".to_owned(),
            ..Process::own()
        };
        let another_start = Process {
            started: Some(1),
            ..Process::own()
        };
        for process in [another_boot, another_start] {
            leave_lock(&host, &layout, process).await;
            let lock = Lock::acquire(&host, &layout, "second", "deploy").await.unwrap();
            lock.release(&host, &layout).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_process_of_another_machine_keeps_it() {
        let (_directory, host, layout) = place();
        let elsewhere = Process {
            machine: "elsewhere".to_owned(),
            ..Process::own()
        };
        leave_lock(&host, &layout, elsewhere).await;
        let error = Lock::acquire(&host, &layout, "second", "deploy")
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Locked { .. }));
    }
}
