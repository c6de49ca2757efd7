//! The values of secrets are nowhere but where they belong.

use std::fs;

use homeport_tests::{CommandLines, Leak, Webshop, find_in_files, find_in_text};

use crate::migration::{Migration, SMALL, can_deploy};

#[test]
fn no_secret_is_seen_while_a_webshop_moves_and_goes_back() {
    if !can_deploy() {
        return;
    }
    let shop = Webshop::with_cloud(SMALL);
    let secrets = shop.secrets();
    assert_eq!(secrets.len(), 3, "the cloud side has made its secrets");
    let migration = Migration::with_environment(shop, &[("RUST_LOG", "trace"), ("HOMEPORT_LOG", "trace")]);
    let command_lines = CommandLines::watch(secrets.clone());
    migration.apply_all();
    migration.wait_until_ready();
    let (kubectl, name) = (migration.kubectl(), migration.shop.name());
    kubectl.ok(&[
        "patch",
        "cutover",
        name,
        "--type=merge",
        "--patch",
        r#"{"spec":{"desired":"RolledBack"}}"#,
    ]);
    migration.wait_for("the records to be restored", |_| migration.is_ready());

    let mut leaks: Vec<Leak> = command_lines.leaks();
    leaks.extend(find_in_text(
        &secrets,
        "status and events",
        kubectl.everything().as_bytes(),
    ));
    leaks.extend(find_in_files(&secrets, &migration.homeport.state_dir()));
    leaks.extend(find_in_files(&secrets, &migration.homeport.log_file()));
    leaks.extend(find_in_files(
        &secrets,
        &migration.shop.path().join("target/demo/webshop.hprt"),
    ));
    assert_eq!(leaks, []);

    let log = fs::read_to_string(migration.homeport.log_file()).unwrap();
    assert!(
        log.contains("TRACE"),
        "the log was written at trace level: {}",
        migration.homeport.log()
    );
    let values = kubectl.object("secret", &format!("{name}-values")).unwrap();
    assert!(
        values["data"]["DB_PASSWORD"].is_string(),
        "the values are in the Secret, where they belong"
    );
}
