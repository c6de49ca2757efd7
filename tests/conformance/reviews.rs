//! Reviews: who one is, and what one may do.

use serde_json::json;

use crate::case::{Case, case};
use crate::expect::{any, with_item};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("who one is")
            .post(
                "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}),
            )
            .is(201)
            .with(json!({
                "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1",
                "status": {"userInfo": {"username": any(), "groups": with_item(json!("system:masters"))}},
            }))
            .with(json!({"status": {"userInfo": {"groups": with_item(json!("system:authenticated"))}}})),
        case("whether one may do something")
            .post(
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                json!({
                    "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
                    "spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}},
                }),
            )
            .is(201)
            .with(json!({
                "kind": "SelfSubjectAccessReview", "status": {"allowed": true},
                "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
            }))
            .post(
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                json!({
                    "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
                    "spec": {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}},
                }),
            )
            .is(201)
            .with(json!({"status": {"allowed": true}})),
        case("a review asks for something")
            .post(
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {}}),
            )
            .is(422)
            .with(json!({"reason": "Invalid"})),
        case("what one may do")
            .post(
                "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
                json!({
                    "kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "spec": {"namespace": "default"},
                }),
            )
            .is(201)
            .with(json!({"status": {"resourceRules": with_item(json!({
                "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"],
            }))}}))
            .with(json!({"status": {"nonResourceRules": with_item(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}))}})),
        case("whether a user who may do everything may do something")
            .post(
                "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                json!({
                    "kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
                    "spec": {"user": "x", "groups": ["system:masters"], "resourceAttributes": {"verb": "delete", "resource": "pods"}},
                }),
            )
            .is(201)
            .with(json!({"status": {"allowed": true}})),
        case("reviews are not kept")
            .get("/apis/authentication.k8s.io/v1/selfsubjectreviews")
            .is(405),
    ]
}
