#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const LIMIT: HistoryLimit = HistoryLimit {
    events: 20,
    bytes: 1 << 20,
};
const VOLATILE: &str = "/secrets";
const RESOURCES: [&str; 2] = ["x.io/things", VOLATILE];

fn open(directory: &Path) -> Engine {
    Engine::open(&Location::File(directory.join("state.db")), LIMIT).unwrap()
}

fn key(resource: usize, name: u8) -> Key {
    Key::new(
        &RESOURCES[resource].into(),
        if name.is_multiple_of(2) { "even" } else { "odd" },
        &format!("n{name}"),
    )
}

fn object(key: &Key, value: u8) -> Value {
    json!({"metadata": {"name": key.name, "uid": format!("{}-{}", key.resource, key.name)}, "spec": value})
}

fn put(key: &Key, expect: Expect, value: u8) -> Write {
    let change = Change::Put(object(key, value));
    Write {
        key: key.clone(),
        expect,
        change,
        durable: &*key.resource != VOLATILE,
    }
}

#[derive(Clone, Debug)]
enum Op {
    Put {
        resource: usize,
        name: u8,
        value: u8,
    },
    Delete {
        resource: usize,
        name: u8,
    },
    /// A write that expects what is not.
    Stale {
        resource: usize,
        name: u8,
    },
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..2_usize, 0..5_u8, any::<u8>()).prop_map(|(resource, name, value)| Op::Put { resource, name, value }),
        3 => (0..2_usize, 0..5_u8).prop_map(|(resource, name)| Op::Delete { resource, name }),
        1 => (0..2_usize, 0..5_u8).prop_map(|(resource, name)| Op::Stale { resource, name }),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 1..60)
}

/// The state as it should be, and as it was after each revision.
#[derive(Default)]
struct Model {
    objects: BTreeMap<Key, (u64, Value)>,
    past: BTreeMap<u64, BTreeMap<Key, (u64, Value)>>,
    last: u64,
}

impl Model {
    fn record(&mut self, revision: u64) {
        assert!(revision > self.last, "revision {revision} after {}", self.last);
        self.last = revision;
        self.past.insert(revision, self.objects.clone());
    }
}

fn compare(engine: &Engine, model: &Model) {
    for resource in RESOURCES {
        let resource: Arc<str> = resource.into();
        let volatile = &*resource == VOLATILE;
        let expected = |objects: &BTreeMap<Key, (u64, Value)>,
                        namespace: Option<&str>|
         -> Vec<(Key, u64, Value)> {
            objects
                .iter()
                .filter(|(key, _)| key.resource == resource && namespace.is_none_or(|ns| key.namespace == ns))
                .map(|(key, (revision, value))| (key.clone(), *revision, value["spec"].clone()))
                .collect()
        };
        let found = |snapshot: super::memory::Snapshot| -> Vec<(Key, u64, Value)> {
            let objects = snapshot.objects.into_iter();
            objects
                .map(|(key, stored)| (key, stored.revision, stored.value()["spec"].clone()))
                .collect()
        };
        for namespace in [None, Some("even"), Some("odd"), Some("none")] {
            let now = engine
                .read(|memory| memory.snapshot(&resource, namespace, None, volatile))
                .unwrap();
            assert_eq!(found(now), expected(&model.objects, namespace));
        }
        // Every state of the past is told exactly, or refused because it is too old.
        let floor = engine.read(|memory| memory.floor(volatile));
        for (revision, objects) in &model.past {
            match engine.read(|memory| memory.snapshot(&resource, None, Some(*revision), volatile)) {
                Ok(past) => assert_eq!(
                    found(past),
                    expected(objects, None),
                    "at {revision}, floor {floor}"
                ),
                Err(expired) => assert!(*revision < floor, "{expired} but the floor is {floor}"),
            }
        }
    }
    for (key, (_, value)) in &model.objects {
        let uid = value["metadata"]["uid"].as_str().unwrap();
        assert_eq!(
            engine
                .read(|memory| memory.by_uid(uid).map(|(key, _)| key.clone()))
                .as_ref(),
            Some(key)
        );
    }
}

async fn run(ops: Vec<Op>) {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = open(directory.path());
    let mut model = Model::default();
    for op in ops {
        match op {
            Op::Put {
                resource,
                name,
                value,
            } => {
                let key = key(resource, name);
                let known = model.objects.get(&key).map(|(revision, _)| *revision);
                let expect = known.map_or(Expect::Absent, Expect::Revision);
                let stored = engine.write(put(&key, expect, value)).await.unwrap();
                assert_eq!(
                    stored.value()["metadata"]["resourceVersion"],
                    stored.revision.to_string()
                );
                model
                    .objects
                    .insert(key.clone(), (stored.revision, object(&key, value)));
                model.record(stored.revision);
            }
            Op::Delete { resource, name } => {
                let key = key(resource, name);
                let Some((revision, value)) = model.objects.get(&key).cloned() else {
                    continue;
                };
                let expect = Expect::Revision(revision);
                let write = Write {
                    key: key.clone(),
                    expect,
                    change: Change::Delete(value),
                    durable: true,
                };
                let stored = engine.write(write).await.unwrap();
                model.objects.remove(&key);
                model.record(stored.revision);
            }
            Op::Stale { resource, name } => {
                let key = key(resource, name);
                let expect = match model.objects.get(&key) {
                    Some((revision, _)) => Expect::Revision(revision - 1),
                    None => Expect::Revision(1),
                };
                let refused = engine.write(put(&key, expect, 0)).await;
                assert!(matches!(refused, Err(WriteError::Conflict)));
            }
            Op::Reopen => {
                engine.close().await;
                engine = open(directory.path());
                model.objects.retain(|key, _| &*key.resource != VOLATILE);
                // What was in memory only is gone, and the past that it was part of with it.
                let restarted = engine.read(Memory::revision);
                assert!(
                    restarted > model.last,
                    "what a restart finds is a state of its own"
                );
                model.last = restarted;
                for objects in model.past.values_mut() {
                    objects.retain(|key, _| &*key.resource != VOLATILE);
                }
            }
        }
        compare(&engine, &model);
    }
    engine.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Any history of writes and restarts leaves exactly the objects that it should, at present and as of any
    /// revision still remembered, and no revision is ever used twice.
    #[test]
    fn behaves_as_the_model(ops in ops()) {
        tokio::runtime::Runtime::new().unwrap().block_on(run(ops));
    }
}

#[tokio::test]
async fn concurrent_writers_never_lose_an_update() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Arc::new(open(directory.path()));
    let counter = key(0, 0);
    engine.write(put(&counter, Expect::Absent, 0)).await.unwrap();
    let writers = (0..8).map(|_| {
        let (engine, counter) = (Arc::clone(&engine), counter.clone());
        tokio::spawn(async move {
            for _ in 0..20 {
                loop {
                    let now = engine.read(|memory| memory.get(&counter).cloned()).unwrap();
                    let next = u8::try_from(now.value()["spec"].as_u64().unwrap() + 1).unwrap();
                    match engine
                        .write(put(&counter, Expect::Revision(now.revision), next))
                        .await
                    {
                        Ok(_) => break,
                        Err(WriteError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        })
    });
    futures::future::try_join_all(writers).await.unwrap();
    assert_eq!(
        engine
            .read(|memory| memory.get(&counter).cloned())
            .unwrap()
            .value()["spec"],
        160
    );
    engine.close().await;
}

#[tokio::test]
async fn a_tail_sees_each_change_once_and_in_order_or_is_told_that_it_fell_behind() {
    let engine = Engine::open(&Location::Memory, LIMIT).unwrap();
    let mut tail = engine.tail(0);
    let mut slow = engine.tail(0);
    let mut last = 0;
    for round in 0..30_u8 {
        let key = key(0, round);
        engine.write(put(&key, Expect::Absent, round)).await.unwrap();
        let events = tail.next().await.unwrap().unwrap();
        assert_eq!(events.len(), 1);
        assert!(events[0].revision() > last);
        assert_eq!(events[0].key, key);
        last = events[0].revision();
    }
    let Err(expired) = slow.next().await else {
        panic!("30 changes do not fit into 20")
    };
    assert_eq!(expired.asked, 0);
    assert_eq!(expired.oldest, last - 20, "the last 20 are kept");
    engine.close().await;
    assert!(
        tail.next().await.unwrap().is_none(),
        "the tail ends with the engine"
    );
}

#[tokio::test]
async fn superseded_rows_are_removed_and_the_file_stays_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    let kept = key(0, 1);
    engine.write(put(&kept, Expect::Absent, 7)).await.unwrap();
    let busy = key(0, 0);
    let mut expect = Expect::Absent;
    for value in 0..5000_u32 {
        let value = u8::try_from(value % 256).unwrap();
        expect = Expect::Revision(engine.write(put(&busy, expect, value)).await.unwrap().revision);
    }
    engine.close().await;
    let file = rusqlite::Connection::open(directory.path().join("state.db")).unwrap();
    let rows: i64 = file
        .query_row("SELECT count(*) FROM log", [], |row| row.get(0))
        .unwrap();
    assert!(rows < 2200, "{rows} rows are left of 5001");
    drop(file);
    let engine = open(directory.path());
    assert_eq!(
        engine.read(|memory| memory.get(&kept).cloned()).unwrap().value()["spec"],
        7
    );
    let refused = engine.read(|memory| memory.snapshot(&busy.resource, None, Some(100), false));
    assert!(refused.is_err(), "history with gaps must not be served");
    engine.close().await;
}

#[tokio::test]
async fn what_stays_in_memory_never_reaches_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    let secret = key(1, 0);
    let change = Change::Put(json!({"metadata": {"name": "s"}, "data": "correct-horse-battery"}));
    engine
        .write(Write {
            key: secret,
            expect: Expect::Absent,
            change,
            durable: false,
        })
        .await
        .unwrap();
    engine.write(put(&key(0, 0), Expect::Absent, 1)).await.unwrap();
    let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap_or_default();
    let contains = |bytes: &[u8], needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let before_close = read("state.db-wal");
    assert!(contains(&before_close, b"x.io/things"), "the search itself works");
    assert!(!contains(&before_close, b"correct-horse-battery"));
    engine.close().await;
    assert!(!contains(&read("state.db"), b"correct-horse-battery"));
}

#[tokio::test]
async fn a_restart_begins_beyond_every_revision_ever_shown() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    let volatile = key(1, 0);
    let mut shown = engine.read(Memory::revision);
    let mut expect = Expect::Absent;
    // To the last revision of the block: the mark in the file is one that was shown, with an object that will vanish.
    for _ in 0..=super::revision::BLOCK {
        shown = engine.write(put(&volatile, expect, 1)).await.unwrap().revision;
        expect = Expect::Revision(shown);
    }
    engine.close().await;
    let file = rusqlite::Connection::open(directory.path().join("state.db")).unwrap();
    let mark: u64 = file
        .query_row("SELECT value FROM mark WHERE name = 'reserved'", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap()
        .unsigned_abs();
    drop(file);
    assert_eq!(mark, shown);

    // A second restart without a write in between finds yet another state, as far as anyone can tell.
    for _ in 0..2 {
        let engine = open(directory.path());
        let found = engine.read(Memory::revision);
        assert!(found > shown, "{found} after {shown}");
        let stale = engine.read(|memory| memory.snapshot(&volatile.resource, None, Some(shown), true));
        assert_eq!(
            stale.unwrap_err(),
            Expired {
                asked: shown,
                oldest: found
            }
        );
        shown = found;
        engine.close().await;
    }
}

#[tokio::test]
async fn a_second_process_is_kept_out_and_foreign_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let engine = open(directory.path());
    let location = Location::File(path.clone());
    let refused = Engine::open(&location, LIMIT).unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    engine.close().await;

    let file = rusqlite::Connection::open(&path).unwrap();
    file.pragma_update(None, "user_version", 3).unwrap();
    drop(file);
    let refused = Engine::open(&location, LIMIT).unwrap_err();
    assert!(
        matches!(
            refused,
            Error::NewerSchema {
                found: 3,
                supported: 2,
                ..
            }
        ),
        "{refused}"
    );

    let other = Location::File(directory.path().join("notes.txt"));
    std::fs::write(
        directory.path().join("notes.txt"),
        "a file of somebody else, longer than a header of SQLite".repeat(9),
    )
    .unwrap();
    let refused = Engine::open(&other, LIMIT).unwrap_err();
    assert!(matches!(refused, Error::NotAStore { .. }), "{refused}");
    let foreign = directory.path().join("foreign.db");
    rusqlite::Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    let refused = Engine::open(&Location::File(foreign), LIMIT).unwrap_err();
    assert!(matches!(refused, Error::NotAStore { .. }), "{refused}");
}

/// SQLite's own limit on the file's pages stands in for a disk that is full.
#[tokio::test]
async fn a_full_disk_refuses_writes_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::File(directory.path().join("state.db"));
    let log = Log::open(&location).unwrap();
    log.limit_pages(40);
    let engine = Engine::start(log, LIMIT).unwrap();
    let big = |key: &Key| {
        let change = Change::Put(json!({"metadata": {"name": key.name}, "spec": "x".repeat(20_000)}));
        Write {
            key: key.clone(),
            expect: Expect::Absent,
            change,
            durable: true,
        }
    };
    let mut stored = Vec::new();
    let refused = loop {
        let key = key(0, u8::try_from(stored.len()).unwrap());
        match engine.write(big(&key)).await {
            Ok(_) => stored.push(key),
            Err(error) => break error,
        }
    };
    let WriteError::Storage(error) = refused else {
        panic!("{refused}")
    };
    assert!(matches!(*error, Error::DiskFull { .. }), "{error}");
    assert!(!stored.is_empty());
    let secret = key(1, 0);
    engine
        .write(put(&secret, Expect::Absent, 1))
        .await
        .expect("memory needs no disk");
    let seen = engine.read(|memory| memory.current(&RESOURCES[0].into(), None).count());
    assert_eq!(seen, stored.len(), "what was refused is not shown");
    engine.close().await;
    let engine = open(directory.path());
    for key in &stored {
        assert!(
            engine.read(|memory| memory.get(key).is_some()),
            "{key:?} was acknowledged"
        );
    }
    engine.close().await;
}
