//! A file is scanned as it comes, in pieces of any size.

use std::fmt::Write;

use homeport_bundle::Screen;
use homeport_secrets::Scanner;
use proptest::prelude::*;

use crate::SCANNER;

/// A file of some size with secrets on known lines, some beyond the scanner's blocks.
fn long_file() -> (String, Vec<u64>) {
    let mut text = String::new();
    let mut lines = Vec::new();
    for line in 1..=30_000_u64 {
        if line % 2_999 == 0 {
            writeln!(text, "      - DB_PASSWORD=hunter{line}").unwrap();
            lines.push(line);
        } else {
            writeln!(text, "location /{line} {{ proxy_pass http://backend:8080; }}").unwrap();
        }
    }
    (text, lines)
}

#[test]
fn the_size_of_pieces_changes_nothing() {
    let (text, expected) = long_file();
    let scanner = Scanner::new().unwrap();
    for size in [1, 7, 4_096, 65_536, 262_144, 1_000_000, text.len()] {
        let mut file = scanner.open("nginx.conf");
        for piece in text.as_bytes().chunks(size) {
            file.write(piece);
        }
        let lines: Vec<u64> = file.finish().into_iter().map(|found| found.line).collect();
        assert_eq!(lines, expected, "pieces of {size}");
    }
}

#[test]
fn a_secret_is_found_wherever_a_block_ends() {
    let scanner = Scanner::new().unwrap();
    let block = 256 * 1024;
    for place in (block - 6_000..block + 100).step_by(97) {
        let mut text = " ".repeat(place - 1);
        text.push_str("\nPOSTGRES_PASSWORD: ${POSTGRES_PASSWORD}\n");
        let reference = text.len();
        text.push_str("POSTGRES_PASSWORD: hunter2\n");
        text.push_str(&"# nothing\n".repeat(2_000));
        let lines: Vec<u64> = scanner
            .scan("a.yml", text.as_bytes())
            .into_iter()
            .map(|found| found.line)
            .collect();
        assert_eq!(lines, [3], "at {place}, {reference}");
    }
}

#[test]
fn a_line_without_end_is_searched_too() {
    let mut text = "x ".repeat(400_000);
    text.push_str(" \"password\": \"hunter2\", ");
    text.push_str(&"y ".repeat(400_000));
    assert_eq!(Scanner::new().unwrap().scan("a.json", text.as_bytes()).len(), 1);
}

#[test]
fn findings_are_bounded_and_never_hold_the_value() {
    let text = "DB_PASSWORD=hunter2\n".repeat(100_000);
    let found = Scanner::new().unwrap().scan(".env", text.as_bytes());
    assert_eq!(found.len(), 100);
    assert!(
        found
            .iter()
            .all(|finding| !format!("{finding:?} {finding}").contains("hunter2"))
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        SCANNER.scan("a", &bytes);
    }

    #[test]
    fn no_odd_text_makes_it_panic(
        text in "(password|token|PGPASSWORD|api_key|://|eyJ|AKIA|-----BEGIN|[:=\"'`<>{}$\\\\(),\n -]|[a-z]){0,60}",
    ) {
        SCANNER.scan("a.yml", text.as_bytes());
        SCANNER.scan("a.py", text.as_bytes());
    }
}
