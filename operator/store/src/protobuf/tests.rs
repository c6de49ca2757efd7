#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

/// A field that holds bytes.
fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    field.extend(varint(content.len() as u64));
    field.extend(content);
    field
}

/// A field that holds a number.
fn int(number: u8, content: u64) -> Vec<u8> {
    [vec![number << 3], varint(content)].concat()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

fn body(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [
        MAGIC.to_vec(),
        bytes(1, &meta),
        bytes(2, message),
        bytes(3, b""),
        bytes(4, b""),
    ]
    .concat()
}

/// Metadata as Go encodes it: every field that is no pointer, empty or not.
fn metadata() -> Vec<u8> {
    let label = [bytes(1, b"app"), bytes(2, b"shop")].concat();
    let created = [int(1, 1_767_225_600), int(2, 0)].concat();
    [
        bytes(1, b"a"),
        bytes(2, b""),
        bytes(3, b"default"),
        int(7, 0),
        bytes(8, b""),
        bytes(9, &created),
        bytes(11, &label),
        bytes(14, b"f"),
    ]
    .concat()
}

#[test]
fn decodes_a_config_map() {
    let data = [bytes(1, b"k"), bytes(2, b"v")].concat();
    let binary = [bytes(1, b"b"), bytes(2, b"hi")].concat();
    let message = [
        bytes(1, &metadata()),
        bytes(2, &data),
        bytes(3, &binary),
        int(4, 1),
    ]
    .concat();
    assert_eq!(
        decode(&body("v1", "ConfigMap", &message)).unwrap(),
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "a", "namespace": "default", "deletionTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"app": "shop"}, "finalizers": ["f"],
            },
            "data": {"k": "v"},
            "binaryData": {"b": "aGk="},
            "immutable": true,
        })
    );
}

#[test]
fn decodes_a_service_with_numbers_or_names() {
    let port = |target: Vec<u8>| {
        [
            bytes(1, b"http"),
            bytes(2, b"TCP"),
            int(3, 80),
            bytes(4, &target),
            int(5, 0),
        ]
        .concat()
    };
    let by_number = port([int(1, 0), int(2, 8080), bytes(3, b"")].concat());
    let by_name = port([int(1, 1), int(2, 0), bytes(3, b"web")].concat());
    let spec = [bytes(1, &by_number), bytes(1, &by_name), bytes(4, b"ClusterIP")].concat();
    let object = decode(&body("v1", "Service", &bytes(2, &spec))).unwrap();
    assert_eq!(
        object["spec"],
        json!({
            "ports": [
                {"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080},
                {"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web"},
            ],
            "type": "ClusterIP",
        })
    );
}

#[test]
fn decodes_managed_fields_and_micro_times() {
    let fields = bytes(1, br#"{"f:data":{}}"#);
    let entry = [bytes(1, b"kubectl"), bytes(2, b"Update"), bytes(7, &fields)].concat();
    let renewed = [int(1, 1_767_225_600), int(2, 123_456_000)].concat();
    let spec = [bytes(1, b"me"), bytes(4, &renewed)].concat();
    let meta = [vec![17 << 3 | 2, 1], varint(entry.len() as u64), entry].concat();
    // Field 17 needs a key of two bytes.
    let meta = [vec![0x8a, 0x01], meta[2..].to_vec()].concat();
    let object = decode(&body(
        "coordination.k8s.io/v1",
        "Lease",
        &[bytes(1, &meta), bytes(2, &spec)].concat(),
    ))
    .unwrap();
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:data": {}}}])
    );
    assert_eq!(
        object["spec"],
        json!({"holderIdentity": "me", "renewTime": "2026-01-01T00:00:00.123456Z"})
    );
}

#[test]
fn inline_messages_stand_in_the_outer_object() {
    let volume = [bytes(1, b"v"), bytes(2, &bytes(2, &bytes(1, b"")))].concat();
    let object = decode(&body("v1", "Pod", &bytes(2, &bytes(1, &volume)))).unwrap();
    assert_eq!(object["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
}

#[test]
fn decodes_delete_options_of_any_group() {
    let message = [int(1, 0), bytes(4, b"Foreground"), bytes(5, b"All")].concat();
    assert_eq!(
        decode(&body("apps/v1", "DeleteOptions", &message)).unwrap(),
        json!({
            "apiVersion": "apps/v1", "kind": "DeleteOptions",
            "gracePeriodSeconds": 0, "propagationPolicy": "Foreground", "dryRun": ["All"],
        })
    );
}

/// Bodies as `k8s.io/apimachinery`'s own serializer (v0.36.3) encodes them, beside the JSON of the same objects
/// without their empty parts.
#[test]
fn decodes_what_go_encodes() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("encoded.json")).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let body = case["body"].as_str().unwrap();
        let body = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        assert_eq!(without_empty(decode(&body).unwrap()), case["object"]);
    }
}

fn without_empty(value: Value) -> Value {
    let is_empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, field)| (name, without_empty(field)))
            .filter(|(_, field)| !is_empty(field))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_empty).collect(),
        scalar => scalar,
    }
}

#[rstest]
#[case("homeport.dev/v1alpha1", "Cutover")]
#[case("v1", "ObjectReference")]
#[case("v1", "ConfigMapList")]
fn other_kinds_are_asked_for_as_json(#[case] api_version: &str, #[case] kind: &str) {
    let error = decode(&body(api_version, kind, &[])).unwrap_err();
    assert!(matches!(&error, ProtobufError::Unsupported { .. }));
    assert!(error.to_string().contains(kind) && error.to_string().contains("application/json"));
}

#[rstest]
#[case(b"{}")]
#[case(b"k8s\0\x0a\xff")]
#[case(b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")]
fn malformed_bodies_are_refused(#[case] body: &[u8]) {
    assert!(matches!(decode(body), Err(ProtobufError::Malformed(_))));
}

#[test]
fn a_wrong_wire_type_is_refused() {
    assert!(matches!(
        decode(&body("v1", "ConfigMap", &int(1, 3))),
        Err(ProtobufError::Malformed(_))
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(message in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&body("apps/v1", "Deployment", &message));
        let _ = decode(&message);
    }

    #[test]
    fn any_change_of_a_body_is_survived(at in 0_usize..100, to in any::<u8>()) {
        let mut body = body("v1", "ConfigMap", &bytes(1, &metadata()));
        let at = at % body.len();
        body[at] = to;
        let _ = decode(&body);
    }
}
