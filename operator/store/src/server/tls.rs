//! The serving identity: a certificate authority of our own, and a certificate that it issues at each start.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Error;
use crate::private_file;

/// What clients trust and what the server presents.
///
/// Only the authority is kept (`ca.crt`, `ca.key`, mode 0600), so that a kubeconfig stays valid across restarts.
/// The serving certificate is issued anew each time, for the names that the server then has.
pub struct ServingIdentity {
    directory: PathBuf,
    authority: String,
    issuance: Arc<Issuance>,
}

/// The serving certificate on its way. The first random number of a process takes long, as the library first tries its
/// sources of randomness; so that happens beside the rest of the start.
struct Issuance {
    params: CertificateParams,
    issuer: Issuer<'static, KeyPair>,
    issued: OnceLock<Result<Issued, rcgen::Error>>,
}

struct Issued {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Issuance {
    /// The certificate with its key; waits for whoever is making it already.
    fn issued(&self) -> Result<&Issued, Error> {
        let issue = || {
            let key = KeyPair::generate()?;
            let certificate = self.params.signed_by(&key, &self.issuer)?;
            Ok(Issued {
                certificate: certificate.der().clone(),
                key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            })
        };
        match self.issued.get_or_init(issue) {
            Ok(issued) => Ok(issued),
            Err(error) => Err(Error::Certificate(error.clone())),
        }
    }
}

impl ServingIdentity {
    /// Loads the authority from `directory`, or creates it, and issues a certificate for `localhost`, the loopback
    /// addresses and `hosts` (names or addresses).
    ///
    /// # Errors
    /// [`Error::Io`] if the files cannot be read or written, [`Error::Certificate`] if a key is damaged or a host
    /// is not a valid name.
    pub fn load_or_create(directory: &Path, hosts: &[String]) -> Result<Self, Error> {
        let (certificate_path, key_path) = (directory.join("ca.crt"), directory.join("ca.key"));
        let kept = match (
            private_file::read(&certificate_path)?,
            private_file::read(&key_path)?,
        ) {
            (Some(certificate), Some(key)) => Some((certificate, KeyPair::from_pem(&key)?)),
            _ => None,
        };
        let (authority, authority_key) = match kept {
            Some(kept) => kept,
            None => {
                let issuer = CertifiedIssuer::self_signed(authority_params()?, KeyPair::generate()?)?;
                // The key first: a certificate without its key would be replaced at the next start.
                private_file::write(&key_path, issuer.key().serialize_pem().as_bytes())?;
                private_file::write(&certificate_path, issuer.pem().as_bytes())?;
                (issuer.pem(), KeyPair::from_pem(&issuer.key().serialize_pem())?)
            }
        };
        let issuance = Arc::new(Issuance {
            params: serving_params(hosts)?,
            issuer: Issuer::new(authority_params()?, authority_key),
            issued: OnceLock::new(),
        });
        let ahead = Arc::clone(&issuance);
        std::thread::Builder::new()
            .name("issue-certificate".to_owned())
            // Whoever needs the certificate is told how it went.
            .spawn(move || drop(ahead.issued()))
            .map_err(Error::Thread)?;
        Ok(ServingIdentity {
            directory: directory.to_owned(),
            authority,
            issuance,
        })
    }

    /// The authority's certificate, which clients must trust.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.authority
    }

    pub(super) fn server_config(&self) -> Result<rustls::ServerConfig, Error> {
        let unusable = |what: String| Error::Identity {
            path: self.directory.clone(),
            what,
        };
        let authority = CertificateDer::from_pem_slice(self.authority.as_bytes())
            .map_err(|error| unusable(error.to_string()))?;
        let issued = self.issuance.issued()?;
        let chain = vec![issued.certificate.clone(), authority];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, issued.key.clone_key())
            .map_err(|error| unusable(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl std::fmt::Debug for ServingIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServingIdentity")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// The same at each start: an issued certificate names its issuer by these.
fn authority_params() -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "homeport-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn serving_params(hosts: &[String]) -> Result<CertificateParams, Error> {
    let loopback = [
        "localhost",
        "127.0.0.1",
        "::1",
        "kubernetes",
        "kubernetes.default.svc",
    ];
    let mut names: Vec<String> = loopback.map(str::to_owned).to_vec();
    // Any address there is cannot be a subject; clients use one of the names above.
    let unspecified = |host: &str| {
        host.parse::<IpAddr>()
            .is_ok_and(|address| address.is_unspecified())
    };
    for host in hosts.iter().filter(|host| !unspecified(host)) {
        if !names.contains(host) {
            names.push(host.clone());
        }
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "homeport");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_authority_survives_a_restart_and_bad_hosts_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let first = ServingIdentity::load_or_create(directory.path(), &[]).unwrap();
        let hosts = [
            "10.0.0.7".to_owned(),
            "0.0.0.0".to_owned(),
            "box.example".to_owned(),
        ];
        let second = ServingIdentity::load_or_create(directory.path(), &hosts).unwrap();
        assert_eq!(first.ca_pem(), second.ca_pem());
        let certificate =
            |identity: &ServingIdentity| identity.issuance.issued().unwrap().certificate.clone();
        assert_ne!(certificate(&first), certificate(&second));
        second.server_config().unwrap();
        assert!(ServingIdentity::load_or_create(directory.path(), &["bücher".to_owned()]).is_err());
    }
}
