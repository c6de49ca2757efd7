//! What a whole copy yields.

use homeport_sync::{Engine, Phase, Postgres, Progress, Selection};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::servers::{Pair, connect};

/// Every kind of type and object that a database is likely to have.
const ZOO: &str = include_str!("zoo.sql");

#[tokio::test]
async fn everything_arrives_as_it_was() {
    let Some(pair) = Pair::new(ZOO).await else { return };
    let report = pair.copy().await.unwrap();
    let (source, target) = pair.dumps();
    assert_eq!(source, target);
    assert!(
        report.verdicts.iter().all(|verdict| verdict.equal),
        "{:?}",
        report.verdicts
    );
    assert_eq!(report.warnings, Vec::<String>::new());
    assert_eq!(report.retries, 0);
    let rows = |table: &str| {
        report
            .verdicts
            .iter()
            .find(|verdict| verdict.table == table)
            .map(|verdict| verdict.rows_target)
    };
    assert_eq!(rows("public.nocols"), Some(7));
    assert_eq!(
        rows("public.measure_2a")
            .zip(rows("public.measure_2b"))
            .map(|(a, b)| a + b),
        Some(365)
    );
    assert_eq!(rows("large objects"), Some(5), "pieces of three large objects");
    // Statistics are there, and rows were written frozen: nothing is left for vacuum.
    assert_eq!(
        pair.target_count("SELECT count(*) FROM pg_stats WHERE tablename = 'measure_2a'")
            .await,
        2
    );
    let hidden = "SELECT count(*) FROM pg_class WHERE relname = 'custom' AND relallvisible <> relpages";
    assert_eq!(pair.target_count(hidden).await, 0);
}

#[tokio::test]
async fn a_big_table_is_shared_by_all_streams() {
    let sql = "CREATE TABLE big (id int PRIMARY KEY, note text, body text); \
               INSERT INTO big SELECT g, md5(g::text), repeat(md5(g::text), 30) FROM generate_series(1, 20000) g; \
               DELETE FROM big WHERE id % 7 = 0; CREATE INDEX ON big (note); ANALYZE big";
    let Some(mut pair) = Pair::new(sql).await else {
        return;
    };
    pair.task.tuning.chunk_bytes = 1 << 20;
    pair.task.parallelism = 3;
    let plan = Postgres
        .plan(&pair.task, &CancellationToken::new())
        .await
        .unwrap();
    assert!(plan.tables[0].chunks > 3, "{plan:?}");
    assert!(!plan.resumes);
    assert_eq!(
        pair.target_count("SELECT count(*) FROM pg_namespace WHERE nspname = 'homeport'")
            .await,
        0
    );

    let (sender, receiver) = watch::channel(Progress::default());
    let report = Postgres
        .copy(&pair.task, &sender, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(report.rows_copied, 20000 - 20000 / 7);
    assert_eq!(report.verdicts[0].rows_target, report.rows_copied);
    let progress = receiver.borrow().clone();
    assert_eq!(progress.phase, Phase::Done);
    assert_eq!((progress.tables_done, progress.tables_total), (1, 1));
    assert_eq!(progress.bytes_done, report.bytes_copied);
    assert_eq!(progress.bytes_total_estimate, report.bytes_copied);
    assert_eq!(progress.rows_done, report.rows_copied);

    let plan = Postgres
        .plan(&pair.task, &CancellationToken::new())
        .await
        .unwrap();
    assert!(plan.resumes);
    let again = pair.copy().await.unwrap();
    assert_eq!((again.rows_copied, again.tables_kept), (0, 1));
}

#[tokio::test]
async fn only_what_is_selected_and_what_does_not_depend_on_the_rest() {
    let sql = "CREATE SCHEMA audit; CREATE TABLE audit.log (id int); INSERT INTO audit.log VALUES (1); \
               CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users VALUES (1); \
               CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users); INSERT INTO orders VALUES (1, 1); \
               CREATE VIEW recent AS SELECT * FROM orders; CREATE VIEW names AS SELECT * FROM users; \
               SELECT lo_from_bytea(0, 'x')";
    let Some(mut pair) = Pair::new(sql).await else {
        return;
    };
    pair.task.selection = Selection {
        include_schemas: vec!["public".into()],
        exclude_tables: vec!["users".into()],
        ..Selection::default()
    };
    let report = pair.copy().await.unwrap();
    let relations = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class c \
                     JOIN pg_namespace n ON n.oid = relnamespace \
                     WHERE nspname IN ('public', 'audit') AND relkind IN ('r', 'v')";
    let found: String = pair.target.query_one(relations, &[]).await.unwrap().get(0);
    assert_eq!(found, "orders recent");
    assert_eq!(pair.target_count("SELECT count(*) FROM orders").await, 1);
    assert_eq!(report.verdicts.len(), 1);
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("orders_user_id_fkey")),
        "{report:?}"
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("large objects")),
        "{report:?}"
    );
}

#[tokio::test]
async fn sequences_of_tables_that_are_left_out_keep_their_values() {
    let schema = "CREATE TABLE users (id serial PRIMARY KEY, number int GENERATED ALWAYS AS IDENTITY); \
                  CREATE SEQUENCE invite_numbers; \
                  CREATE TABLE invites (id int PRIMARY KEY DEFAULT nextval('invite_numbers')); \
                  CREATE TABLE orders (id serial PRIMARY KEY, number int GENERATED ALWAYS AS IDENTITY); \
                  CREATE SEQUENCE ticket_numbers; \
                  CREATE TABLE tickets (id int PRIMARY KEY DEFAULT nextval('ticket_numbers')); \
                  CREATE SEQUENCE unattached;";
    let set =
        |value: u32| format!("SELECT setval(c.oid::regclass, {value}) FROM pg_class c WHERE relkind = 'S'");
    let Some(mut pair) = Pair::new(&format!("{schema} {}", set(3))).await else {
        return;
    };
    pair.target
        .batch_execute(&format!("{schema} {}", set(500)))
        .await
        .unwrap();
    pair.task.selection = Selection {
        include_tables: vec!["users".into(), "invites".into()],
        ..Selection::default()
    };
    let report = pair.copy().await.unwrap();
    let values =
        "SELECT string_agg(sequencename || ' ' || last_value, ', ' ORDER BY sequencename) FROM pg_sequences";
    let found: String = pair.target.query_one(values, &[]).await.unwrap().get(0);
    assert_eq!(
        found,
        "invite_numbers 3, orders_id_seq 500, orders_number_seq 500, ticket_numbers 500, \
         unattached 500, users_id_seq 3, users_number_seq 3"
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("public.unattached") && !warning.contains("ticket_numbers")),
        "{report:?}"
    );
}

#[tokio::test]
async fn roles_that_the_target_lacks_are_a_warning() {
    // Both servers get one role; another one exists on the source alone.
    let sql = "CREATE ROLE only_here; CREATE ROLE on_both; \
               CREATE TABLE a (id int); ALTER TABLE a OWNER TO only_here; \
               CREATE TABLE b (id int); ALTER TABLE b OWNER TO on_both; \
               GRANT SELECT ON b TO only_here, PUBLIC; INSERT INTO b VALUES (1); \
               SELECT lo_from_bytea(99, 'x'); ALTER LARGE OBJECT 99 OWNER TO on_both";
    let Some(pair) = Pair::new(sql).await else { return };
    pair.target.batch_execute("CREATE ROLE on_both").await.unwrap();
    let report = pair.copy().await.unwrap();
    let owner = "SELECT string_agg(relname || ' ' || pg_get_userbyid(relowner), ', ' ORDER BY relname) \
                 FROM pg_class WHERE relname IN ('a', 'b')";
    let owners: String = pair.target.query_one(owner, &[]).await.unwrap().get(0);
    assert_eq!(owners, "a postgres, b on_both");
    let privileges: bool = pair
        .target
        .query_one("SELECT has_table_privilege('pg_monitor', 'b', 'SELECT')", &[])
        .await
        .unwrap()
        .get(0);
    assert!(privileges, "granted to PUBLIC");
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("no role only_here")),
        "{report:?}"
    );
    let object = "SELECT count(*) FROM pg_largeobject_metadata WHERE lomowner = 'on_both'::regrole";
    assert_eq!(pair.target_count(object).await, 1);
}

#[tokio::test]
async fn a_changed_byte_on_the_target_is_noticed() {
    let sql = "CREATE TABLE a (id int PRIMARY KEY, note text); \
               INSERT INTO a SELECT g, md5(g::text) FROM generate_series(1, 1000) g; \
               CREATE TABLE b AS TABLE a; CREATE TABLE c (id int)";
    let Some(pair) = Pair::new(sql).await else { return };
    pair.copy().await.unwrap();
    assert!(pair.verify().await.unwrap().iter().all(|verdict| verdict.equal));

    pair.target
        .batch_execute("UPDATE a SET note = overlay(note PLACING '_' FROM 5) WHERE id = 500")
        .await
        .unwrap();
    pair.target.batch_execute("DROP TABLE c").await.unwrap();
    let verdicts = pair.verify().await.unwrap();
    let found: Vec<(&str, bool)> = verdicts
        .iter()
        .map(|verdict| (verdict.table.as_str(), verdict.equal))
        .collect();
    assert_eq!(
        found,
        [("public.a", false), ("public.b", true), ("public.c", false)]
    );
    assert_eq!(verdicts[0].rows_source, verdicts[0].rows_target);
    assert_ne!(verdicts[0].checksum_source, verdicts[0].checksum_target);
}

#[tokio::test]
async fn a_schema_that_the_application_made_is_filled() {
    let schema = "CREATE TABLE users (id int PRIMARY KEY, name text); \
                  CREATE TABLE orders (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users); \
                  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                      $$ BEGIN RAISE EXCEPTION 'the trigger acted'; END $$; \
                  CREATE INDEX orders_user ON orders (user_id);";
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse()";
    let rows = "INSERT INTO users SELECT g, md5(g::text) FROM generate_series(1, 500) g; \
                INSERT INTO orders (user_id) SELECT g FROM generate_series(1, 500) g;";
    let Some(pair) = Pair::new(&format!("{schema} {rows} {trigger}")).await else {
        return;
    };
    pair.target
        .batch_execute(&format!("{schema} {trigger}"))
        .await
        .unwrap();
    pair.copy().await.unwrap();
    let (source, target) = pair.dumps();
    assert_eq!(source, target);
}

#[tokio::test]
async fn the_source_is_only_read() {
    let Some(mut pair) = Pair::new(ZOO).await else {
        return;
    };
    let reader = connect(&pair.task.source).await;
    reader
        .batch_execute(
            "CREATE ROLE reader LOGIN BYPASSRLS PASSWORD 'reader'; GRANT pg_read_all_data TO reader; \
             ALTER ROLE reader SET default_transaction_read_only = on",
        )
        .await
        .unwrap();
    reader
        .batch_execute("GRANT SELECT ON LARGE OBJECT 4711, 4712, 4713 TO reader")
        .await
        .unwrap();
    pair.task.source.user = "reader".into();
    pair.task.source.password = "reader".into();
    let report = pair.copy().await.unwrap();
    assert!(report.verdicts.iter().all(|verdict| verdict.equal));
}
