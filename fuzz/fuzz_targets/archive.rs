//! Any bytes as an archive: unpacked whole, or refused with nothing written.
#![no_main]

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use homeport_bundle::{Limits, inspect, unpack, verify, verify_tree};
use libfuzzer_sys::fuzz_target;

/// The first byte says what the others are: a gzip file, a tar archive, or one whose header sums are to be mended.
fn archive(data: &[u8]) -> Vec<u8> {
    let Some((&shape, bytes)) = data.split_first() else { return Vec::new() };
    match shape % 3 {
        0 => bytes.to_vec(),
        1 => gzip(bytes),
        _ => gzip(&with_right_sums(bytes)),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// Sums are what a fuzzer cannot guess, and hide the code behind them.
fn with_right_sums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}

fuzz_target!(|data: &[u8]| {
    let limits = Limits { max_total_size: 1 << 20, max_file_size: 1 << 20, max_entries: 100, ..Limits::default() };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("a.hprt");
    fs::write(&path, archive(data)).expect("the archive is written");
    let dest = dir.path().join("out");

    let verified = verify(&path, &limits, None);
    let unpacked = unpack(&path, &dest, &limits, None);
    assert_eq!(verified.is_ok(), unpacked.is_ok());
    assert!(verified.is_err() || inspect(&path, &limits).is_ok());
    let entries = fs::read_dir(dir.path()).expect("the directory is listed").count();
    match unpacked {
        Ok(_) => {
            assert_eq!(entries, 2);
            verify_tree(&dest).expect("what was unpacked is right");
        }
        Err(error) => {
            assert_eq!(entries, 1, "something was written");
            assert!(!error.to_string().is_empty());
        }
    }
});
