//! A container image with a shell in it and nothing else, which needs no registry.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use homeport_bundle::Checksum;

use crate::command::run;

/// What the image is made by. Another recipe has another name.
const RECIPE: &str = "FROM scratch + /bin/busybox and links to it for each applet below, v1";
const APPLETS: [&str; 10] = [
    "sh", "sleep", "true", "false", "echo", "cat", "touch", "env", "test", "base64",
];

/// The name of an image with a shell in it, made where it is not there yet.
///
/// # Errors
/// Why there is none: no container engine answers, or there is no busybox to make it of.
pub fn busybox_image() -> Result<&'static str, &'static str> {
    static IMAGE: OnceLock<Result<String, String>> = OnceLock::new();
    let image = IMAGE.get_or_init(build);
    image.as_deref().map_err(String::as_str)
}

fn build() -> Result<String, String> {
    let engine = Command::new("docker").arg("version").output();
    if !engine.is_ok_and(|output| output.status.success()) {
        return Err("the container engine does not answer (docker version)".to_owned());
    }
    let tag = Checksum::of(format!("{RECIPE}{APPLETS:?}").as_bytes()).to_hex();
    let image = format!("homeport-test/busybox:{}", &tag[..12]);
    let known = run(Command::new("docker").args(["images", "--quiet", &image]));
    if !known.stdout.trim().is_empty() {
        return Ok(image);
    }
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let root = directory.path().join("root");
    let files = || {
        fs::create_dir_all(root.join("bin"))?;
        fs::create_dir_all(root.join("tmp"))?;
        APPLETS
            .iter()
            .try_for_each(|applet| symlink("busybox", root.join("bin").join(applet)))
    };
    files().map_err(|error| error.to_string())?;
    fs::copy(static_busybox(directory.path())?, root.join("bin/busybox"))
        .map_err(|error| error.to_string())?;
    let import = format!("tar -C {} -c . | docker import - {image}", root.display());
    let imported = run(Command::new("sh").args(["-c", &import]));
    imported
        .success
        .then_some(image)
        .ok_or_else(|| imported.to_string())
}

/// A busybox that needs no libraries: an installed one, or that of the Debian package.
fn static_busybox(scratch: &Path) -> Result<PathBuf, String> {
    for path in ["/bin/busybox", "/usr/bin/busybox"] {
        if Path::new(path).exists() && !run(Command::new("ldd").arg(path)).success {
            return Ok(path.into());
        }
    }
    let fetch = "apt-get download busybox-static && dpkg -x busybox-static*.deb unpacked";
    run(Command::new("sh").args(["-c", fetch]).current_dir(scratch));
    let candidates = ["unpacked/bin/busybox", "unpacked/usr/bin/busybox"].map(|path| scratch.join(path));
    candidates
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| "there is no static busybox: install the package busybox-static".to_owned())
}
