//! Trees to pack, and tar archives made byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use homeport_bundle::{Checksum, Limits, PackOptions, PackReport, Result, pack};
use tempfile::TempDir;

/// The manifest that an author writes.
pub(crate) const MANIFEST: &str = r#"{
  "version": "1.0.0",
  "format": "hprt",
  "created": "2024-01-15T10:30:00Z",
  "stacks": [{"name": "app", "services": ["web"]}],
  "dependencies": {"docker": ">=20.10"}
}"#;

pub(crate) const COMPOSE: &str = "services:\n  web:\n    image: nginx\n";

/// A temporary directory with a small, right tree in `tree`.
pub(crate) struct Scene {
    pub(crate) dir: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let scene = Self {
            dir: TempDir::new().unwrap(),
        };
        scene.write("manifest.json", MANIFEST);
        scene.write("README.md", "# Webshop\n");
        scene.write("compose/docker-compose.yml", COMPOSE);
        scene.write("scripts/pre-deploy.sh", "#!/bin/sh\ntrue\n");
        let script = scene.tree().join("scripts/pre-deploy.sh");
        fs::set_permissions(script, fs::Permissions::from_mode(0o770)).unwrap();
        scene
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    pub(crate) fn archive(&self) -> PathBuf {
        self.dir.path().join("app.hprt")
    }

    pub(crate) fn dest(&self) -> PathBuf {
        self.dir.path().join("unpacked")
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let full = self.tree().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, content).unwrap();
    }

    pub(crate) fn pack(&self) -> Result<PackReport> {
        pack(&self.tree(), &self.archive(), &PackOptions::default())
    }

    /// Names in the directory that holds everything.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Files below a directory with their content and whether they are executable.
pub(crate) fn files(root: &Path) -> BTreeMap<String, (Vec<u8>, bool)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let executable = fs::metadata(&path).unwrap().permissions().mode() & 0o100 != 0;
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, (fs::read(&path).unwrap(), executable));
            }
        }
    }
    found
}

/// A manifest that lists these files, without a digest of itself.
pub(crate) fn manifest(files: &[(&str, &str)]) -> String {
    let checksums: BTreeMap<&str, String> = files
        .iter()
        .map(|(path, content)| (*path, Checksum::of(content.as_bytes()).to_string()))
        .collect();
    serde_json::json!({"version": "1.0.0", "format": "hprt", "checksums": checksums}).to_string()
}

/// A tar archive made entry by entry, with no regard to what is allowed.
#[derive(Default)]
pub(crate) struct RawTar {
    pub(crate) bytes: Vec<u8>,
}

/// A tar header whose fields are set before it is appended.
pub(crate) struct RawHeader {
    pub(crate) block: [u8; 512],
}

impl RawHeader {
    pub(crate) fn new(name: impl AsRef<[u8]>, size: usize) -> Self {
        let mut block = [0; 512];
        block[..name.as_ref().len()].copy_from_slice(name.as_ref());
        block[100..108].copy_from_slice(b"0000644\0");
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[156] = b'0';
        block[257..265].copy_from_slice(b"ustar\x0000");
        Self { block }
    }

    pub(crate) fn with(mut self, at: usize, bytes: impl AsRef<[u8]>) -> Self {
        self.block[at..at + bytes.as_ref().len()].copy_from_slice(bytes.as_ref());
        self
    }

    pub(crate) fn kind(self, kind: u8) -> Self {
        self.with(156, [kind])
    }
}

impl RawTar {
    /// Begins with a manifest that lists these files.
    pub(crate) fn listing(files: &[(&str, &str)]) -> Self {
        Self::default().file("manifest.json", &manifest(files))
    }

    pub(crate) fn file(self, name: impl AsRef<[u8]>, content: &str) -> Self {
        let header = RawHeader::new(name, content.len());
        self.entry(header, content.as_bytes())
    }

    pub(crate) fn entry(mut self, header: RawHeader, content: &[u8]) -> Self {
        let mut block = header.block;
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&block);
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 1024]);
        self.bytes
    }

    /// The whole archive in one gzip member.
    pub(crate) fn gzip(self) -> Vec<u8> {
        gzip(&self.end())
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The variant of an error, as its debug form begins.
pub(crate) fn variant(error: &homeport_bundle::Error) -> String {
    let debug = format!("{error:?}");
    debug.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

/// Small limits, so that tests can pass them cheaply.
pub(crate) fn small_limits() -> Limits {
    Limits {
        max_entries: 20,
        max_archive_size: 1 << 20,
        max_file_size: 4 << 20,
        max_total_size: 6 << 20,
        max_manifest_size: 8 << 10,
        ..Limits::default()
    }
}
