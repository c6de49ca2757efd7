//! SecretBinding on the in-process API: the order of sources, and what the Secret holds whatever becomes of them.

use std::collections::BTreeMap;

use homeport_bundle::Bundle;
use homeport_controllers::bundle::documents::{self, Documents};
use homeport_crds::conditions::{READY, SECRETS_RESOLVED, STALLED};
use homeport_crds::{HprtBundle, SecretBinding};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::support::{BINDING, VALUES, World, condition, eventually, message, ready, until};

/// A world in which a bundle has been verified that names these secrets.
async fn world_with(references: Value) -> World {
    let world = World::start().await;
    // Suspended, so that only its documents matter.
    world.create_bundle(json!({ "suspend": true })).await;
    let bundle: HprtBundle = world.api().get(&world.name).await.unwrap();
    let documents = Documents {
        digest: "ab".repeat(32),
        bundle: Bundle {
            secrets: Some(serde_json::from_value(json!({ "secrets": references })).unwrap()),
            ..Bundle::default()
        },
    };
    documents::publish(&world.client, &bundle, &documents)
        .await
        .unwrap();
    world
}

/// A world in which a bundle names these required secrets, which a person is to give.
async fn world_with_names(names: &[&str]) -> World {
    let references: Vec<Value> = names
        .iter()
        .map(|name| json!({ "name": name, "source": "manual" }))
        .collect();
    world_with(references.into()).await
}

fn manual(secret: &str) -> Value {
    json!({ "manual": { "secretRef": { "name": secret } } })
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The secrets with a value, and where each came from.
fn origins(binding: &SecretBinding) -> Vec<(&str, &str)> {
    let secrets = &binding.status.as_ref().unwrap().secrets;
    let resolved = secrets.iter().filter(|secret| secret.resolved);
    resolved
        .map(|secret| (secret.name.as_str(), secret.source.as_deref().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_asked_in_their_order_each_for_its_names() {
    let world = world_with(json!([
        { "name": "FIRST", "source": "manual" },
        { "name": "SECOND", "source": "manual" },
        { "name": "THIRD", "source": "kubernetes", "key": "third-key" },
        { "name": "TH", "source": "env" },
        { "name": "OPTIONAL", "source": "manual", "required": false },
    ]))
    .await;
    world
        .put_secret(
            "theirs",
            json!({ "FIRST": "kubernetes", "SECOND": "kubernetes", "third-key": "kubernetes" }),
        )
        .await;
    world.write_secrets("FIRST=file\nSECOND=file\n");
    world
        .put_secret(
            "given",
            json!({ "SECOND": "manual", "EXTRA": "manual", "NOBODY": "asks" }),
        )
        .await;
    let sources = json!([
        { "kubernetes": { "name": "theirs" }, "only": ["FIRST", "THIRD"] },
        { "file": { "path": "secrets.env" } },
        manual("given"),
        // With this prefix, TH is the one variable that each process has.
        { "env": { "prefix": "PA" } },
    ]);
    world
        .create_binding(json!({ "sources": sources, "extra": [{ "name": "EXTRA" }] }))
        .await;
    let binding = world.until_binding_is("True", "Resolved").await;
    assert_eq!(
        origins(&binding),
        [
            ("EXTRA", "manual"),
            ("FIRST", "kubernetes"),
            ("SECOND", "file"),
            ("TH", "env"),
            ("THIRD", "kubernetes")
        ]
    );
    let path = std::env::var("PATH").unwrap();
    let expected = [
        ("EXTRA", "manual"),
        ("FIRST", "kubernetes"),
        ("SECOND", "file"),
        ("TH", path.as_str()),
        ("THIRD", "kubernetes"),
    ];
    assert_eq!(world.secret(VALUES).await, Some(values(&expected)));
    let status = binding.status.as_ref().unwrap();
    assert_eq!(status.resolved.as_deref(), Some("5/6"));
    assert_eq!(status.secret_name.as_deref(), Some(VALUES));
    assert_eq!(status.observed_generation, binding.metadata.generation.unwrap());
    assert!(!serde_json::to_string(status).unwrap().contains(&path));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_takes_no_value_and_passes_no_turn() {
    let world = world_with_names(&["PASSWORD", "TOKEN"]).await;
    world
        .put_secret("given", json!({ "PASSWORD": "manual", "TOKEN": "manual" }))
        .await;
    world.write_secrets("PASSWORD=file\nTOKEN=file\n");
    let sources = json!([manual("given"), { "file": { "path": "secrets.env" } }]);
    world.create_binding(json!({ "sources": sources })).await;
    world.until_binding_is("True", "Resolved").await;
    let resolved = values(&[("PASSWORD", "manual"), ("TOKEN", "manual")]);
    assert_eq!(world.secret(VALUES).await, Some(resolved.clone()));

    world.delete::<Secret>("given").await;
    let binding = world.until_binding_is("False", "Partial").await;
    let said = message(&binding, READY);
    assert!(
        said.contains("PASSWORD") && said.contains("Secret given does not exist"),
        "{said}"
    );
    assert_eq!(condition(&binding, SECRETS_RESOLVED), Some(("False", "Partial")));
    assert_eq!(world.secret(VALUES).await, Some(resolved));

    // Given anew, it counts at once.
    world
        .put_secret("given", json!({ "PASSWORD": "new", "TOKEN": "new" }))
        .await;
    world.until_binding_is("True", "Resolved").await;
    let renewed = values(&[("PASSWORD", "new"), ("TOKEN", "new")]);
    assert_eq!(world.secret(VALUES).await, Some(renewed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_never_there_passes_no_turn_either() {
    let world = world_with_names(&["PASSWORD"]).await;
    world.write_secrets("PASSWORD=file\n");
    let sources = json!([manual("given"), { "file": { "path": "secrets.env" } }]);
    world.create_binding(json!({ "sources": sources })).await;
    let binding = world.until_binding_is("False", "SourceUnreadable").await;
    assert!(
        message(&binding, READY).contains("Secret given does not exist"),
        "{}",
        message(&binding, READY)
    );
    assert_eq!(world.secret(VALUES).await, None);
    world.put_secret("given", json!({ "PASSWORD": "manual" })).await;
    world.until_binding_is("True", "Resolved").await;
    assert_eq!(
        world.secret(VALUES).await,
        Some(values(&[("PASSWORD", "manual")]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_and_the_rest_is_written() {
    let world = world_with_names(&["FOUND", "LACKING"]).await;
    world.put_secret("given", json!({ "FOUND": "1" })).await;
    world
        .create_binding(json!({ "sources": [manual("given")] }))
        .await;
    let binding = world.until_binding_is("False", "Partial").await;
    let said = message(&binding, READY);
    assert!(
        said.contains("LACKING (not found in manual)") && !said.contains("FOUND ("),
        "{said}"
    );
    assert_eq!(binding.status.as_ref().unwrap().resolved.as_deref(), Some("1/2"));
    assert_eq!(origins(&binding), [("FOUND", "manual")]);
    assert_eq!(world.secret(VALUES).await, Some(values(&[("FOUND", "1")])));
    assert_ne!(
        binding.status.as_ref().unwrap().observed_generation,
        binding.metadata.generation.unwrap()
    );

    world
        .put_secret("given", json!({ "FOUND": "1", "LACKING": "2" }))
        .await;
    world.until_binding_is("True", "Resolved").await;
    assert_eq!(
        world.secret(VALUES).await,
        Some(values(&[("FOUND", "1"), ("LACKING", "2")]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_others_is_left_alone() {
    let world = world_with_names(&["PASSWORD"]).await;
    world.write_secrets("PASSWORD=file\n");
    world.put_secret(VALUES, json!({ "THEIRS": "1" })).await;
    world.create_binding(json!({})).await;
    let is_stalled = |binding: &SecretBinding| {
        ready(binding) == Some(("False", "SecretNotOurs"))
            && condition(binding, STALLED) == Some(("True", "SecretNotOurs"))
    };
    let binding = until(world.api(), BINDING, "SecretNotOurs", is_stalled).await;
    assert!(
        message(&binding, READY).contains("spec.target"),
        "{}",
        message(&binding, READY)
    );
    assert_eq!(binding.status.unwrap().secret_name, None);
    assert_eq!(world.secret(VALUES).await, Some(values(&[("THEIRS", "1")])));

    // Nor is it deleted with the binding that could not have it.
    world
        .patch_binding(json!({ "spec": { "deletionPolicy": "Delete" } }))
        .await;
    world.delete::<SecretBinding>(BINDING).await;
    assert_eq!(world.secret(VALUES).await, Some(values(&[("THEIRS", "1")])));

    world.create_binding(json!({})).await;
    until(world.api(), BINDING, "SecretNotOurs", is_stalled).await;
    world.delete::<Secret>(VALUES).await;
    world.until_binding_is("True", "Resolved").await;
    assert_eq!(world.secret(VALUES).await, Some(values(&[("PASSWORD", "file")])));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_target_moves_the_values() {
    let world = world_with_names(&["PASSWORD"]).await;
    world.write_secrets("PASSWORD=file\n");
    world.create_binding(json!({})).await;
    world.until_binding_is("True", "Resolved").await;
    world
        .patch_binding(json!({ "spec": { "target": { "name": "moved" } } }))
        .await;
    let binding = world.until_binding_is("True", "Resolved").await;
    assert_eq!(binding.status.unwrap().secret_name.as_deref(), Some("moved"));
    assert_eq!(world.secret("moved").await, Some(values(&[("PASSWORD", "file")])));
    assert_eq!(world.secret(VALUES).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_values_stay_or_go_with_the_binding_as_its_policy_says() {
    let world = world_with_names(&["PASSWORD"]).await;
    world.write_secrets("PASSWORD=file\n");
    world.create_binding(json!({})).await;
    world.until_binding_is("True", "Resolved").await;
    world.delete::<SecretBinding>(BINDING).await;
    assert_eq!(world.secret(VALUES).await, Some(values(&[("PASSWORD", "file")])));

    world.create_binding(json!({ "deletionPolicy": "Delete" })).await;
    world.until_binding_is("True", "Resolved").await;
    world.delete::<SecretBinding>(BINDING).await;
    assert_eq!(world.secret(VALUES).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_written_secret_that_is_changed_or_removed_by_hand_is_written_again() {
    let world = world_with_names(&["PASSWORD"]).await;
    world.write_secrets("PASSWORD=file\n");
    world.create_binding(json!({})).await;
    world.until_binding_is("True", "Resolved").await;
    let written = Some(values(&[("PASSWORD", "file")]));
    world.put_secret(VALUES, json!({ "PASSWORD": "by hand" })).await;
    eventually("the value is the source's", async || {
        world.secret(VALUES).await == written
    })
    .await;
    world.delete::<Secret>(VALUES).await;
    eventually("the Secret is there", async || {
        world.secret(VALUES).await == written
    })
    .await;
}
