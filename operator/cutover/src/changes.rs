//! From records as they are to records as they are to be: the change set as data, its policies as pure functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::ownership;
use crate::plan::Plan;
use crate::provider::DnsProvider;
use crate::record::{RecordKey, RecordSet};

/// Records and their owners, as a provider shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The record sets that exist.
    pub records: BTreeMap<RecordKey, RecordSet>,
    /// The owners of records that bear a mark.
    pub owners: BTreeMap<RecordKey, String>,
}

/// Reads record sets and their owners.
pub async fn observe(provider: &dyn DnsProvider, keys: &BTreeSet<RecordKey>) -> Result<Observed> {
    let mut observed = Observed::default();
    for key in keys {
        if let Some(records) = provider.read(key).await? {
            observed.records.insert(key.clone(), records);
        }
        if provider.keeps_ownership()
            && let Some(mark) = provider.read(&ownership::mark_key(key)?).await?
            && let Some(owner) = ownership::owner_of(&mark)
        {
            observed.owners.insert(key.clone(), owner);
        }
    }
    Ok(observed)
}

/// A record set before and after a cutover: recorded before anything changes, and all that a rollback needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Captured {
    /// Which one.
    #[serde(flatten)]
    pub key: RecordKey,
    /// As it was; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<RecordSet>,
    /// As it is to be; absent if it is to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<RecordSet>,
    /// Who owned it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_before: Option<String>,
}

/// What becomes of one record set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which one.
    pub key: RecordKey,
    /// As it is. An update is refused by the server if this is no longer so.
    pub before: Option<RecordSet>,
    /// As it is to be.
    pub after: Option<RecordSet>,
    /// Who owns it.
    pub owner_before: Option<String>,
    /// Who is to own it.
    pub owner_after: Option<String>,
}

/// What a change amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A record set comes to be.
    Create,
    /// Its values, its time to live or its owner change.
    Update,
    /// It goes.
    Delete,
    /// It stays as it is.
    Keep,
}

impl Change {
    /// What the change amounts to.
    pub fn action(&self) -> Action {
        match (&self.before, &self.after) {
            (None, Some(_)) => Action::Create,
            (Some(_), None) => Action::Delete,
            (before, after) if before == after && self.owner_before == self.owner_after => Action::Keep,
            _ => Action::Update,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match (self.action(), &self.before, &self.after) {
            (Action::Create, _, Some(after)) => write!(f, "create {key}: {after}"),
            (Action::Delete, Some(before), _) => write!(f, "delete {key}: {before}"),
            (Action::Update, Some(before), Some(after)) if before == after => {
                write!(f, "take over {key}: {after}")
            }
            (Action::Update, Some(before), Some(after)) => write!(f, "change {key}: {before} to {after}"),
            (_, _, Some(after)) => write!(f, "keep {key}: {after}"),
            (_, _, None) => write!(f, "keep {key}: absent"),
        }
    }
}

/// Changes that are made together, as far as a provider can.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// In the order of their keys.
    pub changes: Vec<Change>,
}

/// Why a change is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The record exists and homeport does not own it.
    NotOwned {
        /// Which one.
        key: RecordKey,
        /// Another owner's name, if it bears a mark.
        owner: Option<String>,
    },
    /// A record of another type is at the name of an alias, which stands alone.
    InTheWay {
        /// Which one.
        key: RecordKey,
    },
    /// The record does not have the value that the plan expects.
    UnexpectedBefore {
        /// Which one.
        key: RecordKey,
        /// The value that is expected.
        expected: String,
        /// What is there.
        found: Option<RecordSet>,
    },
    /// The record is neither as it was captured nor as it is to be: someone else changed it.
    ChangedByOthers {
        /// Which one.
        key: RecordKey,
        /// What is there.
        found: Option<RecordSet>,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |set: &Option<RecordSet>| {
            set.as_ref()
                .map_or_else(|| "absent".to_owned(), RecordSet::to_string)
        };
        match self {
            Self::NotOwned {
                key,
                owner: Some(owner),
            } => {
                write!(f, "{key} belongs to {owner}; set adopt: true to take it over")
            }
            Self::NotOwned { key, owner: None } => {
                write!(
                    f,
                    "{key} exists and was not made by homeport; set adopt: true to change it"
                )
            }
            Self::InTheWay { key } => {
                write!(
                    f,
                    "{key} exists, and a CNAME cannot stand beside it; use A and AAAA records, or remove it"
                )
            }
            Self::UnexpectedBefore { key, expected, found } => {
                write!(
                    f,
                    "{key} should be {expected} before the switch but is {}; mend the plan or the record",
                    show(found)
                )
            }
            Self::ChangedByOthers { key, found } => write!(
                f,
                "{key} is {}, which is neither what was captured nor what was set: someone else changed it; decide which is right",
                show(found)
            ),
        }
    }
}

impl ChangeSet {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|change| change.action() == Action::Keep)
    }

    /// The change that carries out a plan, or why it is not made. With `owns` off, owners play no part: a person
    /// makes the change.
    pub fn forward(plan: &Plan, observed: &Observed, owns: bool) -> std::result::Result<Self, Vec<Refusal>> {
        let wanted: BTreeMap<&RecordKey, &RecordSet> = plan
            .changes
            .iter()
            .map(|change| (&change.key, &change.wanted))
            .collect();
        let changes: Vec<Change> = plan
            .keys()
            .into_iter()
            .filter(|key| wanted.contains_key(key) || observed.records.contains_key(key))
            .map(|key| {
                let after = wanted.get(&key).map(|set| (*set).clone());
                Change {
                    before: observed.records.get(&key).cloned(),
                    owner_before: observed.owners.get(&key).cloned(),
                    owner_after: after.as_ref().filter(|_| owns).map(|_| plan.owner.clone()),
                    after,
                    key,
                }
            })
            .collect();
        let mut refusals = unexpected(plan, &changes);
        refusals.extend(in_the_way(plan, observed));
        if owns && !plan.adopt {
            refusals.extend(not_owned(&plan.owner, &changes));
        }
        if refusals.is_empty() {
            Ok(Self { changes })
        } else {
            Err(refusals)
        }
    }

    /// What is to be recorded before the change is made.
    pub fn capture(&self) -> Vec<Captured> {
        self.changes
            .iter()
            .map(|change| Captured {
                key: change.key.clone(),
                before: change.before.clone(),
                after: change.after.clone(),
                owner_before: change.owner_before.clone(),
            })
            .collect()
    }

    /// The change that carries on what was captured, from wherever it is now. Running it twice changes nothing more.
    pub fn resume(
        owner: &str,
        captured: &[Captured],
        observed: &Observed,
        owns: bool,
    ) -> std::result::Result<Self, Vec<Refusal>> {
        Self::towards(captured, observed, |record| {
            (
                record.after.clone(),
                record.after.as_ref().filter(|_| owns).map(|_| owner.to_owned()),
            )
        })
    }

    /// The change that restores exactly what was captured: values, times to live, absence, and owners.
    pub fn backward(captured: &[Captured], observed: &Observed) -> std::result::Result<Self, Vec<Refusal>> {
        Self::towards(captured, observed, |record| {
            (record.before.clone(), record.owner_before.clone())
        })
    }

    fn towards(
        captured: &[Captured],
        observed: &Observed,
        goal: impl Fn(&Captured) -> (Option<RecordSet>, Option<String>),
    ) -> std::result::Result<Self, Vec<Refusal>> {
        let mut refusals = Vec::new();
        let mut changes = Vec::with_capacity(captured.len());
        for record in captured {
            let found = observed.records.get(&record.key).cloned();
            if !is_same(&found, &record.before) && !is_same(&found, &record.after) {
                refusals.push(Refusal::ChangedByOthers {
                    key: record.key.clone(),
                    found,
                });
                continue;
            }
            let (after, owner_after) = goal(record);
            changes.push(Change {
                key: record.key.clone(),
                before: found,
                after,
                owner_before: observed.owners.get(&record.key).cloned(),
                owner_after,
            });
        }
        if refusals.is_empty() {
            Ok(Self { changes })
        } else {
            Err(refusals)
        }
    }
}

/// Policy: a record that is there and not ours is not touched.
fn not_owned(owner: &str, changes: &[Change]) -> Vec<Refusal> {
    changes
        .iter()
        .filter(|change| change.before.is_some() && change.owner_before.as_deref() != Some(owner))
        .map(|change| Refusal::NotOwned {
            key: change.key.clone(),
            owner: change.owner_before.clone(),
        })
        .collect()
}

/// Policy: an alias takes the place of addresses, and of nothing else.
fn in_the_way(plan: &Plan, observed: &Observed) -> Vec<Refusal> {
    let barred = plan.changes.iter().flat_map(|change| {
        change.key.record_type.yields_to().iter().map(|other| RecordKey {
            record_type: *other,
            ..change.key.clone()
        })
    });
    barred
        .filter(|key| observed.records.contains_key(key))
        .map(|key| Refusal::InTheWay { key })
        .collect()
}

/// Policy: a record is as the plan expects it, or already as it is to be.
fn unexpected(plan: &Plan, changes: &[Change]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for planned in &plan.changes {
        let Some(expected) = &planned.expected_before else {
            continue;
        };
        let found = changes
            .iter()
            .find(|change| change.key == planned.key)
            .and_then(|change| change.before.clone());
        let is_as_expected = found.as_ref().is_some_and(|set| set.values.contains(expected));
        let is_done = found.as_ref().is_some_and(|set| set.same_values(&planned.wanted));
        if !is_as_expected && !is_done {
            refusals.push(Refusal::UnexpectedBefore {
                key: planned.key.clone(),
                expected: expected.clone(),
                found,
            });
        }
    }
    refusals
}

/// Where the records are, of what was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// All as they were.
    Before,
    /// All as they are to be; also if they were so before.
    After,
    /// Some so, some so: a change in several zones was cut short.
    Between,
    /// At least one is neither.
    Elsewhere(Vec<Refusal>),
}

/// Where the records are, of what was captured.
pub fn position(captured: &[Captured], observed: &Observed) -> Position {
    let found = |record: &Captured| observed.records.get(&record.key).cloned();
    let is_before = |record: &Captured| is_same(&found(record), &record.before);
    let is_after = |record: &Captured| is_same(&found(record), &record.after);
    let foreign: Vec<Refusal> = captured
        .iter()
        .filter(|record| !is_before(record) && !is_after(record))
        .map(|record| Refusal::ChangedByOthers {
            key: record.key.clone(),
            found: found(record),
        })
        .collect();
    if !foreign.is_empty() {
        Position::Elsewhere(foreign)
    } else if captured.iter().all(is_after) {
        Position::After
    } else if captured.iter().all(is_before) {
        Position::Before
    } else {
        Position::Between
    }
}

/// Whether two record sets have the same values. Times to live are not compared: a resolver counts them down.
fn is_same(one: &Option<RecordSet>, other: &Option<RecordSet>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.same_values(other),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::plan::RecordChange;
    use crate::record::RecordType::{self, A, CNAME, MX};
    use proptest::prelude::*;
    use rstest::rstest;

    const OWNER: &str = "default/webshop";

    fn key(record_type: RecordType) -> RecordKey {
        RecordKey::new("shop.example", "www.shop.example", record_type).unwrap()
    }

    fn set(record_type: RecordType, ttl: u32, values: &[&str]) -> RecordSet {
        RecordSet::parse(
            record_type,
            ttl,
            &values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>(),
        )
        .unwrap()
    }

    fn plan(record_type: RecordType, value: &str, adopt: bool) -> Plan {
        let change = RecordChange {
            key: key(record_type),
            wanted: set(record_type, 60, &[value]),
            expected_before: None,
        };
        Plan {
            adopt,
            ..Plan::new(OWNER, vec![change]).unwrap()
        }
    }

    fn observed(records: &[(RecordType, RecordSet)], owner: Option<&str>) -> Observed {
        Observed {
            records: records.iter().map(|(t, set)| (key(*t), set.clone())).collect(),
            owners: records
                .iter()
                .filter_map(|(t, _)| Some((key(*t), owner?.to_owned())))
                .collect(),
        }
    }

    #[rstest]
    #[case::create(&[], None, false, Ok(vec![Action::Create]))]
    #[case::update_of_ours(&[(A, 300, "192.0.2.1")], Some(OWNER), false, Ok(vec![Action::Update]))]
    #[case::ttl_only(&[(A, 300, "192.0.2.9")], Some(OWNER), false, Ok(vec![Action::Update]))]
    #[case::as_wanted(&[(A, 60, "192.0.2.9")], Some(OWNER), false, Ok(vec![Action::Keep]))]
    #[case::adopted(&[(A, 300, "192.0.2.1")], None, true, Ok(vec![Action::Update]))]
    #[case::as_wanted_but_not_ours(&[(A, 60, "192.0.2.9")], None, true, Ok(vec![Action::Update]))]
    #[case::foreign(&[(A, 300, "192.0.2.1")], None, false, Err("not made by homeport"))]
    #[case::of_another_owner(&[(A, 300, "192.0.2.1")], Some("default/other"), false, Err("belongs to default/other"))]
    #[case::cname_goes(&[(CNAME, 300, "lb.example.net")], Some(OWNER), false, Ok(vec![Action::Create, Action::Delete]))]
    #[case::foreign_cname(&[(CNAME, 300, "lb.example.net")], None, false, Err("www.shop.example CNAME"))]
    fn forward(
        #[case] there: &[(RecordType, u32, &str)],
        #[case] owner: Option<&str>,
        #[case] adopt: bool,
        #[case] expected: std::result::Result<Vec<Action>, &str>,
    ) {
        let there: Vec<_> = there
            .iter()
            .map(|(t, ttl, value)| (*t, set(*t, *ttl, &[value])))
            .collect();
        let outcome = ChangeSet::forward(&plan(A, "192.0.2.9", adopt), &observed(&there, owner), true);
        match (outcome, expected) {
            (Ok(set), Ok(actions)) => {
                assert_eq!(
                    set.changes.iter().map(Change::action).collect::<Vec<_>>(),
                    actions
                );
            }
            (Err(refusals), Err(says)) => assert!(refusals[0].to_string().contains(says), "{}", refusals[0]),
            (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn an_alias_does_not_push_out_other_records() {
        let there = observed(&[(MX, set(MX, 60, &["10 mail.example.net"]))], Some(OWNER));
        let refusals = ChangeSet::forward(&plan(CNAME, "new.example.net", true), &there, true).unwrap_err();
        assert_eq!(refusals, [Refusal::InTheWay { key: key(MX) }]);
    }

    #[test]
    fn no_alias_at_the_top_of_a_zone() {
        let top = RecordKey::new("shop.example", "shop.example", CNAME).unwrap();
        let change = RecordChange {
            key: top,
            wanted: set(CNAME, 60, &["new.example.net"]),
            expected_before: None,
        };
        assert!(
            Plan::new(OWNER, vec![change])
                .unwrap_err()
                .to_string()
                .contains("top of its zone")
        );
    }

    #[test]
    fn a_record_of_another_type_that_can_stay_is_not_looked_at() {
        let there = observed(&[(MX, set(MX, 60, &["10 mail.example.net"]))], None);
        let set = ChangeSet::forward(&plan(A, "192.0.2.9", false), &there, true).unwrap();
        assert_eq!(set.changes.len(), 1);
    }

    #[rstest]
    #[case("192.0.2.1", true)]
    #[case("192.0.2.9", true)]
    #[case("192.0.2.5", false)]
    fn the_value_before_must_be_the_expected_one(#[case] there: &str, #[case] goes: bool) {
        let mut plan = plan(A, "192.0.2.9", true);
        plan.changes[0].expected_before = Some("192.0.2.1".to_owned());
        let outcome = ChangeSet::forward(&plan, &observed(&[(A, set(A, 60, &[there]))], None), true);
        assert_eq!(outcome.is_ok(), goes, "{outcome:?}");
    }

    #[test]
    fn a_person_needs_no_marks() {
        let there = observed(&[(A, set(A, 300, &["192.0.2.1"]))], None);
        let set = ChangeSet::forward(&plan(A, "192.0.2.9", false), &there, false).unwrap();
        assert_eq!(set.changes[0].owner_after, None);
    }

    #[test]
    fn what_others_changed_is_left_alone() {
        let before = observed(&[(A, set(A, 300, &["192.0.2.1"]))], Some(OWNER));
        let captured = ChangeSet::forward(&plan(A, "192.0.2.9", false), &before, true)
            .unwrap()
            .capture();
        let changed = observed(&[(A, set(A, 300, &["203.0.113.7"]))], Some(OWNER));
        for outcome in [
            ChangeSet::backward(&captured, &changed),
            ChangeSet::resume(OWNER, &captured, &changed, true),
        ] {
            assert!(matches!(outcome.unwrap_err()[0], Refusal::ChangedByOthers { .. }));
        }
        assert!(matches!(position(&captured, &changed), Position::Elsewhere(_)));
    }

    #[test]
    fn what_is_captured_survives_json() {
        let before = observed(
            &[(CNAME, set(CNAME, 300, &["lb.example.net"]))],
            Some("default/other"),
        );
        let captured = ChangeSet::forward(&plan(A, "192.0.2.9", true), &before, true)
            .unwrap()
            .capture();
        let json = serde_json::to_string(&captured).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Captured>>(&json).unwrap(), captured);
    }

    /// Makes the changes as a server would.
    fn apply(set: &ChangeSet, observed: &Observed) -> Observed {
        let mut after = observed.clone();
        for change in &set.changes {
            match &change.after {
                Some(records) => after.records.insert(change.key.clone(), records.clone()),
                None => after.records.remove(&change.key),
            };
            match &change.owner_after {
                Some(owner) => after.owners.insert(change.key.clone(), owner.clone()),
                None => after.owners.remove(&change.key),
            };
        }
        after
    }

    fn any_world() -> impl Strategy<Value = Observed> {
        let address = (1..300_u32, 1..5_u8).prop_map(|(ttl, n)| set(A, ttl, &[&format!("192.0.2.{n}")]));
        let alias =
            (1..300_u32, 1..5_u8).prop_map(|(ttl, n)| set(CNAME, ttl, &[&format!("h{n}.example.net")]));
        let owner = proptest::option::of(prop_oneof![Just(OWNER), Just("default/other")]);
        let records = prop_oneof![
            Just(vec![]),
            address.prop_map(|set| vec![(A, set)]),
            alias.prop_map(|set| vec![(CNAME, set)]),
        ];
        (records, owner).prop_map(|(records, owner)| observed(&records, owner))
    }

    proptest! {
        #[test]
        fn there_and_back_is_where_it_began(world in any_world(), to_alias in any::<bool>()) {
            let plan = if to_alias { plan(CNAME, "new.example.net", true) } else { plan(A, "192.0.2.9", true) };
            let forward = ChangeSet::forward(&plan, &world, true).unwrap();
            let captured = forward.capture();
            prop_assert!(world == apply(&ChangeSet::backward(&captured, &world).unwrap(), &world));

            let switched = apply(&forward, &world);
            prop_assert_eq!(position(&captured, &switched), Position::After);
            prop_assert!(ChangeSet::resume(OWNER, &captured, &switched, true).unwrap().is_empty());
            prop_assert_eq!(&apply(&ChangeSet::resume(OWNER, &captured, &world, true).unwrap(), &world), &switched);

            let restored = apply(&ChangeSet::backward(&captured, &switched).unwrap(), &switched);
            prop_assert_eq!(&restored, &world);
            prop_assert!(ChangeSet::backward(&captured, &restored).unwrap().is_empty());
        }
    }
}
