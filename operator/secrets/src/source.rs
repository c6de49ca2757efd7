//! Where values come from.

use async_trait::async_trait;
use homeport_bundle::{SecretReference, SecretSource};
use secrecy::SecretString;

use crate::Error;

/// Something that may know the value of a secret.
#[async_trait]
pub trait Source: Send + Sync {
    /// The name by which bindings and references ask for this source, such as `env`.
    fn name(&self) -> &str;

    /// The value of a reference, or `None` if this source has none.
    ///
    /// `reference.key` is set only where it was written for this source; otherwise the source looks by name.
    async fn fetch(&self, reference: &SecretReference) -> Result<Option<SecretString>, Error>;
}

/// The name of a source as bundles and bindings write it.
pub fn source_name(source: SecretSource) -> &'static str {
    match source {
        SecretSource::Manual => "manual",
        SecretSource::Env => "env",
        SecretSource::File => "file",
        SecretSource::AwsSecretsManager => "aws-secrets-manager",
        SecretSource::GcpSecretManager => "gcp-secret-manager",
        SecretSource::AzureKeyVault => "azure-key-vault",
        SecretSource::HashicorpVault => "hashicorp-vault",
        SecretSource::Kubernetes => "kubernetes",
    }
}
