//! One subject's script, and what it printed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::normal::normalise;
use crate::server::Server;

/// A script that is put to both servers.
pub(crate) struct Scenario {
    pub(crate) name: String,
    file: PathBuf,
}

/// One run of kubectl.
pub(crate) struct Step {
    pub(crate) command: String,
    /// Standard output, standard error with `! ` before each line, and the exit code after `= `; normalised.
    pub(crate) output: String,
}

impl Scenario {
    /// Every `*.sh` of the directory but the prelude, in the order of their names.
    pub(crate) fn all(directory: &Path) -> Vec<Scenario> {
        let mut files: Vec<PathBuf> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
            .filter(|path| path.file_stem().is_some_and(|stem| stem != "prelude"))
            .collect();
        files.sort();
        let name = |file: &Path| file.file_stem().unwrap().to_string_lossy().into_owned();
        files
            .into_iter()
            .map(|file| Scenario {
                name: name(&file),
                file,
            })
            .collect()
    }

    /// Runs it on a server, in a new namespace and a directory below `work`.
    pub(crate) fn run(&self, server: &Server, work: &Path) -> Vec<Step> {
        let directory = work.join(&self.name);
        fs::create_dir_all(&directory).unwrap();
        let namespace = format!("diff-{}", self.name);
        let kubeconfig = server.enter(&namespace, work);
        let prelude = self.file.with_file_name("prelude.sh");
        let script = format!("set -u\n. '{}'\n. '{}'\n", prelude.display(), self.file.display());
        let ended = Command::new("timeout")
            .args(["300", "bash", "-c", &script])
            .current_dir(&directory)
            .env_clear()
            .env("PATH", homeport_tests::search_path())
            .env("HOME", work)
            .env("KUBECTL", "kubectl")
            .env("KUBECONFIG", kubeconfig)
            .env("KUBECACHEDIR", work.join("cache"))
            .env("NS", &namespace)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let mut output = String::from_utf8_lossy(&ended.stdout).into_owned();
        output.push_str(&String::from_utf8_lossy(&ended.stderr));
        assert_ne!(
            ended.status.code(),
            Some(124),
            "{} does not end:\n{output}",
            self.name
        );
        server.leave(&namespace);
        let text = normalise(&output);
        fs::write(work.join(format!("{}.txt", self.name)), &text).unwrap();
        steps(&text)
    }
}

fn steps(text: &str) -> Vec<Step> {
    let text = format!("\n{text}");
    let step = |part: &str| {
        let (command, output) = part.split_once('\n').unwrap_or((part, ""));
        Step {
            command: command.to_owned(),
            output: output.trim_end().to_owned() + "\n",
        }
    };
    text.split("\n$ kubectl ").skip(1).map(step).collect()
}
