//! A deployment whose process is killed is taken up by the next, and ends as if nothing had been.

use std::path::PathBuf;
use std::time::Duration;

use homeport_deploy::{Deployment, Release, summary};
use rstest::rstest;

use crate::deploying::{DATABASE, WEB};
use crate::support::{Place, hook, image};

/// Says to the test below where to deploy what; unset, it does nothing.
const CHILD: &str = "HOMEPORT_TEST_KILLED";

/// Deploys, in a process of its own, until it is killed.
#[tokio::test]
async fn child() {
    let Some(orders) = std::env::var(CHILD).ok() else {
        return;
    };
    let [root, name, digest] = orders.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{orders}")
    };
    let place = Place::of_another(PathBuf::from(root), name);
    let release = Release::open(&place.host, &place.layout, 1, digest.parse().unwrap())
        .await
        .unwrap();
    place.deploy(&release).await.unwrap();
}

#[rstest]
#[case::before_anything("lock")]
#[case::in_the_hook("hook-runs")]
#[case::after_the_hook("hooks/RELEASE/pre-deploy")]
#[case::while_compose_works("locks/database")]
#[case::between_stacks("locks/web")]
#[case::at_the_end("hooks/RELEASE/post-deploy")]
#[tokio::test]
async fn a_killed_deployment_is_taken_up(#[case] instant: &str) {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let files = [
        ("configs/web.conf", ""),
        ("scripts/pre-deploy.sh", &hook("pre")),
        ("scripts/post-deploy.sh", &hook("post")),
    ];
    let stacks = [("database", "", DATABASE), ("web", "database", WEB)];
    let release = place.release(1, &stacks, &files).await;

    let orders = format!("{} {} {}", place.root().display(), place.name(), release.digest());
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child"])
        .env(CHILD, orders)
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let sign = place
        .layout
        .directory()
        .join(instant.replace("RELEASE", &release.name()));
    while !sign.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {instant}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().await.unwrap();

    let report = place.deploy(&release).await.unwrap();
    assert_eq!(summary(&report.states), "2/2");
    assert_eq!(
        (place.containers("database").len(), place.containers("web").len()),
        (1, 2)
    );
    let deployment = Deployment::load(&place.host, &place.layout).await.unwrap();
    assert_eq!((deployment.current, deployment.under_way), (Some(1), None));
    // A hook that was killed in its middle runs again; one that had ended does not.
    let runs = place.hook_runs();
    let pre = runs.matches("pre").count();
    assert!(pre == 1 || (pre == 2 && instant == "hook-runs"), "{runs}");
    assert_eq!(runs.matches("post").count(), 1, "{runs}");
    assert!(!place.deploy(&release).await.unwrap().changed);
    assert!(!place.layout.directory().join("lock").exists());
}
