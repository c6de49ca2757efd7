//! Gathering what a sync's next steps depend on: its tasks, its bundle, its secrets, and the work that is under way.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::path::{Component, Path, PathBuf};

use homeport_crds::common::{SecretKeyRef, TlsMode};
use homeport_crds::conditions::{self, DEPLOYED, READY};
use homeport_crds::data_sync::{SyncTaskStatus, TaskState};
use homeport_crds::{DataSync, DataSyncStatus, HprtBundle, RECONCILE_AT};
use homeport_sync::{Endpoint, Selection, Task, Tls};
use kube::{Api, ResourceExt};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::decide::{Facts, TaskFacts};
use super::definition::{self, Authorities, Definition, End, Password};
use super::run::{Ended, Live};
use crate::bundle::documents;
use crate::runtime::work::{WorkKey, WorkState, Works};
use crate::runtime::{Context, Failure};
use crate::secret_binding::values;

/// How many tasks run at once where the bundle does not say.
const TASKS_AT_ONCE: usize = 2;
/// The longest id of a task that the engine takes.
const LONGEST_ID: usize = 253;

/// What a sync is asked for.
pub(super) struct Asked {
    /// In an order in which they can be done.
    pub(super) tasks: Vec<Definition>,
    /// How many of them may run at once.
    pub(super) at_once: usize,
    bundle: Option<BundleFacts>,
}

struct BundleFacts {
    name: String,
    digest: String,
    /// Why the tasks may not begin yet.
    hold: Option<Failure>,
}

/// Everything that the next steps depend on.
pub(super) struct Observed {
    pub(super) facts: Facts,
    /// The tasks, in the order of the facts.
    pub(super) tasks: Vec<ObservedTask>,
}

/// What a task's run needs, beside the facts.
pub(super) struct ObservedTask {
    pub(super) key: WorkKey,
    pub(super) digest: String,
    /// None where the task cannot begin, or needs no run.
    pub(super) prepared: Option<Prepared>,
}

/// A task with its secrets.
pub(super) struct Prepared {
    pub(super) task: Task,
    /// Tells whether a run is still the one that is asked for: the digest, how hard it pushes, and how it logs in.
    pub(super) input: String,
}

/// What the spec, or the bundle that it names, asks for.
///
/// # Errors
/// [`Failure::Waiting`] until the bundle has been verified; [`Failure::Terminal`] for what is not supported.
pub(super) async fn asked(context: &Context, sync: &DataSync) -> Result<Asked, Failure> {
    definition::check_mode(sync.spec.mode)?;
    let Some(reference) = &sync.spec.bundle_ref else {
        return Ok(Asked {
            tasks: definition::of_spec(&sync.spec)?,
            at_once: TASKS_AT_ONCE,
            bundle: None,
        });
    };
    let namespace = sync.namespace().unwrap_or_default();
    let bundles: Api<HprtBundle> = Api::namespaced(context.client.clone(), &namespace);
    let Some(bundle) = bundles.get_opt(&reference.name).await? else {
        return Err(Failure::waiting(
            WAITING_FOR_BUNDLE,
            format!("HprtBundle {namespace}/{} does not exist yet", reference.name),
        ));
    };
    let documents = documents::read(&context.client, &namespace, &reference.name).await?;
    let manifest = documents.bundle.sync.unwrap_or_default();
    Ok(Asked {
        tasks: definition::of_bundle(&manifest, &sync.spec.types)?,
        at_once: manifest
            .parallelism
            .and_then(|tasks| usize::try_from(tasks).ok())
            .unwrap_or(TASKS_AT_ONCE),
        bundle: Some(BundleFacts {
            name: reference.name.clone(),
            digest: documents.digest,
            hold: until_deployed(&bundle),
        }),
    })
}

const WAITING_FOR_BUNDLE: &str = "WaitingForBundle";

/// What is waited for until a bundle is deployed as its spec says now.
fn until_deployed(bundle: &HprtBundle) -> Option<Failure> {
    let generation = bundle.metadata.generation.unwrap_or_default();
    let conditions = bundle
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    if conditions::is_true_at(conditions, DEPLOYED, generation) {
        return None;
    }
    let why = conditions::find(conditions, READY)
        .filter(|ready| ready.status != "True" && !ready.message.is_empty())
        .map(|ready| format!(": {}", ready.message))
        .unwrap_or_default();
    Some(Failure::waiting(
        WAITING_FOR_BUNDLE,
        format!(
            "HprtBundle {}/{} is not deployed yet{why}",
            bundle.namespace().unwrap_or_default(),
            bundle.name_any()
        ),
    ))
}

/// The digests of the tasks as they are asked for now, in their order.
pub(super) fn digests(sync: &DataSync, status: &DataSyncStatus, asked: &Asked) -> Vec<String> {
    // An annotation that was taken away again asks for nothing.
    let annotation = sync.annotations().get(RECONCILE_AT);
    let run = annotation.or(status.last_handled_reconcile_at.as_ref());
    asked
        .tasks
        .iter()
        .map(|task| task.digest(sync.spec.mode, run.map(String::as_str)))
        .collect()
}

/// What the status says of a task of this name and digest.
pub(super) fn recorded<'a>(
    status: &'a DataSyncStatus,
    name: &str,
    digest: &str,
) -> Option<&'a SyncTaskStatus> {
    let mut tasks = status.tasks.iter();
    tasks.find(|task| task.name == name && task.input_digest == digest)
}

/// Whether the status says that each task is done.
pub(super) fn all_done(sync: &DataSync, status: &DataSyncStatus, asked: &Asked) -> bool {
    asked
        .tasks
        .iter()
        .zip(digests(sync, status, asked))
        .all(|(task, digest)| {
            recorded(status, &task.name, &digest).is_some_and(|recorded| recorded.state == TaskState::Done)
        })
}

/// Looks at everything that the next steps depend on. Secrets are read only for what is not done.
pub(super) async fn observe(
    context: &Context,
    works: &Works<Live, Ended>,
    hasher: &impl BuildHasher,
    sync: &DataSync,
    status: &DataSyncStatus,
    asked: &Asked,
) -> Result<Observed, Failure> {
    let mut facts = Facts {
        mode: sync.spec.mode,
        hold: asked.bundle.as_ref().and_then(|bundle| bundle.hold.clone()),
        at_once: asked.at_once,
        tasks: Vec::new(),
        now: Instant::now(),
    };
    let mut tasks = Vec::new();
    let mut vault = Vault::new(context, sync, asked);
    for (definition, digest) in asked.tasks.iter().zip(digests(sync, status, asked)) {
        let key = WorkKey::new(sync, &definition.name);
        let mut task = TaskFacts {
            name: definition.name.clone(),
            depends_on: definition.depends_on.clone(),
            recorded: recorded(status, &definition.name, &digest).cloned(),
            work: works.state(&key),
        };
        let mut prepared = None;
        if !task.is_done() && facts.hold.is_none() {
            match vault.prepare(sync, definition, &digest, hasher).await {
                Ok(ready) => prepared = Some(ready),
                Err(waiting @ Failure::Waiting { .. }) => facts.hold = Some(waiting),
                Err(failure) => return Err(failure),
            }
        }
        if task
            .work
            .as_ref()
            .is_some_and(|work| is_of_another_run(work, &digest, prepared.as_ref()))
        {
            task.work = None;
        }
        facts.tasks.push(task);
        tasks.push(ObservedTask {
            key,
            digest,
            prepared,
        });
    }
    Ok(Observed { facts, tasks })
}

/// Whether a work says nothing of what is asked for now: it is of another definition, or it failed with a login or
/// settings that have changed since.
fn is_of_another_run(work: &WorkState<Live, Ended>, digest: &str, prepared: Option<&Prepared>) -> bool {
    match work {
        WorkState::Running(live) => !live.digest.is_empty() && live.digest != digest,
        WorkState::Ended(ended) => {
            ended.live.digest != digest
                || ended.result.is_err() && prepared.is_some_and(|prepared| prepared.input != ended.input)
        }
        WorkState::Lost => false,
    }
}

/// Where a sync's secrets are read, each source once.
pub(super) struct Vault<'a> {
    context: &'a Context,
    namespace: String,
    bundle: Option<&'a BundleFacts>,
    of_bundle: Option<BTreeMap<String, SecretString>>,
}

impl<'a> Vault<'a> {
    pub(super) fn new(context: &'a Context, sync: &DataSync, asked: &'a Asked) -> Self {
        Self {
            context,
            namespace: sync.namespace().unwrap_or_default(),
            bundle: asked.bundle.as_ref(),
            of_bundle: None,
        }
    }

    async fn prepare(
        &mut self,
        sync: &DataSync,
        definition: &Definition,
        digest: &str,
        hasher: &impl BuildHasher,
    ) -> Result<Prepared, Failure> {
        self.require(definition).await?;
        let task = Task {
            selection: Selection {
                include_tables: definition.include_tables.clone(),
                exclude_tables: definition.exclude_tables.clone(),
                ..Selection::default()
            },
            parallelism: usize::try_from(sync.spec.parallelism).unwrap_or(usize::MAX),
            bandwidth_limit: sync.spec.bandwidth_limit.map(|limit| limit.0),
            ..Task::new(
                task_id(&self.namespace, &sync.name_any(), &definition.name),
                self.endpoint(&definition.source).await?,
                self.endpoint(&definition.target).await?,
            )
        };
        let login = [&task.source, &task.target].map(|end| {
            // The hasher is keyed by this process: the number tells nobody anything of the password.
            let login = (&end.user, end.password.expose_secret(), &end.tls.ca_pem);
            format!("{:?} {:x}", end.tls.mode, hasher.hash_one(login))
        });
        let limit = task.bandwidth_limit.unwrap_or_default();
        let input = format!("{digest} {} {limit} {}", task.parallelism, login.join(" "));
        Ok(Prepared { task, input })
    }

    /// Waits for all values of a task together, so that a person is told of all at once.
    pub(super) async fn require(&mut self, definition: &Definition) -> Result<(), Failure> {
        let mut missing = Vec::new();
        for end in [&definition.source, &definition.target] {
            if let Some(Password::OfBundle(name)) = &end.password
                && !self.values().await?.contains_key(name)
                && !missing.contains(name)
            {
                missing.push(name.clone());
            }
        }
        match self.bundle {
            Some(bundle) if !missing.is_empty() => Err(Failure::waiting(
                "WaitingForSecrets",
                format!(
                    "task {} waits for the values of {}: a SecretBinding of HprtBundle {}/{} has to resolve them",
                    definition.name,
                    missing.join(", "),
                    self.namespace,
                    bundle.name
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Opens an end: its password and its certificate authorities are read.
    pub(super) async fn endpoint(&mut self, end: &End) -> Result<Endpoint, Failure> {
        let password = match &end.password {
            None => SecretString::default(),
            Some(Password::OfBundle(name)) => self.values().await?.get(name).cloned().unwrap_or_default(),
            Some(Password::Key(reference)) => self.key(reference).await?,
        };
        let ca_pem = match &end.ca {
            None => None,
            Some(Authorities::File(path)) => Some(self.file(path).await?),
            Some(Authorities::Key(reference)) => Some(self.key(reference).await?.expose_secret().to_owned()),
        };
        Ok(Endpoint {
            host: end.host.clone(),
            port: end.port,
            database: end.database.clone(),
            user: end.user.clone(),
            password,
            tls: Tls {
                mode: match end.tls {
                    TlsMode::Disable => homeport_sync::TlsMode::Disable,
                    TlsMode::Prefer => homeport_sync::TlsMode::Prefer,
                    TlsMode::Require => homeport_sync::TlsMode::Require,
                    TlsMode::VerifyFull => homeport_sync::TlsMode::VerifyFull,
                },
                ca_pem,
            },
        })
    }

    async fn key(&self, reference: &SecretKeyRef) -> Result<SecretString, Failure> {
        values::of_key(&self.context.client, &self.namespace, reference).await
    }

    async fn values(&mut self) -> Result<&BTreeMap<String, SecretString>, Failure> {
        if self.of_bundle.is_none() {
            self.of_bundle = Some(match self.bundle {
                Some(bundle) => {
                    values::of_bundle(&self.context.client, &self.namespace, &bundle.name).await?
                }
                None => BTreeMap::new(),
            });
        }
        Ok(self.of_bundle.get_or_insert_default())
    }

    async fn file(&self, path: &str) -> Result<String, Failure> {
        let digest = self
            .bundle
            .map(|bundle| bundle.digest.as_str())
            .unwrap_or_default();
        let file = file_of_bundle(&self.context.settings.state_dir, digest, path)?;
        tokio::fs::read_to_string(&file).await.map_err(|error| {
            Failure::transient(
                "CaFileUnreadable",
                format!("ca_file {path}: {} cannot be read: {error}", file.display()),
            )
        })
    }
}

/// Where a file that a bundle names is: in the unpacked tree or, with an absolute path, on this host.
fn file_of_bundle(state_dir: &Path, digest: &str, path: &str) -> Result<PathBuf, Failure> {
    let leaves = |part| !matches!(part, Component::Normal(_) | Component::CurDir);
    if !Path::new(path).is_absolute() && Path::new(path).components().any(leaves) {
        return Err(Failure::terminal(
            "InvalidTask",
            format!(
                "ca_file {path} leads out of the bundle: name a file in it, or an absolute path on this host"
            ),
        ));
    }
    let digest = digest.strip_prefix("sha256:").unwrap_or(digest);
    Ok(state_dir.join("bundles").join(digest).join("tree").join(path))
}

/// Under which name the engine keeps a task's state on the target. The same over restarts, and where a DataSync was
/// deleted and applied again: what was copied is known to be ours.
fn task_id(namespace: &str, sync: &str, task: &str) -> String {
    let id = format!("{namespace}/{sync}/{task}");
    if id.len() <= LONGEST_ID {
        return id;
    }
    hex::encode(Sha256::digest(id))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use homeport_crds::{HprtBundleSpec, HprtBundleStatus};
    use rstest::rstest;

    #[rstest]
    #[case("tls/ca.pem", Some("/s/bundles/ab/tree/tls/ca.pem"))]
    #[case("./ca.pem", Some("/s/bundles/ab/tree/./ca.pem"))]
    #[case("/etc/ssl/ca.pem", Some("/etc/ssl/ca.pem"))]
    #[case("../../ca.pem", None)]
    #[case("tls/../../ca.pem", None)]
    fn files_are_those_of_the_bundle(#[case] path: &str, #[case] file: Option<&str>) {
        let found = file_of_bundle(Path::new("/s"), "sha256:ab", path).ok();
        assert_eq!(found.as_deref(), file.map(Path::new));
    }

    #[test]
    fn ids_are_short_enough_and_distinct() {
        let long = "n".repeat(253);
        assert_eq!(task_id("shop", "db", "users"), "shop/db/users");
        assert!(task_id("shop", &long, "users").len() <= LONGEST_ID);
        assert_ne!(task_id("shop", &long, "a"), task_id("shop", &long, "b"));
    }

    #[rstest]
    #[case::new(None, Some("shop/web is not deployed yet"))]
    #[case::deployed(Some((DEPLOYED, true, 2)), None)]
    #[case::changed_since(Some((DEPLOYED, true, 1)), Some("shop/web is not deployed yet"))]
    #[case::failing(Some((READY, false, 2)), Some("shop/web is not deployed yet: no engine"))]
    fn a_bundle_is_waited_for(#[case] condition: Option<(&str, bool, i64)>, #[case] message: Option<&str>) {
        let spec: HprtBundleSpec = serde_json::from_value(
            serde_json::json!({ "source": { "path": "a" }, "target": { "local": {} } }),
        )
        .unwrap();
        let mut bundle = HprtBundle::new("web", spec);
        bundle.metadata.namespace = Some("shop".into());
        bundle.metadata.generation = Some(2);
        let mut status = HprtBundleStatus::default();
        if let Some((type_, is_true, generation)) = condition {
            conditions::set(
                &mut status.conditions,
                generation,
                type_,
                is_true,
                "Because",
                "no engine",
            );
        }
        bundle.status = Some(status);
        let failure = until_deployed(&bundle).map(|failure| failure.to_string());
        assert_eq!(failure, message.map(|message| format!("HprtBundle {message}")));
    }
}
