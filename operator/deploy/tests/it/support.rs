//! A bundle to deploy, in a directory and with names of its own, and its removal however a test ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use homeport_bundle::{Checksum, Manifest, Stack};
use homeport_deploy::{Event, Layout, LocalHost, Options, Release, Report, Result};
use secrecy::SecretString;

/// What the images of tests are made by. Another recipe has another name.
const RECIPE: &str = "FROM scratch + /bin/busybox and links to it for each applet below, v1";
const APPLETS: [&str; 10] = [
    "sh", "sleep", "true", "false", "echo", "cat", "touch", "env", "test", "base64",
];

/// The value of the secret `PASSWORD` in all tests: no text that a test sees may hold it.
pub(crate) const PASSWORD: &str = "pa$$w0rd with/odd&chars";

/// Runs a command of the engine; its output.
pub(crate) fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("docker runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The name of an image with a shell in it; `None`, having said so, if there is no engine to test with.
pub(crate) fn image() -> Option<&'static str> {
    static IMAGE: OnceLock<Option<String>> = OnceLock::new();
    let image = IMAGE.get_or_init(|| match build_image() {
        Ok(image) => Some(image),
        Err(reason) => {
            eprintln!("SKIPPED: no deployment is tested: {reason}");
            None
        }
    });
    image.as_deref()
}

fn build_image() -> std::result::Result<String, String> {
    let ready = Command::new("docker")
        .args(["version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !ready.is_ok_and(|status| status.success()) {
        return Err("the container engine does not answer (docker version)".to_owned());
    }
    let compose = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(args)
            .env("PATH", search_path())
            .stderr(Stdio::null());
        command
            .output()
            .is_ok_and(|output| output.status.success() && !output.stdout.starts_with(b"1."))
    };
    if !compose("docker", &["compose", "version", "--short"])
        && !compose("docker-compose", &["version", "--short"])
    {
        return Err("there is no Compose 2 or later".to_owned());
    }
    let tag = Checksum::of(format!("{RECIPE}{APPLETS:?}").as_bytes()).to_hex();
    let image = format!("homeport-test/busybox:{}", &tag[..12]);
    if !docker(&["images", "--quiet", &image]).is_empty() {
        return Ok(image);
    }
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let root = directory.path().join("root");
    std::fs::create_dir_all(root.join("bin")).map_err(|error| error.to_string())?;
    std::fs::create_dir_all(root.join("tmp")).map_err(|error| error.to_string())?;
    std::fs::copy(busybox(directory.path())?, root.join("bin/busybox")).map_err(|error| error.to_string())?;
    for applet in APPLETS {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet))
            .map_err(|error| error.to_string())?;
    }
    let import = format!("tar -C {} -c . | docker import - {image}", root.display());
    let imported = Command::new("sh")
        .args(["-c", &import])
        .output()
        .map_err(|error| error.to_string())?;
    imported
        .status
        .success()
        .then_some(image)
        .ok_or_else(|| "docker import failed".to_owned())
}

/// A busybox that needs no libraries: an installed one, or that of the Debian package.
fn busybox(scratch: &Path) -> std::result::Result<PathBuf, String> {
    for path in ["/bin/busybox", "/usr/bin/busybox"] {
        let linked = Command::new("ldd").arg(path).output();
        if Path::new(path).exists() && linked.is_ok_and(|output| !output.status.success()) {
            return Ok(path.into());
        }
    }
    let fetch = "apt-get download busybox-static && dpkg -x busybox-static*.deb unpacked";
    let fetched = Command::new("sh")
        .args(["-c", fetch])
        .current_dir(scratch)
        .output();
    let candidates = ["unpacked/bin/busybox", "unpacked/usr/bin/busybox"].map(|path| scratch.join(path));
    match candidates.into_iter().find(|path| path.exists()) {
        Some(path) if fetched.is_ok() => Ok(path),
        _ => Err("there is no static busybox: install the package busybox-static".to_owned()),
    }
}

/// `PATH`, and where `make setup` puts Compose.
pub(crate) fn search_path() -> std::ffi::OsString {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let tools = std::env::var_os("HOMEPORT_TOOLS").map(PathBuf::from);
    let tools = tools.or_else(|| Some(cache?.join("homeport/tools")));
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&inherited).chain(tools.map(|tools| tools.join("bin")));
    std::env::join_paths(places).expect("PATH has no colon in a name")
}

/// A bundle on this machine.
pub(crate) struct Place {
    pub(crate) host: LocalHost,
    pub(crate) layout: Layout,
    pub(crate) secrets: BTreeMap<String, SecretString>,
    pub(crate) options: Options,
    pub(crate) events: Mutex<Vec<Event>>,
    root: PathBuf,
    owned: bool,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory").keep();
        let name = format!("hptest-{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
        Self::at(root, &name, true)
    }

    /// A place that another process made and will remove.
    pub(crate) fn of_another(root: PathBuf, name: &str) -> Self {
        Self::at(root, name, false)
    }

    fn at(root: PathBuf, name: &str, owned: bool) -> Self {
        let password = ("PASSWORD".to_owned(), SecretString::from(PASSWORD));
        let options = Options {
            actor: "test".to_owned(),
            timeout: std::time::Duration::from_secs(60),
            stable: std::time::Duration::from_millis(800),
            ..Options::default()
        };
        Self {
            host: LocalHost::new(None).variable("PATH", search_path()),
            layout: Layout::new(&root, "default", name).expect("a good name"),
            secrets: BTreeMap::from([password]),
            options,
            events: Mutex::default(),
            root,
            owned,
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn name(&self) -> String {
        self.layout
            .bundle_name()
            .trim_start_matches("default/")
            .to_owned()
    }

    /// Puts a release in place: its files, and its stacks as name, dependency, compose file.
    pub(crate) async fn release(
        &self,
        revision: i64,
        stacks: &[(&str, &str, &str)],
        files: &[(&str, &str)],
    ) -> Release {
        let mut manifest = Manifest::default();
        let mut tree: BTreeMap<String, String> = files
            .iter()
            .map(|(path, content)| ((*path).to_owned(), (*content).to_owned()))
            .collect();
        for (name, needs, compose) in stacks {
            let path = format!("compose/{name}.yml");
            manifest.stacks.push(Stack {
                name: (*name).to_owned(),
                depends_on: needs.split_whitespace().map(str::to_owned).collect(),
                compose_path: Some(path.clone()),
                ..Stack::default()
            });
            tree.insert(
                path,
                compose.replace("IMAGE", image().expect("tests skip without an image")),
            );
        }
        for (path, content) in &tree {
            manifest
                .checksums
                .insert(path.clone(), Checksum::of(content.as_bytes()));
        }
        let json = manifest.to_json().expect("a manifest is JSON");
        let digest = Checksum::of(&json);
        tree.insert(
            Manifest::PATH.to_owned(),
            String::from_utf8(json).expect("JSON is UTF-8"),
        );
        let directory = self.layout.release_directory(revision, digest);
        for (path, content) in tree {
            let path = directory.join(path);
            std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("directories");
            std::fs::write(path, content).expect("a file");
        }
        Release::open(&self.host, &self.layout, revision, digest)
            .await
            .expect("the release is whole")
    }

    pub(crate) async fn deploy(&self, release: &Release) -> Result<Report> {
        let observer = |event| self.events.lock().expect("no test panics here").push(event);
        homeport_deploy::deploy(&self.host, release, &self.options, &self.secrets, &observer).await
    }

    /// IDs of a stack's containers with the times when they were started, sorted.
    pub(crate) fn containers(&self, stack: &str) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}", self.layout.project(stack));
        let ids = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]);
        let format = "{{.Id}} {{.State.StartedAt}}";
        let told = ids.lines().map(|id| docker(&["inspect", "--format", format, id]));
        let mut told: Vec<String> = told.collect();
        told.sort_unstable();
        told
    }

    /// All text that homeport keeps on the host.
    pub(crate) fn kept_text(&self) -> String {
        fn read(path: &Path, text: &mut String) {
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    read(&entry.path(), text);
                } else {
                    text.push_str(&String::from_utf8_lossy(
                        &std::fs::read(entry.path()).unwrap_or_default(),
                    ));
                }
            }
        }
        let mut text = String::new();
        read(&self.root, &mut text);
        text
    }

    /// What the hooks below wrote.
    pub(crate) fn hook_runs(&self) -> String {
        std::fs::read_to_string(self.layout.directory().join("hook-runs")).unwrap_or_default()
    }
}

/// A hook that leaves a line where [`Place::hook_runs`] finds it.
pub(crate) fn hook(name: &str) -> String {
    format!("#!/bin/sh\necho {name} >>../../hook-runs\n")
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
        let ours = |names: String| -> Vec<String> {
            let name = self.name();
            names
                .lines()
                .filter(|line| line.contains(&name))
                .map(str::to_owned)
                .collect()
        };
        for container in ours(docker(&["ps", "--all", "--format", "{{.Names}}"])) {
            docker(&["rm", "--force", "--volumes", &container]);
        }
        for network in ours(docker(&["network", "ls", "--format", "{{.Name}}"])) {
            docker(&["network", "rm", &network]);
        }
        for volume in ours(docker(&["volume", "ls", "--format", "{{.Name}}"])) {
            docker(&["volume", "rm", &volume]);
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}
