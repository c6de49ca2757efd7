//! The pipeline: facts, plan, snapshot, hook, stacks in order, hook, prune, done.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use homeport_bundle::Stack;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::audit;
use crate::compose::{Compose, Container, is_passing};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::fingerprint::Salt;
use crate::gate::{Stability, Verdict, service_states, verdict};
use crate::history;
use crate::hooks::{self, POST_DEPLOY, PRE_DEPLOY};
use crate::host::{Host, is_reserved};
use crate::lock::Lock;
use crate::observe::states;
use crate::options::Options;
use crate::order::{Schedule, selected};
use crate::record::{Attempt, Deployment, Gate, ReleaseRecord, StackRecord};
use crate::redact::Redactor;
use crate::release::Release;
use crate::report::{Change, Event, Report, StackChange};
use crate::snapshot::{self, Snapshot};
use crate::stack::{PreparedStack, keyed, prepare};
use crate::state::{StackPhase, StackState};

/// How often containers are looked at while they are waited for.
const POLL: Duration = Duration::from_millis(500);

/// What is told of what happens.
pub type Observer<'a> = &'a (dyn Fn(Event) + Send + Sync);

/// Deploys a release: brings its stacks up in order, each when those that it depends on are healthy.
///
/// What is unchanged and healthy is left untouched. It may be killed at any instant: doing it again ends in the same
/// state. Deploying a kept release ([`Release::kept`]) is how a rollback is done. Values of `secrets` reach Compose and
/// the hooks by their environment only.
pub async fn deploy(
    host: &dyn Host,
    release: &Release,
    options: &Options,
    secrets: &BTreeMap<String, SecretString>,
    observer: Observer<'_>,
) -> Result<Report> {
    refuse_reserved_names(secrets)?;
    let layout = release.layout();
    let reason = format!("{}, revision {}", options.reason, release.revision());
    let lock = Lock::acquire(host, layout, &options.actor, &reason).await?;

    let redactor = Redactor::new(secrets);
    let result = deploy_locked(host, release, options, secrets, &redactor, observer).await;
    let outcome = match &result {
        Ok(report) if report.changed => "done".to_owned(),
        Ok(_) => String::new(),
        Err(error) => format!("failed: {error}"),
    };
    if !outcome.is_empty() {
        audit::record(host, layout, &options.actor, &reason, &outcome).await?;
    }
    lock.release(host, layout).await?;
    result
}

/// What [`deploy`] would do. Touches nothing.
pub async fn plan(
    host: &dyn Host,
    release: &Release,
    options: &Options,
    secrets: &BTreeMap<String, SecretString>,
) -> Result<Vec<StackChange>> {
    refuse_reserved_names(secrets)?;
    let redactor = Redactor::new(secrets);
    let salt = Salt::peek(host, release.layout()).await?;
    let pipeline = Pipeline::new(host, release, options, secrets, &redactor, salt, &|_| {}).await?;
    let stacks = selected(release.manifest(), &options.stacks)?;
    Schedule::new(&stacks)?;
    let prepared = pipeline.prepare_all(&stacks).await?;
    Ok(pipeline.changes(&prepared).await)
}

fn refuse_reserved_names(secrets: &BTreeMap<String, SecretString>) -> Result<()> {
    match secrets.keys().find(|name| is_reserved(name)) {
        Some(name) => Err(Error::ReservedSecretName { name: name.clone() }),
        None => Ok(()),
    }
}

async fn deploy_locked(
    host: &dyn Host,
    release: &Release,
    options: &Options,
    secrets: &BTreeMap<String, SecretString>,
    redactor: &Redactor,
    observer: Observer<'_>,
) -> Result<Report> {
    let salt = Salt::obtain(host, release.layout()).await?;
    let pipeline = Pipeline::new(host, release, options, secrets, redactor, salt, observer).await?;
    let stacks = selected(release.manifest(), &options.stacks)?;
    let schedule = Schedule::new(&stacks)?;
    let mut prepared = pipeline.prepare_all(&stacks).await?;
    let changes = pipeline.changes(&prepared).await;

    if pipeline.is_done(&changes).await {
        return pipeline.report(changes, false, None).await;
    }
    let snapshot = pipeline.begin().await?;
    if pipeline.run_hook(PRE_DEPLOY).await? {
        // The hook may have loaded images, or anything else that the facts depend on.
        prepared = pipeline.prepare_all(&stacks).await?;
    }
    pipeline.bring_up_all(schedule, &prepared).await?;
    pipeline.run_hook(POST_DEPLOY).await?;
    pipeline.remove_doomed().await?;
    pipeline.finish().await?;
    pipeline.report(changes, true, snapshot).await
}

/// One deployment, and what its steps share.
struct Pipeline<'a> {
    host: &'a dyn Host,
    release: &'a Release,
    options: &'a Options,
    secrets: &'a BTreeMap<String, SecretString>,
    redactor: &'a Redactor,
    observer: Observer<'a>,
    compose: Compose<'a>,
    salt: Salt,
    deployment: Mutex<Deployment>,
}

impl<'a> Pipeline<'a> {
    async fn new(
        host: &'a dyn Host,
        release: &'a Release,
        options: &'a Options,
        secrets: &'a BTreeMap<String, SecretString>,
        redactor: &'a Redactor,
        salt: Salt,
        observer: Observer<'a>,
    ) -> Result<Self> {
        let engine = Engine::of(host).await?;
        engine.check(host, release.manifest())?;
        let deployment = Deployment::load(host, release.layout()).await?;
        Ok(Self {
            host,
            release,
            options,
            secrets,
            redactor,
            observer,
            compose: Compose::new(host, &engine, secrets, redactor),
            salt,
            deployment: Mutex::new(deployment),
        })
    }

    async fn prepare_all<'s>(&self, stacks: &[&'s Stack]) -> Result<Vec<PreparedStack<'s>>> {
        let deployment = self.deployment.lock().await;
        let mut prepared = Vec::new();
        for &stack in stacks {
            let prepare = prepare(
                &self.compose,
                &self.salt,
                self.release,
                &deployment,
                self.options,
                stack,
            );
            prepared.push(prepare.await?);
        }
        Ok(prepared)
    }

    /// What is to be done, in order.
    async fn changes(&self, prepared: &[PreparedStack<'_>]) -> Vec<StackChange> {
        let kept = prepared.iter().map(|prepared| StackChange {
            stack: prepared.stack.name.clone(),
            change: prepared.decision.change,
            reason: prepared.decision.reason.clone(),
        });
        let doomed = self.doomed().await.into_iter().map(|stack| StackChange {
            stack,
            change: Change::Remove,
            reason: "the bundle does not have it".to_owned(),
        });
        kept.chain(doomed).collect()
    }

    /// Stacks that were brought up, that the release does not have, and that are to go.
    async fn doomed(&self) -> Vec<String> {
        if !self.options.prune {
            return Vec::new();
        }
        let deployment = self.deployment.lock().await;
        let names = deployment.stacks.keys();
        names
            .filter(|name| self.release.manifest().stack(name).is_none())
            .cloned()
            .collect()
    }

    async fn is_done(&self, changes: &[StackChange]) -> bool {
        let deployment = self.deployment.lock().await;
        deployment.under_way.is_none()
            && deployment.current == Some(self.release.revision())
            && changes.iter().all(|change| change.change == Change::Unchanged)
    }

    /// Records what runs and what is about to be done. If that was begun before and not ended, what ran then counts.
    async fn begin(&self) -> Result<Option<Snapshot>> {
        let mut deployment = self.deployment.lock().await;
        let revision = self.release.revision();
        let layout = self.release.layout();
        if deployment
            .under_way
            .as_ref()
            .is_some_and(|attempt| attempt.revision == revision)
        {
            return match &deployment.snapshot {
                Some(name) => snapshot::read(self.host, layout, name).await,
                None => Ok(None),
            };
        }
        let taken = if self.options.snapshot {
            let taken = snapshot::take(self.host, &self.compose, self.release, &deployment).await?;
            deployment.snapshot = Some(snapshot::write(self.host, layout, &taken).await?);
            (self.observer)(Event::SnapshotTaken {
                revision: taken.revision,
            });
            Some(taken)
        } else {
            deployment.snapshot = None;
            None
        };
        deployment.under_way = Some(Attempt {
            revision,
            started: Timestamp::now(),
        });
        let digest = self.release.digest();
        deployment
            .releases
            .entry(revision)
            .or_insert_with(|| ReleaseRecord {
                digest,
                deployed: None,
                images: BTreeMap::new(),
            });
        deployment.save(self.host, layout).await?;
        Ok(taken)
    }

    /// Whether the hook has run now.
    async fn run_hook(&self, hook: &'static str) -> Result<bool> {
        if !self.options.hooks || !hooks::is_due(self.host, self.release, hook).await? {
            return Ok(false);
        }
        (self.observer)(Event::HookStarted { hook });
        let timeout = self.options.hook_timeout;
        let output = hooks::run(
            self.host,
            self.release,
            hook,
            self.secrets,
            self.redactor,
            timeout,
        )
        .await?;
        (self.observer)(Event::HookFinished { hook, output });
        Ok(true)
    }

    /// Brings up what can be at once, then what that allows. After a failure nothing more is begun, but what was begun
    /// is seen to its end.
    async fn bring_up_all(&self, mut schedule: Schedule<'_>, prepared: &[PreparedStack<'_>]) -> Result<()> {
        let mut running = FuturesUnordered::new();
        let mut failure = None;
        loop {
            while failure.is_none()
                && running.len() < self.options.parallelism.max(1)
                && let Some(stack) = schedule.next()
            {
                let prepared = prepared
                    .iter()
                    .filter(|prepared| prepared.stack.name == stack.name);
                running.extend(prepared.map(|prepared| async move {
                    (prepared.stack.name.as_str(), self.bring_up(prepared).await)
                }));
            }
            match running.next().await {
                Some((stack, Ok(()))) => schedule.done(stack),
                Some((_, Err(error))) => failure = failure.or(Some(error)),
                None => return failure.map_or(Ok(()), Err),
            }
        }
    }

    async fn bring_up(&self, prepared: &PreparedStack<'_>) -> Result<()> {
        let stack = prepared.stack.name.clone();
        let decision = &prepared.decision;
        if decision.change == Change::Unchanged {
            let containers = self.compose.containers(&prepared.files.project).await?;
            self.record_images(&stack, &containers).await?;
            (self.observer)(Event::StackFinished {
                stack,
                unchanged: true,
            });
            return Ok(());
        }
        (self.observer)(Event::StackStarted {
            stack: stack.clone(),
            change: decision.change,
        });
        let deadline = Instant::now() + self.options.timeout;
        if decision.up {
            self.up(prepared).await?;
        }
        let containers = if self.options.wait {
            self.wait(prepared, deadline).await?
        } else {
            self.compose.containers(&prepared.files.project).await?
        };
        self.record_settled(prepared, containers).await?;
        (self.observer)(Event::StackFinished {
            stack,
            unchanged: false,
        });
        Ok(())
    }

    /// Has Compose bring a stack up, having recorded that it will.
    async fn up(&self, prepared: &PreparedStack<'_>) -> Result<()> {
        self.refuse_missing_images(prepared, &prepared.needed_images, None)
            .await?;
        let record = StackRecord {
            revision: self.release.revision(),
            project: prepared.files.project.clone(),
            fingerprint: prepared.fingerprint.clone(),
            services: prepared.services.clone(),
            settled: false,
            since: Timestamp::now(),
        };
        self.update(|deployment| {
            deployment.stacks.insert(prepared.stack.name.clone(), record);
        })
        .await?;
        let lock = self.release.layout().stack_lock(&prepared.stack.name);
        self.make_parent(&lock).await?;
        let up = self.compose.up(&prepared.files, &lock, self.options.timeout);
        if let Err(detail) = up.await? {
            return Err(self.up_error(prepared, detail).await);
        }
        if self.options.prune {
            let containers = self.compose.containers(&prepared.files.project).await?;
            let orphans: Vec<&Container> = containers
                .iter()
                .filter(|container| !prepared.services.contains_key(&container.service))
                .collect();
            self.compose.remove_containers(&orphans).await?;
        }
        Ok(())
    }

    /// A file beside `path`, so that its directory is there.
    async fn make_parent(&self, path: &std::path::Path) -> Result<()> {
        self.host.create(path, b"").await.map(|_| ())
    }

    async fn refuse_missing_images(
        &self,
        prepared: &PreparedStack<'_>,
        images: &BTreeMap<String, String>,
        detail: Option<&str>,
    ) -> Result<()> {
        for (service, image) in images {
            if self.compose.image_id(image).await?.is_none() {
                return Err(Error::ImageMissing {
                    stack: prepared.stack.name.clone(),
                    service: service.clone(),
                    image: image.clone(),
                    detail: detail.map(str::to_owned),
                });
            }
        }
        Ok(())
    }

    /// The reason behind what Compose says: a missing image, or a service that fails.
    async fn up_error(&self, prepared: &PreparedStack<'_>, detail: String) -> Error {
        let short = detail.lines().next_back().unwrap_or_default();
        let images = self
            .refuse_missing_images(prepared, &prepared.pulled_images, Some(short))
            .await;
        if let Err(error) = images {
            return error;
        }
        // Compose waits for services that others depend on, and says no more than that they failed.
        const SIGNS: [&str; 4] = ["unhealthy", "exited (", "didn't complete", "was not done after"];
        if SIGNS.iter().any(|sign| detail.contains(sign))
            && let Ok(containers) = self.compose.containers(&prepared.files.project).await
            && let Some(error) = self.service_error(prepared, &containers).await
        {
            return error;
        }
        Error::UpFailed {
            stack: prepared.stack.name.clone(),
            transient: is_passing(&detail),
            detail,
        }
    }

    /// The error for the first service that has failed for good, otherwise for the first that is not healthy.
    async fn service_error(&self, prepared: &PreparedStack<'_>, containers: &[Container]) -> Option<Error> {
        let with = |wanted: Verdict| {
            containers.iter().find(|container| {
                let service = prepared.services.get(&container.service);
                service.is_some_and(|service| verdict(service.gate, container) == wanted)
            })
        };
        if let Some(failed) = with(Verdict::Failed) {
            return Some(Error::ServiceFailed {
                stack: prepared.stack.name.clone(),
                service: failed.service.clone(),
                code: failed.exit_code,
                log: self.compose.logs(failed).await,
            });
        }
        let waiting = with(Verdict::Waiting)?;
        Some(Error::Unhealthy {
            stack: prepared.stack.name.clone(),
            service: waiting.service.clone(),
            state: self.describe(waiting),
            waited: self.options.timeout,
            log: self.compose.logs(waiting).await,
        })
    }

    fn describe(&self, container: &Container) -> String {
        let mut text = format!("it is {}", container.state);
        if !container.health.is_empty() {
            text.push_str(&format!(", its health check says {}", container.health));
        }
        let output = self.redactor.tail(&container.health_output, 3);
        if !output.trim().is_empty() {
            text.push_str(&format!(" ({})", output.trim()));
        }
        text
    }

    /// Waits until a stack is healthy.
    async fn wait(&self, prepared: &PreparedStack<'_>, deadline: Instant) -> Result<Vec<Container>> {
        let mut stability = Stability::new(self.options.stable);
        let mut told = None;
        loop {
            let containers = self.compose.containers(&prepared.files.project).await?;
            let own: Vec<Container> = containers
                .into_iter()
                .filter(|container| prepared.services.contains_key(&container.service))
                .collect();
            let services = service_states(&prepared.services, &own);
            let all_healthy = services.iter().all(|service| service.healthy);
            let state = StackState {
                name: prepared.stack.name.clone(),
                phase: StackPhase::Deploying,
                services,
                drift: None,
            };
            if told.as_ref() != Some(&state) {
                (self.observer)(Event::StackWaiting { state: state.clone() });
                told = Some(state);
            }
            if stability.reached(&own, Instant::now()) && all_healthy {
                return Ok(own);
            }
            let has_failed = own.iter().any(|container| {
                let gate = prepared.services.get(&container.service).map(|s| s.gate);
                verdict(gate.unwrap_or(Gate::Running), container) == Verdict::Failed
            });
            if has_failed || Instant::now() >= deadline {
                let error = self.service_error(prepared, &own).await;
                return Err(error.unwrap_or_else(|| self.incomplete(prepared, &own)));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The error for a stack that is not healthy although all of its containers are.
    fn incomplete(&self, prepared: &PreparedStack<'_>, containers: &[Container]) -> Error {
        let states = service_states(&prepared.services, containers);
        let (service, state) = match states.iter().find(|service| !service.healthy) {
            Some(service) => (
                service.name.clone(),
                "not all of its containers are there".to_owned(),
            ),
            None => (String::new(), "it was started again just now".to_owned()),
        };
        Error::Unhealthy {
            stack: prepared.stack.name.clone(),
            service,
            state,
            waited: self.options.timeout,
            log: String::new(),
        }
    }

    /// Records that a stack is up, as its containers say themselves. Without waiting for health there is nothing left
    /// to do either.
    async fn record_settled(&self, prepared: &PreparedStack<'_>, containers: Vec<Container>) -> Result<()> {
        let name = &prepared.stack.name;
        self.record_images(name, &containers).await?;
        let containers = keyed(&self.salt, containers);
        self.update(|deployment| {
            if let Some(record) = deployment.stacks.get_mut(name) {
                record.settled = true;
                for container in containers {
                    if let Some(service) = record.services.get_mut(&container.service) {
                        service.config = container.config_hash;
                    }
                }
            }
        })
        .await
    }

    async fn record_images(&self, stack: &str, containers: &[Container]) -> Result<()> {
        let images: BTreeMap<String, String> = containers
            .iter()
            .map(|c| (c.service.clone(), c.image_id.clone()))
            .collect();
        let revision = self.release.revision();
        self.update(|deployment| {
            if let Some(release) = deployment.releases.get_mut(&revision) {
                release.images.insert(stack.to_owned(), images);
            }
        })
        .await
    }

    async fn remove_doomed(&self) -> Result<()> {
        for stack in self.doomed().await {
            let project = self.release.layout().project(&stack);
            let lock = self.release.layout().stack_lock(&stack);
            self.make_parent(&lock).await?;
            self.compose.down(&stack, &project, false, &lock).await?;
            self.update(|deployment| {
                deployment.stacks.remove(&stack);
            })
            .await?;
            (self.observer)(Event::StackRemoved { stack });
        }
        Ok(())
    }

    /// Records that the release is deployed, and forgets what is not needed any more.
    async fn finish(&self) -> Result<()> {
        let mut deployment = self.deployment.lock().await;
        let revision = self.release.revision();
        deployment.current = Some(revision);
        deployment.under_way = None;
        if let Some(release) = deployment.releases.get_mut(&revision) {
            release.deployed = Some(Timestamp::now());
        }
        history::prune(
            self.host,
            self.release.layout(),
            &mut deployment,
            self.options.history_limit,
        )
        .await?;
        let name = format!("{}\n", self.release.name());
        self.host
            .write(&self.release.layout().current(), name.as_bytes())
            .await
    }

    async fn update(&self, change: impl FnOnce(&mut Deployment)) -> Result<()> {
        let mut deployment = self.deployment.lock().await;
        change(&mut deployment);
        deployment.save(self.host, self.release.layout()).await
    }

    async fn report(
        &self,
        stacks: Vec<StackChange>,
        changed: bool,
        snapshot: Option<Snapshot>,
    ) -> Result<Report> {
        let deployment = self.deployment.lock().await;
        Ok(Report {
            revision: self.release.revision(),
            stacks,
            changed,
            snapshot,
            states: states(&self.compose, &self.salt, self.release, &deployment).await?,
        })
    }
}
