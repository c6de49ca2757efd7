//! The bearer token: making it, keeping it, comparing it.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::private_file;

/// Reads the token kept at `path`, or makes one of 256 random bits and keeps it there with mode 0600.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read or written.
pub fn load_or_create_token(path: &Path) -> Result<SecretString, Error> {
    if let Some(kept) = private_file::read(path)?.filter(|kept| !kept.trim().is_empty()) {
        return Ok(SecretString::from(kept.trim().to_owned()));
    }
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    private_file::write(path, token.as_bytes())?;
    Ok(SecretString::from(token))
}

/// Knows the token without keeping it.
#[derive(Clone)]
pub(super) struct Authenticator {
    digest: [u8; 32],
}

impl Authenticator {
    pub(super) fn new(token: &SecretString) -> Self {
        Authenticator {
            digest: Sha256::digest(token.expose_secret()).into(),
        }
    }

    /// Whether the request carries the token. Compares digests, so that the time taken tells nothing of the token.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Some((scheme, token)) = value.split_once(' ') else {
            return false;
        };
        let digest: [u8; 32] = Sha256::digest(token.trim()).into();
        let difference = digest
            .iter()
            .zip(&self.digest)
            .fold(0, |sum, (a, b)| sum | (a ^ b));
        scheme.eq_ignore_ascii_case("bearer") && difference == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[rstest::rstest]
    #[case(Some("Bearer secret"), true)]
    #[case(Some("bearer  secret "), true)]
    #[case(Some("Bearer secret2"), false)]
    #[case(Some("Basic secret"), false)]
    #[case(Some("secret"), false)]
    #[case(Some("Bearer "), false)]
    #[case(None, false)]
    fn admits_only_the_token(#[case] header: Option<&str>, #[case] admitted: bool) {
        let authenticator = Authenticator::new(&SecretString::from("secret"));
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header.parse().unwrap());
        }
        assert_eq!(authenticator.admits(&headers), admitted);
    }

    #[test]
    fn the_token_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let first = load_or_create_token(&path).unwrap();
        assert_eq!(
            first.expose_secret(),
            load_or_create_token(&path).unwrap().expose_secret()
        );
        assert_eq!(first.expose_secret().len(), 43);
    }
}
