//! `kubectl apply -f examples/webshop/`, and everything that a person then asks kubectl.

use homeport_tests::KINDS;

use crate::migration::{Migration, can_deploy};

#[test]
fn the_webshop_moves_and_kubectl_tells_its_story() {
    if !can_deploy() {
        return;
    }
    let migration = Migration::ready_to_apply();
    let (kubectl, name) = (migration.kubectl(), migration.shop.name().to_owned());
    migration.apply_all();
    migration.wait_until_ready();
    migration.assert_arrived();

    let folder = migration.shop.manifest("");
    // Unlike apply, wait descends into folders unless told not to.
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=60s",
        "--recursive=false",
        "-f",
        &folder,
    ]);

    let listed = kubectl.ok(&["get", "homeport", "--all-namespaces"]);
    for kind in KINDS {
        assert!(
            listed.contains(&format!("{kind}.homeport.dev/{name}")),
            "{kind} is listed:\n{listed}"
        );
    }
    let described = kubectl.ok(&["describe", "hprtbundle", &name]);
    for condition in [
        "Fetched",
        "Verified",
        "SecretsResolved",
        "TargetReachable",
        "Deployed",
        "Healthy",
        "Synced",
        "CutOver",
    ] {
        assert!(
            described.contains(condition),
            "{condition} is described:\n{described}"
        );
        assert!(
            kubectl.holds("hprtbundle", &name, condition),
            "{condition} is True:\n{described}"
        );
    }
    assert!(
        described.contains("Events:") && !described.contains("Events:  <none>"),
        "{described}"
    );
    let explained = kubectl.ok(&["explain", "hprtbundle.spec.target"]);
    assert!(
        explained.contains("The machine where homeport runs"),
        "{explained}"
    );

    // Applying the same again changes nothing.
    let version = |kind| kubectl.object(kind, &name).unwrap()["metadata"]["generation"].clone();
    let generations = KINDS.map(version);
    migration.apply_all();
    assert_eq!(KINDS.map(version), generations);

    // The number of the next order moved with the orders.
    assert_eq!(migration.shop.order(migration.shop.host()), "/orders/16001");

    // Deleting the resources takes nothing away from what runs.
    kubectl.ok(&["delete", "--timeout=60s", "-f", &folder]);
    assert_eq!(
        kubectl
            .ok(&["get", "homeport", "--all-namespaces", "--output=name"])
            .trim(),
        ""
    );
    assert_eq!(
        migration.shop.summary(migration.shop.host()).unwrap().served_from,
        "your own host"
    );
    assert_eq!(migration.shop.resolve(), [migration.shop.host().to_string()]);
}
