#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::changes::{Captured, ChangeSet, Observed, Refusal, position};
use crate::plan::{Plan, RecordChange};
use crate::record::{RecordKey, RecordSet, RecordType};

const INTERVAL: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(10_000);

fn passed() -> Option<Round> {
    Some(Round {
        passed: true,
        ..Round::default()
    })
}

fn failed(age: Duration) -> Option<Round> {
    Some(Round {
        passed: false,
        message: "page: status 500".to_owned(),
        age,
    })
}

fn cause(reason: Reason) -> Cause {
    Cause {
        reason,
        message: "why".to_owned(),
    }
}

fn elsewhere() -> Option<Position> {
    let key = RecordKey::new("shop.example", "www.shop.example", RecordType::A).unwrap();
    Some(Position::Elsewhere(vec![Refusal::ChangedByOthers {
        key,
        found: None,
    }]))
}

/// A cutover with all its parts, before anything has happened.
fn fresh() -> Facts {
    Facts {
        has_pre_checks: true,
        has_post_checks: true,
        check_interval: INTERVAL,
        soak: Duration::from_secs(60),
        ..Facts::default()
    }
}

/// What was captured and where the records are.
fn captured(position: Option<Position>) -> Facts {
    let journal = Journal {
        pre_checks: passed(),
        captured: true,
        ..Journal::default()
    };
    Facts {
        journal,
        position,
        ..fresh()
    }
}

/// After the switch, with all name servers showing it.
fn switched() -> Facts {
    let mut facts = captured(Some(Position::After));
    facts.journal.switched = true;
    facts.journal.propagated = true;
    facts
}

fn soaking_facts() -> Facts {
    let mut facts = switched();
    facts.journal.soaking = true;
    facts.journal.post_checks = passed();
    facts
}

/// A rollback that was decided.
fn rolling_back(reason: Reason, position: Option<Position>) -> Facts {
    let mut facts = switched();
    facts.journal.rolling_back = Some(cause(reason));
    facts.position = position;
    facts
}

/// The step without its texts.
fn kind(step: &Step) -> String {
    match step {
        Step::Wait { why, .. } => format!("Wait({why:?})"),
        Step::Halt(cause) => format!("Halt({:?})", cause.reason),
        Step::DecideRollback(cause) => format!("DecideRollback({:?})", cause.reason),
        Step::Done { outcome, cause } => format!("Done({outcome:?}, {:?})", cause.as_ref().map(|c| c.reason)),
        other => format!("{other:?}"),
    }
}

fn with(mut facts: Facts, change: impl FnOnce(&mut Facts)) -> Facts {
    change(&mut facts);
    facts
}

#[rstest]
// Before the switch
#[case::suspended(with(fresh(), |f| f.suspended = true), "Wait(Suspended)")]
#[case::dry_run(with(fresh(), |f| f.mode = Mode::DryRun), "Plan")]
#[case::dry_run_never_changes(with(captured(Some(Position::Before)), |f| f.mode = Mode::DryRun), "Plan")]
#[case::waits_for_its_bundle(with(fresh(), |f| f.waiting_for = Some("bundle webshop".into())), "Wait(Dependency)")]
#[case::waits_for_its_data(with(fresh(), |f| f.sync = SyncGate::Behind("9 MB".into())), "Wait(SyncLag)")]
#[case::checks_first(fresh(), "RunPreChecks")]
#[case::checks_again_after_a_failure(with(fresh(), |f| f.journal.pre_checks = failed(INTERVAL)), "RunPreChecks")]
#[case::but_not_at_once(with(fresh(), |f| f.journal.pre_checks = failed(Duration::ZERO)), "Wait(PreChecks)")]
#[case::checks_again_when_stale(with(fresh(), |f| f.journal.pre_checks = Some(Round { age: LONG, ..passed().unwrap() })), "RunPreChecks")]
#[case::waits_for_approval(with(fresh(), |f| { f.journal.pre_checks = passed(); f.approval = Approval::Awaited; }), "Wait(Approval)")]
#[case::approval_acts(with(fresh(), |f| { f.journal.pre_checks = passed(); f.approval = Approval::Given; }), "Capture")]
#[case::no_checks_no_wait(with(fresh(), |f| f.has_pre_checks = false), "Capture")]
// Between capture and the record of the switch
#[case::looks_where_it_is(captured(None), "ReadRecords")]
#[case::applies(captured(Some(Position::Before)), "Apply")]
#[case::gates_hold_while_nothing_changed(with(captured(Some(Position::Before)), |f| f.approval = Approval::Awaited), "Wait(Approval)")]
#[case::knows_its_own_change(with(captured(Some(Position::After)), |f| f.journal.pre_checks = failed(Duration::ZERO)), "Apply")]
#[case::goes_on_half_way(with(captured(Some(Position::Between)), |f| f.sync = SyncGate::Behind("x".into())), "Apply")]
#[case::half_way_for_too_long(with(captured(Some(Position::Between)), |f| f.since_switching = LONG), "DecideRollback(TimedOut)")]
#[case::a_person_may_take_long(with(captured(Some(Position::Between)), |f| { f.since_switching = LONG; f.mode = Mode::Manual; }), "Apply")]
#[case::other_records_have_their_gates(with(captured(Some(Position::Between)), |f| { f.journal.outdated = true; f.approval = Approval::Awaited; }), "Wait(Approval)")]
#[case::other_records_are_captured_first(with(captured(Some(Position::Between)), |f| f.journal.outdated = true), "Capture")]
#[case::other_records_can_be_called_off(with(captured(None), |f| { f.journal.outdated = true; f.desired = Desired::RolledBack; }), "DecideRollback(Requested)")]
#[case::changed_by_others(captured(elsewhere()), "Halt(RecordsChanged)")]
// After the switch
#[case::asks_name_servers(with(switched(), |f| f.journal.propagated = false), "LookAround(Forward)")]
#[case::waits_for_them(with(switched(), |f| { f.journal.propagated = false; f.unseen = Some(vec!["ns1".into()]); }), "Wait(Propagation)")]
#[case::but_not_for_ever(with(switched(), |f| { f.journal.propagated = false; f.unseen = Some(vec!["ns1".into()]); f.since_switch = LONG; }), "DecideRollback(NotPropagated)")]
#[case::checks_after(switched(), "RunPostChecks")]
#[case::failing_checks_have_time(with(switched(), |f| f.journal.post_checks = failed(Duration::ZERO)), "Wait(PostChecks)")]
#[case::and_are_made_again(with(switched(), |f| f.journal.post_checks = failed(INTERVAL)), "RunPostChecks")]
#[case::until_it_is_over(with(switched(), |f| { f.journal.post_checks = failed(INTERVAL); f.since_switch = LONG; }), "DecideRollback(PostChecksFailed)")]
#[case::soak_begins(with(switched(), |f| f.journal.post_checks = passed()), "BeginSoak")]
#[case::soak_begins_without_checks(with(switched(), |f| f.has_post_checks = false), "BeginSoak")]
#[case::soaks(soaking_facts(), "Wait(Soak)")]
#[case::soak_goes_on_checking(with(soaking_facts(), |f| f.journal.post_checks = Some(Round { age: INTERVAL, ..passed().unwrap() })), "RunPostChecks")]
#[case::a_failure_in_the_soak_is_for_triggers(with(soaking_facts(), |f| f.journal.post_checks = failed(Duration::ZERO)), "Wait(Soak)")]
#[case::soak_ends(with(soaking_facts(), |f| f.since_soak = LONG), "Finish")]
#[case::soak_ends_after_a_round_made_in_time(with(soaking_facts(), |f| { f.since_soak = f.soak; f.journal.post_checks = Some(Round { age: INTERVAL / 2, ..passed().unwrap() }); }), "Finish")]
#[case::soak_that_was_slept_through(with(soaking_facts(), |f| { f.since_soak = LONG; f.journal.post_checks = Some(Round { age: LONG, ..passed().unwrap() }); }), "RunPostChecks")]
#[case::soak_that_was_slept_through_after_a_failure(with(soaking_facts(), |f| { f.since_soak = LONG; f.journal.post_checks = failed(LONG); }), "RunPostChecks")]
#[case::soak_without_a_round(with(soaking_facts(), |f| { f.since_soak = LONG; f.journal.post_checks = None; }), "RunPostChecks")]
#[case::slow_checks_end_a_soak_too(with(soaking_facts(), |f| { f.since_soak = LONG; f.journal.post_checks = Some(Round { age: INTERVAL * 3, ..passed().unwrap() }); }), "Finish")]
#[case::soak_without_checks_ends(with(soaking_facts(), |f| { f.since_soak = LONG; f.has_post_checks = false; f.journal.post_checks = None; }), "Finish")]
#[case::but_not_on_a_failure(with(soaking_facts(), |f| { f.since_soak = LONG; f.journal.post_checks = failed(Duration::ZERO); }), "DecideRollback(PostChecksFailed)")]
#[case::trigger(with(soaking_facts(), |f| f.fired = Some("errors".into())), "DecideRollback(TriggerFired)")]
#[case::done(with(soaking_facts(), |f| f.journal.done = true), "Done(CutOver, None)")]
// Failures that do not roll back
#[case::pause(with(soaking_facts(), |f| { f.fired = Some("x".into()); f.on_failure = OnFailure::Pause; }), "Halt(TriggerFired)")]
#[case::past_safe_return(with(soaking_facts(), |f| { f.fired = Some("x".into()); f.writes = Writes::Stranded("12 orders".into()); }), "Halt(TriggerFired)")]
#[case::stays_halted(with(switched(), |f| f.journal.halted = Some(cause(Reason::TriggerFired))), "Halt(TriggerFired)")]
#[case::tries_again_when_asked(with(switched(), |f| { f.journal.halted = Some(cause(Reason::TriggerFired)); f.retry = true; }), "Resume")]
// Rollback
#[case::nothing_to_roll_back(with(fresh(), |f| f.desired = Desired::RolledBack), "Done(RolledBack, None)")]
#[case::asked_for(with(switched(), |f| f.desired = Desired::RolledBack), "DecideRollback(Requested)")]
#[case::asked_for_when_done(with(soaking_facts(), |f| { f.journal.done = true; f.desired = Desired::RolledBack; }), "DecideRollback(Requested)")]
#[case::asked_for_past_safe_return(with(switched(), |f| { f.desired = Desired::RolledBack; f.writes = Writes::Stranded("x".into()); }), "DecideRollback(Requested)")]
#[case::asked_for_when_halted(with(switched(), |f| { f.desired = Desired::RolledBack; f.journal.halted = Some(cause(Reason::TriggerFired)); }), "DecideRollback(Requested)")]
#[case::asked_for_before_the_switch(with(captured(None), |f| f.desired = Desired::RolledBack), "DecideRollback(Requested)")]
#[case::a_decided_rollback_goes_on(rolling_back(Reason::TriggerFired, Some(Position::After)), "Restore")]
#[case::looks_where_it_is_first(rolling_back(Reason::TriggerFired, None), "ReadRecords")]
#[case::restores_the_rest(rolling_back(Reason::TriggerFired, Some(Position::Between)), "Restore")]
#[case::knows_its_own_restoration(rolling_back(Reason::TriggerFired, Some(Position::Before)), "Restore")]
#[case::leaves_what_others_changed(rolling_back(Reason::TriggerFired, elsewhere()), "Halt(RecordsChanged)")]
#[case::even_if_gates_fail(with(rolling_back(Reason::TriggerFired, Some(Position::After)), |f| f.waiting_for = Some("x".into())), "Restore")]
#[case::asks_name_servers_again(with(rolling_back(Reason::TriggerFired, Some(Position::Before)), |f| f.journal.restored = true), "LookAround(Backward)")]
#[case::rolled_back_by_itself(with(rolling_back(Reason::TriggerFired, None), |f| { f.journal.restored = true; f.journal.restored_seen = true; }), "Done(RolledBack, Some(TriggerFired))")]
#[case::tries_anew_when_asked(with(rolling_back(Reason::TriggerFired, None), |f| { f.journal.restored = true; f.retry = true; }), "Begin")]
#[case::forward_again(with(rolling_back(Reason::Requested, None), |f| f.journal.restored = true), "Begin")]
#[case::forward_again_only_once_restored(rolling_back(Reason::Requested, Some(Position::After)), "Restore")]
#[case::rolled_back_as_asked(with(rolling_back(Reason::Requested, None), |f| { f.desired = Desired::RolledBack; f.journal.restored = true; f.journal.restored_seen = true; }), "Done(RolledBack, None)")]
#[case::suspended_in_the_middle(with(rolling_back(Reason::Requested, Some(Position::After)), |f| f.suspended = true), "Wait(Suspended)")]
fn decisions(#[case] facts: Facts, #[case] expected: &str) {
    assert_eq!(kind(&decide(&facts)), expected);
}

#[test]
fn a_halt_past_safe_return_says_what_would_be_lost() {
    let facts = with(soaking_facts(), |f| {
        f.fired = Some("too many errors".into());
        f.writes = Writes::Stranded("12 new orders".into());
    });
    let Step::Halt(cause) = decide(&facts) else {
        panic!("it does not halt")
    };
    for part in ["too many errors", "12 new orders", "desired: RolledBack"] {
        assert!(cause.message.contains(part), "{}", cause.message);
    }
}

/// A zone and a journal that survive, and a caller that is killed again and again.
struct World {
    zone: Observed,
    original: Observed,
    plan: Plan,
    journal: Journal,
    captured: Vec<Captured>,
    facts: Facts,
    healthy_rounds: Vec<bool>,
    rounds: usize,
}

/// When the caller is killed in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kill {
    Never,
    BeforeActing,
    BeforeRecording,
}

impl World {
    fn new(original: Observed, healthy_rounds: Vec<bool>, on_failure: OnFailure, writes: Writes) -> Self {
        let change = |name: &str, record_type, value: &str| RecordChange {
            key: RecordKey::new("shop.example", name, record_type).unwrap(),
            wanted: RecordSet::parse(record_type, 60, &[value.to_owned()]).unwrap(),
            expected_before: None,
        };
        let changes = vec![
            change("www.shop.example", RecordType::A, "192.0.2.9"),
            change("shop.example", RecordType::MX, "10 mail.shop.example"),
        ];
        Self {
            zone: original.clone(),
            original,
            plan: Plan {
                adopt: true,
                ..Plan::new("default/webshop", changes).unwrap()
            },
            journal: Journal::default(),
            captured: Vec::new(),
            facts: Facts {
                soak: INTERVAL,
                on_failure,
                writes,
                ..fresh()
            },
            healthy_rounds,
            rounds: 0,
        }
    }

    fn apply(&mut self, set: &ChangeSet) {
        for change in &set.changes {
            let key = change.key.clone();
            match &change.after {
                Some(records) => drop(self.zone.records.insert(key.clone(), records.clone())),
                None => drop(self.zone.records.remove(&key)),
            }
            match &change.owner_after {
                Some(owner) => drop(self.zone.owners.insert(key, owner.clone())),
                None => drop(self.zone.owners.remove(&key)),
            }
        }
    }

    /// One step; true when it is a resting place.
    fn step(&mut self, kill: Kill) -> bool {
        let position = (self.journal.captured).then(|| position(&self.captured, &self.zone));
        let unseen = None;
        let facts = Facts {
            journal: self.journal.clone(),
            position,
            unseen,
            ..self.facts.clone()
        };
        let step = decide(&facts);
        if kill == Kill::BeforeActing {
            return false;
        }
        let mut journal = self.journal.clone();
        let mut captured = None;
        match step {
            Step::Wait { .. } => {
                // Time passes.
                self.facts.since_switch += INTERVAL;
                self.facts.since_soak += INTERVAL;
                for round in [&mut journal.pre_checks, &mut journal.post_checks]
                    .into_iter()
                    .flatten()
                {
                    round.age += INTERVAL;
                }
            }
            Step::RunPreChecks => journal.pre_checks = passed(),
            Step::RunPostChecks => {
                let healthy = self.healthy_rounds.get(self.rounds).copied().unwrap_or(true);
                self.rounds += 1;
                self.facts.since_switch += Duration::from_secs(500);
                journal.post_checks = if healthy { passed() } else { failed(Duration::ZERO) };
            }
            Step::Capture => {
                assert_eq!(self.zone, self.original, "captured what was changed already");
                captured = Some(
                    ChangeSet::forward(&self.plan, &self.zone, true)
                        .unwrap()
                        .capture(),
                );
                journal.captured = true;
            }
            Step::Apply => {
                assert!(!self.captured.is_empty(), "changed before anything was captured");
                let set = ChangeSet::resume(&self.plan.owner, &self.captured, &self.zone, true).unwrap();
                self.apply(&set);
                journal.switched = true;
            }
            Step::Restore => {
                let set = ChangeSet::backward(&self.captured, &self.zone).unwrap();
                self.apply(&set);
                journal.restored = true;
            }
            Step::LookAround(Direction::Forward) => journal.propagated = true,
            Step::LookAround(Direction::Backward) => journal.restored_seen = true,
            Step::BeginSoak => journal.soaking = true,
            Step::Finish => journal.done = true,
            Step::DecideRollback(cause) => journal.rolling_back = Some(cause),
            Step::Halt(cause) => {
                let stays = journal.halted.as_ref() == Some(&cause);
                journal.halted = Some(cause);
                self.journal = journal;
                return stays;
            }
            Step::Done { .. } => return true,
            Step::Begin => journal = Journal::default(),
            other @ (Step::Plan | Step::ReadRecords | Step::Resume) => panic!("{other:?} has no place here"),
        }
        if kill != Kill::BeforeRecording {
            self.captured = captured.unwrap_or(std::mem::take(&mut self.captured));
            self.journal = journal;
        }
        false
    }

    fn run(&mut self, kills: &mut impl Iterator<Item = Kill>) {
        for _ in 0..2_000 {
            if self.step(kills.next().unwrap_or(Kill::Never)) {
                return;
            }
        }
        panic!("it does not come to rest: {:?}", self.journal);
    }

    fn is_switched(&self) -> bool {
        position(&self.captured, &self.zone) == Position::After
    }
}

fn original(alias: bool, owned: bool) -> Observed {
    let (record_type, value) = if alias {
        (RecordType::CNAME, "lb.cloud.example")
    } else {
        (RecordType::A, "203.0.113.1")
    };
    let key = RecordKey::new("shop.example", "www.shop.example", record_type).unwrap();
    let records = RecordSet::parse(record_type, 3600, &[value.to_owned()]).unwrap();
    let owners = if owned {
        BTreeMap::from([(key.clone(), "default/old".to_owned())])
    } else {
        BTreeMap::new()
    };
    Observed {
        records: BTreeMap::from([(key, records)]),
        owners,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn killed_anywhere_it_comes_to_the_same_end(
        kills in proptest::collection::vec(
            prop_oneof![3 => Just(Kill::Never), 1 => Just(Kill::BeforeActing), 1 => Just(Kill::BeforeRecording)], 0..60),
        healthy_rounds in proptest::collection::vec(any::<bool>(), 0..8),
        pause in any::<bool>(),
        stranded in any::<bool>(),
        alias in any::<bool>(),
        owned in any::<bool>(),
    ) {
        let on_failure = if pause { OnFailure::Pause } else { OnFailure::Rollback };
        let writes = if stranded { Writes::Stranded("orders".into()) } else { Writes::Safe };
        let mut world = World::new(original(alias, owned), healthy_rounds, on_failure, writes);
        let mut kills = kills.into_iter();
        world.run(&mut kills);

        if world.journal.rolling_back.is_some() {
            prop_assert!(!pause && !stranded, "rolled back although it must not");
            prop_assert_eq!(&world.zone, &world.original);
        } else {
            prop_assert!(world.is_switched());
            prop_assert!(world.journal.done || world.journal.halted.is_some());
        }

        // Whatever came of it, a person can go back, exactly.
        world.facts.desired = Desired::RolledBack;
        world.run(&mut kills);
        prop_assert_eq!(&world.zone, &world.original);
        prop_assert!(world.journal.restored_seen);

        // And forward again, with healthy checks.
        world.facts = Facts { desired: Desired::CutOver, retry: true, since_switch: Duration::ZERO, since_soak: Duration::ZERO, ..world.facts.clone() };
        world.rounds = usize::MAX - 1_000;
        world.run(&mut kills);
        prop_assert!(world.is_switched() && world.journal.done, "{:?}", world.journal);
    }
}
