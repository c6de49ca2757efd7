//! The example of `examples/webshop`, in a place of its own.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;
use tempfile::TempDir;

use crate::address::loopback_host;
use crate::command::{run, run_ok};
use crate::docker;
use crate::repository::{homeport_binary, repository};

/// The addresses that the example is written with.
const EXAMPLE_CLOUD: &str = "127.0.0.10";
const EXAMPLE_HOST: &str = "127.0.0.20";
/// The name that the shop is reached by.
const SITE: &str = "www.shop.example";

/// What one side says of the shop's data. Equal summaries mean equal data.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Summary {
    /// Where the page was served from.
    pub served_from: String,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// Sums and checksums over columns.
    pub sums: BTreeMap<String, String>,
}

/// A copy of the webshop example with its own addresses and names, and its cloud side when asked for.
#[derive(Debug)]
pub struct Webshop {
    directory: TempDir,
    name: String,
    cloud: Ipv4Addr,
    host: Ipv4Addr,
    cloud_runs: bool,
}

impl Webshop {
    /// A copy whose cloud side does not run.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn without_cloud() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "shop-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let shop = Self {
            directory: tempfile::Builder::new()
                .prefix("homeport-")
                .tempdir()
                .expect("a temporary directory"),
            name,
            cloud: loopback_host(),
            host: loopback_host(),
            cloud_runs: false,
        };
        let example = repository().join("examples/webshop");
        for part in [
            "bundle",
            "bundle.yaml",
            "secrets.yaml",
            "sync.yaml",
            "cutover.yaml",
        ] {
            shop.copy(&example.join(part), &shop.path().join("webshop").join(part));
        }
        shop
    }

    /// A copy with its cloud side running: a shop with that many products, everything else in proportion (200 products
    /// are about 16 MB).
    ///
    /// # Panics
    /// If the cloud side cannot be started.
    pub fn with_cloud(products: u32) -> Self {
        let mut shop = Self::without_cloud();
        shop.cloud_runs = true;
        run_ok(shop.cloud_script("start").env("SHOP_SCALE", products.to_string()));
        shop
    }

    fn cloud_script(&self, action: &str) -> Command {
        let mut command = Command::new(repository().join("scripts/demo/cloud.sh"));
        command
            .arg(action)
            .env("DEMO_DIR", self.path().join("target/demo"))
            .env("CLOUD_ADDRESS", self.cloud.to_string());
        command
    }

    /// Copies a file or a tree, with this shop's addresses and names in place of the example's.
    fn copy(&self, from: &Path, to: &Path) {
        if from.is_dir() {
            fs::create_dir_all(to).expect("a directory");
            for entry in fs::read_dir(from).expect("a directory of the example") {
                let entry = entry.expect("readable");
                self.copy(&entry.path(), &to.join(entry.file_name()));
            }
            return;
        }
        let text = fs::read_to_string(from).expect("the example's files are text");
        let text = text
            .replace(EXAMPLE_CLOUD, &self.cloud.to_string())
            .replace(EXAMPLE_HOST, &self.host.to_string())
            // Names of resources, of the network and of the volume.
            .replace("name: webshop", &format!("name: {}", self.name));
        fs::write(to, text).expect("writable");
        fs::set_permissions(to, fs::metadata(from).expect("readable").permissions()).expect("permissions");
    }

    /// Replaces a text in one of the files, named from `examples/webshop`.
    ///
    /// # Panics
    /// If the file does not hold the text.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.file(file);
        let text = fs::read_to_string(&path).expect("the file is there");
        assert!(text.contains(from), "{file} does not hold {from:?}:\n{text}");
        fs::write(path, text.replace(from, to)).expect("writable");
    }

    /// Makes the bundle, where `bundle.yaml` looks for it, and returns its path.
    ///
    /// # Panics
    /// If `homeport bundle pack` fails.
    pub fn pack(&self) -> PathBuf {
        let bundle = self.path().join("target/demo/webshop.hprt");
        fs::create_dir_all(self.path().join("target/demo")).expect("a directory");
        run_ok(
            Command::new(homeport_binary())
                .args(["bundle", "pack"])
                .arg(self.file("bundle"))
                .arg("-o")
                .arg(&bundle),
        );
        bundle
    }

    /// The directory that all of it lies in, and that homeport must be started in.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The path of a file of the example.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join("webshop").join(name)
    }

    /// The same as a text, for arguments.
    ///
    /// # Panics
    /// If it is not UTF-8.
    pub fn manifest(&self, name: &str) -> String {
        self.file(name)
            .to_str()
            .expect("temporary directories have plain names")
            .to_owned()
    }

    /// What the four resources are called, and the network in Docker.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of the new place.
    pub fn host(&self) -> Ipv4Addr {
        self.host
    }

    /// The address of the old place.
    pub fn cloud(&self) -> Ipv4Addr {
        self.cloud
    }

    /// The values that `cloud.env` holds, by name: what must not be seen anywhere.
    ///
    /// # Panics
    /// If the cloud side was never started.
    pub fn secrets(&self) -> Vec<(String, String)> {
        let text =
            fs::read_to_string(self.path().join("target/demo/cloud.env")).expect("made by the cloud side");
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// What the shop says of its data at the address, or why it says nothing.
    ///
    /// # Errors
    /// What curl prints.
    pub fn summary(&self, address: Ipv4Addr) -> Result<Summary, String> {
        let url = format!("http://{address}:8080/api/summary");
        let answer = run(Command::new("curl").args(["-sS", "--fail", "--max-time", "60", &url]));
        if !answer.success {
            return Err(answer.output());
        }
        serde_json::from_str(&answer.stdout).map_err(|error| format!("{url}: {error}: {}", answer.stdout))
    }

    /// Orders two of product 3 at the address, and returns the path of the order's page.
    ///
    /// # Panics
    /// If the order is not taken.
    pub fn order(&self, address: Ipv4Addr) -> String {
        let url = format!("http://{address}:8080/orders");
        let form = "product_id=3&quantity=2&email=someone@mail.example";
        let answer = run_ok(
            Command::new("curl")
                .args(["-sS", "--fail", "--output", "/dev/null"])
                .args(["--write-out", "%header{location}", "--data", form, &url]),
        );
        assert!(
            answer.starts_with("/orders/"),
            "an order was answered by {answer:?}"
        );
        answer
    }

    /// All records of the zone but its SOA, whose serial counts changes, sorted.
    ///
    /// # Panics
    /// If the cloud's name server does not answer.
    pub fn records(&self) -> Vec<String> {
        let mut records = self.dig("shop.example", "AXFR");
        records.retain(|record| record.split_whitespace().nth(3) != Some("SOA"));
        records.sort();
        records
    }

    /// The addresses that the site's name has.
    ///
    /// # Panics
    /// If the cloud's name server does not answer.
    pub fn resolve(&self) -> Vec<String> {
        let records = self.dig(SITE, "A");
        records
            .iter()
            .filter_map(|record| Some(record.split_whitespace().last()?.to_owned()))
            .collect()
    }

    fn dig(&self, name: &str, kind: &str) -> Vec<String> {
        let server = format!("@{}", self.cloud);
        let answer = run_ok(
            Command::new("dig")
                .args(["+noall", "+answer", "+time=2", "+tries=5"])
                .args([&server, "-p", "15353", name, kind]),
        );
        answer
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// The names of the shop's containers.
    pub fn containers(&self) -> Vec<String> {
        let filter = format!("network={}", self.name);
        let listed = run_ok(Command::new("docker").args([
            "ps",
            "--all",
            "--format",
            "{{.Names}}",
            "--filter",
            &filter,
        ]));
        let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
        names.sort();
        names
    }
}

impl Drop for Webshop {
    fn drop(&mut self) {
        docker::remove(&self.name, &format!("{}-data", self.name));
        if self.cloud_runs {
            run(&mut self.cloud_script("stop"));
        }
    }
}
