//! kube-apiserver with etcd and the controllers that it leaves namespaces and garbage to: the reference for the local API.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::command::run;
use crate::kubectl::Kubectl;
use crate::repository::{repository, search_path};

/// The programs that make up the reference.
const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kube-controller-manager"];

/// Why nothing can be compared with kube-apiserver here, if it cannot.
pub fn kube_apiserver_missing() -> Option<String> {
    let found = run(Command::new(repository().join("scripts/kubernetes.sh")).arg("--where"));
    (!found.success)
        .then(|| "kube-apiserver is not built; scripts/kubernetes.sh does it, where there is Go".to_owned())
}

/// `scripts/kube-apiserver.sh` as a child process. Ends, with all that it started, when dropped or when this process ends.
#[derive(Debug)]
pub struct KubeApiserver {
    directory: PathBuf,
    child: Child,
}

impl KubeApiserver {
    /// Starts it with its data and logs in the directory, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not become ready, as where it [is not built](kube_apiserver_missing).
    pub fn start(directory: &Path) -> Self {
        fs::create_dir_all(directory).expect("the directory can be made");
        let log = File::create(directory.join("start.log")).expect("the log can be written");
        let mut child = Command::new(repository().join("scripts/kube-apiserver.sh"))
            .arg("--until-eof")
            .arg("--dir")
            .arg(directory)
            .env("PATH", search_path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the script can be started");
        let mut line = String::new();
        let output = child.stdout.take().expect("standard output is piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("its output can be read");
        assert!(
            line.starts_with("KUBECONFIG="),
            "kube-apiserver did not become ready\n{}",
            fs::read_to_string(directory.join("start.log")).unwrap_or_default()
        );
        Self {
            directory: directory.to_owned(),
            child,
        }
    }

    /// The kubeconfig of its administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    /// kubectl with that.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.kubeconfig())
    }

    /// The name and the process id of each program that it consists of.
    ///
    /// # Panics
    /// If the script did not record them.
    pub fn processes(&self) -> Vec<(&'static str, u32)> {
        PROGRAMS
            .into_iter()
            .map(|program| {
                let file = self.directory.join(program).with_extension("pid");
                let text = fs::read_to_string(&file).expect("the script writes process ids");
                (program, text.trim().parse().expect("a process id is a number"))
            })
            .collect()
    }
}

impl Drop for KubeApiserver {
    fn drop(&mut self) {
        // The script ends with its input. What it reports of that interests nobody.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
