//! Hostile archives, given to `homeport bundle unpack`: refused, and nothing written.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use homeport_tests::{Webshop, homeport_binary, run};
use rstest::rstest;
use tar::{Archive, Builder, EntryType, Header};

/// What is added to an otherwise good bundle.
#[rstest]
#[case::parent_directory(EntryType::Regular, "../outside", "")]
#[case::parent_directory_inside(EntryType::Regular, "configs/../../outside", "")]
#[case::absolute_path(EntryType::Regular, "/tmp/homeport-e2e-outside", "")]
#[case::symbolic_link(EntryType::Symlink, "configs/link", "/etc/passwd")]
#[case::hard_link(EntryType::Link, "configs/link", "manifest.json")]
#[case::device(EntryType::Char, "configs/null", "")]
#[case::pipe(EntryType::Fifo, "configs/pipe", "")]
#[case::duplicate(EntryType::Regular, "compose/web.yml", "")]
#[case::case_collision(EntryType::Regular, "compose/WEB.yml", "")]
#[case::not_listed(EntryType::Regular, "configs/surprise", "")]
fn an_archive_with_something_hostile_in_it_is_refused(
    #[case] kind: EntryType,
    #[case] path: &str,
    #[case] link: &str,
) {
    let shop = Webshop::without_cloud();
    let good = shop.pack();
    let bad = shop.path().join("bad.hprt");
    let mut tar = Builder::new(GzEncoder::new(File::create(&bad).unwrap(), Compression::fast()));
    copy_entries(&good, &mut tar);
    let content: &[u8] = if kind == EntryType::Regular {
        b"content"
    } else {
        b""
    };
    append(&mut tar, kind, path, link, content);
    tar.into_inner().unwrap().finish().unwrap();
    assert_refused(&shop, &bad);
    assert!(!Path::new("/tmp/homeport-e2e-outside").exists() && !shop.path().join("outside").exists());
}

#[test]
fn a_bomb_is_refused() {
    let shop = Webshop::without_cloud();
    let bad = shop.path().join("bad.hprt");
    let mut tar = GzEncoder::new(File::create(&bad).unwrap(), Compression::best());
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_path("manifest.json").unwrap();
    header.set_size(64 << 30);
    header.set_cksum();
    tar.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..256 {
        tar.write_all(&zeros).unwrap();
    }
    tar.finish().unwrap();
    assert_refused(&shop, &bad);
}

#[rstest]
#[case::empty(|_| Vec::new())]
#[case::cut_off(|mut good: Vec<u8>| { good.truncate(good.len() / 2); good })]
#[case::trailing_bytes(|mut good: Vec<u8>| { good.extend_from_slice(b"something more"); good })]
#[case::not_gzip(|_| b"version: 1.0.0".repeat(100))]
fn an_archive_that_is_no_whole_archive_is_refused(#[case] damage: fn(Vec<u8>) -> Vec<u8>) {
    let shop = Webshop::without_cloud();
    let good = fs::read(shop.pack()).unwrap();
    let bad = shop.path().join("bad.hprt");
    fs::write(&bad, damage(good)).unwrap();
    assert_refused(&shop, &bad);
}

#[test]
fn a_good_bundle_is_unpacked_as_it_was() {
    let shop = Webshop::without_cloud();
    let (good, out) = (shop.pack(), shop.path().join("unpacked"));
    let unpacked = run(Command::new(homeport_binary())
        .args(["bundle", "unpack"])
        .arg(&good)
        .arg("-o")
        .arg(&out));
    assert!(unpacked.success, "{unpacked}");
    let before = run(Command::new("diff")
        .args(["-r", "--exclude=manifest.json"])
        .arg(shop.file("bundle"))
        .arg(&out));
    assert!(before.success, "{before}");
}

fn copy_entries(from: &Path, to: &mut Builder<impl Write>) {
    let mut archive = Archive::new(GzDecoder::new(File::open(from).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        to.append(&header, content.as_slice()).unwrap();
    }
}

/// Appends an entry as it is asked for: tar's own methods would refuse or mend what is hostile.
fn append(tar: &mut Builder<impl Write>, kind: EntryType, path: &str, link: &str, content: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    let raw = header.as_old_mut();
    raw.name[..path.len()].copy_from_slice(path.as_bytes());
    raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

fn assert_refused(shop: &Webshop, bundle: &Path) {
    let out = shop.path().join("unpacked");
    let unpacked = run(Command::new(homeport_binary())
        .args(["bundle", "unpack"])
        .arg(bundle)
        .arg("-o")
        .arg(&out));
    assert!(!unpacked.success, "{unpacked}");
    assert!(!unpacked.stderr.trim().is_empty(), "it says why: {unpacked}");
    assert!(!unpacked.stderr.contains("panicked"), "{unpacked}");
    assert!(
        !out.exists() || fs::read_dir(&out).unwrap().next().is_none(),
        "nothing was written"
    );
}
