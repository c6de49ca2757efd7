#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::schema::builtin;

const T1: &str = "2026-01-01T00:00:01Z";
const T2: &str = "2026-01-01T00:00:02Z";
const T3: &str = "2026-01-01T00:00:03Z";

fn deployment() -> &'static Structural {
    builtin("apps", "v1", "Deployment").unwrap()
}

fn config_map() -> &'static Structural {
    builtin("", "v1", "ConfigMap").unwrap()
}

fn at(time: &str) -> jiff::Timestamp {
    time.parse().unwrap()
}

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

fn apply(live: Option<&Value>, applied: &Value, manager: &str, time: &str) -> Result<Value, ApplyError> {
    server_side_apply(live, applied, manager, false, config_map(), "", "v1", at(time))
}

fn apply_forced(live: &Value, applied: &Value, manager: &str) -> Value {
    server_side_apply(Some(live), applied, manager, true, config_map(), "", "v1", at(T3)).unwrap()
}

fn update(old: Option<&Value>, mut new: Value, manager: &str, time: &str) -> Value {
    track_update(old, &mut new, manager, "Update", "", "v1", config_map(), at(time));
    new
}

fn managers(object: &Value) -> Value {
    object["metadata"]["managedFields"].clone()
}

/// `fieldsV1` by manager and operation.
fn ownership(object: &Value) -> Value {
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let by_manager = entries.into_iter().map(|entry| {
        let who = format!(
            "{} {}",
            entry["manager"].as_str().unwrap(),
            entry["operation"].as_str().unwrap()
        );
        (who, entry["fieldsV1"].clone())
    });
    Value::Object(by_manager.collect())
}

#[test]
fn creating_records_every_field_but_those_of_the_server() {
    let mut object = map(json!({"k": "v"}));
    object["metadata"]["uid"] = json!("1");
    object["metadata"]["creationTimestamp"] = json!(T1);
    object["metadata"]["labels"] = json!({"app": "x"});
    assert_eq!(
        managers(&update(None, object, "kubectl-create", T1)),
        json!([{
            "manager": "kubectl-create", "operation": "Update", "apiVersion": "v1", "time": T1,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:data": {".": {}, "f:k": {}},
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            },
        }])
    );
}

#[test]
fn updating_moves_what_changed_and_forgets_what_is_gone() {
    let one = update(None, map(json!({"a": "1", "b": "1", "c": "1"})), "one", T1);
    let mut new = one.clone();
    new["data"] = json!({"a": "2", "b": "1"});
    let two = update(Some(&one), new, "two", T2);
    assert_eq!(
        ownership(&two),
        json!({
            "one Update": {"f:data": {".": {}, "f:b": {}}},
            "two Update": {"f:data": {"f:a": {}}},
        })
    );
}

#[test]
fn an_update_that_changes_nothing_leaves_the_entries_alone() {
    let one = update(None, map(json!({"a": "1"})), "one", T1);
    assert_eq!(update(Some(&one), one.clone(), "two", T2), one);
    // Clients that do not know the list send none.
    assert_eq!(update(Some(&one), map(json!({"a": "1"})), "one", T2), one);
}

#[test]
fn the_list_can_be_reset_and_is_kept_where_it_is_nonsense() {
    let one = update(None, map(json!({"a": "1"})), "one", T1);
    let mut reset = one.clone();
    reset["metadata"]["managedFields"] = json!([{}]);
    assert_eq!(managers(&update(Some(&one), reset, "two", T2)), Value::Null);
    let mut nonsense = one.clone();
    nonsense["metadata"]["managedFields"] = json!([{"operation": "Explode"}]);
    assert_eq!(update(Some(&one), nonsense, "two", T2), one);
}

#[test]
fn a_subresource_has_entries_of_its_own() {
    let live = update(None, map(json!({"a": "1"})), "one", T1);
    let mut new = live.clone();
    new["status"] = json!({"ready": true});
    track_update(
        Some(&live),
        &mut new,
        "one",
        "Update",
        "status",
        "v1",
        config_map(),
        at(T2),
    );
    let entries = managers(&new);
    assert_eq!(entries[1]["subresource"], "status");
    assert_eq!(
        entries[1]["fieldsV1"],
        json!({"f:status": {".": {}, "f:ready": {}}})
    );
    assert_eq!(entries[0]["time"], T1);
}

#[test]
fn many_updaters_are_folded() {
    let mut live = update(None, map(json!({})), "m0", T1);
    for i in 1..20 {
        let mut new = live.clone();
        new["data"][format!("k{i}")] = json!("v");
        live = update(
            Some(&live),
            new,
            &format!("m{i}"),
            &format!("2026-01-01T00:01:{i:02}Z"),
        );
    }
    let entries = managers(&live).as_array().unwrap().clone();
    assert_eq!(entries.len(), 10);
    assert!(entries.iter().any(|entry| entry["manager"] == "ancient-changes"));
    let owned = entries
        .iter()
        .filter_map(|entry| entry["fieldsV1"]["f:data"].as_object())
        .flat_map(|f| f.keys());
    assert_eq!(owned.filter(|key| key.as_str() != ".").count(), 19);
}

#[test]
fn applying_creates_and_owns_what_was_said() {
    let object = apply(None, &map(json!({"a": "1"})), "me", T1).unwrap();
    assert_eq!(object["data"], json!({"a": "1"}));
    assert_eq!(
        managers(&object),
        json!([{
            "manager": "me", "operation": "Apply", "apiVersion": "v1", "time": T1, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {}}},
        }])
    );
}

#[test]
fn applying_again_takes_out_what_is_no_longer_said() {
    let one = apply(None, &map(json!({"a": "1", "b": "1"})), "me", T1).unwrap();
    let two = apply(Some(&one), &map(json!({"b": "2"})), "me", T2).unwrap();
    assert_eq!(two["data"], json!({"b": "2"}));
    assert_eq!(two["metadata"]["managedFields"][0]["time"], T2);
    let none = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let three = apply(Some(&two), &none, "me", T3).unwrap();
    assert_eq!(
        three,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    );
}

#[test]
fn what_others_own_too_stays() {
    let one = apply(None, &map(json!({"a": "1", "b": "1"})), "me", T1).unwrap();
    let two = apply(Some(&one), &map(json!({"a": "1"})), "other", T2).unwrap();
    let three = apply(Some(&two), &map(json!({"b": "1"})), "me", T3).unwrap();
    assert_eq!(three["data"], json!({"a": "1", "b": "1"}));
    assert_eq!(
        ownership(&three),
        json!({"me Apply": {"f:data": {"f:b": {}}}, "other Apply": {"f:data": {"f:a": {}}}})
    );
}

#[test]
fn applying_the_same_changes_nothing_not_even_times() {
    let one = apply(None, &map(json!({"a": "1"})), "me", T1).unwrap();
    assert_eq!(apply(Some(&one), &map(json!({"a": "1"})), "me", T2).unwrap(), one);
}

#[rstest]
#[case::update(
    "kubectl-client-side-apply",
    false,
    "conflict with \"kubectl-client-side-apply\" using v1"
)]
#[case::apply("other", true, "conflict with \"other\"")]
fn conflicts_name_the_field_and_its_owner(#[case] owner: &str, #[case] applied: bool, #[case] message: &str) {
    let live = match applied {
        true => apply(None, &map(json!({"a": "1"})), owner, T1).unwrap(),
        false => update(None, map(json!({"a": "1"})), owner, T1),
    };
    let error = apply(Some(&live), &map(json!({"a": "2"})), "me", T2).unwrap_err();
    let conflict = Conflict {
        field: ".data.a".to_owned(),
        message: message.to_owned(),
    };
    assert_eq!(error, ApplyError::Conflicts(vec![conflict]));
    assert_eq!(
        error.to_string(),
        format!("Apply failed with 1 conflict: {message}: .data.a")
    );
    let forced = apply_forced(&live, &map(json!({"a": "2"})), "me");
    assert_eq!(forced["data"], json!({"a": "2"}));
    assert_eq!(ownership(&forced)["me Apply"], json!({"f:data": {"f:a": {}}}));
    assert!(!ownership(&forced).to_string().contains(&format!("{owner} Apply")));
}

#[test]
fn several_conflicts_are_listed_by_owner() {
    let live = update(None, map(json!({"a": "1", "b": "1"})), "x", T1);
    let error = apply(Some(&live), &map(json!({"a": "2", "b": "2"})), "me", T2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"x\" using v1:\n- .data.a\n- .data.b"
    );
}

#[test]
fn the_same_value_is_shared_without_conflict() {
    let live = update(None, map(json!({"a": "1"})), "x", T1);
    let shared = apply(Some(&live), &map(json!({"a": "1"})), "me", T2).unwrap();
    assert_eq!(
        ownership(&shared),
        json!({"x Update": {"f:data": {".": {}, "f:a": {}}}, "me Apply": {"f:data": {"f:a": {}}}})
    );
}

#[test]
fn kubectl_takes_over_from_its_client_side_apply() {
    let last = map(json!({"a": "1"}));
    let mut object = map(json!({"a": "1", "b": "1"}));
    object["metadata"]["annotations"] = json!({LAST_APPLIED: last.to_string()});
    let live = update(None, object, "kubectl-client-side-apply", T1);
    // `a` was applied before, so it may change; `b` was not.
    let next = apply(Some(&live), &map(json!({"a": "2"})), "kubectl", T2).unwrap();
    assert_eq!(next["data"], json!({"a": "2", "b": "1"}));
    let annotation = next["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(annotation).unwrap(),
        map(json!({"a": "2"}))
    );
    let error = apply(Some(&live), &map(json!({"a": "2", "b": "2"})), "kubectl", T2).unwrap_err();
    let ApplyError::Conflicts(conflicts) = error else {
        panic!()
    };
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].field, ".data.b");
    assert!(apply(Some(&live), &map(json!({"a": "2"})), "someone", T2).is_err());
}

#[test]
fn what_nobody_tracked_belongs_to_before_first_apply() {
    let live = map(json!({"a": "1", "b": "1"}));
    let next = apply(Some(&live), &map(json!({"b": "1", "c": "1"})), "me", T1).unwrap();
    assert_eq!(
        ownership(&next),
        json!({
            "before-first-apply Update": {"f:data": {".": {}, "f:a": {}, "f:b": {}}},
            "me Apply": {"f:data": {"f:b": {}, "f:c": {}}},
        })
    );
    assert!(apply(Some(&live), &map(json!({"a": "2"})), "me", T1).is_err());
}

fn pods(containers: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"template": {"spec": {"containers": containers}}},
    })
}

fn apply_pods(live: Option<&Value>, containers: Value, manager: &str) -> Result<Value, ApplyError> {
    server_side_apply(
        live,
        &pods(containers),
        manager,
        false,
        deployment(),
        "",
        "apps/v1",
        at(T1),
    )
}

#[test]
fn lists_that_are_maps_merge_by_key() {
    let one = apply_pods(
        None,
        json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]),
        "me",
    )
    .unwrap();
    let entry = &managers(&one)[0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"];
    let item = json!({".": {}, "f:image": {}, "f:name": {}});
    assert_eq!(
        *entry,
        json!({"k:{\"name\":\"a\"}": item, "k:{\"name\":\"b\"}": item})
    );
    let two = apply_pods(Some(&one), json!([{"name": "side", "image": "s"}]), "sidecar").unwrap();
    let three = apply_pods(Some(&two), json!([{"name": "b", "image": "2"}]), "me").unwrap();
    assert_eq!(
        three["spec"]["template"]["spec"]["containers"],
        json!([{"name": "b", "image": "2"}, {"name": "side", "image": "s"}])
    );
}

#[test]
fn keys_may_come_from_defaults() {
    let ports = |port: Value| json!([{"name": "a", "ports": [port]}]);
    let one = apply_pods(None, ports(json!({"containerPort": 80})), "me").unwrap();
    let text = managers(&one).to_string();
    assert!(
        text.contains(r#"k:{\"containerPort\":80,\"protocol\":\"TCP\"}"#),
        "{text}"
    );
    let two = apply_pods(
        Some(&one),
        ports(json!({"containerPort": 80, "protocol": "TCP", "name": "web"})),
        "me",
    );
    let ports = &two.unwrap()["spec"]["template"]["spec"]["containers"][0]["ports"];
    assert_eq!(ports.as_array().unwrap().len(), 1);
}

#[test]
fn conflicts_name_items_by_key() {
    let one = apply_pods(None, json!([{"name": "a", "image": "1"}]), "x").unwrap();
    let ApplyError::Conflicts(conflicts) =
        apply_pods(Some(&one), json!([{"name": "a", "image": "2"}]), "me").unwrap_err()
    else {
        panic!()
    };
    assert_eq!(
        conflicts[0].field,
        ".spec.template.spec.containers[name=\"a\"].image"
    );
}

#[test]
fn sets_merge_by_value_and_atomic_lists_do_not() {
    let with = |finalizers: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "finalizers": finalizers}});
    let one = apply(None, &with(json!(["x"])), "one", T1).unwrap();
    let two = apply(Some(&one), &with(json!(["y"])), "two", T2).unwrap();
    assert_eq!(two["metadata"]["finalizers"], json!(["x", "y"]));
    let three = apply(Some(&two), &with(json!(["z"])), "two", T3).unwrap();
    assert_eq!(three["metadata"]["finalizers"], json!(["x", "z"]));
    let command = |command: Value| json!([{"name": "a", "command": command}]);
    let one = apply_pods(None, command(json!(["x"])), "one").unwrap();
    assert!(apply_pods(Some(&one), command(json!(["x", "y"])), "two").is_err());
    let next = apply_pods(Some(&one), command(json!(["z"])), "one").unwrap();
    assert_eq!(
        next["spec"]["template"]["spec"]["containers"][0]["command"],
        json!(["z"])
    );
}

#[rstest]
#[case(json!({"metadata": {"name": "a", "managedFields": []}}), "metadata.managedFields must be nil")]
#[case(json!([]), "the applied object must be an object")]
fn what_cannot_be_applied_is_refused(#[case] applied: Value, #[case] message: &str) {
    assert_eq!(
        apply(None, &applied, "me", T1).unwrap_err(),
        ApplyError::Invalid(message.to_owned())
    );
}

/// Messages of a kube-apiserver 1.36.
#[rstest]
#[case(json!({"metadata": {"finalizers": ["x", "x"]}}), ".metadata.finalizers: duplicate entries for key [=\"x\"]")]
#[case(json!({"datum": {}}), ".datum: field not declared in schema")]
#[case(json!({"data": {"a": 1}}), ".data.a: expected string, got int64")]
fn what_does_not_fit_its_schema_is_refused(#[case] applied: Value, #[case] message: &str) {
    assert_eq!(
        apply(None, &applied, "me", T1).unwrap_err(),
        ApplyError::Untyped(vec![message.to_owned()])
    );
}

/// As a kube-apiserver 1.36 does it: only a change has a time.
#[test]
fn a_manager_that_changes_nothing_has_no_time() {
    let live = apply(None, &map(json!({"a": "1"})), "one", T1).unwrap();
    let next = apply(Some(&live), &map(json!({"a": "1"})), "two", T2).unwrap();
    let managers = managers(&next);
    let timeless = managers
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry.get("time").is_none());
    let timeless: Vec<&Value> = timeless.map(|entry| &entry["manager"]).collect();
    assert_eq!(timeless, ["two"]);
}

#[test]
fn applying_status_touches_status_only() {
    let schema = builtin("", "v1", "Namespace").unwrap();
    let apply = |live: Option<&Value>, applied: &Value, subresource: &str| {
        server_side_apply(live, applied, "me", false, schema, subresource, "v1", at(T2)).unwrap()
    };
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    let mut first = namespace.clone();
    first["spec"] = json!({"finalizers": ["a"]});
    let live = apply(None, &first, "");
    let mut applied = namespace;
    applied["metadata"]["labels"] = json!({"x": "y"});
    applied["status"] = json!({"phase": "Active"});
    let next = apply(Some(&live), &applied, "status");
    assert_eq!(next["spec"], first["spec"]);
    assert_eq!(next["metadata"].get("labels"), None);
    assert_eq!(next["status"], json!({"phase": "Active"}));
    assert_eq!(managers(&next)[1]["subresource"], "status");
}

/// As deep as the JSON parser lets objects be.
#[test]
fn deep_objects_are_walked() {
    let schema = Structural::compile(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}))
    .unwrap();
    let nested = |leaf: &str| (0..120).fold(json!(leaf), |inner, _| json!({"a": inner}));
    let object = |leaf: &str| json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "a"}, "spec": nested(leaf)});
    let run = |live: Option<&Value>, leaf: &str| {
        server_side_apply(live, &object(leaf), "me", false, &schema, "", "g/v1", at(T1)).unwrap()
    };
    let one = run(None, "x");
    let two = run(Some(&one), "y");
    assert_eq!(two["spec"], nested("y"));
    let mut three = object("z");
    track_update(
        Some(&two),
        &mut three,
        "other",
        "Update",
        "",
        "g/v1",
        &schema,
        at(T2),
    );
    assert!(ownership(&three).get("other Update").is_some());
}

/// A kind with one list of each sort and a granular map.
fn mixed() -> Structural {
    Structural::compile(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "text": {"type": "string"},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "atomic": {"type": "array", "items": {"type": "string"}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                 "items": {"type": "object", "required": ["name"], "properties": {
                     "name": {"type": "string"}, "value": {"type": "string"}}}},
    }}}}))
    .unwrap()
}

fn mixed_object() -> impl Strategy<Value = Value> {
    let text = || "[a-c]";
    let words = || prop::collection::btree_map(text(), text(), 0..3);
    (
        prop::option::of(text()),
        prop::option::of(words()),
        prop::option::of(words()),
        prop::option::of(prop::collection::vec(text(), 0..3)),
        prop::option::of(prop::collection::btree_set(text(), 0..3)),
        prop::option::of(words()),
    )
        .prop_map(|(text, map, whole, atomic, set, list)| {
            let list = list.map(|list| {
                list.into_iter()
                    .map(|(name, value)| json!({"name": name, "value": value}))
                    .collect::<Vec<_>>()
            });
            let spec =
                json!({"text": text, "map": map, "whole": whole, "atomic": atomic, "set": set, "list": list});
            let spec: Map<String, Value> = spec
                .as_object()
                .unwrap()
                .clone()
                .into_iter()
                .filter(|(_, field)| !field.is_null())
                .collect();
            json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "a"}, "spec": spec})
        })
}

proptest! {
    /// Applying twice is applying once; whoever applies owns what he applied, and it is there.
    #[test]
    fn applying_is_idempotent(first in mixed_object(), second in mixed_object(), third in mixed_object()) {
        let schema = mixed();
        let run = |live: Option<&Value>, applied: &Value, who: &str, time: &str| {
            server_side_apply(live, applied, who, true, &schema, "", "g/v1", at(time)).unwrap()
        };
        let live = run(None, &first, "one", T1);
        let live = run(Some(&live), &second, "two", T1);
        let live = run(Some(&live), &third, "one", T2);
        prop_assert_eq!(&run(Some(&live), &third, "one", T3), &live);
        let node = Some(schema.root());
        let mut bare = live.clone();
        strip(&mut bare);
        let present = typed::with_declared_parents(node, &typed::fields(node, &bare));
        prop_assert!(typed::fields(node, &third).difference(&present).is_empty());
        let merged = typed::merge(node, Some(&bare), &third);
        prop_assert_eq!(merged, bare);
    }

    /// Who replaces an object by update owns exactly the difference, and no owner keeps a field that is gone.
    #[test]
    fn updates_own_the_difference(first in mixed_object(), second in mixed_object()) {
        let schema = mixed();
        let mut old = first;
        track_update(None, &mut old, "one", "Update", "", "g/v1", &schema, at(T1));
        let mut new = second.clone();
        track_update(Some(&old), &mut new, "two", "Update", "", "g/v1", &schema, at(T2));
        let node = Some(schema.root());
        let present = typed::compare(node, Some(&json!({})), Some(&second)).added;
        for entry in Managers::of(&new).unwrap_or_default().0 {
            prop_assert!(entry.fields.difference(&present).is_empty(), "{:?}", entry);
        }
    }

    /// Lists with duplicates or without keys come from clients that no schema held back: they are survived.
    #[test]
    fn odd_lists_are_survived(names in prop::collection::vec("[a-b]?", 0..5), other in prop::collection::vec("[a-b]?", 0..5)) {
        let schema = mixed();
        let object = |names: &[String]| {
            let list: Vec<Value> = names
                .iter()
                .map(|name| if name.is_empty() { json!({"value": "x"}) } else { json!({"name": name}) })
                .collect();
            json!({"metadata": {"name": "a"}, "spec": {"list": list, "set": names}})
        };
        let mut old = object(&names);
        track_update(None, &mut old, "one", "Update", "", "g/v1", &schema, at(T1));
        let mut new = object(&other);
        track_update(Some(&old), &mut new, "two", "Update", "", "g/v1", &schema, at(T2));
        let _ = server_side_apply(Some(&new), &object(&names), "me", true, &schema, "", "g/v1", at(T3));
    }
}
