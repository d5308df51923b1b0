//! A gateway with `tls`: calls with a key come in, a new certificate is shown after a reload, a bad one never.

use std::io;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};

use crate::support::{Answer, Bench, End, get, path, post, question};

const KEY: &str = "authorization: Bearer secret-of-team-0123456789\r\n";

/// A folder with `cert.pem` and `key.pem`.
struct Files(TempDir);

impl Files {
    fn new() -> (Self, CertificateDer<'static>) {
        let files = Self(TempDir::new().unwrap());
        let certificate = files.renew();
        (files, certificate)
    }

    #[expect(clippy::disallowed_methods, reason = "the test's own files")]
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Puts another certificate in place.
    fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        self.write("cert.pem", &cert.pem());
        self.write("key.pem", &signing_key.serialize_pem());
        cert.der().clone()
    }

    fn document(&self, sim: &Sim) -> String {
        let folder = self.0.path().display();
        format!(
            "tls: {{cert: \"{folder}/cert.pem\", key: \"{folder}/key.pem\"}}\n\
             providers:\n  - {{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}\n\
             models:\n  - {{name: m, targets: [{{use: up/m}}]}}\n\
             keys:\n  - {{name: team, secret: secret-of-team-0123456789}}\n",
            sim.base_url()
        )
    }
}

/// Sends `request` over TLS to whoever shows `trusted`, and no other certificate.
async fn send(bench: &Bench, trusted: &CertificateDer<'static>, request: &[u8]) -> io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(bench.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    // With the connection TLS is closed as well: a cut is not an end.
    stream.read_to_end(&mut bytes).await?;
    Ok(Answer::parse(&bytes, std::time::Duration::ZERO))
}

fn ask(dialect: Dialect, headers: &str, stream: bool) -> Vec<u8> {
    post(path(dialect), headers, &question(dialect, "m", stream).to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_with_a_key_come_in_over_tls() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let (files, certificate) = Files::new();
    let bench = Bench::start(&files.document(&sim)).await;
    for (dialect, stream) in [(Dialect::OpenAi, false), (Dialect::OpenAi, true), (Dialect::Anthropic, true)] {
        let answer = send(&bench, &certificate, &ask(dialect, KEY, stream)).await.unwrap();
        assert_eq!((answer.status, answer.end), (200, End::Whole), "{}", answer.text());
        assert!(answer.said(dialect).contains("up"), "{}", answer.text());
    }
    for headers in ["", "authorization: Bearer secret-of-nobody-0123456789\r\n"] {
        let answer = send(&bench, &certificate, &ask(Dialect::OpenAi, headers, false)).await.unwrap();
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
    let answer = send(&bench, &certificate, &get("/livez")).await.unwrap();
    assert_eq!(answer.status, 200);
    // In the clear nothing is answered, whatever key comes with it.
    let plain = bench.send(&ask(Dialect::OpenAi, KEY, false)).await;
    assert!(!plain.head.starts_with("http/"), "{}", plain.head);
    assert_eq!(sim.stats().requests, 3);
    bench.is_back_at_baseline(&[&sim]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_shows_the_new_certificate_and_never_a_bad_one() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let (files, first) = Files::new();
    let document = files.document(&sim);
    let bench = Bench::start(&document).await;
    let request = ask(Dialect::OpenAi, KEY, false);
    assert_eq!(send(&bench, &first, &request).await.unwrap().status, 200);

    let second = files.renew();
    assert_eq!(send(&bench, &first, &request).await.unwrap().status, 200, "not before the reload");
    bench.reload(&document);
    assert!(send(&bench, &first, &request).await.is_err(), "the first one is not shown any more");
    assert_eq!(send(&bench, &second, &request).await.unwrap().status, 200);

    // With the bad certificate nothing else of the document is put in place either.
    let other = document.replace("name: team,", "name: other,").replace("secret-of-team", "secret-of-other");
    let third = files.renew();
    files.write("key.pem", "no key at all");
    let said = bench.try_reload(&other).unwrap_err();
    assert!(said.contains("key.pem holds no private key"), "{said}");
    files.write("cert.pem", "");
    let said = bench.try_reload(&other).unwrap_err();
    assert!(said.contains("cert.pem holds no certificate"), "{said}");
    assert!(send(&bench, &third, &request).await.is_err());
    let answer = send(&bench, &second, &request).await.unwrap();
    assert_eq!((answer.status, &answer.json()["object"]), (200, &json!("chat.completion")), "{}", answer.text());

    let fourth = files.renew();
    bench.reload(&other);
    assert_eq!(send(&bench, &fourth, &request).await.unwrap().status, 401, "the key went with the reload");
    let with_other = ask(Dialect::OpenAi, "authorization: Bearer secret-of-other-0123456789\r\n", false);
    assert_eq!(send(&bench, &fourth, &with_other).await.unwrap().status, 200);
}
