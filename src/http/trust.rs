//! Certificates that the user brings: roots to trust beside the platform's, and one of the user's
//! own to show to the endpoint (mutual TLS).
//!
//! Both are read whole before the first request, so that a bad file is told as such.

use reqwest::{Certificate, Identity};
use zeroize::Zeroizing;

/// What is wrong with a file of certificates or keys; a clause about the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No certificate is in it.
    #[error("holds no PEM certificate")]
    NoCertificate,
    /// What is in it cannot be used.
    #[error("holds a certificate that cannot be read")]
    BadCertificate,
    /// No key is in it, or an encrypted one.
    #[error("holds no PEM private key, or an encrypted one")]
    NoKey,
    /// The key is another certificate's, or of a kind that is not known.
    #[error("holds a private key that does not fit the certificate")]
    OtherKey,
}

/// Root certificates beside the platform's.
#[derive(Debug, Clone)]
pub struct RootCertificates(Vec<Certificate>);

impl RootCertificates {
    /// Reads the certificates of a PEM file.
    ///
    /// # Errors
    /// [`CertificateError`] where there is none, or one that cannot be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let certificates = certificates(pem)?;
        // Such a client is not used: this only tries them, without the platform's own.
        let tried = reqwest::Client::builder().tls_certs_only(certificates.clone()).build();
        tried.map(|_| Self(certificates)).map_err(|_| CertificateError::BadCertificate)
    }

    pub(super) fn apply(&self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        builder.tls_certs_merge(self.0.iter().cloned())
    }
}

/// The user's own certificate with its private key.
#[derive(Debug, Clone)]
pub struct ClientCertificate(Identity);

impl ClientCertificate {
    /// Reads a certificate chain and its private key, both in PEM; one file may hold both.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        certificates(chain)?;
        let both = match chain == key {
            true => Zeroizing::new(chain.to_vec()),
            false => Zeroizing::new([chain, b"\n", key].concat()),
        };
        let identity = Identity::from_pem(&both).map_err(|_| CertificateError::NoKey)?;
        let tried = reqwest::Client::builder().tls_certs_only([]).identity(identity.clone()).build();
        tried.map(|_| Self(identity)).map_err(|_| CertificateError::OtherKey)
    }

    pub(super) fn apply(&self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        builder.identity(self.0.clone())
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    let found = Certificate::from_pem_bundle(pem).map_err(|_| CertificateError::BadCertificate)?;
    if found.is_empty() { Err(CertificateError::NoCertificate) } else { Ok(found) }
}
