//! What a deployment needs of a host: run programs, keep files.

mod local;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::error::Result;

pub use local::LocalHost;

/// Variables that clients of the engine need to find and reach it: all that programs get of homeport's own.
const KEPT_VARIABLES: [&str; 24] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "DOCKER_API_VERSION",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Whether a variable steers programs on the host, so that no secret may have its name.
pub(crate) fn is_reserved(name: &str) -> bool {
    const PREFIXES: [&str; 4] = ["COMPOSE_", "DOCKER_", "LD_", "HOMEPORT_"];
    const SHELL: [&str; 3] = ["BASH_ENV", "ENV", "IFS"];
    KEPT_VARIABLES.contains(&name)
        || SHELL.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A machine with a container engine. All paths are paths on that machine.
#[async_trait]
pub trait Host: Send + Sync {
    /// What to call it in messages.
    fn name(&self) -> &str;

    /// Runs a program to its end. That it fails, or takes too long, is no error here: see [`Output`].
    ///
    /// When its time is over, or the returned future is dropped, the program and what it started are killed.
    async fn run(&self, command: &Command) -> Result<Output>;

    /// The content of a file; `None` if there is none.
    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>>;

    /// Puts a file in place at once: whoever reads it, even after a crash, sees the old content or the new. Missing
    /// directories are made. Only the owner may read it.
    async fn write(&self, path: &Path, content: &[u8]) -> Result<()>;

    /// As [`Host::write`], but only if there is no such file; whether it was written.
    async fn create(&self, path: &Path, content: &[u8]) -> Result<bool>;

    /// Adds one line to a file, on disk when this returns.
    async fn append_line(&self, path: &Path, line: &str) -> Result<()>;

    /// Moves a file or directory, over a file that is there. `false` if there is nothing to move.
    async fn rename(&self, from: &Path, to: &Path) -> Result<bool>;

    /// Names of a directory's entries, sorted; none if there is no such directory.
    async fn list(&self, path: &Path) -> Result<Vec<String>>;

    /// Paths of all that is in a directory and below it, relative to it, directories left out; none if there is no such
    /// directory. Links are not followed.
    async fn files_below(&self, path: &Path) -> Result<Vec<PathBuf>>;

    /// Removes a file, or a directory with all that is in it, if it is there.
    async fn remove(&self, path: &Path) -> Result<()>;
}

/// A program to run.
///
/// It gets only those variables of the environment that programs for containers need (`PATH`, `HOME`, `DOCKER_HOST`
/// and the like) and those set here.
#[derive(Debug, Clone)]
pub struct Command {
    /// Its name, looked up in `PATH`, or its path.
    pub program: String,
    /// Its arguments. Everybody on the host can read them: no secrets here.
    pub args: Vec<String>,
    /// Variables that may be seen.
    pub env: BTreeMap<String, String>,
    /// Variables that may not.
    pub secret_env: BTreeMap<String, SecretString>,
    /// What it reads from its standard input; nothing if empty.
    pub stdin: Vec<u8>,
    /// Where it runs.
    pub directory: Option<PathBuf>,
    /// How long it may run.
    pub timeout: Duration,
    /// How many bytes are kept of each of its two outputs. Of more, the last are kept.
    pub output_limit: usize,
}

/// What became of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Its exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Whether it was killed because its time was over.
    pub timed_out: bool,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// Whether an output was longer than what is kept of it. What is kept begins with a whole line.
    pub truncated: bool,
}

impl Command {
    /// `program` with `args`, for at most a minute, keeping 4 MiB of its outputs.
    pub fn new<S: Into<String>>(program: impl Into<String>, args: impl IntoIterator<Item = S>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            secret_env: BTreeMap::new(),
            stdin: Vec::new(),
            directory: None,
            timeout: Duration::from_secs(60),
            output_limit: 4 << 20,
        }
    }

    /// With another timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With variables that may not be seen.
    #[must_use]
    pub fn secrets(mut self, secrets: &BTreeMap<String, SecretString>) -> Self {
        self.secret_env.clone_from(secrets);
        self
    }

    /// In a directory.
    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Its program and its arguments, for messages.
    pub fn display(&self) -> String {
        std::iter::once(&self.program)
            .chain(&self.args)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// As one of a group of which never two run at once, even if who started the first is dead. `lock` is the file
    /// that the group shares; waiting counts as running.
    #[must_use]
    pub fn exclusively(mut self, lock: &Path) -> Self {
        // The lock is on the open file, which the program inherits: it ends with the program, whatever ends that.
        const SCRIPT: &str =
            r#"exec 9>>"$0" || exit; if command -v flock >/dev/null; then flock 9; fi; exec "$@""#;
        let own = [
            "-c".to_owned(),
            SCRIPT.to_owned(),
            lock.to_string_lossy().into_owned(),
        ];
        let args = own.into_iter().chain([self.program]).chain(self.args).collect();
        self.program = "sh".to_owned();
        self.args = args;
        self
    }
}

impl Output {
    /// Whether the program says that it succeeded.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// How it ended, for messages.
    pub fn ending(&self) -> String {
        match self.code {
            _ if self.timed_out => "was stopped when its time was over".to_owned(),
            Some(code) => format!("ended with exit status {code}"),
            None => "was ended by a signal".to_owned(),
        }
    }
}
