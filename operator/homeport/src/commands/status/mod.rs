//! `homeport status`: the five steps of each migration, as a table.

mod steps;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use futures::StreamExt;
use homeport_crds::{Cutover, DataSync, HprtBundle, SecretBinding};
use k8s_openapi::NamespaceResourceScope;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;

use super::{KUBECONFIG, StateDir};
use crate::error::{CommandError, Doing};
use crate::output;
use steps::{Migration, render};

/// Shows how far the migrations are, in the five steps from Analyze to Cutover.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    state_dir: StateDir,
    /// The kubeconfig of the API [default: the one in the state directory].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The namespace. All of them when unset.
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Follows: shows the table again whenever something changes, until interrupted.
    #[arg(short, long)]
    watch: bool,
}

pub(crate) async fn run(options: Options) -> Result<(), CommandError> {
    let client = client(&options).await?;
    let view = View {
        client,
        namespace: options.namespace.clone(),
    };
    if !options.watch {
        output::line(view.render().await?);
        return Ok(());
    }
    let mut changes = view.changes();
    let mut shown = String::new();
    // Changes that come together are shown together: all that are there by now are taken before the next look.
    while changes.next().await.is_some() {
        while futures::FutureExt::now_or_never(changes.next())
            .flatten()
            .is_some()
        {}
        let table = match view.render().await {
            Ok(table) => table,
            // homeport may be on its way up again: the watches say when there is something to show.
            Err(error) => {
                output::warning(error);
                continue;
            }
        };
        if table != shown {
            show_again(&table);
            shown = table;
        }
    }
    Ok(())
}

/// On a terminal the new table takes the place of the old one; in a file it follows it.
fn show_again(table: &str) {
    const CLEAR_AND_HOME: &str = "\x1b[2J\x1b[H";
    if std::io::stdout().is_terminal() {
        output::line(format_args!("{CLEAR_AND_HOME}{table}"));
    } else {
        output::line(format_args!("{table}\n"));
    }
}

async fn client(options: &Options) -> Result<Client, CommandError> {
    let state_dir = options.state_dir.path()?;
    let path = options
        .kubeconfig
        .clone()
        .unwrap_or_else(|| state_dir.join(KUBECONFIG));
    let config = read_config(&path).await.doing(|| {
        format!(
            "{}: no kubeconfig of homeport; start `homeport up`, or name its --state-dir",
            path.display()
        )
    })?;
    Ok(Client::try_from(config)?)
}

async fn read_config(path: &Path) -> Result<Config, CommandError> {
    let kubeconfig = Kubeconfig::read_from(path)?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

struct View {
    client: Client,
    namespace: Option<String>,
}

impl View {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    async fn list<K>(&self) -> Result<Vec<K>, CommandError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + DeserializeOwned,
    {
        let list = self.api::<K>().list(&ListParams::default()).await;
        Ok(list
            .doing(|| {
                format!(
                    "{} could not be listed; is `homeport up` running?",
                    K::plural(&())
                )
            })?
            .items)
    }

    /// The table of every migration.
    async fn render(&self) -> Result<String, CommandError> {
        let bundles = self.list::<HprtBundle>().await?;
        let bindings = group(self.list::<SecretBinding>().await?, |b| {
            Some(b.spec.bundle_ref.name.clone())
        });
        let syncs = group(self.list::<DataSync>().await?, |s| {
            s.spec.bundle_ref.as_ref().map(|r| r.name.clone())
        });
        let cutovers = group(self.list::<Cutover>().await?, |c| {
            c.spec.bundle_ref.as_ref().map(|r| r.name.clone())
        });
        if bundles.is_empty() {
            return Ok(
                "No migrations: there is no HprtBundle. Apply one, as in examples/webshop/.".to_owned(),
            );
        }
        let tables = bundles.iter().map(|bundle| {
            let key = (bundle.namespace().unwrap_or_default(), bundle.name_any());
            render(&Migration {
                bundle,
                bindings: bindings.get(&key).map_or(&[], Vec::as_slice),
                syncs: syncs.get(&key).map_or(&[], Vec::as_slice),
                cutovers: cutovers.get(&key).map_or(&[], Vec::as_slice),
            })
        });
        Ok(tables.collect::<Vec<_>>().join("\n\n"))
    }

    /// One item whenever one of the resources changes. An error in a watch is tried again by the watch itself.
    fn changes(&self) -> impl futures::Stream<Item = ()> + Unpin {
        let streams = [
            changes_of(self.api::<HprtBundle>()),
            changes_of(self.api::<SecretBinding>()),
            changes_of(self.api::<DataSync>()),
            changes_of(self.api::<Cutover>()),
        ];
        futures::stream::select_all(streams)
    }
}

fn changes_of<K>(api: Api<K>) -> futures::stream::BoxStream<'static, ()>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    watcher(api, watcher::Config::default())
        .default_backoff()
        .map(|_| ())
        .boxed()
}

/// Objects by the namespace and name of the bundle that they are for.
fn group<K: ResourceExt>(
    objects: Vec<K>,
    bundle: impl Fn(&K) -> Option<String>,
) -> BTreeMap<(String, String), Vec<K>> {
    let mut groups: BTreeMap<_, Vec<K>> = BTreeMap::new();
    for object in objects {
        if let Some(name) = bundle(&object) {
            groups
                .entry((object.namespace().unwrap_or_default(), name))
                .or_default()
                .push(object);
        }
    }
    groups
}
