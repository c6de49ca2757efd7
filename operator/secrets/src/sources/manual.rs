//! Values that a person handed in: typed at a prompt, or posted to the API.

use std::collections::BTreeMap;

use async_trait::async_trait;
use homeport_bundle::SecretReference;
use secrecy::{ExposeSecret, SecretString};

use crate::{Error, Source};

/// A source that knows what it was given, by name.
#[derive(Debug, Default)]
pub struct ManualSource {
    values: BTreeMap<String, SecretString>,
}

impl ManualSource {
    /// A source that holds these values by the name of their reference.
    pub fn new(values: BTreeMap<String, SecretString>) -> Self {
        Self { values }
    }
}

#[async_trait]
impl Source for ManualSource {
    fn name(&self) -> &str {
        "manual"
    }

    async fn fetch(&self, reference: &SecretReference) -> Result<Option<SecretString>, Error> {
        let wanted = reference.key.as_deref().unwrap_or(&reference.name);
        Ok(self
            .values
            .get(wanted)
            .filter(|value| !value.expose_secret().is_empty())
            .cloned())
    }
}
