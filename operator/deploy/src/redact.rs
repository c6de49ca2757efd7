//! Taking the values of secrets out of what programs say.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

/// What stands in the place of a value.
const MASK: &str = "[redacted]";

/// Shorter values are looked for as they are only: their encoded forms would be found everywhere.
const ENCODED_FROM: usize = 4;

/// Takes the values of secrets out of texts: as they are, line by line, and in base64, percent-encoding, JSON and
/// hexadecimal.
pub(crate) struct Redactor {
    values: Option<AhoCorasick>,
}

impl Redactor {
    pub(crate) fn new(secrets: &BTreeMap<String, SecretString>) -> Self {
        let mut forms = BTreeSet::new();
        for secret in secrets.values() {
            let value = secret.expose_secret();
            add_forms(&mut forms, value);
            // Logs are cut into lines, and values of several lines (keys) with them.
            for line in value.lines().filter(|_| value.contains('\n')) {
                if line.trim().len() >= 8 {
                    add_forms(&mut forms, line.trim());
                }
            }
        }
        forms.remove("");
        // Building fails for patterns of gigabytes only: then nothing is let through.
        let values = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(forms)
            .ok();
        Self { values }
    }

    /// The text without the values.
    pub(crate) fn clean(&self, text: &str) -> String {
        let Some(values) = &self.values else {
            return MASK.to_owned();
        };
        let mut clean = String::with_capacity(text.len());
        let mut end = 0;
        for (from, to) in merged(values.find_overlapping_iter(text).map(|m| (m.start(), m.end()))) {
            clean.push_str(&text[end..from]);
            clean.push_str(MASK);
            end = to;
        }
        clean.push_str(&text[end..]);
        clean
    }

    /// The last lines of a text, without the values.
    pub(crate) fn tail(&self, text: &str, lines: usize) -> String {
        let clean = self.clean(text);
        let clean = clean.trim_end();
        let start = clean
            .rmatch_indices('\n')
            .nth(lines.saturating_sub(1))
            .map_or(0, |(newline, _)| newline + 1);
        clean[start..].to_owned()
    }
}

/// Ranges that overlap, made one. Matches of different lengths come in the order of their ends.
fn merged(ranges: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (mut from, to) in ranges {
        while let Some(&(last_from, last_to)) = merged.last()
            && last_to > from
        {
            from = from.min(last_from);
            merged.pop();
        }
        merged.push((from, to));
    }
    merged
}

fn add_forms(forms: &mut BTreeSet<String>, value: &str) {
    forms.insert(value.to_owned());
    forms.insert(value.trim().to_owned());
    if value.len() < ENCODED_FROM {
        return;
    }
    // Compose writes $ as $$ where it would be taken for a variable.
    forms.insert(value.replace('$', "$$"));
    forms.insert(hex::encode(value));
    forms.insert(hex::encode_upper(value));
    forms.extend(json_string(value));
    for keep in ["-._~", "-._~/", "-._*", "-_.!~*'()"] {
        let encoded = percent_encoded(value, keep);
        for form in [lower_case_escapes(&encoded), encoded] {
            forms.insert(form.replace("%20", "+"));
            forms.insert(form);
        }
    }
    for offset in 0..3 {
        forms.insert(base64_at(&STANDARD_NO_PAD, value, offset));
        forms.insert(base64_at(&URL_SAFE_NO_PAD, value, offset));
    }
}

fn json_string(value: &str) -> Option<String> {
    let quoted = serde_json::to_string(value).ok()?;
    Some(quoted[1..quoted.len() - 1].to_owned())
}

fn percent_encoded(value: &str, keep: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn lower_case_escapes(encoded: &str) -> String {
    let mut lower = String::with_capacity(encoded.len());
    let mut digits = 0;
    for c in encoded.chars() {
        lower.push(if digits > 0 { c.to_ascii_lowercase() } else { c });
        digits = if c == '%' { 2 } else { i32::max(digits - 1, 0) };
    }
    lower
}

/// The base64 digits that depend on nothing but the value, when it begins `offset` bytes (modulo three) into what is
/// encoded, as a password after a user's name does.
fn base64_at(engine: &impl Engine, value: &str, offset: usize) -> String {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(value.as_bytes());
    let digits = engine.encode(&bytes);
    let start = [0, 2, 3][offset];
    let end = if bytes.len().is_multiple_of(3) {
        digits.len()
    } else {
        digits.len() - 1
    };
    digits[start..end].to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn redactor(values: &[&str]) -> Redactor {
        let secret = |(i, value): (usize, &&str)| (format!("S{i}"), SecretString::from(*value));
        Redactor::new(&values.iter().enumerate().map(secret).collect())
    }

    #[rstest]
    #[case(&["hunter2"], "password is hunter2!", "password is [redacted]!")]
    #[case(&["abc", "bcd"], "xabcdx", "x[redacted]x")]
    #[case(&["abcdef", "cd"], "abcdef", "[redacted]")]
    #[case(&["a b/c&d"], "?p=a%20b%2Fc%26d&p=a+b%2fc%26d", "?p=[redacted]&p=[redacted]")]
    #[case(&["quo\"te"], r#"{"p":"quo\"te"}"#, r#"{"p":"[redacted]"}"#)]
    #[case(&["do$$llar$"], "do$$$$llar$$", "[redacted]")]
    #[case(&["first-line-of-key\nsecond-line-of-key"], "x\nsecond-line-of-key\n", "x\n[redacted]\n")]
    #[case(&[""], "nothing", "nothing")]
    #[case(&[], "nothing", "nothing")]
    fn values_are_masked(#[case] values: &[&str], #[case] text: &str, #[case] clean: &str) {
        assert_eq!(redactor(values).clean(text), clean);
    }

    #[test]
    fn tails_are_whole_lines() {
        assert_eq!(redactor(&["c"]).tail("a\nb\nc\n", 2), "b\n[redacted]");
        assert_eq!(redactor(&[]).tail("a\nb", 9), "a\nb");
    }

    proptest! {
        #[test]
        fn no_value_is_left(value in "[^\\[\\]redact]{1,40}", before in ".{0,20}", after in ".{0,20}", other in ".{1,10}") {
            let clean = redactor(&[&value, &other]).clean(&format!("{before}{value}{after}"));
            prop_assert!(!clean.contains(&value));
        }

        #[test]
        fn no_base64_of_a_value_is_left(value in "[a-zA-Z0-9]{6,40}", before in "[a-z:]{0,10}", after in "[a-z:]{0,10}") {
            let redactor = redactor(&[&value]);
            let whole = STANDARD_NO_PAD.encode(format!("{before}{value}{after}"));
            let clean = redactor.clean(&whole);
            prop_assert!(clean.contains(MASK), "{whole}");
            // What is around the mask decodes to no more than an edge of the value.
            let shown: usize = clean.split(MASK).map(str::len).sum();
            prop_assert!(shown * 3 <= (before.len() + after.len()) * 4 + 16, "{clean}");
        }

        #[test]
        fn texts_without_values_stay(text in "[a-m ]{0,60}") {
            prop_assert_eq!(redactor(&["NOPQ1234"]).clean(&text), text);
        }
    }
}
