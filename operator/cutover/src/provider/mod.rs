//! Who serves the records.

pub(crate) mod manual;
pub(crate) mod rfc2136;

use async_trait::async_trait;

use crate::changes::ChangeSet;
use crate::error::Result;
use crate::record::{RecordKey, RecordSet};

/// Reads and changes records at the place that serves them.
#[async_trait]
pub trait DnsProvider: Send + Sync {
    /// The provider's name, such as `rfc2136`.
    fn name(&self) -> &str;

    /// Whether the provider keeps TXT records beside those it changes, which say who owns them.
    fn keeps_ownership(&self) -> bool;

    /// The record set as it is served now, or `None` if there is none.
    async fn read(&self, key: &RecordKey) -> Result<Option<RecordSet>>;

    /// Makes the changes. It fails with [`crate::Error::ConcurrentChange`] and changes nothing in a zone whose records
    /// are not as the change set says. Records that are already as they are to be are left alone.
    async fn apply(&self, changes: &ChangeSet) -> Result<()>;
}
