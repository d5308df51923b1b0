//! What an HTTP proxy answers: strictly read, bounded, and put into a few words. Bytes behind it stay where they are: after a
//! CONNECT they belong to the tunnel.

use bytes::BytesMut;
use http::header::PROXY_AUTHENTICATE;
use http::{HeaderMap, HeaderName, response};

use crate::http1::{Broken, Framing, framing, is_kept, parse};

/// The longest head, interim ones before it included.
pub(crate) const LONGEST_HEAD: usize = 16 * 1024;
/// Of what a proxy says about itself, so much is repeated in messages.
const SAID: usize = 120;
/// Schemes of a 407 that are looked at.
const SCHEMES: usize = 16;

/// What the proxy was asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `CONNECT`.
    Connect,
    /// `HEAD`.
    Head,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct ProxyAnswer {
    pub(crate) status: u16,
    /// The reason phrase and what well-known proxies add to it, for a person.
    pub(crate) said: String,
    /// The values of `Proxy-Authenticate`, one scheme each as they came.
    pub(crate) offered: Vec<String>,
    /// The body that has to be passed over before the connection can be used again; `None` when there is none.
    pub(crate) body: Framing,
    /// Whether the connection stays open after the body.
    pub(crate) kept: bool,
}

impl ProxyAnswer {
    /// Whether the tunnel is open.
    pub(crate) const fn is_open(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

/// Takes the final head out of `buffer`; interim ones (1xx) are passed over. `None` when it is not complete.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn take(buffer: &mut BytesMut, asked: Asked) -> Result<Option<ProxyAnswer>, &'static str> {
    loop {
        let reason = reason(buffer);
        let parts = match parse(buffer) {
            Ok(Some(parts)) => parts,
            Ok(None) if buffer.len() > LONGEST_HEAD => return Err("its answer has a head without end"),
            Ok(None) => return Ok(None),
            Err(Broken::HeadTooLarge) => return Err("its answer has too many headers"),
            Err(_) => return Err("what it answered is not HTTP"),
        };
        if parts.status.as_u16() == 101 {
            return Err("it switched protocols, which was not asked for");
        }
        if !parts.status.is_informational() {
            return describe(&parts, reason, asked).map(Some);
        }
    }
}

fn describe(parts: &response::Parts, reason: String, asked: Asked) -> Result<ProxyAnswer, &'static str> {
    // RFC 9110 §9.3.6: a successful answer to CONNECT has no body, whatever its headers say.
    let opened = asked == Asked::Connect && parts.status.is_success();
    let body = if opened {
        Framing::Length(0)
    } else {
        framing(parts, asked == Asked::Head).map_err(|_| "its answer can be read in two ways")?
    };
    let close = |name: &'static str| {
        let values = parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case("close"))
    };
    let kept = (is_kept(parts) || says_kept(&parts.headers))
        && !close("proxy-connection")
        && !close("connection")
        && !matches!(body, Framing::UntilClose);
    let offered = parts.headers.get_all(PROXY_AUTHENTICATE).iter().take(SCHEMES);
    let offered = offered.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
    let mut said = reason;
    // squid names its reason in a header, others by RFC 9209.
    for name in [HeaderName::from_static("x-squid-error"), HeaderName::from_static("proxy-status")] {
        if let Some(value) = parts.headers.get(name) {
            if !said.is_empty() {
                said.push_str(", ");
            }
            said.push_str(&printable(value.as_bytes()));
        }
    }
    Ok(ProxyAnswer { status: parts.status.as_u16(), said, offered, body, kept })
}

/// HTTP/1.0 proxies keep a connection that they say so of.
fn says_kept(headers: &HeaderMap) -> bool {
    let values = headers.get_all("proxy-connection").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case("keep-alive"))
}

/// The reason phrase of the first line, as far as it has come.
fn reason(buffer: &[u8]) -> String {
    let line = buffer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.splitn(3, |byte| *byte == b' ');
    printable(words.nth(2).unwrap_or_default())
}

/// What can be shown of `bytes`: one line of visible ASCII, shortened.
fn printable(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(SAID).map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' });
    shown.collect::<String>().trim().to_owned()
}

/// What was read of an answer to CONNECT, for the fuzz target and the replay of its seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectOutline {
    /// Its status; 0 while the head is not complete.
    pub status: u16,
    /// What the proxy said, as it is shown.
    pub said: String,
    /// Bytes behind the head.
    pub rest: Vec<u8>,
    /// Whether it was refused.
    pub refused: bool,
}

/// Reads the answer to a CONNECT in the pieces in which it comes. Not for use outside tests.
#[must_use]
pub fn outline_connect(pieces: &[&[u8]]) -> ConnectOutline {
    let mut outline = ConnectOutline::default();
    let mut buffer = BytesMut::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if outline.status != 0 {
            continue;
        }
        match take(&mut buffer, Asked::Connect) {
            Ok(None) => {}
            Ok(Some(answer)) => (outline.status, outline.said) = (answer.status, answer.said),
            Err(_) => {
                outline.refused = true;
                return outline;
            }
        }
    }
    if outline.status != 0 {
        outline.rest = buffer.to_vec();
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(text: &str, asked: Asked) -> Result<Option<ProxyAnswer>, &'static str> {
        take(&mut BytesMut::from(text), asked)
    }

    #[test]
    fn what_follows_the_head_belongs_to_the_tunnel() {
        let text =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\nSSH-2.0";
        let mut buffer = BytesMut::from(text);
        let answer = take(&mut buffer, Asked::Connect).unwrap().unwrap();
        assert!(answer.is_open());
        assert_eq!(&buffer[..], b"SSH-2.0");
    }

    #[test]
    fn a_refusal_says_what_the_proxy_said() {
        let text = "HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\nContent-Length: 3\r\n\r\nabc";
        let answer = taken(text, Asked::Connect).unwrap().unwrap();
        assert_eq!((answer.status, &*answer.said), (503, "Service Unavailable, ERR_DNS_FAIL 0"));
        assert_eq!((answer.body, answer.kept), (Framing::Length(3), true));
        let text = "HTTP/1.1 403 \u{1b}[31mno\u{7}\r\nContent-Length: 0\r\n\r\n";
        assert!(taken(text, Asked::Connect).is_err(), "control characters are no reason phrase");
    }

    #[test]
    fn a_407_names_the_schemes_and_whether_the_connection_stays() {
        let head = "HTTP/1.1 407 Login\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic realm=\"x\"\r\n";
        for (rest, kept) in [
            ("Content-Length: 0\r\n\r\n", true),
            ("\r\n", false),
            ("Content-Length: 0\r\nProxy-Connection: close\r\n\r\n", false),
            ("Content-Length: 0\r\nConnection: Close\r\n\r\n", false),
        ] {
            let answer = taken(&format!("{head}{rest}"), Asked::Connect).unwrap().unwrap();
            assert_eq!(answer.offered, ["Negotiate", "Basic realm=\"x\""]);
            assert_eq!(answer.kept, kept, "{rest}");
        }
        let old = "HTTP/1.0 407 Login\r\nProxy-Connection: keep-alive\r\nContent-Length: 0\r\n\r\n";
        assert!(taken(old, Asked::Connect).unwrap().unwrap().kept);
        // HEAD has no body, whatever length is named.
        let answer = taken("HTTP/1.1 407 Login\r\nContent-Length: 1000\r\n\r\n", Asked::Head).unwrap().unwrap();
        assert_eq!(answer.body, Framing::Length(0));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(LONGEST_HEAD));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(200));
        for text in [
            "SSH-2.0-OpenSSH_9.7\r\n\r\n",
            "<html>Please log in</html>\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 407 Login\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 99 What\r\n\r\n",
            &endless,
            &many,
        ] {
            assert!(taken(text, Asked::Connect).is_err(), "{text:.60}");
        }
    }

    proptest! {
        /// Whatever comes, in whatever pieces: no panic, the same result, and no byte of the tunnel lost.
        #[test]
        fn answers_are_read_wherever_they_are_cut(
            head in prop::sample::select(vec![
                &b"HTTP/1.1 200 OK\r\n\r\n"[..],
                b"HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.0 200\r\nvia: x\r\n\r\n",
                b"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 y\r\n\r\n",
                b"",
            ]),
            rest in prop::collection::vec(any::<u8>(), 0..64),
            cut in any::<prop::sample::Index>(),
        ) {
            let all = [head, &rest[..]].concat();
            let cut = cut.index(all.len() + 1);
            let (whole, pieces) = (outline_connect(&[&all]), outline_connect(&[&all[..cut], &all[cut..]]));
            if whole.status != 0 && pieces.status != 0 {
                prop_assert_eq!((whole.status, &whole.rest), (pieces.status, &pieces.rest));
            }
            if !head.is_empty() {
                prop_assert!(whole.status != 0 && whole.rest == rest);
            }
        }
    }
}
