//! Rows 1 to 9: reaching the sim, TLS, resets, kept connections, no answer. (Rows 2 and 3 also in `network`.)

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};
use tradewind_core::Dialect;
use tradewind_sim::{Ending, Sim, SimError, SimFault, SimOptions, TlsOptions};

use crate::client::*;

async fn started(fault: SimFault) -> Sim {
    Sim::start(SimOptions { fault: Some(fault.into()), ..SimOptions::default() }).await.unwrap()
}

#[tokio::test]
async fn row_1_the_host_does_not_resolve() {
    let sim = started(SimFault::Dns).await;
    let url = sim.base_url();
    let host = url.strip_prefix("http://").unwrap();
    assert!(host.contains(".invalid:"));
    assert!(tokio::net::lookup_host(host).await.is_err());
}

#[tokio::test]
async fn rows_2_and_3_nobody_listens_and_nobody_answers() {
    let refusing = started(SimFault::ConnectRefused).await;
    let error = TcpStream::connect(refusing.address()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    let hole = started(SimFault::ConnectBlackHole).await;
    let connecting = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(hole.address())).await;
    assert!(connecting.is_err());
    assert!(matches!(hole.set_fault(SimFault::Dns), Err(SimError::OnlyAtStart(SimFault::Dns))));
}

/// Shakes hands as a client that trusts the sim's authority.
pub(crate) async fn handshake(sim: &Sim, alpn: &[&str]) -> Result<TlsStream<TcpStream>, std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(sim.ca_pem().unwrap().as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, connect(sim).await).await
}

fn tls_error(error: &std::io::Error) -> TlsError {
    error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()).unwrap_or_else(|| panic!("{error}")).clone()
}

#[tokio::test]
async fn row_4_every_wrong_certificate_is_wrong_in_its_own_way() {
    let sim = Sim::start(SimOptions { tls: Some(TlsOptions::default()), ..SimOptions::default() }).await.unwrap();
    assert!(handshake(&sim, &[]).await.is_ok());
    for fault in [SimFault::TlsExpired, SimFault::TlsWrongHost, SimFault::TlsUntrusted, SimFault::TlsSelfSigned] {
        sim.set_fault(fault).unwrap();
        let error = tls_error(&handshake(&sim, &[]).await.unwrap_err());
        let TlsError::InvalidCertificate(why) = error else { panic!("{fault}: {error}") };
        let right = match fault {
            SimFault::TlsExpired => matches!(why, CertificateError::ExpiredContext { .. } | CertificateError::Expired),
            SimFault::TlsWrongHost => {
                matches!(why, CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName)
            }
            // One's own signature is as strange to the verifier as a stranger's.
            _ => matches!(why, CertificateError::UnknownIssuer | CertificateError::BadSignature),
        };
        assert!(right, "{fault}: {why:?}");
    }
    assert!(sim.wait_until(Duration::from_secs(5), |stats| stats.failed_handshakes == 4).await);
    assert_eq!(sim.stats().requests, 0);
    sim.clear_fault();
    assert!(handshake(&sim, &[]).await.is_ok());
}

#[tokio::test]
async fn row_5_the_handshake_is_never_answered() {
    let sim = started(SimFault::TlsHang).await;
    assert!(sim.base_url().starts_with("https://"));
    assert!(tokio::time::timeout(SILENCE, handshake(&sim, &[])).await.is_err());
    assert!(
        sim.wait_until(Duration::from_secs(5), |stats| stats.connections == 1 && stats.open_connections == 0).await
    );
}

#[tokio::test]
async fn rows_6_and_9_no_response() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    for dialect in DIALECTS {
        for stream in [false, true] {
            for (fault, end) in [
                ("reset-before-response", End::Reset),
                ("close-before-response", End::Fin),
                ("no-headers", End::Silence),
            ] {
                let raw = ask(&sim, dialect, stream, fault).await;
                assert_eq!((raw.bytes.len(), raw.end), (0, end), "{fault}");
            }
        }
    }
}

#[tokio::test]
async fn row_7_the_upload_is_broken_off() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    for (fault, end) in [("reset-during-upload", End::Reset), ("close-during-upload", End::Fin)] {
        let mut connection = connect(&sim).await;
        // A tenth of the body that is announced.
        let head =
            format!("POST /v1/chat/completions HTTP/1.1\r\nx-sim-fault: {fault}\r\ncontent-length: 1000\r\n\r\n");
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(&[b' '; 100]).await.unwrap();
        let raw = read_all(&mut connection).await;
        assert_eq!((raw.bytes.len(), raw.end), (0, end), "{fault}");
        let number = if end == End::Reset { 0 } else { 1 };
        drop(connection);
        assert!(sim.wait_until(Duration::from_secs(5), |stats| stats.in_flight == 0).await);
        assert_eq!(sim.requests()[number].body_bytes, 0);
    }
}

#[tokio::test]
async fn row_8_a_kept_connection_goes_stale() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    sim.set_fault(SimFault::StaleKeepAlive).unwrap();
    let keep =
        request(path(Dialect::OpenAi), "connection: keep-alive\r\n", &body(Dialect::OpenAi, false, "").to_string());
    for _ in 0..2 {
        let mut connection = connect(&sim).await;
        connection.write_all(&keep).await.unwrap();
        let first = read_for(&mut connection, SILENCE).await;
        first.assert_right(&sim, Dialect::OpenAi, false, "first on the connection");
        assert_eq!(first.end, End::Silence);
        connection.write_all(&keep).await.unwrap();
        let second = read_all(&mut connection).await;
        assert_eq!((second.bytes.len(), second.end), (0, End::Reset));
    }
    assert_eq!(sim.stats().requests, 2);
}

#[tokio::test]
async fn row_8_the_connection_is_closed_right_behind_the_answer() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    for stream in [false, true] {
        let body = body(Dialect::OpenAi, stream, "close-after-response").to_string();
        let raw = send(&sim, &request(path(Dialect::OpenAi), "connection: keep-alive\r\n", &body)).await;
        raw.assert_right(&sim, Dialect::OpenAi, stream, "close-after-response");
        assert_eq!((raw.end, raw.header("connection")), (End::Fin, None));
    }
}

#[tokio::test]
async fn a_fault_is_chosen_by_header_before_model_before_standing() {
    let sim = started(SimFault::Error500).await;
    let with = |header: &str, fault: &str| {
        request(path(Dialect::OpenAi), header, &body(Dialect::OpenAi, false, fault).to_string())
    };
    assert_eq!(send(&sim, &with("", "")).await.status(), 500);
    assert_eq!(send(&sim, &with("", "error-503")).await.status(), 503);
    assert_eq!(send(&sim, &with("x-sim-fault: error-504\r\n", "error-503")).await.status(), 504);
    let list = send(&sim, b"GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert_eq!(list.status(), 200, "a standing fault is for calls of models");
    let cleared = send(&sim, &request("/sim/fault", "", "")).await;
    assert_eq!((cleared.status(), send(&sim, &with("", "")).await.status()), (200, 200));
    let set = send(&sim, &request("/sim/fault", "", "error-502")).await;
    assert_eq!((set.json()["fault"].as_str(), send(&sim, &with("", "")).await.status()), (Some("error-502"), 502));
    assert_eq!(send(&sim, &request("/sim/fault", "", "tls-expired")).await.status(), 400);
    assert_eq!(sim.stats().faults["error-500"], 1);
    assert_eq!(sim.requests()[0].ending, Ending::Complete);
    assert_eq!(send(&sim, &with("", "close-before-response")).await.end, End::Fin);
    assert!(sim.wait_until(Duration::from_secs(5), |stats| stats.broken_off == 1).await);
    assert_eq!(sim.requests().pop().unwrap().ending, Ending::BrokenOff);
}
