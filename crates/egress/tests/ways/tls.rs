//! TLS to the proxy itself, and through it.

use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tradewind_core::FaultKind;
use tradewind_egress::{Outbound, Roots};
use tradewind_policy::ways::{HttpProxy, Proxy, ProxyKind, SocksProxy};

use crate::support::{PATIENCE, Server, dialing, echo, head, http_proxy, serve, talk};

/// An authority, and a server of its for `name` that speaks `protocols`.
pub(crate) fn certificate(name: &str, protocols: &[&[u8]]) -> (Roots, TlsAcceptor) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.distinguished_name = DistinguishedName::new();
    let authority_key = KeyPair::generate().unwrap();
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::from_params(&authority, &authority_key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![server.der().clone()], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
    let roots = Roots::from_file(&folder.path().join("ca.pem")).unwrap();
    (roots, TlsAcceptor::from(Arc::new(config)))
}

/// An HTTP proxy, or a SOCKS5 one, behind TLS, which opens a tunnel to whatever it is asked for.
async fn behind_tls(acceptor: TlsAcceptor, is_socks: bool) -> Server {
    serve(move |socket| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(socket).await else { return };
            let to = if is_socks {
                stream.read_exact(&mut [0; 3]).await.unwrap();
                stream.write_all(&[5, 0]).await.unwrap();
                let mut request = [0; 10];
                stream.read_exact(&mut request).await.unwrap();
                stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
                format!("127.0.0.1:{}", u16::from_be_bytes([request[8], request[9]]))
            } else {
                let head = head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                head.split(' ').nth(1).unwrap().to_owned()
            };
            let mut other = TcpStream::connect(to).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut other).await;
        }
    })
    .await
}

fn made(kind: ProxyKind, roots: &Roots) -> Outbound {
    Outbound::new(&Proxy { name: "corp".into(), kind, dialer: None, udp: false }, roots).unwrap()
}

#[tokio::test]
async fn the_proxys_certificate_is_verified_unless_the_document_says_otherwise() {
    let echo = echo().await;
    let (roots, acceptor) = certificate("proxy.example", &[]);
    for is_socks in [false, true] {
        let proxy = behind_tls(acceptor.clone(), is_socks).await;
        let kind = |sni: Option<&str>, skip_cert_verify: bool| {
            let sni = sni.map(Into::into);
            let http = HttpProxy { tls: true, sni: sni.clone(), skip_cert_verify, ..http_proxy(proxy.address) };
            if !is_socks {
                return ProxyKind::Http(http);
            }
            let (server, port) = (http.server, http.port);
            ProxyKind::Socks5(SocksProxy {
                server,
                port,
                username: None,
                password: None,
                tls: true,
                sni,
                skip_cert_verify,
            })
        };
        let dialing = dialing(&[], PATIENCE);
        let known = made(kind(Some("proxy.example"), false), &roots);
        talk(&mut known.connect(&echo.destination(), &dialing).await.unwrap()).await;
        let skipping = made(kind(None, true), &Roots::none());
        talk(&mut skipping.connect(&echo.destination(), &dialing).await.unwrap()).await;
        for (kind, roots) in [
            (kind(None, false), &roots),
            (kind(Some("other.example"), false), &roots),
            (kind(Some("proxy.example"), false), &Roots::none()),
        ] {
            let fault = made(kind, roots).connect(&echo.destination(), &dialing).await.err().unwrap();
            assert_eq!((fault.kind, fault.never_sent), (FaultKind::ProxyUnreachable, true), "{fault}");
            assert!(fault.detail.contains("the proxy `corp`") && fault.detail.contains("certificate"), "{fault}");
        }
    }
}

#[test]
fn a_name_that_no_certificate_can_be_for_is_refused_at_load() {
    let kind = ProxyKind::Http(HttpProxy {
        tls: true,
        sni: Some("not a name".into()),
        ..http_proxy(([127, 0, 0, 1], 1).into())
    });
    let refused = Outbound::new(&Proxy { name: "corp".into(), kind, dialer: None, udp: false }, &Roots::none());
    assert_eq!(refused.err().unwrap().to_string(), "proxy `corp`: `not a name` is not a name that TLS can verify");
}
