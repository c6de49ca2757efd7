//! A BIND of our own: a zone that one TSIG key may update, in a temporary folder, on a free port.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use homeport_cutover::{
    DnsProvider, RecordKey, RecordSet, RecordType, Rfc2136Provider, TsigAlgorithm, TsigKey,
};
use secrecy::SecretString;
use tempfile::TempDir;

const NAMED: &str = "/usr/sbin/named";
/// The secrets of the test's keys: 32 bytes each in base64.
pub(crate) const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const OTHER_SECRET: &str = "HwAeAR0CHAMbBBoFGQYYBxcIFgkVChQLEwwSDRENEA8=";

const ZONE: &str = r#"$ORIGIN shop.example.
$TTL 300
@        SOA   ns.shop.example. admin.shop.example. 1 3600 600 86400 60
@        NS    ns.shop.example.
ns       A     127.0.0.1
www      A     203.0.113.1
www      A     203.0.113.2
cdn      CNAME lb.cloud.example.
@        TXT   "v=spf1 -all"
*.wild   A     203.0.113.9
"#;

pub(crate) struct Bind {
    pub(crate) server: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Drop for Bind {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bind {
    /// Starts a server, or says why the test is skipped.
    pub(crate) async fn start() -> Option<Self> {
        if !Path::new(NAMED).exists() {
            eprintln!("SKIPPED: {NAMED} is not installed (Debian package bind9)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let port = free_port();
        let keys: String = ["hmac-sha256", "hmac-sha384", "hmac-sha512"]
            .map(|algorithm| {
                format!("key \"{algorithm}.\" {{ algorithm {algorithm}; secret \"{SECRET}\"; }};\n")
            })
            .concat();
        std::fs::write(folder.path().join("zone"), ZONE).unwrap();
        let grants: String = ["hmac-sha256", "hmac-sha384", "hmac-sha512"]
            .map(|key| format!("grant {key}. zonesub ANY; "))
            .concat();
        let config = format!(
            "options {{ directory \"{folder}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
               pid-file \"{pid}\"; session-keyfile \"{session}\"; recursion no; dnssec-validation no; notify no;
               managed-keys-directory \"{folder}\"; }};
             controls {{ }};
             {keys}
             key \"reader.\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};
             zone \"shop.example\" {{ type primary; file \"{zone}\"; update-policy {{ {grants} }}; }};",
            folder = folder.path().display(),
            pid = at("pid"),
            session = at("session.key"),
            zone = at("zone"),
        );
        std::fs::write(folder.path().join("named.conf"), config).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(NAMED)
            .args(["-g", "-c", &at("named.conf")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut bind = Self {
            server: SocketAddr::from(([127, 0, 0, 1], port)),
            child,
            folder,
        };
        let probe = bind.provider();
        let www = key("www", RecordType::A);
        for _ in 0..600 {
            if probe.read(&www).await.is_ok() {
                return Some(bind);
            }
            assert_eq!(
                bind.child.try_wait().unwrap(),
                None,
                "named ended: {}",
                bind.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("named does not answer: {}", bind.log());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn provider(&self) -> Rfc2136Provider {
        self.provider_with("hmac-sha256", TsigAlgorithm::HmacSha256, SECRET)
            .unwrap()
    }

    pub(crate) fn provider_with(
        &self,
        name: &str,
        algorithm: TsigAlgorithm,
        secret: &str,
    ) -> homeport_cutover::Result<Rfc2136Provider> {
        Rfc2136Provider::new(
            self.server,
            &TsigKey {
                name: name.to_owned(),
                algorithm,
                secret: SecretString::from(secret),
            },
        )
    }
}

/// A port that is free for both protocols.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

pub(crate) fn key(name: &str, record_type: RecordType) -> RecordKey {
    RecordKey::new("shop.example", &format!("{name}.shop.example"), record_type).unwrap()
}

pub(crate) fn set(record_type: RecordType, ttl: u32, values: &[&str]) -> RecordSet {
    let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    RecordSet::parse(record_type, ttl, &values).unwrap()
}
