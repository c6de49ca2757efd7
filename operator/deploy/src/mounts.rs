//! Refusing mounts whose data would be lost with the release that they lie in.

use std::path::{Component, Path, PathBuf};

use crate::compose::{Mount, Project, StackFiles};
use crate::error::{Error, Result};
use crate::release::Release;

/// Refuses what a service could write into the release: the next revision would not find it, and it would be removed
/// with the release. A single file of the bundle is let through, as each release has its own; in a directory of the
/// bundle, files that the bundle has not would come about.
pub(crate) fn refuse_writing_into(release: &Release, files: &StackFiles, project: &Project) -> Result<()> {
    for (service, definition) in &project.services {
        for mount in &definition.volumes {
            if let Some(path) = path_in_release(&release.directory(), mount)
                && !release.manifest().has_file(&path.to_string_lossy())
            {
                return Err(Error::MountInRelease {
                    stack: files.stack.clone(),
                    file: files.name.clone(),
                    service: service.clone(),
                    path,
                });
            }
        }
    }
    Ok(())
}

/// Where in the release a mount can be written to, relative to it; empty for the release itself.
fn path_in_release(release: &Path, mount: &Mount) -> Option<PathBuf> {
    if mount.kind != "bind" || mount.read_only {
        return None;
    }
    let source = without_dots(Path::new(&mount.source));
    source
        .strip_prefix(without_dots(release))
        .ok()
        .map(Path::to_owned)
}

/// Compose leaves `..` in absolute paths as they are written.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("bind", "/srv/r/1-a/data", false, Some("data"))]
    #[case("bind", "/srv/r/1-a/compose/../data", false, Some("data"))]
    #[case("bind", "/srv/r/1-a/./compose/", false, Some("compose"))]
    #[case("bind", "/srv/r/1-a", false, Some(""))]
    #[case("bind", "/srv/r/1-a/../1-a/data", false, Some("data"))]
    #[case("bind", "/srv/r/1-a/data", true, None)]
    #[case("bind", "/srv/r/1-a/../data", false, None)]
    #[case("bind", "/srv/r/1-another/data", false, None)]
    #[case("bind", "/var/run/docker.sock", false, None)]
    #[case("volume", "data", false, None)]
    #[case("tmpfs", "", false, None)]
    fn writable_paths_in_the_release_are_found(
        #[case] kind: &str,
        #[case] source: &str,
        #[case] read_only: bool,
        #[case] expected: Option<&str>,
    ) {
        let mount = Mount {
            kind: kind.to_owned(),
            source: source.to_owned(),
            read_only,
        };
        let found = path_in_release(Path::new("/srv/r/1-a"), &mount);
        assert_eq!(found.as_deref(), expected.map(Path::new));
    }
}
