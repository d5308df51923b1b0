//! Requests as they come off the wire (RFC 9112): heads by httparse, bodies by length or in chunks.

use httparse::Status;

/// The largest head, in bytes; beyond it 400.
pub(crate) const MOST_HEAD: usize = 1 << 20;
/// The largest body, in bytes; beyond it 413.
pub(crate) const MOST_BODY: usize = 256 << 20;

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Whether the client keeps the connection.
    pub(crate) keep_alive: bool,
}

impl Head {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Reads a head from the front of `bytes`: the head and its length, or `None` while it is not complete.
    ///
    /// # Errors
    /// With what is wrong.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let mut headers = vec![httparse::EMPTY_HEADER; 256];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) if bytes.len() > MOST_HEAD => return Err("the head is too large".to_owned()),
            Ok(Status::Partial) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut head = Self {
            method: request.method.unwrap_or_default().to_owned(),
            path: request.path.unwrap_or_default().to_owned(),
            headers: request.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect(),
            keep_alive: false,
        };
        let connection = head.header("connection").unwrap_or_default().to_ascii_lowercase();
        head.keep_alive = match request.version {
            Some(1) => !connection.contains("close"),
            _ => connection.contains("keep-alive"),
        };
        Ok(Some((head, length)))
    }

    /// How the body is delimited.
    ///
    /// # Errors
    /// When the length is not a number.
    pub(crate) fn body_length(&self) -> Result<BodyLength, String> {
        if self.header("transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked")) {
            return Ok(BodyLength::Chunked);
        }
        match self.header("content-length") {
            Some(length) => {
                length.trim().parse().map(BodyLength::Known).map_err(|_| format!("`{length}` is not a length"))
            }
            None => Ok(BodyLength::Known(0)),
        }
    }
}

/// A part of a path or query with its percent escapes undone (RFC 3986, section 2.1); what is no escape stays.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = escape.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    Known(usize),
    Chunked,
}

/// Takes a whole chunked body off the front of `bytes`: the body and the bytes used, or `None` while it is not
/// complete.
///
/// # Errors
/// With what is wrong.
pub(crate) fn parse_chunked(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let (used, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(Status::Complete(found)) => found,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err("a chunk size is not a number".to_owned()),
        };
        at += used;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size == 0 {
            // Trailers are read over, up to the blank line.
            let Some(end) = memchr::memmem::find(&bytes[at.saturating_sub(2)..], b"\r\n\r\n") else { return Ok(None) };
            return Ok(Some((body, at.saturating_sub(2) + end + 4)));
        }
        if size > MOST_BODY {
            return Err("a chunk is too large".to_owned());
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunked_bodies_are_read_with_and_without_trailers() {
        let plain = b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\nGET";
        assert_eq!(parse_chunked(plain), Ok(Some((b"hello!".to_vec(), plain.len() - 3))));
        let trailers = b"1\r\na\r\n0\r\nx: y\r\n\r\n";
        assert_eq!(parse_chunked(trailers), Ok(Some((b"a".to_vec(), trailers.len()))));
        for cut in 0..trailers.len() {
            assert_eq!(parse_chunked(&trailers[..cut]), Ok(None), "{cut}");
        }
        assert!(parse_chunked(b"zz\r\n").is_err());
    }

    #[test]
    fn percent_escapes_are_undone() {
        for (text, plain) in [("a/b", "a/b"), ("a%2Fb%20%E7%81%AF", "a/b 灯"), ("50%", "50%"), ("%zz%4", "%zz%4")] {
            assert_eq!(percent_decoded(text), plain);
        }
    }

    #[test]
    fn heads_say_whether_the_connection_is_kept() {
        let keep = |text: &str| Head::parse(text.as_bytes()).unwrap().unwrap().0.keep_alive;
        assert!(keep("GET / HTTP/1.1\r\n\r\n"));
        assert!(!keep("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
        assert!(!keep("GET / HTTP/1.0\r\n\r\n"));
        assert!(Head::parse(b"GET / HTTP/1.1\r\nHost: a").unwrap().is_none());
    }
}
