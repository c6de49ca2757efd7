//! `secrets/secrets-manifest.json`: which secrets an application needs and where each comes from. Never a value.

use serde::{Deserialize, Serialize};

use super::Extra;
use crate::problem::{Problem, Problems};

/// The secrets that a bundle needs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SecretsManifest {
    /// References, by unique names.
    #[serde(default)]
    pub secrets: Vec<SecretReference>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Where one secret comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretReference {
    /// Name of the environment variable that the target reads.
    pub name: String,
    /// Where its value is looked up.
    pub source: SecretSource,
    /// Name of the secret at its source; without it, `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What a person should enter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether deployment must wait for it.
    #[serde(default = "yes")]
    pub required: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The sources of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// A person enters it.
    Manual,
    /// An environment variable.
    Env,
    /// A local file.
    File,
    /// AWS Secrets Manager.
    AwsSecretsManager,
    /// Google Cloud Secret Manager.
    GcpSecretManager,
    /// Azure Key Vault.
    AzureKeyVault,
    /// HashiCorp Vault or OpenBao.
    HashicorpVault,
    /// A Kubernetes Secret.
    Kubernetes,
}

fn yes() -> bool {
    true
}

impl SecretReference {
    /// What the secret is called at its source.
    pub fn lookup_key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.name)
    }
}

impl SecretsManifest {
    /// Where it is in a bundle.
    pub const PATH: &str = "secrets/secrets-manifest.json";

    /// The reference of that name.
    pub fn get(&self, name: &str) -> Option<&SecretReference> {
        self.secrets.iter().find(|secret| secret.name == name)
    }

    /// What is wrong with the references.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of(Self::PATH);
        problems.unique_names("secrets", self.secrets.iter().map(|secret| secret.name.as_str()));
        for (i, secret) in self.secrets.iter().enumerate() {
            if !is_variable_name(&secret.name) {
                let remedy = "use letters, digits and _, not beginning with a digit: it becomes an environment variable";
                problems.add(format!("secrets[{i}].name"), &secret.name, remedy);
            }
            // A `value` field is the one unknown field that no later version will bring.
            if ["value", "default"]
                .iter()
                .any(|field| secret.extra.contains_key(*field))
            {
                let remedy = "a bundle holds no values: remove the field and give the value when importing";
                problems.add(format!("secrets[{i}].value"), "(not shown)", remedy);
            }
        }
        problems.into_vec()
    }
}

/// A name that POSIX shells take for a variable.
fn is_variable_name(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
