//! TLS on the listener: the certificate from its files, and the handshake.
//!
//! TLS 1.2 and 1.3, HTTP/1.1 only. A peer that speaks plain HTTP here gets a TLS alert and is closed: answering it in
//! the clear would teach clients to send their key in the clear.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tradewind_runtime::{Live, files};

/// The largest file of certificates or keys.
const LARGEST_FILE: u64 = 1024 * 1024;

/// The certificate that the listener shows. New connections see a new one at once, present ones keep theirs.
#[derive(Debug)]
pub struct Tls(Live<ServerConfig>);

/// A certificate with its private key, ready to be shown.
#[derive(Debug)]
pub struct Certificate(ServerConfig);

impl Certificate {
    /// Reads the PEM files of a certificate, its own first, and of its private key.
    ///
    /// # Errors
    /// When a file cannot be used; the message names it.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        configure(cert, key).map(Self)
    }
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, io::Error),
    /// A file that is not PEM.
    #[error("{0} is not PEM: {1}")]
    NotPem(PathBuf, pem::Error),
    /// No certificate in the file of certificates.
    #[error("{0} holds no certificate (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate(PathBuf),
    /// No key in the file of the key.
    #[error("{0} holds no private key that is not encrypted (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey(PathBuf),
    /// The key of another certificate.
    #[error("the key in {key} is not the key of the first certificate in {cert}")]
    NotItsKey {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// A certificate or key that TLS cannot use.
    #[error("{0} cannot be used: {1}")]
    Unusable(PathBuf, rustls::Error),
}

impl Tls {
    /// Shows this certificate.
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        Self(Live::new(certificate.0))
    }

    /// Shows this one from now on.
    pub fn show(&self, certificate: Certificate) {
        self.0.swap(certificate.0);
    }

    /// Does the handshake, which may take up to `limit`. `None` when the peer does not manage it: whoever does not
    /// speak TLS cannot be told why.
    pub(crate) async fn accept(&self, stream: TcpStream, limit: Duration) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.0.get());
        tokio::time::timeout(limit, acceptor.accept(stream)).await.ok()?.ok()
    }
}

fn configure(cert: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let read = |path: &Path| {
        files::read_text(path, LARGEST_FILE).map_err(|error| TlsError::Unreadable(path.to_owned(), error))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(read(cert)?.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::NotPem(cert.to_owned(), error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(cert.to_owned()));
    }
    let private = PrivateKeyDer::from_pem_slice(read(key)?.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(key.to_owned()),
        error => TlsError::NotPem(key.to_owned(), error),
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions")
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::NotItsKey { cert: cert.to_owned(), key: key.to_owned() },
            rustls::Error::InvalidCertificate(_) => TlsError::Unusable(cert.to_owned(), error),
            error => TlsError::Unusable(key.to_owned(), error),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
