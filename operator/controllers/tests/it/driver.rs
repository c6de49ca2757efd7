//! The loop around all reconcilers, where what it stands on is not there.

use std::convert::Infallible;
use std::time::Duration;

use homeport_controllers::Settings;
use homeport_store::{Options, Store};
use kube::Client;
use kube::client::Body;
use tokio_util::sync::CancellationToken;

/// Not a measurement: what takes longer is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// Starts the controllers, and waits until they have ended.
async fn start_and_stop(client: Client) {
    let state = tempfile::tempdir().unwrap();
    let settings = Settings {
        state_dir: state.path().into(),
        working_dir: state.path().into(),
    };
    let shutdown = CancellationToken::new();
    let controllers = tokio::spawn(homeport_controllers::run(client, settings, shutdown.clone()));
    tokio::task::yield_now().await;
    shutdown.cancel();
    let ended = tokio::time::timeout(STUCK, controllers).await;
    ended.expect("the controllers end when they are told to").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_end_where_the_api_never_answers() {
    let silent = tower::service_fn(|_: http::Request<Body>| {
        std::future::pending::<Result<http::Response<Body>, Infallible>>()
    });
    start_and_stop(Client::new(silent, "default")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_end_where_the_api_does_not_know_the_resources() {
    let store = Store::open(Options::memory()).await.unwrap();
    start_and_stop(Client::new(store.service(), "default")).await;
}
