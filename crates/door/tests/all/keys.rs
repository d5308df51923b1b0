//! Who gets to a door, and what the rest is told.

use tradewind_access::Reach;
use tradewind_door::ServerLimits;
use tradewind_policy::{KeyTerms, Timestamp};

use crate::support::{Gateway, SECRET, get, key, talk};

async fn with_key() -> Gateway {
    let gateway = Gateway::start(Reach::Loopback, None, ServerLimits::default()).await;
    gateway.access.set_created(&[key("ci", SECRET, KeyTerms::default())]).unwrap();
    gateway
}

#[tokio::test]
async fn a_key_opens_the_door_for_any_host() {
    let gateway = with_key().await;
    for headers in [
        format!("authorization: Bearer {SECRET}\r\n"),
        format!("x-api-key: {SECRET}\r\n"),
        "authorization: Basic eDp0dy0wMTIzNDU2Nzg5YWJjZGVm\r\n".to_owned(),
        format!("authorization: Bearer {SECRET}\r\norigin: https://page.example\r\n"),
    ] {
        let answer = talk(gateway.connect().await, &get("/v1/models", &headers)).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ci true false"), "{headers}{answer}");
    }
}

#[tokio::test]
async fn without_a_key_the_door_says_no_in_its_own_words() {
    let gateway = with_key().await;
    for (headers, said) in [
        ("", "TW1015: this gateway wants a key"),
        ("authorization: Bearer wrong\r\n", "TW1015: this key is not known here"),
        ("authorization: Bearer\r\n", "TW1015: this key is not known here"),
    ] {
        let answer = talk(gateway.connect().await, &get("/v1/models", headers)).await;
        assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
        assert!(answer.contains("\r\nwww-authenticate: Bearer\r\n"), "{answer}");
        assert!(answer.contains(&format!("{{\"door\": \"{said}")), "{answer}");
    }
    let nowhere = talk(gateway.connect().await, &get("/nowhere", "")).await;
    assert!(nowhere.starts_with("HTTP/1.1 401 "), "which paths there are is not for everybody: {nowhere}");
}

#[tokio::test]
async fn a_revoked_key_has_its_own_code() {
    let gateway = with_key().await;
    let mut revoked = key("ci", SECRET, KeyTerms::default());
    revoked.revoked = Some(Timestamp(tradewind_core::UnixMillis(1)));
    gateway.access.set_created(&[revoked]).unwrap();
    let request = get("/v1/models", &format!("x-api-key: {SECRET}\r\n"));
    let answer = talk(gateway.connect().await, &request).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("TW1016: the key `ci` was revoked"), "{answer}");
}

#[tokio::test]
async fn probes_need_no_key_and_may_nothing_else() {
    let gateway = with_key().await;
    for path in ["/livez", "/readyz", "/readyz?verbose"] {
        let answer = talk(gateway.connect().await, &get(path, "")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("- false false"), "{path}: {answer}");
    }
    for path in ["/livez/", "/livez/../v1/models", "//livez", "/LIVEZ", "/livez%2f", "/livez;x"] {
        let answer = talk(gateway.connect().await, &get(path, "")).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn where_nobody_needs_a_key_the_request_has_to_be_for_this_machine() {
    let gateway = Gateway::start(Reach::Loopback, None, ServerLimits::default()).await;
    let answer = talk(gateway.connect().await, &get("/v1/models", &format!("x-api-key: {SECRET}\r\n"))).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("TW1010"), "{answer}");
    let local = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = talk(gateway.connect().await, local).await;
    assert!(answer.ends_with("- true true"), "{answer}");

    // On an address that others reach, no key at all lets nobody in, whatever the host says.
    let open = Gateway::start(Reach::Network, None, ServerLimits::default()).await;
    let answer = talk(open.connect().await, local).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}
