//! The way back is one field, and so is the way forth again.

use crate::migration::{Migration, can_deploy};

#[test]
fn rolled_back_the_zone_is_as_it_was() {
    if !can_deploy() {
        return;
    }
    let migration = Migration::ready_to_apply();
    migration.apply_all();
    migration.wait_until_ready();
    let want = |desired: &str| {
        let patch = format!(r#"{{"spec":{{"desired":"{desired}"}}}}"#);
        let name = migration.shop.name();
        migration
            .kubectl()
            .ok(&["patch", "cutover", name, "--type=merge", "--patch", &patch]);
        migration.wait_for(desired, |kubectl| {
            let cutover = kubectl.object("cutover", name).unwrap();
            cutover["status"]["observedGeneration"] == cutover["metadata"]["generation"]
                && migration.holds("cutover", "Ready")
        });
    };

    want("RolledBack");
    migration.assert_records_restored();
    assert!(
        !migration.holds("hprtbundle", "CutOver"),
        "the bundle tells that it is not cut over any more"
    );

    want("CutOver");
    migration.wait_until_ready();
    migration.assert_arrived();
}
