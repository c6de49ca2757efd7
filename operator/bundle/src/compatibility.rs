//! Which bundles this program can read, and which programs a bundle needs.

use std::collections::BTreeMap;

use semver::{Version, VersionReq};

use crate::documents::manifest::Manifest;
use crate::error::{Error, Result};

/// The format version that this program writes. It follows semantic versioning: all versions of one major are read;
/// a newer minor may have fields whose meaning is lost on this program.
pub const FORMAT_VERSION: Version = Version::new(1, 0, 0);

/// Refuses versions that cannot be read.
pub(crate) fn check_version(text: &str) -> Result<Version> {
    let supported = FORMAT_VERSION;
    let Ok(found) = Version::parse(text) else {
        return Err(Error::MalformedVersion {
            found: text.to_owned(),
            supported,
        });
    };
    if found.major != supported.major {
        return Err(Error::UnsupportedVersion { found, supported });
    }
    Ok(found)
}

/// Whether this program can read a bundle with that manifest; if it can only in part, the warnings say so.
pub fn check_compatibility(manifest: &Manifest) -> Result<Vec<String>> {
    let found = check_version(&manifest.version.to_string())?;
    let newer = (found.major, found.minor) > (FORMAT_VERSION.major, FORMAT_VERSION.minor);
    Ok(Vec::from_iter(newer.then(|| {
        format!(
            "the bundle has format version {found}, this program knows up to {FORMAT_VERSION}: what is new in it is \
             ignored; use a newer homeport to be sure"
        )
    })))
}

/// A program that a bundle needs and that is missing or of the wrong version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bundle needs {name} {required}, but {}: install it or another version of it", match found {
    Some(found) => format!("the target has {found}"),
    None => "the target has none".to_owned(),
})]
pub struct UnmetDependency {
    /// The program.
    pub name: String,
    /// The requirement, as the manifest has it.
    pub required: String,
    /// The version found.
    pub found: Option<String>,
}

/// Compares what a bundle needs with the versions found on a target.
///
/// Versions are taken as programs print them: `v2.29.0`, `20.10.24+dfsg1`, `1.29.2-4`, `28.1`. Only their numbers
/// count.
pub fn unmet_dependencies(manifest: &Manifest, found: &BTreeMap<String, String>) -> Vec<UnmetDependency> {
    let is_met = |name: &str, required: &str| {
        let required = VersionReq::parse(required).ok();
        let version = found.get(name).and_then(|text| lenient_version(text));
        required
            .zip(version)
            .is_some_and(|(required, version)| required.matches(&version))
    };
    let unmet = manifest
        .dependencies
        .iter()
        .filter(|(name, required)| !is_met(name, required));
    unmet
        .map(|(name, required)| UnmetDependency {
            name: name.clone(),
            required: required.clone(),
            found: found.get(name).cloned(),
        })
        .collect()
}

/// The first three numbers of a version.
fn lenient_version(text: &str) -> Option<Version> {
    let text = text.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let mut numbers = text[..end]
        .split('.')
        .filter(|part| !part.is_empty())
        .map(str::parse::<u64>);
    let major = numbers.next()?.ok()?;
    let mut next = || numbers.next().map_or(Some(0), std::result::Result::ok);
    Some(Version::new(major, next()?, next()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1.0.0", 0)]
    #[case("1.0.9", 0)]
    #[case("1.7.0", 1)]
    fn readable_versions(#[case] version: &str, #[case] warnings: usize) {
        let manifest = Manifest {
            version: version.parse().unwrap(),
            ..Manifest::default()
        };
        assert_eq!(check_compatibility(&manifest).unwrap().len(), warnings);
    }

    #[rstest]
    #[case("2.0.0")]
    #[case("0.9.0")]
    #[case("1.0")]
    #[case("")]
    fn unreadable_versions(#[case] version: &str) {
        let error = check_version(version).unwrap_err().to_string();
        assert!(error.contains(version), "{error}");
    }

    #[rstest]
    #[case(">=20.10", "20.10.24+dfsg1", true)]
    #[case(">=20.10", "29.6.1", true)]
    #[case(">=20.10", "19.03.15", false)]
    #[case(">=2.0", "v2.29.0", true)]
    #[case(">=2.0", "1.29.2-4", false)]
    #[case(">=2.0", "5.0.0-rc.2", true)]
    #[case(">=2.0, <3", "3.1", false)]
    #[case(">=2.0", "unknown", false)]
    fn dependencies(#[case] required: &str, #[case] version: &str, #[case] met: bool) {
        let dependencies = BTreeMap::from([("docker".to_owned(), required.to_owned())]);
        let manifest = Manifest {
            dependencies,
            ..Manifest::default()
        };
        let found = BTreeMap::from([("docker".to_owned(), version.to_owned())]);
        assert_eq!(unmet_dependencies(&manifest, &found).is_empty(), met);
        assert_eq!(unmet_dependencies(&manifest, &BTreeMap::new()).len(), 1);
    }
}
