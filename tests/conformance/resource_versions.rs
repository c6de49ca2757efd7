//! What `resourceVersion` and `resourceVersionMatch` mean to get and list.

use serde_json::json;

use crate::case::{Case, MERGE, case};
use crate::expect::{absent, any, containing};
use crate::objects::config_map;

/// A version that no server reaches.
const FUTURE: &str = "9000000000000";

pub(crate) fn cases() -> Vec<Case> {
    let invalid =
        |field: &str, message: &str| format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: {message}");
    let mut cases = vec![
        case("a list has a version, and its items theirs")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .get("{ns}/configmaps?fieldSelector=metadata.name=a")
            .is(200)
            .with(json!({
                "kind": "ConfigMapList", "apiVersion": "v1",
                "metadata": {"resourceVersion": any(), "continue": absent(), "remainingItemCount": absent()},
                "items": [{
                    "data": {"k": "1"},
                    "metadata": {"name": "a", "resourceVersion": "{version}"},
                }],
            })),
        case("an empty list has no items, and a version all the same")
            .get("{ns}/configmaps?labelSelector=none=such")
            .is(200)
            .with(json!({"kind": "ConfigMapList", "items": [], "metadata": {"resourceVersion": any()}})),
        case("a version of 0 is any state")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .until("{ns}/configmaps/a?resourceVersion=0")
            .is(200)
            .with(json!({"data": {"k": "1"}}))
            .until("{ns}/configmaps?resourceVersion=0&fieldSelector=metadata.name=a")
            .is(200)
            .with(json!({"items": [{"data": {"k": "1"}}], "metadata": {"resourceVersion": any()}})),
        case("a version is the oldest state that may be shown")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2"}}))
            .is(200)
            .keep("newer", "/metadata/resourceVersion")
            .get("{ns}/configmaps/a?resourceVersion={newer}")
            .is(200)
            .with(json!({"data": {"k": "2"}}))
            .get("{ns}/configmaps?resourceVersion={newer}&fieldSelector=metadata.name=a")
            .is(200)
            .with(json!({"items": [{"data": {"k": "2"}}]}))
            .get("{ns}/configmaps?resourceVersion={newer}&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name=a")
            .is(200)
            .with(json!({"items": [{"data": {"k": "2"}}]})),
        case("an exact version is the state that was")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2"}}))
            .is(200)
            .post("{ns}/configmaps", config_map("b", json!({})))
            .is(201)
            .get("{ns}/configmaps?resourceVersion={version}&resourceVersionMatch=Exact&fieldSelector=metadata.name!=kube-root-ca.crt")
            .is(200)
            .with(json!({
                "metadata": {"resourceVersion": "{version}"},
                "items": [{"data": {"k": "1"}, "metadata": {"name": "a", "resourceVersion": "{version}"}}],
            }))
            .delete("{ns}/configmaps/a")
            .is(200)
            .get("{ns}/configmaps?resourceVersion={version}&resourceVersionMatch=Exact&fieldSelector=metadata.name=a")
            .is(200)
            .with(json!({"items": [{"data": {"k": "1"}}]})),
        case("a list with a limit and a version is of exactly that")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2"}}))
            .is(200)
            .get("{ns}/configmaps?resourceVersion={version}&limit=500&resourceVersionMatch=Exact&fieldSelector=metadata.name=a")
            .is(200)
            .with(json!({"metadata": {"resourceVersion": "{version}"}, "items": [{"data": {"k": "1"}}]})),
    ];
    for (name, query, field, message) in [
        (
            "a way to match needs a version",
            "resourceVersionMatch=Exact",
            "resourceVersionMatch",
            "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "a way to match that there is not is refused",
            "resourceVersion=1&resourceVersionMatch=Some",
            "resourceVersionMatch",
            "Unsupported value: \"Some\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
        ),
        (
            "nothing is exactly 0",
            "resourceVersion=0&resourceVersionMatch=Exact",
            "resourceVersionMatch",
            "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        (
            "a list has no initial events",
            "sendInitialEvents=true",
            "sendInitialEvents",
            "Forbidden: sendInitialEvents is forbidden for list",
        ),
    ] {
        cases.push(case(name).get(format!("{{ns}}/configmaps?{query}")).refused(
            422,
            "Invalid",
            invalid(field, message),
        ));
    }
    cases.push(
        case("a version that is no number is refused")
            .get("{ns}/configmaps?resourceVersion=x")
            .is(400)
            .with(json!({"reason": "BadRequest", "message": containing("x")}))
            .get("{ns}/configmaps/kube-root-ca.crt?resourceVersion=x")
            .is(500)
            .with(json!({"message": "resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax"})),
    );
    cases.push(
        case("a version that is still to come is too large")
            .get(format!("{{ns}}/configmaps?resourceVersion={FUTURE}"))
            .is(504)
            .with(json!({
                "reason": "Timeout",
                "message": containing(&format!("Too large resource version: {FUTURE}, current: ")),
                "details": {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1},
            })),
    );
    cases
}
