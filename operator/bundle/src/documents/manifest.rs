//! `manifest.json`: what a bundle is, where it comes from, its stacks, and the checksum of every file.

use std::collections::BTreeMap;

use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::Extra;
use crate::checksum::Checksum;
use crate::compatibility;
use crate::duration::HumanDuration;
use crate::entry_path;
use crate::error::{Error, Result};
use crate::order::dependency_order;
use crate::problem::{Problem, Problems};
use crate::size::ByteSize;

/// The first entry of every bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format, not of the application: see [`crate::FORMAT_VERSION`].
    pub version: Version,
    /// Always `hprt`.
    pub format: String,
    /// When the bundle was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Version of the program that packed it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub homeport_version: String,
    /// The cloud that was analyzed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What the bundle is meant to run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Groups of services that are deployed together.
    #[serde(default)]
    pub stacks: Vec<Stack>,
    /// SHA-256 of every file by its path in the bundle. The entry of `manifest.json` covers the manifest itself: see
    /// [`Manifest::covers_itself`].
    #[serde(default)]
    pub checksums: BTreeMap<String, Checksum>,
    /// Programs needed on the target, each with a version requirement such as `>=20.10`.
    #[serde(default)]
    pub dependencies: BTreeMap<String, String>,
    /// Summary of the data to move; the tasks are in `data-sync/sync-manifest.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_sync: Option<DataSyncSummary>,
    /// Whether and how the deployment can be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The cloud that a bundle was made from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Source {
    /// `aws`, `gcp`, `azure` ...
    pub provider: String,
    /// Region of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Account, project or subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// How many resources were found.
    #[serde(default)]
    pub resource_count: u64,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analyzed_at: Option<Timestamp>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a bundle is meant to run on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Target {
    /// `docker-compose`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether resources of one kind were merged into one service.
    #[serde(default)]
    pub consolidation: bool,
    /// How many stacks there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_count: Option<u64>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Services that are deployed together, from one compose file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Stack {
    /// Unique in the bundle: lower-case letters, digits, `-` and `_`, as a compose project name has it.
    pub name: String,
    /// What the stack is for.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<StackKind>,
    /// Names of its services in the compose file; empty means all of the file's services.
    #[serde(default)]
    pub services: Vec<String>,
    /// Stacks that must be healthy before this one is deployed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Path of its compose file in the bundle; [`Stack::compose_file`] fills in the default.
    #[serde(rename = "compose_file", default, skip_serializing_if = "Option::is_none")]
    pub compose_path: Option<String>,
    /// How many cloud resources it replaces.
    #[serde(default)]
    pub resources_consolidated: u64,
    /// Whether data must be moved before it is complete.
    #[serde(default)]
    pub data_sync_required: bool,
    /// How much, roughly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_sync_size: Option<ByteSize>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a stack is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StackKind {
    /// The application's own services.
    Application,
    /// Relational and document databases.
    Database,
    /// Key-value caches.
    Cache,
    /// Queues and brokers.
    Messaging,
    /// Object and file storage.
    Storage,
    /// Reverse proxies and load balancers.
    Ingress,
    /// Identity providers.
    Auth,
    /// Metrics, logs, traces.
    Observability,
    /// A kind that this version does not know.
    #[serde(untagged)]
    Other(String),
}

/// Summary of the data to move.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DataSyncSummary {
    /// Of all tasks together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_estimated_size: Option<ByteSize>,
    /// In the form `postgres:main`.
    #[serde(default)]
    pub databases: Vec<String>,
    /// In the form `s3:assets`.
    #[serde(default)]
    pub storage: Vec<String>,
    /// Of all tasks together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_duration: Option<HumanDuration>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Whether and how a deployment can be taken back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rollback {
    /// Whether it can be taken back at all.
    pub supported: bool,
    /// Whether the target must be snapshotted before it is changed.
    #[serde(default)]
    pub snapshot_required: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The parts of a manifest whose meaning no version of the format may change.
#[derive(Deserialize)]
struct Identity {
    format: Option<serde_json::Value>,
    version: Option<serde_json::Value>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            version: crate::FORMAT_VERSION,
            format: Self::FORMAT.to_owned(),
            created: None,
            homeport_version: String::new(),
            source: None,
            target: None,
            stacks: Vec::new(),
            checksums: BTreeMap::new(),
            dependencies: BTreeMap::new(),
            data_sync: None,
            rollback: None,
            extra: Extra::new(),
        }
    }
}

impl Stack {
    /// Where a stack's compose file is when it does not say.
    pub const DEFAULT_COMPOSE_FILE: &str = "compose/docker-compose.yml";

    /// Path of the stack's compose file in the bundle.
    pub fn compose_file(&self) -> &str {
        self.compose_path.as_deref().unwrap_or(Self::DEFAULT_COMPOSE_FILE)
    }
}

impl Manifest {
    /// Where it is in a bundle.
    pub const PATH: &str = "manifest.json";
    /// What its `format` field says.
    pub const FORMAT: &str = "hprt";

    /// Parses a manifest, and refuses those of other formats and versions before it looks at anything else.
    pub fn from_json(content: &[u8]) -> Result<Self> {
        crate::strict_json::refuse_duplicate_keys(Self::PATH, content)?;
        let identity: Identity = super::parse_unique(Self::PATH, content)?;
        if identity.format.as_ref().and_then(|format| format.as_str()) != Some(Self::FORMAT) {
            let found = identity
                .format
                .map_or_else(|| "nothing".to_owned(), |format| format.to_string());
            return Err(Error::UnsupportedFormat { found });
        }
        let version = identity
            .version
            .as_ref()
            .and_then(|version| version.as_str())
            .unwrap_or_default();
        compatibility::check_version(version)?;
        super::parse_unique(Self::PATH, content)
    }

    /// The manifest as it stands in a bundle: indented JSON and a newline.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| Error::BadJson {
            file: Self::PATH.to_owned(),
            reason: error.to_string(),
        })?;
        json.push(b'\n');
        Ok(json)
    }

    /// The stack of that name.
    pub fn stack(&self, name: &str) -> Option<&Stack> {
        self.stacks.iter().find(|stack| stack.name == name)
    }

    /// Whether the bundle has a file at `path`.
    pub fn has_file(&self, path: &str) -> bool {
        self.checksums.contains_key(path)
    }

    /// The stacks in an order in which they can be deployed: each after those that it depends on, otherwise as listed.
    /// If a circle makes that impossible (validation refuses it), the order of the list.
    pub fn stacks_in_order(&self) -> Vec<&Stack> {
        match dependency_order(&self.stack_nodes()) {
            Ok(order) => order.into_iter().map(|i| &self.stacks[i]).collect(),
            Err(_) => self.stacks.iter().collect(),
        }
    }

    /// Names of fields at the top of the manifest that this version does not know: in a manifest of this version,
    /// most likely slips of the pen.
    pub fn unknown_fields(&self) -> impl Iterator<Item = &str> {
        self.extra.keys().map(String::as_str)
    }

    /// Whether the manifest carries a digest of itself, so that a change to it is noticed. Bundles that homeport packs
    /// always do; those that were made by hand may not.
    pub fn covers_itself(&self) -> bool {
        self.checksums.contains_key(Self::PATH)
    }

    /// Renders the manifest with the digest of itself filled in.
    ///
    /// The digest is that of these same bytes with 64 zeros in the place of its own digits.
    pub(crate) fn seal(&mut self) -> Result<Vec<u8>> {
        self.checksums.insert(Self::PATH.to_owned(), Checksum::ZERO);
        let digest = Checksum::of(&self.to_json()?);
        self.checksums.insert(Self::PATH.to_owned(), digest);
        self.to_json()
    }

    /// Checks the digest that `content`, from which this manifest was parsed, carries of itself.
    pub(crate) fn check_seal(&self, content: &[u8]) -> Result<()> {
        let Some(expected) = self.checksums.get(Self::PATH) else {
            return Ok(());
        };
        let digits = expected.to_hex();
        let mut blank = content.to_vec();
        let mut places = content
            .windows(digits.len())
            .enumerate()
            .filter(|(_, w)| *w == digits.as_bytes());
        if let (Some((at, _)), None) = (places.next(), places.next()) {
            blank[at..at + digits.len()].fill(b'0');
        }
        match Checksum::of(&blank) {
            found if found == *expected => Ok(()),
            found => Err(Error::ManifestChecksum {
                expected: *expected,
                found,
            }),
        }
    }

    fn stack_nodes(&self) -> Vec<(&str, &[String])> {
        self.stacks
            .iter()
            .map(|stack| (stack.name.as_str(), stack.depends_on.as_slice()))
            .collect()
    }

    /// What is wrong with the manifest on its own.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of(Self::PATH);
        problems.unique_names("stacks", self.stacks.iter().map(|stack| stack.name.as_str()));
        problems.dependencies("stacks", &self.stack_nodes());
        for (i, stack) in self.stacks.iter().enumerate() {
            if !is_project_name(&stack.name) {
                let remedy = "begin with a lower-case letter or digit, then use these, - and _ only";
                problems.add(format!("stacks[{i}].name"), &stack.name, remedy);
            }
            if !self.has_file(stack.compose_file()) {
                let remedy = "the bundle has no such file: add it or correct the path";
                problems.add(format!("stacks[{i}].compose_file"), stack.compose_file(), remedy);
            }
        }
        for path in self.checksums.keys() {
            if let Err(fault) = entry_path::check(path) {
                problems.add(
                    "checksums",
                    path,
                    format!("not a path that a bundle may hold: {fault}"),
                );
            }
        }
        for (name, requirement) in &self.dependencies {
            if semver::VersionReq::parse(requirement).is_err() {
                let remedy = "write a version requirement such as >=20.10 or >=2.0, <3";
                problems.add(format!("dependencies.{name}"), requirement, remedy);
            }
        }
        problems.into_vec()
    }
}

/// What Docker Compose takes as a project name.
fn is_project_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.bytes().next().is_some_and(plain) && name.bytes().all(|b| plain(b) || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Every field there is, and one that there is not.
    const FULL: &str = r#"{
        "version": "1.0.0", "format": "hprt", "created": "2024-01-15T10:30:00Z", "homeport_version": "0.5.0",
        "source": {"provider": "aws", "region": "us-east-1", "account_id": "123456789012", "resource_count": 24,
            "analyzed_at": "2024-01-15T10:25:00Z"},
        "target": {"type": "docker-compose", "consolidation": true, "stack_count": 1},
        "stacks": [{"name": "database", "type": "database", "services": ["postgres", "pgbouncer"],
            "depends_on": [], "compose_file": "compose/database.yml", "resources_consolidated": 3,
            "data_sync_required": true, "estimated_sync_size": "50GB"}],
        "checksums": {
            "compose/database.yml": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        "dependencies": {"docker": ">=20.10", "docker-compose": ">=2.0"},
        "data_sync": {"total_estimated_size": "120GB", "databases": ["postgres:main"], "storage": ["s3:assets"],
            "estimated_duration": "2h30m"},
        "rollback": {"supported": true, "snapshot_required": true},
        "later": {"fields": ["are", "kept"]}
    }"#;

    #[test]
    fn every_field_comes_back() {
        let manifest = Manifest::from_json(FULL.as_bytes()).unwrap();
        assert_eq!(manifest.problems(), []);
        let mut expected: serde_json::Value = serde_json::from_str(FULL).unwrap();
        // An empty list of dependencies is not written.
        expected["stacks"][0]
            .as_object_mut()
            .unwrap()
            .remove("depends_on");
        let written: serde_json::Value = serde_json::from_slice(&manifest.to_json().unwrap()).unwrap();
        assert_eq!(written, expected);
    }

    #[test]
    fn the_seal_covers_every_byte_but_its_own_digits() {
        let mut manifest = Manifest::from_json(FULL.as_bytes()).unwrap();
        let sealed = manifest.seal().unwrap();
        assert!(Manifest::from_json(&sealed).unwrap().check_seal(&sealed).is_ok());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            let noticed = Manifest::from_json(&changed).and_then(|manifest| {
                // A flipped bit in the name of the entry leaves a manifest that claims to have no digest, but that
                // then lists a file that the archive has not.
                if manifest.covers_itself() {
                    manifest.check_seal(&changed)
                } else {
                    Err(Error::ManifestMissing)
                }
            });
            assert!(noticed.is_err(), "byte {at}");
        }
    }

    #[test]
    fn stacks_come_after_what_they_need() {
        let stack = |name: &str, needs: &[&str]| Stack {
            name: name.to_owned(),
            depends_on: needs.iter().map(|need| (*need).to_owned()).collect(),
            ..Stack::default()
        };
        let manifest = Manifest {
            stacks: vec![stack("web", &["db"]), stack("db", &[])],
            ..Manifest::default()
        };
        let order: Vec<&str> = manifest
            .stacks_in_order()
            .iter()
            .map(|stack| stack.name.as_str())
            .collect();
        assert_eq!(order, ["db", "web"]);
    }
}
