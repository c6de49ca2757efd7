//! Copies that are killed, suspended or cut off, and go on.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use homeport_sync::{Engine, Error, Postgres, Progress, Report};
use rstest::rstest;
use tokio::sync::watch;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::servers::{Pair, connect, endpoint};

/// Ten tables of one transaction each and one that is copied in ranges, about 16 MB; foreign keys between them.
const SHOP: &str = "
    CREATE TABLE users (id int PRIMARY KEY, name text, body text);
    INSERT INTO users SELECT g, md5(g::text), repeat(md5(g::text), 10) FROM generate_series(1, 2000) g;
    CREATE TABLE events (id int PRIMARY KEY, user_id int REFERENCES users, body text);
    INSERT INTO events SELECT g, g % 2000 + 1, repeat(md5(g::text), 30) FROM generate_series(1, 10000) g;
    CREATE INDEX ON events (user_id);
    DO $$ BEGIN FOR n IN 1..8 LOOP
        EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, body text)', n);
        EXECUTE format('INSERT INTO t%s SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, 1000) g', n);
    END LOOP; END $$;
    ANALYZE;
";

/// Rows in all its tables.
const ROWS: u64 = 2000 + 10_000 + 8 * 1000;

/// Slow enough to be interrupted, in pieces small enough to have finished some by then.
fn slow(pair: &mut Pair) {
    pair.task.parallelism = 2;
    pair.task.bandwidth_limit = Some(2 << 20);
    pair.task.tuning.chunk_bytes = 1 << 20;
}

fn fast(pair: &mut Pair) {
    pair.task.bandwidth_limit = None;
}

/// Some ranges of the big table are there.
const IN_RANGES: &str = "SELECT count(*) >= 2 FROM homeport.sync_chunk";
/// Some tables are complete and others are not.
const BETWEEN_TABLES: &str = "SELECT count(*) BETWEEN 1 AND 8 FROM homeport.sync_table \
                              WHERE checksum IS NOT NULL AND name <> 'large objects'";

async fn until(target: &Client, condition: &str) {
    while !target.query_one(condition, &[]).await.is_ok_and(|row| row.get(0)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs a copy until the target is at that moment.
async fn stopped_at(pair: &Pair, moment: &str) {
    let (progress, _) = watch::channel(Progress::default());
    let cancel = CancellationToken::new();
    let (outcome, ()) = tokio::join!(Postgres.copy(&pair.task, &progress, &cancel), async {
        until(&pair.target, moment).await;
        cancel.cancel();
    });
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
}

fn assert_same(pair: &Pair) {
    let sorted = |dump: String| {
        let mut lines: Vec<String> = dump.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (source, target) = pair.dumps();
    assert!(sorted(source) == sorted(target), "the two sides' dumps differ");
}

/// The second run did not do what the first had done.
fn assert_continued(report: &Report) {
    assert!(
        report.verdicts.iter().all(|verdict| verdict.equal),
        "{:?}",
        report.verdicts
    );
    assert!(report.rows_copied < ROWS, "{report:?}");
}

/// Not a test of its own: what [`killed_and_started_again`] starts as another process.
#[tokio::test]
async fn child_process() {
    let Ok(arguments) = std::env::var("HOMEPORT_SYNC_CHILD") else {
        return;
    };
    let [source, target, database] = arguments.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{arguments}")
    };
    let mut task = homeport_sync::Task::new(
        database,
        endpoint(source.parse().unwrap(), database),
        endpoint(target.parse().unwrap(), database),
    );
    task.parallelism = 2;
    task.bandwidth_limit = Some(2 << 20);
    task.tuning.chunk_bytes = 1 << 20;
    let (progress, _) = watch::channel(Progress::default());
    Postgres
        .copy(&task, &progress, &CancellationToken::new())
        .await
        .unwrap();
}

fn start_child(pair: &Pair) -> Child {
    let arguments = format!(
        "{} {} {}",
        pair.task.source.port, pair.task.target.port, pair.task.target.database
    );
    Command::new(std::env::current_exe().unwrap())
        .args(["interrupted::child_process", "--exact"])
        .env("HOMEPORT_SYNC_CHILD", arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[rstest]
#[case::in_ranges(IN_RANGES)]
#[case::between_tables(BETWEEN_TABLES)]
#[tokio::test]
async fn killed_and_started_again(#[case] moment: &str) {
    let Some(mut pair) = Pair::new(SHOP).await else {
        return;
    };
    slow(&mut pair);
    let mut child = start_child(&pair);
    until(&pair.target, moment).await;
    child.kill().unwrap();
    child.wait().unwrap();
    fast(&mut pair);
    assert_continued(&pair.copy().await.unwrap());
    assert_same(&pair);
}

#[rstest]
#[case::in_ranges(IN_RANGES)]
#[case::between_tables(BETWEEN_TABLES)]
#[tokio::test]
async fn the_source_changes_before_a_killed_copy_goes_on(#[case] moment: &str) {
    let Some(mut pair) = Pair::new(SHOP).await else {
        return;
    };
    slow(&mut pair);
    let mut child = start_child(&pair);
    until(&pair.target, moment).await;
    child.kill().unwrap();
    child.wait().unwrap();
    pair.source
        .batch_execute(
            "UPDATE events SET body = 'changed' WHERE id = 1; DELETE FROM events WHERE id = 9999; \
             INSERT INTO users VALUES (5000, 'new'); INSERT INTO events VALUES (20000, 5000, 'new'); \
             DELETE FROM t1; INSERT INTO t2 VALUES (5000, 'new'); CREATE TABLE extra (id int PRIMARY KEY); \
             INSERT INTO extra VALUES (1)",
        )
        .await
        .unwrap();
    fast(&mut pair);
    let report = pair.copy().await.unwrap();
    assert!(
        report.verdicts.iter().all(|verdict| verdict.equal),
        "{:?}",
        report.verdicts
    );
    assert_same(&pair);
}

#[rstest]
#[case::in_ranges(IN_RANGES)]
#[case::between_tables(BETWEEN_TABLES)]
#[tokio::test]
async fn suspended_and_resumed(#[case] moment: &str) {
    let Some(mut pair) = Pair::new(SHOP).await else {
        return;
    };
    slow(&mut pair);
    stopped_at(&pair, moment).await;
    fast(&mut pair);
    assert_continued(&pair.copy().await.unwrap());
    assert_same(&pair);
}

/// A session waits for a lock on the table.
fn waiting_for(table: &str) -> String {
    format!(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
}

#[rstest]
#[case::again_in_ranges(1 << 20)]
#[case::now_in_one_piece(1 << 30)]
#[tokio::test]
async fn stopped_before_a_table_in_ranges_is_emptied(#[case] chunk_bytes: u64) {
    let Some(mut pair) = Pair::new(SHOP).await else {
        return;
    };
    slow(&mut pair);
    stopped_at(&pair, IN_RANGES).await;
    pair.source
        .batch_execute("UPDATE events SET body = 'changed'")
        .await
        .unwrap();
    fast(&mut pair);
    pair.task.tuning.chunk_bytes = chunk_bytes;

    // A reader of the target keeps the ranges from giving way until the copy is stopped.
    let reader = connect(&pair.task.target).await;
    reader
        .batch_execute("BEGIN; LOCK TABLE events IN ACCESS SHARE MODE")
        .await
        .unwrap();
    stopped_at(&pair, &waiting_for("events")).await;
    reader.batch_execute("COMMIT").await.unwrap();

    let report = pair.copy().await.unwrap();
    assert!(
        report.verdicts.iter().all(|verdict| verdict.equal),
        "{:?}",
        report.verdicts
    );
    assert_same(&pair);
}

#[tokio::test]
async fn broken_connections_are_opened_again() {
    let Some(mut pair) = Pair::new(SHOP).await else {
        return;
    };
    slow(&mut pair);
    let (progress, _) = watch::channel(Progress::default());
    let cancel = CancellationToken::new();
    let (outcome, ()) = tokio::join!(Postgres.copy(&pair.task, &progress, &cancel), async {
        until(&pair.target, IN_RANGES).await;
        // Workers' sessions on the target, then everything on the source, the snapshot too.
        let workers = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE application_name LIKE 'homeport sync%' AND datname = current_database() \
                       AND query LIKE 'COPY%'";
        pair.target.batch_execute(workers).await.unwrap();
        let everything = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                          WHERE application_name LIKE 'homeport sync%' AND datname = current_database()";
        pair.source.batch_execute(everything).await.unwrap();
    });
    let report = outcome.unwrap();
    assert!(report.retries >= 1, "{report:?}");
    assert!(
        report.verdicts.iter().all(|verdict| verdict.equal),
        "{:?}",
        report.verdicts
    );
    assert_same(&pair);
}

#[tokio::test]
async fn two_at_once_take_turns() {
    let Some(mut pair) = Pair::new(SHOP).await else {
        return;
    };
    pair.task.parallelism = 1;
    let (first, second) = tokio::join!(pair.copy(), pair.copy());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(
        first.tables_kept + second.tables_kept,
        10,
        "the later one found everything done"
    );
    assert_same(&pair);
}

#[tokio::test]
async fn copied_again_after_the_source_went_on() {
    let Some(mut pair) = Pair::new(SHOP).await else {
        return;
    };
    pair.task.tuning.chunk_bytes = 1 << 20;
    pair.copy().await.unwrap();
    pair.source
        .batch_execute(
            "UPDATE users SET name = 'x' WHERE id = 7; INSERT INTO events VALUES (77777, 7, 'new')",
        )
        .await
        .unwrap();
    let report = pair.copy().await.unwrap();
    assert_eq!(report.tables_kept, 8);
    assert_same(&pair);
}

#[tokio::test]
async fn rows_written_to_a_finished_copy_are_not_lost() {
    let Some(pair) = Pair::new(SHOP).await else { return };
    pair.copy().await.unwrap();
    pair.target
        .batch_execute("UPDATE users SET name = 'by the application' WHERE id = 7")
        .await
        .unwrap();
    pair.source
        .batch_execute("UPDATE users SET name = 'x' WHERE id = 8")
        .await
        .unwrap();
    let error = pair.copy().await.unwrap_err();
    assert!(
        matches!(&error, Error::TargetNotEmpty { tables, .. } if tables == &["public.users"]),
        "{error}"
    );
    assert_eq!(
        pair.target_count("SELECT count(*) FROM users WHERE name = 'by the application'")
            .await,
        1
    );

    // Whoever does not need the rows empties the table.
    pair.target.batch_execute("TRUNCATE users CASCADE").await.unwrap();
    pair.copy().await.unwrap();
    assert_same(&pair);
}

#[rstest]
#[case::complete_in_one_piece("t1", None, 1 << 30)]
#[case::complete_in_ranges("events", None, 1 << 20)]
#[case::some_ranges("events", Some(IN_RANGES), 1 << 20)]
#[case::some_ranges_now_in_one_piece("events", Some(IN_RANGES), 1 << 30)]
#[tokio::test]
async fn rows_written_while_a_table_is_about_to_be_replaced_are_not_lost(
    #[case] table: &str,
    #[case] moment: Option<&str>,
    #[case] chunk_bytes: u64,
) {
    let Some(mut pair) = Pair::new(SHOP).await else {
        return;
    };
    if let Some(moment) = moment {
        slow(&mut pair);
        stopped_at(&pair, moment).await;
        fast(&mut pair);
        pair.task.tuning.chunk_bytes = chunk_bytes;
    } else {
        pair.task.tuning.chunk_bytes = chunk_bytes;
        pair.copy().await.unwrap();
    }
    pair.source
        .batch_execute(&format!("UPDATE {table} SET body = 'changed'"))
        .await
        .unwrap();

    // Not visible yet when the copy compares the table, and there by the time that it gets its lock.
    let writer = connect(&pair.task.target).await;
    writer
        .batch_execute(&format!(
            "BEGIN; INSERT INTO {table} (id, body) VALUES (99999, 'by the application')"
        ))
        .await
        .unwrap();
    let (outcome, ()) = tokio::join!(pair.copy(), async {
        until(&pair.target, &waiting_for(table)).await;
        writer.batch_execute("COMMIT").await.unwrap();
    });
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, Error::TargetNotEmpty { tables, .. } if tables == &[format!("public.{table}")]),
        "{error}"
    );
    let written = format!("SELECT count(*) FROM {table} WHERE body = 'by the application'");
    assert_eq!(pair.target_count(&written).await, 1);
}

#[tokio::test]
async fn a_source_of_another_shape_is_not_mixed_with_what_is_there() {
    let Some(pair) = Pair::new(SHOP).await else { return };
    pair.copy().await.unwrap();
    pair.source
        .batch_execute("ALTER TABLE t3 ADD COLUMN extra int; DROP TABLE t4")
        .await
        .unwrap();
    let error = pair.copy().await.unwrap_err();
    let message = error.to_string();
    assert_eq!(error.reason(), "SchemaChanged");
    assert!(
        message.contains("changed: TABLE public.t3") && message.contains("gone: TABLE public.t4"),
        "{message}"
    );
}
