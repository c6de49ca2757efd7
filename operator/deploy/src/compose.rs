//! The driver of Compose and of the engine's client: one function a command, their answers as small types.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::engine::{Engine, failure, says_unreachable};
use crate::error::{Error, Result};
use crate::host::{Command, Host, Output};
use crate::redact::Redactor;

/// How long a command that only asks may take.
const ANSWER: Duration = Duration::from_secs(60);

/// How long a command that stops containers may take: each has its own time to end in.
const CHANGE: Duration = Duration::from_secs(600);

/// How many lines of a program's output go into an error.
const SHOWN_LINES: usize = 20;

/// Compose on a host.
pub(crate) struct Compose<'a> {
    host: &'a dyn Host,
    program: &'static [&'static str],
    secrets: &'a BTreeMap<String, SecretString>,
    redactor: &'a Redactor,
}

/// What Compose is told of a stack.
#[derive(Debug, Clone)]
pub(crate) struct StackFiles {
    /// The stack.
    pub(crate) stack: String,
    /// The project.
    pub(crate) project: String,
    /// Path of the first file in the bundle, for messages.
    pub(crate) name: String,
    /// The files on the host, later ones over earlier ones.
    pub(crate) files: Vec<PathBuf>,
    /// The services that make up the stack; all of the files' if empty.
    pub(crate) services: Vec<String>,
    /// Image IDs by service, over what the files say.
    pub(crate) pins: BTreeMap<String, String>,
}

/// A project as Compose reads it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Project {
    #[serde(default)]
    pub(crate) services: BTreeMap<String, Service>,
}

/// What we need to know of a service.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Service {
    #[serde(default)]
    pub(crate) image: Option<String>,
    #[serde(default)]
    pub(crate) build: Option<serde_json::Value>,
    #[serde(default)]
    pub(crate) restart: Option<String>,
    #[serde(default)]
    pub(crate) pull_policy: Option<String>,
    #[serde(default)]
    pub(crate) scale: Option<u32>,
    #[serde(default)]
    pub(crate) deploy: Option<Scaling>,
    #[serde(default)]
    pub(crate) depends_on: BTreeMap<String, Dependency>,
    #[serde(default)]
    pub(crate) volumes: Vec<Mount>,
}

/// What of the host a service sees.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Mount {
    /// `bind`, `volume`, `tmpfs` and others.
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    /// An absolute path if it is a `bind`.
    #[serde(default)]
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) read_only: bool,
}

/// How often a service runs.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Scaling {
    #[serde(default)]
    pub(crate) replicas: Option<u32>,
}

/// What a service waits for.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Dependency {
    #[serde(default)]
    pub(crate) condition: String,
}

/// A container of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) service: String,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub(crate) state: String,
    /// `starting`, `healthy`, `unhealthy`, or empty.
    pub(crate) health: String,
    pub(crate) exit_code: i64,
    pub(crate) image: String,
    pub(crate) image_id: String,
    /// Compose's hash of the configuration that it was made from.
    pub(crate) config_hash: String,
    /// Changes whenever it is started.
    pub(crate) started_at: String,
    /// What its health check last said.
    pub(crate) health_output: String,
}

/// A line of `compose ps`. Versions differ in what else they say.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
struct PsLine {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    service: String,
}

/// What we ask the engine of a container. Not its environment: that holds secrets.
const INSPECT: &str = r#"{"id":{{json .Id}},"image":{{json .Config.Image}},"image_id":{{json .Image}},"labels":{{json .Config.Labels}},"state":{{json .State}}}"#;

#[derive(Debug, Deserialize)]
struct Inspected {
    id: String,
    image: String,
    image_id: String,
    labels: Option<BTreeMap<String, String>>,
    state: InspectedState,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    status: String,
    exit_code: i64,
    started_at: String,
    #[serde(default)]
    health: Option<InspectedHealth>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedHealth {
    status: String,
    #[serde(default)]
    log: Option<Vec<HealthProbe>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthProbe {
    #[serde(default)]
    output: String,
}

impl<'a> Compose<'a> {
    pub(crate) fn new(
        host: &'a dyn Host,
        engine: &Engine,
        secrets: &'a BTreeMap<String, SecretString>,
        redactor: &'a Redactor,
    ) -> Self {
        Self {
            host,
            program: engine.program,
            secrets,
            redactor,
        }
    }

    /// A stack's configuration, the secrets' values in it. Not to be kept or shown.
    pub(crate) async fn config(&self, files: &StackFiles) -> Result<serde_json::Value> {
        let command = self.on_files(files, &["config"], &["--format", "json"]);
        self.config_by(files, command).await
    }

    /// A stack's configuration, the names of variables in the place of their values.
    pub(crate) async fn bare_config(&self, files: &StackFiles) -> Result<serde_json::Value> {
        let options = ["--no-interpolate", "--format", "json"];
        // Some versions of Compose resolve `environment: [NAME]` nevertheless: what is not given cannot be told.
        let command = self
            .on_files(files, &["config"], &options)
            .secrets(&BTreeMap::new());
        self.config_by(files, command).await
    }

    async fn config_by(&self, files: &StackFiles, command: Command) -> Result<serde_json::Value> {
        let output = self.run(&command).await?;
        if !output.success() {
            return Err(self.config_error(files, &output));
        }
        self.parse(&command, &output)
    }

    /// Compose's own hash of each service, which containers carry in a label.
    pub(crate) async fn hashes(&self, files: &StackFiles) -> Result<BTreeMap<String, String>> {
        let command = self.on_files(files, &["config"], &["--hash", "*"]);
        let output = self.run(&command).await?;
        if !output.success() {
            return Err(self.config_error(files, &output));
        }
        let pairs = output.stdout.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs
            .map(|(service, hash)| (service.to_owned(), hash.to_owned()))
            .collect())
    }

    /// Brings a stack up. `Ok(Err)` if Compose could not.
    pub(crate) async fn up(
        &self,
        files: &StackFiles,
        lock: &std::path::Path,
        timeout: Duration,
    ) -> Result<std::result::Result<(), String>> {
        let mut options = vec!["--detach", "--quiet-pull"];
        if !files.services.is_empty() {
            // What it depends on in the same file may be of another stack: that one's project has it.
            options.push("--no-deps");
            options.extend(files.services.iter().map(String::as_str));
        }
        let command = self
            .on_files(files, &["up"], &options)
            .exclusively(lock)
            .timeout(timeout);
        let output = self.run(&command).await?;
        if output.success() {
            return Ok(Ok(()));
        }
        Ok(Err(if output.timed_out {
            format!("it was not done after {}s", timeout.as_secs())
        } else {
            self.explain(&output)
        }))
    }

    /// Removes a project's containers and networks, and its volumes if asked to.
    pub(crate) async fn down(
        &self,
        stack: &str,
        project: &str,
        volumes: bool,
        lock: &std::path::Path,
    ) -> Result<()> {
        let mut args = vec!["down", "--remove-orphans"];
        if volumes {
            args.push("--volumes");
        }
        let command = self.on_project(project, &args).exclusively(lock);
        let output = self.run(&command.timeout(CHANGE)).await?;
        if output.success() {
            return Ok(());
        }
        Err(Error::DownFailed {
            stack: stack.to_owned(),
            detail: self.explain(&output),
        })
    }

    /// Stops and removes containers. Their volumes stay.
    pub(crate) async fn remove_containers(&self, containers: &[&Container]) -> Result<()> {
        if containers.is_empty() {
            return Ok(());
        }
        for verb in [["stop"].as_slice(), &["rm", "--force"]] {
            let ids = containers.iter().map(|container| container.id.as_str());
            let command = Command::new("docker", verb.iter().copied().chain(ids)).timeout(CHANGE);
            let output = self.run(&command).await?;
            if !output.success() && !output.stderr.contains("No such container") {
                return Err(self.failed(&command, &output));
            }
        }
        Ok(())
    }

    /// The containers of a project, also those that do not run.
    pub(crate) async fn containers(&self, project: &str) -> Result<Vec<Container>> {
        let command = self.on_project(project, &["ps", "--all", "--format", "json"]);
        let output = self.run(&command).await?;
        if !output.success() {
            return Err(self.failed(&command, &output));
        }
        let listed = parse_ps(&output.stdout).map_err(|reason| self.unexpected(&command, reason))?;
        if listed.is_empty() {
            return Ok(Vec::new());
        }
        let ids = listed.iter().map(|line| line.id.as_str());
        let args = ["inspect", "--type", "container", "--format", INSPECT];
        let command = Command::new("docker", args.into_iter().chain(ids)).timeout(ANSWER);
        // A container may have gone meanwhile: the others are told of nevertheless.
        let output = self.run(&command).await?;
        let mut containers = Vec::new();
        for line in output.stdout.lines().filter(|line| !line.trim().is_empty()) {
            let inspected: Inspected =
                serde_json::from_str(line).map_err(|error| self.unexpected(&command, error.to_string()))?;
            if let Some(listed) = listed.iter().find(|listed| inspected.id.starts_with(&listed.id)) {
                containers.push(container(listed, inspected));
            }
        }
        Ok(containers)
    }

    /// The ID of an image that is on the host; `None` if it is not.
    pub(crate) async fn image_id(&self, image: &str) -> Result<Option<String>> {
        let args = ["image", "inspect", "--format", "{{.Id}}", image];
        let command = Command::new("docker", args).timeout(ANSWER);
        let output = self.run(&command).await?;
        if output.success() {
            return Ok(Some(output.stdout.trim().to_owned()));
        }
        if output.stderr.to_lowercase().contains("no such image") {
            return Ok(None);
        }
        Err(self.failed(&command, &output))
    }

    /// The last lines that a container wrote, redacted. Empty if they cannot be had.
    pub(crate) async fn logs(&self, container: &Container) -> String {
        let args = ["logs", "--tail", "20", &container.id];
        let Ok(output) = self.run(&Command::new("docker", args).timeout(ANSWER)).await else {
            return String::new();
        };
        let text = [output.stdout.as_str(), output.stderr.as_str()].concat();
        self.redactor.tail(&text, SHOWN_LINES)
    }

    fn on_project(&self, project: &str, args: &[&str]) -> Command {
        let call = self.program[1..].iter().copied();
        // /dev/null: an .env file of the bundle must not come in unasked.
        let global = ["--env-file", "/dev/null", "--project-name", project];
        let args = call.chain(global).chain(args.iter().copied());
        let mut command = Command::new(self.program[0], args).timeout(ANSWER);
        command
            .env
            .insert("COMPOSE_PROGRESS".to_owned(), "plain".to_owned());
        command.env.insert("COMPOSE_ANSI".to_owned(), "never".to_owned());
        command
    }

    fn on_files(&self, files: &StackFiles, verb: &[&str], options: &[&str]) -> Command {
        let paths: Vec<String> = files
            .files
            .iter()
            .map(|file| file.to_string_lossy().into_owned())
            .collect();
        let mut args: Vec<&str> = paths.iter().flat_map(|path| ["--file", path]).collect();
        if !files.pins.is_empty() {
            args.extend(["--file", "-"]);
        }
        args.extend(verb);
        args.extend(options);
        let mut command = self.on_project(&files.project, &args).secrets(self.secrets);
        if !files.pins.is_empty() {
            let pin = |(service, image): (&String, &String)| {
                let pinned = serde_json::json!({"image": image, "pull_policy": "never"});
                (service.clone(), pinned)
            };
            let services: serde_json::Map<_, _> = files.pins.iter().map(pin).collect();
            command.stdin = serde_json::json!({ "services": services })
                .to_string()
                .into_bytes();
        }
        command
    }

    /// Runs a command; an error if the engine cannot be reached, or an answer is not in time.
    async fn run(&self, command: &Command) -> Result<Output> {
        let output = self.host.run(command).await?;
        if !output.success() && says_unreachable(&output.stderr) {
            return Err(Error::TargetUnreachable {
                host: self.host.name().to_owned(),
                detail: self.redactor.clean(&failure(&output, command.timeout)),
            });
        }
        if output.timed_out && command.timeout == ANSWER {
            return Err(Error::TimedOut {
                host: self.host.name().to_owned(),
                command: command.display(),
                timeout: command.timeout,
            });
        }
        Ok(output)
    }

    fn parse<T: DeserializeOwned>(&self, command: &Command, output: &Output) -> Result<T> {
        // A message of the parser may show what it read: the place is enough.
        serde_json::from_str(&output.stdout).map_err(|error| {
            let reason = format!(
                "not JSON of the expected form at line {}, column {}",
                error.line(),
                error.column()
            );
            self.unexpected(command, reason)
        })
    }

    fn unexpected(&self, command: &Command, reason: String) -> Error {
        Error::UnexpectedOutput {
            host: self.host.name().to_owned(),
            command: command.display(),
            reason,
        }
    }

    fn failed(&self, command: &Command, output: &Output) -> Error {
        Error::CommandFailed {
            host: self.host.name().to_owned(),
            command: command.display(),
            detail: self.explain(output),
        }
    }

    fn config_error(&self, files: &StackFiles, output: &Output) -> Error {
        let (stack, file) = (files.stack.clone(), files.name.clone());
        if let Some(variable) = missing_variable(&output.stderr) {
            return Error::VariableMissing {
                stack,
                file,
                variable,
            };
        }
        Error::InvalidCompose {
            stack,
            file,
            detail: self.explain(output),
        }
    }

    /// What a failed Compose says, without its progress.
    fn explain(&self, output: &Output) -> String {
        let is_progress = |line: &&str| {
            const MARKS: [&str; 5] = [" Container ", " Network ", " Volume ", " Image ", "time="];
            MARKS.iter().any(|mark| line.starts_with(mark)) || line.trim().is_empty()
        };
        let told: Vec<&str> = output.stderr.lines().filter(|line| !is_progress(line)).collect();
        if told.is_empty() {
            return output.ending();
        }
        self.redactor.tail(&told.join("\n"), SHOWN_LINES)
    }
}

/// `compose ps --format json`: one array until 2.20, one object a line since.
fn parse_ps(text: &str) -> std::result::Result<Vec<PsLine>, String> {
    let text = text.trim();
    let parsed = if text.starts_with('[') || text == "null" {
        serde_json::from_str::<Option<Vec<PsLine>>>(text).map(Option::unwrap_or_default)
    } else {
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(serde_json::from_str)
            .collect()
    };
    parsed.map_err(|error| error.to_string())
}

fn container(listed: &PsLine, inspected: Inspected) -> Container {
    const CONFIG_HASH: &str = "com.docker.compose.config-hash";
    let labels = inspected.labels.unwrap_or_default();
    let (health, probes) = inspected
        .state
        .health
        .map(|health| (health.status, health.log.unwrap_or_default()))
        .unwrap_or_default();
    Container {
        id: inspected.id,
        name: listed.name.clone(),
        service: listed.service.clone(),
        state: inspected.state.status,
        health: if health == "none" { String::new() } else { health },
        exit_code: inspected.state.exit_code,
        image: inspected.image,
        image_id: inspected.image_id,
        config_hash: labels.get(CONFIG_HASH).cloned().unwrap_or_default(),
        started_at: inspected.state.started_at,
        health_output: probes
            .into_iter()
            .next_back()
            .map(|probe| probe.output)
            .unwrap_or_default(),
    }
}

/// The variable that a file needs by `${NAME:?...}` and that is not set.
fn missing_variable(stderr: &str) -> Option<String> {
    let (_, after) = stderr.split_once("required variable ")?;
    let (name, _) = after.split_once(" is missing a value")?;
    Some(name.to_owned())
}

/// Whether what kept Compose from bringing a stack up is likely to go away.
pub(crate) fn is_passing(detail: &str) -> bool {
    const SIGNS: [&str; 16] = [
        "port is already allocated",
        "address already in use",
        "is already in use by container",
        "is already in progress",
        "is marked for removal",
        "declared as external, but could not be found",
        "connection refused",
        "connection reset",
        "i/o timeout",
        "TLS handshake timeout",
        "no such host",
        "deadline exceeded",
        "was not done after",
        "no space left on device",
        "No such container",
        "unexpected EOF",
    ];
    SIGNS.iter().any(|sign| detail.contains(sign))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rstest::rstest;

    const WEB: &str =
        r#"{"ID":"febe3f9fa599","Name":"p-web-1","Service":"web","State":"running","Publishers":[]}"#;
    const JOB: &str =
        r#"{"ID":"ed21aecb463c","Name":"p-job-1","Service":"job","State":"exited","Publishers":null}"#;

    #[rstest]
    #[case(String::new(), &[])]
    #[case("null\n".to_owned(), &[])]
    #[case("[]\n".to_owned(), &[])]
    #[case(format!("[{WEB},{JOB}]\n"), &["web", "job"])]
    #[case(format!("{WEB}\n{JOB}\n"), &["web", "job"])]
    #[case(format!("{WEB}\n"), &["web"])]
    fn both_forms_of_ps_are_read(#[case] text: String, #[case] services: &[&str]) {
        let parsed = parse_ps(&text).unwrap();
        assert_eq!(
            parsed
                .iter()
                .map(|line| line.service.as_str())
                .collect::<Vec<_>>(),
            services
        );
    }

    #[test]
    fn other_forms_of_ps_are_refused() {
        assert!(parse_ps("NAME  IMAGE  COMMAND").is_err());
        assert!(parse_ps(r#"{"Name":"p-web-1"}"#).is_err());
    }

    #[test]
    fn a_missing_variable_is_named() {
        let stderr = "error while interpolating services.web.environment.PW: required variable PW is missing a value: x";
        assert_eq!(missing_variable(stderr), Some("PW".to_owned()));
        assert_eq!(missing_variable("services must be a mapping"), None);
    }

    #[rstest]
    #[case("Bind for 127.0.0.1:80 failed: port is already allocated", true)]
    #[case("network webshop declared as external, but could not be found", true)]
    #[case("invalid mount config for type \"volume\"", false)]
    fn what_passes_is_told_from_what_stays(#[case] detail: &str, #[case] passing: bool) {
        assert_eq!(is_passing(detail), passing);
    }
}
