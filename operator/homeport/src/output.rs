//! What commands print. A closed pipe (`homeport status | head`) ends a command quietly.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process;

use crate::error::CommandError;

/// Prints a line on standard output.
pub(crate) fn line(text: impl Display) {
    write_to(io::stdout().lock(), text);
}

/// Prints a warning on standard error.
pub(crate) fn warning(text: impl Display) {
    write_to(io::stderr().lock(), format_args!("warning: {text}"));
}

/// Prints an error on standard error.
pub(crate) fn error(error: &CommandError) {
    write_to(io::stderr().lock(), format_args!("error: {error}"));
}

fn write_to(mut out: impl Write, text: impl Display) {
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
        // Nobody reads on: as other programs do that are told so by SIGPIPE.
        process::exit(if error.kind() == ErrorKind::BrokenPipe {
            141
        } else {
            1
        });
    }
}

/// A table: columns as wide as their widest cell, two spaces between them.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = header.map(|title| title.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let render = |cells: [&str; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![render(header)];
    lines.extend(rows.iter().map(|row| render(row.each_ref().map(String::as_str))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["1".to_owned(), "läuft".to_owned()],
            ["10".to_owned(), String::new()],
        ];
        assert_eq!(table(["A", "STATE"], &rows), "A   STATE\n1   läuft\n10");
    }
}
