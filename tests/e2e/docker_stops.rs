//! A target whose Docker is not there: said so, and mended by itself when it is back.

use homeport_tests::{DockerProxy, Webshop};

use crate::migration::{Migration, SMALL, can_deploy};

#[test]
fn a_target_without_docker_recovers_by_itself() {
    if !can_deploy() {
        return;
    }
    let shop = Webshop::with_cloud(SMALL);
    let socket = shop.path().join("docker.sock");
    let target = format!(
        "local:\n      dockerHost: unix://{}\n  interval: 5s",
        socket.display()
    );
    shop.edit("bundle.yaml", "local: {}", &target);
    let migration = Migration::of(shop);
    let unreachable = || {
        let condition = migration
            .kubectl()
            .condition("hprtbundle", migration.shop.name(), "TargetReachable");
        condition.is_some_and(|(status, message)| status == "False" && message.contains("docker.sock"))
    };

    migration.apply_all();
    migration.wait_for("the target to be seen as unreachable", |_| unreachable());
    assert!(
        !migration.holds("hprtbundle", "Stalled"),
        "waiting for Docker is not the end"
    );

    let mut docker = DockerProxy::open_at(&socket);
    migration.wait_until_ready();
    migration.assert_arrived();

    docker.shut();
    migration.wait_for("the loss of Docker to be seen", |_| {
        unreachable() && !migration.holds("hprtbundle", "Ready")
    });
    docker.open();
    migration.wait_until_ready();
    migration.assert_arrived();
}
