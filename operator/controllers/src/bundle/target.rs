//! The target of a bundle: what runs there, what would change, and the deployment as long work.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homeport_bundle::{Bundle, Manifest};
use homeport_crds::HprtBundle;
use homeport_crds::bundle::DeploySpec;
use homeport_deploy::{
    Deployment, Engine, Error, Event, Host, Layout, LocalHost, Options, Release, Removal, Retry, Snapshot,
    StackChange, StackState, deploy, observe, plan, remove,
};
use jiff::Timestamp;
use kube::ResourceExt;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fetch::{Fetched, tree_of};
use super::{asked_at, checksum};
use crate::runtime::{Context, Failure};

/// What shall run: the bundle, and the values of its secrets.
pub(super) struct Wanted {
    pub(super) fetched: Fetched,
    pub(super) secrets: BTreeMap<String, SecretString>,
}

/// A release on the target.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) release: Release,
    /// Whether it was the last one deployed to its end.
    pub(super) is_current: bool,
    /// Whether it was put there by this very pass.
    is_new: bool,
}

/// How far a deployment is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    pub(super) states: BTreeMap<String, StackState>,
    doing: String,
}

impl Progress {
    /// What is done now, for people.
    pub(super) fn message(&self) -> &str {
        if self.doing.is_empty() {
            "preparing the deployment"
        } else {
            &self.doing
        }
    }

    fn take(&mut self, event: Event) {
        self.doing = match event {
            Event::SnapshotTaken {
                revision: Some(revision),
            } => format!("recorded revision {revision}, which runs"),
            Event::SnapshotTaken { revision: None } => "recorded that nothing of the bundle runs".to_owned(),
            Event::HookStarted { hook } => format!("running {hook}"),
            Event::HookFinished { hook, .. } => format!("{hook} succeeded"),
            Event::StackStarted { stack, .. } => format!("bringing up stack {stack}"),
            Event::StackWaiting { state } => {
                let message = format!("stack {}: {} services healthy", state.name, state.summary());
                self.states.insert(state.name.clone(), state);
                message
            }
            Event::StackFinished {
                stack,
                unchanged: true,
            } => format!("stack {stack} is as it was"),
            Event::StackFinished {
                stack,
                unchanged: false,
            } => format!("stack {stack} is up"),
            Event::StackRemoved { stack } => format!("stack {stack} is removed"),
        };
    }
}

/// How a deployment ended.
#[derive(Clone, Debug)]
pub(super) struct DeployResult {
    pub(super) revision: i64,
    pub(super) started: Timestamp,
    /// Whether anything was changed.
    pub(super) changed: bool,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) outcome: Result<Vec<StackState>, Failure>,
}

/// The target of one bundle.
pub(super) struct Target {
    host: Arc<dyn Host>,
    layout: Layout,
    options: Options,
    revision: Option<i64>,
    state_dir: PathBuf,
}

impl Target {
    /// The target that a bundle's spec names.
    pub(super) fn of(context: &Context, object: &HprtBundle) -> Result<Self, Failure> {
        let Some(local) = &object.spec.target.local else {
            return Err(Failure::terminal(
                "TargetNotSupported",
                "spec.target: this version of homeport deploys to local only; use `local: {}`",
            ));
        };
        let root = context.settings.state_dir.join("releases");
        let layout = Layout::new(root, object.namespace().unwrap_or_default(), object.name_any());
        Ok(Self {
            host: Arc::new(LocalHost::new(local.docker_host.as_deref())),
            layout: layout.map_err(|error| failure(&error))?,
            options: options(object),
            revision: object.spec.revision,
            state_dir: context.settings.state_dir.clone(),
        })
    }

    /// Whether the container engine answers, and is what the bundle needs.
    pub(super) async fn reach(&self, manifest: &Manifest) -> Result<(), Failure> {
        let engine = Engine::of(&*self.host).await.map_err(|error| failure(&error))?;
        engine
            .check(&*self.host, manifest)
            .map_err(|error| failure(&error))
    }

    /// A revision that is kept on the target, as if it had been fetched.
    pub(super) async fn kept(&self, revision: i64) -> Result<Fetched, Failure> {
        let release = Release::kept(&*self.host, &self.layout, revision)
            .await
            .map_err(|error| failure(&error))?;
        // Others read files of the bundle from where it was unpacked to, which may have been tidied up since.
        let tree = tree_of(&self.state_dir, &release.digest().to_hex());
        copy_where_missing(&release.directory(), &tree).await?;
        let bundle = Bundle::load(&tree)
            .map_err(|error| Failure::terminal("ReleaseDamaged", format!("revision {revision}: {error}")))?;
        let (files, size) = super::fetch::count(&tree).map_err(|error| unwritable(&tree, &error))?;
        Ok(Fetched {
            digest: release.digest().to_hex(),
            tree,
            bundle,
            files,
            size,
        })
    }

    /// The release of what is wanted, put on the target where it is not there yet.
    pub(super) async fn release(&self, wanted: &Wanted) -> Result<Placed, Failure> {
        let deployment = Deployment::load(&*self.host, &self.layout)
            .await
            .map_err(|error| failure(&error))?;
        let digest = checksum(&wanted.fetched.digest)?;
        let revision = self.revision.unwrap_or_else(|| deployment.revision_for(digest));
        let directory = self.layout.release_directory(revision, digest);
        let is_new = copy_where_missing(&wanted.fetched.tree, &directory).await?;
        let release = Release::open(&*self.host, &self.layout, revision, digest).await;
        Ok(Placed {
            release: release.map_err(|error| failure(&error))?,
            is_current: deployment.current == Some(revision) && deployment.under_way.is_none(),
            is_new,
        })
    }

    /// Removes a release that was put there to be looked at only.
    pub(super) async fn take_back(&self, placed: &Placed) -> Result<(), Failure> {
        if placed.is_new {
            let directory = placed.release.directory();
            self.host
                .remove(&directory)
                .await
                .map_err(|error| failure(&error))?;
        }
        Ok(())
    }

    /// What would be done.
    pub(super) async fn plan(
        &self,
        placed: &Placed,
        secrets: &BTreeMap<String, SecretString>,
    ) -> Result<Vec<StackChange>, Failure> {
        plan(&*self.host, &placed.release, &self.options, secrets)
            .await
            .map_err(|error| failure(&error))
    }

    /// What runs.
    pub(super) async fn observe(&self, placed: &Placed) -> Result<Vec<StackState>, Failure> {
        let states = observe(&*self.host, &placed.release)
            .await
            .map_err(|error| failure(&error))?;
        Ok(selected(states, &self.options))
    }

    /// The deployment, to be run as long work. It may be dropped at any instant, and done again.
    pub(super) fn deploy(
        &self,
        placed: Placed,
        secrets: BTreeMap<String, SecretString>,
    ) -> impl FnOnce(
        CancellationToken,
        watch::Sender<Progress>,
    ) -> std::pin::Pin<Box<dyn Future<Output = DeployResult> + Send>>
    + Send
    + use<> {
        let (host, options) = (Arc::clone(&self.host), self.options.clone());
        move |cancel, progress| {
            Box::pin(async move {
                let started = Timestamp::now();
                let revision = placed.release.revision();
                let observer = |event| progress.send_modify(|progress| progress.take(event));
                let run = deploy(&*host, &placed.release, &options, &secrets, &observer);
                let ended = |changed, snapshot, outcome| DeployResult {
                    revision,
                    started,
                    changed,
                    snapshot,
                    outcome,
                };
                match cancel.run_until_cancelled(run).await {
                    Some(Ok(report)) => ended(
                        report.changed,
                        report.snapshot,
                        Ok(selected(report.states, &options)),
                    ),
                    Some(Err(error)) => {
                        let touched_nothing =
                            matches!(error, Error::Locked { .. } | Error::TargetUnreachable { .. });
                        ended(!touched_nothing, None, Err(failure(&error)))
                    }
                    None => {
                        let message = "the deployment was interrupted; it is taken up again";
                        ended(false, None, Err(Failure::transient("DeployInterrupted", message)))
                    }
                }
            })
        }
    }

    /// Ends the deployment: all runs on, or all is removed, volumes too.
    pub(super) async fn remove(&self, removal: Removal) -> Result<(), Failure> {
        let removed = remove(&*self.host, &self.layout, removal, &self.options.actor).await;
        removed.map_err(|error| failure(&error))
    }
}

/// The states of the stacks that are deployed.
fn selected(mut states: Vec<StackState>, options: &Options) -> Vec<StackState> {
    states.retain(|state| options.stacks.is_empty() || options.stacks.contains(&state.name));
    states
}

/// Copies a verified tree to where it is not yet; whether it did. It is there whole or not at all.
async fn copy_where_missing(tree: &Path, directory: &Path) -> Result<bool, Failure> {
    let (tree, directory) = (tree.to_owned(), directory.to_owned());
    let copied = tokio::task::spawn_blocking(move || {
        if directory.exists() {
            return Ok(false);
        }
        let partial = directory.with_extension("partial");
        copy_whole(&tree, &partial, &directory).map_err(|error| unwritable(&directory, &error))?;
        Ok(true)
    });
    copied
        .await
        .unwrap_or_else(|error| Err(Failure::transient("Interrupted", error.to_string())))
}

fn copy_whole(tree: &Path, partial: &Path, directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    copy_tree(tree, partial)?;
    std::fs::rename(partial, directory)
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
            std::fs::File::open(&target)?.sync_all()?;
        }
    }
    Ok(())
}

fn options(object: &HprtBundle) -> Options {
    let DeploySpec {
        wait,
        timeout,
        parallelism,
        prune,
        hooks,
    } = object.spec.deploy.clone();
    let reason = match object.spec.revision {
        Some(revision) => format!("roll back to revision {revision}"),
        None => "deploy".to_owned(),
    };
    Options {
        reason,
        stacks: object.spec.stacks.clone(),
        wait,
        timeout: timeout.into(),
        parallelism: parallelism as usize,
        prune,
        hooks,
        snapshot: object.spec.snapshot,
        history_limit: object.spec.history_limit as usize,
        pin_images: object.spec.revision.is_some(),
        ..Options::default()
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::transient(
        "TargetUnwritable",
        format!("{} cannot be written: {error}", path.display()),
    )
}

/// An error of the deployment as the failure of a pass.
fn failure(error: &Error) -> Failure {
    let reason = match error {
        Error::TargetUnreachable { .. } => "TargetUnreachable",
        Error::ProgramMissing { .. } | Error::ComposeTooOld { .. } | Error::UnmetDependencies { .. } => {
            "TargetUnsuitable"
        }
        Error::ImageMissing { .. } => "ImageMissing",
        Error::Locked { .. } => "Locked",
        Error::InvalidCompose { .. }
        | Error::VariableMissing { .. }
        | Error::DependencyCycle { .. }
        | Error::MountInRelease { .. } => "InvalidStack",
        Error::NoSuchStack { .. } | Error::NoSuchRevision { .. } => "InvalidSpec",
        Error::Unhealthy { .. } => "Unhealthy",
        Error::ServiceFailed { .. } => "ServiceFailed",
        Error::HookFailed { .. } => "HookFailed",
        _ => "DeployFailed",
    };
    match error.retry() {
        Retry::Soon | Retry::Slowly => Failure::transient(reason, error.to_string()),
        Retry::Never => Failure::terminal(reason, error.to_string()),
    }
}

/// When each bundle's target was last seen to be as it shall be. Only in memory: after a start, everything is looked at.
pub(super) struct Checks {
    /// Keys the hashes of secrets that are part of an input, which are never written down.
    key: [u8; 32],
    passed: Mutex<HashMap<String, Passed>>,
}

struct Passed {
    input: String,
    at: Instant,
    states: Vec<StackState>,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            key: rand::random(),
            passed: Mutex::default(),
        }
    }
}

impl Checks {
    /// Tells one wish from another: the bundle, how it is deployed, the values of its secrets, and what was asked for
    /// by annotation.
    pub(super) fn input(&self, object: &HprtBundle, wanted: &Wanted) -> String {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        add(&self.key);
        add(wanted.fetched.digest.as_bytes());
        add(format!("{:?}", object.spec).as_bytes());
        add(asked_at(object).map_or(&[], String::as_bytes));
        for (name, value) in &wanted.secrets {
            add(name.as_bytes());
            add(value.expose_secret().as_bytes());
        }
        hex::encode(hash.finalize())
    }

    /// The target as it was seen last, where that was a short time ago and for the same wish.
    pub(super) fn fresh(&self, object: &HprtBundle, wanted: &Wanted) -> Option<Vec<StackState>> {
        let input = self.input(object, wanted);
        let interval: Duration = object.spec.interval.into();
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let last = passed.get(&object.uid()?)?;
        (last.input == input && last.at.elapsed() < interval).then(|| last.states.clone())
    }

    /// Remembers that the target is as it shall be.
    pub(super) fn passed(&self, object: &HprtBundle, wanted: &Wanted, states: &[StackState]) {
        let Some(uid) = object.uid() else { return };
        let entry = Passed {
            input: self.input(object, wanted),
            at: Instant::now(),
            states: states.to_vec(),
        };
        self.passed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uid, entry);
    }

    /// Forgets a bundle that is gone.
    pub(super) fn forget(&self, object: &HprtBundle) {
        let uid = object.uid().unwrap_or_default();
        self.passed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&uid);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_copied_tree_is_whole_and_keeps_what_is_executable() {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        std::fs::create_dir_all(tree.join("scripts")).unwrap();
        std::fs::write(tree.join("scripts/a.sh"), "x").unwrap();
        std::fs::set_permissions(tree.join("scripts/a.sh"), PermissionsExt::from_mode(0o755)).unwrap();
        let (partial, release) = (directory.path().join("1-a.partial"), directory.path().join("1-a"));
        std::fs::create_dir_all(partial.join("left-by-a-killed-run")).unwrap();
        copy_whole(&tree, &partial, &release).unwrap();
        let mode = std::fs::metadata(release.join("scripts/a.sh"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
        assert!(!release.join("left-by-a-killed-run").exists() && !partial.exists());
    }
}
