//! The four resources applied one by one, each only when those before it are waiting: in no order does it matter.

use rstest::rstest;

use crate::migration::{Migration, can_deploy};

#[rstest]
#[case::backwards(["cutover.yaml", "sync.yaml", "secrets.yaml", "bundle.yaml"])]
#[case::secrets_last(["bundle.yaml", "cutover.yaml", "sync.yaml", "secrets.yaml"])]
fn the_order_of_applying_does_not_matter(#[case] order: [&str; 4]) {
    if !can_deploy() {
        return;
    }
    let migration = Migration::ready_to_apply();
    for manifest in order {
        migration.apply(manifest);
        let path = migration.shop.manifest(manifest);
        migration.wait_for("what was applied to have been looked at", |kubectl| {
            !kubectl
                .ok(&[
                    "get",
                    "-f",
                    &path,
                    "--output=jsonpath={.status.conditions[*].type}",
                ])
                .is_empty()
        });
    }
    migration.wait_until_ready();
    migration.assert_arrived();
}
