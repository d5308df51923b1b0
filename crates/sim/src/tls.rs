//! Certificates of every kind: one authority that a test may trust, and a right or wrong leaf for each TLS fault.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use crate::server::SimError;
use crate::{SimFault, TlsOptions};

/// The faults that choose a certificate.
const WRONG: [SimFault; 4] =
    [SimFault::TlsExpired, SimFault::TlsWrongHost, SimFault::TlsUntrusted, SimFault::TlsSelfSigned];

/// What a sim with TLS holds.
pub(crate) struct Certificates {
    ca_pem: String,
    right: TlsAcceptor,
    wrong: Vec<(SimFault, TlsAcceptor)>,
}

impl Certificates {
    pub(crate) fn new(options: TlsOptions) -> Result<Self, SimError> {
        let (ca_pem, trusted) = authority("Tradewind sim")?;
        let (_, stranger) = authority("Nobody's authority")?;
        let right = acceptor(options, None, &trusted, &stranger)?;
        let mut wrong = Vec::new();
        for fault in WRONG {
            wrong.push((fault, acceptor(options, Some(fault), &trusted, &stranger)?));
        }
        Ok(Self { ca_pem, right, wrong })
    }

    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// What answers handshakes while `fault` stands.
    pub(crate) fn acceptor(&self, fault: Option<SimFault>) -> &TlsAcceptor {
        let wrong = self.wrong.iter().find(|(known, _)| Some(*known) == fault);
        wrong.map_or(&self.right, |(_, acceptor)| acceptor)
    }
}

/// An authority's certificate in PEM, and what it signs with.
fn authority(name: &str) -> Result<(String, Issuer<'static, KeyPair>), SimError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok((pem, Issuer::new(params, key)))
}

fn acceptor(
    options: TlsOptions,
    fault: Option<SimFault>,
    trusted: &Issuer<'static, KeyPair>,
    stranger: &Issuer<'static, KeyPair>,
) -> Result<TlsAcceptor, SimError> {
    let names = match fault {
        Some(SimFault::TlsWrongHost) => vec!["elsewhere.example.com".to_owned()],
        _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
    };
    let mut params = CertificateParams::new(names)?;
    if fault == Some(SimFault::TlsExpired) {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate()?;
    let certificate = match fault {
        Some(SimFault::TlsSelfSigned) => params.self_signed(&key)?,
        Some(SimFault::TlsUntrusted) => params.signed_by(&key, stranger)?,
        _ => params.signed_by(&key, trusted)?,
    };
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if options.http2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}
