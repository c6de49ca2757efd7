//! `password: hunter2`, in the spellings that configuration, scripts and source code have for it.

use super::Surroundings;
use super::file_kind::FileKind;
use super::key::{self, Class};
use super::value;

/// The longest name that is read, in bytes.
const LONGEST_NAME: usize = 96;

/// What was read around a keyword.
pub(super) struct Read {
    /// Where the name that holds the keyword ends; keywords before belong to the same name.
    pub(super) key_end: usize,
    /// The rule that is broken, if the name is given a value.
    pub(super) rule: Option<&'static str>,
}

/// A value as it is written.
struct Written<'a> {
    text: &'a [u8],
    quoted: bool,
    /// More words follow on the line: a sentence, or a value with blanks in it.
    more_words: bool,
}

/// Reads the assignment whose name contains the keyword at the given place.
pub(super) fn read(place: Surroundings<'_>, keyword_end: usize, kind: FileKind) -> Read {
    let block = place.block;
    let (line_start, line_end) = (place.line_start(), place.line_end().max(keyword_end));
    let before = block[line_start..place.at]
        .iter()
        .rev()
        .take(LONGEST_NAME)
        .take_while(|b| is_name(**b))
        .count();
    let after = block[keyword_end..line_end]
        .iter()
        .take(LONGEST_NAME)
        .take_while(|b| is_name(**b))
        .count();
    let (start, key_end) = (place.at - before, keyword_end + after);

    let line = Line {
        before: &block[line_start..start],
        name: &block[start..key_end],
        after: &block[key_end..line_end],
        next: &block[line_end..place.horizon().max(line_end)],
    };
    let rule = line.value().and_then(|written| judge(&line, &written, kind));
    Read { key_end, rule }
}

/// The rule that is broken by giving the name this value.
fn judge(line: &Line<'_>, written: &Written<'_>, kind: FileKind) -> Option<&'static str> {
    let name = String::from_utf8_lossy(line.name);
    let class = key::classify(name.trim_matches(['-', '.']))?;
    let kind = if kind == FileKind::Config && line.is_comment() {
        FileKind::Prose
    } else {
        kind
    };
    is_secret(written, class, kind, line.in_string()).then_some(match class {
        Class::Password => "password-assignment",
        Class::Variable | Class::Named | Class::Vague => "secret-assignment",
    })
}

fn is_secret(written: &Written<'_>, class: Class, kind: FileKind, in_string: bool) -> bool {
    let is_expression = kind == FileKind::Code && !written.quoted;
    let is_call = !written.quoted && written.text.contains(&b'(') && written.text.ends_with(b")");
    let is_sentence = written.more_words
        && (class != Class::Password || kind == FileKind::Prose || in_string)
        || written.quoted && is_text_about_passwords(written.text);
    !is_expression && !is_call && !is_sentence && value::is_secret(written.text, class, kind)
}

/// `"Enter your password"`: a label or a message, not a value.
fn is_text_about_passwords(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.contains(&b' ')
        && [&b"password"[..], b"passphrase"]
            .iter()
            .any(|w| lower.windows(w.len()).any(|x| x == *w))
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// A line around a name.
struct Line<'a> {
    before: &'a [u8],
    name: &'a [u8],
    after: &'a [u8],
    /// What follows the line, from its newline on.
    next: &'a [u8],
}

impl<'a> Line<'a> {
    fn is_comment(&self) -> bool {
        let start = self.before.trim_ascii_start();
        let opens = [&b"#"[..], b"//", b"--", b";", b"*", b"<!--"]
            .iter()
            .any(|mark| start.starts_with(mark));
        let contains = |mark: &[u8]| self.before.windows(mark.len()).any(|part| part == mark);
        opens
            || [&b" -- "[..], b" // ", b" # ", b"\t# "]
                .iter()
                .any(|mark| contains(mark))
    }

    /// Whether the name stands in a string that goes on after it.
    fn in_string(&self) -> bool {
        self.before.iter().filter(|b| **b == b'"').count() % 2 == 1 && !self.after.starts_with(b"\"")
    }

    /// What the name is given, if it is given anything.
    fn value(&self) -> Option<Written<'a>> {
        if self.before.ends_with(b"${") {
            return self.default_of_variable();
        }
        if self.before.ends_with(b"::") {
            return None;
        }
        if self.before.ends_with(b"<") && self.after.starts_with(b">") {
            let content = &self.after[1..];
            let end = content.iter().position(|b| *b == b'<')?;
            return Some(Written {
                text: &content[..end],
                quoted: true,
                more_words: false,
            });
        }
        let rest = skip_closing(self.after);
        let was_quoted = rest.len() < self.after.len();
        let blank_follows = rest.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
        let rest = skip_blanks(rest);
        if let Some((after, is_colon)) = separator(rest) {
            // psql interpolates :'name', and in arn:aws:secretsmanager:x:1:secret:name the word is part of an address.
            if is_colon && (blank_follows && after.starts_with(b"'") || self.before.ends_with(b":")) {
                return None;
            }
            return self.after_separator(after, is_colon);
        }
        if let Some(pair) = self.value_of_pair(rest) {
            return Some(pair);
        }
        if was_quoted {
            // `"--requirepass", "hunter2"` and `define('DB_PASSWORD', 'hunter2')`
            let listed = self.name.starts_with(b"--") || self.is_argument();
            let after = rest.strip_prefix(b",").filter(|_| listed)?;
            return quoted(skip_blanks(after));
        }
        if blank_follows && self.takes_next_word() {
            return word(rest).or_else(|| quoted(rest));
        }
        // SQL: PASSWORD 'hunter2'
        let is_sql = self.name.eq_ignore_ascii_case(b"password") && blank_follows && rest.starts_with(b"'");
        if is_sql { quoted(rest) } else { None }
    }

    /// `${DB_PASSWORD:-hunter2}`
    fn default_of_variable(&self) -> Option<Written<'a>> {
        let inside = &self.after[..self
            .after
            .iter()
            .position(|b| *b == b'}')
            .unwrap_or(self.after.len())];
        let operator = [&b":-"[..], b":=", b":+", b"-", b"=", b"+"]
            .into_iter()
            .find(|o| inside.starts_with(o))?;
        Some(Written {
            text: &inside[operator.len()..],
            quoted: true,
            more_words: false,
        })
    }

    /// `name: DB_PASSWORD` and, next to it or on the next line, `value: hunter2`; in JSON, YAML and XML.
    fn value_of_pair(&self, rest: &'a [u8]) -> Option<Written<'a>> {
        let rest = rest.strip_prefix(b",").unwrap_or(rest);
        let rest = if rest.trim_ascii_start().is_empty() {
            self.next
        } else {
            rest
        };
        let rest = skip_opening(rest.trim_ascii_start());
        let (label, after) = rest.split_at_checked(b"value".len())?;
        if !label.eq_ignore_ascii_case(b"value") {
            return None;
        }
        let (after, _) = separator(skip_blanks(skip_closing(after)))?;
        let after = skip_blanks(after);
        quoted(after).or_else(|| word(after))
    }

    fn is_argument(&self) -> bool {
        let call = self.before.strip_suffix(b"'").or(self.before.strip_suffix(b"\""));
        call.is_some_and(|call| call.trim_ascii_end().ends_with(b"("))
    }

    /// Spellings in which a blank stands between name and value.
    fn takes_next_word(&self) -> bool {
        let before = self.before.trim_ascii();
        let directive = ["env", "arg", "setenv", "fastcgi_param", "uwsgi_param"]
            .iter()
            .any(|directive| before.eq_ignore_ascii_case(directive.as_bytes()));
        let is_redis = [&b"requirepass"[..], b"masterauth"].contains(&self.name) && before.is_empty();
        let mut words_before = before.rsplit(u8::is_ascii_whitespace);
        let is_netrc = self.name == b"password" && words_before.nth(1) == Some(b"login");
        self.name.starts_with(b"--") || directive || is_redis || is_netrc
    }

    fn after_separator(&self, after: &'a [u8], is_colon: bool) -> Option<Written<'a>> {
        let mut rest = skip_blanks(after);
        // YAML: a tag or an anchor may stand before the value.
        if is_colon {
            while rest.starts_with(b"&") || rest.starts_with(b"!!") {
                let end = rest.iter().position(u8::is_ascii_whitespace)?;
                rest = skip_blanks(&rest[end..]);
            }
            if rest.starts_with(b"!") {
                return None;
            }
            let is_block = |rest: &[u8]| {
                matches!(rest.first(), Some(b'|' | b'>'))
                    && rest[1..].iter().all(|b| b"+-0123456789 \r".contains(b))
            };
            if is_block(rest) {
                let text = self.next.trim_ascii_start();
                let end = text.iter().position(|b| *b == b'\n').unwrap_or(text.len());
                return Some(Written {
                    text: text[..end].trim_ascii(),
                    quoted: true,
                    more_words: false,
                });
            }
        }
        quoted(rest).or_else(|| word(rest)).map(|written| {
            let more = is_colon && !written.quoted && {
                let end = rest.len().min(written.text.len());
                let following = rest[end..].trim_ascii_start();
                rest.get(end) == Some(&b' ') && following.first().is_some_and(u8::is_ascii_alphabetic)
            };
            Written {
                more_words: more,
                ..written
            }
        })
    }
}

/// Moves past what closes a name: quotes, escaped or not, and the bracket of an index.
fn skip_closing(text: &[u8]) -> &[u8] {
    let quote = text.iter().take_while(|b| **b == b'\\').count();
    let text = match text.get(quote) {
        Some(b'"' | b'\'' | b'`') => &text[quote + 1..],
        _ => text,
    };
    text.strip_prefix(b"]").unwrap_or(text)
}

fn skip_opening(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"")
        .or(text.strip_prefix(b"'"))
        .unwrap_or(text)
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    &text[blanks..]
}

/// Moves past what stands between a name and its value; true if it is a colon.
fn separator(text: &[u8]) -> Option<(&[u8], bool)> {
    for sign in [&b"=>"[..], b":=", b"?="] {
        if let Some(after) = text.strip_prefix(sign) {
            return Some((after, false));
        }
    }
    match text {
        // A comparison, a match, or a path such as `Secret::new`.
        [b'=', b'=' | b'~', ..] | [b':', b':', ..] => None,
        [b'=', after @ ..] => Some((after, false)),
        [b':', after @ ..] => Some((after, true)),
        _ => None,
    }
}

/// A value in quotes, which may themselves be escaped and may have a prefix as in Python.
fn quoted(text: &[u8]) -> Option<Written<'_>> {
    let text = match text {
        [b'f' | b'r' | b'b' | b'u' | b'F' | b'R' | b'B' | b'U', rest @ ..]
            if matches!(rest.first(), Some(b'"' | b'\'')) =>
        {
            rest
        }
        _ => text,
    };
    let escapes = text.iter().take_while(|b| **b == b'\\').count();
    let quote = *text.get(escapes).filter(|b| matches!(b, b'"' | b'\'' | b'`'))?;
    let opening = &text[..=escapes];
    let content = &text[opening.len()..];
    let mut at = 0;
    while at < content.len() {
        if content[at..].starts_with(opening) && (escapes > 0 || at == 0 || content[at - 1] != b'\\') {
            break;
        }
        at += 1;
    }
    // A backtick runs a command, in every language that is likely here.
    let text = if quote == b'`' { opening } else { &content[..at] };
    Some(Written {
        text,
        quoted: true,
        more_words: false,
    })
}

/// A bare value: to the next blank or delimiter that is outside of brackets.
fn word(text: &[u8]) -> Option<Written<'_>> {
    let text = match text.first()? {
        b'<' => {
            let end = text
                .iter()
                .position(|b| *b == b'>')
                .map_or(text.len(), |end| end + 1);
            return Some(Written {
                text: &text[..end],
                quoted: false,
                more_words: false,
            });
        }
        // A list, a map, an alias, an option.
        b'[' if !text.starts_with(b"[[") => return None,
        b'{' if !text.starts_with(b"{{") => return None,
        b'(' if !text.starts_with(b"((") => return None,
        b'*' | b'-' => return None,
        _ => text,
    };
    let mut depth = 0_u32;
    let end = text.iter().position(|byte| {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' if depth > 0 => {
                depth -= 1;
                return false;
            }
            _ => {}
        }
        depth == 0 && (byte.is_ascii_whitespace() || b",;&\"'`)]}<>|\\".contains(byte))
    });
    let text = &text[..end.unwrap_or(text.len())];
    (!text.is_empty()).then_some(Written {
        text,
        quoted: false,
        more_words: false,
    })
}
