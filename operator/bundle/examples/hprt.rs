//! Packs, unpacks or verifies a bundle: `hprt pack TREE ARCHIVE`, `hprt unpack ARCHIVE DEST`, `hprt verify ARCHIVE`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;

use homeport_bundle::{Limits, PackOptions, pack, unpack, verify};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let limits = Limits::default();
    let report = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["pack", tree, archive] => {
            pack(Path::new(tree), Path::new(archive), &PackOptions::default())?.archive
        }
        ["unpack", archive, dest] => unpack(Path::new(archive), Path::new(dest), &limits, None)?.archive,
        ["verify", archive] => verify(Path::new(archive), &limits, None)?,
        _ => return Err("usage: hprt pack TREE ARCHIVE | unpack ARCHIVE DEST | verify ARCHIVE".into()),
    };
    println!(
        "{}  {} files, {} bytes",
        report.sha256.to_hex(),
        report.files.len(),
        report.archive_size
    );
    Ok(())
}
