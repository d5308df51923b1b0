//! TLS towards targets and proxies. The certificates of targets are always verified; there is no switch to turn that off. A
//! proxy's own is not where its `skip-cert-verify` says so, which is warned about at each start; what goes through that proxy
//! with TLS of its own is verified all the same.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::Http2;

/// The certificate authorities that are trusted: the system's, or those of a file. Clones are the same.
#[derive(Clone, Debug)]
pub struct Roots(Source);

#[derive(Clone, Debug)]
enum Source {
    /// Read when the first client needs them.
    System(Arc<OnceLock<Arc<RootCertStore>>>),
    Given(Arc<RootCertStore>),
}

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
    /// The system's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured). They are read once, when the first
    /// route with TLS is made, which takes some ten milliseconds: a start without such routes does not. Unreadable ones
    /// are left out: what they signed is then refused, which is the safe side.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(Arc::default()))
    }

    /// No authority at all: for routes without TLS.
    #[must_use]
    pub fn none() -> Self {
        Self(Source::Given(Arc::new(RootCertStore::empty())))
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
        Ok(Self(Source::Given(Arc::new(store))))
    }

    fn store(&self) -> &Arc<RootCertStore> {
        match &self.0 {
            Source::Given(store) => store,
            Source::System(store) => store.get_or_init(|| {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                Arc::new(store)
            }),
        }
    }

    pub(crate) fn client(&self, http2: Http2) -> Arc<ClientConfig> {
        let mut config = self.config(Verified::Yes);
        config.alpn_protocols = match http2 {
            Http2::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Http2::PriorKnowledge => vec![b"h2".to_vec()],
            Http2::Never => vec![b"http/1.1".to_vec()],
        };
        Arc::new(config)
    }

    /// For TLS to a proxy itself, which speaks `protocol`: a name of ALPN, or none.
    pub(crate) fn proxy_client(&self, protocol: Option<&[u8]>, verified: Verified) -> Arc<ClientConfig> {
        let mut config = self.config(verified);
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        Arc::new(config)
    }

    /// Without ALPN.
    pub(crate) fn config(&self, verified: Verified) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring supports the default TLS versions");
        match verified {
            Verified::Yes => builder.with_root_certificates(self.store().clone()).with_no_client_auth(),
            Verified::No => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth()
            }
        }
    }
}

/// Whether the certificate of the other side is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    Yes,
    /// `skip-cert-verify` of a proxy.
    No,
}

/// Takes any certificate; that the other side has its key is checked all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Egress, EgressSettings, Origin, Spawner};
    use tradewind_core::{Clock, Moment, UnixMillis};

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Moment {
            Moment::START
        }

        fn wall(&self) -> UnixMillis {
            UnixMillis(0)
        }
    }

    #[test]
    fn the_systems_authorities_are_read_once_and_only_for_tls() {
        let egress = Egress::new(Arc::new(Still), Spawner::new(|_| {}), EgressSettings::default());
        let roots = Roots::system();
        let Source::System(store) = &roots.0 else { panic!("{roots:?}") };
        let route = |url: &str, roots: &Roots| egress.route(Origin::parse(url).unwrap(), Http2::Auto, roots, "", None);
        let _plain = route("http://127.0.0.1:9", &roots);
        assert!(store.get().is_none(), "no route with TLS");
        let _tls = route("https://127.0.0.1:9", &roots.clone());
        let first = store.get().expect("a route with TLS, through a clone").clone();
        let _more = route("https://127.0.0.2:9", &roots);
        assert!(Arc::ptr_eq(&first, store.get().unwrap()));
    }
}
