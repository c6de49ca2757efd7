//! One stack of a release, prepared: what it is to be, what is there, and what to do about it.

use std::collections::BTreeMap;

use homeport_bundle::Stack;
use serde::Deserialize;

use crate::compose::{Compose, Container, Project, StackFiles};
use crate::decide::{Decision, Facts, decide};
use crate::error::{Error, Result};
use crate::fingerprint::Salt;
use crate::gate::{gate_of, replicas_of};
use crate::mounts::refuse_writing_into;
use crate::options::Options;
use crate::record::{Deployment, ServiceRecord};
use crate::release::Release;

/// A stack, ready to be brought up.
#[derive(Debug)]
pub(crate) struct PreparedStack<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) files: StackFiles,
    pub(crate) fingerprint: String,
    pub(crate) services: BTreeMap<String, ServiceRecord>,
    /// Images by service that must be on the host because nothing would get them there.
    pub(crate) needed_images: BTreeMap<String, String>,
    /// Images by service that Compose can pull.
    pub(crate) pulled_images: BTreeMap<String, String>,
    pub(crate) decision: Decision,
}

/// What Compose is told of a stack.
pub(crate) fn stack_files(release: &Release, stack: &Stack) -> StackFiles {
    let name = stack.compose_file();
    let mut files = vec![release.path_of(name)];
    // As Compose does by itself for a file that it has found by itself.
    if let Some((stem, extension)) = name.rsplit_once('.') {
        let over = format!("{stem}.override.{extension}");
        files.extend(release.manifest().has_file(&over).then(|| release.path_of(&over)));
    }
    StackFiles {
        stack: stack.name.clone(),
        project: release.layout().project(&stack.name),
        name: name.to_owned(),
        files,
        services: stack.services.clone(),
        pins: BTreeMap::new(),
    }
}

/// Gathers the facts of a stack and decides what to do.
pub(crate) async fn prepare<'a>(
    compose: &Compose<'_>,
    salt: &Salt,
    release: &Release,
    deployment: &Deployment,
    options: &Options,
    stack: &'a Stack,
) -> Result<PreparedStack<'a>> {
    let mut files = stack_files(release, stack);
    let (mut config, mut project) = read_config(compose, &files).await?;
    refuse_writing_into(release, &files, &project)?;
    let mut image_ids = image_ids(compose, &files, &project).await?;
    if options.pin_images {
        files.pins = moved_images(release, deployment, stack, &image_ids);
        if !files.pins.is_empty() {
            (config, project) = read_config(compose, &files).await?;
            image_ids.extend(files.pins.clone());
        }
    }
    let hashes = compose.hashes(&files).await?;
    let services: BTreeMap<String, ServiceRecord> = project
        .services
        .iter()
        .map(|(name, service)| {
            let hash = hashes.get(name).map(String::as_str).unwrap_or_default();
            let record = ServiceRecord {
                config: salt.hash(hash),
                replicas: replicas_of(service),
                gate: gate_of(name, &project),
                image: image_name(&files, name, &project),
            };
            (name.clone(), record)
        })
        .collect();
    let fingerprint = salt.fingerprint(&config, &release.directory(), release.manifest());
    let containers = keyed(salt, compose.containers(&files.project).await?);
    let decision = decide(&Facts {
        fingerprint: &fingerprint,
        services: &services,
        image_ids: &image_ids,
        record: deployment.stacks.get(&stack.name),
        containers: &containers,
        prune: options.prune,
    });
    let (needed_images, pulled_images) = images_by_origin(&project);
    Ok(PreparedStack {
        stack,
        files,
        fingerprint,
        services,
        needed_images,
        pulled_images,
        decision,
    })
}

/// Containers with keyed hashes of their configuration, as records have them.
pub(crate) fn keyed(salt: &Salt, mut containers: Vec<Container>) -> Vec<Container> {
    for container in &mut containers {
        container.config_hash = salt.hash(&container.config_hash);
    }
    containers
}

/// The configuration of a stack, without the services of other stacks in the same file.
async fn read_config(compose: &Compose<'_>, files: &StackFiles) -> Result<(serde_json::Value, Project)> {
    let mut config = compose.config(files).await?;
    if let Some(services) = config
        .get_mut("services")
        .and_then(|services| services.as_object_mut())
        && !files.services.is_empty()
    {
        if let Some(service) = files.services.iter().find(|name| !services.contains_key(*name)) {
            let known: Vec<&str> = services.keys().map(String::as_str).collect();
            return Err(Error::NoSuchService {
                stack: files.stack.clone(),
                file: files.name.clone(),
                service: service.clone(),
                known: known.join(", "),
            });
        }
        services.retain(|name, _| files.services.contains(name));
    }
    let project = Project::deserialize(&config).map_err(|_| Error::InvalidCompose {
        stack: files.stack.clone(),
        file: files.name.clone(),
        detail: "its services are not of the form that Compose documents".to_owned(),
    })?;
    Ok((config, project))
}

fn image_name(files: &StackFiles, service: &str, project: &Project) -> String {
    let named = project
        .services
        .get(service)
        .and_then(|service| service.image.clone());
    named.unwrap_or_else(|| format!("{}-{service}", files.project))
}

async fn image_ids(
    compose: &Compose<'_>,
    files: &StackFiles,
    project: &Project,
) -> Result<BTreeMap<String, String>> {
    let mut ids = BTreeMap::new();
    for service in project.services.keys() {
        if let Some(id) = compose.image_id(&image_name(files, service, project)).await? {
            ids.insert(service.clone(), id);
        }
    }
    Ok(ids)
}

/// Images that a release ran with and whose names now stand for others, or for nothing.
fn moved_images(
    release: &Release,
    deployment: &Deployment,
    stack: &Stack,
    now: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let recorded = deployment
        .release(release.revision())
        .and_then(|kept| kept.images.get(&stack.name));
    let recorded = recorded.into_iter().flatten();
    recorded
        .filter(|(service, id)| now.get(*service) != Some(*id))
        .map(|(service, id)| (service.clone(), id.clone()))
        .collect()
}

/// Images that nothing would get to the host, and those that Compose would pull.
fn images_by_origin(project: &Project) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let named = project
        .services
        .iter()
        .filter(|(_, service)| service.build.is_none());
    let images = named.filter_map(|(name, service)| {
        let is_needed = service.pull_policy.as_deref() == Some("never");
        Some((is_needed, (name.clone(), service.image.clone()?)))
    });
    let (needed, pulled): (Vec<_>, Vec<_>) = images.partition(|(is_needed, _)| *is_needed);
    let map = |images: Vec<(bool, (String, String))>| images.into_iter().map(|(_, image)| image).collect();
    (map(needed), map(pulled))
}
