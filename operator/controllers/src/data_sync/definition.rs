//! What a sync is asked to copy: the tasks of a bundle and those of a spec, in one form.

use std::collections::BTreeSet;

use homeport_bundle::sync::{self as manifest, SyncKind, SyncManifest};
use homeport_crds::DataSyncSpec;
use homeport_crds::common::{SecretKeyRef, TlsMode};
use homeport_crds::data_sync::{SyncEndpoint, SyncEngine, SyncMode, SyncTaskSpec, SyncType};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::runtime::Failure;

/// The engine that there is.
pub(super) const POSTGRES: &str = "postgres";
const POSTGRES_PORT: u16 = 5432;

/// A PostgreSQL database to copy.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) source: End,
    pub(super) target: End,
    /// Tasks of the same sync that come first.
    pub(super) depends_on: Vec<String>,
    pub(super) include_tables: Vec<String>,
    pub(super) exclude_tables: Vec<String>,
}

/// One end of a copy. Its secrets are named, not held.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct End {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) password: Option<Password>,
    pub(super) tls: TlsMode,
    pub(super) ca: Option<Authorities>,
}

/// Where a password is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Password {
    /// Among the values that the bundle's SecretBindings have resolved, under this name.
    OfBundle(String),
    /// In a Secret.
    Key(SecretKeyRef),
}

/// Where the certificate authorities are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Authorities {
    /// In a file of the bundle or, with an absolute path, of this host.
    File(String),
    /// In a Secret.
    Key(SecretKeyRef),
}

/// The tasks of a bundle that a sync takes, in an order in which they can be done.
pub(super) fn of_bundle(manifest: &SyncManifest, types: &[SyncType]) -> Result<Vec<Definition>, Failure> {
    let tasks: Vec<&manifest::SyncTask> = manifest
        .tasks_in_order()
        .into_iter()
        .filter(|task| takes(types, kind(task.kind)))
        .collect();
    refuse_other_engines(
        tasks
            .iter()
            .map(|task| (task.name.as_str(), spelling(&task.engine))),
    )?;
    let definitions = tasks.into_iter().map(|task| {
        Ok(Definition {
            name: task.name.clone(),
            source: of_bundle_end(&task.name, "source", &task.source)?,
            target: of_bundle_end(&task.name, "target", &task.target)?,
            depends_on: task.depends_on.clone(),
            include_tables: task.include_tables.clone(),
            exclude_tables: task.exclude_tables.clone(),
        })
    });
    Ok(with_dependencies_among_them(
        definitions.collect::<Result<_, Failure>>()?,
    ))
}

/// The tasks of a spec that it takes, in an order in which they can be done.
pub(super) fn of_spec(spec: &DataSyncSpec) -> Result<Vec<Definition>, Failure> {
    let tasks: Vec<&SyncTaskSpec> = in_order(&spec.tasks)?
        .into_iter()
        .filter(|task| takes(&spec.types, kind_of(task.engine)))
        .collect();
    refuse_other_engines(
        tasks
            .iter()
            .map(|task| (task.name.as_str(), spelling(&task.engine))),
    )?;
    let definitions = tasks.into_iter().map(|task| {
        Ok(Definition {
            name: task.name.clone(),
            source: of_spec_end(&task.name, "source", &task.source)?,
            target: of_spec_end(&task.name, "target", &task.target)?,
            depends_on: task.depends_on.clone(),
            include_tables: task.include_tables.clone(),
            exclude_tables: task.exclude_tables.clone(),
        })
    });
    Ok(with_dependencies_among_them(
        definitions.collect::<Result<_, Failure>>()?,
    ))
}

/// Refuses a mode that is not there yet.
pub(super) fn check_mode(mode: SyncMode) -> Result<(), Failure> {
    match mode {
        SyncMode::Once | SyncMode::VerifyOnly => Ok(()),
        SyncMode::Continuous => Err(Failure::terminal(
            "ModeNotSupported",
            "spec.mode Continuous is not supported yet: use Once (copy and verify) or VerifyOnly (compare)",
        )),
    }
}

impl Definition {
    /// A digest over what is copied, from where to where, in which mode, and which run was asked for. A task that is
    /// done with one digest is not run again with the same.
    ///
    /// Who logs in, and how hard the copy pushes, is not in it: they change nothing of what a copy yields. Neither is
    /// the bundle's own digest. A new release of the application must not copy the old source's rows over those that
    /// the application has written since.
    pub(super) fn digest(&self, mode: SyncMode, asked: Option<&str>) -> String {
        #[derive(Serialize)]
        struct Copied<'a> {
            engine: &'a str,
            source: (&'a str, u16, &'a str),
            target: (&'a str, u16, &'a str),
            include_tables: &'a [String],
            exclude_tables: &'a [String],
            mode: SyncMode,
            asked: Option<&'a str>,
        }
        let copied = Copied {
            engine: POSTGRES,
            source: self.source.place(),
            target: self.target.place(),
            include_tables: &self.include_tables,
            exclude_tables: &self.exclude_tables,
            mode,
            asked,
        };
        let text = serde_json::to_vec(&copied).unwrap_or_default();
        format!("sha256:{}", hex::encode(Sha256::digest(text)))
    }
}

impl End {
    fn place(&self) -> (&str, u16, &str) {
        (&self.host, self.port, &self.database)
    }
}

fn of_bundle_end(task: &str, side: &str, endpoint: &manifest::Endpoint) -> Result<End, Failure> {
    Ok(End {
        host: required(task, side, "host", endpoint.host.as_ref())?,
        port: endpoint.port.unwrap_or(POSTGRES_PORT),
        database: required(task, side, "database", endpoint.database.as_ref())?,
        user: required(task, side, "user", endpoint.user.as_ref())?,
        password: endpoint.password_secret.clone().map(Password::OfBundle),
        tls: match endpoint.tls {
            manifest::TlsMode::Disable => TlsMode::Disable,
            manifest::TlsMode::Prefer => TlsMode::Prefer,
            manifest::TlsMode::Require => TlsMode::Require,
            manifest::TlsMode::VerifyFull => TlsMode::VerifyFull,
        },
        ca: endpoint.ca_file.clone().map(Authorities::File),
    })
}

fn of_spec_end(task: &str, side: &str, endpoint: &SyncEndpoint) -> Result<End, Failure> {
    let tls = endpoint.tls.clone().unwrap_or_default();
    Ok(End {
        host: endpoint.host.clone(),
        port: endpoint.port.unwrap_or(POSTGRES_PORT),
        database: required(task, side, "database", endpoint.database.as_ref())?,
        user: required(task, side, "user", endpoint.user.as_ref())?,
        password: endpoint.password_secret_ref.clone().map(Password::Key),
        tls: tls.mode,
        ca: tls.ca_secret_ref.map(Authorities::Key),
    })
}

fn required(task: &str, side: &str, field: &str, value: Option<&String>) -> Result<String, Failure> {
    value.filter(|value| !value.is_empty()).cloned().ok_or_else(|| {
        Failure::terminal(
            "InvalidTask",
            format!("task {task}: {side}.{field} is missing: a PostgreSQL database is reached by host, database and user"),
        )
    })
}

/// Refuses the whole sync where it takes something that cannot be moved: half a migration that looks done is worse
/// than a clear no.
fn refuse_other_engines<'a>(tasks: impl Iterator<Item = (&'a str, String)>) -> Result<(), Failure> {
    let others: Vec<String> = tasks
        .filter(|(_, engine)| engine != POSTGRES)
        .map(|(task, engine)| format!("{task} ({engine})"))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Failure::terminal(
        "EngineNotSupported",
        format!(
            "tasks of engines that are not supported yet: {}; supported is {POSTGRES}. Leave the others out with \
             spec.types, or list the tasks to do in a DataSync of their own",
            others.join(", ")
        ),
    ))
}

/// Each task after those that it depends on, otherwise as listed.
fn in_order(tasks: &[SyncTaskSpec]) -> Result<Vec<&SyncTaskSpec>, Failure> {
    let invalid = |message: String| Err(Failure::terminal("InvalidTask", message));
    let mut names = BTreeSet::new();
    for task in tasks {
        if !names.insert(task.name.as_str()) {
            return invalid(format!(
                "spec.tasks has two tasks of the name {}: rename one",
                task.name
            ));
        }
    }
    for task in tasks {
        if let Some(unknown) = task.depends_on.iter().find(|name| !names.contains(name.as_str())) {
            return invalid(format!(
                "task {} depends on {unknown}, which spec.tasks does not have: correct its dependsOn",
                task.name
            ));
        }
    }
    let mut ordered: Vec<&SyncTaskSpec> = Vec::new();
    let mut left: Vec<&SyncTaskSpec> = tasks.iter().collect();
    while !left.is_empty() {
        let met = |name: &String| ordered.iter().any(|task| task.name == *name);
        let Some(next) = left.iter().position(|task| task.depends_on.iter().all(met)) else {
            let stuck: Vec<&str> = left.iter().map(|task| task.name.as_str()).collect();
            return invalid(format!(
                "the tasks {} wait for each other in a circle: correct their dependsOn",
                stuck.join(", ")
            ));
        };
        ordered.push(left.remove(next));
    }
    Ok(ordered)
}

/// A task that was left out is not waited for.
fn with_dependencies_among_them(mut definitions: Vec<Definition>) -> Vec<Definition> {
    let names: BTreeSet<String> = definitions
        .iter()
        .map(|definition| definition.name.clone())
        .collect();
    for definition in &mut definitions {
        definition.depends_on.retain(|name| names.contains(name));
    }
    definitions
}

fn takes(types: &[SyncType], kind: SyncType) -> bool {
    types.is_empty() || types.contains(&kind)
}

fn kind(kind: SyncKind) -> SyncType {
    match kind {
        SyncKind::Database => SyncType::Database,
        SyncKind::Storage => SyncType::Storage,
        SyncKind::Cache => SyncType::Cache,
        SyncKind::Messaging => SyncType::Messaging,
    }
}

fn kind_of(engine: SyncEngine) -> SyncType {
    match engine {
        SyncEngine::Postgres | SyncEngine::Mysql | SyncEngine::Mariadb => SyncType::Database,
        SyncEngine::Redis => SyncType::Cache,
        SyncEngine::S3 => SyncType::Storage,
        SyncEngine::Rabbitmq => SyncType::Messaging,
    }
}

/// An engine's name as people write it.
fn spelling(engine: &impl Serialize) -> String {
    let value = serde_json::to_value(engine).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn spec(tasks: serde_json::Value) -> DataSyncSpec {
        serde_json::from_value(json!({ "tasks": tasks })).unwrap()
    }

    fn task(name: &str, engine: &str, depends_on: &[&str]) -> serde_json::Value {
        let end = |host: &str| json!({ "host": host, "database": "shop", "user": "app" });
        json!({ "name": name, "engine": engine, "source": end("old"), "target": end("new"), "dependsOn": depends_on })
    }

    fn names(definitions: &[Definition]) -> Vec<&str> {
        definitions
            .iter()
            .map(|definition| definition.name.as_str())
            .collect()
    }

    #[test]
    fn tasks_come_after_those_that_they_depend_on() {
        let spec = spec(json!([
            task("c", "postgres", &["b"]),
            task("a", "postgres", &[]),
            task("b", "postgres", &["a"])
        ]));
        assert_eq!(names(&of_spec(&spec).unwrap()), ["a", "b", "c"]);
    }

    #[rstest]
    #[case::circle(json!([task("a", "postgres", &["b"]), task("b", "postgres", &["a"])]), "InvalidTask", "a, b wait for each other")]
    #[case::unknown(json!([task("a", "postgres", &["x"])]), "InvalidTask", "a depends on x")]
    #[case::twice(json!([task("a", "postgres", &[]), task("a", "postgres", &[])]), "InvalidTask", "two tasks of the name a")]
    #[case::engine(json!([task("a", "postgres", &[]), task("b", "redis", &[])]), "EngineNotSupported", "b (redis)")]
    #[case::no_database(
        json!([{ "name": "a", "engine": "postgres", "source": { "host": "h", "user": "u" }, "target": { "host": "h" } }]),
        "InvalidTask",
        "source.database is missing"
    )]
    fn what_cannot_be_done_is_refused(
        #[case] tasks: serde_json::Value,
        #[case] reason: &str,
        #[case] message: &str,
    ) {
        let failure = of_spec(&spec(tasks)).unwrap_err();
        assert!(matches!(failure, Failure::Terminal { .. }));
        assert_eq!(failure.reason(), reason);
        assert!(failure.to_string().contains(message), "{failure}");
    }

    #[test]
    fn what_is_left_out_by_type_is_neither_refused_nor_waited_for() {
        let mut spec = spec(json!([
            task("cache", "redis", &[]),
            task("db", "postgres", &["cache"])
        ]));
        spec.types = vec![SyncType::Database];
        let definitions = of_spec(&spec).unwrap();
        assert_eq!(names(&definitions), ["db"]);
        assert!(definitions[0].depends_on.is_empty());
    }

    #[test]
    fn a_bundle_and_a_spec_that_say_the_same_define_the_same() {
        let manifest: SyncManifest = serde_json::from_value(json!({ "tasks": [{
            "name": "db", "type": "database", "engine": "postgres",
            "source": { "host": "old", "database": "shop", "user": "app" },
            "target": { "host": "new", "database": "shop", "user": "app" },
        }] }))
        .unwrap();
        assert_eq!(
            of_bundle(&manifest, &[]).unwrap(),
            of_spec(&spec(json!([task("db", "postgres", &[])]))).unwrap()
        );
    }

    #[rstest]
    #[case::user(|d: &mut Definition| d.source.user = "other".into(), true)]
    #[case::password(|d: &mut Definition| d.target.password = Some(Password::OfBundle("P".into())), true)]
    #[case::tls(|d: &mut Definition| d.target.tls = TlsMode::VerifyFull, true)]
    #[case::host(|d: &mut Definition| d.source.host = "other".into(), false)]
    #[case::database(|d: &mut Definition| d.target.database = "other".into(), false)]
    #[case::tables(|d: &mut Definition| d.exclude_tables = vec!["public.log".into()], false)]
    fn the_digest_is_over_what_a_copy_yields(#[case] change: fn(&mut Definition), #[case] same: bool) {
        let definition = of_spec(&spec(json!([task("db", "postgres", &[])])))
            .unwrap()
            .remove(0);
        let mut changed = definition.clone();
        change(&mut changed);
        let digest = |definition: &Definition| definition.digest(SyncMode::Once, None);
        assert_eq!(digest(&changed) == digest(&definition), same);
    }

    #[test]
    fn another_mode_and_a_run_that_was_asked_for_are_another_digest() {
        let definition = of_spec(&spec(json!([task("db", "postgres", &[])])))
            .unwrap()
            .remove(0);
        let once = definition.digest(SyncMode::Once, None);
        assert_ne!(once, definition.digest(SyncMode::VerifyOnly, None));
        assert_ne!(once, definition.digest(SyncMode::Once, Some("now")));
    }
}
