//! A person's changes, seen on a real BIND.

use std::time::Duration;

use homeport_cutover::RecordType::A;
use homeport_cutover::{
    ChangeSet, DnsProvider, Error, ManualProvider, Plan, RecordChange, RecordSet, dns, observe,
};

use crate::bind::{Bind, key, set};

#[tokio::test]
async fn instructions_until_it_is_done() {
    let Some(bind) = Bind::start().await else { return };
    let person = ManualProvider::new(vec![bind.server]).unwrap();
    let change = RecordChange {
        key: key("www", A),
        wanted: set(A, 60, &["192.0.2.9"]),
        expected_before: None,
    };
    let plan = Plan::new("default/webshop", vec![change]).unwrap();

    let before = observe(&person, &plan.keys()).await.unwrap();
    let forward = ChangeSet::forward(&plan, &before, person.keeps_ownership()).unwrap();
    let Err(Error::WaitingForPerson { instructions }) = person.apply(&forward).await else {
        panic!("not waiting")
    };
    assert_eq!(
        instructions,
        [
            "In zone shop.example, change the A record of www.shop.example from 203.0.113.1 and 203.0.113.2 to 192.0.2.9, with a TTL of 60 s"
        ]
    );

    // The person does it, with a tool of theirs.
    let tool = bind.provider();
    let adopting = Plan {
        adopt: true,
        ..plan.clone()
    };
    let seen = observe(&tool, &plan.keys()).await.unwrap();
    tool.apply(&ChangeSet::forward(&adopting, &seen, true).unwrap())
        .await
        .unwrap();
    person.apply(&forward).await.unwrap();

    let captured = forward.capture();
    let now = observe(&person, &plan.keys()).await.unwrap();
    let back = ChangeSet::backward(&captured, &now).unwrap();
    assert!(matches!(
        person.apply(&back).await,
        Err(Error::WaitingForPerson { .. })
    ));
}

#[tokio::test]
async fn name_servers_are_asked_what_they_show() {
    let Some(bind) = Bind::start().await else { return };
    let nobody = "127.0.0.1:1".parse().unwrap();
    let keys = [key("www", A), key("absent", A)];
    let sightings = dns::look(&[bind.server, nobody], &keys, Duration::from_secs(2)).await;
    let shows = |server, name: &str, wanted: Option<RecordSet>| {
        let found = sightings
            .iter()
            .find(|s| s.server == server && s.key == key(name, A))
            .unwrap();
        found.shows(wanted.as_ref())
    };
    assert!(shows(
        bind.server,
        "www",
        Some(set(A, 1, &["203.0.113.2", "203.0.113.1"]))
    ));
    assert!(!shows(bind.server, "www", Some(set(A, 1, &["203.0.113.2"]))));
    assert!(shows(bind.server, "absent", None));
    assert!(!shows(bind.server, "www", None));
    assert!(!shows(nobody, "absent", None));
}
