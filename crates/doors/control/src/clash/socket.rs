//! Websockets, RFC 6455: the handshake, and a stream over one.
//!
//! The protocol is `tungstenite`'s. What a client sends is read (so that pings are answered and a close is seen) and otherwise
//! not looked at.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tradewind_door::Response;

use super::answer::{Wrong, empty};
use super::frames::Frames;

/// What the key is hashed with, RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The largest message of a client: it has nothing to say.
const LARGEST_MESSAGE: usize = 16 * 1024;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// A stream that begins when its connection has been handed over.
pub(crate) struct Pending {
    pub(crate) upgrade: OnUpgrade,
    pub(crate) frames: Frames,
}

/// Whether a request wants to be a websocket.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Agrees to a websocket, or says what is wrong with the request.
pub(crate) fn agree(headers: &HeaderMap) -> Result<Response, Wrong> {
    let named = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let connection = named(header::CONNECTION);
    if !connection.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade")) {
        return Err(Wrong::Handshake("Connection"));
    }
    if named(header::SEC_WEBSOCKET_VERSION) != "13" {
        return Err(Wrong::Handshake("Sec-WebSocket-Version"));
    }
    let key = named(header::SEC_WEBSOCKET_KEY);
    if STANDARD.decode(key).map_or(true, |nonce| nonce.len() != 16) {
        return Err(Wrong::Handshake("Sec-WebSocket-Key"));
    }
    let mut response = empty(StatusCode::SWITCHING_PROTOCOLS);
    let answer = response.headers_mut();
    answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept(key)) {
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    Ok(response)
}

/// `Sec-WebSocket-Accept` for a key.
fn accept(key: &str) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(GUID.as_bytes());
    STANDARD.encode(context.finish())
}

/// Tells `frames` until they end or the client goes.
pub(crate) async fn serve(pending: Pending) {
    let Pending { upgrade, mut frames } = pending;
    let Ok(upgraded) = upgrade.await else { return };
    let config = WebSocketConfig::default()
        .write_buffer_size(0)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    loop {
        tokio::select! {
            frame = frames.next() => {
                let Some(frame) = frame else { break };
                if socket.send(Message::Text(frame.into())).await.is_err() {
                    return;
                }
            }
            said = socket.next() => match said {
                None | Some(Err(_)) => return,
                Some(Ok(_)) => {}
            },
        }
    }
    let _ = tokio::time::timeout(GOODBYE, say_goodbye(&mut socket)).await; // whoever does not answer is left
}

async fn say_goodbye(socket: &mut WebSocketStream<TokioIo<Upgraded>>) {
    let frame = CloseFrame { code: CloseCode::Away, reason: Utf8Bytes::from_static("the controller is stopping") };
    if socket.close(Some(frame)).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_is_accepted() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_handshake_has_to_be_whole() {
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let headers = |change: Option<(&str, &str)>| -> HeaderMap {
            let pairs = good.into_iter().filter(|(name, _)| change.is_none_or(|(changed, _)| changed != *name));
            let pairs = pairs.chain(change).filter(|(_, value)| !value.is_empty());
            pairs.map(|(name, value)| (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap())).collect()
        };
        assert!(is_wanted(&headers(None)));
        assert_eq!(agree(&headers(None)).map_or(0, |response| response.status().as_u16()), 101);
        for (name, value) in [
            ("connection", "keep-alive"),
            ("connection", ""),
            ("sec-websocket-version", "12"),
            ("sec-websocket-version", ""),
            ("sec-websocket-key", ""),
            ("sec-websocket-key", "dGhl"),
        ] {
            let Err(Wrong::Handshake(wrong)) = agree(&headers(Some((name, value)))) else { panic!("{name}: {value}") };
            assert!(wrong.eq_ignore_ascii_case(name), "{wrong}");
        }
    }
}
