//! Regular expressions in Go's dialect (RE2), compiled with the `regex` crate.

use regex::{Regex, RegexBuilder};

/// Compiled patterns may take this much memory; a repetition of a repetition can ask for gigabytes.
const MAX_PATTERN_BYTES: usize = 4 << 20;

/// Compiles a Go pattern. The error is one line.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&ascii_classes(pattern))
        .size_limit(MAX_PATTERN_BYTES)
        .nest_limit(100)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => format!("compiles to more than {limit} bytes"),
            other => other
                .to_string()
                .lines()
                .last()
                .unwrap_or("not a pattern")
                .trim()
                .to_owned(),
        })
}

/// In Go `\d`, `\s` and `\w` are ASCII; in the `regex` crate they are Unicode, and far bigger when repeated.
fn ascii_classes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match (chars.next(), in_class) {
                (Some('d'), true) => out.push_str("0-9"),
                (Some('w'), true) => out.push_str("0-9A-Za-z_"),
                (Some('s'), true) => out.push_str("\\t\\n\\f\\r "),
                (Some('d'), false) => out.push_str("[0-9]"),
                (Some('w'), false) => out.push_str("[0-9A-Za-z_]"),
                (Some('s'), false) => out.push_str("[\\t\\n\\f\\r ]"),
                (Some('D'), false) => out.push_str("[^0-9]"),
                (Some('W'), false) => out.push_str("[^0-9A-Za-z_]"),
                (Some('S'), false) => out.push_str("[^\\t\\n\\f\\r ]"),
                (Some('b'), false) => out.push_str("(?-u:\\b)"),
                (Some(other), _) => {
                    out.push('\\');
                    out.push(other);
                }
                (None, _) => out.push('\\'),
            },
            // The `regex` crate reads `[` inside a class as a nested class; Go reads it as itself.
            '[' if in_class && !chars.as_str().starts_with(':') => out.push_str("\\["),
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if let Some(rest) = chars.as_str().strip_prefix('^') {
                    out.push('^');
                    chars = rest.chars();
                }
                if let Some(rest) = chars.as_str().strip_prefix(']') {
                    out.push_str("\\]");
                    chars = rest.chars();
                }
            }
            '[' => {
                // A named class such as `[:alpha:]`: copied up to its own end.
                let rest = chars.as_str();
                let end = rest.find(":]").map_or(rest.len(), |at| at + 2);
                out.push('[');
                out.push_str(&rest[..end]);
                chars = rest[end..].chars();
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            // Set operators of the `regex` crate that mean nothing in Go.
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r"^\d{3}$", "123", true)]
    #[case(r"^\d{3}$", "١٢٣", false)]
    #[case(r"^[\w.-]+$", "a_b.c-d", true)]
    #[case(r"^[[a]+$", "[a[", true)]
    #[case(r"^[]a]+$", "]a", true)]
    #[case(r"^[[:alpha:]]+$", "abc", true)]
    #[case(r"^[a&&b]+$", "a&b", true)]
    #[case(r"^[^\s]+$", "a b", false)]
    fn means_what_go_means(#[case] pattern: &str, #[case] text: &str, #[case] matches: bool) {
        assert_eq!(compile(pattern).unwrap().is_match(text), matches);
    }

    #[rstest]
    #[case("(")]
    #[case("a{1000}{1000}{1000}")]
    #[case("((((((((((a{99}){99}){99}){99}){99}){99}){99}){99}){99}){99})")]
    fn refuses(#[case] pattern: &str) {
        assert!(compile(pattern).is_err());
    }
}
