//! Names, labels, annotations, and the data of config maps: what they may be made of.

use serde_json::{Value, json};

use crate::case::{Case, case};
use crate::expect::absent;
use crate::objects::{WIDGETS, config_map, widget, widgets};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

pub(crate) fn cases() -> Vec<Case> {
    let refused = |name: &'static str, object: Value, field: &str, message: String| {
        let called = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        case(name)
            .post("{ns}/configmaps", object)
            .refused(
                422,
                "Invalid",
                format!("ConfigMap \"{called}\" is invalid: {field}: {message}"),
            )
            .with(
                json!({"details": {"name": called, "kind": "ConfigMap", "group": absent(), "causes": [{
                    "field": field, "message": message,
                }]}}),
            )
    };
    let labelled = |labels: Value| json!({"metadata": {"name": "a", "labels": labels}});
    vec![
        refused(
            "a name is a subdomain",
            config_map("Not_a name", json!({})),
            "metadata.name",
            format!("Invalid value: \"Not_a name\": {SUBDOMAIN}"),
        ),
        refused(
            "a name has 253 characters at most",
            config_map(&"a".repeat(254), json!({})),
            "metadata.name",
            format!("Invalid value: \"{}\": must be no more than 253 characters", "a".repeat(254)),
        ),
        refused(
            "a label's value",
            labelled(json!({"a": "b c"})),
            "metadata.labels",
            format!("Invalid value: \"b c\": {VALUE}"),
        ),
        refused(
            "a label's value has 63 bytes at most",
            labelled(json!({"a": "b".repeat(64)})),
            "metadata.labels",
            format!("Invalid value: \"{}\": must be no more than 63 bytes", "b".repeat(64)),
        ),
        refused(
            "a label's name",
            labelled(json!({"a b": "c"})),
            "metadata.labels",
            format!("Invalid value: \"a b\": {QUALIFIED}"),
        ),
        refused(
            "a label's prefix",
            labelled(json!({"Not_a/b": "c"})),
            "metadata.labels",
            format!("Invalid value: \"Not_a/b\": prefix part {SUBDOMAIN}"),
        ),
        refused(
            "a label has one prefix",
            labelled(json!({"a/b/c": "d"})),
            "metadata.labels",
            "Invalid value: \"a/b/c\": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')".to_owned(),
        ),
        refused(
            "an annotation's name",
            json!({"metadata": {"name": "a", "annotations": {"a b": "c d"}}}),
            "metadata.annotations",
            format!("Invalid value: \"a b\": {QUALIFIED}"),
        ),
        refused(
            "annotations have 256 KiB at most",
            json!({"metadata": {"name": "a", "annotations": {"a": "x".repeat(256 << 10)}}}),
            "metadata.annotations",
            "Too long: may not be more than 262144 bytes".to_owned(),
        ),
        refused(
            "a key of a config map",
            config_map("a", json!({"a b": "c"})),
            "data[a b]",
            format!("Invalid value: \"a b\": {KEY}"),
        ),
        refused(
            "a key of a config map is text or bytes, not both",
            json!({"metadata": {"name": "a"}, "data": {"k": "v"}, "binaryData": {"k": "dg=="}}),
            "data[k]",
            "Invalid value: \"k\": duplicate of key present in binaryData".to_owned(),
        ),
        case("annotations may be of anything")
            .post("{ns}/configmaps", json!({"metadata": {"name": "a", "annotations": {"x.test/Y": "any thing\n\u{1f600}"}}}))
            .is(201)
            .with(json!({"metadata": {"annotations": {"x.test/Y": "any thing\n\u{1f600}"}}})),
        case("names of custom objects")
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, widget("Not_a name", json!({})))
            .refused(
                422,
                "Invalid",
                format!("Widget.{{group}} \"Not_a name\" is invalid: metadata.name: Invalid value: \"Not_a name\": {SUBDOMAIN}"),
            ),
        case("names of namespaces")
            .post("/api/v1/namespaces", json!({"metadata": {"name": "Not_a"}}))
            .refused(
                422,
                "Invalid",
                format!("Namespace \"Not_a\" is invalid: metadata.name: Invalid value: \"Not_a\": {LABEL}"),
            ),
        case("names of roles may be of anything that a path may have")
            .post(
                "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
                json!({"metadata": {"name": "system:My_Role"}, "rules": []}),
            )
            .is(201)
            .post(
                "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
                json!({"metadata": {"name": "a/b"}, "rules": []}),
            )
            .is(422)
            .with(json!({"message": "Role.rbac.authorization.k8s.io \"a/b\" is invalid: metadata.name: Invalid value: \"a/b\": may not contain '/'"})),
        case("data of 1 MiB and more is too much")
            .post("{ns}/configmaps", config_map("a", json!({"k": "x".repeat((1 << 20) + 1)})))
            .is(422)
            .with(json!({"details": {"causes": [{"reason": "FieldValueTooLong", "field": "[]", "message": "Too long: may not be more than 1048576 bytes"}]}})),
    ]
}
