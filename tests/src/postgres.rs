//! PostgreSQL servers of one's own.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::address::free_port;
use crate::command::{run, run_ok};

const PASSWORD: &str = "only-for-this-test";

/// The path of a PostgreSQL program, from the newest version that is installed.
///
/// # Panics
/// If none is.
pub fn postgres_program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed: run `make setup`");
    let newest = versions
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max();
    let newest = newest.expect("PostgreSQL is installed: run `make setup`");
    Path::new("/usr/lib/postgresql")
        .join(newest.to_string())
        .join("bin")
        .join(name)
}

/// A server on 127.0.0.1 with data of its own. Stopped, and its data removed, when dropped.
#[derive(Debug)]
pub struct PostgresServer {
    directory: TempDir,
    port: u16,
}

impl PostgresServer {
    /// A server with these settings beside PostgreSQL's own.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(settings: &[&str]) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("homeport-postgres-")
            .tempdir()
            .expect("a directory");
        let server = Self {
            directory,
            port: free_port(),
        };
        let data = server.data();
        fs::create_dir(&data).expect("a directory");
        if running_as_root() {
            fs::set_permissions(server.directory.path(), fs::Permissions::from_mode(0o755)).expect("ours");
            run_ok(Command::new("chown").arg("postgres:").arg(&data));
        }
        let password_file = server.directory.path().join("password");
        fs::write(&password_file, PASSWORD).expect("writable");
        run_ok(server.as_server_user("initdb").arg("--pgdata").arg(&data).args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            &format!("--pwfile={}", password_file.display()),
        ]));
        let mut options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories= -c log_min_messages=warning",
            server.port
        );
        for setting in settings {
            options.push_str(" -c ");
            options.push_str(setting);
        }
        run_ok(
            server
                .as_server_user("pg_ctl")
                .args(["start", "-s", "-w", "-D"])
                .arg(&data)
                .arg("-l")
                .arg(data.join("server.log"))
                .args(["-o", &options]),
        );
        server
    }

    /// PostgreSQL refuses to run as root: then it gets the user that Debian's package makes for it.
    fn as_server_user(&self, program: &str) -> Command {
        let program = postgres_program(program);
        if !running_as_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"])
            .arg(program);
        command
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A database of it, as a connection URL.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// A command of a PostgreSQL client, with host, port, user and password in its environment.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(postgres_program(program));
        command.envs(self.environment());
        command
    }

    /// What libpq reads to find this server.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", Ipv4Addr::LOCALHOST.to_string()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", "postgres".to_owned()),
            ("PGPASSWORD", PASSWORD.to_owned()),
        ]
    }

    /// Runs SQL in a database, and returns what it answers, unaligned and without headers.
    ///
    /// # Panics
    /// If it fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        run_ok(self.client("psql").args([
            "-XqAt",
            "--set=ON_ERROR_STOP=1",
            "--dbname",
            database,
            "--command",
            sql,
        ]))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        run(self
            .as_server_user("pg_ctl")
            .args(["stop", "-s", "-m", "immediate", "-D"])
            .arg(self.data()));
    }
}

fn running_as_root() -> bool {
    run_ok(Command::new("id").arg("-u")).trim() == "0"
}
