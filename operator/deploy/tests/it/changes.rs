//! From one release to the next, back, and to nothing.

use std::os::unix::fs::PermissionsExt;

use homeport_deploy::{Change, Deployment, Host, LocalHost, Release, Removal, plan, remove, summary};

use crate::deploying::{DATABASE, WEB};
use crate::support::{PASSWORD, Place, docker, image, search_path};

#[tokio::test]
async fn an_update_touches_what_has_changed_and_can_be_taken_back() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let stacks = [("database", "", DATABASE), ("web", "database", WEB)];
    let first = place.release(1, &stacks, &[("configs/web.conf", "one")]).await;
    let second = place.release(2, &stacks, &[("configs/web.conf", "two")]).await;
    place.deploy(&first).await.unwrap();
    let (database, web) = (place.containers("database"), place.containers("web"));

    let report = place.deploy(&second).await.unwrap();
    assert_eq!(place.containers("database"), database);
    assert_ne!(place.containers("web"), web);
    let snapshot = report.snapshot.unwrap();
    assert_eq!(
        (snapshot.revision, snapshot.before, snapshot.running()),
        (Some(1), 2, 2)
    );
    let config = &snapshot.stacks["database"].config;
    assert_eq!(
        config["services"]["db"]["environment"]["PASSWORD"],
        "${PASSWORD:?is not set}"
    );

    let back = Release::kept(&place.host, &place.layout, 1).await.unwrap();
    let report = place.deploy(&back).await.unwrap();
    assert_eq!(summary(&report.states), "2/2");
    assert_eq!(place.containers("database"), database);
    let deployment = Deployment::load(&place.host, &place.layout).await.unwrap();
    assert_eq!(deployment.current, Some(1));
    assert_eq!(deployment.revision_for(second.digest()), 2);
    let audit = std::fs::read_to_string(place.layout.directory().join("audit.log")).unwrap();
    assert_eq!(audit.lines().count(), 3);
}

/// Versions of Compose differ in whether `config --no-interpolate` puts values in the place of bare names, so one that
/// does stands in here.
#[tokio::test]
async fn snapshots_hold_no_values_even_if_compose_resolves_bare_names() {
    if image().is_none() {
        return;
    }
    let mut place = Place::new();
    let bin = tempfile::tempdir().unwrap();
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in\n*' --no-interpolate '*)\n  \
         printf '{{\"services\":{{\"db\":{{\"environment\":{{\"PASSWORD\":\"%s\"}}}}}}}}' \"$PASSWORD\" ;;\n\
         *) export PATH='{}'; exec \"${{0##*/}}\" \"$@\" ;;\nesac\n",
        search_path().display()
    );
    for program in ["docker", "docker-compose"] {
        let path = bin.path().join(program);
        std::fs::write(&path, &script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = std::env::split_paths(&search_path()).collect::<Vec<_>>();
    let path = std::env::join_paths([bin.path().to_owned()].into_iter().chain(path)).unwrap();
    place.host = LocalHost::new(None).variable("PATH", path);

    let bare = DATABASE.replace("PASSWORD: ${PASSWORD:?is not set}", "- PASSWORD");
    let first = place.release(1, &[("database", "", &bare)], &[]).await;
    let second = place.release(2, &[("database", "", &bare)], &[]).await;
    place.deploy(&first).await.unwrap();
    place.deploy(&second).await.unwrap();

    let mut snapshots = String::new();
    for entry in std::fs::read_dir(place.layout.directory().join("snapshots")).unwrap() {
        snapshots += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    assert!(snapshots.contains(r#""PASSWORD""#), "{snapshots}");
    assert!(!snapshots.contains(PASSWORD), "{snapshots}");
}

#[tokio::test]
async fn a_rollback_runs_the_images_that_ran() {
    let Some(image) = image() else { return };
    let mut place = Place::new();
    let tag = format!("homeport-test/{}:1", place.name());
    docker(&["tag", image, &tag]);
    let compose = WEB.replace("IMAGE", &tag);
    let first = place
        .release(1, &[("web", "", &compose)], &[("configs/web.conf", "one")])
        .await;
    let second = place
        .release(2, &[("web", "", &compose)], &[("configs/web.conf", "two")])
        .await;
    place.deploy(&first).await.unwrap();
    let image_of = |place: &Place| {
        let containers = place.containers("web");
        let ids: Vec<String> = containers
            .iter()
            .map(|c| c.split(' ').next().unwrap().to_owned())
            .collect();
        docker(&["inspect", "--format", "{{.Image}}", &ids[0]])
    };
    let old = image_of(&place);

    // The same name, another image.
    let scratch = docker(&["create", image, "true"]);
    docker(&["commit", "--message", &place.name(), &scratch, &tag]);
    docker(&["rm", &scratch]);
    place.deploy(&second).await.unwrap();
    let new = image_of(&place);
    assert_ne!(new, old);

    place.options.pin_images = true;
    place.deploy(&first).await.unwrap();
    assert_eq!(image_of(&place), old);
    assert!(!place.deploy(&first).await.unwrap().changed);
    remove(&place.host, &place.layout, Removal::Delete, "test")
        .await
        .unwrap();
    docker(&["rmi", &tag, &new]);
}

#[tokio::test]
async fn pruning_removes_what_the_bundle_has_no_more_but_no_volume() {
    if image().is_none() {
        return;
    }
    let mut place = Place::new();
    let first = place
        .release(
            1,
            &[("database", "", DATABASE), ("web", "", WEB)],
            &[("configs/web.conf", "")],
        )
        .await;
    let only_web = WEB.split("  migrate:").next().unwrap();
    let second = place
        .release(2, &[("web", "", only_web)], &[("configs/web.conf", "")])
        .await;
    place.deploy(&first).await.unwrap();

    place.deploy(&second).await.unwrap();
    assert_eq!(
        place.containers("database").len(),
        1,
        "nothing is removed unasked"
    );
    assert_eq!(place.containers("web").len(), 2);

    place.options.prune = true;
    let planned = plan(&place.host, &second, &place.options, &place.secrets)
        .await
        .unwrap();
    assert_eq!(planned.last().unwrap().change, Change::Remove);
    place.deploy(&second).await.unwrap();
    assert!(place.containers("database").is_empty());
    assert_eq!(place.containers("web").len(), 1);
    let volume = format!("{}_data", place.layout.project("database"));
    assert_eq!(
        docker(&["volume", "ls", "--quiet", "--filter", &format!("name={volume}")]),
        volume
    );
    assert!(!place.deploy(&second).await.unwrap().changed);
}

#[tokio::test]
async fn removing_keeps_all_or_nothing() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let release = place.release(1, &[("database", "", DATABASE)], &[]).await;
    place.deploy(&release).await.unwrap();
    let before = place.containers("database");

    remove(&place.host, &place.layout, Removal::Retain, "test")
        .await
        .unwrap();
    assert_eq!(place.containers("database"), before);
    assert!(release.directory().exists());

    remove(&place.host, &place.layout, Removal::Delete, "test")
        .await
        .unwrap();
    assert!(place.containers("database").is_empty());
    let project = place.layout.project("database");
    assert_eq!(
        docker(&["volume", "ls", "--quiet", "--filter", &format!("name={project}")]),
        ""
    );
    assert_eq!(
        docker(&["network", "ls", "--quiet", "--filter", &format!("name={project}")]),
        ""
    );
    assert!(!place.layout.directory().exists());
    remove(&place.host, &place.layout, Removal::Delete, "test")
        .await
        .unwrap();
}

#[tokio::test]
async fn old_releases_go() {
    if image().is_none() {
        return;
    }
    let mut place = Place::new();
    place.options.history_limit = 1;
    for revision in 1..=3 {
        let conf = revision.to_string();
        let release = place
            .release(revision, &[("web", "", WEB)], &[("configs/web.conf", &conf)])
            .await;
        place.deploy(&release).await.unwrap();
    }
    let deployment = Deployment::load(&place.host, &place.layout).await.unwrap();
    assert_eq!(deployment.releases.keys().copied().collect::<Vec<_>>(), [2, 3]);
    assert_eq!(
        std::fs::read_dir(place.layout.directory().join("releases"))
            .unwrap()
            .count(),
        2
    );
    assert_eq!(
        std::fs::read_dir(place.layout.directory().join("snapshots"))
            .unwrap()
            .count(),
        1
    );
    let error = Release::kept(&place.host, &place.layout, 1)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("it keeps: 2, 3"), "{error}");
}

#[tokio::test]
async fn old_releases_with_files_of_others_stay() {
    if image().is_none() {
        return;
    }
    let mut place = Place::new();
    place.options.history_limit = 1;
    let mut releases = Vec::new();
    for revision in 1..=5 {
        let conf = revision.to_string();
        let release = place
            .release(revision, &[("web", "", WEB)], &[("configs/web.conf", &conf)])
            .await;
        releases.push(release.directory());
        if revision == 1 {
            std::fs::create_dir_all(releases[0].join("data/deep")).unwrap();
            std::fs::write(releases[0].join("data/deep/orders"), "all of them").unwrap();
        }
        if revision == 2 {
            std::os::unix::fs::symlink("/", releases[1].join("configs/link")).unwrap();
        }
        if revision == 3 {
            // A directory alone is no data.
            std::fs::create_dir(releases[2].join("empty")).unwrap();
            // Somebody was killed while removing this one.
            let doomed = place.layout.directory().join("releases/1-000000000000.removed");
            std::fs::create_dir_all(doomed.join("compose")).unwrap();
            std::fs::write(doomed.join("compose/web.yml"), "").unwrap();
        }
        place.deploy(&release).await.unwrap();
    }
    let deployment = Deployment::load(&place.host, &place.layout).await.unwrap();
    assert_eq!(deployment.releases.keys().copied().collect::<Vec<_>>(), [4, 5]);
    let orders = std::fs::read_to_string(releases[0].join("data/deep/orders")).unwrap();
    assert_eq!(orders, "all of them");
    let left = place
        .host
        .list(&place.layout.directory().join("releases"))
        .await
        .unwrap();
    let names = [0, 1, 3, 4].map(|i: usize| releases[i].file_name().unwrap().to_string_lossy().into_owned());
    assert_eq!(left, names);
}
