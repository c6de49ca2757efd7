//! The dotenv format, read strictly.
//!
//! A file is a sequence of `[export] NAME=VALUE` entries, blank lines and `#` comments. A value is
//! - bare: to the end of the line or to a `#` that follows a blank, trimmed;
//! - in single quotes: as it stands, over several lines if need be;
//! - in double quotes: over several lines if need be, with the escapes `\n` `\r` `\t` `\\` `\"` `\$`.
//!
//! Nothing is expanded: a `$` stands for itself, because a password may contain one. What other readers guess at (a name
//! given twice, text after a closing quote, an unknown escape) is refused here, with the line and never the value.

use std::collections::BTreeMap;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

/// The entries of a dotenv file by name.
pub type Dotenv = BTreeMap<String, SecretString>;

/// A line that is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The line, from 1, at which the entry begins.
    pub line: usize,
    /// What is wrong and how to mend it.
    pub problem: &'static str,
}

/// Parses the text of a dotenv file.
pub fn parse(bytes: &[u8]) -> Result<Dotenv, Malformed> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(wrong) => {
            let line = 1 + newlines(&bytes[..wrong.valid_up_to()]);
            return Err(Malformed {
                line,
                problem: "the line is not valid UTF-8; save the file as UTF-8",
            });
        }
    };
    let mut reader = Reader { rest: text, line: 1 };
    let mut entries = Dotenv::new();
    while reader.skip_to_entry() {
        let line = reader.line;
        let at = |problem| Malformed { line, problem };
        let name = reader.name().map_err(at)?;
        let value = reader.value().map_err(at)?;
        if entries
            .insert(name.to_owned(), SecretString::from(value.as_str()))
            .is_some()
        {
            return Err(at("this name was given before; keep one of the two lines"));
        }
    }
    Ok(entries)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    /// Moves past blank lines and comments; false at the end of the file.
    fn skip_to_entry(&mut self) -> bool {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
            if self.rest.is_empty() {
                return false;
            }
            if !self.rest.starts_with(['\n', '#']) {
                return true;
            }
            self.skip_line();
        }
    }

    fn skip_line(&mut self) {
        match self.rest.find('\n') {
            Some(end) => self.advance(end + 1),
            None => self.advance(self.rest.len()),
        }
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += newlines(passed.as_bytes());
        self.rest = rest;
    }

    /// Reads `[export] NAME=`.
    fn name(&mut self) -> Result<&'a str, &'static str> {
        if let Some(after) = self.rest.strip_prefix("export")
            && after.starts_with([' ', '\t'])
        {
            self.rest = after.trim_start_matches([' ', '\t']);
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let end = self.rest.find(|c| !valid(c)).unwrap_or(self.rest.len());
        let (name, after) = self.rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return Err(
                "expected NAME=VALUE, where NAME begins with a letter or '_' and holds letters, digits, '_', '.', '-'",
            );
        }
        match after.trim_start_matches([' ', '\t']).strip_prefix('=') {
            Some(after) => {
                self.rest = after.trim_start_matches([' ', '\t']);
                Ok(name)
            }
            None => Err("expected '=' after the name"),
        }
    }

    fn value(&mut self) -> Result<Zeroizing<String>, &'static str> {
        if let Some(after) = self.rest.strip_prefix('\'') {
            let end = after
                .find('\'')
                .ok_or("the single quote that opens here is never closed")?;
            let value = Zeroizing::new(after[..end].to_owned());
            self.advance(end + 2);
            self.end_of_entry()?;
            Ok(value)
        } else if self.rest.starts_with('"') {
            self.double_quoted()
        } else {
            self.bare()
        }
    }

    fn double_quoted(&mut self) -> Result<Zeroizing<String>, &'static str> {
        let mut value = Zeroizing::new(String::new());
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.advance(at + 1);
                    self.end_of_entry()?;
                    return Ok(value);
                }
                '\\' => value.push(match chars.next().map(|(_, escaped)| escaped) {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some(literal @ ('\\' | '"' | '$')) => literal,
                    _ => {
                        return Err(
                            "unknown escape in double quotes; use \\n \\r \\t \\\\ \\\" \\$ or single quotes",
                        );
                    }
                }),
                other => value.push(other),
            }
        }
        Err("the double quote that opens here is never closed")
    }

    fn bare(&mut self) -> Result<Zeroizing<String>, &'static str> {
        let line = self.rest.split('\n').next().unwrap_or_default();
        let comment = line
            .char_indices()
            .find(|&(at, c)| c == '#' && (at == 0 || line[..at].ends_with([' ', '\t'])))
            .map_or(line.len(), |(at, _)| at);
        let value = line[..comment].trim();
        if value.contains(['"', '\'']) {
            return Err("a quote inside a bare value; put the whole value in quotes");
        }
        let value = Zeroizing::new(value.to_owned());
        self.skip_line();
        Ok(value)
    }

    /// After a closing quote nothing but a comment may follow.
    fn end_of_entry(&mut self) -> Result<(), &'static str> {
        let line = self.rest.split('\n').next().unwrap_or_default().trim();
        if !line.is_empty() && !line.starts_with('#') {
            return Err("text after the closing quote; escape quotes inside the value or use the other kind");
        }
        self.skip_line();
        Ok(())
    }
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use secrecy::ExposeSecret;

    fn parsed(text: &str) -> Vec<(String, String)> {
        let entries = parse(text.as_bytes()).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        entries
            .into_iter()
            .map(|(name, value)| (name, value.expose_secret().to_owned()))
            .collect()
    }

    #[rstest]
    #[case::bare("A=b", &[("A", "b")])]
    #[case::bare_is_trimmed("A =  b c  \r\n", &[("A", "b c")])]
    #[case::empty("A=\nB=''\n", &[("A", ""), ("B", "")])]
    #[case::export("export A=b\nexport\tB=c", &[("A", "b"), ("B", "c")])]
    #[case::a_name_that_begins_with_export("exported=b", &[("exported", "b")])]
    #[case::comments("# one\n\n  # two\nA=b # three\n", &[("A", "b")])]
    #[case::hash_inside_a_word("A=b#c", &[("A", "b#c")])]
    #[case::value_that_is_a_comment("A= # nothing", &[("A", "")])]
    #[case::single_quotes(r"A='b \n # $c'", &[("A", r"b \n # $c")])]
    #[case::double_quotes(r#"A="b \"q\" \\ \$x" # c"#, &[("A", "b \"q\" \\ $x")])]
    #[case::escapes(r#"A="1\n2\t3\r""#, &[("A", "1\n2\t3\r")])]
    #[case::several_lines("A=\"1\n2\"\nB='3\n4'\nC=5", &[("A", "1\n2"), ("B", "3\n4"), ("C", "5")])]
    #[case::dollar_is_not_expanded("A=$HOME-${X}", &[("A", "$HOME-${X}")])]
    #[case::equals_in_the_value("A=b=c==", &[("A", "b=c==")])]
    #[case::dots_and_dashes("a.b-c=1", &[("a.b-c", "1")])]
    #[case::byte_order_mark("\u{feff}A=b", &[("A", "b")])]
    #[case::nothing("", &[])]
    fn reads(#[case] text: &str, #[case] expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|&(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        assert_eq!(parsed(text), expected);
    }

    #[rstest]
    #[case::no_equals("A=b\nhunter2\n", 2, "'='")]
    #[case::digit_first("1A=b", 1, "NAME=VALUE")]
    #[case::empty_name("=b", 1, "NAME=VALUE")]
    #[case::open_double("A=1\n\nB=\"hunter2\nmore", 3, "never closed")]
    #[case::open_single("A='hunter2", 1, "never closed")]
    #[case::after_quote("A=\"b\" hunter2", 1, "closing quote")]
    #[case::unknown_escape(r#"A="\q""#, 1, "unknown escape")]
    #[case::quote_in_bare("A=hunter2\"x", 1, "quote inside")]
    #[case::twice("A=1\nB=2\nA=hunter2", 3, "given before")]
    #[case::line_is_counted_through_values("A='1\n2\n3'\nhunter2", 4, "'='")]
    fn refuses(#[case] text: &str, #[case] line: usize, #[case] says: &str) {
        let wrong = parse(text.as_bytes()).unwrap_err();
        assert_eq!(wrong.line, line);
        assert!(wrong.problem.contains(says), "{}", wrong.problem);
        assert!(!wrong.problem.contains("hunter2"));
    }

    #[test]
    fn refuses_what_is_not_utf8() {
        assert_eq!(parse(b"A=b\nB=\xff\n").unwrap_err().line, 2);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[ -~\n\r\t\"'\\\\#=é]{0,200}") {
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn any_value_survives_double_quotes(value in any::<String>()) {
            let mut quoted = String::from("A=\"");
            for c in value.chars() {
                if matches!(c, '"' | '\\' | '$') {
                    quoted.push('\\');
                }
                quoted.push(c);
            }
            quoted.push_str("\"\n");
            prop_assert_eq!(parsed(&quoted), vec![("A".to_owned(), value)]);
        }
    }
}
