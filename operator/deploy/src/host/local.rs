//! The machine where this program runs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

use super::{Command, Host, KEPT_VARIABLES, Output};
use crate::error::{Error, Result};

/// How long outputs are read on when the program itself has ended: what it left behind may hold them open forever.
const DRAIN: Duration = Duration::from_secs(2);

/// The machine where this program runs.
#[derive(Debug, Clone)]
pub struct LocalHost {
    environment: BTreeMap<String, OsString>,
}

impl LocalHost {
    /// With the engine that `docker_host` is the address of (`unix:///var/run/docker.sock`); without, the one that
    /// the environment says or the default.
    pub fn new(docker_host: Option<&str>) -> Self {
        let kept = KEPT_VARIABLES
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?)));
        let mut environment: BTreeMap<_, _> = kept.collect();
        if let Some(address) = docker_host {
            environment.insert("DOCKER_HOST".to_owned(), address.into());
            environment.remove("DOCKER_CONTEXT");
        }
        Self { environment }
    }

    /// With a variable that all programs get, such as another `PATH`.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    fn spawn(&self, command: &Command) -> std::io::Result<Child> {
        let secrets = command
            .secret_env
            .iter()
            .map(|(name, value)| (name, value.expose_secret()));
        let mut process = tokio::process::Command::new(&command.program);
        process
            .args(&command.args)
            .env_clear()
            .envs(&self.environment)
            .envs(&command.env)
            .envs(secrets)
            .stdin(if command.stdin.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(directory) = &command.directory {
            process.current_dir(directory);
        }
        process.spawn()
    }
}

#[async_trait]
impl Host for LocalHost {
    fn name(&self) -> &str {
        "local"
    }

    async fn run(&self, command: &Command) -> Result<Output> {
        tracing::debug!(program = command.program, args = ?command.args, "run");
        let mut child = self.spawn(command).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::ProgramMissing {
                host: self.name().to_owned(),
                program: command.program.clone(),
                remedy: "install it, or correct PATH",
            },
            _ => Error::io("start", &command.program, source),
        })?;
        let group = ProcessGroup::of(&child);
        let output = communicate(&mut child, &group, command).await;
        group.disarm();
        output.map_err(|source| Error::io("run", &command.program, source))
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match tokio::fs::read(path).await {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path, error)),
        }
    }

    async fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        let content = content.to_vec();
        blocking("write", path, move |path| {
            staged(path, &content)?
                .persist(path)
                .map_err(|error| error.error)?;
            sync_parent(path)
        })
        .await
    }

    async fn create(&self, path: &Path, content: &[u8]) -> Result<bool> {
        let content = content.to_vec();
        blocking("write", path, move |path| {
            match staged(path, &content)?.persist_noclobber(path) {
                Ok(_) => sync_parent(path).map(|()| true),
                Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error.error),
            }
        })
        .await
    }

    async fn append_line(&self, path: &Path, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        blocking("write", path, move |path| {
            std::fs::create_dir_all(parent(path))?;
            let mut file = std::fs::File::options().create(true).append(true).open(path)?;
            file.write_all(line.as_bytes())?;
            file.sync_data()
        })
        .await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<bool> {
        let to = to.to_owned();
        blocking("rename", from, move |from| {
            std::fs::create_dir_all(parent(&to))?;
            match std::fs::rename(from, &to) {
                Ok(()) => sync_parent(&to).map(|()| true),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn list(&self, path: &Path) -> Result<Vec<String>> {
        blocking("list", path, |path| {
            let entries = match std::fs::read_dir(path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            let mut names = names.collect::<std::io::Result<Vec<String>>>()?;
            names.sort_unstable();
            Ok(names)
        })
        .await
    }

    async fn files_below(&self, path: &Path) -> Result<Vec<PathBuf>> {
        blocking("list", path, |path| {
            let mut files = Vec::new();
            let mut directories = vec![PathBuf::new()];
            while let Some(directory) = directories.pop() {
                let entries = match std::fs::read_dir(path.join(&directory)) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                for entry in entries {
                    let entry = entry?;
                    let found = directory.join(entry.file_name());
                    if entry.file_type()?.is_dir() {
                        directories.push(found);
                    } else {
                        files.push(found);
                    }
                }
            }
            Ok(files)
        })
        .await
    }

    async fn remove(&self, path: &Path) -> Result<()> {
        blocking("remove", path, |path| {
            let removed = match std::fs::symlink_metadata(path) {
                Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
                Ok(_) => std::fs::remove_file(path),
                Err(error) => Err(error),
            };
            match removed {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                other => other,
            }
        })
        .await
    }
}

/// Kills a process and all of its group when dropped, unless it has ended by itself.
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        Self(
            child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw),
        )
    }

    fn kill(&self) {
        if let Some(leader) = self.0 {
            // It may have ended meanwhile.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Feeds a program its input and collects its outputs until it ends, or its time does.
async fn communicate(child: &mut Child, group: &ProcessGroup, command: &Command) -> std::io::Result<Output> {
    let mut stdout = Tail::new(command.output_limit);
    let mut stderr = Tail::new(command.output_limit);
    let stdin = child.stdin.take();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (status, timed_out) = {
        let streams = async {
            let feed = async {
                if let Some(mut stdin) = stdin {
                    // A program need not read all of its input.
                    let _ = stdin.write_all(&command.stdin).await;
                }
            };
            tokio::join!(feed, stdout.read(out), stderr.read(err))
        };
        tokio::pin!(streams);
        let deadline = tokio::time::sleep(command.timeout);
        tokio::pin!(deadline);

        let mut drained = false;
        let mut timed_out = false;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                _ = &mut streams, if !drained => drained = true,
                () = &mut deadline, if !timed_out => {
                    timed_out = true;
                    group.kill();
                }
            }
        };
        if !drained {
            // What does not end in time is cut off: what was read until then counts.
            let _ = tokio::time::timeout(DRAIN, streams).await;
        }
        (status, timed_out)
    };
    Ok(Output {
        code: status.code(),
        timed_out,
        truncated: stdout.truncated || stderr.truncated,
        stdout: stdout.into_text(),
        stderr: stderr.into_text(),
    })
}

/// The last bytes of an output.
struct Tail {
    limit: usize,
    bytes: Vec<u8>,
    truncated: bool,
}

impl Tail {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: Vec::new(),
            truncated: false,
        }
    }

    async fn read(&mut self, output: Option<impl AsyncRead + Unpin>) -> std::io::Result<()> {
        let Some(mut output) = output else { return Ok(()) };
        let mut chunk = vec![0; 16 << 10];
        loop {
            let read = output.read(&mut chunk).await?;
            if read == 0 {
                return Ok(());
            }
            self.push(&chunk[..read]);
        }
    }

    fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        // Cut only at twice the limit: each byte is moved once at most.
        if self.bytes.len() > 2 * self.limit {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.bytes.drain(..self.bytes.len() - self.limit);
        self.truncated = true;
    }

    /// The text, beginning with a whole line: half a line might hold half a secret, which nothing would recognise.
    fn into_text(mut self) -> String {
        if self.bytes.len() > self.limit {
            self.cut();
        }
        let start = match self.bytes.iter().position(|&b| b == b'\n') {
            _ if !self.truncated => 0,
            Some(newline) => newline + 1,
            None => self.bytes.len(),
        };
        String::from_utf8_lossy(&self.bytes[start..]).into_owned()
    }
}

/// Runs file work where it may block.
async fn blocking<T, F>(action: &'static str, path: &Path, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
{
    let owned = path.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&owned)).await;
    done.unwrap_or_else(|join| Err(std::io::Error::other(join)))
        .map_err(|source| Error::io(action, path, source))
}

/// A file beside `path` with that content, on disk.
fn staged(path: &Path, content: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    let directory = parent(path);
    std::fs::create_dir_all(&directory)?;
    let mut file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes a rename last.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(parent(path))?.sync_all()
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}
