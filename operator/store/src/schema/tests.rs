#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

/// A schema whose `spec` is the given one.
fn with_spec(spec: Value) -> Value {
    json!({"type": "object", "properties": {"spec": spec, "status": {"type": "object"}}})
}

fn compile(spec: Value) -> Structural {
    Structural::compile(&with_spec(spec)).unwrap()
}

fn object(spec: Value) -> Value {
    json!({"apiVersion": "g.example/v1", "kind": "K", "metadata": {"name": "a"}, "spec": spec})
}

fn messages(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn validate(spec: Value, value: Value) -> Vec<String> {
    messages(&compile(spec).validate(&object(value), None))
}

#[rstest]
#[case::wrong_type(
    json!({"type": "object", "properties": {"n": {"type": "integer"}}}),
    json!({"n": "3"}),
    "spec.n: Invalid value: \"string\": spec.n in body must be of type integer: \"string\""
)]
#[case::null(
    json!({"type": "object", "properties": {"n": {"type": "string"}}}),
    json!({"n": null}),
    "spec.n: Invalid value: \"null\": spec.n in body must be of type string: \"null\""
)]
#[case::required(
    json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "string"}}}),
    json!({}),
    "spec.n: Required value"
)]
#[case::enumeration(
    json!({"type": "string", "enum": ["b", "c"]}),
    json!("a"),
    "spec: Unsupported value: \"a\": supported values: \"b\", \"c\""
)]
#[case::pattern(
    json!({"type": "string", "pattern": "^a+$"}),
    json!("b"),
    "spec: Invalid value: \"b\": spec in body should match '^a+$'"
)]
#[case::too_long(json!({"type": "string", "maxLength": 2}), json!("abc"), "spec: Too long: may not be more than 2 bytes")]
#[case::too_short(
    json!({"type": "string", "minLength": 2}),
    json!("a"),
    "spec: Invalid value: \"a\": spec in body should be at least 2 chars long"
)]
#[case::minimum(
    json!({"type": "integer", "minimum": 1}),
    json!(0),
    "spec: Invalid value: 0: spec in body should be greater than or equal to 1"
)]
#[case::exclusive_maximum(
    json!({"type": "integer", "maximum": 3, "exclusiveMaximum": true}),
    json!(3),
    "spec: Invalid value: 3: spec in body should be less than 3"
)]
#[case::multiple_of(
    json!({"type": "integer", "multipleOf": 2}),
    json!(3),
    "spec: Invalid value: 3: spec in body should be a multiple of 2"
)]
#[case::too_many(
    json!({"type": "array", "maxItems": 1, "items": {"type": "string"}}),
    json!(["a", "b"]),
    "spec: Too many: 2: must have at most 1 item"
)]
#[case::duration(
    json!({"type": "string", "format": "duration"}),
    json!("soon"),
    "spec: Invalid value: \"soon\": spec in body must be of type duration: \"soon\""
)]
#[case::set(
    json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}),
    json!(["a", "b", "a"]),
    "spec[2]: Duplicate value: \"a\""
)]
#[case::map(
    json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    }),
    json!([{"name": "a"}, {"name": "a"}]),
    "spec[1]: Duplicate value: {\"name\":\"a\"}"
)]
#[case::item_path(
    json!({"type": "array", "items": {"type": "object", "properties": {"a": {"type": "boolean"}}}}),
    json!([{}, {"a": 1}]),
    "spec[1].a: Invalid value: \"integer\": spec[1].a in body must be of type boolean: \"integer\""
)]
#[case::none_of_one_of(
    json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
           "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
    json!({"a": "", "b": ""}),
    "<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found 2 valid alternatives"
)]
#[case::not(
    json!({"type": "object", "properties": {"a": {"type": "string"}}, "not": {"required": ["a"]}}),
    json!({"a": ""}),
    "<nil>: Invalid value: \"\": \"spec\" must not validate the schema (not)"
)]
#[case::int_or_string(
    json!({"x-kubernetes-int-or-string": true}),
    json!(true),
    "spec: Invalid value: \"boolean\": spec in body must be of type integer,string: \"boolean\""
)]
#[case::map_values(
    json!({"type": "object", "additionalProperties": {"type": "string"}}),
    json!({"k": 3}),
    "spec.k: Invalid value: \"integer\": spec.k in body must be of type string: \"integer\""
)]
fn values_are_refused_in_kubernetes_words(#[case] spec: Value, #[case] value: Value, #[case] message: &str) {
    assert_eq!(validate(spec, value), [message]);
}

#[rstest]
#[case(json!({"type": "integer"}), json!(1.0))]
#[case(json!({"type": "string", "nullable": true}), json!(null))]
#[case(json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}), json!("50%"))]
#[case(json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}), json!(8080))]
#[case(json!({"type": "string", "format": "nobody-knows"}), json!("x"))]
#[case(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}), json!({"a": [1, {"b": null}]}))]
#[case(json!({"type": "number", "multipleOf": 0.1}), json!(0.3))]
fn values_are_accepted(#[case] spec: Value, #[case] value: Value) {
    assert_eq!(validate(spec, value), [""; 0]);
}

#[test]
fn the_nearest_branch_explains_itself() {
    let spec = json!({
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}, "c": {"type": "string"}},
        "anyOf": [{"required": ["a", "c"]}, {"required": ["b"]}],
    });
    assert_eq!(
        validate(spec, json!({})),
        [
            "<nil>: Invalid value: \"\": \"spec\" must validate at least one schema (anyOf)",
            "spec.b: Required value"
        ]
    );
}

#[rstest]
#[case::no_type_at_the_root(json!({}), "type: Required value: must not be empty at the root")]
#[case::root_no_object(json!({"type": "array", "items": {"type": "string"}}), "type: Invalid value: \"array\": must be object at the root")]
#[case::untyped_field(
    with_spec(json!({})),
    "properties[spec].type: Required value: must not be empty for specified object fields"
)]
#[case::untyped_items(
    with_spec(json!({"type": "array", "items": {}})),
    "properties[spec].items.type: Required value: must not be empty for specified array items"
)]
#[case::no_items(with_spec(json!({"type": "array"})), "properties[spec].items: Required value: must be specified")]
#[case::unknown_type(
    with_spec(json!({"type": "text"})),
    "properties[spec].type: Unsupported value: \"text\": supported values: \"array\", \"boolean\", \"integer\", \
     \"number\", \"object\", \"string\""
)]
#[case::type_in_branch(
    with_spec(json!({"type": "string", "anyOf": [{"type": "string"}]})),
    "properties[spec].anyOf[0].type: Forbidden: must be empty to be structural"
)]
#[case::field_only_in_branch(
    with_spec(json!({"type": "object", "allOf": [{"properties": {"a": {"minLength": 1}}}]})),
    "properties[spec].properties[a]: Required value: because it is defined in \
     properties[spec].allOf[0].properties[a]"
)]
#[case::map_without_keys(
    with_spec(json!({"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}})),
    "properties[spec].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"
)]
#[case::unknown_key(
    with_spec(json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
                     "items": {"type": "object"}})),
    "properties[spec].x-kubernetes-list-map-keys: Invalid value: [\"n\"]: entries must all be names of item properties"
)]
#[case::bad_pattern(
    with_spec(json!({"type": "string", "pattern": "("})),
    "properties[spec].pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: error: unclosed group"
)]
#[case::bad_default(
    with_spec(json!({"type": "string", "default": 3})),
    "properties[spec].default: Invalid value: \"integer\": properties[spec].default in body must be of type string: \"integer\""
)]
#[case::metadata(
    json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
    "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is \
     implicitly specified"
)]
#[case::reference(with_spec(json!({"type": "string", "$ref": "#/x"})), "properties[spec].$ref: Forbidden: $ref is not supported")]
#[case::unique(
    with_spec(json!({"type": "array", "uniqueItems": true, "items": {"type": "string"}})),
    "properties[spec].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
)]
fn schemas_are_refused_that_are_not_structural(#[case] schema: Value, #[case] message: &str) {
    assert_eq!(messages(&Structural::compile(&schema).unwrap_err()), [message]);
}

#[test]
fn prunes_what_it_does_not_know_and_says_where() {
    let schema = compile(json!({
        "type": "object",
        "properties": {
            "known": {"type": "string"},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                     "properties": {"typed": {"type": "object", "properties": {"a": {"type": "string"}}}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            "pod": {"type": "object", "x-kubernetes-embedded-resource": true,
                    "x-kubernetes-preserve-unknown-fields": true},
        },
    }));
    let mut value = object(json!({
        "known": "x", "foo": 1,
        "open": {"any": {"thing": 1}, "typed": {"a": "x", "b": 1}},
        "map": {"k": {"a": "x", "b": 1}},
        "list": [{"a": "x"}, {"b": 1}],
        "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "nonsense": 1}, "spec": {"x": 1}},
    }));
    value["metadata"]["nonsense"] = json!(1);
    value["nonsense"] = json!(1);
    let dropped = schema.prune(&mut value);
    assert_eq!(
        dropped,
        [
            "metadata.nonsense",
            "spec.foo",
            "spec.open.typed.b",
            "spec.map.k.b",
            "spec.list[1].b",
            "spec.pod.metadata.nonsense",
            "nonsense"
        ]
    );
    assert_eq!(
        value,
        object(json!({
            "known": "x",
            "open": {"any": {"thing": 1}, "typed": {"a": "x"}},
            "map": {"k": {"a": "x"}},
            "list": [{"a": "x"}, {}],
            "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"x": 1}},
        }))
    );
}

#[test]
fn fills_in_defaults_where_objects_are_present() {
    let schema = compile(json!({
        "type": "object",
        "properties": {
            "mode": {"type": "string", "default": "Apply"},
            "maybe": {"type": "string", "nullable": true, "default": "x"},
            "nested": {"type": "object", "default": {}, "properties": {"port": {"type": "integer", "default": 22}}},
            "absent": {"type": "object", "properties": {"port": {"type": "integer", "default": 22}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}},
        },
    }));
    let mut value = object(json!({"mode": null, "maybe": null, "list": [{}, {"p": "UDP"}]}));
    schema.default_values(&mut value);
    assert_eq!(
        value["spec"],
        json!({"mode": "Apply", "maybe": null, "nested": {"port": 22}, "list": [{"p": "TCP"}, {"p": "UDP"}]})
    );
}

#[test]
fn what_was_wrong_before_does_not_stop_other_changes() {
    let schema = compile(json!({"type": "object", "properties": {
        "old": {"type": "string", "maxLength": 1},
        "new": {"type": "string", "maxLength": 1},
    }}));
    let before = object(json!({"old": "long", "new": "a"}));
    assert_eq!(
        schema.validate(&object(json!({"old": "long", "new": "b"})), Some(&before)),
        []
    );
    assert_eq!(
        schema
            .validate(&object(json!({"old": "longer", "new": "b"})), Some(&before))
            .len(),
        1
    );
}

fn rules(rules: Value) -> Value {
    json!({
        "type": "object",
        "x-kubernetes-validations": rules,
        "properties": {
            "url": {"type": "string"},
            "path": {"type": "string"},
            "min": {"type": "integer"},
            "max": {"type": "integer"},
            "wait": {"type": "string", "format": "duration"},
            "until": {"type": "string", "format": "date-time"},
            "names": {"type": "array", "items": {"type": "string"}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "ratio": {"type": "number"},
            "port": {"x-kubernetes-int-or-string": true},
            "with-dash": {"type": "string"},
            "snake_case": {"type": "string"},
            "namespace": {"type": "string"},
            "data": {"type": "string", "format": "byte"},
            "stacks": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"},
                    "size": {"type": "integer", "x-kubernetes-validations": [
                        {"rule": "self >= oldSelf", "message": "may not shrink"}
                    ]},
                }},
            },
        },
    })
}

#[rstest]
#[case("has(self.url) != has(self.path)", json!({"url": "x"}), json!({"url": "x", "path": "y"}))]
#[case("self.min <= self.max", json!({"min": 1, "max": 2}), json!({"min": 3, "max": 2}))]
#[case("!has(self.wait) || self.wait > duration('1s')", json!({"wait": "1m"}), json!({"wait": "1ms"}))]
#[case("self.until > timestamp('2026-01-01T00:00:00Z')", json!({"until": "2026-02-01T00:00:00Z"}), json!({"until": "2025-02-01T00:00:00Z"}))]
#[case("self.names.all(n, n.startsWith('a'))", json!({"names": ["ab"]}), json!({"names": ["ab", "b"]}))]
#[case("self.names.exists_one(n, n == 'a')", json!({"names": ["a", "b"]}), json!({"names": ["a", "a"]}))]
#[case("size(self.names.filter(n, n != 'a')) == 1", json!({"names": ["a", "b"]}), json!({"names": ["a"]}))]
#[case("self.labels.all(k, k.size() < 4 && self.labels[k] != '')", json!({"labels": {"a-b": "x"}}), json!({"labels": {"a": ""}}))]
#[case("'k' in self.labels", json!({"labels": {"k": ""}}), json!({"labels": {}}))]
#[case("self.ratio < 0.5", json!({"ratio": 0.25}), json!({"ratio": 1}))]
#[case("type(self.port) == int ? self.port > 0 : self.port.endsWith('%')", json!({"port": 1}), json!({"port": -1}))]
#[case("self.__namespace__ == self.with__dash__dash && self.snake_case == 'c'", json!({"namespace": "a", "with-dash": "a", "snake_case": "c"}), json!({"namespace": "a", "with-dash": "b", "snake_case": "c"}))]
#[case("self.url.matches('^https?://')", json!({"url": "http://x"}), json!({"url": "ftp://x"}))]
#[case("isURL(self.url) && url(self.url).getHost() == 'a'", json!({"url": "http://a/"}), json!({"url": "http://b/"}))]
#[case("self.stacks.exists(s, s.name == 'a')", json!({"stacks": [{"name": "a"}]}), json!({"stacks": [{"name": "b"}]}))]
#[case("size(self.data) == 2", json!({"data": "aGk="}), json!({"data": "aGkh"}))]
#[case("self.names.map(n, n + 'x').join(',') == 'ax,bx'", json!({"names": ["a", "b"]}), json!({"names": ["a"]}))]
#[case("self.?url.orValue('none') != ''", json!({}), json!({"url": ""}))]
#[case("self.?labels.?a.hasValue()", json!({"labels": {"a": ""}}), json!({"labels": {"b": ""}}))]
#[case("self.?labels.a.orValue('x') == 'x'", json!({}), json!({"labels": {"a": "y"}}))]
#[case("dyn(self.min) == 1", json!({"min": 1}), json!({"min": 2}))]
#[case("quantity(self.path).isLessThan(quantity('1Gi'))", json!({"path": "500Mi"}), json!({"path": "2Gi"}))]
fn rules_decide(#[case] rule: &str, #[case] good: Value, #[case] bad: Value) {
    let schema = compile(rules(json!([{"rule": rule}])));
    assert_eq!(messages(&schema.validate(&object(good), None)), [""; 0]);
    let expected = format!("spec: Invalid value: failed rule: {rule}");
    assert_eq!(messages(&schema.validate(&object(bad), None)), [expected]);
}

#[rstest]
#[case(json!({"message": " no "}), "spec: Invalid value: no")]
#[case(json!({"messageExpression": "'max is ' + string(self.max)"}), "spec: Invalid value: max is 1")]
#[case(json!({"messageExpression": "self.url", "message": "else"}), "spec: Invalid value: else")]
#[case(json!({"message": "no", "fieldPath": ".max"}), "spec.max: Invalid value: no")]
#[case(json!({"message": "no", "fieldPath": "['with-dash']"}), "spec.with-dash: Invalid value: no")]
#[case(json!({"message": "no", "reason": "FieldValueForbidden"}), "spec: Forbidden: no")]
#[case(json!({"message": "no", "reason": "FieldValueRequired", "fieldPath": ".url"}), "spec.url: Required value: no")]
fn rules_say_what_they_are_told_to(#[case] mut rule: Value, #[case] message: &str) {
    rule["rule"] = json!("self.max > 1");
    let schema = compile(rules(json!([rule])));
    assert_eq!(
        messages(&schema.validate(&object(json!({"max": 1})), None)),
        [message]
    );
}

#[rstest]
#[case(json!({"rule": "self.nmae == ''"}), "rule: Invalid value: \"self.nmae == ''\": compilation failed: undefined field 'nmae'")]
#[case(json!({"rule": "self.stacks.all(s, s.nmae == '')"}), "rule: Invalid value: \"self.stacks.all(s, s.nmae == '')\": compilation failed: undefined field 'nmae'")]
#[case(json!({"rule": "self.url.foo == ''"}), "rule: Invalid value: \"self.url.foo == ''\": compilation failed: type 'string' does not support field selection")]
#[case(json!({"rule": "other == 1"}), "rule: Invalid value: \"other == 1\": compilation failed: undeclared reference to 'other' (in container '')")]
#[case(json!({"rule": "self.url.explode()"}), "rule: Invalid value: \"self.url.explode()\": compilation failed: undeclared reference to 'explode' (in container '')")]
#[case(json!({"rule": ""}), "rule: Required value: rule is not specified")]
#[case(json!({"rule": "self.url"}), "rule: Invalid value: {\"Rule\":\"self.url\",\"Message\":\"\",\"MessageExpression\":\"\",\"Reason\":null,\"FieldPath\":\"\",\"OptionalOldSelf\":null}: cel expression must evaluate to a bool")]
#[case(json!({"rule": "true", "fieldPath": ".nope"}), "fieldPath: Invalid value: \".nope\": does not refer to a valid field")]
#[case(json!({"rule": "true", "reason": "Because"}), "reason: Unsupported value: \"Because\": supported values: \"FieldValueInvalid\", \"FieldValueForbidden\", \"FieldValueRequired\", \"FieldValueDuplicate\"")]
#[case(json!({"rule": "true", "messageExpression": "self.nope"}), "messageExpression: Invalid value: \"self.nope\": compilation failed: undefined field 'nope'")]
fn rules_are_refused_when_the_schema_is_compiled(#[case] rule: Value, #[case] message: &str) {
    let errors = Structural::compile(&with_spec(rules(json!([rule])))).unwrap_err();
    assert_eq!(
        messages(&errors),
        [format!("properties[spec].x-kubernetes-validations[0].{message}")]
    );
}

#[test]
fn syntax_errors_are_reported_in_one_line() {
    let errors = Structural::compile(&with_spec(rules(json!([{"rule": "self.max >"}])))).unwrap_err();
    let [error] = errors.as_slice() else {
        panic!("{errors:?}")
    };
    assert!(
        error.detail.starts_with("compilation failed: ") && !error.detail.contains('\n'),
        "{error}"
    );
}

#[test]
fn transition_rules_see_the_old_value() {
    let schema = compile(rules(
        json!([{"rule": "self.max >= oldSelf.max", "message": "only grows"}]),
    ));
    let old = object(json!({"max": 2}));
    assert_eq!(schema.validate(&object(json!({"max": 1})), None), []);
    assert_eq!(schema.validate(&object(json!({"max": 3})), Some(&old)), []);
    assert_eq!(
        messages(&schema.validate(&object(json!({"max": 1})), Some(&old))),
        ["spec: Invalid value: only grows"]
    );
}

#[test]
fn transition_rules_find_list_items_by_key() {
    let schema = compile(rules(json!([])));
    let old = object(json!({"stacks": [{"name": "a", "size": 2}, {"name": "b", "size": 1}]}));
    let moved = object(
        json!({"stacks": [{"name": "b", "size": 1}, {"name": "a", "size": 2}, {"name": "c", "size": 0}]}),
    );
    assert_eq!(messages(&schema.validate(&moved, Some(&old))), [""; 0]);
    let shrunk = object(json!({"stacks": [{"name": "b", "size": 1}, {"name": "a", "size": 1}]}));
    assert_eq!(
        messages(&schema.validate(&shrunk, Some(&old))),
        ["spec.stacks[1].size: Invalid value: 1: may not shrink"]
    );
}

#[test]
fn optional_old_self_runs_on_create_too() {
    let rule = json!([{
        "rule": "oldSelf.hasValue() ? self.max == oldSelf.value().max : self.max == 1",
        "message": "starts at 1 and stays", "optionalOldSelf": true,
    }]);
    let schema = compile(rules(rule));
    let (one, two) = (object(json!({"max": 1})), object(json!({"max": 2})));
    assert_eq!(messages(&schema.validate(&one, None)), [""; 0]);
    assert_eq!(schema.validate(&two, None).len(), 1);
    assert_eq!(schema.validate(&two, Some(&one)).len(), 1);
    assert_eq!(
        messages(&schema.validate(&two, Some(&object(json!({"max": 2, "url": ""}))))),
        [""; 0]
    );
}

#[test]
fn rules_at_the_root_see_the_names_of_the_object() {
    let mut schema = with_spec(json!({"type": "object"}));
    schema["x-kubernetes-validations"] =
        json!([{"rule": "self.metadata.name == 'a'", "message": "call it a"}]);
    let schema = Structural::compile(&schema).unwrap();
    let mut value = object(json!({}));
    assert_eq!(schema.validate(&value, None), []);
    value["metadata"]["name"] = json!("b");
    assert_eq!(
        messages(&schema.validate(&value, None)),
        ["<nil>: Invalid value: call it a"]
    );
}

#[test]
fn rules_do_not_run_on_an_object_that_is_wrong_anyway() {
    let schema = compile(rules(json!([{"rule": "self.max > 1"}])));
    assert_eq!(
        messages(&schema.validate(&object(json!({"max": "x"})), None)),
        [
            "spec.max: Invalid value: \"string\": spec.max in body must be of type integer: \"string\"",
            "<nil>: Invalid value: null: some validation rules were not checked because the object was \
             invalid; correct the existing errors to complete validation"
        ]
    );
}

#[test]
fn a_missing_field_in_a_rule_is_an_error_of_the_object() {
    let errors = compile(rules(json!([{"rule": "self.max > 1"}]))).validate(&object(json!({})), None);
    assert_eq!(
        messages(&errors),
        ["spec: Invalid value: \"object\": no such key: max evaluating rule: self.max > 1"]
    );
}

#[test]
fn metadata_names_can_be_narrowed() {
    let schema = Structural::compile(&json!({"type": "object", "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 3}}},
    }}))
    .unwrap();
    let named = |name: &str| json!({"apiVersion": "a", "kind": "b", "metadata": {"name": name, "labels": {"a": "b"}}});
    assert_eq!(schema.validate(&named("abc"), None), []);
    assert_eq!(
        messages(&schema.validate(&named("abcd"), None)),
        ["metadata.name: Too long: may not be more than 3 bytes"]
    );
}

#[rstest]
#[case::nested_loops("self.names.all(a, self.names.all(b, self.names.all(c, a + b + c != '')))")]
#[case::growing_text("self.names.map(n, n.replace('', n).replace('', n).replace('', n)).size() > 0")]
#[case::many_matches("self.names.all(a, self.names.all(b, a.matches(b)))")]
fn costly_rules_are_stopped_before_they_run(#[case] rule: &str) {
    let schema = compile(rules(json!([{"rule": rule}])));
    let names: Vec<String> = (0..2_000)
        .map(|i| format!("name-{i}-{}", "x".repeat(60)))
        .collect();
    let started = std::time::Instant::now();
    let errors = messages(&schema.validate(&object(json!({"names": names})), None));
    assert!(errors[0].contains("cost limit exceeded"), "{errors:?}");
    // Not a measurement: run in full, each of these takes minutes at the least.
    assert!(started.elapsed().as_secs() < 60);
}

#[rstest]
#[case::deep_schema((0..500).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner})))]
#[case::long_sum(rules(json!([{"rule": (0..3_000).map(|_| "1").collect::<Vec<_>>().join("+") + " > 0"}])))]
#[case::deep_parentheses(rules(json!([{"rule": format!("{}true{}", "(".repeat(900), ")".repeat(900))}])))]
#[case::long_chain(rules(json!([{"rule": format!("self{} == 1", ".a".repeat(900))}])))]
#[case::huge_rule(rules(json!([{"rule": format!("'{}' != ''", "x".repeat(20_000))}])))]
#[case::huge_range(rules(json!([{"rule": "lists.range(1000000000).size() > 0"}])))]
#[case::huge_pattern(json!({"type": "string", "pattern": "(a{1000}){1000}"}))]
#[case::message_construction(rules(json!([{"rule": "Foo{a: 1} == Foo{a: 1}"}])))]
fn hostile_schemas_are_refused(#[case] spec: Value) {
    assert!(Structural::compile(&with_spec(spec)).is_err());
}

/// The limits leave room on the stack: what is just within them is walked.
#[test]
fn what_is_just_deep_enough_is_walked() {
    let rule = format!("self.min + {} == 101", vec!["1"; 99].join(" + "));
    let schema = compile(rules(json!([{"rule": rule}])));
    assert_eq!(
        messages(&schema.validate(&object(json!({"min": 2})), None)),
        [""; 0]
    );

    let deep = (0..85).fold(
        json!({"type": "string"}),
        |inner, _| json!({"type": "array", "items": inner}),
    );
    let schema = compile(deep);
    let mut value = object((0..85).fold(json!("x"), |inner, _| json!([inner])));
    schema.default_values(&mut value);
    assert_eq!(schema.prune(&mut value), [""; 0]);
    assert_eq!(messages(&schema.validate(&value, None)), [""; 0]);
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-3_i64..100).prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            fields(inner, "[a-d]"),
        ]
    })
}

fn fields(value: impl Strategy<Value = Value>, names: &'static str) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(names, value, 0..5)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// Schemas that are sound more often than not.
fn schema_like() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"type": "string", "maxLength": 2, "default": "a"})),
        Just(json!({"type": "integer", "minimum": 0})),
        Just(json!({"x-kubernetes-int-or-string": true})),
        Just(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|items| json!({"type": "array", "items": items})),
            inner
                .clone()
                .prop_map(|values| json!({"type": "object", "additionalProperties": values})),
            fields(inner, "[a-d]").prop_map(|properties| json!({"type": "object", "properties": properties})),
        ]
    })
}

proptest! {
    /// Whatever stands where a schema should, the answer is a schema or errors.
    #[test]
    fn any_json_as_schema_is_survived(schema in json_value(), keyword in "(type|items|properties|allOf|not|enum|required|x-kubernetes-validations|default)") {
        let _ = Structural::compile(&schema);
        let _ = Structural::compile(&with_spec(json!({"type": "object", keyword: schema})));
    }

    /// Whatever stands in an object, all walks end; pruning and defaulting twice is doing so once.
    #[test]
    fn walks_are_idempotent(spec in schema_like(), value in json_value()) {
        let schema = compile(spec);
        let mut value = object(value);
        let _ = schema.prune(&mut value);
        let pruned = value.clone();
        prop_assert_eq!(schema.prune(&mut value), Vec::<String>::new());
        prop_assert_eq!(&value, &pruned);
        schema.default_values(&mut value);
        let defaulted = value.clone();
        schema.default_values(&mut value);
        prop_assert_eq!(&value, &defaulted);
        let _ = schema.validate(&value, None);
        prop_assert_eq!(schema.validate(&value, Some(&value)), []);
    }

    /// No text at all makes the expression compiler fail other than by an error.
    #[test]
    fn any_text_as_rule_is_survived(rule in "[a-z .()\\[\\]{}'+<=!&|?:0-9]{0,60}") {
        let _ = Structural::compile(&with_spec(rules(json!([{"rule": rule}]))));
    }
}
