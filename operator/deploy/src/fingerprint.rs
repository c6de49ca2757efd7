//! Telling whether a stack is what was deployed, without keeping what was: keyed hashes.

use std::collections::BTreeSet;
use std::path::Path;

use homeport_bundle::Manifest;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::Result;
use crate::host::Host;
use crate::layout::Layout;

/// A random key of a host. Without it, a hash of a configuration that holds secrets tells nothing about them.
#[derive(Debug, Clone)]
pub(crate) struct Salt(Vec<u8>);

impl Salt {
    /// The key of a host, made if there is none.
    pub(crate) async fn obtain(host: &dyn Host, layout: &Layout) -> Result<Self> {
        loop {
            if let Some(salt) = host.read(&layout.salt()).await? {
                return Ok(Self(salt));
            }
            host.create(&layout.salt(), &Self::random().0).await?;
        }
    }

    /// The key of a host; if there is none, nothing was ever compared with it, and any will do.
    pub(crate) async fn peek(host: &dyn Host, layout: &Layout) -> Result<Self> {
        let salt = host.read(&layout.salt()).await?;
        Ok(salt.map_or_else(Self::random, Self))
    }

    fn random() -> Self {
        let bits = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
        Self(bits.map(|uuid| uuid.simple().to_string()).concat().into_bytes())
    }

    /// The keyed hash of a text.
    pub(crate) fn hash(&self, text: &str) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.0);
        hasher.update(text);
        hex::encode(hasher.finalize())
    }

    /// The fingerprint of a stack: of its configuration, values of secrets included, and of the bundle's files that it
    /// uses. Where the release lies does not count: the same stack in another release has the same fingerprint.
    pub(crate) fn fingerprint(&self, config: &Value, release: &Path, manifest: &Manifest) -> String {
        let mut used = BTreeSet::new();
        let mut config = config.clone();
        take_out_paths(&mut config, &release.to_string_lossy(), &mut used);
        let mut text = config.to_string();
        for (file, checksum) in &manifest.checksums {
            let is_used = used.iter().any(|path: &String| {
                path.is_empty()
                    || file
                        .strip_prefix(path)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            if is_used {
                text.push_str(&format!("\n{file} {checksum}"));
            }
        }
        self.hash(&text)
    }
}

/// Makes paths in the release relative to it, and collects them.
fn take_out_paths(value: &mut Value, release: &str, used: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            if let Some(rest) = text.strip_prefix(release)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                used.insert(rest.trim_matches('/').to_owned());
            }
            if text.contains(release) {
                *text = text.replace(release, "<release>");
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| take_out_paths(item, release, used)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| take_out_paths(field, release, used)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeport_bundle::Checksum;
    use rstest::rstest;
    use serde_json::json;

    fn manifest(content: &str) -> Manifest {
        let mut manifest = Manifest::default();
        let files = [
            ("configs/web/a.conf", content),
            ("configs/web-other", "same"),
            ("README.md", "same"),
        ];
        for (file, content) in files {
            manifest
                .checksums
                .insert(file.to_owned(), Checksum::of(content.as_bytes()));
        }
        manifest
    }

    fn config(release: &str, password: &str) -> Value {
        json!({"services": {"web": {
            "environment": {"PASSWORD": password},
            "volumes": [{"source": format!("{release}/configs/web"), "target": "/etc/web"}],
        }}})
    }

    fn print(salt: &Salt, release: &str, password: &str, content: &str) -> String {
        salt.fingerprint(&config(release, password), Path::new(release), &manifest(content))
    }

    #[rstest]
    #[case("/r/2-b", "secret", "text", true)]
    #[case("/r/1-a", "changed", "text", false)]
    #[case("/r/1-a", "secret", "changed", false)]
    fn what_counts(#[case] release: &str, #[case] password: &str, #[case] content: &str, #[case] same: bool) {
        let salt = Salt::random();
        let before = print(&salt, "/r/1-a", "secret", "text");
        assert_eq!(print(&salt, release, password, content) == before, same);
    }

    #[test]
    fn files_that_the_stack_does_not_use_do_not_count() {
        let salt = Salt::random();
        let mut other = manifest("text");
        other
            .checksums
            .insert("README.md".to_owned(), Checksum::of(b"changed"));
        let before = print(&salt, "/r/1-a", "secret", "text");
        assert_eq!(
            salt.fingerprint(&config("/r/1-a", "secret"), Path::new("/r/1-a"), &other),
            before
        );
    }

    #[test]
    fn another_host_has_other_fingerprints() {
        let (a, b) = (Salt::random(), Salt::random());
        assert_ne!(a.hash("secret"), b.hash("secret"));
    }
}
