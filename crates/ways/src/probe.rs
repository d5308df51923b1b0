//! How long a way takes to answer: one request to a URL along it, as a dashboard's test button and the groups that pick by
//! themselves ask for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tradewind_core::{Clock, Fault};
use tradewind_egress::{Destination, Dialing, Host, Outbound, Roots, Stream, secure};

/// The most that is read of an answer: its first line is in there.
const HEAD: usize = 16 * 1024;

/// Why there is no delay.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Not in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The way did not lead there.
    #[error("{0}")]
    Fault(Fault),
    /// An answer with another status than expected, or none that is HTTP.
    #[error("the answer is {0}")]
    Status(String),
    /// The URL.
    #[error("{0} is no URL that can be tested")]
    Url(String),
}

/// Which statuses are as expected: `*`, or numbers and ranges like `200/204/301-308`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected(Vec<(u16, u16)>);

impl Expected {
    /// Reads what a document or a dashboard says; empty and `*` stand for any status. `None` when it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text == "*" {
            return Some(Self::default());
        }
        let number = |text: &str| text.trim().parse::<u16>().ok().filter(|status| (100..1000).contains(status));
        let range = |part: &str| match part.split_once('-') {
            Some((from, to)) => Some((number(from)?, number(to)?)),
            None => number(part).map(|status| (status, status)),
        };
        text.split(['/', ',']).map(range).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether `status` is as expected.
    #[must_use]
    pub fn has(&self, status: u16) -> bool {
        self.0.is_empty() || self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("*");
        }
        for (index, (from, to)) in self.0.iter().enumerate() {
            let slash = if index > 0 { "/" } else { "" };
            if from == to { write!(f, "{slash}{from}")? } else { write!(f, "{slash}{from}-{to}")? }
        }
        Ok(())
    }
}

/// What a test asks.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    to: Destination,
    tls: bool,
    head: Vec<u8>,
    url: Arc<str>,
}

impl Question {
    /// Reads `http://…` or `https://…`.
    ///
    /// # Errors
    /// When it is neither.
    pub(crate) fn parse(url: &str) -> Result<Self, ProbeError> {
        let wrong = || ProbeError::Url(url.to_owned());
        let uri: http::Uri = url.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = uri.authority().map_or(host, |authority| authority.as_str());
        let named = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let head =
            format!("HEAD {path} HTTP/1.1\r\nHost: {named}\r\nUser-Agent: tradewind\r\nConnection: close\r\n\r\n");
        Ok(Self { to: Destination { host: Host::parse(plain), port }, tls, head: head.into_bytes(), url: url.into() })
    }

    /// The URL.
    pub(crate) const fn url(&self) -> &Arc<str> {
        &self.url
    }

    /// Whether it is an https one.
    pub(crate) const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Where it leads.
    pub(crate) const fn to(&self) -> &Destination {
        &self.to
    }
}

/// Asks along `outbound`, and returns how many milliseconds the answer took, at least 1.
///
/// # Errors
/// Why there is none.
pub(crate) async fn probe(
    outbound: &Outbound,
    question: &Question,
    expected: &Expected,
    dialing: &Dialing,
    roots: &Roots,
    clock: &dyn Clock,
) -> Result<u16, ProbeError> {
    let began = clock.now();
    let limit = dialing.limit;
    let asking = async {
        let stream = outbound.connect(&question.to, dialing).await.map_err(ProbeError::Fault)?;
        let stream = if question.tls {
            secure(stream, &question.to.host, roots).await.map_err(ProbeError::Fault)?
        } else {
            stream
        };
        ask(stream, question).await
    };
    let status = tokio::time::timeout(limit, asking).await.map_err(|_| ProbeError::Timeout(limit))??;
    if !expected.has(status) {
        return Err(ProbeError::Status(format!("{status}, and {expected} is expected")));
    }
    let millis = clock.now().since(began).as_millis();
    Ok(u16::try_from(millis).unwrap_or(u16::MAX - 1).clamp(1, u16::MAX - 1))
}

async fn ask(mut stream: Stream, question: &Question) -> Result<u16, ProbeError> {
    let broken = |error: std::io::Error| ProbeError::Status(format!("none: {error}"));
    stream.write_all(&question.head).await.map_err(broken)?;
    let mut read = Vec::with_capacity(512);
    while !read.contains(&b'\n') && read.len() < HEAD {
        if stream.read_buf(&mut read).await.map_err(broken)? == 0 {
            break;
        }
    }
    status(&read).ok_or_else(|| ProbeError::Status("not HTTP".to_owned()))
}

/// The status of `HTTP/1.1 204 No Content`.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected() {
        for (text, shown) in [
            ("", "*"),
            ("*", "*"),
            ("204", "204"),
            ("200/204", "200/204"),
            (" 200-299 / 304 ", "200-299/304"),
            ("200,204", "200/204"),
        ] {
            assert_eq!(Expected::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for wrong in ["x", "20", "200-", "-", "200/", "1000"] {
            assert_eq!(Expected::parse(wrong), None, "{wrong}");
        }
        let expected = Expected::parse("200-204/301").unwrap();
        assert!(expected.has(204) && expected.has(301) && !expected.has(205));
        assert!(Expected::default().has(599));
    }

    #[test]
    fn what_is_asked() {
        let question = Question::parse("https://a.test:8443/generate_204?x=1").unwrap();
        assert!(question.tls && question.to.to_string() == "a.test:8443");
        assert!(question.head.starts_with(b"HEAD /generate_204?x=1 HTTP/1.1\r\nHost: a.test:8443\r\n"));
        assert_eq!(Question::parse("http://[::1]/").unwrap().to.to_string(), "[::1]:80");
        for wrong in ["", "a.test", "ftp://a.test", "http://", "http://a b/"] {
            assert!(Question::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_status_is_in_the_first_line() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\n"), Some(204));
        assert_eq!(status(b"HTTP/1.0 200\r\n"), Some(200));
        for wrong in [&b"HTTP/2 200"[..], b"", b"SSH-2.0", b"HTTP/1.1 2", b"HTTP/1.1 2x4 "] {
            assert_eq!(status(wrong), None);
        }
    }
}
