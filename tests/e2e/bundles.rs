//! Bundles that must not be deployed: damaged ones, other ones than asked for, and ones that hold a secret.

use std::fs;
use std::process::Command;

use homeport_tests::{Homeport, Webshop, find_in_files, find_in_text, homeport_binary, run, until};

#[test]
fn another_bundle_than_asked_for_is_refused() {
    let shop = Webshop::without_cloud();
    shop.pack();
    let digest = "0a".repeat(32);
    let source = "path: target/demo/webshop.hprt";
    shop.edit("bundle.yaml", source, &format!("{source}\n    sha256: {digest}"));
    let message = refused(&shop, "Fetched");
    assert!(message.contains(&digest), "it says what was expected: {message}");
}

#[test]
fn a_damaged_bundle_is_refused() {
    let shop = Webshop::without_cloud();
    let bundle = shop.pack();
    let mut bytes = fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&bundle, bytes).unwrap();
    let message = refused(&shop, "Verified");
    assert!(message.contains("damaged"), "it says what is wrong: {message}");
}

/// Applies the bundle, waits until it is Stalled, and returns the message of the condition that failed.
fn refused(shop: &Webshop, condition: &str) -> String {
    let homeport = Homeport::start(shop.path(), &[]);
    let kubectl = homeport.kubectl();
    kubectl.ok(&["apply", "-f", &shop.manifest("bundle.yaml")]);
    until(
        "the bundle to be stalled",
        || kubectl.holds("hprtbundle", shop.name(), "Stalled").then_some(()),
        || format!("{}\n{}", kubectl.everything(), homeport.log()),
    );
    assert!(!kubectl.holds("hprtbundle", shop.name(), "Ready"));
    let (status, message) = kubectl.condition("hprtbundle", shop.name(), condition).unwrap();
    assert_eq!(status, "False", "{condition}: {message}");
    message
}

/// What the compose file of the example asks for, and what somebody may write in its place.
const REFERENCE: &str = "${DB_PASSWORD:?is not set}";
const PASSWORD: &str = "Kx9vPq47LmWt2Zr8";
/// Where it is.
const PLACE: &str = "compose/web.yml:14";

#[test]
fn a_password_in_a_compose_file_is_not_packed_and_not_shown() {
    let shop = Webshop::without_cloud();
    shop.edit("bundle/compose/web.yml", REFERENCE, PASSWORD);
    let out = shop.path().join("refused.hprt");
    let packed = run(Command::new(homeport_binary())
        .args(["bundle", "pack"])
        .arg(shop.file("bundle"))
        .arg("-o")
        .arg(&out));
    assert!(!packed.success, "{packed}");
    assert!(packed.stderr.contains(PLACE), "it names file and line: {packed}");
    assert!(
        !packed.output().contains(PASSWORD),
        "it does not show the value: {packed}"
    );
    assert!(!out.exists(), "nothing was written");
}

/// A bundle made by a program that does not look for secrets.
#[test]
fn a_bundle_that_holds_a_password_is_not_deployed_and_the_password_not_shown() {
    let shop = Webshop::without_cloud();
    shop.edit("bundle/compose/web.yml", REFERENCE, PASSWORD);
    let bundle = shop.path().join("target/demo/webshop.hprt");
    fs::create_dir_all(bundle.parent().unwrap()).unwrap();
    homeport_bundle::pack(
        &shop.file("bundle"),
        &bundle,
        &homeport_bundle::PackOptions::default(),
    )
    .unwrap();

    let verified = run(Command::new(homeport_binary())
        .args(["bundle", "verify"])
        .arg(&bundle));
    assert!(!verified.success && verified.stderr.contains(PLACE), "{verified}");
    let message = refused(&shop, "Verified");
    assert!(message.contains(PLACE), "it names file and line: {message}");
    let secret = [("PASSWORD".to_owned(), PASSWORD.to_owned())];
    assert_eq!(find_in_text(&secret, "the message", message.as_bytes()), []);
    assert_eq!(
        find_in_files(&secret, &shop.path().join("state")),
        [],
        "nothing was unpacked"
    );
    assert_eq!(find_in_files(&secret, &shop.path().join("homeport.log")), []);
}
