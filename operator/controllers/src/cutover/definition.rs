//! From a Cutover's spec, and the documents of the bundle that it names, to a plan.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use homeport_bundle::Bundle;
use homeport_bundle::cutover::CutoverManifest;
use homeport_crds::Cutover;
use homeport_crds::cutover::{
    CheckSpec, CutoverSpec, DnsChangeSpec, HttpCheck, OnFailure as OnFailureSpec, RecordType as TypeSpec,
};
use homeport_cutover::check::{HttpProbe, TcpProbe};
use homeport_cutover::plan::{OnFailure, Timeouts};
use homeport_cutover::triggers::{Condition, Trigger};
use homeport_cutover::{Check, Plan, Probe, RecordChange, RecordKey, RecordSet, RecordType};
use kube::ResourceExt;

use super::failures::of_dns;
use crate::runtime::Failure;

/// The value of `spec.timeout` where it is not written, which leaves the word to the bundle.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(900);
/// The shortest time over which shares and means are taken.
const LEAST_WINDOW: Duration = Duration::from_secs(60);

/// Who owns the records of a cutover, in their TXT records.
pub(super) fn owner(cutover: &Cutover) -> String {
    format!(
        "{}/{}",
        cutover.namespace().unwrap_or_default(),
        cutover.name_any()
    )
}

/// The plan: what the spec says, and the bundle's documents where it says nothing.
///
/// # Errors
/// [`Failure::Terminal`] for what cannot work as it is written.
pub(super) fn plan(cutover: &Cutover, bundle: Option<&Bundle>) -> Result<Plan, Failure> {
    let spec = &cutover.spec;
    let mut manifest = bundle
        .and_then(|bundle| bundle.cutover.clone())
        .unwrap_or_default();
    if !spec.changes.is_empty() {
        manifest.dns_changes.clear();
    }
    let mut plan = of_bundle(cutover, &manifest, bundle)?;
    if !spec.changes.is_empty() {
        let changes = spec.changes.iter().map(change).collect::<Result<_, _>>()?;
        plan.changes = Plan::new(plan.owner.clone(), changes).map_err(of_dns)?.changes;
    }
    if plan.changes.is_empty() {
        return Err(Failure::terminal(
            "NoChanges",
            "neither spec.changes nor dns/cutover.json of the bundle names a record to change; add one",
        ));
    }
    if !spec.gates.pre_checks.is_empty() {
        plan.pre_checks = checks(&spec.gates.pre_checks)?;
    }
    if !spec.post_checks.is_empty() {
        plan.post_checks = checks(&spec.post_checks)?;
    }
    if spec.soak.0 > Duration::ZERO {
        plan.soak = spec.soak.0;
    }
    plan.timeouts = timeouts(spec, &manifest, plan.timeouts);
    plan.triggers.extend(triggers(spec, plan.soak));
    plan.adopt = spec.adopt;
    plan.on_failure = match spec.on_failure {
        OnFailureSpec::Rollback => OnFailure::Rollback,
        OnFailureSpec::Pause => OnFailure::Pause,
    };
    Ok(plan)
}

fn of_bundle(
    cutover: &Cutover,
    manifest: &CutoverManifest,
    bundle: Option<&Bundle>,
) -> Result<Plan, Failure> {
    let zone = bundle
        .and_then(|bundle| bundle.dns.as_ref())
        .map(|dns| dns.zone.as_str());
    let triggers = bundle
        .and_then(|bundle| bundle.rollback_triggers.clone())
        .unwrap_or_default();
    Plan::from_bundle(owner(cutover), manifest, &triggers, zone).map_err(of_dns)
}

fn timeouts(spec: &CutoverSpec, manifest: &CutoverManifest, of_bundle: Timeouts) -> Timeouts {
    let whole = if spec.timeout.0 == DEFAULT_TIMEOUT {
        of_bundle.whole
    } else {
        spec.timeout.0
    };
    let propagation = match manifest.propagation_timeout {
        Some(_) => of_bundle.propagation,
        None => of_bundle.propagation.min(whole),
    };
    Timeouts { whole, propagation }
}

fn change(change: &DnsChangeSpec) -> Result<RecordChange, Failure> {
    let record_type = record_type(change.record_type);
    Ok(RecordChange {
        key: RecordKey::new(&change.zone, &change.name, record_type).map_err(of_dns)?,
        wanted: RecordSet::parse(record_type, change.ttl, &change.values).map_err(of_dns)?,
        expected_before: None,
    })
}

/// The domain's name of a type of record.
pub(super) const fn record_type(record_type: TypeSpec) -> RecordType {
    match record_type {
        TypeSpec::A => RecordType::A,
        TypeSpec::AAAA => RecordType::AAAA,
        TypeSpec::CNAME => RecordType::CNAME,
        TypeSpec::MX => RecordType::MX,
        TypeSpec::TXT => RecordType::TXT,
        TypeSpec::SRV => RecordType::SRV,
        TypeSpec::CAA => RecordType::CAA,
    }
}

fn checks(checks: &[CheckSpec]) -> Result<Vec<Check>, Failure> {
    checks.iter().map(check).collect()
}

fn check(check: &CheckSpec) -> Result<Check, Failure> {
    let probe = match (&check.http, &check.tcp) {
        (Some(http), None) => Probe::Http(http_probe(&check.name, http)?),
        (None, Some(tcp)) => Probe::Tcp(TcpProbe {
            host: tcp.host.clone(),
            port: tcp.port,
        }),
        _ => {
            return Err(Failure::terminal(
                "InvalidCheck",
                format!("check {}: set exactly one of http and tcp", check.name),
            ));
        }
    };
    Ok(Check {
        timeout: check.timeout.0,
        interval: check.interval.0,
        attempts: check.attempts,
        ..Check::new(&check.name, probe)
    })
}

fn http_probe(name: &str, http: &HttpCheck) -> Result<HttpProbe, Failure> {
    let get = HttpProbe::get(&http.url);
    let probe = HttpProbe {
        status: http.expect_status.map_or(get.status, |status| (status, status)),
        body_contains: http.expect_body.clone(),
        ..get
    };
    let Some(address) = &http.resolve else {
        return Ok(probe);
    };
    // Port 0 stands for that of the URL.
    let address = address
        .parse::<SocketAddr>()
        .or_else(|_| address.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0)))
        .map_err(|_| {
            Failure::terminal(
                "InvalidCheck",
                format!("check {name}: resolve {address:?} is no address; write it like 192.0.2.1 or 192.0.2.1:8080"),
            )
        })?;
    Ok(probe.resolved_to(address))
}

fn triggers(spec: &CutoverSpec, soak: Duration) -> Vec<Trigger> {
    let window = soak.max(LEAST_WINDOW);
    let trigger = |name: &str, condition| Trigger {
        name: name.to_owned(),
        check: None,
        condition,
    };
    let failures = Condition::ConsecutiveFailures(spec.triggers.consecutive_failures);
    let errors = spec.triggers.error_percent.map(|percent| Condition::ErrorRate {
        above: f64::from(percent) / 100.0,
        window,
    });
    let latency = spec.triggers.max_latency.map(|above| Condition::Latency {
        above: above.0,
        window,
    });
    let always = [trigger("consecutiveFailures", failures)];
    always
        .into_iter()
        .chain(errors.map(|condition| trigger("errorPercent", condition)))
        .chain(latency.map(|condition| trigger("maxLatency", condition)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use homeport_cutover::check::Verdict;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn cutover(spec: Value) -> Cutover {
        let mut all = json!({ "bundleRef": { "name": "shop" }, "provider": { "manual": {} } });
        all.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        let mut cutover = Cutover::new("shop", serde_json::from_value(all).unwrap());
        cutover.metadata.namespace = Some("default".into());
        cutover
    }

    fn bundle() -> Bundle {
        Bundle {
            dns: Some(serde_json::from_value(json!({ "zone": "shop.example" })).unwrap()),
            cutover: Some(
                serde_json::from_value(json!({
                    "dns_changes": [
                        { "domain": "www.shop.example", "record_type": "A", "new_value": "192.0.2.9", "ttl": 30 }
                    ],
                    "pre_checks": [{ "name": "port", "type": "tcp", "host": "192.0.2.9", "port": 80 }],
                    "post_checks": [{ "name": "page", "type": "http", "url": "http://www.shop.example/" }],
                    "soak": "7s", "timeout": "2m", "propagation_timeout": "20s",
                }))
                .unwrap(),
            ),
            ..Bundle::default()
        }
    }

    fn of_spec() -> Value {
        json!({
            "changes": [{ "zone": "b.example", "name": "a.b.example", "type": "A", "values": ["192.0.2.1"] }],
            "gates": { "preChecks": [{ "name": "mine", "tcp": { "host": "192.0.2.1", "port": 1 } }] },
            "postChecks": [{ "name": "too", "http": { "url": "http://a.b.example/", "resolve": "192.0.2.1" } }],
            "soak": "1m", "timeout": "10m", "adopt": true, "onFailure": "Pause",
        })
    }

    fn names(checks: &[Check]) -> Vec<&str> {
        checks.iter().map(|check| check.name.as_str()).collect()
    }

    #[test]
    fn the_bundle_speaks_where_the_spec_does_not() {
        let plan = plan(&cutover(json!({})), Some(&bundle())).unwrap();
        assert_eq!(plan.owner, "default/shop");
        assert_eq!(plan.changes[0].key.zone, "shop.example");
        assert_eq!(plan.changes[0].wanted.to_string(), "192.0.2.9 (TTL 30 s)");
        assert_eq!(
            (names(&plan.pre_checks), names(&plan.post_checks)),
            (vec!["port"], vec!["page"])
        );
        assert_eq!(plan.soak, Duration::from_secs(7));
        assert_eq!(plan.timeouts.whole, Duration::from_secs(120));
        assert_eq!(plan.timeouts.propagation, Duration::from_secs(20));
        assert!(!plan.adopt);
    }

    #[rstest]
    #[case::over_the_bundle(Some(bundle()))]
    #[case::without_one(None)]
    fn the_spec_comes_first(#[case] bundle: Option<Bundle>) {
        let plan = plan(&cutover(of_spec()), bundle.as_ref()).unwrap();
        assert_eq!(plan.changes.len(), 1);
        assert_eq!(plan.changes[0].key.name, "a.b.example");
        assert_eq!(
            (names(&plan.pre_checks), names(&plan.post_checks)),
            (vec!["mine"], vec!["too"])
        );
        let Probe::Http(http) = &plan.post_checks[0].probe else {
            panic!("no http probe")
        };
        assert_eq!(http.resolve, Some("192.0.2.1:0".parse().unwrap()));
        assert_eq!(plan.soak, Duration::from_secs(60));
        assert_eq!(plan.timeouts.whole, Duration::from_secs(600));
        assert!(plan.adopt);
        assert_eq!(plan.on_failure, OnFailure::Pause);
    }

    #[rstest]
    #[case::nothing_to_change(json!({}), "NoChanges", "dns/cutover.json")]
    #[case::no_address(
        json!({ "changes": [{ "zone": "b.example", "name": "a.b.example", "type": "A", "values": ["b.example"] }] }),
        "InvalidPlan", "192.0.2.1"
    )]
    #[case::another_zone(
        json!({ "changes": [{ "zone": "b.example", "name": "a.c.example", "type": "A", "values": ["192.0.2.1"] }] }),
        "InvalidPlan", "b.example"
    )]
    #[case::no_place_to_check(
        json!({
            "changes": [{ "zone": "b.example", "name": "a.b.example", "type": "A", "values": ["192.0.2.1"] }],
            "postChecks": [{ "name": "page", "http": { "url": "http://a/", "resolve": "there" } }],
        }),
        "InvalidCheck", "page"
    )]
    fn what_cannot_work_is_terminal(#[case] spec: Value, #[case] reason: &str, #[case] says: &str) {
        let failure = plan(&cutover(spec), None).unwrap_err();
        assert!(matches!(failure, Failure::Terminal { .. }), "{failure:?}");
        assert_eq!(failure.reason(), reason);
        assert!(failure.to_string().contains(says), "{failure}");
    }

    #[test]
    fn each_trigger_of_the_spec_fires() {
        let spec = json!({
            "triggers": { "consecutiveFailures": 2, "errorPercent": 50, "maxLatency": "1s" }, "soak": "5m"
        });
        let plan = plan(&cutover(spec), Some(&bundle())).unwrap();
        let names: Vec<&str> = plan
            .triggers
            .iter()
            .map(|trigger| trigger.name.as_str())
            .collect();
        assert_eq!(names, ["consecutiveFailures", "errorPercent", "maxLatency"]);
        assert_eq!(
            plan.triggers[1].condition,
            Condition::ErrorRate {
                above: 0.5,
                window: Duration::from_secs(300)
            }
        );
        let mut state = homeport_cutover::triggers::TriggerState::default();
        let failed = |check: &str| homeport_cutover::Measurement {
            check: check.into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            latency_ms: 1,
            verdict: Verdict::Fail,
            observed: String::new(),
            message: "status 500".into(),
        };
        assert_eq!(state.observe(failed("page"), &plan.triggers), None);
        let fired = state.observe(failed("page"), &plan.triggers).unwrap();
        assert_eq!(fired.trigger, "consecutiveFailures");
    }
}
