//! What is refused before any door: that its caller gets to see it, and whoever runs the gateway too.

use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tradewind_access::Reach;
use tradewind_core::{Code, UnixMillis};
use tradewind_door::{ServerLimits, Why};
use tradewind_policy::{KeyTerms, Timestamp};

use crate::support::{Gateway, PATIENCE, SECRET, get, key, talk};

async fn with_key() -> Gateway {
    let gateway = Gateway::start(Reach::Loopback, None, ServerLimits::default()).await;
    gateway.access.set_created(&[key("ci", SECRET, KeyTerms::default())]).unwrap();
    gateway
}

/// The refusals counted so far, without those of which there is none.
fn refused(gateway: &Gateway) -> Vec<(Code, u64)> {
    gateway.front.refused().into_iter().filter(|(_, count)| *count > 0).collect()
}

fn post(path: &str, headers: &str, body: usize) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\n{headers}content-length: {body}\r\n\r\n");
    let mut request = head.into_bytes();
    request.resize(request.len() + body, b'x');
    request
}

#[tokio::test]
async fn a_client_that_is_still_sending_sees_each_refusal() {
    let keyed = with_key().await;
    let open = Gateway::start(Reach::Loopback, None, ServerLimits::default()).await;
    let full = Gateway::start_with(Reach::Loopback, None, ServerLimits::default(), 0).await;
    let (local, foreign) = ("host: localhost\r\n", "host: gateway.example\r\n");
    for (gateway, headers, path, code) in [
        (&keyed, local, "/v1/messages", Code::UnknownKey),
        (&open, foreign, "/v1/messages", Code::NotLocal),
        (&open, local, "/nowhere", Code::UnknownPath),
        (&full, local, "/v1/messages", Code::Overloaded),
    ] {
        let mut stream = gateway.connect().await;
        // More than all buffers on the way hold, so that only who reads it lets the client come to its end.
        stream.write_all(&post(path, headers, 24 * 1024 * 1024)).await.unwrap();
        stream.write_all(&get("/nowhere", "host: localhost\r\n")).await.unwrap();
        let mut answers = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answers)).await.unwrap().unwrap();
        let status = StatusCode::from_u16(code.status()).unwrap();
        assert!(answers.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answers}");
        assert!(answers.contains(code.name()), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "the connection goes on: {answers}");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_read_for_ever() {
    let gateway = with_key().await;
    let mut stream = gateway.connect().await;
    let head = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    gateway.connections(0).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_to_its_end() {
    let gateway = with_key().await;
    let mut stream = gateway.connect().await;
    let head = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let sending = async {
        let piece = vec![b'x'; 1024 * 1024];
        let mut sent = 0;
        while writing.write_all(&piece).await.is_ok() {
            sent += 1;
        }
        sent
    };
    let sent = tokio::time::timeout(PATIENCE, sending).await.unwrap();
    assert!((32..99).contains(&sent), "{sent} MiB");
    let _ = reading.read_to_end(&mut Vec::new()).await; // the refusal, or the reset that came after it
    gateway.connections(0).await;
}

#[tokio::test]
async fn who_waits_to_be_asked_for_the_body_is_refused_without_it() {
    let gateway = with_key().await;
    let head = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 99999\r\n\r\n";
    let answer = talk(gateway.connect().await, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn each_refusal_is_counted_by_its_code() {
    let gateway = with_key().await;
    let own = format!("x-api-key: {SECRET}\r\n");
    talk(gateway.connect().await, &get("/v1/models", &own)).await;
    talk(gateway.connect().await, &get("/livez", "")).await;
    assert_eq!(refused(&gateway), [], "what is let in is no refusal");

    talk(gateway.connect().await, &get("/v1/models", "")).await;
    talk(gateway.connect().await, &get("/v1/models", "x-api-key: wrong\r\n")).await;
    talk(gateway.connect().await, &get("/nowhere", &own)).await;
    let large = format!("{own}x-large: {}\r\n", "x".repeat(9000));
    talk(gateway.connect().await, &get("/v1/models", &large)).await;
    assert_eq!(refused(&gateway), [(Code::UnknownPath, 1), (Code::HeadersTooLarge, 1), (Code::UnknownKey, 2)]);

    let full = Gateway::start_with(Reach::Loopback, None, ServerLimits::default(), 0).await;
    talk(full.connect().await, &get("/v1/models", "")).await;
    talk(full.connect().await, b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert_eq!(refused(&full), [(Code::NotLocal, 1), (Code::Overloaded, 1)]);
}

#[tokio::test]
async fn who_was_refused_with_401_is_told_once() {
    let gateway = with_key().await;
    let mut revoked = key("old", "tw-the-revoked-secret", KeyTerms::default());
    revoked.revoked = Some(Timestamp(UnixMillis(1)));
    let expires = Some(Timestamp(UnixMillis(1)));
    let expired = key("short", "tw-the-expired-secret", KeyTerms { expires, ..KeyTerms::default() });
    gateway.access.set_created(&[revoked, expired]).unwrap();
    for secret in ["tw-the-revoked-secret", "tw-the-expired-secret", "tw-the-expired-secret", "wrong", SECRET] {
        talk(gateway.connect().await, &get("/v1/models", &format!("x-api-key: {secret}\r\n"))).await;
    }
    talk(gateway.connect().await, &get("/v1/models", "")).await;
    talk(gateway.connect().await, &get("/livez", "")).await;
    let told: Vec<_> = gateway.front.take_unauthorized().into_iter().collect();
    let expected =
        [(Why::Missing, 1), (Why::Unknown, 2), (Why::Revoked("old".into()), 1), (Why::Expired("short".into()), 2)];
    assert_eq!(told, expected);
    assert!(gateway.front.take_unauthorized().is_empty());
}

#[tokio::test]
async fn more_than_a_hundred_headers_are_refused() {
    let gateway = Gateway::start(Reach::Loopback, None, ServerLimits::default()).await;
    let with = |count: usize| {
        format!("GET /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}\r\n", "x: y\r\n".repeat(count - 2))
    };
    for (count, status) in [(100, "200"), (101, "431")] {
        let answer = talk(gateway.connect().await, with(count).as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{count}: {answer}");
    }
}

#[tokio::test]
async fn who_asks_no_more_is_let_go() {
    let limits = ServerLimits { head: Duration::from_secs(1), ..ServerLimits::default() };
    let gateway = Gateway::start(Reach::Loopback, None, limits).await;
    for heads in [1, 3] {
        let asked = "GET /echo HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(heads);
        let answers = talk(gateway.connect().await, asked.as_bytes()).await;
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), heads, "{answers}");
    }
}
