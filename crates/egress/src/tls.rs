//! TLS towards targets: certificates are always verified; there is no switch to turn that off.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::Http2;

/// The certificate authorities that are trusted: the system's, or those of a file.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

/// Why a file of certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// Not readable or not PEM.
    #[error("{0} cannot be read as PEM certificates: {1}")]
    NotPem(String, rustls_pki_types::pem::Error),
    /// No certificate inside.
    #[error("{0} holds no certificate")]
    Empty(String),
    /// A certificate that cannot be a root.
    #[error("{0} holds a certificate that is not acceptable: {1}")]
    NotRoot(String, rustls::Error),
}

impl Roots {
    /// The system's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured). Unreadable ones are left out: what
    /// they signed is then refused, which is the safe side.
    #[must_use]
    pub fn system() -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self(Arc::new(store))
    }

    /// No authority at all: for routes without TLS.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(RootCertStore::empty()))
    }

    /// The authorities of the PEM file at `path`, in place of the system's.
    ///
    /// # Errors
    /// When the file is not readable, not PEM, or holds no usable certificate.
    pub fn from_file(path: &Path) -> Result<Self, RootsError> {
        let name = path.display().to_string();
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| RootsError::NotPem(name.clone(), error))?;
        if certificates.is_empty() {
            return Err(RootsError::Empty(name));
        }
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            store.add(certificate).map_err(|error| RootsError::NotRoot(name.clone(), error))?;
        }
        Ok(Self(Arc::new(store)))
    }

    pub(crate) fn client(&self, http2: Http2) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default TLS versions")
            .with_root_certificates(self.0.clone())
            .with_no_client_auth();
        config.alpn_protocols = match http2 {
            Http2::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Http2::PriorKnowledge => vec![b"h2".to_vec()],
            Http2::Never => vec![b"http/1.1".to_vec()],
        };
        Arc::new(config)
    }
}
