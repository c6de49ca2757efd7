//! Secrets wrapped in base64.
//!
//! A text that contains `password` contains, once encoded, one of three strings, by where the word falls in the groups of
//! three bytes that base64 works on. Those strings are keywords like any other; around a hit the whole run is decoded and
//! the result is scanned.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::Surroundings;

/// Texts that begin or name a secret and are long enough to be rare once encoded.
const LITERALS: &[&str] = &[
    "-----BEGIN",
    "AIza",
    "AKIA",
    "PASSWORD",
    "Password",
    "SECRET",
    "Secret",
    "TOKEN",
    "amqp://",
    "api_key",
    "ghp_",
    "glpat-",
    "mongodb",
    "mysql:/",
    "passwd",
    "password",
    "postgres",
    "private_key",
    "redis:/",
    "secret",
    "sk_live_",
    "xoxb-",
    "xoxp-",
];

/// A literal in one of its three encoded forms.
#[derive(Debug, Clone)]
pub(super) struct Literal {
    /// The encoded form, without the characters that depend on what stands around it.
    pub(super) text: Vec<u8>,
    /// Which character of a group of four it begins with.
    phase: usize,
}

/// All literals in all their encoded forms.
pub(super) fn literals() -> Vec<Literal> {
    let mut all = Vec::new();
    for literal in LITERALS {
        for before in 0..3 {
            let mut padded = vec![0; before];
            padded.extend_from_slice(literal.as_bytes());
            let encoded = STANDARD_NO_PAD.encode(&padded);
            // Six bits a character: the first whole one after the padding, the last whole one before the end.
            let first = (before * 8).div_ceil(6);
            let last = padded.len() * 8 / 6;
            all.push(Literal {
                text: encoded.as_bytes()[first..last].to_vec(),
                phase: first,
            });
        }
    }
    all
}

impl Literal {
    /// Whether the literal stands there in its exact case, which in base64 matters.
    pub(super) fn is_at(&self, block: &[u8], at: usize) -> bool {
        block[at..].starts_with(&self.text)
    }

    /// Decodes the run of base64 around the place, as far as may be looked.
    pub(super) fn decode_around(&self, place: Surroundings<'_>) -> Vec<u8> {
        let block = place.block;
        let before = block[place.line_start()..place.at]
            .iter()
            .rev()
            .take_while(|byte| is_base64(**byte))
            .count();
        let Some(groups_before) = before.checked_sub(self.phase).map(|characters| characters / 4) else {
            return Vec::new();
        };
        let start = place.at - self.phase - groups_before * 4;
        let run: Vec<u8> = block[start..place.horizon()]
            .iter()
            .take_while(|byte| is_base64(**byte))
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                other => *other,
            })
            .collect();
        let whole = run.len() / 4 * 4;
        // Two or three characters over make one or two bytes more, but only if their spare bits are zero.
        STANDARD_NO_PAD
            .decode(&run)
            .or_else(|_| STANDARD_NO_PAD.decode(&run[..whole]))
            .unwrap_or_default()
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}
