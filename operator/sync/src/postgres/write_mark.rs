//! How much has been written to a database: a mark to compare with a later one.

use std::time::Duration;

use super::session::Session;
use super::state::SCHEMA;
use crate::{Endpoint, Error, Side};

/// From this version on, a session that has nothing to do hands in its counts by itself.
const COUNTS_ARE_TIMELY: u32 = 15;
/// How long an idle session may keep its counts to itself (`PGSTAT_IDLE_INTERVAL`, ten seconds, and some slack).
const IDLE_FLUSH: f64 = 10.5;
/// A session that ends a transaction this long after another hands in its counts (`PGSTAT_MIN_INTERVAL`).
const BUSY_FLUSH: f64 = 1.0;
const LOOK_AGAIN: Duration = Duration::from_millis(250);
const MARKING: &str = "reading how much has been written";

/// A mark of what has been committed to the tables of a database, homeport's own left out. Where two marks are
/// equal, no row was written in between; where they differ, something was.
///
/// From PostgreSQL 15 on it rests on the counts of rows inserted, updated and deleted, and on the tables' files,
/// which are new after a `TRUNCATE`. Materialized views are left out: what they hold is held elsewhere. Counts come late: a session hands them in at most once a second, at the end of
/// a transaction, or when it has been idle for ten seconds. So this first waits until each session that there is has
/// had its occasion: not at all where all have been idle for that long, up to eleven seconds otherwise. What
/// commits while it waits may or may not be in the mark.
///
/// Older servers keep the counts of an idle session back without bound, and servers with `track_counts` off have
/// none. There the mark is the next transaction id, which background maintenance moves too: it errs towards "written".
/// So does a mark from before a crash, after which a server has lost its counts.
///
/// # Errors
/// As for opening an endpoint and reading from it.
pub async fn write_mark(endpoint: &Endpoint) -> Result<String, Error> {
    let session = Session::open(endpoint, Side::Target, "homeport write mark").await?;
    let counting: bool = session
        .row(MARKING, "SELECT current_setting('track_counts')::bool", &[])
        .await?
        .get(0);
    if session.version().major < COUNTS_ARE_TIMELY || !counting {
        let next = "SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())";
        let next: i64 = session.row(MARKING, next, &[]).await?.get(0);
        return Ok(format!("transaction {next}"));
    }
    until_counts_are_in(&session).await?;
    let counts = session
        .row(
            MARKING,
            &format!(
                "SELECT coalesce(sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del), 0)::text, \
                        coalesce(sum(hashtextextended(c.oid || ':' || c.relfilenode, 0)), 0)::text \
                 FROM pg_catalog.pg_stat_all_tables s JOIN pg_catalog.pg_class c ON c.oid = s.relid \
                 WHERE c.relkind <> 'm' AND s.schemaname NOT IN ('pg_catalog', 'information_schema', '{SCHEMA}') \
                   AND s.schemaname !~ '^pg_(toast|temp)' \
                    OR s.schemaname = 'pg_catalog' AND s.relname = 'pg_largeobject'"
            ),
            &[],
        )
        .await?;
    let (rows, files): (String, String) = (counts.get(0), counts.get(1));
    Ok(format!("rows {rows} files {files}"))
}

/// Waits until each session that was there at the start has ended, has been idle for long enough, or has ended a
/// transaction since then. Sessions that cannot be looked at, for want of privileges, are given the longest time.
async fn until_counts_are_in(session: &Session) -> Result<(), Error> {
    let start: String = session
        .row(MARKING, "SELECT clock_timestamp()::text", &[])
        .await?
        .get(0);
    let waiting = format!(
        "SELECT count(*) FROM pg_catalog.pg_stat_activity a, (SELECT $1::text::timestamptz AS start) t \
         WHERE a.datname = current_database() \
           AND a.pid <> pg_catalog.pg_backend_pid() \
           AND coalesce(a.backend_type, 'client backend') = 'client backend' \
           AND coalesce(a.backend_start, t.start) <= t.start \
           AND clock_timestamp() < t.start + interval '{IDLE_FLUSH} s' \
           AND NOT coalesce(a.state = 'idle' \
                            AND (a.state_change >= t.start + interval '{BUSY_FLUSH} s' \
                                 OR a.state_change < clock_timestamp() - interval '{IDLE_FLUSH} s'), false)"
    );
    loop {
        let sessions: i64 = session.row(MARKING, &waiting, &[&start]).await?.get(0);
        if sessions == 0 {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
