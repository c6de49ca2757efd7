//! Serves the API on a free port of the loopback address: `cargo run -p homeport-store --example serve -- <dir>`.
//! The kubeconfig is `kubeconfig` in the directory.

use std::error::Error;
use std::path::PathBuf;

use homeport_store::{Kubeconfig, Options, ServingIdentity, Store, load_or_create_token};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let directory: PathBuf = std::env::args_os()
        .nth(1)
        .ok_or("usage: serve <directory>")?
        .into();
    std::fs::create_dir_all(&directory)?;
    let identity = ServingIdentity::load_or_create(&directory, &[])?;
    let token = load_or_create_token(&directory.join("token"))?;
    let options = Options::file(directory.join("state.db")).with_root_ca(identity.ca_pem());
    let store = Store::open(options).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = format!("https://{}", listener.local_addr()?);
    let kubeconfig = directory.join("kubeconfig");
    Kubeconfig {
        server: &server,
        ca_pem: identity.ca_pem(),
        token: &token,
    }
    .write(&kubeconfig)?;
    tracing::info!(%server, kubeconfig = %kubeconfig.display(), "ready");
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    store.serve(listener, &identity, token, shutdown).await?;
    store.close().await;
    Ok(())
}
