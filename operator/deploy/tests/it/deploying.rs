//! What a deployment does when all is well.

use homeport_deploy::{
    Change, Deployment, Event, Removal, StackPhase, deploy, observe, plan, remove, summary,
};

use crate::support::{PASSWORD, Place, docker, hook, image};

pub(crate) const DATABASE: &str = r#"
services:
  db:
    image: IMAGE
    pull_policy: never
    restart: unless-stopped
    init: true
    command: ["sh", "-c", "sleep 1; touch /tmp/ready; sleep 1000"]
    environment:
      PASSWORD: ${PASSWORD:?is not set}
    volumes: ["data:/data"]
    healthcheck: {test: ["CMD", "test", "-e", "/tmp/ready"], interval: 1s, retries: 30}
volumes:
  data: {}
"#;

pub(crate) const WEB: &str = r#"
services:
  web:
    image: IMAGE
    pull_policy: never
    restart: unless-stopped
    init: true
    command: ["sleep", "1000"]
    volumes: ["../configs/web.conf:/etc/web.conf:ro"]
  migrate:
    image: IMAGE
    pull_policy: never
    restart: "no"
    command: ["true"]
"#;

#[tokio::test]
async fn stacks_come_up_in_order_and_stay_untouched() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let files = [
        ("configs/web.conf", "one"),
        ("scripts/pre-deploy.sh", &hook("pre")),
        ("scripts/post-deploy.sh", &hook("post")),
    ];
    let release = place
        .release(1, &[("web", "database", WEB), ("database", "", DATABASE)], &files)
        .await;

    let report = place.deploy(&release).await.unwrap();
    assert!(report.changed);
    assert_eq!(summary(&report.states), "2/2");
    assert!(
        report
            .states
            .iter()
            .all(|state| state.phase == StackPhase::Healthy && state.drift.is_none())
    );
    let finished: Vec<String> = place
        .events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::StackStarted { stack, .. } => Some(format!("{stack} started")),
            Event::StackFinished { stack, .. } => Some(format!("{stack} finished")),
            Event::HookFinished { hook, .. } => Some((*hook).to_owned()),
            _ => None,
        })
        .collect();
    let expected = [
        "scripts/pre-deploy.sh",
        "database started",
        "database finished",
        "web started",
        "web finished",
        "scripts/post-deploy.sh",
    ];
    assert_eq!(finished, expected);

    let before = [place.containers("database"), place.containers("web")];
    assert_eq!((before[0].len(), before[1].len()), (1, 2));
    let again = place.deploy(&release).await.unwrap();
    assert!(!again.changed);
    assert_eq!([place.containers("database"), place.containers("web")], before);
    assert_eq!(place.hook_runs(), "pre\npost\n");
    let current = std::fs::read_to_string(place.layout.directory().join("current")).unwrap();
    assert_eq!(current.trim(), release.name());
}

#[tokio::test]
async fn secrets_reach_containers_and_nothing_else() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let echo = "#!/bin/sh\necho \"hook has $PASSWORD\"\n";
    let release = place
        .release(
            1,
            &[("database", "", DATABASE)],
            &[("scripts/pre-deploy.sh", echo)],
        )
        .await;
    place.deploy(&release).await.unwrap();

    let id = place.containers("database")[0]
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    let environment = docker(&["inspect", "--format", "{{.Config.Env}}", &id]);
    assert!(
        environment.contains(&format!("PASSWORD={PASSWORD}")),
        "{environment}"
    );
    assert!(!place.kept_text().contains(PASSWORD));
    let events = format!("{:?}", place.events.lock().unwrap());
    assert!(events.contains("hook has [redacted]"), "{events}");
    assert!(!events.contains(PASSWORD));
}

#[tokio::test]
async fn a_changed_secret_is_deployed() {
    if image().is_none() {
        return;
    }
    let mut place = Place::new();
    let release = place
        .release(
            1,
            &[("database", "", DATABASE), ("web", "", WEB)],
            &[("configs/web.conf", "")],
        )
        .await;
    place.deploy(&release).await.unwrap();
    let (database, web) = (place.containers("database"), place.containers("web"));

    place.secrets.insert("PASSWORD".to_owned(), "another".into());
    let report = place.deploy(&release).await.unwrap();
    let changes: Vec<(&str, Change)> = report
        .stacks
        .iter()
        .map(|s| (s.stack.as_str(), s.change))
        .collect();
    assert_eq!(
        changes,
        [("database", Change::Update), ("web", Change::Unchanged)]
    );
    assert_ne!(place.containers("database"), database);
    assert_eq!(place.containers("web"), web);
}

#[tokio::test]
async fn a_plan_touches_nothing() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let release = place
        .release(1, &[("web", "", WEB)], &[("configs/web.conf", "")])
        .await;
    let planned = plan(&place.host, &release, &place.options, &place.secrets)
        .await
        .unwrap();
    assert_eq!(planned[0].to_string(), "stack web: create");
    let left: Vec<_> = std::fs::read_dir(place.layout.directory())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["releases"]);
    assert!(place.containers("web").is_empty());
    assert_eq!(
        Deployment::load(&place.host, &place.layout).await.unwrap(),
        Deployment::default()
    );

    place.deploy(&release).await.unwrap();
    let planned = plan(&place.host, &release, &place.options, &place.secrets)
        .await
        .unwrap();
    assert_eq!(planned[0].change, Change::Unchanged);
}

#[tokio::test]
async fn drift_is_noticed_and_mended() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let release = place
        .release(
            1,
            &[("database", "", DATABASE), ("web", "", WEB)],
            &[("configs/web.conf", "")],
        )
        .await;
    place.deploy(&release).await.unwrap();
    let web = place.containers("web");
    let database = place.containers("database")[0]
        .split(' ')
        .next()
        .unwrap()
        .to_owned();

    docker(&["rm", "--force", &database]);
    let states = observe(&place.host, &release).await.unwrap();
    assert_eq!(summary(&states), "1/2");
    assert_eq!(states[0].phase, StackPhase::Missing);
    assert!(
        states[0].drift.as_deref().unwrap().contains("0 containers"),
        "{states:?}"
    );

    let report = place.deploy(&release).await.unwrap();
    assert_eq!(summary(&report.states), "2/2");
    assert_eq!(place.containers("web"), web);
}

/// Controllers run these in tasks of their own.
#[tokio::test]
async fn what_takes_long_can_run_in_a_task() {
    if image().is_none() {
        return;
    }
    let place = Place::new();
    let release = place
        .release(1, &[("web", "", WEB)], &[("configs/web.conf", "")])
        .await;
    let (host, layout, options) = (place.host.clone(), place.layout.clone(), place.options.clone());
    let task = tokio::spawn(async move {
        let secrets = std::collections::BTreeMap::new();
        plan(&host, &release, &options, &secrets).await?;
        deploy(&host, &release, &options, &secrets, &|_| {}).await?;
        observe(&host, &release).await?;
        remove(&host, &layout, Removal::Delete, "test").await
    });
    task.await.unwrap().unwrap();
}
