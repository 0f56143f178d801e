//! An authority made for one test, and TLS before a plain server: it ends the encryption, and takes
//! down who showed a certificate.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::home::write_private;

/// Issues certificates; its files go with it.
pub(crate) struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate and its key, as files.
pub(crate) struct Issued {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let directory =
            tempfile::Builder::new().prefix("mcp-front-authority-").tempdir().expect("a temporary directory");
        write_private(&directory.path().join("roots.pem"), &certificate.pem());
        Self { directory, certificate: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// The file that holds the authority's own certificate.
    pub(crate) fn roots(&self) -> String {
        self.directory.path().join("roots.pem").to_string_lossy().into_owned()
    }

    /// A certificate for `name`, good for both ends of a connection.
    pub(crate) fn issue(&self, name: &str) -> Issued {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let number = self.directory.path().read_dir().expect("it is readable").count();
        let file = |end: &str| self.directory.path().join(format!("{number}.{end}"));
        let issued = Issued { certificate: file("pem"), key: file("key") };
        write_private(&issued.certificate, &certificate.pem());
        write_private(&issued.key, &key.serialize_pem());
        issued
    }
}

impl Authority {
    /// What serves `name`; it asks for a certificate of `clients`, and refuses who shows none.
    pub(crate) fn config(&self, name: &str, clients: Option<&Self>) -> ServerConfig {
        let issued = self.issue(name);
        let chain = vec![CertificateDer::from_pem_file(&issued.certificate).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_file(&issued.key).expect("a key");
        let builder = match clients {
            None => ServerConfig::builder().with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.certificate.clone()).expect("a root");
                let verifier = WebPkiClientVerifier::builder(roots.into()).build().expect("a verifier");
                ServerConfig::builder().with_client_cert_verifier(verifier)
            }
        };
        builder.with_single_cert(chain, key).expect("the key fits")
    }
}

/// TLS before a plain server. It ends with the test's process.
pub(crate) struct TlsFront {
    address: SocketAddr,
    /// Whether each connection that came to be showed a certificate.
    shown: Arc<Mutex<Vec<bool>>>,
}

impl TlsFront {
    /// Serves `name` for the plain server at `inner`; asks for a certificate of `clients`, and
    /// refuses who shows none.
    pub(crate) fn start(
        name: &str,
        inner: SocketAddr,
        authority: &Authority,
        clients: Option<&Authority>,
    ) -> Self {
        let config = authority.config(name, clients);
        let shown = Arc::<Mutex<Vec<bool>>>::default();
        let seen = Arc::clone(&shown);
        let address = super::connect_proxy::listen(move |stream| {
            let (acceptor, seen) = (TlsAcceptor::from(Arc::new(config.clone())), Arc::clone(&seen));
            async move {
                let Ok(mut outer) = acceptor.accept(stream).await else { return };
                seen.lock().unwrap().push(outer.get_ref().1.peer_certificates().is_some());
                if let Ok(mut inner) = TcpStream::connect(inner).await {
                    let _ = copy_bidirectional(&mut outer, &mut inner).await;
                }
            }
        });
        Self { address, shown }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether each connection so far showed a certificate.
    pub(crate) fn shown(&self) -> Vec<bool> {
        self.shown.lock().unwrap().clone()
    }
}
