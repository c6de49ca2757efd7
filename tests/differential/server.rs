//! The two servers, and a place in each for a scenario.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use homeport_tests::{Homeport, KubeApiserver, kube_apiserver_missing, run, run_ok, until};

/// An API server that kubectl can be pointed at.
pub(crate) struct Server {
    kubeconfig: PathBuf,
    _process: Process,
}

/// What ends when the server is dropped.
#[expect(dead_code, reason = "held for what its drop does")]
enum Process {
    Elsewhere,
    Homeport(Homeport),
    KubeApiserver(KubeApiserver),
}

impl Server {
    /// The program under test.
    pub(crate) fn homeport(work: &Path) -> Server {
        if let Some(kubeconfig) = std::env::var_os("DIFFERENTIAL_HOMEPORT") {
            return Server::elsewhere(kubeconfig.into());
        }
        let directory = work.join("homeport-up");
        fs::create_dir_all(&directory).unwrap();
        let homeport = Homeport::start(&directory, &[]);
        Server {
            kubeconfig: homeport.state_dir().join("kubeconfig"),
            _process: Process::Homeport(homeport),
        }
    }

    /// The reference; nothing, and a word about it, if it was not built.
    pub(crate) fn kube_apiserver(work: &Path) -> Option<Server> {
        if let Some(kubeconfig) = std::env::var_os("DIFFERENTIAL_REFERENCE") {
            return Some(Server::elsewhere(kubeconfig.into()));
        }
        if let Some(why) = kube_apiserver_missing() {
            // Past the harness, which would keep it to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: nothing was compared: {why}");
            return None;
        }
        let process = KubeApiserver::start(&work.join("kube-apiserver-state"));
        Some(Server {
            kubeconfig: process.kubeconfig(),
            _process: Process::KubeApiserver(process),
        })
    }

    fn elsewhere(kubeconfig: PathBuf) -> Server {
        Server {
            kubeconfig,
            _process: Process::Elsewhere,
        }
    }

    fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        command
    }

    /// Makes the namespace, with all that a new one has, and a kubeconfig in `work` that leads into it.
    pub(crate) fn enter(&self, namespace: &str, work: &Path) -> PathBuf {
        run_ok(&mut self.kubectl(&["delete", "namespace", namespace, "--ignore-not-found"]));
        run_ok(&mut self.kubectl(&["create", "namespace", namespace]));
        for first in ["serviceaccount/default", "configmap/kube-root-ca.crt"] {
            let there = || {
                run(&mut self.kubectl(&["get", first, "-n", namespace]))
                    .success
                    .then_some(())
            };
            until(first, there, String::new);
        }
        let kubeconfig = work.join("kubeconfig");
        fs::copy(&self.kubeconfig, &kubeconfig).unwrap();
        run_ok(
            Command::new("kubectl")
                .arg("--kubeconfig")
                .arg(&kubeconfig)
                .args(["config", "set-context", "--current", "--namespace", namespace]),
        );
        kubeconfig
    }

    /// Removes the namespace, without waiting.
    pub(crate) fn leave(&self, namespace: &str) {
        run_ok(&mut self.kubectl(&["delete", "namespace", namespace, "--wait=false"]));
    }
}
