//! The JSON documents of a bundle, one module each, and what holds between them.
//!
//! Within one major format version a document may carry fields that this version does not know: they are kept in
//! `extra` and written back as they were.

pub mod cutover;
pub mod dns;
pub mod manifest;
pub mod secrets;
pub mod sync;
pub mod validation;

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::problem::{Problem, Problems};
use crate::strict_json;
use cutover::CutoverManifest;
use dns::DnsRecords;
use manifest::Manifest;
use secrets::SecretsManifest;
use sync::SyncManifest;
use validation::{Endpoints, ExpectedResponses, RollbackTriggers};

/// Fields of a document that this version of the format does not know.
pub type Extra = serde_json::Map<String, serde_json::Value>;

/// A bundle's manifest and those of its optional documents that it has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bundle {
    /// `manifest.json`.
    pub manifest: Manifest,
    /// `secrets/secrets-manifest.json`.
    pub secrets: Option<SecretsManifest>,
    /// `data-sync/sync-manifest.json`.
    pub sync: Option<SyncManifest>,
    /// `dns/records.json`.
    pub dns: Option<DnsRecords>,
    /// `dns/cutover.json`.
    pub cutover: Option<CutoverManifest>,
    /// `validation/endpoints.json`.
    pub endpoints: Option<Endpoints>,
    /// `validation/expected-responses.json`.
    pub expected_responses: Option<ExpectedResponses>,
    /// `validation/rollback-triggers.json`.
    pub rollback_triggers: Option<RollbackTriggers>,
}

/// Paths of the optional documents inside a bundle.
const OPTIONAL: [&str; 7] = [
    SecretsManifest::PATH,
    SyncManifest::PATH,
    DnsRecords::PATH,
    CutoverManifest::PATH,
    Endpoints::PATH,
    ExpectedResponses::PATH,
    RollbackTriggers::PATH,
];

impl Bundle {
    /// Reads and validates the documents of an unpacked bundle. Checksums of other files are not looked at: that is
    /// [`verify_tree`](crate::verify_tree).
    pub fn load(dir: &Path) -> Result<Self> {
        let limits = Limits::default();
        let manifest = read_document(dir, Manifest::PATH, &limits)?.ok_or(Error::ManifestMissing)?;
        let mut bundle = Self {
            manifest: Manifest::from_json(&manifest)?,
            ..Self::default()
        };
        for path in OPTIONAL {
            if let Some(content) = read_document(dir, path, &limits)? {
                bundle.read_document(path, &content)?;
            }
        }
        bundle.validated()
    }

    /// Whether a file at `path` is one of the documents.
    pub(crate) fn is_document(path: &str) -> bool {
        OPTIONAL.contains(&path)
    }

    /// Parses one of the optional documents into its place.
    pub(crate) fn read_document(&mut self, path: &str, content: &[u8]) -> Result<()> {
        match path {
            SecretsManifest::PATH => self.secrets = Some(parse(path, content)?),
            SyncManifest::PATH => self.sync = Some(parse(path, content)?),
            DnsRecords::PATH => self.dns = Some(parse(path, content)?),
            CutoverManifest::PATH => self.cutover = Some(parse(path, content)?),
            Endpoints::PATH => self.endpoints = Some(parse(path, content)?),
            ExpectedResponses::PATH => self.expected_responses = Some(parse(path, content)?),
            RollbackTriggers::PATH => self.rollback_triggers = Some(parse(path, content)?),
            _ => {}
        }
        Ok(())
    }

    /// Everything that is wrong with the documents, each on its own and against the others.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.manifest.problems();
        problems.extend(self.secrets.iter().flat_map(SecretsManifest::problems));
        problems.extend(self.sync.iter().flat_map(SyncManifest::problems));
        problems.extend(self.dns.iter().flat_map(DnsRecords::problems));
        problems.extend(self.cutover.iter().flat_map(CutoverManifest::problems));
        problems.extend(self.endpoints.iter().flat_map(Endpoints::problems));
        problems.extend(
            self.expected_responses
                .iter()
                .flat_map(ExpectedResponses::problems),
        );
        problems.extend(self.rollback_triggers.iter().flat_map(RollbackTriggers::problems));
        problems.extend(self.sync.iter().flat_map(|sync| self.sync_references(sync)));
        problems.extend(
            self.expected_responses
                .iter()
                .flat_map(|e| self.response_references(e)),
        );
        problems
    }

    /// The bundle itself if nothing is wrong with it.
    pub(crate) fn validated(self) -> Result<Self> {
        match self.problems() {
            problems if problems.is_empty() => Ok(self),
            problems => Err(Error::Invalid { problems }),
        }
    }

    /// Stacks and secrets that sync tasks name must exist, and so must CA files given by a relative path.
    fn sync_references(&self, sync: &SyncManifest) -> Vec<Problem> {
        let mut problems = Problems::of(SyncManifest::PATH);
        for (i, task) in sync.tasks.iter().enumerate() {
            if let Some(stack) = &task.stack
                && self.manifest.stack(stack).is_none()
            {
                let remedy = "the manifest has no such stack: correct the name or add the stack";
                problems.add(format!("tasks[{i}].stack"), stack, remedy);
            }
            for (side, endpoint) in [("source", &task.source), ("target", &task.target)] {
                for (field, secret) in endpoint.secret_names() {
                    if self
                        .secrets
                        .as_ref()
                        .is_none_or(|secrets| secrets.get(secret).is_none())
                    {
                        let remedy = format!("declare a secret of this name in {}", SecretsManifest::PATH);
                        problems.add(format!("tasks[{i}].{side}.{field}"), secret, remedy);
                    }
                }
                if let Some(file) = &endpoint.ca_file
                    && !file.starts_with('/')
                    && !self.manifest.has_file(file)
                {
                    let remedy =
                        "the bundle has no such file: add it, or give an absolute path of the target host";
                    problems.add(format!("tasks[{i}].{side}.ca_file"), file, remedy);
                }
            }
        }
        problems.into_vec()
    }

    /// Expected responses must belong to an endpoint.
    fn response_references(&self, expected: &ExpectedResponses) -> Vec<Problem> {
        let mut problems = Problems::of(ExpectedResponses::PATH);
        for (i, response) in expected.responses.iter().enumerate() {
            let known = self
                .endpoints
                .iter()
                .flat_map(|e| &e.endpoints)
                .any(|e| e.name == response.endpoint);
            if !known {
                let remedy = format!(
                    "{} lists no such endpoint: correct the name or add it",
                    Endpoints::PATH
                );
                problems.add(format!("responses[{i}].endpoint"), &response.endpoint, remedy);
            }
        }
        problems.into_vec()
    }
}

/// Parses a document strictly: duplicate keys are refused.
fn parse<T: DeserializeOwned>(path: &str, content: &[u8]) -> Result<T> {
    strict_json::refuse_duplicate_keys(path, content)?;
    parse_unique(path, content)
}

/// Parses a document that is known to have no duplicate keys.
fn parse_unique<T: DeserializeOwned>(path: &str, content: &[u8]) -> Result<T> {
    serde_json::from_slice(content).map_err(|error| Error::BadJson {
        file: path.to_owned(),
        reason: error.to_string(),
    })
}

fn read_document(dir: &Path, path: &str, limits: &Limits) -> Result<Option<Vec<u8>>> {
    use std::io::Read;

    let full = dir.join(path);
    let file = match std::fs::File::open(&full) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", &full, error)),
    };
    let mut content = Vec::new();
    let read = file.take(limits.max_manifest_size + 1).read_to_end(&mut content);
    read.map_err(|error| Error::io("read", &full, error))?;
    if content.len() as u64 > limits.max_manifest_size {
        return Err(Error::DocumentTooLarge {
            path: path.to_owned(),
            limit: limits.max_manifest_size,
        });
    }
    Ok(Some(content))
}
