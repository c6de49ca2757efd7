//! Namespaces: what each has, and how it ends with all that is in it.

use serde_json::json;

use crate::case::{Case, MERGE, case};
use crate::expect::{any, containing, with_item};
use crate::objects::{WIDGETS, config_map, widget, widgets};

const OTHER: &str = "/api/v1/namespaces/{unique}-other";

pub(crate) fn cases() -> Vec<Case> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{unique}-other"}});
    vec![
        case("a namespace is active, labelled with its name, and has its finalizer")
            .get("{ns}")
            .is(200)
            .with(json!({
                "metadata": {"labels": {"kubernetes.io/metadata.name": "{namespace}"}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
            })),
        case("a namespace gets an account and the certificate to trust")
            .until("{ns}/serviceaccounts/default")
            .is(200)
            .with(json!({"kind": "ServiceAccount", "metadata": {"name": "default"}}))
            .until("{ns}/configmaps/kube-root-ca.crt")
            .is(200)
            .with(json!({"data": {"ca.crt": containing("-----BEGIN CERTIFICATE-----")}})),
        case("what is taken from a namespace that it should have comes back")
            .until("{ns}/serviceaccounts/default")
            .is(200)
            .keep("uid", "/metadata/uid")
            .delete("{ns}/serviceaccounts/default?propagationPolicy=Background")
            .is(200)
            .until("{ns}/serviceaccounts/default")
            .is(200),
        case("the namespaces of a cluster are there")
            .until("/api/v1/namespaces/default")
            .is(200)
            .until("/api/v1/namespaces/kube-system")
            .is(200)
            .until("/api/v1/namespaces/kube-public")
            .is(200),
        case("a namespace ends with all that is in it")
            .define(widgets(json!({"type": "object"})))
            .post("/api/v1/namespaces", namespace.clone())
            .is(201)
            .post(format!("{OTHER}/configmaps"), config_map("a", json!({})))
            .is(201)
            .post(format!("{OTHER}/secrets"), json!({"metadata": {"name": "b"}}))
            .is(201)
            .post("/apis/{group}/v1/namespaces/{unique}-other/widgets", widget("c", json!({})))
            .is(201)
            .delete(OTHER)
            .is(200)
            .with(json!({
                "kind": "Namespace", "metadata": {"deletionTimestamp": any()},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Terminating"},
            }))
            .until(OTHER)
            .is(404)
            .get(format!("{OTHER}/configmaps/a"))
            .is(404)
            .get("/apis/{group}/v1/namespaces/{unique}-other/widgets/c")
            .is(404)
            .post("/api/v1/namespaces", namespace.clone())
            .is(201)
            .get(format!("{OTHER}/secrets"))
            .is(200)
            .with(json!({"items": []})),
        case("a namespace that ends waits for finalizers in it, and takes nothing new")
            .post("/api/v1/namespaces", namespace)
            .is(201)
            .post(
                format!("{OTHER}/configmaps"),
                json!({"metadata": {"name": "a", "finalizers": ["x.test/y"]}}),
            )
            .is(201)
            .delete(OTHER)
            .is(200)
            .post(format!("{OTHER}/configmaps"), config_map("b", json!({})))
            .refused(
                403,
                "Forbidden",
                "configmaps \"b\" is forbidden: unable to create new content in namespace {unique}-other because it is being terminated",
            )
            .with(json!({"details": {"causes": [{
                "reason": "NamespaceTerminating", "field": "metadata.namespace",
                "message": "namespace {unique}-other is being terminated",
            }]}}))
            .until(format!("{OTHER}/configmaps/a"))
            .is(200)
            .with(json!({"metadata": {"deletionTimestamp": any()}}))
            .until(OTHER)
            .is(200)
            .with(json!({"status": {"phase": "Terminating", "conditions": with_item(json!({
                "type": "NamespaceFinalizersRemaining", "status": "True", "reason": "SomeFinalizersRemain",
                "message": "Some content in the namespace has finalizers remaining: x.test/y in 1 resource instances",
            }))}}))
            .with(json!({"status": {"conditions": with_item(json!({
                "type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain",
                "message": "Some resources are remaining: configmaps. has 1 resource instances",
            }))}}))
            .patch(MERGE, format!("{OTHER}/configmaps/a"), json!({"metadata": {"finalizers": null}}))
            .is(200)
            .until(OTHER)
            .is(404),
        case("a namespace with a finalizer of others waits for them")
            .post("/api/v1/namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{unique}-other"}}))
            .is(201)
            .put(format!("{OTHER}/finalize"), json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{unique}-other"},
                "spec": {"finalizers": ["kubernetes", "x.test/y"]},
            }))
            .is(200)
            .with(json!({"spec": {"finalizers": ["kubernetes", "x.test/y"]}}))
            .delete(OTHER)
            .is(200)
            .until(OTHER)
            .is(200)
            .with(json!({"spec": {"finalizers": ["x.test/y"]}, "status": {"phase": "Terminating"}}))
            .put(format!("{OTHER}/finalize"), json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{unique}-other"}, "spec": {"finalizers": []},
            }))
            .is(200)
            .until(OTHER)
            .is(404),
        case("the status of a namespace is patched and updated")
            .patch(MERGE, "{ns}/status", json!({"status": {"conditions": [
                {"type": "StatusPatch", "status": "True", "reason": "Test", "message": "x"},
            ]}}))
            .is(200)
            .with(json!({"status": {"phase": "Active", "conditions": [{"type": "StatusPatch", "reason": "Test"}]}}))
            .put("{ns}/status", json!({"metadata": {"name": "{namespace}"}, "status": {"phase": "Active", "conditions": [
                {"type": "StatusUpdate", "status": "True", "reason": "Test", "message": "x"},
            ]}}))
            .is(200)
            .with(json!({"status": {"conditions": [{"type": "StatusUpdate"}]}}))
            .patch(MERGE, "{ns}", json!({"metadata": {"labels": {"x": "y"}}}))
            .is(200)
            .with(json!({"metadata": {"labels": {"x": "y", "kubernetes.io/metadata.name": "{namespace}"}}})),
        case("the certificate to trust is put right when somebody changes it")
            .until("{ns}/configmaps/kube-root-ca.crt")
            .is(200)
            .keep("ca", "/data/ca.crt")
            .patch(MERGE, "{ns}/configmaps/kube-root-ca.crt", json!({"data": {"ca.crt": "junk"}}))
            .is(200)
            .until("{ns}/configmaps/kube-root-ca.crt")
            .is(200)
            .with(json!({"data": {"ca.crt": "{ca}"}}))
            .delete("{ns}/configmaps/kube-root-ca.crt")
            .is(200)
            .until("{ns}/configmaps/kube-root-ca.crt")
            .is(200)
            .with(json!({"data": {"ca.crt": "{ca}"}})),
        case("namespaces are not deleted as a collection")
            .delete("/api/v1/namespaces")
            .refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
        case("the namespaces that must be there cannot be deleted")
            .delete("/api/v1/namespaces/default")
            .refused(403, "Forbidden", "namespaces \"default\" is forbidden: this namespace may not be deleted")
            .delete("/api/v1/namespaces/kube-system")
            .refused(403, "Forbidden", "namespaces \"kube-system\" is forbidden: this namespace may not be deleted"),
        case("custom objects need their namespace too")
            .define(widgets(json!({"type": "object"})))
            .post("/apis/{group}/v1/namespaces/{unique}-none/widgets", widget("a", json!({})))
            .refused(404, "NotFound", "namespaces \"{unique}-none\" not found")
            .get("/apis/{group}/v1/namespaces/{unique}-none/widgets")
            .is(200)
            .with(json!({"items": []}))
            .post(WIDGETS, widget("a", json!({})))
            .is(201),
        case("a namespace's name is a label")
            .post("/api/v1/namespaces", json!({"metadata": {"name": "a.b"}}))
            .is(422)
            .with(json!({"message": containing("Namespace \"a.b\" is invalid: metadata.name: Invalid value: \"a.b\": must not contain dots")})),
    ]
}
