//! `homeport up` as a child process.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::address::free_port;
use crate::kubectl::Kubectl;
use crate::repository::{homeport_binary, search_path};
use crate::until::until;

/// A homeport with a state directory and a port of its own. Killed when dropped.
#[derive(Debug)]
pub struct Homeport {
    directory: PathBuf,
    environment: Vec<(String, String)>,
    port: u16,
    child: Option<Child>,
}

impl Homeport {
    /// Starts `homeport up` in the directory, which is its working directory too, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start(directory: &Path, environment: &[(&str, &str)]) -> Self {
        let mut homeport = Self {
            directory: directory.to_owned(),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            port: free_port(),
            child: None,
        };
        homeport.start_again();
        homeport
    }

    /// Starts it again, after [`Self::kill`], on the same state and the same port, and waits until it is ready.
    ///
    /// # Panics
    /// If it runs already, or does not become ready.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "homeport runs already");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("the log can be written");
        let child = Command::new(homeport_binary())
            .args([
                "up",
                "--listen",
                &format!("127.0.0.1:{}", self.port),
                "--state-dir",
            ])
            .arg(self.state_dir())
            .current_dir(&self.directory)
            .env("PATH", search_path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file descriptor is left"))
            .stderr(log)
            .spawn()
            .expect("homeport can be started");
        self.child = Some(child);
        let (kubectl, log) = (self.kubectl(), self.log_file());
        let mut ended = false;
        let came = || {
            ended = self.has_ended();
            (ended || kubectl.answers()).then_some(())
        };
        until("homeport to be ready", came, || end_of(&log));
        assert!(
            !ended,
            "homeport ended instead of becoming ready\n{}",
            end_of(&log)
        );
    }

    /// Kills it as the kernel does when memory is short: no chance to tidy up.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("homeport runs");
        child.kill().expect("homeport can be killed");
        child.wait().expect("homeport can be waited for");
    }

    /// Whether the process has ended by itself.
    fn has_ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// kubectl with the kubeconfig that this homeport writes.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.state_dir().join("kubeconfig"))
    }

    /// Where its state lies.
    pub fn state_dir(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// What it has written to its outputs, over all its starts.
    pub fn log_file(&self) -> PathBuf {
        self.directory.join("homeport.log")
    }

    /// The last lines of that.
    pub fn log(&self) -> String {
        end_of(&self.log_file())
    }
}

fn end_of(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

impl Drop for Homeport {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}
