//! A source and a target server, started once and stopped when the test binary ends, whatever its end is.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use homeport_sync::{Endpoint, Engine, Error, Postgres, Progress, Report, Task, Tls, TlsMode, Verdict};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

/// The servers' superuser has this password, which must turn up nowhere.
pub(crate) const PASSWORD: &str = "Zwiebelkuchen-4711";

static SERVERS: OnceLock<Option<Servers>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Servers {
    pub(crate) bin: PathBuf,
    folder: PathBuf,
    source_port: u16,
    target_port: u16,
    /// The authority of the target's certificate, which is for `localhost`. The source speaks no TLS.
    pub(crate) authority_pem: String,
}

/// Where the server programs are, if they are installed.
fn server_programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop()
}

/// The servers, or nothing, with a message, where PostgreSQL is not installed.
pub(crate) fn servers() -> Option<&'static Servers> {
    let servers = SERVERS
        .get_or_init(|| server_programs().map(Servers::start))
        .as_ref();
    if servers.is_none() {
        eprintln!(
            "skipped: no PostgreSQL server in /usr/lib/postgresql (Debian: apt-get install postgresql)"
        );
    }
    servers
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Makes a file or folder the server's own, readable by nobody else.
fn give_to_postgres(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    if is_root() {
        let owned = Command::new("chown").arg("postgres").arg(path).status().unwrap();
        assert!(owned.success(), "chown to the user postgres");
    }
}

impl Servers {
    fn start(bin: PathBuf) -> Servers {
        let folder = tempfile::Builder::new()
            .prefix("homeport-sync-")
            .tempdir()
            .unwrap()
            .keep();
        give_to_postgres(&folder);
        let ports = [free_port(), free_port()];
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let authority_pem = certificate.cert.pem();
        let tls = [
            ("target.crt", authority_pem.clone()),
            ("target.key", certificate.signing_key.serialize_pem()),
        ];
        let mut tls_settings = vec!["-c".to_owned(), "ssl=on".to_owned()];
        for ((file, pem), setting) in tls.iter().zip(["ssl_cert_file", "ssl_key_file"]) {
            let path = folder.join(file);
            std::fs::write(&path, pem).unwrap();
            give_to_postgres(&path);
            tls_settings.extend(["-c".to_owned(), format!("{setting}={}", path.display())]);
        }
        let servers = [
            start_server(&bin, &folder.join("source"), ports[0], &[]),
            start_server(&bin, &folder.join("target"), ports[1], &tls_settings),
        ];
        stop_at_exit(&folder, &servers);
        for port in &ports {
            wait_until_ready(&bin, *port);
        }
        Servers {
            bin,
            folder,
            source_port: ports[0],
            target_port: ports[1],
            authority_pem,
        }
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn start_server(bin: &Path, folder: &Path, port: u16, settings: &[String]) -> Child {
    let password_file = folder.with_extension("password");
    std::fs::write(&password_file, PASSWORD).unwrap();
    give_to_postgres(&password_file);
    let made = as_postgres(&bin.join("initdb"))
        .args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ])
        .arg(format!("--pwfile={}", password_file.display()))
        .arg("-D")
        .arg(folder)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let log = std::fs::File::create(folder.with_extension("log")).unwrap();
    as_postgres(&bin.join("postgres"))
        .arg("-D")
        .arg(folder)
        .args([
            "-p",
            &port.to_string(),
            "-k",
            "",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
        ])
        .args(settings)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// A watcher outside this process outlives it, even if a test aborts it: it stops exactly the two servers and
/// removes their folder once the pipe that only this process holds open is closed.
fn stop_at_exit(folder: &Path, servers: &[Child]) {
    let pids: Vec<String> = servers.iter().map(|server| server.id().to_string()).collect();
    let script = format!(
        "cat >/dev/null; kill -INT {pids}; while kill -0 {pids} 2>/dev/null; do sleep 0.1; done; rm -rf '{folder}'",
        pids = pids.join(" "),
        folder = folder.display()
    );
    let watcher = Command::new("setsid")
        .args(["sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Held open until this process is gone.
    std::mem::forget(watcher);
}

fn wait_until_ready(bin: &Path, port: u16) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let ready = Command::new(bin.join("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
            .status()
            .unwrap();
        if ready.success() {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the server on port {port} did not start"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// A database on either server, empty.
pub(crate) struct Pair {
    pub(crate) task: Task,
    pub(crate) source: Client,
    pub(crate) target: Client,
}

impl Pair {
    /// A pair whose source has run `sql`; nothing, with a message, where there is no server.
    pub(crate) async fn new(sql: &str) -> Option<Pair> {
        let servers = servers()?;
        let database = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        for port in [servers.source_port, servers.target_port] {
            let admin = connect(&endpoint(port, "postgres")).await;
            admin
                .batch_execute(&format!("CREATE DATABASE {database}"))
                .await
                .unwrap();
        }
        let task = Task::new(
            database.clone(),
            endpoint(servers.source_port, &database),
            endpoint(servers.target_port, &database),
        );
        let pair = Pair {
            source: connect(&task.source).await,
            target: connect(&task.target).await,
            task,
        };
        pair.source.batch_execute(sql).await.unwrap();
        Some(pair)
    }

    pub(crate) async fn copy(&self) -> Result<Report, Error> {
        let (progress, _) = watch::channel(Progress::default());
        Postgres
            .copy(&self.task, &progress, &CancellationToken::new())
            .await
    }

    pub(crate) async fn verify(&self) -> Result<Vec<Verdict>, Error> {
        let (progress, _) = watch::channel(Progress::default());
        Postgres
            .verify(&self.task, &progress, &CancellationToken::new())
            .await
    }

    /// What `pg_dump` says of both sides, without what differs between any two runs of it.
    pub(crate) fn dumps(&self) -> (String, String) {
        (dump(&self.task.source), dump(&self.task.target))
    }

    pub(crate) async fn target_count(&self, sql: &str) -> i64 {
        self.target.query_one(sql, &[]).await.unwrap().get(0)
    }
}

fn dump(endpoint: &Endpoint) -> String {
    let output = Command::new(servers().unwrap().bin.join("pg_dump"))
        .args([
            "--exclude-schema=homeport",
            "-h",
            &endpoint.host,
            "-p",
            &endpoint.port.to_string(),
        ])
        .args(["-U", "postgres", &endpoint.database])
        .env("PGPASSWORD", PASSWORD)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        .fold(String::new(), |mut dump, line| {
            dump.push_str(line);
            dump.push('\n');
            dump
        })
}

pub(crate) fn endpoint(port: u16, database: &str) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".into(),
        port,
        database: database.into(),
        user: "postgres".into(),
        password: SecretString::from(PASSWORD),
        tls: Tls {
            mode: TlsMode::Prefer,
            ca_pem: None,
        },
    }
}

pub(crate) async fn connect(endpoint: &Endpoint) -> Client {
    use secrecy::ExposeSecret;
    let (client, connection) = tokio_postgres::Config::new()
        .host(&endpoint.host)
        .port(endpoint.port)
        .dbname(&endpoint.database)
        .user(&endpoint.user)
        .password(endpoint.password.expose_secret())
        .connect(NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

impl Servers {
    /// Everything that the servers logged.
    pub(crate) fn logs(&self) -> String {
        ["source.log", "target.log"]
            .iter()
            .map(|name| std::fs::read_to_string(self.folder.join(name)).unwrap())
            .collect()
    }
}
