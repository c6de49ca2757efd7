//! `homeport up`: the API and the controllers, in one process.

use std::net::SocketAddr;
use std::path::Path;

use clap::Args;
use homeport_store::{Kubeconfig, ServingIdentity, Store};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{KUBECONFIG, StateDir};
use crate::error::{CommandError, Doing};
use crate::output;

/// Runs homeport here: its Kubernetes API and the controllers, in one process.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    state_dir: StateDir,
    /// The address and port of the API. Port 0 takes a free one.
    #[arg(
        long,
        env = "HOMEPORT_LISTEN",
        default_value = "127.0.0.1:7443",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
}

/// Runs until SIGINT or SIGTERM.
pub(crate) async fn run(options: Options) -> Result<(), CommandError> {
    let state_dir = options.state_dir.path()?;
    super::make_state_dir(&state_dir)?;

    let identity = ServingIdentity::load_or_create(&state_dir, &[options.listen.ip().to_string()])?;
    let token = homeport_store::load_or_create_token(&state_dir.join("token"))?;
    let store_options =
        homeport_store::Options::file(state_dir.join(super::STATE_FILE)).with_root_ca(identity.ca_pem());
    let store = Store::open(store_options).await?;
    let listener = TcpListener::bind(options.listen).await.doing(|| {
        format!(
            "cannot listen on {} (--listen names another address)",
            options.listen
        )
    })?;
    let address = listener.local_addr()?;

    let shutdown = CancellationToken::new();
    cancel_on_signal(&shutdown)?;
    let client = Client::new(store.service(), "default");
    install_definitions(&client).await?;

    let server = format!("https://{address}");
    let kubeconfig = state_dir.join(KUBECONFIG);
    Kubeconfig {
        server: &server,
        ca_pem: identity.ca_pem(),
        token: &token,
    }
    .write(&kubeconfig)?;
    output::line(format_args!(
        "homeport is ready: {server} (export KUBECONFIG={})",
        kubeconfig.display()
    ));

    let settings = settings(&state_dir)?;
    let serving = async {
        let result = store.serve(listener, &identity, token, shutdown.clone()).await;
        // A server that cannot serve takes the controllers with it: half of homeport helps nobody.
        shutdown.cancel();
        result
    };
    let (served, ()) = tokio::join!(
        serving,
        homeport_controllers::run(client, settings, shutdown.clone())
    );
    store.close().await;
    Ok(served?)
}

fn settings(state_dir: &Path) -> Result<homeport_controllers::Settings, CommandError> {
    let working_dir = std::env::current_dir().doing(|| "the working directory cannot be read".to_owned())?;
    Ok(homeport_controllers::Settings {
        state_dir: state_dir.to_owned(),
        working_dir,
    })
}

/// Applies the definitions of the four resources, and waits until the API serves them.
async fn install_definitions(client: &Client) -> Result<(), CommandError> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in homeport_crds::definitions() {
        let name = definition.name_any();
        let parameters = PatchParams::apply("homeport").force();
        api.patch(&name, &parameters, &Patch::Apply(&definition))
            .await
            .doing(|| format!("the definition of {name} could not be applied"))?;
        await_condition(api.clone(), &name, conditions::is_crd_established())
            .await
            .doing(|| format!("the definition of {name} was not established"))?;
    }
    Ok(())
}

fn cancel_on_signal(shutdown: &CancellationToken) -> Result<(), CommandError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // A file at its limit (`ulimit -f`) is to fail a write as a full disk does, and not to end the process: once there
    // is a handler, it stays.
    drop(signal(SignalKind::from_raw(
        rustix::process::Signal::XFSZ.as_raw(),
    ))?);
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        shutdown.cancel();
    });
    Ok(())
}
