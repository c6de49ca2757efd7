//! Values from environment variables of this process.

use std::ffi::OsString;
use std::fmt;

use async_trait::async_trait;
use homeport_bundle::SecretReference;
use secrecy::SecretString;

use crate::{Error, Source};

/// What every variable that is found by a secret's name begins with.
pub const PREFIX: &str = "HOMEPORT_SECRET_";

/// The name of a secret in the form of an environment variable: upper case, `-` and `.` as `_`.
pub fn variable_of(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '-' | '.' => '_',
            other => other.to_ascii_uppercase(),
        })
        .collect()
}

type Lookup = Box<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// Reads `HOMEPORT_SECRET_<NAME>`, or the variable that the reference's key names.
///
/// A variable that is set to nothing counts as not set: an empty password is a mistake more often than a wish.
pub struct EnvSource {
    lookup: Lookup,
}

impl EnvSource {
    /// A source over this process's environment.
    pub fn from_process() -> Self {
        Self::with_lookup(|variable| std::env::var_os(variable))
    }

    /// A source over any function from a variable's name to its value.
    pub fn with_lookup(lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self {
            lookup: Box::new(lookup),
        }
    }
}

impl fmt::Debug for EnvSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvSource").finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for EnvSource {
    fn name(&self) -> &str {
        "env"
    }

    async fn fetch(&self, reference: &SecretReference) -> Result<Option<SecretString>, Error> {
        let variable = match &reference.key {
            Some(key) => key.clone(),
            None => format!("{PREFIX}{}", variable_of(&reference.name)),
        };
        let Some(raw) = (self.lookup)(&variable) else {
            return Ok(None);
        };
        match raw.into_string() {
            Ok(value) if value.is_empty() => Ok(None),
            Ok(value) => Ok(Some(SecretString::from(value))),
            Err(_) => Err(Error::NotUnicode { variable }),
        }
    }
}
