//! Roles and what binds them.

use serde_json::{Value, json};

use super::{Errors, list, text};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn role(errors: &mut Errors, role: &Value, namespaced: bool) {
    for (index, rule) in list(&role["rules"]).iter().enumerate() {
        let at = |field: &str| format!("rules[{index}].{field}");
        if list(&rule["verbs"]).is_empty() {
            errors.required(at("verbs"), "verbs must contain at least one value");
        }
        let urls = &rule["nonResourceURLs"];
        if !list(urls).is_empty() {
            if namespaced {
                let why = "namespaced rules cannot apply to non-resource URLs";
                errors.invalid(at("nonResourceURLs"), urls, why);
            }
            let names_resources = ["apiGroups", "resources", "resourceNames"]
                .iter()
                .any(|field| !list(&rule[*field]).is_empty());
            if names_resources {
                let why = "rules cannot apply to both regular resources and non-resource URLs";
                errors.invalid(at("nonResourceURLs"), urls, why);
            }
            continue;
        }
        if list(&rule["apiGroups"]).is_empty() {
            errors.required(
                at("apiGroups"),
                "resource rules must supply at least one api group",
            );
        }
        if list(&rule["resources"]).is_empty() {
            errors.required(
                at("resources"),
                "resource rules must supply at least one resource",
            );
        }
    }
}

pub(super) fn binding(errors: &mut Errors, binding: &Value, old: Option<&Value>, namespaced: bool) {
    let role = &binding["roleRef"];
    if old.is_some_and(|old| old["roleRef"] != *role) {
        let new = json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
        errors.invalid("roleRef", &new, "cannot change roleRef");
    }
    if text(&role["apiGroup"]) != GROUP {
        errors.not_supported("roleRef.apiGroup", &role["apiGroup"], &[GROUP]);
    }
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    if !kinds.contains(&text(&role["kind"])) {
        errors.not_supported("roleRef.kind", &role["kind"], kinds);
    }
    if text(&role["name"]).is_empty() {
        errors.required("roleRef.name", "");
    }
    for (index, subject) in list(&binding["subjects"]).iter().enumerate() {
        check_subject(errors, subject, &format!("subjects[{index}]"), namespaced);
    }
}

fn check_subject(errors: &mut Errors, subject: &Value, at: &str, namespaced: bool) {
    if text(&subject["name"]).is_empty() {
        errors.required(format!("{at}.name"), "");
    }
    match text(&subject["kind"]) {
        "ServiceAccount" => {
            if !text(&subject["name"]).is_empty() {
                errors.subdomain(format!("{at}.name"), &subject["name"]);
            }
            if !text(&subject["apiGroup"]).is_empty() {
                errors.not_supported(format!("{at}.apiGroup"), &subject["apiGroup"], &[""]);
            }
            if !namespaced && text(&subject["namespace"]).is_empty() {
                errors.required(format!("{at}.namespace"), "");
            }
        }
        "User" | "Group" => {
            if text(&subject["apiGroup"]) != GROUP {
                errors.not_supported(format!("{at}.apiGroup"), &subject["apiGroup"], &[GROUP]);
            }
        }
        _ => {
            let kinds = ["ServiceAccount", "User", "Group"];
            errors.not_supported(format!("{at}.kind"), &subject["kind"], &kinds);
        }
    }
}
