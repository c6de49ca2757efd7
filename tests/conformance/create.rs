//! Creation: what the server adds, generated names, and what it refuses.

use serde_json::json;

use crate::case::{Case, JSON, case};
use crate::expect::{absent, any, containing, other_than, with_item};
use crate::objects::{WIDGETS, config_map, widget, widgets};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("a created object has what the server adds")
            .post("{ns}/configmaps", config_map("a", json!({"k": "v"})))
            .is(201)
            .with(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"},
                "metadata": {
                    "name": "a", "namespace": "{namespace}", "uid": any(), "resourceVersion": any(),
                    "creationTimestamp": any(), "generation": absent(), "selfLink": absent(),
                    "managedFields": [{
                        "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "time": any(),
                        "fieldsV1": {"f:data": {".": {}, "f:k": {}}},
                    }],
                },
            }))
            .keep("uid", "/metadata/uid")
            .get("{ns}/configmaps/a")
            .is(200)
            .with(json!({"kind": "ConfigMap", "metadata": {"uid": "{uid}"}})),
        case("what only the server may say is not taken from the client")
            .post(
                "{ns}/configmaps",
                json!({"metadata": {
                    "name": "a", "uid": "11111111-1111-1111-1111-111111111111", "selfLink": "/x",
                    "creationTimestamp": "2001-01-01T00:00:00Z", "deletionTimestamp": "2001-01-01T00:00:00Z",
                    "deletionGracePeriodSeconds": 3, "generation": 7,
                }}),
            )
            .is(201)
            .with(json!({"metadata": {
                "uid": other_than("11111111-1111-1111-1111-111111111111"), "selfLink": absent(),
                "creationTimestamp": other_than("2001-01-01T00:00:00Z"), "deletionTimestamp": absent(),
                "deletionGracePeriodSeconds": absent(),
            }})),
        case("a body without kind is taken for the kind of its path, if that is built in")
            .post("{ns}/configmaps", json!({"metadata": {"name": "a"}}))
            .is(201)
            .with(json!({"apiVersion": "v1", "kind": "ConfigMap"})),
        case("a custom object without kind is refused")
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, json!({"metadata": {"name": "a"}}))
            .refused(400, "BadRequest", containing("Object 'Kind' is missing in")),
        case("a generated name begins with its prefix")
            .post("{ns}/configmaps", json!({"metadata": {"generateName": "a-"}}))
            .is(201)
            .with(json!({"metadata": {"name": containing("a-"), "generateName": "a-"}}))
            .keep("name", "/metadata/name")
            .post("{ns}/configmaps", json!({"metadata": {"generateName": "a-"}}))
            .is(201)
            .with(json!({"metadata": {"name": other_than("{name}")}})),
        case("a name goes before a generated one")
            .post("{ns}/configmaps", json!({"metadata": {"generateName": "a-", "name": "b"}}))
            .is(201)
            .with(json!({"metadata": {"name": "b", "generateName": "a-"}})),
        case("a generated name is cut to fit")
            .post("{ns}/configmaps", json!({"metadata": {"generateName": "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-"}}))
            .is(201)
            .with(json!({"metadata": {"name": containing("abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-abcd")}})),
        case("a generated name of what cannot be a name is refused")
            .post("{ns}/configmaps", json!({"metadata": {"generateName": "Not_a-"}}))
            .is(422)
            .with(json!({"message": containing("metadata.generateName: Invalid value: \"Not_a-\"")})),
        case("an object needs a name")
            .post("{ns}/configmaps", json!({"metadata": {}}))
            .refused(
                422,
                "Invalid",
                "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
            )
            .with(json!({"details": {
                "kind": "ConfigMap",
                "causes": [{
                    "reason": "FieldValueRequired", "field": "metadata.name",
                    "message": "Required value: name or generateName is required",
                }],
            }})),
        case("a name that is taken is refused")
            .post("{ns}/configmaps", config_map("a", json!({})))
            .is(201)
            .post("{ns}/configmaps", config_map("a", json!({})))
            .refused(409, "AlreadyExists", "configmaps \"a\" already exists")
            .with(json!({"metadata": {}, "details": {"name": "a", "kind": "configmaps", "group": absent()}})),
        case("the same of custom objects, with their group")
            .define(widgets(json!({"type": "object"})))
            .post(WIDGETS, widget("a", json!({})))
            .is(201)
            .with(json!({"metadata": {"generation": 1}}))
            .post(WIDGETS, widget("a", json!({})))
            .refused(409, "AlreadyExists", "widgets.{group} \"a\" already exists")
            .with(json!({"details": {"name": "a", "group": "{group}", "kind": "widgets"}})),
        case("an object to be created has no version yet")
            .post("{ns}/configmaps", json!({"metadata": {"name": "a", "resourceVersion": "1"}}))
            .is(500)
            .with(json!({
                "kind": "Status", "status": "Failure", "code": 500, "reason": absent(),
                "message": "resourceVersion should not be set on objects to be created",
            })),
        case("another namespace than that of the path is refused")
            .post("{ns}/configmaps", json!({"metadata": {"name": "a", "namespace": "other"}}))
            .refused(
                400,
                "BadRequest",
                "the namespace of the provided object does not match the namespace sent on the request",
            ),
        case("another kind than that of the path is refused")
            .post("{ns}/configmaps", json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}))
            .refused(
                400,
                "BadRequest",
                "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion",
            ),
        case("another version than that of the path is refused")
            .post("{ns}/configmaps", json!({"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "a"}}))
            .refused(400, "BadRequest", containing("")),
        case("a kind that nobody knows is refused")
            .post("{ns}/configmaps", json!({"apiVersion": "x.y/v2", "kind": "Zed", "metadata": {"name": "a"}}))
            .refused(400, "BadRequest", containing("no kind \"Zed\" is registered for version \"x.y/v2\" in scheme")),
        case("a body that is no JSON is refused")
            .send("POST", "{ns}/configmaps", JSON, "{not json")
            .refused(400, "BadRequest", containing("")),
        case("an empty body is refused")
            .send("POST", "{ns}/configmaps", JSON, "")
            .is(400),
        case("a form of body that nobody reads is refused")
            .send("POST", "{ns}/configmaps", "text/csv", "a,b")
            .refused(
                415,
                "UnsupportedMediaType",
                containing("the body of the request was in an unknown format - accepted media types include:"),
            ),
        case("YAML is read")
            .send(
                "POST",
                "{ns}/configmaps",
                "application/yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: v\n",
            )
            .is(201)
            .with(json!({"data": {"k": "v"}})),
        case("a collection is created into by POST alone")
            .put("{ns}/configmaps", config_map("a", json!({})))
            .refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
        case("an object is not created by POST on its own path")
            .post("{ns}/configmaps/a", config_map("a", json!({})))
            .refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
        case("an object cannot be created in a namespace that is not there")
            .post("/api/v1/namespaces/{unique}-none/configmaps", config_map("a", json!({})))
            .refused(404, "NotFound", "namespaces \"{unique}-none\" not found")
            .with(json!({"details": {"name": "{unique}-none", "kind": "namespaces"}})),
        case("what is not there is not found")
            .get("{ns}/configmaps/none")
            .refused(404, "NotFound", "configmaps \"none\" not found")
            .with(json!({"details": {"name": "none", "kind": "configmaps"}})),
        case("what is not served is not found")
            .get("/apis/{group}/v1/widgets")
            .is(404)
            .with(json!("404 page not found\n"))
            .get("/apis/{group}")
            .is(404)
            .with(json!("404 page not found\n"))
            .get("{ns}/nothings")
            .refused(404, "NotFound", "the server could not find the requested resource")
            .get("/apis/apps/v9")
            .refused(404, "NotFound", "the server could not find the requested resource"),
        case("the manager of a created object is as the query says")
            .post("{ns}/configmaps?fieldManager=me", config_map("a", json!({"k": "v"})))
            .is(201)
            .with(json!({"metadata": {"managedFields": with_item(json!({"manager": "me", "operation": "Update"}))}})),
        case("the manager is else the name of the client")
            .post("{ns}/configmaps", config_map("a", json!({"k": "v"})))
            .header("user-agent", "prober/1.2 (test)")
            .is(201)
            .with(json!({"metadata": {"managedFields": [{"manager": "prober"}]}})),
    ]
}
