//! What a Kubernetes API server does, as requests and their answers: one file a behaviour.
//!
//! The same cases are put to `homeport up` and, where it has been built, to a kube-apiserver: what both pass is
//! what clients may rely on. `CONFORMANCE_KUBECONFIG` names another server to put them to instead; they make namespaces and
//! definitions of their own there, and remove them. `CONFORMANCE_ONLY=watch` runs the behaviours alone that have that in
//! their names, or the cases that have it in theirs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod case;
mod expect;
mod objects;
mod run;

mod apply;
mod chunks;
mod create;
mod custom_objects;
mod definitions;
mod deletion;
mod discovery;
mod dry_run;
mod events;
mod field_validation;
mod garbage;
mod lifecycles;
mod managed_fields;
mod names;
mod namespaces;
mod patches;
mod resource_versions;
mod reviews;
mod rules;
mod secrets;
mod selectors;
mod subresources;
mod tables;
mod updates;
mod versions;
mod watch;

use std::path::Path;

use case::Case;
use homeport_tests::{Homeport, KubeApiserver, kube_apiserver_missing};
use run::Server;

/// Each behaviour with its cases.
fn behaviours() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("apply", apply::cases()),
        ("chunks", chunks::cases()),
        ("create", create::cases()),
        ("custom objects", custom_objects::cases()),
        ("definitions", definitions::cases()),
        ("deletion", deletion::cases()),
        ("discovery", discovery::cases()),
        ("dry run", dry_run::cases()),
        ("events", events::cases()),
        ("field validation", field_validation::cases()),
        ("garbage", garbage::cases()),
        ("lifecycles", lifecycles::cases()),
        ("managed fields", managed_fields::cases()),
        ("names", names::cases()),
        ("namespaces", namespaces::cases()),
        ("patches", patches::cases()),
        ("resource versions", resource_versions::cases()),
        ("reviews", reviews::cases()),
        ("rules", rules::cases()),
        ("secrets", secrets::cases()),
        ("selectors", selectors::cases()),
        ("subresources", subresources::cases()),
        ("tables", tables::cases()),
        ("updates", updates::cases()),
        ("versions", versions::cases()),
        ("watch", watch::cases()),
    ]
}

#[test]
fn homeport() {
    if named_server().is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let homeport = Homeport::start(directory.path(), &[]);
    put_cases_to("homeport", &homeport.state_dir().join("kubeconfig"), false);
}

#[test]
fn kube_apiserver() {
    if named_server().is_some() {
        return;
    }
    if let Some(reason) = kube_apiserver_missing() {
        println!("skipped: {reason}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let server = KubeApiserver::start(directory.path());
    put_cases_to("kube-apiserver", &server.kubeconfig(), false);
}

#[test]
fn server_named_by_the_environment() {
    match named_server() {
        Some(kubeconfig) => put_cases_to("CONFORMANCE_KUBECONFIG", Path::new(&kubeconfig), true),
        None => println!("skipped: CONFORMANCE_KUBECONFIG names no server"),
    }
}

fn named_server() -> Option<std::ffi::OsString> {
    std::env::var_os("CONFORMANCE_KUBECONFIG").filter(|path| !path.is_empty())
}

fn put_cases_to(name: &'static str, kubeconfig: &Path, lasting: bool) {
    // Fails if it is done already, by the test beside this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let only = std::env::var("CONFORMANCE_ONLY").unwrap_or_default();
    let cases = behaviours()
        .into_iter()
        .flat_map(|(behaviour, cases)| cases.into_iter().map(move |case| (behaviour, case)))
        .filter(|(behaviour, case)| behaviour.contains(&only) || case.name.contains(&only))
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let server = Server::new(name, kubeconfig, lasting).await;
        server.conforms(cases).await;
    });
}
