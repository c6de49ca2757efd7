//! Whether the name of a setting is the name of a secret.

/// How sure a name is about its value being a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// `POSTGRES_PASSWORD`: whatever stands there is a password, however weak.
    Password,
    /// `JWT_SECRET`: a variable, whose value is used as it stands unless it has the form of a path.
    Variable,
    /// `clientSecret`, `api_key`: a value, unless it has the form of a path or is the name of another secret.
    Named,
    /// `secret`, `token`: as often the name of a secret as its value, so only what is no plain word counts.
    Vague,
}

/// Texts of which every such name contains one.
pub(super) const KEYWORDS: &[&str] = &[
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "cred",
    "masterauth",
    "pw",
];

/// Ends of words that mean a password.
const PASSWORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "masterauth",
];
/// Words that end in `pass` and mean none.
const OTHER_PASSES: &[&str] = &[
    "bypass",
    "minipass",
    "compass",
    "encompass",
    "overpass",
    "surpass",
    "trespass",
    "underpass",
];
/// What `proxy_pass http://backend` and its kin begin with.
const PASSING_ON: &[&str] = &["proxy", "fastcgi", "uwsgi", "scgi", "grpc", "memcached"];
/// Ends of single words that mean a key which is secret.
const KEYS: &[&str] = &[
    "apikey",
    "secretkey",
    "accesskey",
    "authkey",
    "privatekey",
    "masterkey",
    "signingkey",
    "encryptionkey",
];
/// Words before `key` that make it secret.
const KEY_QUALIFIERS: &[&str] = &[
    "access",
    "account",
    "aes",
    "api",
    "app",
    "application",
    "auth",
    "authentication",
    "cipher",
    "crypto",
    "deploy",
    "encrypt",
    "encryption",
    "hmac",
    "jwt",
    "master",
    "private",
    "secret",
    "session",
    "shared",
    "sign",
    "signing",
    "subscription",
    "symmetric",
    "webhook",
];
/// Words before `secret` or `token` that make sure that a value follows.
const VALUE_QUALIFIERS: &[&str] = &[
    "access", "api", "app", "auth", "bearer", "bot", "client", "consumer", "cookie", "deploy", "hmac", "jwt",
    "oauth", "refresh", "session", "shared", "signing", "webhook",
];
/// Words before the secret one that make the setting something else: `public_key`, `requires_password`.
const HARMLESS_BEFORE: &[&str] = &[
    "allow",
    "ask",
    "change",
    "confirm",
    "continuation",
    "csrf",
    "disable",
    "enable",
    "existing",
    "force",
    "forgot",
    "has",
    "hide",
    "input",
    "is",
    "max",
    "min",
    "need",
    "no",
    "output",
    "page",
    "prompt",
    "pub",
    "public",
    "publishable",
    "pull",
    "require",
    "required",
    "requires",
    "reset",
    "show",
    "use",
    "verify",
    "without",
    "xsrf",
];
/// Words after the secret one that make the setting something about it: `password_file`, `token_ttl`, `secretName`.
const HARMLESS_AFTER: &[&str] = &[
    "age",
    "alg",
    "algorithm",
    "arn",
    "attempts",
    "attribute",
    "audience",
    "authentication",
    "backend",
    "bucket",
    "chars",
    "class",
    "column",
    "command",
    "count",
    "dir",
    "directory",
    "disabled",
    "enabled",
    "encoding",
    "encryption",
    "endpoint",
    "env",
    "exists",
    "expiration",
    "expire",
    "expires",
    "expiry",
    "field",
    "file",
    "files",
    "format",
    "header",
    "help",
    "hint",
    "history",
    "id",
    "ids",
    "issuer",
    "key",
    "label",
    "len",
    "length",
    "lifetime",
    "limit",
    "manager",
    "max",
    "message",
    "method",
    "min",
    "mode",
    "mount",
    "name",
    "names",
    "namespace",
    "param",
    "parameter",
    "path",
    "paths",
    "pattern",
    "placeholder",
    "policy",
    "prefix",
    "prompt",
    "provider",
    "recovery",
    "ref",
    "reference",
    "regex",
    "required",
    "reset",
    "retries",
    "rotation",
    "rules",
    "scope",
    "selector",
    "size",
    "source",
    "stdin",
    "store",
    "strength",
    "suffix",
    "timeout",
    "title",
    "ttl",
    "type",
    "uri",
    "url",
    "validation",
    "validator",
    "var",
    "variable",
    "version",
    "volume",
];

/// Judges a name as it is written; `None` if it is not the name of a secret.
pub(super) fn classify(name: &str) -> Option<Class> {
    let words = words(name);
    let (at, class) = (0..words.len())
        .rev()
        .find_map(|at| Some((at, class_at(&words, at, name)?)))?;
    let any_of = |words: &[String], list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if any_of(&words[..at], HARMLESS_BEFORE) || any_of(&words[at + 1..], HARMLESS_AFTER) {
        return None;
    }
    let is_variable = name
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    Some(if is_variable && class != Class::Password {
        Class::Variable
    } else {
        class
    })
}

/// What the word at this place means, together with the one before.
fn class_at(words: &[String], at: usize, name: &str) -> Option<Class> {
    let word = words[at].trim_end_matches(|c: char| c.is_ascii_digit());
    let before = at.checked_sub(1).map(|at| words[at].as_str());
    let follows = |list: &[&str]| before.is_some_and(|before| list.contains(&before));
    let ends_in = |list: &[&str]| list.iter().any(|end| word.ends_with(end));

    if word == "pw" {
        return Some(Class::Password);
    }
    if ends_in(PASSWORDS) {
        // PWD alone is the shell's working directory.
        let working_directory = word.ends_with("pwd") && name.ends_with("PWD") && words.len() == 1;
        return (!working_directory).then_some(Class::Password);
    }
    if word.ends_with("pass") {
        return (!OTHER_PASSES.contains(&word) && !follows(PASSING_ON)).then_some(Class::Password);
    }
    if ends_in(KEYS) || word == "key" && follows(KEY_QUALIFIERS) {
        return Some(Class::Named);
    }
    if ends_in(&["secret", "token", "credential", "credentials", "creds"]) {
        return Some(if follows(VALUE_QUALIFIERS) {
            Class::Named
        } else {
            Class::Vague
        });
    }
    None
}

/// The words of a name in lower case, split at `_`, `-`, `.` and at the humps of camel case.
fn words(name: &str) -> Vec<String> {
    let bytes = name.as_bytes();
    let mut words = vec![String::new()];
    for (at, &byte) in bytes.iter().enumerate() {
        if !byte.is_ascii_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let after_lower = at > 0 && bytes[at - 1].is_ascii_lowercase();
        let ends_acronym = at > 0
            && bytes[at - 1].is_ascii_uppercase()
            && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        if byte.is_ascii_uppercase() && (after_lower || ends_acronym) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(byte.to_ascii_lowercase() as char);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("POSTGRES_PASSWORD", Some(Class::Password))]
    #[case("dbPassword", Some(Class::Password))]
    #[case("PGPASSWORD", Some(Class::Password))]
    #[case("spring.datasource.password", Some(Class::Password))]
    #[case("PASSWORD_WEBSHOP", Some(Class::Password))]
    #[case("default_pass", Some(Class::Password))]
    #[case("requirepass", Some(Class::Password))]
    #[case("password2", Some(Class::Password))]
    #[case("DB_PWD", Some(Class::Password))]
    #[case("client_secret", Some(Class::Named))]
    #[case("JWT_SECRET", Some(Class::Variable))]
    #[case("TOKEN", Some(Class::Variable))]
    #[case("LDAP_BIND_PW", Some(Class::Password))]
    #[case("SECRET_KEY_BASE", Some(Class::Variable))]
    #[case("AWS_SECRET_ACCESS_KEY", Some(Class::Variable))]
    #[case("apiKey", Some(Class::Named))]
    #[case("AccountKey", Some(Class::Named))]
    #[case("secret", Some(Class::Vague))]
    #[case("token", Some(Class::Vague))]
    #[case("POSTGRES_PASSWORD_FILE", None)]
    #[case("passwordFile", None)]
    #[case("secretName", None)]
    #[case("existingSecret", None)]
    #[case("imagePullSecrets", None)]
    #[case("AWS_ACCESS_KEY_ID", None)]
    #[case("password_encryption", None)]
    #[case("max_tokens", None)]
    #[case("tokenizer", None)]
    #[case("server_tokens", None)]
    #[case("proxy_pass", None)]
    #[case("PWD", None)]
    #[case("OLDPWD", None)]
    #[case("public_key", None)]
    #[case("primary_key", None)]
    #[case("key", None)]
    #[case("monkey", None)]
    #[case("bypass", None)]
    #[case("token_url", None)]
    #[case("secretKeyRef", None)]
    #[case("existingSecretPasswordKey", None)]
    fn names(#[case] name: &str, #[case] expected: Option<Class>) {
        assert_eq!(classify(name), expected);
    }
}
