//! Updates: optimistic concurrency, preconditions, and what changes nothing.

use serde_json::json;

use crate::case::{Case, MERGE, case};
use crate::expect::{any, containing, other_than};
use crate::objects::{WIDGETS, config_map, widget, widgets};

/// What a write from an older state is told.
const OLD: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("an update from the newest state is taken")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .keep("uid", "/metadata/uid")
            .put(
                "{ns}/configmaps/a",
                json!({"metadata": {"name": "a", "resourceVersion": "{version}"}, "data": {"k": "2"}}),
            )
            .is(200)
            .with(json!({"data": {"k": "2"}, "metadata": {"uid": "{uid}", "resourceVersion": other_than("{version}")}})),
        case("an update from an older state conflicts")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2"}}))
            .is(200)
            .put(
                "{ns}/configmaps/a",
                json!({"metadata": {"name": "a", "resourceVersion": "{version}"}, "data": {"k": "3"}}),
            )
            .refused(
                409,
                "Conflict",
                format!("Operation cannot be fulfilled on configmaps \"a\": {OLD}"),
            )
            .with(json!({"details": {"name": "a", "kind": "configmaps"}})),
        case("a patch that names an older state conflicts")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .patch(MERGE, "{ns}/configmaps/a", json!({"data": {"k": "2"}}))
            .is(200)
            .patch(
                MERGE,
                "{ns}/configmaps/a",
                json!({"metadata": {"resourceVersion": "{version}"}, "data": {"k": "3"}}),
            )
            .refused(
                409,
                "Conflict",
                format!("Operation cannot be fulfilled on configmaps \"a\": {OLD}"),
            ),
        case("an update of a built-in object without a version is taken whatever its state")
            .post("{ns}/configmaps", config_map("a", json!({"k": "1"})))
            .is(201)
            .put("{ns}/configmaps/a", config_map("a", json!({"k": "2"})))
            .is(200)
            .with(json!({"data": {"k": "2"}})),
        case("an update of a custom object must say which state it is from")
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .put(format!("{WIDGETS}/a"), widget("a", json!({})))
            .refused(
                422,
                "Invalid",
                "widgets.{group} \"a\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update",
            )
            .with(json!({"details": {
                "name": "a", "group": "{group}", "kind": "widgets",
                "causes": [{"reason": "FieldValueInvalid", "field": "metadata.resourceVersion"}],
            }})),
        case("a version that is no number is refused")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .put("{ns}/configmaps/a", json!({"metadata": {"name": "a", "resourceVersion": "x"}}))
            .is(500)
            .with(json!({"status": "Failure", "message": "strconv.ParseUint: parsing \"x\": invalid syntax"})),
        case("an update with another uid conflicts")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .keep("uid", "/metadata/uid")
            .put("{ns}/configmaps/a", json!({"metadata": {"name": "a", "uid": "other"}}))
            .refused(
                409,
                "Conflict",
                containing("Precondition failed: UID in precondition: other, UID in object meta: {uid}"),
            ),
        case("an update under another name than that of the path is refused")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .put("{ns}/configmaps/a", config_map("b", json!({})))
            .refused(
                400,
                "BadRequest",
                "the name of the object (b) does not match the name on the URL (a)",
            ),
        case("an update in another namespace than that of the path is refused")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .put("{ns}/configmaps/a", json!({"metadata": {"name": "a", "namespace": "other"}}))
            .refused(
                400,
                "BadRequest",
                containing("the namespace of the"),
            ),
        case("an update of what is not there creates no config map")
            .put("{ns}/configmaps/none", config_map("none", json!({})))
            .refused(404, "NotFound", "configmaps \"none\" not found"),
        case("an update of what is not there creates no custom object")
            .define(widgets(json!({"type": "object"})))
            .put(
                format!("{WIDGETS}/none"),
                json!({"apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "none", "resourceVersion": "1"}}),
            )
            .refused(404, "NotFound", "widgets.{group} \"none\" not found"),
        case("an update of a lease that is not there creates it")
            .put(
                "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/a",
                json!({"metadata": {"name": "a"}, "spec": {"holderIdentity": "me"}}),
            )
            .is(201)
            .with(json!({"spec": {"holderIdentity": "me"}, "metadata": {"uid": any()}})),
        case("a write that changes nothing keeps the version")
            .post("{ns}/configmaps?fieldManager=m", config_map("a", json!({"k": "1"})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .put("{ns}/configmaps/a?fieldManager=m", config_map("a", json!({"k": "1"})))
            .is(200)
            .with(json!({"metadata": {"resourceVersion": "{version}"}}))
            .patch(MERGE, "{ns}/configmaps/a?fieldManager=m", json!({"data": {"k": "1"}}))
            .is(200)
            .with(json!({"metadata": {"resourceVersion": "{version}"}}))
            .patch(MERGE, "{ns}/configmaps/a?fieldManager=m", json!({"data": {"none": null}}))
            .is(200)
            .with(json!({"metadata": {"resourceVersion": "{version}"}})),
        case("a deletion may name the object that it means by uid")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .keep("uid", "/metadata/uid")
            .delete_with("{ns}/configmaps/a", json!({"preconditions": {"uid": "other"}}))
            .refused(
                409,
                "Conflict",
                "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (other) does not match the UID in record ({uid}). The object might have been deleted and then recreated",
            )
            .delete_with("{ns}/configmaps/a", json!({"preconditions": {"uid": "{uid}"}}))
            .is(200),
        case("a deletion may name the state that it means by version")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .keep("version", "/metadata/resourceVersion")
            .delete_with("{ns}/configmaps/a", json!({"preconditions": {"resourceVersion": "1"}}))
            .refused(
                409,
                "Conflict",
                "Operation cannot be fulfilled on ConfigMap \"a\": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({version}). The object might have been modified",
            )
            .delete_with("{ns}/configmaps/a", json!({"preconditions": {"resourceVersion": "{version}"}}))
            .is(200),
        case("creation time and uid stay as they are")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .keep("created", "/metadata/creationTimestamp")
            .keep("uid", "/metadata/uid")
            .put(
                "{ns}/configmaps/a",
                json!({"metadata": {"name": "a", "creationTimestamp": "2001-01-01T00:00:00Z", "labels": {"a": "b"}}}),
            )
            .is(200)
            .with(json!({"metadata": {"creationTimestamp": "{created}", "uid": "{uid}", "labels": {"a": "b"}}})),
    ]
}
