//! Rules of schemas in CEL: of objects, of changes, and what they say.

use serde_json::{Value, json};

use crate::case::{Case, MERGE, case};
use crate::objects::{WIDGETS, widget, widgets};

/// Properties of `spec`, a rule on it, a `spec` that it takes, and one that it does not.
const RULES: &[(&str, &str, &str, &str, &str)] = &[
    (
        "comparison",
        r#"{"min": {"type": "integer"}, "max": {"type": "integer"}}"#,
        "self.min <= self.max",
        r#"{"min": 1, "max": 2}"#,
        r#"{"min": 3, "max": 2}"#,
    ),
    (
        "presence",
        r#"{"a": {"type": "string"}, "b": {"type": "string"}}"#,
        "has(self.a) != has(self.b)",
        r#"{"a": "x"}"#,
        r#"{"a": "x", "b": "y"}"#,
    ),
    (
        "size of text",
        r#"{"a": {"type": "string"}}"#,
        "size(self.a) < 3",
        r#"{"a": "xy"}"#,
        r#"{"a": "xyz"}"#,
    ),
    (
        "patterns",
        r#"{"a": {"type": "string"}}"#,
        "self.a.matches('^[a-z]+$')",
        r#"{"a": "xy"}"#,
        r#"{"a": "X"}"#,
    ),
    (
        "beginnings",
        r#"{"a": {"type": "string"}}"#,
        "self.a.startsWith('x') && !self.a.endsWith('z')",
        r#"{"a": "xy"}"#,
        r#"{"a": "xz"}"#,
    ),
    (
        "membership",
        r#"{"a": {"type": "string"}, "all": {"type": "array", "items": {"type": "string"}}}"#,
        "self.a in self.all",
        r#"{"a": "x", "all": ["x"]}"#,
        r#"{"a": "y", "all": ["x"]}"#,
    ),
    (
        "all of a list",
        r#"{"a": {"type": "array", "maxItems": 10, "items": {"type": "integer"}}}"#,
        "self.a.all(x, x > 0)",
        r#"{"a": [1, 2]}"#,
        r#"{"a": [1, 0]}"#,
    ),
    (
        "one of a list",
        r#"{"a": {"type": "array", "maxItems": 10, "items": {"type": "integer"}}}"#,
        "self.a.exists_one(x, x == 1)",
        r#"{"a": [1, 2]}"#,
        r#"{"a": [1, 1]}"#,
    ),
    (
        "filter and map",
        r#"{"a": {"type": "array", "maxItems": 10, "items": {"type": "integer"}}}"#,
        "self.a.filter(x, x > 1).map(x, x * 2) == [4]",
        r#"{"a": [1, 2]}"#,
        r#"{"a": [1, 3]}"#,
    ),
    (
        "keys of a map",
        r#"{"a": {"type": "object", "maxProperties": 5, "additionalProperties": {"type": "string"}}}"#,
        "self.a.all(k, k.startsWith('x'))",
        r#"{"a": {"x1": "1"}}"#,
        r#"{"a": {"y1": "1"}}"#,
    ),
    (
        "names that are no identifiers",
        r#"{"my-field": {"type": "string"}, "namespace": {"type": "string"}}"#,
        "self.my__dash__field == 'x' && self.__namespace__ == 'y'",
        r#"{"my-field": "x", "namespace": "y"}"#,
        r#"{"my-field": "y", "namespace": "y"}"#,
    ),
    (
        "durations",
        r#"{"a": {"type": "string", "format": "duration"}}"#,
        "self.a > duration('1m')",
        r#"{"a": "2m"}"#,
        r#"{"a": "30s"}"#,
    ),
    (
        "times",
        r#"{"a": {"type": "string", "format": "date-time"}}"#,
        "self.a > timestamp('2020-01-01T00:00:00Z')",
        r#"{"a": "2021-01-01T00:00:00Z"}"#,
        r#"{"a": "2019-01-01T00:00:00Z"}"#,
    ),
    (
        "quantities",
        r#"{"a": {"type": "string"}}"#,
        "quantity(self.a).isLessThan(quantity('1Gi'))",
        r#"{"a": "1Mi"}"#,
        r#"{"a": "2Gi"}"#,
    ),
    (
        "addresses",
        r#"{"a": {"type": "string"}}"#,
        "isURL(self.a) && url(self.a).getScheme() == 'https'",
        r#"{"a": "https://x.test/"}"#,
        r#"{"a": "http://x.test/"}"#,
    ),
    (
        "networks",
        r#"{"a": {"type": "string"}}"#,
        "isIP(self.a) && cidr('10.0.0.0/8').containsIP(ip(self.a))",
        r#"{"a": "10.1.2.3"}"#,
        r#"{"a": "11.1.2.3"}"#,
    ),
    (
        "int-or-string",
        r#"{"a": {"x-kubernetes-int-or-string": true}}"#,
        "type(self.a) == int ? self.a > 0 : self.a == 'all'",
        r#"{"a": "all"}"#,
        r#"{"a": 0}"#,
    ),
    (
        "optional fields",
        r#"{"a": {"type": "object", "properties": {"b": {"type": "string"}}}}"#,
        "self.?a.?b.orValue('x') == 'x'",
        r#"{}"#,
        r#"{"a": {"b": "y"}}"#,
    ),
    (
        "texts split and joined",
        r#"{"a": {"type": "string", "maxLength": 5}}"#,
        "self.a.split('.')[1].upperAscii() == 'B'",
        r#"{"a": "a.b"}"#,
        r#"{"a": "a.c"}"#,
    ),
    (
        "sets",
        r#"{"a": {"type": "array", "maxItems": 5, "items": {"type": "string"}}}"#,
        "sets.contains(['x', 'y'], self.a)",
        r#"{"a": ["x"]}"#,
        r#"{"a": ["z"]}"#,
    ),
    (
        "versions",
        r#"{"a": {"type": "string"}}"#,
        "isSemver(self.a) && semver(self.a).major() > 0",
        r#"{"a": "1.2.3"}"#,
        r#"{"a": "0.2.3"}"#,
    ),
];

pub(crate) fn cases() -> Vec<Case> {
    let path = format!("{WIDGETS}/a");
    let parsed = |text: &str| -> Value { serde_json::from_str(text).expect("a table has JSON in it") };
    let ruled = |properties: Value, rule: Value| {
        widgets(json!({"type": "object", "properties": properties, "x-kubernetes-validations": [rule]}))
    };
    let mut cases: Vec<Case> =
        RULES
            .iter()
            .map(|(name, properties, rule, good, bad)| {
                case(name)
                .define(ruled(parsed(properties), json!({"rule": rule, "message": "it must be so"})))
                .post(WIDGETS, widget("a", parsed(good)))
                .is(201)
                .post(WIDGETS, widget("b", parsed(bad)))
                .is(422)
                .with(json!({"details": {"causes": [{
                    "reason": "FieldValueInvalid", "field": "spec", "message": "Invalid value: it must be so",
                }]}}))
            })
            .collect();
    let size = || json!({"size": {"type": "integer"}, "name": {"type": "string"}});
    cases.extend([
        case("a rule without a message is told itself")
            .define(ruled(size(), json!({"rule": "self.size > 1"})))
            .post(WIDGETS, widget("a", json!({"size": 1})))
            .refused(
                422,
                "Invalid",
                "Widget.{group} \"a\" is invalid: spec: Invalid value: failed rule: self.size > 1",
            ),
        case("a message may be an expression")
            .define(ruled(size(), json!({
                "rule": "self.size > 1", "message": "not this", "messageExpression": "self.size == 1 ? 'one is small' : 'small'",
            })))
            .post(WIDGETS, widget("a", json!({"size": 1})))
            .refused(422, "Invalid", "Widget.{group} \"a\" is invalid: spec: Invalid value: one is small"),
        case("a rule may name its reason and its field")
            .define(ruled(size(), json!({
                "rule": "self.size > 1", "message": "small", "reason": "FieldValueForbidden", "fieldPath": ".size",
            })))
            .post(WIDGETS, widget("a", json!({"size": 1})))
            .is(422)
            .with(json!({"details": {"causes": [{
                "reason": "FieldValueForbidden", "field": "spec.size", "message": "Forbidden: small",
            }]}})),
        case("a rule on a field that is not there is not asked")
            .define(widgets(json!({"type": "object", "properties": {"size": {
                "type": "integer", "x-kubernetes-validations": [{"rule": "self > 1"}],
            }}})))
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .post(WIDGETS, widget("b", json!({"size": 1})))
            .is(422)
            .with(json!({"details": {"causes": [{"field": "spec.size", "message": "Invalid value: 1: failed rule: self > 1"}]}})),
        case("a rule of a change sees what was")
            .define(ruled(size(), json!({"rule": "self.size >= oldSelf.size", "message": "it may not shrink"})))
            .post(WIDGETS, widget("a", json!({"size": 2})))
            .is(201)
            .patch(MERGE, &path, json!({"spec": {"size": 3}}))
            .is(200)
            .patch(MERGE, &path, json!({"spec": {"size": 1}}))
            .refused(422, "Invalid", "Widget.{group} \"a\" is invalid: spec: Invalid value: it may not shrink"),
        case("a field may be fixed once it is set")
            .define(widgets(json!({"type": "object", "properties": {"name": {
                "type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "it is fixed"}],
            }}})))
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .patch(MERGE, &path, json!({"spec": {"name": "x"}}))
            .is(200)
            .patch(MERGE, &path, json!({"spec": {"name": "y"}}))
            .refused(422, "Invalid", "Widget.{group} \"a\" is invalid: spec.name: Invalid value: \"y\": it is fixed"),
        case("a rule of a change may be asked of a creation too")
            .define(ruled(size(), json!({
                "rule": "!oldSelf.hasValue() || self.size == oldSelf.value().size", "optionalOldSelf": true, "message": "it is fixed",
            })))
            .post(WIDGETS, widget("a", json!({"size": 1})))
            .is(201)
            .patch(MERGE, &path, json!({"spec": {"size": 2}}))
            .is(422),
        case("rules of a change follow the items of list maps")
            .define(widgets(json!({"type": "object", "properties": {"list": {
                "type": "array", "maxItems": 5, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {
                    "type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "integer"}},
                    "x-kubernetes-validations": [{"rule": "self.v >= oldSelf.v", "message": "it may not shrink"}],
                },
            }}})))
            .post(WIDGETS, widget("a", json!({"list": [{"k": "x", "v": 2}, {"k": "y", "v": 1}]})))
            .is(201)
            .patch(MERGE, &path, json!({"spec": {"list": [{"k": "y", "v": 1}, {"k": "x", "v": 3}, {"k": "z", "v": 0}]}}))
            .is(200)
            .patch(MERGE, &path, json!({"spec": {"list": [{"k": "x", "v": 2}]}}))
            .is(422)
            .with(json!({"details": {"causes": [{"field": "spec.list[0]", "message": "Invalid value: it may not shrink"}]}})),
        case("a rule at the root sees the name")
            .define({
                let mut definition = widgets(json!({"type": "object"}));
                definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] =
                    json!([{"rule": "self.metadata.name.startsWith('w-')", "message": "names begin with w-"}]);
                definition
            })
            .post(WIDGETS, widget("w-a", json!({})))
            .is(201)
            .post(WIDGETS, widget("a", json!({})))
            .is(422)
            .with(json!({"message": "Widget.{group} \"a\" is invalid: <nil>: Invalid value: names begin with w-"})),
        case("a rule that fails to be computed refuses")
            .define(ruled(size(), json!({"rule": "10 / self.size > 1", "message": "x"})))
            .post(WIDGETS, widget("a", json!({"size": 0})))
            .is(422),
    ]);
    cases
}
