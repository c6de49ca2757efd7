//! Docker, and a way to take it away from one homeport alone.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::command::{run, run_ok};

/// Why tests with containers cannot run here, if they cannot.
pub fn docker_missing() -> Option<String> {
    let images = ["homeport-demo/postgres:15", "homeport-demo/webshop:1"];
    let found = run(Command::new("docker")
        .args(["image", "inspect", "--format", "{{.Id}}"])
        .args(images));
    (!found.success).then(|| {
        format!(
            "run `make setup` and scripts/images.sh first: {}",
            found.stderr.trim()
        )
    })
}

/// Removes all containers on the network, the network and the volumes, if they are there.
pub(crate) fn remove(network: &str, volume: &str) {
    for filter in [format!("network={network}"), format!("volume={volume}")] {
        let listed = run_ok(Command::new("docker").args(["ps", "--all", "--quiet", "--filter", &filter]));
        for container in listed.split_whitespace() {
            run(Command::new("docker").args(["rm", "--force", "--volumes", container]));
        }
    }
    run(Command::new("docker").args(["network", "rm", network]));
    run(Command::new("docker").args(["volume", "rm", "--force", volume]));
}

/// A socket that leads to Docker's own and can be shut, which looks just as if Docker had been stopped.
#[derive(Debug)]
pub struct DockerProxy {
    path: PathBuf,
    open: Arc<Mutex<Vec<UnixStream>>>,
    listener: Option<UnixListener>,
}

impl DockerProxy {
    /// A proxy at that path, open.
    ///
    /// # Panics
    /// If no socket can be made there.
    pub fn open_at(path: &Path) -> Self {
        let mut proxy = Self {
            path: path.to_owned(),
            open: Arc::default(),
            listener: None,
        };
        proxy.open();
        proxy
    }

    /// Begins to take connections.
    ///
    /// # Panics
    /// If no socket can be made.
    pub fn open(&mut self) {
        let listener = UnixListener::bind(&self.path).expect("a socket can be made");
        self.listener = Some(listener.try_clone().expect("a file descriptor is left"));
        let connections = Arc::clone(&self.open);
        thread::spawn(move || accept(&listener, &connections));
    }

    /// Ends all connections and takes no more.
    ///
    /// # Panics
    /// If it is not open.
    pub fn shut(&mut self) {
        fs::remove_file(&self.path).expect("the socket is there");
        // Shutting a listening socket down wakes the thread that waits in accept.
        let listener: UnixStream = std::os::fd::OwnedFd::from(self.listener.take().expect("open")).into();
        listener.shutdown(Shutdown::Both).ok();
        for connection in self.open.lock().expect("no thread has panicked").drain(..) {
            connection.shutdown(Shutdown::Both).ok();
        }
    }
}

fn accept(listener: &UnixListener, connections: &Mutex<Vec<UnixStream>>) {
    while let Ok((client, _)) = listener.accept() {
        let Ok(docker) = UnixStream::connect("/run/docker.sock") else {
            continue;
        };
        if let (Ok(a), Ok(b)) = (client.try_clone(), docker.try_clone()) {
            connections.lock().expect("no thread has panicked").extend([a, b]);
        }
        pump(&client, &docker);
        pump(&docker, &client);
    }
}

/// Copies one direction in a thread of its own; the end of one side is passed on to the other.
fn pump(from: &UnixStream, to: &UnixStream) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else {
        return;
    };
    thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shut_proxy_looks_like_docker_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("docker.sock");
        let docker = || {
            run(Command::new("docker")
                .arg("-H")
                .arg(format!("unix://{}", socket.display()))
                .arg("version"))
        };
        if !run(Command::new("docker").arg("version")).success {
            return;
        }
        let mut proxy = DockerProxy::open_at(&socket);
        assert!(docker().success);
        proxy.shut();
        assert!(!docker().success);
        proxy.open();
        assert!(docker().success);
    }
}
