//! `deployment.json`: what homeport has deployed on a host, and what it is in the middle of.

use std::collections::BTreeMap;

use homeport_bundle::Checksum;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::host::Host;
use crate::layout::Layout;

/// What homeport knows of a bundle on a host. Empty if it has not been deployed there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deployment {
    /// The revision that was last deployed to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<i64>,
    /// The deployment that is not at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_way: Option<Attempt>,
    /// The releases that are kept, by revision.
    pub releases: BTreeMap<i64, ReleaseRecord>,
    /// The stacks that were brought up and not removed, by name.
    pub stacks: BTreeMap<String, StackRecord>,
    /// The file of the last snapshot, in the directory of snapshots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// A deployment that is not at its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The revision that is being deployed.
    pub revision: i64,
    /// Since when.
    pub started: Timestamp,
}

/// A release that is kept on the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRecord {
    /// Of its bundle as a file.
    pub digest: Checksum,
    /// When it was last deployed to its end; `None` if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed: Option<Timestamp>,
    /// IDs of the images that it ran with, by stack and service.
    #[serde(default)]
    pub images: BTreeMap<String, BTreeMap<String, String>>,
}

/// A stack that was brought up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StackRecord {
    /// The revision that it was last brought up from. An older one than the current if nothing in it has changed since.
    pub revision: i64,
    /// Its project for Compose.
    pub project: String,
    /// Of its configuration, the secrets' values, and the files of the bundle that it uses; keyed by the host's salt.
    pub fingerprint: String,
    /// What it consists of.
    pub services: BTreeMap<String, ServiceRecord>,
    /// Whether all of it has been healthy since it was brought up.
    pub settled: bool,
    /// When it was brought up.
    pub since: Timestamp,
}

/// A service of a stack that was brought up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRecord {
    /// Keyed hash of Compose's own hash of its configuration, which its containers carry.
    pub config: String,
    /// How many containers it has.
    pub replicas: u32,
    /// When it counts as healthy.
    pub gate: Gate,
    /// Its image, by name.
    pub image: String,
}

/// When a service counts as healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// It runs, and is healthy if it has a health check.
    Running,
    /// As [`Gate::Running`], or it has ended with exit status 0: nothing would restart it.
    RunningOrDone,
    /// It has ended with exit status 0, or runs and its health check says that it is healthy.
    Done,
}

impl Deployment {
    /// Reads the record.
    pub async fn load(host: &dyn Host, layout: &Layout) -> Result<Self> {
        Ok(read_json(host, &layout.deployment()).await?.unwrap_or_default())
    }

    pub(crate) async fn save(&self, host: &dyn Host, layout: &Layout) -> Result<()> {
        write_json(host, &layout.deployment(), self).await
    }

    /// The release of that revision, if it is kept.
    pub fn release(&self, revision: i64) -> Option<&ReleaseRecord> {
        self.releases.get(&revision)
    }

    /// The revision for a bundle of that digest: the one that it has if it is kept, otherwise the next.
    pub fn revision_for(&self, digest: Checksum) -> i64 {
        let kept = self.releases.iter().rev().find(|(_, kept)| kept.digest == digest);
        let next = || self.releases.keys().next_back().unwrap_or(&0) + 1;
        kept.map_or_else(next, |(revision, _)| *revision)
    }

    pub(crate) fn known_revisions(&self) -> String {
        let known: Vec<String> = self.releases.keys().map(ToString::to_string).collect();
        if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        }
    }

    /// Forgets releases beyond the `limit` deployed last before the current one. Those that run, or are being
    /// deployed, or are the way back from the last change, stay.
    pub(crate) fn prune(&mut self, limit: usize, way_back: Option<i64>) {
        let mut needed: Vec<i64> = self.stacks.values().map(|stack| stack.revision).collect();
        needed.extend(self.current);
        needed.extend(way_back);
        needed.extend(self.under_way.as_ref().map(|attempt| attempt.revision));

        let mut earlier: Vec<(Option<Timestamp>, i64)> = self
            .releases
            .iter()
            .filter(|(revision, _)| Some(**revision) != self.current)
            .map(|(revision, release)| (release.deployed, *revision))
            .collect();
        earlier.sort_unstable();
        needed.extend(earlier.iter().rev().take(limit).map(|(_, revision)| revision));
        self.releases.retain(|revision, _| needed.contains(revision));
    }
}

/// Reads a JSON file of ours; `None` if there is none.
pub(crate) async fn read_json<T: DeserializeOwned>(
    host: &dyn Host,
    path: &std::path::Path,
) -> Result<Option<T>> {
    let Some(content) = host.read(path).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&content)
        .map(Some)
        .map_err(|error| Error::DamagedFile {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

/// Writes a JSON file of ours.
pub(crate) async fn write_json<T: Serialize>(
    host: &dyn Host,
    path: &std::path::Path,
    value: &T,
) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(value).map_err(|error| Error::DamagedFile {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    json.push(b'\n');
    host.write(path, &json).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn kept(revisions: &[i64], current: i64) -> Deployment {
        let release = |revision: &i64| ReleaseRecord {
            digest: Checksum::of(&revision.to_be_bytes()),
            deployed: Timestamp::from_second(*revision).ok(),
            images: BTreeMap::new(),
        };
        Deployment {
            current: Some(current),
            releases: revisions.iter().map(|r| (*r, release(r))).collect(),
            ..Deployment::default()
        }
    }

    #[rstest]
    #[case(1, None, &[4, 5])]
    #[case(2, None, &[3, 4, 5])]
    #[case(9, None, &[1, 2, 3, 4, 5])]
    #[case(1, Some(2), &[2, 4, 5])]
    fn prunes_all_but_the_last(#[case] limit: usize, #[case] way_back: Option<i64>, #[case] left: &[i64]) {
        let mut deployment = kept(&[1, 2, 3, 4, 5], 5);
        deployment.prune(limit, way_back);
        assert_eq!(deployment.releases.keys().copied().collect::<Vec<_>>(), left);
    }

    #[test]
    fn prunes_no_release_that_runs_or_is_being_deployed() {
        let mut deployment = kept(&[1, 2, 3, 4, 5, 6], 5);
        let stack = StackRecord {
            revision: 1,
            project: "p".to_owned(),
            fingerprint: String::new(),
            services: BTreeMap::new(),
            settled: true,
            since: Timestamp::UNIX_EPOCH,
        };
        deployment.stacks.insert("s".to_owned(), stack);
        deployment.under_way = Some(Attempt {
            revision: 2,
            started: Timestamp::UNIX_EPOCH,
        });
        deployment.prune(1, None);
        assert_eq!(
            deployment.releases.keys().copied().collect::<Vec<_>>(),
            [1, 2, 5, 6]
        );
    }

    #[test]
    fn a_known_bundle_keeps_its_revision() {
        let deployment = kept(&[1, 4], 4);
        assert_eq!(deployment.revision_for(Checksum::of(&1i64.to_be_bytes())), 1);
        assert_eq!(deployment.revision_for(Checksum::of(b"new")), 5);
        assert_eq!(Deployment::default().revision_for(Checksum::of(b"new")), 1);
    }
}
