//! Where a call comes from: told to the door, or refused before it.

use tradewind_access::Reach;
use tradewind_core::Code;
use tradewind_door::ServerLimits;
use tradewind_policy::{ContextSettings, KeyTerms};

use crate::support::{Gateway, SECRET, get, key, talk};

const LOCAL: &str = "x-api-key: tw-0123456789abcdef\r\n";

async fn gateway(trust_hints: bool) -> Gateway {
    let gateway = Gateway::start(Reach::Loopback, None, ServerLimits::default()).await;
    let terms = KeyTerms { role: Some("machine".to_owned()), ..KeyTerms::default() };
    gateway.access.set_created(&[key("ci", SECRET, terms)]).unwrap();
    gateway.access.set_context(&ContextSettings { trust_hints, ..ContextSettings::default() });
    gateway
}

#[tokio::test]
async fn the_door_is_told_where_the_call_comes_from() {
    let gateway = gateway(true).await;
    let headers = format!("{LOCAL}user-agent: curl/8\r\nx-tradewind-context: region=eu\r\n");
    let answer = talk(gateway.connect().await, &get("/context", &headers)).await;
    let body = answer.rsplit("\r\n").next().unwrap();
    assert_eq!(
        body,
        r#"{"role":"machine","region":"eu","device":"cli","said_by":{"role":"key","region":"hint","device":"user_agent"}}"#
    );
}

#[tokio::test]
async fn a_context_that_is_not_believed_is_refused_in_the_words_of_the_door() {
    let gateway = gateway(false).await;
    for (header, status, said) in [
        ("x-tradewind-context: role=admin", "403 Forbidden", "TW1022: `x-tradewind-context` has no signature"),
        ("x-tradewind-context: rol=admin", "400 Bad Request", "TW1011: the caller context: `rol` is no part"),
    ] {
        let answer = talk(gateway.connect().await, &get("/context", &format!("{LOCAL}{header}\r\n"))).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert!(answer.contains(&format!("{{\"door\": \"{said}")), "{answer}");
    }
    let refused = gateway.front.refused();
    assert!(refused.contains(&(Code::ContextRefused, 1)) && refused.contains(&(Code::BadHeader, 1)), "{refused:?}");
    assert_eq!(gateway.front.calls(), 0, "no place is kept");

    // What only asks whether the gateway lives is nobody, and is answered.
    let probe = talk(gateway.connect().await, &get("/livez", "x-tradewind-context: role=admin\r\n")).await;
    assert!(probe.starts_with("HTTP/1.1 200 OK\r\n"), "{probe}");
    // Who has no key learns nothing of contexts.
    let stranger = talk(gateway.connect().await, &get("/context", "x-tradewind-context: role=admin\r\n")).await;
    assert!(stranger.starts_with("HTTP/1.1 401 "), "{stranger}");
}
