//! `kill -9` of homeport at the worst moments: started again, it ends in the same state as without.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use homeport_tests::{KINDS, Webshop};
use rstest::rstest;
use serde_json::Value;

use crate::migration::{Migration, SMALL, can_deploy};

/// A moment of a migration, by what can be seen from outside.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Unpack,
    Deploy,
    Copy,
    Cutover,
}

impl Moment {
    /// Makes the moment long enough to be met.
    fn prepare(self, shop: &Webshop) {
        match self {
            Self::Unpack => {
                // Numbers that hardly compress: unpacking them takes its time.
                let mut state = 1_u64;
                let mut noise = String::new();
                while noise.len() < 60_000_000 {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    writeln!(noise, "{state}").unwrap();
                }
                fs::write(shop.file("bundle/configs/noise.txt"), noise).unwrap();
            }
            Self::Deploy => {}
            Self::Copy => shop.edit("sync.yaml", "mode: Once", "mode: Once\n  bandwidthLimit: 3MB"),
            Self::Cutover => shop.edit("cutover.yaml", "soak: 5s", "soak: 8s"),
        }
    }

    /// Whether it is now.
    fn is_now(self, migration: &Migration) -> bool {
        let shop = &migration.shop;
        match self {
            Self::Unpack => holds_file_named(&migration.homeport.state_dir(), "noise.txt"),
            Self::Deploy => !shop.containers().is_empty(),
            Self::Copy => {
                percent(migration.kubectl().object("datasync", shop.name())).is_some_and(|done| done > 0)
            }
            Self::Cutover => shop.resolve() == [shop.host().to_string()],
        }
    }

    /// Whether it is over.
    fn is_over(self, migration: &Migration) -> bool {
        match self {
            Self::Unpack => migration.holds("hprtbundle", "Verified"),
            Self::Deploy => migration.holds("hprtbundle", "Deployed"),
            Self::Copy => migration.holds("datasync", "Ready"),
            Self::Cutover => migration.holds("cutover", "Ready"),
        }
    }
}

fn percent(sync: Option<Value>) -> Option<i64> {
    sync?.pointer("/status/percent")?.as_i64()
}

/// Whether there is a file whose name begins so anywhere under the directory, whole or being written.
fn holds_file_named(directory: &std::path::Path, name: &str) -> bool {
    let Ok(entries) = fs::read_dir(directory) else {
        return false;
    };
    entries.flatten().any(|entry| {
        entry.file_name().to_string_lossy().contains(name)
            || entry.file_type().is_ok_and(|kind| kind.is_dir()) && holds_file_named(&entry.path(), name)
    })
}

#[rstest]
#[case::unpack(Moment::Unpack)]
#[case::deploy(Moment::Deploy)]
#[case::copy(Moment::Copy)]
#[case::cutover(Moment::Cutover)]
fn killed_in_the_middle_it_goes_on_where_it_was(#[case] moment: Moment) {
    if !can_deploy() {
        return;
    }
    let shop = Webshop::with_cloud(SMALL);
    moment.prepare(&shop);
    let mut migration = Migration::of(shop);
    migration.apply_all();
    migration.wait_for(&format!("{moment:?}"), |_| {
        moment.is_now(&migration) || moment.is_over(&migration)
    });
    migration.homeport.kill();
    migration.homeport.start_again();
    if moment.is_over(&migration) {
        eprintln!("{moment:?} was over before the kill");
    }
    migration.wait_until_ready();
    migration.assert_arrived();
}

/// Every time that a condition of any of the four changes, homeport is killed and started again.
#[test]
fn killed_at_every_step_it_still_arrives() {
    if !can_deploy() {
        return;
    }
    let mut migration = Migration::ready_to_apply();
    migration.apply_all();
    let mut seen = BTreeSet::new();
    loop {
        let before = seen.len();
        migration.wait_for("the next step, or the end", |_| {
            seen.extend(steps(&migration));
            seen.len() > before || migration.is_ready()
        });
        if seen.len() == before {
            break;
        }
        migration.homeport.kill();
        migration.homeport.start_again();
    }
    migration.assert_arrived();
}

/// Conditions that are True, as `kind/condition`. There are only so many, so the kills come to an end.
fn steps(migration: &Migration) -> BTreeSet<String> {
    let mut steps = BTreeSet::new();
    for kind in KINDS {
        let object = migration
            .kubectl()
            .object(kind, migration.shop.name())
            .unwrap_or_default();
        let conditions = object["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let reached = conditions
            .iter()
            .filter(|condition| condition["status"] == "True");
        steps.extend(
            reached.map(|condition| format!("{kind}/{}", condition["type"].as_str().unwrap_or_default())),
        );
    }
    steps
}
