//! The kubeconfig that leads clients here.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

use crate::Error;
use crate::private_file;

/// What a client must know; cluster, user and context are all named `homeport`.
#[derive(Debug)]
pub struct Kubeconfig<'a> {
    /// `https://host:port`.
    pub server: &'a str,
    /// The certificate authority to trust, PEM.
    pub ca_pem: &'a str,
    /// The bearer token.
    pub token: &'a SecretString,
}

impl Kubeconfig<'_> {
    /// Writes the file whole or not at all, with mode 0600.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: homeport\n\
             \x20 cluster:\n\
             \x20   server: {server}\n\
             \x20   certificate-authority-data: {authority}\n\
             users:\n\
             - name: homeport\n\
             \x20 user:\n\
             \x20   token: {token}\n\
             contexts:\n\
             - name: homeport\n\
             \x20 context:\n\
             \x20   cluster: homeport\n\
             \x20   user: homeport\n\
             \x20   namespace: default\n\
             current-context: homeport\n",
            // JSON strings are YAML strings, whatever they hold.
            server = serde_json::Value::from(self.server),
            authority = STANDARD.encode(self.ca_pem),
            token = serde_json::Value::from(self.token.expose_secret()),
        );
        private_file::write(path, text.as_bytes())
    }
}
