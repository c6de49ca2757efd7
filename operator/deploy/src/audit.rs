//! Who did what to a deployment, and when: a log on the host.

use jiff::Timestamp;
use serde::Serialize;

use crate::error::Result;
use crate::host::Host;
use crate::layout::Layout;

/// How many lines the log may have before its older half goes.
const LIMIT: usize = 2000;

/// A line of the log.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    time: Timestamp,
    actor: &'a str,
    action: &'a str,
    detail: &'a str,
}

/// Adds a line: `actor` did `action`; `detail` says what came of it.
pub(crate) async fn record(
    host: &dyn Host,
    layout: &Layout,
    actor: &str,
    action: &str,
    detail: &str,
) -> Result<()> {
    let entry = Entry {
        time: Timestamp::now(),
        actor,
        action,
        detail,
    };
    // Strings and a time: they can be written as JSON.
    let line = serde_json::to_string(&entry).unwrap_or_default();
    host.append_line(&layout.audit(), &line).await?;
    shorten(host, layout).await
}

/// Drops the older half of a log that has grown too long.
async fn shorten(host: &dyn Host, layout: &Layout) -> Result<()> {
    let Some(content) = host.read(&layout.audit()).await? else {
        return Ok(());
    };
    let lines: Vec<&[u8]> = content.split_inclusive(|&b| b == b'\n').collect();
    if lines.len() <= LIMIT {
        return Ok(());
    }
    host.write(&layout.audit(), &lines[lines.len() - LIMIT / 2..].concat())
        .await
}
