//! Archives that were made to do harm are refused, each for its own reason, with nothing written.

use std::fs;
use std::io::Write;

use flate2::{Compression, GzBuilder};
use homeport_bundle::{Limits, inspect, unpack, verify};
use rstest::rstest;

use crate::support::{MANIFEST, RawHeader, RawTar, Scene, gzip, manifest, small_limits, variant};

/// What the archive holds comes to nothing but this error, by all ways to read it.
fn refused_within(limits: &Limits, archive: &[u8], expected: &str) {
    let scene = Scene::new();
    fs::write(scene.archive(), archive).unwrap();
    let error = unpack(&scene.archive(), &scene.dest(), limits, None).unwrap_err();
    assert_eq!(variant(&error), expected, "{error}");
    assert!(!error.is_transient());
    assert_eq!(scene.names(), ["app.hprt", "tree"], "something was written");

    let verified = verify(&scene.archive(), limits, None).unwrap_err();
    assert_eq!(verified.to_string(), error.to_string());
    match inspect(&scene.archive(), limits) {
        Err(inspected) => assert_eq!(inspected.to_string(), error.to_string()),
        Ok(_) => assert_eq!(expected, "ChecksumMismatch", "only checksums are left out"),
    }
}

fn refused(archive: &[u8], expected: &str) {
    refused_within(&Limits::default(), archive, expected);
}

/// An archive with a manifest that lists `name`, and then that file.
fn with_file(name: &str) -> Vec<u8> {
    RawTar::listing(&[(name, "x")]).file(name, "x").gzip()
}

#[rstest]
#[case("../../etc/cron.d/x")]
#[case("configs/../../x")]
#[case("/etc/passwd")]
#[case("//server/share/x")]
#[case("C:/Windows/x")]
#[case("C:\\Windows\\x")]
#[case("configs\\..\\x")]
#[case("configs/./x")]
#[case("./configs/x")]
#[case("configs//x")]
#[case("configs/x/")]
#[case("configs/a\nb")]
#[case("configs/a\u{1b}[2Jb")]
#[case("configs/a\u{202e}b")]
#[case("configs/nul.txt")]
#[case("configs/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p")]
fn unsafe_paths(#[case] name: &str) {
    // As an entry that no manifest lists ...
    refused(&RawTar::listing(&[]).file(name, "x").gzip(), "UnsafePath");
    // ... and listed: some faults the manifest's own validation finds first.
    let scene = Scene::new();
    fs::write(scene.archive(), with_file(name)).unwrap();
    let error = unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap_err();
    assert!(
        ["UnsafePath", "Invalid"].contains(&variant(&error).as_str()),
        "{error}"
    );
    assert_eq!(scene.names(), ["app.hprt", "tree"]);
}

#[test]
fn a_path_that_is_no_utf8() {
    refused(
        &RawTar::listing(&[]).file(b"configs/\xff", "x").gzip(),
        "UnsafePath",
    );
}

#[test]
fn a_path_with_more_after_a_nul() {
    refused(
        &RawTar::listing(&[]).file(b"configs/a\0../../x", "x").gzip(),
        "MalformedHeader",
    );
}

#[test]
fn a_path_that_leaves_by_its_prefix() {
    let header = RawHeader::new("passwd", 1).with(345, "../etc");
    refused(&RawTar::listing(&[]).entry(header, b"x").gzip(), "UnsafePath");
}

#[rstest]
#[case(b'1', "ForbiddenEntry")]
#[case(b'2', "ForbiddenEntry")]
#[case(b'3', "ForbiddenEntry")]
#[case(b'4', "ForbiddenEntry")]
#[case(b'6', "ForbiddenEntry")]
#[case(b'7', "ForbiddenEntry")]
#[case(b'S', "ForbiddenEntry")]
#[case(b'V', "ForbiddenEntry")]
#[case(b'M', "ForbiddenEntry")]
#[case(b'L', "GnuLongName")]
#[case(b'K', "GnuLongName")]
#[case(b'g', "PaxGlobalHeader")]
fn entries_that_are_no_files(#[case] kind: u8, #[case] expected: &str) {
    let header = RawHeader::new("configs/x", 0).kind(kind).with(157, "/etc/passwd");
    refused(
        &RawTar::listing(&[("configs/x", "")]).entry(header, b"").gzip(),
        expected,
    );
}

#[rstest]
#[case(b"25 path=../../etc/passwd\n", "PaxOverride")]
#[case(b"10 size=9\n", "PaxOverride")]
#[case(b"18 linkpath=/etc/\n", "PaxOverride")]
#[case(b"22 GNU.sparse.major=1\n", "PaxOverride")]
#[case(b"25 SCHILY.xattr.user.a=b\n", "PaxOverride")]
#[case(b"4294967296 mtime=1\n", "MalformedHeader")]
fn pax_records(#[case] records: &[u8], #[case] expected: &str) {
    let header = RawHeader::new("PaxHeaders/x", records.len()).kind(b'x');
    let archive = RawTar::listing(&[("configs/x", "x")])
        .entry(header, records)
        .file("configs/x", "x")
        .gzip();
    refused(&archive, expected);
}

#[test]
fn huge_or_repeated_or_dangling_pax_headers() {
    let huge = RawHeader::new("PaxHeaders/x", 0)
        .kind(b'x')
        .with(124, "77777777777");
    refused(&RawTar::listing(&[]).entry(huge, b"").gzip(), "PaxTooLarge");
    let pax = || RawHeader::new("PaxHeaders/x", 0).kind(b'x');
    refused(
        &RawTar::listing(&[]).entry(pax(), b"").entry(pax(), b"").gzip(),
        "MalformedHeader",
    );
    refused(&RawTar::listing(&[]).entry(pax(), b"").gzip(), "MalformedHeader");
}

#[rstest]
#[case("configs/a", "configs/a", "Duplicate")]
#[case("configs/A", "configs/a", "CaseCollision")]
#[case("Configs/a", "configs/b", "CaseCollision")]
#[case("configs/\u{e9}", "configs/e\u{301}", "NormalizationCollision")]
#[case("configs/a", "configs/a/b", "FileDirectoryConflict")]
#[case("configs/a/b", "configs/a", "FileDirectoryConflict")]
fn paths_that_become_one(#[case] first: &str, #[case] second: &str, #[case] expected: &str) {
    let mut listed = vec![(first, "x"), (second, "x")];
    listed.dedup();
    // `Configs` is no directory of the layout, and refused as such before the collision is.
    let expected = if first.starts_with("Configs") {
        "OutsideLayout"
    } else {
        expected
    };
    refused(
        &RawTar::listing(&listed).file(first, "x").file(second, "x").gzip(),
        expected,
    );
}

#[test]
fn a_file_where_a_directory_entry_is() {
    let directory = RawHeader::new("configs/a/", 0).kind(b'5');
    let archive = RawTar::listing(&[("configs/a", "x")])
        .entry(directory, b"")
        .file("configs/a", "x")
        .gzip();
    refused(&archive, "FileDirectoryConflict");
}

#[rstest]
#[case(b"0004755\0")]
#[case(b"0002755\0")]
#[case(b"0001777\0")]
fn special_modes(#[case] mode: &[u8]) {
    let header = RawHeader::new("scripts/x", 1).with(100, mode);
    refused(
        &RawTar::listing(&[("scripts/x", "x")]).entry(header, b"x").gzip(),
        "SpecialMode",
    );
}

#[rstest]
#[case(b"-0000000001\0")]
#[case(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")]
#[case(b"\x80\0\0\0\0\0\0\0\0\0\0\x01")]
#[case(b"0000000zz1\0\0")]
fn sizes_that_are_none(#[case] size: &[u8]) {
    let header = RawHeader::new("configs/x", 1).with(124, size);
    refused(
        &RawTar::listing(&[("configs/x", "x")]).entry(header, b"x").gzip(),
        "MalformedHeader",
    );
}

#[test]
fn a_header_whose_sum_is_wrong() {
    let mut tar = RawTar::listing(&[("configs/x", "x")]);
    let header = tar.bytes.len();
    tar = tar.file("configs/x", "x");
    tar.bytes[header] ^= 1;
    refused(&tar.gzip(), "MalformedHeader");
}

#[test]
fn manifests_out_of_place() {
    refused(&RawTar::default().gzip(), "ManifestMissing");
    refused(
        &RawTar::default().file("README.md", "x").gzip(),
        "ManifestNotFirst",
    );
    let late = RawTar::default()
        .file("README.md", "x")
        .file("manifest.json", &manifest(&[("README.md", "x")]));
    refused(&late.gzip(), "ManifestNotFirst");
    let twice = RawTar::listing(&[]).file("manifest.json", &manifest(&[]));
    refused(&twice.gzip(), "ManifestRepeated");
    let folded = RawTar::listing(&[]).file("Manifest.json", &manifest(&[]));
    refused(&folded.gzip(), "CaseCollision");
    let link = RawHeader::new("manifest.json", 0)
        .kind(b'2')
        .with(157, "/etc/passwd");
    refused(&RawTar::default().entry(link, b"").gzip(), "ForbiddenEntry");
}

#[rstest]
#[case("", "BadJson")]
#[case("{", "BadJson")]
#[case("[]", "BadJson")]
#[case(r#"{"version":"1.0.0"}"#, "UnsupportedFormat")]
#[case(r#"{"format":"hprt"}"#, "MalformedVersion")]
#[case(r#"{"format":"hprt","version":1}"#, "MalformedVersion")]
#[case(r#"{"format":"hprt","version":"2.0.0"}"#, "UnsupportedVersion")]
#[case(r#"{"format":"hprt","version":"0.1.0"}"#, "UnsupportedVersion")]
#[case(r#"{"format":"hprt","version":"1.0.0","version":"1.0.0"}"#, "DuplicateKey")]
#[case(
    r#"{"format":"hprt","version":"1.0.0","checksums":{"a":"sha256:0","a":"sha256:0"}}"#,
    "DuplicateKey"
)]
#[case(
    r#"{"format":"hprt","version":"1.0.0","checksums":{"README.md":"md5:0"}}"#,
    "BadJson"
)]
#[case(
    r#"{"format":"hprt","version":"1.0.0","source":{"provider":"aws","resource_count":-1}}"#,
    "BadJson"
)]
#[case(
    r#"{"format":"hprt","version":"1.0.0","stacks":[{"name":"a","resources_consolidated":1e300}]}"#,
    "BadJson"
)]
fn manifests_that_say_nonsense(#[case] json: &str, #[case] expected: &str) {
    refused(&RawTar::default().file("manifest.json", json).gzip(), expected);
}

#[test]
fn a_manifest_nested_too_deeply() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let json = format!(r#"{{"format":"hprt","version":"1.0.0","x":{deep}}}"#);
    refused(&RawTar::default().file("manifest.json", &json).gzip(), "BadJson");
}

#[test]
fn files_other_than_listed() {
    refused(&RawTar::listing(&[]).file("configs/x", "x").gzip(), "Unlisted");
    refused(
        &RawTar::listing(&[("configs/x", "x"), ("configs/y", "y")])
            .file("configs/x", "x")
            .gzip(),
        "MissingFiles",
    );
    refused(
        &RawTar::listing(&[("configs/x", "x")])
            .file("configs/x", "y")
            .gzip(),
        "ChecksumMismatch",
    );
    refused(&with_file("etc/x"), "OutsideLayout");
    refused(&with_file("run.sh"), "OutsideLayout");
}

#[test]
fn a_manifest_changed_after_packing() {
    let scene = Scene::new();
    scene.pack().unwrap();
    unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap();
    let sealed = fs::read_to_string(scene.dest().join("manifest.json")).unwrap();
    let changed = sealed.replace("\"web\"", "\"evil\"");
    assert_ne!(sealed, changed);
    let mut tar = RawTar::default().file("manifest.json", &changed);
    for path in ["README.md", "compose/docker-compose.yml", "scripts/pre-deploy.sh"] {
        tar = tar.file(path, &fs::read_to_string(scene.tree().join(path)).unwrap());
    }
    refused(&tar.gzip(), "ManifestChecksum");
}

#[test]
fn more_than_the_limits_allow() {
    let limits = small_limits();
    let names: Vec<String> = (0..21).map(|i| format!("configs/{i}")).collect();
    let listed: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let many = names
        .iter()
        .fold(RawTar::listing(&listed), |tar, name| tar.file(name, ""));
    refused_within(&limits, &many.gzip(), "TooManyEntries");
    let directories = (0..30).fold(RawTar::listing(&[]), |tar, i| {
        tar.entry(RawHeader::new(format!("configs/{i}/"), 0).kind(b'5'), b"")
    });
    refused_within(&limits, &directories.gzip(), "TooManyEntries");

    let large = RawHeader::new("configs/x", 0).with(124, "00030000000\0");
    refused_within(
        &limits,
        &RawTar::listing(&[("configs/x", "")]).entry(large, b"").gzip(),
        "FileTooLarge",
    );
    let noise = noise(3 << 20);
    let files = [
        ("configs/a", noise.as_str()),
        ("configs/b", &noise),
        ("configs/c", &noise),
    ];
    let total = files
        .iter()
        .fold(RawTar::listing(&files), |tar, (name, content)| {
            tar.file(name, content)
        });
    let roomy = Limits {
        max_archive_size: 100 << 20,
        ..limits
    };
    refused_within(&roomy, &total.gzip(), "TotalTooLarge");
    refused_within(
        &limits,
        &RawTar::listing(&files).gzip().repeat(20_000),
        "ArchiveTooLarge",
    );

    let long = format!("{MANIFEST}{}", " ".repeat(8 << 10));
    refused_within(
        &limits,
        &RawTar::default().file("manifest.json", &long).gzip(),
        "DocumentTooLarge",
    );
    let path = format!("configs/{}", "d/".repeat(20));
    refused_within(
        &limits,
        &RawTar::listing(&[]).file(path.trim_end_matches('/'), "").gzip(),
        "UnsafePath",
    );
}

/// Text that does not compress well, the same each time.
fn noise(length: usize) -> String {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + ((state >> 33) % 90) as u8)
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn bombs() {
    let zeros = "\0".repeat(20 << 20);
    let limits = Limits {
        max_file_size: 1 << 40,
        ..Limits::default()
    };
    let one_member = RawTar::listing(&[("configs/x", &zeros)])
        .file("configs/x", &zeros)
        .end();
    refused_within(&limits, &gzip(&one_member), "RatioExceeded");
    let many_members: Vec<u8> = one_member.chunks(10_000).flat_map(gzip).collect();
    refused_within(
        &Limits {
            max_ratio: 50,
            ..limits
        },
        &many_members,
        "RatioExceeded",
    );
    // Zeros after the end of the tar archive, endlessly.
    let mut tail = RawTar::listing(&[]).end();
    tail.resize(tail.len() + (30 << 20), 0);
    refused_within(
        &Limits {
            max_ratio: u32::MAX,
            ..limits
        },
        &gzip(&tail),
        "TrailingData",
    );
}

#[test]
fn packing_refuses_what_unpacking_would() {
    let scene = Scene::new();
    scene.write("configs/zeros", vec![0; 20 << 20]);
    assert_eq!(variant(&scene.pack().unwrap_err()), "RatioExceeded");
    assert_eq!(scene.names(), ["tree"]);
}

#[test]
fn what_is_no_gzip() {
    refused(b"", "NotGzip");
    refused(b"PK\x03\x04zip", "NotGzip");
    refused(&RawTar::listing(&[]).end(), "NotGzip");
    refused(&gzip(b"not a tar archive").repeat(1), "Truncated");
    refused(&gzip(&[b'x'; 2000]), "MalformedHeader");
}

#[test]
fn archives_that_end_early_or_late() {
    let whole = with_file("configs/x");
    for length in [4, 12, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        refused(&whole[..length], "Truncated");
    }
    refused(&[whole.as_slice(), b"more"].concat(), "TrailingData");
    refused(&[whole.as_slice(), &[0; 512]].concat(), "TrailingData");
    refused(&[whole.as_slice(), &gzip(b"more")].concat(), "TrailingData");
    refused(&[whole.as_slice(), &whole].concat(), "TrailingData");

    let without_end = RawTar::listing(&[("configs/x", "x")])
        .file("configs/x", "x")
        .bytes;
    refused(&gzip(&without_end), "Truncated");
    let half_end = [without_end.as_slice(), &[0; 512]].concat();
    refused(&gzip(&half_end), "Truncated");
    let hidden = RawTar { bytes: half_end }.file("configs/y", "y");
    refused(&hidden.gzip(), "TrailingData");
    let in_content = [
        &RawTar::listing(&[("configs/x", "x")])
            .file("configs/x", "x")
            .bytes[..1536 + 512],
        b"",
    ]
    .concat();
    refused(&gzip(&in_content[..1537]), "Truncated");
}

#[test]
fn gzip_headers_that_lie() {
    let tar = with_tar();
    let lying = |extra: Vec<u8>| {
        let mut encoder = GzBuilder::new()
            .extra(extra)
            .write(Vec::new(), Compression::default());
        encoder.write_all(&tar).unwrap();
        encoder.finish().unwrap()
    };
    let announce = |length: u32| [b"HP\x04\0".as_slice(), &length.to_le_bytes()].concat();
    let honest = lying(announce(0)).len() as u32;
    let scene = Scene::new();
    fs::write(scene.archive(), lying(announce(honest))).unwrap();
    verify(&scene.archive(), &Limits::default(), None).unwrap();

    refused(&lying(announce(0)), "CorruptGzip");
    refused(&lying(announce(honest - 1)), "CorruptGzip");
    refused(&lying(announce(honest + 1)), "Truncated");
    refused(&lying(announce(u32::MAX)), "CorruptGzip");

    let mut wrong_crc = lying(announce(honest));
    let at = wrong_crc.len() - 8;
    wrong_crc[at] ^= 1;
    refused(&wrong_crc, "CorruptGzip");
    let mut wrong_length = lying(announce(honest));
    let at = wrong_length.len() - 1;
    wrong_length[at] = 0xff;
    refused(&wrong_length, "CorruptGzip");
    let mut reserved = gzip(&tar);
    reserved[3] |= 0x80;
    refused(&reserved, "CorruptGzip");
}

fn with_tar() -> Vec<u8> {
    RawTar::listing(&[("configs/x", "x")])
        .file("configs/x", "x")
        .end()
}

#[test]
fn trees_that_hold_what_no_bundle_may() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    type Spoil = fn(&std::path::Path);
    let spoilers: [(Spoil, &str); 8] = [
        (
            |tree| symlink("/etc/passwd", tree.join("configs/link")).unwrap(),
            "ForbiddenEntry",
        ),
        (
            |tree| symlink("/etc", tree.join("dns")).unwrap(),
            "ForbiddenEntry",
        ),
        (
            |tree| drop(UnixListener::bind(tree.join("configs/s")).unwrap()),
            "ForbiddenEntry",
        ),
        (
            |tree| fs::write(tree.join("notes.txt"), "").unwrap(),
            "OutsideLayout",
        ),
        (|tree| fs::create_dir(tree.join(".git")).unwrap(), "OutsideLayout"),
        (
            |tree| fs::write(tree.join("configs/A"), "").unwrap(),
            "CaseCollision",
        ),
        (
            |tree| fs::write(tree.join(std::ffi::OsStr::from_bytes(b"configs/\xff")), "").unwrap(),
            "UnsafePath",
        ),
        (
            |tree| fs::write(tree.join("configs/back\\slash"), "").unwrap(),
            "UnsafePath",
        ),
    ];
    for (spoil, expected) in spoilers {
        let scene = Scene::new();
        scene.write("configs/a", "");
        spoil(&scene.tree());
        assert_eq!(variant(&scene.pack().unwrap_err()), expected);
        assert_eq!(scene.names(), ["tree"]);
    }
}
