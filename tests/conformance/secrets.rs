//! Secrets and config maps: text that becomes bytes, and what cannot change.

use serde_json::json;

use crate::case::{Case, MERGE, case};
use crate::expect::{absent, containing, exactly};
use crate::objects::config_map;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("text of a secret becomes bytes")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}, "stringData": {"k": "v"}, "data": {"k": "eA==", "l": "eQ=="}}))
            .is(201)
            .with(json!({"type": "Opaque", "data": exactly(json!({"k": "dg==", "l": "eQ=="})), "stringData": absent()}))
            .patch(MERGE, "{ns}/secrets/a", json!({"stringData": {"l": "z"}}))
            .is(200)
            .with(json!({"data": exactly(json!({"k": "dg==", "l": "eg=="})), "stringData": absent()})),
        case("bytes are base64")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}, "data": {"k": "not base64!"}}))
            .refused(
                400,
                "BadRequest",
                "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 3",
            ),
        case("a secret's type cannot change")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}, "type": "x/y"}))
            .is(201)
            .patch(MERGE, "{ns}/secrets/a", json!({"type": "x/z"}))
            .refused(
                422,
                "Invalid",
                "Secret \"a\" is invalid: type: Invalid value: \"x/z\": field is immutable",
            ),
        case("a secret for TLS has a certificate and a key")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}, "type": "kubernetes.io/tls", "data": {}}))
            .refused(
                422,
                "Invalid",
                "Secret \"a\" is invalid: [data[tls.crt]: Required value, data[tls.key]: Required value]",
            ),
        case("a secret for a registry is its configuration")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}, "type": "kubernetes.io/dockerconfigjson"}))
            .is(422)
            .with(json!({"message": "Secret \"a\" is invalid: data[.dockerconfigjson]: Required value"})),
        case("a secret's keys")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}, "data": {"a b": ""}}))
            .is(422)
            .with(json!({"message": containing("Secret \"a\" is invalid: data[a b]: Invalid value: \"a b\": a valid config key must consist of")})),
        case("an immutable config map cannot change, but may be deleted")
            .post("{ns}/configmaps", json!({"metadata": {"name": "a"}, "data": {"k": "1"}, "immutable": true}))
            .is(201)
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2"}}))
            .refused(
                422,
                "Invalid",
                "ConfigMap \"a\" is invalid: data: Forbidden: field is immutable when `immutable` is set",
            )
            .patch(MERGE, "{ns}/configmaps/a", json!({"immutable": null}))
            .refused(
                422,
                "Invalid",
                "ConfigMap \"a\" is invalid: immutable: Forbidden: field is immutable when `immutable` is set",
            )
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"labels": {"x": "y"}}}))
            .is(200)
            .delete("{ns}/configmaps/a")
            .is(200),
        case("an immutable secret cannot change")
            .post("{ns}/secrets", json!({"metadata": {"name": "a"}, "data": {"k": "MQ=="}, "immutable": true}))
            .is(201)
            .patch(MERGE, "{ns}/secrets/a", json!({"data": {"k": "Mg=="}}))
            .refused(
                422,
                "Invalid",
                "Secret \"a\" is invalid: data: Forbidden: field is immutable when `immutable` is set",
            ),
        case("names, uids and creation times cannot change")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .patch(MERGE, "{ns}/configmaps/a", json!({"metadata": {"namespace": "other"}}))
            .is(400),
    ]
}
