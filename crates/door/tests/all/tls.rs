//! TLS on the listener: good handshakes, bad ones, none at all, and another certificate.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tradewind_access::Reach;
use tradewind_door::{Certificate, ServerLimits, Tls, TlsError};
use tradewind_policy::KeyTerms;
use tradewind_runtime::Stage;

use crate::support::{Gateway, PATIENCE, SECRET, get, key, talk};

/// A folder with `cert.pem` and `key.pem`.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> (Self, CertificateDer<'static>) {
        let files = Self { folder: TempDir::new().unwrap() };
        let certificate = files.renew();
        (files, certificate)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "a test lays out its own files")]
    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        self.write("cert.pem", &cert.pem());
        self.write("key.pem", &signing_key.serialize_pem());
        cert.der().clone()
    }

    fn load(&self) -> Result<Tls, TlsError> {
        Certificate::read(&self.path("cert.pem"), &self.path("key.pem")).map(Tls::new)
    }
}

fn client(trusted: &CertificateDer<'static>, versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn connect(
    gateway: &Gateway,
    trusted: &CertificateDer<'static>,
    version: &'static rustls::SupportedProtocolVersion,
) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    client(trusted, &[version]).connect(name, gateway.connect().await).await
}

async fn gateway(files: &Files, limits: ServerLimits) -> (Gateway, Arc<Tls>) {
    let tls = Arc::new(files.load().unwrap());
    let gateway = Gateway::start(Reach::Network, Some(tls.clone()), limits).await;
    gateway.access.set_created(&[key("ci", SECRET, KeyTerms::default())]).unwrap();
    (gateway, tls)
}

#[tokio::test]
async fn calls_come_in_over_both_versions_of_tls() {
    let (files, certificate) = Files::new();
    let (gateway, _) = gateway(&files, ServerLimits::default()).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = connect(&gateway, &certificate, version).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = talk(stream, &get("/v1/models", &format!("authorization: Bearer {SECRET}\r\n"))).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ci true false"), "{answer}");
        let stream = connect(&gateway, &certificate, version).await.unwrap();
        assert!(talk(stream, &get("/v1/models", "")).await.starts_with("HTTP/1.1 401 "));
    }
}

#[tokio::test]
async fn plain_text_is_closed_without_an_answer() {
    let (files, _) = Files::new();
    let (gateway, _) = gateway(&files, ServerLimits::default()).await;
    let mut stream = gateway.connect().await;
    stream.write_all(&get("/livez", "")).await.unwrap();
    let mut answer = Vec::new();
    // A reset instead of an end is an end too.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    gateway.connections(0).await;
}

#[tokio::test]
async fn a_handshake_that_stalls_gives_its_place_back() {
    let (files, certificate) = Files::new();
    let limits = ServerLimits { connections: 2, head: Duration::from_secs(3), ..ServerLimits::default() };
    let (gateway, _) = gateway(&files, limits).await;
    // One says nothing, one the first bytes of a handshake.
    let mut stalled = [gateway.connect().await, gateway.connect().await];
    stalled[1].write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    gateway.connections(2).await;
    let mut third = gateway.connect().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, third.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"", "over the limit: closed, and no plain answer on a port with TLS");
    for stream in &mut stalled {
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    }
    gateway.connections(0).await;
    let stream = connect(&gateway, &certificate, &rustls::version::TLS13).await.unwrap();
    assert!(talk(stream, &get("/livez", "")).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_handshakes() {
    let (files, _) = Files::new();
    let (gateway, _) = gateway(&files, ServerLimits::default()).await;
    let _stalled = gateway.connect().await;
    gateway.connections(1).await;
    let dropped = tokio::time::timeout(PATIENCE, gateway.supervisor.stop(PATIENCE * 2, PATIENCE)).await.unwrap();
    assert_eq!((dropped, gateway.supervisor.stages().now()), (0, Stage::Over));
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections() {
    let (files, old) = Files::new();
    let (gateway, tls) = gateway(&files, ServerLimits::default()).await;
    let before = connect(&gateway, &old, &rustls::version::TLS13).await.unwrap();
    let new = files.renew();
    let renewed = Certificate::read(&files.path("cert.pem"), &files.path("key.pem")).unwrap();
    tls.show(renewed);
    assert!(connect(&gateway, &old, &rustls::version::TLS13).await.is_err(), "the old one is not shown any more");
    let after = connect(&gateway, &new, &rustls::version::TLS13).await.unwrap();
    for stream in [before, after] {
        assert!(talk(stream, &get("/livez", "")).await.starts_with("HTTP/1.1 200 "));
    }
    files.write("cert.pem", "nonsense");
    assert!(Certificate::read(&files.path("cert.pem"), &files.path("key.pem")).is_err());
    assert!(connect(&gateway, &new, &rustls::version::TLS13).await.is_ok(), "a bad one never replaces a good one");
}

#[tokio::test]
async fn files_that_cannot_be_used_say_which_and_why() {
    let (files, _) = Files::new();
    let (good_cert, good_key) = (files.path("cert.pem"), files.path("key.pem"));
    let other_key = files.write("other.pem", &KeyPair::generate().unwrap().serialize_pem());
    let empty = files.write("empty.pem", "");
    let broken = files.write("broken.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let nonsense = files.write("nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = files.path("missing.pem");
    for (cert, key, part) in [
        (&missing, &good_key, "missing.pem cannot be read: "),
        (&good_cert, &missing, "missing.pem cannot be read: "),
        (&empty, &good_key, "empty.pem holds no certificate"),
        (&good_key, &good_key, "key.pem holds no certificate"),
        (&broken, &good_key, "broken.pem is not PEM: "),
        (&nonsense, &good_key, "nonsense.pem cannot be used: "),
        (&good_cert, &good_cert, "cert.pem holds no private key"),
        (&good_cert, &other_key, "other.pem is not the key of the first certificate in "),
    ] {
        let said = Certificate::read(cert, key).unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
        assert!(!said.contains("BEGIN PRIVATE KEY-----\n"), "{said}");
    }
    // A certificate whose time is over is the clients' to refuse: the gateway starts, and they say why.
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    let pair = KeyPair::generate().unwrap();
    let expired = params.self_signed(&pair).unwrap();
    files.write("cert.pem", &expired.pem());
    files.write("key.pem", &pair.serialize_pem());
    let (gateway, _) = gateway(&files, ServerLimits::default()).await;
    let error = connect(&gateway, expired.der(), &rustls::version::TLS13).await.unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
    gateway.connections(0).await;
}
