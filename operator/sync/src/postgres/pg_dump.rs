//! The schema of the source, by the server's own tool: `pg_dump` knows every kind of object of its version and
//! older ones. It has to be at least as new as the source's server.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use secrecy::ExposeSecret;
use tokio::process::Command;

use super::archive::{self, Entry};
use super::session::Version;
use super::state::SCHEMA;
use crate::error::sqlstate_remedy;
use crate::{Endpoint, Error, Side, Task, TlsMode};

/// Folders in which packages of several versions lie side by side, with `*` for the version.
const VERSIONED_FOLDERS: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
];

/// Reads the schema of the task's source as the exported `snapshot` sees it.
pub(super) async fn schema(task: &Task, server: &Version, snapshot: &str) -> Result<Vec<Entry>, Error> {
    let program = find(task, server).await?;
    let source = &task.source;
    let ca_file = ca_file(source)?;
    let mut command = Command::new(&program);
    command
        .args([
            "--format=custom",
            "--compress=0",
            "--schema-only",
            "--no-subscriptions",
            "--no-password",
        ])
        .args(["--lock-wait-timeout=60s", "--encoding=UTF8"])
        .arg(format!("--snapshot={snapshot}"))
        .arg(format!("--exclude-schema={SCHEMA}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    set_environment(&mut command, source, ca_file.as_ref().map(|file| file.path()));
    let output = command.output().await.map_err(|error| Error::ClientProgram {
        program: "pg_dump",
        cause: format!("cannot run {}: {error}", program.display()),
        remedy: remedy(server),
        transient: false,
    })?;
    if !output.status.success() {
        return Err(failure(source, &String::from_utf8_lossy(&output.stderr)));
    }
    archive::parse(&output.stdout)
}

/// Everything that libpq needs travels in the environment, which only the same user can read, and nothing that
/// this process has in its own.
fn set_environment(command: &mut Command, source: &Endpoint, ca_file: Option<&Path>) {
    command.env_clear();
    for name in ["PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("LC_ALL", "C")
        .env("PGHOST", &source.host)
        .env("PGPORT", source.port.to_string())
        .env("PGDATABASE", &source.database)
        .env("PGUSER", &source.user)
        .env("PGPASSWORD", source.password.expose_secret())
        .env("PGCONNECT_TIMEOUT", "10")
        .env("PGAPPNAME", "homeport pg_dump")
        .env(
            "PGSSLMODE",
            match source.tls.mode {
                TlsMode::Disable => "disable",
                TlsMode::Prefer => "prefer",
                TlsMode::Require => "require",
                TlsMode::VerifyFull => "verify-full",
            },
        );
    if let Some(path) = ca_file {
        command.env("PGSSLROOTCERT", path);
    }
}

/// libpq reads authorities from a file; they are public.
fn ca_file(source: &Endpoint) -> Result<Option<tempfile::NamedTempFile>, Error> {
    if !matches!(source.tls.mode, TlsMode::Require | TlsMode::VerifyFull) {
        return Ok(None);
    }
    let io_error = |error: std::io::Error| Error::ClientProgram {
        program: "pg_dump",
        cause: format!("cannot write the certificate authorities to a temporary file: {error}"),
        remedy: "make the temporary folder writable".into(),
        transient: false,
    };
    let pem = match (&source.tls.ca_pem, source.tls.mode) {
        (Some(pem), _) => pem.clone(),
        (None, TlsMode::VerifyFull) => system_authorities()?,
        (None, _) => return Ok(None),
    };
    let file = tempfile::NamedTempFile::new().map_err(io_error)?;
    std::fs::write(file.path(), pem).map_err(io_error)?;
    Ok(Some(file))
}

/// The operating system's bundle of the public web's authorities.
fn system_authorities() -> Result<String, Error> {
    [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/cert.pem",
    ]
    .iter()
    .find_map(|path| std::fs::read_to_string(path).ok())
    .ok_or_else(|| Error::ClientProgram {
        program: "pg_dump",
        cause: "the system has no bundle of certificate authorities".into(),
        remedy: "install the package ca-certificates or give the source's authority as PEM".into(),
        transient: false,
    })
}

fn failure(source: &Endpoint, stderr: &str) -> Error {
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.contains("detail:")).collect();
    if stderr.contains("permission denied") {
        const INSUFFICIENT_PRIVILEGE: &str = "42501";
        return Error::Database {
            side: Side::Source,
            endpoint: source.to_string(),
            action: "reading the schema".into(),
            message: lines.join("; "),
            sqlstate: INSUFFICIENT_PRIVILEGE.into(),
            remedy: sqlstate_remedy(INSUFFICIENT_PRIVILEGE),
        };
    }
    let transient = [
        "could not connect",
        "connection to server",
        "lock timeout",
        "shutting down",
        "terminat",
    ]
    .iter()
    .any(|sign| stderr.contains(sign))
        && !stderr.contains("authentication failed");
    Error::ClientProgram {
        program: "pg_dump",
        cause: format!("could not read the source's schema: {}", lines.join("; ")),
        remedy: "see that the user may read every schema and table of the source (for example by the role \
                 pg_read_all_data) or exclude what it may not read"
            .into(),
        transient,
    }
}

fn remedy(server: &Version) -> String {
    format!(
        "install the PostgreSQL client programs of version {major} or later on the machine that runs homeport \
         (Debian: postgresql-client-{major}, Fedora: postgresql, Alpine: postgresql{major}-client)",
        major = server.major
    )
}

/// The oldest `pg_dump` at hand that is as new as the server: the closer to it, the fewer things that an older
/// target does not know.
async fn find(task: &Task, server: &Version) -> Result<PathBuf, Error> {
    let mut usable: Vec<(u32, PathBuf)> = Vec::new();
    let mut too_old = Vec::new();
    for program in candidates(task.tuning.client_tools.as_deref()) {
        match program_major(&program).await {
            Some(major) if major >= server.major => usable.push((major, program)),
            Some(major) => too_old.push(format!("{} is version {major}", program.display())),
            None => {}
        }
    }
    usable
        .into_iter()
        .min()
        .map(|(_, program)| program)
        .ok_or_else(|| Error::ClientProgram {
            program: "pg_dump",
            cause: if too_old.is_empty() {
                "it is not installed".into()
            } else {
                format!(
                    "{}, older than the source's server ({})",
                    too_old.join(", "),
                    server.text
                )
            },
            remedy: remedy(server),
            transient: false,
        })
}

fn candidates(folder: Option<&Path>) -> Vec<PathBuf> {
    let folders = match folder {
        Some(folder) => vec![folder.to_owned()],
        None => VERSIONED_FOLDERS
            .iter()
            .flat_map(|pattern| expand(pattern))
            .chain(std::env::var_os("PATH").iter().flat_map(std::env::split_paths))
            .collect(),
    };
    folders
        .into_iter()
        .map(|folder| folder.join("pg_dump"))
        .filter(|program| program.is_file())
        .collect()
}

/// The folders that match `pattern`, which has one `*` within one path component.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((head, tail)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let Some((parent, prefix)) = head.rsplit_once('/') else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(tail.trim_start_matches('/')))
        .collect()
}

async fn program_major(program: &Path) -> Option<u32> {
    let output = Command::new(program)
        .arg("--version")
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// The major version in `pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn parse_version(text: &str) -> Option<u32> {
    let version = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", Some(15))]
    #[case("pg_dump (PostgreSQL) 19devel\n", Some(19))]
    #[case("pg_dump (PostgreSQL) 18\n", Some(18))]
    #[case("something else 4.2", None)]
    fn versions(#[case] text: &str, #[case] major: Option<u32>) {
        assert_eq!(parse_version(text), major);
    }

    fn endpoint() -> Endpoint {
        Endpoint {
            host: "db".into(),
            port: 5432,
            database: "shop".into(),
            user: "shop".into(),
            password: "secret".into(),
            tls: crate::Tls::default(),
        }
    }

    #[tokio::test]
    async fn a_missing_program_is_named_with_its_package() {
        let mut task = Task::new("shop", endpoint(), endpoint());
        task.tuning.client_tools = Some("/nonexistent".into());
        let error = find(
            &task,
            &Version {
                major: 16,
                text: "16.2".into(),
            },
        )
        .await
        .map(drop);
        let message = error.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(
            message.contains("not installed") && message.contains("postgresql-client-16"),
            "{message}"
        );
    }

    #[test]
    fn only_connection_failures_are_tried_again() {
        let failed = |stderr: &str| failure(&endpoint(), stderr);
        assert!(
            failed("pg_dump: error: connection to server at \"db\" failed: Connection refused")
                .is_transient()
        );
        assert!(!failed("connection to server failed: FATAL: password authentication failed").is_transient());
        let denied = failed("pg_dump: error: query failed: ERROR:  permission denied for table users");
        assert_eq!(
            (denied.is_transient(), denied.reason()),
            (false, "PermissionDenied")
        );
    }
}
