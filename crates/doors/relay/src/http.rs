//! HTTP as a proxy: CONNECT, and requests in the absolute form (RFC 9110 §9.3.6, RFC 9112 §3.2.2).
//!
//! The head of a CONNECT is read here and costs no more than its bytes; anything else is handed to hyper, which reads and
//! writes every message anew (`forward.rs`), so that what one side means by a message is what the other side gets.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tradewind_egress::{Destination, Host};
use tradewind_policy::ways::{InboundKind, Transport};

use crate::answer::{REALM, body, status_of};
use crate::forward::forward;
use crate::listen::GREETING;
use crate::relay::{Came, Passing, Refused, Relay};
use crate::socks5;
use crate::user::{Users, Who};

/// The largest head of a request.
pub(crate) const HEAD: usize = 64 * 1024;
/// The most headers of a request.
pub(crate) const HEADERS: usize = 128;
/// What a caller reads when the tunnel stands; the words are mihomo's.
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// The first request on a connection.
pub(crate) enum First {
    /// A tunnel to this place; so many bytes of the buffer are its head.
    Connect { to: Destination, who: Option<Who>, head: usize },
    /// Anything else.
    Other,
    /// It is not HTTP, or not what HTTP allows.
    Bad(&'static str),
    /// It is not whole yet.
    Partial,
}

/// Serves a caller that speaks HTTP; the tunnel, when it asks for one.
pub(crate) async fn serve_http(mut stream: TcpStream, relay: &Arc<Relay>, came: &Came) -> Option<Passing> {
    let mut buffer = BytesMut::with_capacity(1024);
    loop {
        let read = tokio::time::timeout(GREETING, read_head(&mut stream, &mut buffer, relay, came)).await;
        let Ok(Some(first)) = read else { return None };
        match first {
            First::Partial => return None,
            First::Other => {
                Box::pin(forward(stream, buffer.freeze(), relay, came)).await;
                return None;
            }
            First::Bad(why) => {
                // Whoever has gone already needs no answer.
                let _ = stream.write_all(&plain(400, why, "connection: close\r\n")).await;
                return None;
            }
            First::Connect { who: None, head, .. } => {
                let _ = buffer.split_to(head);
                let challenge = format!("proxy-authenticate: Basic realm=\"{REALM}\"\r\n");
                let answer = plain(407, "this proxy wants a user name and a password", &challenge);
                stream.write_all(&answer).await.ok()?;
            }
            First::Connect { to, who: Some(who), head } => {
                let _ = buffer.split_to(head);
                return connect(stream, buffer.to_vec(), &to, &who, relay, came).await;
            }
        }
    }
}

async fn connect(
    mut stream: TcpStream,
    early: Vec<u8>,
    to: &Destination,
    who: &Who,
    relay: &Arc<Relay>,
    came: &Came,
) -> Option<Passing> {
    let mut meta = Relay::meta(InboundKind::Https, Transport::Tcp, to, came, who);
    let connected = async {
        let mut call = relay.decide("connect", &mut meta, to).await?;
        let way = call.connect(to).await?;
        Ok::<_, Refused>((call, way))
    };
    match connected.await {
        Err(refused) => {
            let headers = format!("x-tradewind-decision: {}\r\nconnection: close\r\n", refused.id);
            let _ = stream.write_all(&plain(status_of(&refused), &body(&refused), &headers)).await;
            None
        }
        Ok((call, way)) => {
            stream.write_all(ESTABLISHED).await.ok()?;
            // Some callers do not wait for the answer before they begin.
            Some(call.pass(stream, early, way, meta))
        }
    }
}

/// Reads until there is a whole head. `None` when the caller has gone.
async fn read_head(stream: &mut TcpStream, buffer: &mut BytesMut, relay: &Relay, came: &Came) -> Option<First> {
    loop {
        match first(buffer, &relay.users.look(), came.from.ip()) {
            First::Partial if buffer.len() >= HEAD => return Some(First::Bad("the head of the request is too large")),
            First::Partial => {}
            found => return Some(found),
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// Looks at the head of a request.
pub(crate) fn first(buffer: &[u8], users: &Users, from: IpAddr) -> First {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(buffer) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return First::Partial,
        Err(_) => return First::Bad("this is not HTTP/1.1"),
    };
    let named =
        |name: &'static str| request.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
    let (lengths, encodings) = (named("content-length").count(), named("transfer-encoding").count());
    if lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0) {
        return First::Bad("the request says in two ways how long it is");
    }
    if request.method != Some(Method::CONNECT.as_str()) {
        return First::Other;
    }
    if encodings > 0 || named("content-length").any(|header| header.value != b"0") {
        return First::Bad("a CONNECT has no body");
    }
    let Some(to) = request.path.and_then(authority) else {
        return First::Bad("CONNECT wants a host and a port");
    };
    let who = if users.needed(from) {
        let mut values = named("proxy-authorization");
        values.next().and_then(|header| users.check_header(header.value))
    } else {
        Some(Who::default())
    };
    First::Connect { to, who, head }
}

/// Reads `host:port`, IPv6 in brackets.
fn authority(text: &str) -> Option<Destination> {
    let (host, port) = text.rsplit_once(':')?;
    // `parse` alone would take a sign.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| *port > 0 && digits)?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => {
            let address = rest.strip_suffix(']')?;
            return address.parse().ok().map(|address| Destination { host: Host::Ip(address), port });
        }
        None => host,
    };
    let fits = !bare.contains([':', '/', '@', '?', '#', '\\', '%', '[', ']']);
    let host = socks5::host(bare.as_bytes()).ok().filter(|_| fits)?;
    Some(Destination { host, port })
}

/// An answer without hyper.
fn plain(status: u16, text: &str, headers: &str) -> Vec<u8> {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    let length = text.len() + 1;
    format!("HTTP/1.1 {status} {reason}\r\n{headers}content-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{text}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for (text, shown) in
            [("a.test:443", "a.test:443"), ("10.0.0.1:80", "10.0.0.1:80"), ("[2001:db8::1]:443", "[2001:db8::1]:443")]
        {
            assert_eq!(authority(text).unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            ":443",
            "a.test",
            "a.test:",
            "a.test:0",
            "a.test:65536",
            "2001:db8::1:443",
            "[::1]",
            "[a.test]:443",
            "a.test/x:443",
            "u@a.test:443",
            "a b:443",
            "http://a.test:80",
            "a.test:+80",
        ] {
            let read = authority(wrong);
            assert!(read.is_none(), "{wrong}: {read:?}");
        }
    }
}
