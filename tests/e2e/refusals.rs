//! A wrong spec is refused when it is applied, by a message that says what to mend.

use homeport_tests::{Homeport, Webshop};

use crate::migration::MANIFESTS;

/// The manifest, what is wrong with it (a text, and what it becomes), and what the refusal must say.
const WRONG: [(&str, &str, &str, &str); 9] = [
    (
        "bundle.yaml",
        "    path: target/demo/webshop.hprt",
        "    path: target/demo/webshop.hprt\n    url: https://files.example/webshop.hprt",
        "set exactly one of path, url, s3, oci and upload",
    ),
    (
        "bundle.yaml",
        "    path: target/demo/webshop.hprt",
        "    url: https://files.example/webshop.hprt",
        "url needs sha256",
    ),
    (
        "bundle.yaml",
        "    timeout: 5m",
        "    timeout: five minutes",
        "must be a duration such as 30s, 5m or 1h30m",
    ),
    ("bundle.yaml", "    timeout: 5m", "    timeuot: 5m", "timeuot"),
    (
        "bundle.yaml",
        "    local: {}",
        "    ssh: {}\n    local: {}",
        "spec.target.ssh",
    ),
    (
        "bundle.yaml",
        "  target:\n    local: {}",
        "  target: {}",
        "set exactly one of local and ssh",
    ),
    (
        "secrets.yaml",
        "    - env: {}",
        "    - env: {}\n      manual: {secretRef: {name: x}}",
        "set exactly one of manual, env, file",
    ),
    ("sync.yaml", "  mode: Once", "  mode: Twice", "spec.mode"),
    (
        "cutover.yaml",
        "      ttl: 60",
        "      ttl: 0",
        "spec.changes[0].ttl",
    ),
];

#[test]
fn a_wrong_spec_is_refused_with_what_to_mend() {
    let shop = Webshop::without_cloud();
    let homeport = Homeport::start(shop.path(), &[]);
    let kubectl = homeport.kubectl();
    for (manifest, right, wrong, message) in WRONG {
        shop.edit(manifest, right, wrong);
        let applied = kubectl.run(&["apply", "-f", &shop.manifest(manifest)]);
        assert!(!applied.success, "{wrong:?} is refused: {applied}");
        assert!(
            applied.stderr.contains(message),
            "the refusal of {wrong:?} says {message:?}: {applied}"
        );
        shop.edit(manifest, wrong, right);
    }
    for manifest in MANIFESTS {
        kubectl.ok(&["apply", "--dry-run=server", "-f", &shop.manifest(manifest)]);
    }
    assert_eq!(
        kubectl
            .ok(&["get", "homeport", "--all-namespaces", "--output=name"])
            .trim(),
        "",
        "nothing was kept"
    );
}
