//! What a deployment says when something is wrong.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use homeport_deploy::{Engine, Error, Host, LocalHost, Options, Retry, deploy, plan};

use crate::deploying::{DATABASE, WEB};
use crate::support::{PASSWORD, Place, docker, hook, image, search_path};

#[tokio::test]
async fn an_engine_that_does_not_answer_is_waited_for() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let release = place
        .release(1, &[("web", "", WEB)], &[("configs/web.conf", "")])
        .await;
    let stopped = LocalHost::new(Some("unix:///nonexistent/docker.sock")).variable("PATH", search_path());
    let error = deploy(&stopped, &release, &Options::default(), &place.secrets, &|_| {})
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TargetUnreachable { .. }), "{error}");
    assert_eq!(error.retry(), Retry::Soon);
    place.deploy(&release).await.unwrap();
}

#[tokio::test]
async fn compose_1_is_refused() {
    if image().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("docker-compose");
    std::fs::write(&old, "#!/bin/sh\necho 1.29.2\n").unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
    let client = docker_client();
    std::os::unix::fs::symlink(&client, directory.path().join("docker")).unwrap();
    // Neither the machine's own Compose nor its plugin must be found.
    let path = format!("{}:/usr/bin:/bin", directory.path().display());
    let host = LocalHost::new(None)
        .variable("PATH", path)
        .variable("HOME", directory.path());
    let plugin = homeport_deploy::Command::new("docker", ["compose", "version"]);
    if host.run(&plugin).await.unwrap().success() {
        eprintln!("SKIPPED: the plugin is installed for all users, Compose 1 is never come to");
        return;
    }
    let error = Engine::of(&host).await.unwrap_err();
    assert!(
        matches!(&error, Error::ComposeTooOld { version, .. } if version == "1.29.2"),
        "{error}"
    );
}

fn docker_client() -> std::path::PathBuf {
    let path = search_path();
    let mut places = std::env::split_paths(&path).map(|place| place.join("docker"));
    places.find(|place| place.exists()).expect("image() found docker")
}

#[tokio::test]
async fn a_missing_image_is_named_and_may_come_later() {
    let Some(image) = image() else { return };
    let place = Place::new();
    let tag = format!("homeport-test/{}:later", place.name());
    let compose = WEB.replace("IMAGE", &tag);
    let release = place
        .release(1, &[("web", "", &compose)], &[("configs/web.conf", "")])
        .await;
    let error = place.deploy(&release).await.unwrap_err();
    assert!(
        error.to_string().contains(&tag) && error.to_string().contains("docker load"),
        "{error}"
    );
    assert_eq!(error.retry(), Retry::Slowly);
    assert!(place.containers("web").is_empty());

    docker(&["tag", image, &tag]);
    place.deploy(&release).await.unwrap();
    docker(&["rmi", "--force", &tag]);
}

#[tokio::test]
async fn a_service_that_does_not_become_healthy_is_shown_without_secrets() {
    if image().is_none() {
        return;
    }
    let mut place = Place::new();
    place.options.timeout = Duration::from_secs(4);
    let compose = DATABASE.replace(
        "sleep 1; touch /tmp/ready;",
        "echo starting; echo $$PASSWORD; echo user:$$PASSWORD | base64;",
    );
    let release = place.release(1, &[("database", "", &compose)], &[]).await;
    let error = place.deploy(&release).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unhealthy { service, .. } if service == "db"),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains("starting") && message.matches("[redacted]").count() >= 2,
        "{message}"
    );
    assert!(!message.contains(PASSWORD));
    assert!(!place.kept_text().contains(PASSWORD));
}

#[tokio::test]
async fn a_task_that_fails_is_final_and_nothing_after_it_begins() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let task = WEB.replace(r#"["true"]"#, r#"["sh", "-c", "echo cannot migrate; exit 3"]"#);
    let stacks = [("web", "", task.as_str()), ("database", "web", DATABASE)];
    let release = place.release(1, &stacks, &[("configs/web.conf", "")]).await;
    let error = place.deploy(&release).await.unwrap_err();
    assert!(matches!(&error, Error::ServiceFailed { code: 3, .. }), "{error}");
    assert!(error.to_string().contains("cannot migrate"), "{error}");
    assert!(!error.is_transient());
    assert!(place.containers("database").is_empty());
}

#[tokio::test]
async fn a_hook_that_fails_is_final_and_runs_again_when_asked() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let failing = format!(
        "{}echo \"bad $PASSWORD\" >&2\n[ -e ../../mended ]\n",
        hook("post")
    );
    let files = [
        ("configs/web.conf", ""),
        ("scripts/pre-deploy.sh", &hook("pre")),
        ("scripts/post-deploy.sh", &failing),
    ];
    let release = place.release(1, &[("web", "", WEB)], &files).await;
    let error = place.deploy(&release).await.unwrap_err();
    assert!(matches!(error, Error::HookFailed { .. }), "{error}");
    assert!(!error.is_transient());
    assert!(error.to_string().contains("bad [redacted]"), "{error}");

    std::fs::write(place.layout.directory().join("mended"), "").unwrap();
    place.deploy(&release).await.unwrap();
    assert_eq!(place.hook_runs(), "pre\npost\npost\n");
}

#[tokio::test]
async fn wrong_files_and_missing_variables_are_named() {
    if image().is_none() {
        return;
    }
    let mut place = Place::new();
    let wrong = place.release(1, &[("web", "", "services: [1, 2]\n")], &[]).await;
    let error = place.deploy(&wrong).await.unwrap_err();
    assert!(
        matches!(&error, Error::InvalidCompose { file, .. } if file == "compose/web.yml"),
        "{error}"
    );

    place.secrets.clear();
    let needy = place
        .release(
            2,
            &[("database", "", DATABASE)],
            &[("compose/.env", "PASSWORD=unasked\n")],
        )
        .await;
    let error = place.deploy(&needy).await.unwrap_err();
    assert!(
        matches!(&error, Error::VariableMissing { variable, .. } if variable == "PASSWORD"),
        "{error}"
    );
    assert!(!error.is_transient());

    place.secrets.insert("PATH".to_owned(), "/tmp".into());
    let error = place.deploy(&needy).await.unwrap_err();
    assert!(matches!(error, Error::ReservedSecretName { .. }), "{error}");
}

#[tokio::test]
async fn what_would_be_lost_with_the_release_is_not_mounted() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let files = [("configs/web.conf", "one"), ("configs/more/b.conf", "")];
    let mounted = |volume: &str| WEB.replace("../configs/web.conf:/etc/web.conf:ro", volume);
    let refused = [
        ("../data:/data", "\"data\""),
        ("./../configs/more:/data", "\"configs/more\""),
        ("..:/data", "the whole bundle"),
    ];
    for (revision, (volume, named)) in (1..).zip(refused) {
        let release = place
            .release(revision, &[("web", "", &mounted(volume))], &files)
            .await;
        let planned = plan(&place.host, &release, &place.options, &place.secrets)
            .await
            .unwrap_err();
        let error = place.deploy(&release).await.unwrap_err();
        assert!(
            matches!(&error, Error::MountInRelease { file, service, .. }
                if file == "compose/web.yml" && service == "web"),
            "{volume}: {error}"
        );
        assert_eq!(planned.to_string(), error.to_string());
        assert_eq!(error.retry(), Retry::Never);
        let message = error.to_string();
        assert!(
            message.contains(named) && message.contains("use a named volume"),
            "{message}"
        );
        assert!(!release.directory().join("data").exists());
    }
    assert!(place.containers("web").is_empty());

    let outside = format!("{}:/data", place.root().join("data").display());
    let legal = [
        "../configs/web.conf:/etc/web.conf:ro",
        "../configs/web.conf:/etc/web.conf",
        "../configs/more:/etc/more:ro",
        outside.as_str(),
    ];
    for (revision, volume) in (11..).zip(legal) {
        let release = place
            .release(revision, &[("web", "", &mounted(volume))], &files)
            .await;
        let planned = plan(&place.host, &release, &place.options, &place.secrets).await;
        assert!(planned.is_ok(), "{volume}: {planned:?}");
    }
}

#[tokio::test]
async fn what_the_manifest_needs_is_checked() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let mut manifest = homeport_bundle::Manifest::default();
    manifest
        .dependencies
        .insert("docker".to_owned(), ">=999.0".to_owned());
    let engine = Engine::of(&place.host).await.unwrap();
    let error = engine.check(&place.host, &manifest).unwrap_err();
    assert!(error.to_string().contains(">=999.0"), "{error}");
    manifest
        .dependencies
        .insert("docker".to_owned(), ">=17.0".to_owned());
    manifest
        .dependencies
        .insert("docker-compose".to_owned(), ">=2.0".to_owned());
    engine.check(&place.host, &manifest).unwrap();
}

#[tokio::test]
async fn programs_are_stopped_in_time_with_all_that_they_started() {
    let host = LocalHost::new(None);
    let directory = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! >pid; echo said; wait";
    let command = homeport_deploy::Command::new("sh", ["-c", script])
        .directory(directory.path())
        .timeout(Duration::from_millis(500));
    let output = host.run(&command).await.unwrap();
    assert!(output.timed_out && output.code.is_none());
    assert_eq!(output.stdout, "said\n");
    let pid = std::fs::read_to_string(directory.path().join("pid")).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z"), "{stat}");
}

#[tokio::test]
async fn only_the_last_of_a_long_output_is_kept_in_whole_lines() {
    let mut command = homeport_deploy::Command::new("seq", ["1", "200000"]);
    command.output_limit = 1000;
    let output = LocalHost::new(None).run(&command).await.unwrap();
    assert!(output.truncated && output.stdout.len() <= 1000);
    let lines: Vec<u32> = output.stdout.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(lines.last(), Some(&200_000));
    assert!(lines[0] > 100_000);
}
