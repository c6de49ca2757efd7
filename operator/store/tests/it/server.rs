//! The API on a socket: who is let in, what is trusted, and how it ends.

use std::path::PathBuf;

use homeport_store::{Kubeconfig, Options, ServingIdentity, Store, load_or_create_token};
use kube::config::{KubeConfigOptions, Kubeconfig as ClientKubeconfig};
use kube::{Client, Config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// A store that is served, with the kubeconfig that leads to it.
pub(crate) struct Served {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) address: std::net::SocketAddr,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let identity = ServingIdentity::load_or_create(directory.path(), &[]).unwrap();
        let token = load_or_create_token(&directory.path().join("token")).unwrap();
        let options = Options::file(directory.path().join("state.db")).with_root_ca(identity.ca_pem());
        let store = Store::open(options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        let server = format!("https://{address}");
        Kubeconfig {
            server: &server,
            ca_pem: identity.ca_pem(),
            token: &token,
        }
        .write(&kubeconfig)
        .unwrap();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let task = tokio::spawn(async move {
            store.serve(listener, &identity, token, stop).await.unwrap();
            store.close().await;
        });
        Served {
            directory,
            kubeconfig,
            address,
            shutdown,
            task,
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("token")).unwrap()
    }

    /// An HTTP/2 connection of its own, to be driven by the caller.
    pub(crate) async fn h2(
        &self,
    ) -> (
        h2::client::SendRequest<bytes::Bytes>,
        h2::client::Connection<TlsStream<TcpStream>>,
    ) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = connector(self, "h2").connect(name, stream).await.unwrap();
        h2::client::handshake(stream).await.unwrap()
    }

    async fn config(&self) -> Config {
        let file = ClientKubeconfig::read_from(&self.kubeconfig).unwrap();
        Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .unwrap()
    }
}

pub(crate) fn install_provider() {
    // Another test may have installed it already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

#[tokio::test]
async fn the_kubeconfig_leads_in_and_nothing_else_does() {
    use std::os::unix::fs::PermissionsExt as _;
    install_provider();
    let served = Served::start().await;
    let mode = std::fs::metadata(&served.kubeconfig)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let client = Client::try_from(served.config().await).unwrap();
    let groups = client.list_api_groups().await.unwrap();
    assert!(groups.groups.iter().any(|group| group.name == "apps"));

    let mut wrong = served.config().await;
    wrong.auth_info.token = Some("wrong".to_owned().into());
    let client = Client::try_from(wrong).unwrap();
    let kube::Error::Api(status) = client.list_api_groups().await.unwrap_err() else {
        panic!("must be refused")
    };
    assert_eq!((status.code, status.reason.as_str()), (401, "Unauthorized"));
    client
        .apiserver_version()
        .await
        .expect("the version is no secret");

    let mut distrustful = served.config().await;
    distrustful.root_cert = Some(Vec::new());
    let client = Client::try_from(distrustful);
    let refused = match client {
        Ok(client) => client.list_api_groups().await.is_err(),
        Err(_) => true,
    };
    assert!(
        refused,
        "a client without the authority must not trust the server"
    );
    served.stop().await;
}

#[tokio::test]
async fn clients_that_send_no_tls_or_nothing_do_not_keep_others_out() {
    install_provider();
    let served = Served::start().await;
    let mut plain = TcpStream::connect(served.address).await.unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // The server answers with a TLS alert or closes; it does not answer the request.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let _silent = TcpStream::connect(served.address).await.unwrap();
    let client = Client::try_from(served.config().await).unwrap();
    client.apiserver_version().await.unwrap();
    served.stop().await;
}

/// Trusts the server's authority, and speaks `protocol` alone.
pub(crate) fn connector(served: &Served, protocol: &str) -> tokio_rustls::TlsConnector {
    use rustls::pki_types::pem::PemObject as _;
    let authority = rustls::pki_types::CertificateDer::from_pem_file(served.directory.path().join("ca.crt"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(config))
}

/// What the server sends on a connection whose client says nothing, until it closes it.
async fn silent(served: &Served, protocol: &str) -> std::io::Result<Vec<u8>> {
    let connector = connector(served, protocol);
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    let mut sent = Vec::new();
    stream.read_to_end(&mut sent).await.map(|_| sent)
}

/// Half a minute at most, which is what a stranger can keep a place for.
#[tokio::test]
async fn connections_of_clients_that_never_say_who_they_are_end() {
    use futures::TryStreamExt as _;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, PostParams, WatchEvent, WatchParams};
    install_provider();
    let served = Served::start().await;
    let client = Client::try_from(served.config().await).unwrap();
    let configs: Api<ConfigMap> = Api::default_namespaced(client);
    let watch = configs.watch(&WatchParams::default(), "0").await.unwrap();
    futures::pin_mut!(watch);
    // Closed with or without a word: only that it ends is demanded.
    let _ = tokio::join!(silent(&served, "h2"), silent(&served, "http/1.1"));
    // Who has said so stays.
    let later = serde_json::from_value(serde_json::json!({"metadata": {"name": "later"}})).unwrap();
    configs.create(&PostParams::default(), &later).await.unwrap();
    while let Some(event) = watch.try_next().await.unwrap() {
        if let WatchEvent::Added(config) = event
            && config.metadata.name.as_deref() == Some("later")
        {
            return served.stop().await;
        }
    }
    panic!("the watch ended");
}

#[tokio::test]
async fn shutdown_ends_watches() {
    use futures::TryStreamExt as _;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, WatchParams};
    install_provider();
    let served = Served::start().await;
    let configs: Api<ConfigMap> = Api::default_namespaced(Client::try_from(served.config().await).unwrap());
    let events = configs.watch(&WatchParams::default(), "0").await.unwrap();
    futures::pin_mut!(events);
    assert!(events.try_next().await.unwrap().is_some());
    served.stop().await;
    while let Ok(Some(_)) = events.try_next().await {}
}
