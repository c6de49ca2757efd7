//! A client that costs little beside the servers that it measures: one HTTP/1.1 connection, bodies as they come.

use std::path::Path;
use std::sync::Arc;

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use kube::Config;
use kube::client::ConfigExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where a server is, and how to be let in.
#[derive(Clone)]
pub(crate) struct Server {
    address: String,
    tls: TlsConnector,
    authorization: String,
}

/// One connection to it.
pub(crate) struct ApiClient {
    sender: SendRequest<Full<Bytes>>,
    server: Server,
}

impl Server {
    pub(crate) async fn of_kubeconfig(path: &Path) -> Self {
        let kubeconfig = Kubeconfig::read_from(path).expect("the server wrote a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .expect("it is complete");
        let url = &config.cluster_url;
        let token = config.auth_info.token.as_ref().expect("it holds a token");
        Self {
            address: url.authority().expect("it names the server").to_string(),
            tls: TlsConnector::from(Arc::new(
                config.rustls_client_config().expect("its authority is readable"),
            )),
            authorization: format!("Bearer {}", token.expose_secret()),
        }
    }

    pub(crate) async fn connect(&self) -> ApiClient {
        let tcp = TcpStream::connect(&self.address)
            .await
            .expect("the server listens");
        tcp.set_nodelay(true).expect("a TCP socket");
        let name = ServerName::try_from("127.0.0.1").expect("an address");
        let tls = self.tls.connect(name, tcp).await.expect("the server speaks TLS");
        let (sender, connection) = handshake(TokioIo::new(tls))
            .await
            .expect("the server speaks HTTP");
        tokio::spawn(connection);
        ApiClient {
            sender,
            server: self.clone(),
        }
    }
}

impl ApiClient {
    /// Sends a request and reads the whole answer, which has to be a success.
    pub(crate) async fn call(&mut self, method: Method, path: &str, body: String) -> Bytes {
        let (status, answer) = self.try_call(method.clone(), path, body).await;
        assert!(
            status.is_success(),
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(&answer)
        );
        answer
    }

    pub(crate) async fn try_call(&mut self, method: Method, path: &str, body: String) -> (StatusCode, Bytes) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.server.address)
            .header(header::AUTHORIZATION, &self.server.authorization)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .expect("a request");
        let answer = self
            .sender
            .send_request(request)
            .await
            .expect("the server answers");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("the answer ends");
        (status, body.to_bytes())
    }
}
