//! Whether what stands in the place of a secret is a value, or stands for one.
//!
//! References (`${DB_PASSWORD}`, `{{ .Values.password }}`, `/run/secrets/db`, `op://vault/item`) and placeholders (`<password>`,
//! `****`) are what a bundle should hold. The default inside `${DB_PASSWORD:-hunter2}` is a value.

use super::file_kind::FileKind;
use super::key;

/// Beginnings of values that say where the secret is kept.
const POINTERS: &[&str] = &[
    "arn:",
    "aws-secrets-manager:",
    "azure-key-vault:",
    "enc[",
    "env:",
    "file:",
    "gcp-secret-manager:",
    "hashicorp-vault:",
    "keyvault:",
    "op://",
    "projects/",
    "ref+",
    "secretref:",
    "secretsmanager:",
    "sm://",
    "ssm:",
    "vault:",
];
/// Ends of values that are the names of files.
const FILES: &[&str] = &[
    ".asc", ".cer", ".conf", ".crt", ".der", ".env", ".gpg", ".jks", ".json", ".key", ".p12", ".pem", ".pfx",
    ".pub", ".txt", ".yaml", ".yml",
];
/// Values that say that there is none, and the names of types.
const NOTHING: &[&str] = &[
    "",
    "~",
    "-",
    "null",
    "none",
    "nil",
    "undefined",
    "true",
    "false",
    "string",
    "str",
    "redacted",
];
/// What values to be filled in contain, in documents and templates.
const PLACEHOLDER_PARTS: &[&str] = &[
    "change",
    "dummy",
    "example",
    "fixme",
    "here",
    "insert",
    "placeholder",
    "replace",
    "sample",
    "todo",
    "your",
    "xxx",
];
/// What values to be filled in are, in documents and templates.
const PLACEHOLDER_WORDS: &[&str] = &["pass", "passwd", "password", "secret", "token", "value", "..."];

/// Whether a value in the place of a password is one.
pub(super) fn is_password(value: &[u8], kind: FileKind) -> bool {
    literal(value, kind).is_some()
}

/// Whether a value in the place of a secret of this class is one.
pub(super) fn is_secret(value: &[u8], class: key::Class, kind: FileKind) -> bool {
    let Some(text) = literal(value, kind) else {
        return false;
    };
    let is_path = || text.contains('/') && is_plain_name(&text);
    match class {
        key::Class::Password => true,
        key::Class::Variable => !(is_other_than_secret(&text) || is_variable_name(&text) || is_path()),
        key::Class::Named => !(is_other_than_secret(&text) || is_name_of_secret(&text) || is_path()),
        key::Class::Vague => {
            text.len() >= 6
                && !(is_other_than_secret(&text) || is_name_of_secret(&text) || is_lower_case_name(&text))
        }
    }
}

/// Text or number that nobody would take for an API key.
fn is_other_than_secret(text: &str) -> bool {
    let is_number = text.len() < 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.len() < 4 || text.contains(char::is_whitespace) || is_number
}

/// `GITHUB_TOKEN`, in the place of a value, names another variable.
fn is_variable_name(text: &str) -> bool {
    text.contains('_') && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

/// `db-password` or `DB_PASSWORD` in the place of a token names another setting.
fn is_name_of_secret(text: &str) -> bool {
    let one_word = matches!(
        text.to_ascii_lowercase().as_str(),
        "password" | "secret" | "token"
    );
    let named = text.contains(['-', '_', '.', '/']) && key::classify(text).is_some();
    one_word || named && !text.bytes().any(|b| b.is_ascii_digit())
}

fn is_plain_name(text: &str) -> bool {
    text.bytes().all(|b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':')
    })
}

fn is_lower_case_name(text: &str) -> bool {
    is_plain_name(text) && !text.bytes().any(|b| b.is_ascii_digit())
}

/// The part of a value that is meant as it stands; `None` if nothing of it is.
fn literal(value: &[u8], kind: FileKind) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let text = text.trim();
    if is_enclosed_name(text) || is_filler(text) || is_pointer(text) {
        return None;
    }
    let stripped = strip_references(text);
    let text = stripped.text.trim();
    if NOTHING.contains(&text.to_ascii_lowercase().as_str()) || is_filler(text) || is_pointer(text) {
        return None;
    }
    // What is left beside a reference is mostly punctuation or a scheme, such as `base64:` or `Bearer`.
    let mixed = |text: &str| {
        text.len() >= 6
            && !text.ends_with(':')
            && text.bytes().any(|b| b.is_ascii_digit())
            && text.bytes().any(|b| b.is_ascii_alphabetic())
    };
    if stripped.had_reference && !stripped.had_default && !mixed(text) {
        return None;
    }
    if kind.has_placeholder_words() && is_placeholder_word(text) {
        return None;
    }
    Some(text.to_owned())
}

/// `<password>`, `%PASSWORD%`, `@PASSWORD@`, `__PASSWORD__`, `[[password]]`, `((password))`, `{PASSWORD}`.
fn is_enclosed_name(text: &str) -> bool {
    [
        ("<", ">"),
        ("%", "%"),
        ("@", "@"),
        ("__", "__"),
        ("[[", "]]"),
        ("((", "))"),
        ("[", "]"),
        ("{", "}"),
    ]
    .iter()
    .any(|(open, close)| {
        text.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|name| {
                !name.is_empty()
                    && name
                        .chars()
                        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | ':'))
            })
    })
}

/// `****`, `xxxx`, `sk_live_...`
fn is_filler(text: &str) -> bool {
    let first = text.bytes().next();
    let repeated =
        first.is_some_and(|first| b"xX*.-_?#".contains(&first) && text.bytes().all(|b| b == first));
    repeated || text.ends_with("...") || text.ends_with('…')
}

/// A path, the name of a file, or the address of a secret in some store.
fn is_pointer(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_path_text = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'~' | b'@'));
    let rooted = ["/", "./", "../", "~/"].iter().any(|root| text.starts_with(root));
    let deep = text.matches('/').count() >= 2
        || text.starts_with('.')
        || text.starts_with('~')
        || text.contains('.');
    POINTERS.iter().any(|pointer| lower.starts_with(pointer))
        || is_path_text && (rooted && deep || FILES.iter().any(|end| lower.ends_with(end)))
}

fn is_placeholder_word(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    PLACEHOLDER_WORDS.contains(&lower.as_str()) || PLACEHOLDER_PARTS.iter().any(|part| lower.contains(part))
}

struct Stripped {
    text: String,
    had_reference: bool,
    had_default: bool,
}

/// Takes references out of a value and puts their defaults in their place.
fn strip_references(text: &str) -> Stripped {
    const BRACKETS: [(&str, &str); 6] = [
        ("{{", "}}"),
        ("<%", "%>"),
        ("#{", "}"),
        ("$(", ")"),
        ("%(", ")s"),
        ("[[", "]]"),
    ];
    let mut stripped = Stripped {
        text: String::new(),
        had_reference: false,
        had_default: false,
    };
    let mut rest = text;
    if let Some(name) = rest.strip_prefix("$$")
        && !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    {
        // Compose's way to leave `$NAME` to the shell in the container.
        return Stripped {
            had_reference: true,
            ..stripped
        };
    }
    if let Some(after) = rest.strip_prefix('$')
        && !after.starts_with(['$', '{', '('])
    {
        let end = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(after.len());
        stripped.had_reference = true;
        // `$1`, `$@`, `$NAME`: the sign and one character at least.
        rest = after.get(end.max(1)..).unwrap_or_default();
    } else if rest.starts_with('`') {
        return Stripped {
            had_reference: true,
            ..stripped
        };
    }
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("$$") {
            // An escaped sign, unless a brace makes it a reference for the shell in the container.
            if after.starts_with('{') {
                rest = &rest[1..];
            } else {
                stripped.text.push('$');
                rest = after;
            }
        } else if rest.starts_with("${") {
            let (inside, after) = split_braces(&rest[1..]);
            stripped.had_reference = true;
            let default = default_of(inside);
            if !default.is_empty() {
                let inner = strip_references(default);
                stripped.had_default |= !inner.had_reference || inner.had_default;
                stripped.text.push_str(&inner.text);
            }
            rest = after;
        } else if let Some((open, close)) = BRACKETS.iter().find(|(open, _)| rest.starts_with(open)) {
            stripped.had_reference = true;
            rest = rest[open.len()..]
                .split_once(close)
                .map_or("", |(_, after)| after);
        } else {
            stripped.text.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    stripped
}

/// Splits `{…}…` after the brace that closes the first; an open one encloses everything.
fn split_braces(text: &str) -> (&str, &str) {
    let mut depth = 0_u32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return (&text[1..at], &text[at + 1..]),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    (&text[1..], "")
}

/// What `NAME:-default` and its kin (shell, Compose, Spring) fall back to.
pub(super) fn default_of(inside: &str) -> &str {
    let end = inside
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    for operator in [":-", ":=", ":+", "-", "=", "+"] {
        if let Some(default) = rest.strip_prefix(operator) {
            return default;
        }
    }
    // Spring's `${DB_PASSWORD:hunter2}`; in lower case the word before the colon names a store, as in `${ssm:/path}`.
    let is_variable = !name.bytes().any(|b| b.is_ascii_lowercase());
    match rest.strip_prefix(':') {
        Some(default) if is_variable && !default.starts_with('?') => default,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("hunter2")]
    #[case("postgres")]
    #[case("123456")]
    #[case("password")]
    #[case("changeme")]
    #[case("pa$$word")]
    #[case("pa$sword")]
    #[case("${DB_PASSWORD:-hunter2}")]
    #[case("${DB_PASSWORD-hunter2}")]
    #[case("${A:-${B:-hunter2}}")]
    #[case("${DB_PASSWORD:hunter2}")]
    #[case("hunter2${EMPTY}")]
    #[case("/hunter2")]
    fn values(#[case] text: &str) {
        assert!(is_password(text.as_bytes(), FileKind::Config), "{text}");
    }

    #[rstest]
    #[case("")]
    #[case("${DB_PASSWORD}")]
    #[case("${DB_PASSWORD:?set it}")]
    #[case("${DB_PASSWORD:-}")]
    #[case("${A:-${B}}")]
    #[case("${var.password}")]
    #[case("${ssm:/prod/db}")]
    #[case("$DB_PASSWORD")]
    #[case("$1")]
    #[case("$$POSTGRES_PASSWORD")]
    #[case("$${POSTGRES_PASSWORD}")]
    #[case("$(cat /run/secrets/db)")]
    #[case("`pass show db`")]
    #[case("{{ .Values.password }}")]
    #[case("{{password}}")]
    #[case("<%= ENV['X'] %>")]
    #[case("#{password}")]
    #[case("%(password)s")]
    #[case("<password>")]
    #[case("<your password>")]
    #[case("%DB_PASSWORD%")]
    #[case("@DB_PASSWORD@")]
    #[case("__DB_PASSWORD__")]
    #[case("((db-password))")]
    #[case("[REDACTED]")]
    #[case("****")]
    #[case("xxxxxxxx")]
    #[case("...")]
    #[case("/run/secrets/db_password")]
    #[case("./secrets/db.txt")]
    #[case("server.key")]
    #[case("arn:aws:secretsmanager:eu-west-1:1:secret:db")]
    #[case("op://vault/db/password")]
    #[case("aws-secrets-manager:prod/db")]
    #[case("ENC[AES256_GCM,data:x]")]
    #[case("null")]
    #[case("base64:${APP_KEY}")]
    #[case("Bearer ${TOKEN}")]
    fn stand_ins(#[case] text: &str) {
        assert!(!is_password(text.as_bytes(), FileKind::Config), "{text}");
    }

    #[rstest]
    #[case("changeme")]
    #[case("your-password-here")]
    #[case("password")]
    #[case("REPLACE_ME")]
    fn words_stand_in_for_values_only_in_templates_and_prose(#[case] text: &str) {
        assert!(is_password(text.as_bytes(), FileKind::Config));
        assert!(!is_password(text.as_bytes(), FileKind::Template));
        assert!(!is_password(text.as_bytes(), FileKind::Prose));
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>(), odd in "[${}:<>%#()`\\-a-z]{0,40}") {
            let _ = is_password(text.as_bytes(), FileKind::Config);
            let _ = is_password(odd.as_bytes(), FileKind::Config);
        }
    }
}
