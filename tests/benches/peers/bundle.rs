//! Bundles, beside tar.

use std::fs;
use std::path::Path;
use std::process::Command;

use homeport_tests::{repository, run_ok};
use tempfile::TempDir;

use crate::measure::{Comparison, compare, measure, release_program, shell};

/// Packing and unpacking a bundle, beside tar with pigz and sha256sum: the same compression, and a checksum of each file.
pub(crate) fn bundles(scale: f64, rounds: usize) -> Vec<Comparison> {
    let homeport = release_program("homeport");
    // Nothing is removed before the end: a big tree that is being removed slows down whatever comes after.
    let work = TempDir::new().expect("a directory");
    let tree = work.path().join("tree");
    let megabytes = bundle_tree(&tree, scale);
    eprintln!("bundle: a tree of {megabytes} MB, {rounds} rounds");

    let (mut pack, mut peer_pack, mut unpack, mut peer_unpack) = (vec![], vec![], vec![], vec![]);
    for round in 0..rounds {
        let at = |name: &str| work.path().join(format!("{name}-{round}"));
        let (bundle, archive) = (at("bundle.hprt"), at("peer.tar.gz"));
        pack.push(measure(
            Command::new(&homeport)
                .args(["bundle", "pack"])
                .arg(&tree)
                .arg("-o")
                .arg(&bundle),
        ));
        let sums = at("sums");
        peer_pack.push(measure(
            shell("cd \"$1\" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >\"$2\" && tar -I pigz -cf \"$3\" .")
                .args([&tree, &sums, &archive]),
        ));
        let unpacked = at("unpacked");
        unpack.push(measure(
            Command::new(&homeport)
                .args(["bundle", "unpack"])
                .arg(&bundle)
                .arg("-o")
                .arg(&unpacked),
        ));
        peer_unpack.push(measure(
            shell("mkdir \"$1\" && cd \"$1\" && tar -I pigz -xf \"$3\" && sha256sum --quiet -c \"$2\"")
                .args([&at("peer-unpacked"), &sums, &archive]),
        ));
    }
    vec![
        compare("bundle pack", "tar -I pigz + sha256sum", &pack, &peer_pack),
        compare("bundle unpack", "tar -I pigz + sha256sum", &unpack, &peer_unpack),
    ]
}

/// Writes a bundle tree of about 50 MB: the webshop's, and beside it configuration text, SQL and incompressible files as
/// real bundles carry them. Returns its size in MB.
fn bundle_tree(tree: &Path, scale: f64) -> u64 {
    run_ok(
        Command::new("cp")
            .arg("-r")
            .arg(repository().join("examples/webshop/bundle"))
            .arg(tree),
    );
    let mut random = Random(7);
    let configs = tree.join("configs/generated");
    fs::create_dir_all(&configs).expect("a directory");
    let files = (600.0 * scale) as u32;
    for number in 0..files {
        let mut text = String::new();
        while text.len() < 40_000 {
            text.push_str(&format!(
                "server {{ listen {}; name host-{}.internal; root /srv/{}; }}\n",
                random.next() % 60_000,
                random.next() % 5_000,
                random.next()
            ));
        }
        fs::write(configs.join(format!("site-{number}.conf")), text).expect("writable");
    }
    let sql = tree.join("migrations/postgres/lookup.sql");
    let rows = (120_000.0 * scale) as u32;
    let text: String = (0..rows)
        .map(|row| {
            format!(
                "CREATE INDEX lookup_{row} ON lookup_{} (c{}, c{});\n",
                random.next() % 999,
                row % 40,
                random.next() % 9
            )
        })
        .collect();
    fs::write(sql, text).expect("writable");
    for number in 0..(20.0 * scale) as u32 {
        let bytes: Vec<u8> = (0..131_072).flat_map(|_| random.next().to_le_bytes()).collect();
        fs::write(configs.join(format!("asset-{number}.bin")), bytes).expect("writable");
    }
    let size = run_ok(Command::new("du").args(["-sb", "--apparent-size"]).arg(tree));
    size.split_whitespace()
        .next()
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or_default()
        / 1_000_000
}

/// A small generator of numbers that are the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
