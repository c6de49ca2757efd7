//! Where things are on a host.

use std::path::PathBuf;

use homeport_bundle::Checksum;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The directory of one bundle on a host: `<root>/<namespace>/<bundle>/`.
///
/// ```text
/// <root>/salt                        keys the fingerprints of this host
/// <root>/<namespace>/<bundle>/
///   releases/<revision>-<digest>/    unpacked bundles; the digest is cut to 12 digits
///   current                          name of the release that runs
///   deployment.json                  what is deployed, and what is under way
///   snapshots/<time>.json            what ran before a change
///   hooks/<revision>-<digest>/       a file for each hook that succeeded
///   locks/<stack>                    held by the program that changes the stack
///   lock                             who deploys, and why
///   audit.log                        who did what, and when: one JSON object a line
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    namespace: String,
    bundle: String,
}

impl Layout {
    /// The directory of the bundle of that namespace and name, as the resource has them. `root` must be absolute.
    pub fn new(
        root: impl Into<PathBuf>,
        namespace: impl Into<String>,
        bundle: impl Into<String>,
    ) -> Result<Self> {
        let layout = Self {
            root: root.into(),
            namespace: namespace.into(),
            bundle: bundle.into(),
        };
        for name in [&layout.namespace, &layout.bundle] {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
            if name.is_empty() || name.starts_with('.') || name.len() > 253 || !name.bytes().all(plain) {
                return Err(Error::InvalidName { name: name.clone() });
            }
        }
        if !layout.root.is_absolute() {
            return Err(Error::RelativeRoot { path: layout.root });
        }
        Ok(layout)
    }

    /// Namespace and name, for messages.
    pub fn bundle_name(&self) -> String {
        format!("{}/{}", self.namespace, self.bundle)
    }

    /// The directory of the bundle.
    pub fn directory(&self) -> PathBuf {
        self.root.join(&self.namespace).join(&self.bundle)
    }

    /// Where the bundle of that revision and digest is unpacked to.
    pub fn release_directory(&self, revision: i64, digest: Checksum) -> PathBuf {
        self.releases().join(release_name(revision, digest))
    }

    /// The project that a stack is for Compose: `<bundle>-<stack>-<hash>`, the dots of names replaced by `-` and the
    /// whole cut to 63 characters. The hash is of namespace, bundle and stack, so that no two stacks share a project.
    pub fn project(&self, stack: &str) -> String {
        let identity = [&self.namespace, "/", &self.bundle, "/", stack].concat();
        let hash = hex::encode(&Sha256::digest(identity)[..4]);
        let mut name = format!("{}-{stack}", self.bundle).replace('.', "-");
        name.truncate(63 - 1 - hash.len());
        format!("{}-{hash}", name.trim_end_matches(['-', '_']))
    }

    pub(crate) fn salt(&self) -> PathBuf {
        self.root.join("salt")
    }

    pub(crate) fn releases(&self) -> PathBuf {
        self.directory().join("releases")
    }

    pub(crate) fn current(&self) -> PathBuf {
        self.directory().join("current")
    }

    pub(crate) fn deployment(&self) -> PathBuf {
        self.directory().join("deployment.json")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.directory().join("snapshots")
    }

    pub(crate) fn hooks(&self) -> PathBuf {
        self.directory().join("hooks")
    }

    pub(crate) fn stack_lock(&self, stack: &str) -> PathBuf {
        self.directory().join("locks").join(stack)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.directory().join("lock")
    }

    pub(crate) fn audit(&self) -> PathBuf {
        self.directory().join("audit.log")
    }
}

/// `<revision>-<digest>`, the digest cut to 12 digits.
pub(crate) fn release_name(revision: i64, digest: Checksum) -> String {
    format!("{revision}-{}", &digest.to_hex()[..12])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("..", "b")]
    #[case("a", "../b")]
    #[case("a", "b/c")]
    #[case("", "b")]
    #[case("a", "B")]
    #[case("a", ".b")]
    fn names_that_leave_the_directory_are_refused(#[case] namespace: &str, #[case] bundle: &str) {
        let error = Layout::new("/srv", namespace, bundle).unwrap_err();
        assert!(matches!(error, Error::InvalidName { .. }));
    }

    #[test]
    fn a_relative_root_is_refused() {
        assert!(Layout::new("srv", "a", "b").is_err());
    }

    #[test]
    fn release_directories_say_revision_and_digest() {
        let layout = Layout::new("/srv", "default", "webshop").unwrap();
        let directory = layout.release_directory(3, Checksum::of(b""));
        assert_eq!(
            directory,
            Path::new("/srv/default/webshop/releases/3-e3b0c44298fc")
        );
    }

    #[rstest]
    #[case(("default", "shop", "web"), ("other", "shop", "web"))]
    #[case(("default", "a-b", "c"), ("default", "a", "b-c"))]
    #[case(("default", "a.b", "c"), ("default", "a-b", "c"))]
    fn stacks_never_share_a_project(#[case] a: (&str, &str, &str), #[case] b: (&str, &str, &str)) {
        let project =
            |(namespace, bundle, stack)| Layout::new("/srv", namespace, bundle).unwrap().project(stack);
        assert_ne!(project(a), project(b));
    }

    proptest! {
        #[test]
        fn projects_are_names_that_compose_takes(bundle in "[a-z0-9][a-z0-9.-]{0,80}", stack in "[a-z0-9][a-z0-9_-]{0,80}") {
            let project = Layout::new("/srv", "default", bundle).unwrap().project(&stack);
            prop_assert!(project.len() <= 63);
            prop_assert!(project.as_bytes()[0].is_ascii_alphanumeric());
            prop_assert!(project.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_'));
        }
    }
}
