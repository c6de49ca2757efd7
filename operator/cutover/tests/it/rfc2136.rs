//! Signed dynamic updates on a real BIND.

use std::time::{Duration, SystemTime};

use homeport_cutover::RecordType::{self, A, AAAA, CNAME, TXT};
use homeport_cutover::{
    Captured, ChangeSet, DnsProvider, Error, Observed, Plan, RecordChange, RecordKey, Refusal,
    Rfc2136Provider, TsigAlgorithm, observe,
};
use rstest::rstest;

use crate::bind::{Bind, OTHER_SECRET, SECRET, key, set};

const OWNER: &str = "default/webshop";

fn plan(changes: &[(&str, RecordType, &str)]) -> Plan {
    let changes = changes
        .iter()
        .map(|(name, record_type, value)| RecordChange {
            key: key(name, *record_type),
            wanted: set(*record_type, 60, &[value]),
            expected_before: None,
        })
        .collect();
    Plan::new(OWNER, changes).unwrap()
}

fn adopting(changes: &[(&str, RecordType, &str)]) -> Plan {
    Plan {
        adopt: true,
        ..plan(changes)
    }
}

fn mark(name: &str) -> RecordKey {
    RecordKey::new("shop.example", &format!("{name}.shop.example"), TXT).unwrap()
}

async fn switch(dns: &Rfc2136Provider, plan: &Plan) -> (Observed, Vec<Captured>) {
    let before = observe(dns, &plan.keys()).await.unwrap();
    let set = ChangeSet::forward(plan, &before, true).unwrap();
    dns.apply(&set).await.unwrap();
    (before, set.capture())
}

async fn roll_back(dns: &Rfc2136Provider, plan: &Plan, captured: &[Captured]) {
    let now = observe(dns, &plan.keys()).await.unwrap();
    dns.apply(&ChangeSet::backward(captured, &now).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_new_record_comes_and_goes_with_its_mark() {
    let Some(bind) = Bind::start().await else { return };
    let (dns, plan) = (bind.provider(), plan(&[("new", A, "192.0.2.9")]));
    let (before, captured) = switch(&dns, &plan).await;
    assert_eq!(before, Observed::default());
    assert_eq!(
        dns.read(&key("new", A)).await.unwrap(),
        Some(set(A, 60, &["192.0.2.9"]))
    );
    let owned = dns.read(&mark("_homeport-a.new")).await.unwrap().unwrap();
    assert_eq!(
        owned.values,
        ["\"heritage=homeport,homeport/owner=default/webshop\""]
    );

    roll_back(&dns, &plan, &captured).await;
    assert_eq!(dns.read(&key("new", A)).await.unwrap(), None);
    assert_eq!(dns.read(&mark("_homeport-a.new")).await.unwrap(), None);
}

#[tokio::test]
async fn an_adopted_record_is_restored_exactly() {
    let Some(bind) = Bind::start().await else { return };
    let (dns, plan) = (
        bind.provider(),
        adopting(&[("www", A, "192.0.2.9"), ("www", AAAA, "2001:db8::9")]),
    );
    let (before, captured) = switch(&dns, &plan).await;
    assert_eq!(
        before.records[&key("www", A)],
        set(A, 300, &["203.0.113.1", "203.0.113.2"])
    );
    assert_eq!(
        dns.read(&key("www", A)).await.unwrap(),
        Some(set(A, 60, &["192.0.2.9"]))
    );

    // Twice, as after a restart that forgot that it was done.
    let now = observe(&dns, &plan.keys()).await.unwrap();
    let again = ChangeSet::resume(OWNER, &captured, &now, true).unwrap();
    assert!(again.is_empty(), "{again:?}");
    dns.apply(&again).await.unwrap();

    roll_back(&dns, &plan, &captured).await;
    assert_eq!(observe(&dns, &plan.keys()).await.unwrap(), before);
    roll_back(&dns, &plan, &captured).await;
    assert_eq!(observe(&dns, &plan.keys()).await.unwrap(), before);
}

#[tokio::test]
async fn an_alias_makes_room_for_an_address_and_comes_back() {
    let Some(bind) = Bind::start().await else { return };
    let (dns, plan) = (bind.provider(), adopting(&[("cdn", A, "192.0.2.9")]));
    let (before, captured) = switch(&dns, &plan).await;
    assert_eq!(
        before.records[&key("cdn", CNAME)],
        set(CNAME, 300, &["lb.cloud.example"])
    );
    assert_eq!(dns.read(&key("cdn", CNAME)).await.unwrap(), None);
    assert_eq!(
        dns.read(&key("cdn", A)).await.unwrap(),
        Some(set(A, 60, &["192.0.2.9"]))
    );
    roll_back(&dns, &plan, &captured).await;
    assert_eq!(observe(&dns, &plan.keys()).await.unwrap(), before);
}

#[tokio::test]
async fn an_address_makes_room_for_an_alias_and_comes_back() {
    let Some(bind) = Bind::start().await else { return };
    let (dns, plan) = (bind.provider(), adopting(&[("www", CNAME, "new.shop.example")]));
    let (before, captured) = switch(&dns, &plan).await;
    assert_eq!(
        dns.read(&key("www", CNAME)).await.unwrap(),
        Some(set(CNAME, 60, &["new.shop.example"]))
    );
    roll_back(&dns, &plan, &captured).await;
    assert_eq!(observe(&dns, &plan.keys()).await.unwrap(), before);
}

#[tokio::test]
async fn a_record_that_is_not_ours_is_refused() {
    let Some(bind) = Bind::start().await else { return };
    let (dns, plan) = (bind.provider(), plan(&[("www", A, "192.0.2.9")]));
    let before = observe(&dns, &plan.keys()).await.unwrap();
    let refusals = ChangeSet::forward(&plan, &before, true).unwrap_err();
    assert!(
        matches!(refusals[..], [Refusal::NotOwned { owner: None, .. }]),
        "{refusals:?}"
    );
    assert!(refusals[0].to_string().contains("adopt: true"));
}

#[tokio::test]
async fn a_name_under_a_wildcard_is_absent_before_and_after() {
    let Some(bind) = Bind::start().await else { return };
    let (dns, plan) = (bind.provider(), plan(&[("a.wild", A, "192.0.2.9")]));
    let (before, captured) = switch(&dns, &plan).await;
    assert_eq!(before, Observed::default());
    roll_back(&dns, &plan, &captured).await;
    assert_eq!(observe(&dns, &plan.keys()).await.unwrap(), Observed::default());
}

#[tokio::test]
async fn a_change_in_between_is_not_overwritten() {
    let Some(bind) = Bind::start().await else { return };
    let dns = bind.provider();
    let plan = adopting(&[("www", A, "192.0.2.9"), ("new", A, "192.0.2.9")]);
    let before = observe(&dns, &plan.keys()).await.unwrap();
    let ours = ChangeSet::forward(&plan, &before, true).unwrap();
    switch(&dns, &adopting(&[("www", A, "198.51.100.7")])).await;

    let error = dns.apply(&ours).await.unwrap_err();
    assert!(matches!(error, Error::ConcurrentChange { .. }), "{error}");
    assert!(error.is_transient());
    assert_eq!(
        dns.read(&key("www", A)).await.unwrap(),
        Some(set(A, 60, &["198.51.100.7"]))
    );
    assert_eq!(
        dns.read(&key("new", A)).await.unwrap(),
        None,
        "the update was made in part"
    );
}

#[tokio::test]
async fn a_record_that_came_in_between_is_not_overwritten() {
    let Some(bind) = Bind::start().await else { return };
    let (dns, plan) = (bind.provider(), plan(&[("new", A, "192.0.2.9")]));
    let ours = ChangeSet::forward(&plan, &Observed::default(), true).unwrap();
    switch(&dns, &plan).await;
    let error = dns.apply(&ours).await.unwrap_err();
    assert!(matches!(error, Error::ConcurrentChange { .. }), "{error}");
}

#[rstest]
#[case("hmac-sha256", TsigAlgorithm::HmacSha256)]
#[case("hmac-sha384", TsigAlgorithm::HmacSha384)]
#[case("hmac-sha512", TsigAlgorithm::HmacSha512)]
#[tokio::test]
async fn every_algorithm_signs(#[case] name: &str, #[case] algorithm: TsigAlgorithm) {
    let Some(bind) = Bind::start().await else { return };
    let dns = bind.provider_with(name, algorithm, SECRET).unwrap();
    switch(&dns, &plan(&[("new", A, "192.0.2.9")])).await;
}

#[tokio::test]
async fn keys_that_do_not_fit_are_told_apart() {
    let Some(bind) = Bind::start().await else { return };
    let read = async |name: &str, algorithm, secret: &str| {
        let dns = bind.provider_with(name, algorithm, secret).unwrap();
        dns.read(&key("www", A)).await.unwrap_err()
    };
    let error = read("nobody", TsigAlgorithm::HmacSha256, SECRET).await;
    assert!(matches!(error, Error::UnknownKey { .. }), "{error}");
    let error = read("hmac-sha256", TsigAlgorithm::HmacSha512, SECRET).await;
    assert!(matches!(error, Error::UnknownKey { .. }), "{error}");
    let error = read("hmac-sha256", TsigAlgorithm::HmacSha256, OTHER_SECRET).await;
    assert!(matches!(error, Error::WrongSecret { .. }), "{error}");
    assert!(!error.is_transient());
    assert!(!format!("{error} {error:?}").contains(OTHER_SECRET));
    let error = bind
        .provider_with("hmac-sha256", TsigAlgorithm::HmacSha256, "not base64!")
        .unwrap_err();
    assert!(!error.to_string().contains("not base64!"), "{error}");
}

#[tokio::test]
async fn clocks_that_differ_are_told() {
    let Some(bind) = Bind::start().await else { return };
    let dns = bind
        .provider()
        .with_clock(|| SystemTime::now() - Duration::from_secs(3600));
    let error = dns.read(&key("www", A)).await.unwrap_err();
    let Error::ClockSkew { seconds, .. } = error else {
        panic!("{error}")
    };
    assert!((3590..3700).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_key_without_rights_is_told() {
    let Some(bind) = Bind::start().await else { return };
    let dns = bind
        .provider_with("reader", TsigAlgorithm::HmacSha256, SECRET)
        .unwrap();
    let set = ChangeSet::forward(&plan(&[("new", A, "192.0.2.9")]), &Observed::default(), true).unwrap();
    let error = dns.apply(&set).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
}

#[tokio::test]
async fn a_zone_of_others_is_told() {
    let Some(bind) = Bind::start().await else { return };
    let dns = bind.provider();
    let elsewhere = RecordKey::new("other.example", "www.other.example", A).unwrap();
    let error = dns.read(&elsewhere).await.unwrap_err();
    assert!(
        matches!(error, Error::Forbidden { .. } | Error::NotPrimary { .. }),
        "{error}"
    );
    let change = RecordChange {
        key: elsewhere,
        wanted: set(A, 60, &["192.0.2.9"]),
        expected_before: None,
    };
    let set = ChangeSet::forward(
        &Plan::new(OWNER, vec![change]).unwrap(),
        &Observed::default(),
        true,
    )
    .unwrap();
    let error = dns.apply(&set).await.unwrap_err();
    assert!(matches!(error, Error::NotPrimary { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_is_gone_is_transient() {
    let Some(bind) = Bind::start().await else { return };
    let dns = bind.provider();
    drop(bind);
    let error = dns.read(&key("www", A)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.is_transient());
}
