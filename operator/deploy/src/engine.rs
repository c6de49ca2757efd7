//! The container engine and Compose on a host: are they there, and are they what a bundle needs.

use std::collections::BTreeMap;
use std::time::Duration;

use homeport_bundle::{Manifest, unmet_dependencies};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::host::{Command, Host, Output};

/// How long a client may take to say what it finds. A healthy engine answers within a second.
const ANSWER: Duration = Duration::from_secs(30);

/// The programs that run containers on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Version of the engine.
    pub docker: String,
    /// Version of Compose.
    pub compose: String,
    /// How Compose is called: as a plugin of `docker`, or by itself.
    pub(crate) program: &'static [&'static str],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    server: Option<ServerVersion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServerVersion {
    version: String,
}

impl Engine {
    /// Asks a host. An error if the engine does not answer, or Compose is missing or too old.
    pub async fn of(host: &dyn Host) -> Result<Self> {
        let docker = docker_version(host).await?;
        let (program, compose) = find_compose(host).await?;
        Ok(Self {
            docker,
            compose,
            program,
        })
    }

    /// Checks that a host has what a bundle needs.
    pub fn check(&self, host: &dyn Host, manifest: &Manifest) -> Result<()> {
        let found = BTreeMap::from([
            ("docker".to_owned(), self.docker.clone()),
            ("docker-compose".to_owned(), self.compose.clone()),
        ]);
        let unmet = unmet_dependencies(manifest, &found);
        if unmet.is_empty() {
            return Ok(());
        }
        Err(Error::UnmetDependencies {
            host: host.name().to_owned(),
            unmet,
        })
    }
}

async fn docker_version(host: &dyn Host) -> Result<String> {
    let command = Command::new("docker", ["version", "--format", "{{json .}}"]).timeout(ANSWER);
    let output = host.run(&command).await.map_err(|error| match error {
        Error::ProgramMissing { host, program, .. } => Error::ProgramMissing {
            host,
            program,
            remedy: "install Docker Engine 20.10 or later and its client",
        },
        other => other,
    })?;
    let versions = serde_json::from_str::<Versions>(&output.stdout).ok();
    match versions.and_then(|versions| versions.server) {
        Some(server) => Ok(server.version),
        None => Err(Error::TargetUnreachable {
            host: host.name().to_owned(),
            detail: failure(&output, ANSWER),
        }),
    }
}

/// The newest thing that calls itself Compose: the plugin, then the program. Version 1 is refused.
async fn find_compose(host: &dyn Host) -> Result<(&'static [&'static str], String)> {
    const CALLS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    let mut too_old = None;
    for call in CALLS {
        let args = call[1..].iter().copied().chain(["version", "--short"]);
        let version = match host.run(&Command::new(call[0], args).timeout(ANSWER)).await {
            Ok(output) if output.success() => output.stdout.trim().trim_start_matches('v').to_owned(),
            Ok(_) | Err(Error::ProgramMissing { .. }) => continue,
            Err(error) => return Err(error),
        };
        match major(&version) {
            Some(2..) => return Ok((call, version)),
            _ => too_old = Some(version),
        }
    }
    let host = host.name().to_owned();
    Err(match too_old {
        Some(version) => Error::ComposeTooOld { host, version },
        None => Error::ProgramMissing {
            host,
            program: "docker compose".to_owned(),
            remedy: "install the plugin docker-compose-plugin, or docker-compose 2.0 or later",
        },
    })
}

fn major(version: &str) -> Option<u64> {
    version.split('.').next()?.parse().ok()
}

/// Whether a client says that it cannot reach its engine.
pub(crate) fn says_unreachable(stderr: &str) -> bool {
    const SIGNS: [&str; 6] = [
        "Cannot connect to the Docker daemon",
        "failed to connect to the docker API",
        "Is the docker daemon running",
        "error during connect",
        "permission denied while trying to connect to the",
        "docker daemon is not running",
    ];
    SIGNS.iter().any(|sign| stderr.contains(sign))
}

/// Why a program failed, in the few words of its last line.
pub(crate) fn failure(output: &Output, timeout: Duration) -> String {
    if output.timed_out {
        return format!("no answer within {}s", timeout.as_secs());
    }
    let last = output.stderr.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or_else(|| output.ending(), |line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        true
    )]
    #[case(
        "failed to connect to the docker API at unix:///nope; check if the path is correct",
        true
    )]
    #[case("permission denied while trying to connect to the Docker daemon socket", true)]
    #[case("Error response from daemon: No such image: a:1", false)]
    #[case("dial tcp 10.0.0.1:443: connect: connection refused", false)]
    fn unreachable_engines(#[case] stderr: &str, #[case] unreachable: bool) {
        assert_eq!(says_unreachable(stderr), unreachable);
    }

    #[rstest]
    #[case("2.29.1", Some(2))]
    #[case("5.6.1", Some(5))]
    #[case("1.29.2", Some(1))]
    #[case("dev", None)]
    fn major_versions(#[case] version: &str, #[case] expected: Option<u64>) {
        assert_eq!(major(version), expected);
    }
}
