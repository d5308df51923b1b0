//! TLS handshakes that show who is there: the chain is taken as it comes, and judged afterwards by Go's rules.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tradewind_core::UnixMillis;

use super::certificate::Certificate;
use super::noting::{Noting, Stream};
use super::roots::Roots;

/// Why there is no TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoTls {
    /// The connection is reset.
    Reset,
    /// The connection is closed.
    Closed,
    /// Nothing comes within the limit.
    Silent,
    /// What answers speaks something else: its first bytes.
    Plain(Vec<u8>),
    /// The server says no, or something that TLS does not have; the words of the library.
    Other(String),
}

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset => f.write_str("the connection is reset"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::Silent => f.write_str("nothing comes"),
            Self::Plain(bytes) => {
                let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let line: String = String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).take(60).collect();
                write!(f, "what answers is not TLS: it says {line:?}")
            }
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// Why go does not trust a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// It ends at nobody that the system knows.
    UnknownIssuer,
    /// The server's certificate is one of another host.
    WrongName,
    /// A certificate is not valid any more.
    Expired,
    /// A certificate is not valid yet.
    NotYetValid,
    /// Something else; the library's words.
    Other(String),
}

/// A handshake that came about.
pub(crate) struct Handshake<S> {
    /// The stream.
    pub(crate) stream: TlsStream<Noting<S>>,
    /// The chain that the server showed, its own certificate first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

/// Shakes hands over `stream` with a server that is called `name`, whatever it shows.
///
/// # Errors
/// When no TLS comes about within `limit`.
pub(crate) async fn handshake<S: Stream>(stream: S, name: &str, limit: Duration) -> Result<Handshake<S>, NoTls> {
    let server = ServerName::try_from(name.to_owned())
        .map_err(|_| NoTls::Other("the host is no name that TLS could ask for".to_owned()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let seen = Arc::new(Seeing { chain: Mutex::new(Vec::new()), provider: provider.clone() });
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config
        .expect("the provider has what these versions need")
        .dangerous()
        .with_custom_certificate_verifier(seen.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let (stream, first) = Noting::new(stream);
    let connecting = TlsConnector::from(Arc::new(config)).connect(server, stream);
    match tokio::time::timeout(limit, connecting).await {
        Err(_) => Err(NoTls::Silent),
        Ok(Ok(stream)) => {
            let chain = seen.chain.lock().expect("nothing panics while it holds this lock").clone();
            Ok(Handshake { stream, chain })
        }
        Ok(Err(error)) => Err(kind(&error, &first.bytes())),
    }
}

fn kind(error: &io::Error, first: &[u8]) -> NoTls {
    // The types of TLS records are 20 to 23.
    if first.first().is_some_and(|byte| !(20..=23).contains(byte)) {
        return NoTls::Plain(first.to_vec());
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => NoTls::Reset,
        io::ErrorKind::UnexpectedEof => NoTls::Closed,
        _ => NoTls::Other(error.to_string()),
    }
}

/// Whether go would trust `chain` for `host` at `now`: it looks at the dates, then at the name, then at who signed.
///
/// # Errors
/// The first of these that is wrong.
pub(crate) fn judge(
    chain: &[CertificateDer<'static>],
    host: &str,
    roots: &Roots,
    now: UnixMillis,
) -> Result<(), Distrust> {
    let Some((own, others)) = chain.split_first() else {
        return Err(Distrust::Other("the server shows no certificate".to_owned()));
    };
    let Some(certificate) = Certificate::parse(own) else {
        return Err(Distrust::Other("the server's certificate cannot be read".to_owned()));
    };
    if now < certificate.from {
        return Err(Distrust::NotYetValid);
    }
    if now > certificate.until {
        return Err(Distrust::Expired);
    }
    if !certificate.is_for(host) {
        return Err(Distrust::WrongName);
    }
    // A certificate that is a root itself is trusted as it is, also one of an authority, which webpki refuses.
    if roots.certificates.contains(own) {
        return Ok(());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // Without any root no verifier can be made.
    let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(roots.store.clone(), provider).build() else {
        return Err(Distrust::UnknownIssuer);
    };
    let server = ServerName::try_from(host.to_owned()).map_err(|_| Distrust::WrongName)?;
    let now = UnixTime::since_unix_epoch(Duration::from_millis(now.0));
    match verifier.verify_server_cert(own, others, &server, &[], now) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(error)) => Err(distrust(error)),
        Err(error) => Err(Distrust::Other(error.to_string())),
    }
}

fn distrust(error: CertificateError) -> Distrust {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Distrust::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Distrust::WrongName,
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Distrust::UnknownIssuer,
        // A root that stands as a server's certificate, and is none of the known ones.
        CertificateError::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => Distrust::UnknownIssuer,
        error => Distrust::Other(error.to_string()),
    }
}

/// Takes every chain and keeps it. What a server signs in the handshake is checked all the same.
#[derive(Debug)]
struct Seeing {
    chain: Mutex<Vec<CertificateDer<'static>>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Seeing {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(own).chain(others).map(|certificate| certificate.clone().into_owned());
        *self.chain.lock().expect("nothing panics while it holds this lock") = chain.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, own, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, own, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
