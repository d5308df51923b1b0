//! HTTP/1.1 read plainly: one request, and everything that comes back told apart.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::noting::Stream;

/// The most that a head may be, in bytes, and the most lines in it.
const MOST_HEAD: usize = 64 << 10;
const MOST_HEADERS: usize = 128;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The connection is reset.
    Reset,
    /// The connection is closed before anything came, or within the head.
    Closed,
    /// Nothing comes within the limit.
    Silent(Duration),
    /// What comes is not HTTP: its first bytes.
    NotHttp(Vec<u8>),
    /// Something else; the system's words.
    Other(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset => f.write_str("the connection is reset in place of an answer"),
            Self::Closed => f.write_str("the connection is closed in place of an answer"),
            Self::Silent(limit) => write!(f, "no answer within {}", tradewind_core::format_duration(*limit)),
            Self::NotHttp(bytes) if bytes.first() == Some(&0x15) => f.write_str("what answers speaks TLS"),
            Self::NotHttp(_) => f.write_str("what answers does not speak HTTP"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Whole.
    Whole,
    /// The connection ended before it; how many bytes were announced, if that was said.
    Short(Option<u64>),
    /// Nothing more came within the limit.
    Stalled,
    /// It is longer than is read.
    Enough,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// The status.
    pub(crate) status: u16,
    /// The words behind it.
    pub(crate) reason: String,
    /// Name and value of each header, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, as far as it was read.
    pub(crate) body: Vec<u8>,
    /// How the body ended.
    pub(crate) ended: Ended,
}

impl Response {
    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All headers of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// `403 Forbidden`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.status, self.reason).trim_end().to_owned()
    }

    /// Whether the body is a page for people.
    pub(crate) fn is_page(&self) -> bool {
        let html = self.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
        html || self.body.trim_ascii_start().starts_with(b"<")
    }

    /// The reason in words, when the server gives one that go would show: the first line of a text/plain body.
    pub(crate) fn words(&self) -> Option<String> {
        let plain = self.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/plain"));
        let line: String = self.body_line().filter(|_| plain)?;
        Some(line)
    }

    /// The title of a page, else the first line of the body.
    pub(crate) fn gist(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(16 << 10)]).into_owned();
        let lower = text.to_ascii_lowercase();
        let title = lower.find("<title>").and_then(|start| {
            let end = lower[start..].find("</title>")?;
            text.get(start + 7..start + end).map(|title| title.trim().to_owned())
        });
        title.filter(|title| !title.is_empty()).or_else(|| self.body_line())
    }

    fn body_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4096)]);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        Some(line.chars().filter(|c| !c.is_control()).take(200).collect())
    }
}

/// How long may be waited and how much read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From the request to the first byte.
    pub(crate) first_byte: Duration,
    /// For the rest.
    pub(crate) body: Duration,
    /// The most of a body, in bytes.
    pub(crate) most_bytes: usize,
}

/// Sends `head`, which ends with an empty line, and reads the answer. After CONNECT an answer of 2xx has no body.
///
/// # Errors
/// When no head of an answer comes.
pub(crate) async fn ask<S: Stream + ?Sized>(
    stream: &mut S,
    head: &str,
    patience: &Patience,
    connect: bool,
) -> Result<Response, NoAnswer> {
    let mut bytes = Vec::new();
    let asked = tokio::time::timeout(patience.first_byte, async {
        // A server may answer and close before it has read everything: what it said counts.
        let sent = match stream.write_all(head.as_bytes()).await {
            Ok(()) => stream.flush().await,
            Err(error) => Err(error),
        };
        match read_some(stream, &mut bytes).await {
            Err(error) => Err(sent.err().unwrap_or(error)),
            read => read,
        }
    });
    match asked.await {
        Err(_) => return Err(NoAnswer::Silent(patience.first_byte)),
        Ok(Err(error)) => return Err(kind(&error)),
        Ok(Ok(0)) => return Err(NoAnswer::Closed),
        Ok(Ok(_)) => {}
    }
    let rest = tokio::time::timeout(patience.body, read_head(stream, &mut bytes)).await;
    let (mut response, length) = match rest {
        Err(_) => return Err(NoAnswer::Silent(patience.body)),
        Ok(read) => read?,
    };
    let body = bytes.split_off(length);
    if connect && (200..300).contains(&response.status) {
        return Ok(response);
    }
    let mut reading = Body { raw: body, taken: 0, body: Vec::new(), most: patience.most_bytes };
    let framing = framing(&response);
    let read = tokio::time::timeout(patience.body, reading.read(stream, framing)).await;
    response.ended = read.unwrap_or(Ended::Stalled);
    response.body = reading.body;
    Ok(response)
}

fn kind(error: &io::Error) -> NoAnswer {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            NoAnswer::Reset
        }
        io::ErrorKind::UnexpectedEof => NoAnswer::Closed,
        _ => NoAnswer::Other(error.to_string()),
    }
}

async fn read_some<S: Stream + ?Sized>(stream: &mut S, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = vec![0; 16 << 10];
    let count = stream.read(&mut buffer).await?;
    bytes.extend_from_slice(&buffer[..count]);
    Ok(count)
}

/// Reads until the head is whole: the answer without its body, and how long its head is.
async fn read_head<S: Stream + ?Sized>(stream: &mut S, bytes: &mut Vec<u8>) -> Result<(Response, usize), NoAnswer> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        match parsed.parse(bytes) {
            Err(_) => return Err(NoAnswer::NotHttp(bytes[..bytes.len().min(512)].to_vec())),
            Ok(httparse::Status::Complete(length)) => {
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                let response = Response {
                    status: parsed.code.unwrap_or(0),
                    reason: parsed.reason.unwrap_or_default().to_owned(),
                    headers: parsed.headers.iter().map(|line| (line.name.to_owned(), text(line.value))).collect(),
                    body: Vec::new(),
                    ended: Ended::Whole,
                };
                // 100 and 103 come before the answer.
                if (100..200).contains(&response.status) && response.status != 101 {
                    bytes.drain(..length);
                    continue;
                }
                return Ok((response, length));
            }
            Ok(httparse::Status::Partial) if bytes.len() > MOST_HEAD => {
                return Err(NoAnswer::Other(format!("its head is longer than {MOST_HEAD} bytes")));
            }
            Ok(httparse::Status::Partial) => match read_some(stream, bytes).await {
                Ok(0) => return Err(NoAnswer::Closed),
                Ok(_) => {}
                Err(error) => return Err(kind(&error)),
            },
        }
    }
}

/// How long a body is (RFC 9112, section 6.3).
#[derive(Clone, Copy)]
enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    ToTheEnd,
}

fn framing(response: &Response) -> Framing {
    if matches!(response.status, 204 | 304) {
        return Framing::Nothing;
    }
    if response.all("transfer-encoding").any(|value| value.to_ascii_lowercase().contains("chunked")) {
        return Framing::Chunked;
    }
    match response.header("content-length").and_then(|length| length.trim().parse().ok()) {
        Some(length) => Framing::Length(length),
        None => Framing::ToTheEnd,
    }
}

/// A body on its way.
struct Body {
    /// What has come and is not taken yet.
    raw: Vec<u8>,
    /// How much of `raw` is taken.
    taken: usize,
    body: Vec<u8>,
    most: usize,
}

impl Body {
    async fn read<S: Stream + ?Sized>(&mut self, stream: &mut S, framing: Framing) -> Ended {
        match framing {
            Framing::Nothing => Ended::Whole,
            Framing::Length(length) => {
                let whole = self.take(stream, length).await;
                whole.unwrap_or(Ended::Short(Some(length)))
            }
            // The end of the connection is the end; a reset is none.
            Framing::ToTheEnd => self.take(stream, u64::MAX).await.unwrap_or(Ended::Short(None)),
            Framing::Chunked => self.chunks(stream).await,
        }
    }

    /// Takes `length` bytes; `None` when the connection ends before.
    async fn take<S: Stream + ?Sized>(&mut self, stream: &mut S, length: u64) -> Option<Ended> {
        let mut left = length;
        loop {
            let there = &self.raw[self.taken..];
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(there.len());
            let room = self.most - self.body.len();
            self.body.extend_from_slice(&there[..count.min(room)]);
            self.taken += count;
            left -= count as u64;
            if count > room {
                return Some(Ended::Enough);
            }
            if left == 0 {
                return Some(Ended::Whole);
            }
            if !self.more(stream).await? {
                return (length == u64::MAX).then_some(Ended::Whole);
            }
        }
    }

    /// Reads on; `None` after an error, `false` at the end.
    async fn more<S: Stream + ?Sized>(&mut self, stream: &mut S) -> Option<bool> {
        self.raw.drain(..self.taken);
        self.taken = 0;
        Some(read_some(stream, &mut self.raw).await.ok()? > 0)
    }

    async fn chunks<S: Stream + ?Sized>(&mut self, stream: &mut S) -> Ended {
        loop {
            let Some(line) = self.line(stream).await else { return Ended::Short(None) };
            let digits = line.split(';').next().unwrap_or_default().trim();
            let Ok(size) = u64::from_str_radix(digits, 16) else { return Ended::Short(None) };
            if size == 0 {
                return Ended::Whole;
            }
            match self.take(stream, size).await {
                Some(Ended::Whole) => {}
                Some(other) => return other,
                None => return Ended::Short(None),
            }
            // The line break behind the chunk.
            if self.line(stream).await.is_none_or(|line| !line.is_empty()) {
                return Ended::Short(None);
            }
        }
    }

    async fn line<S: Stream + ?Sized>(&mut self, stream: &mut S) -> Option<String> {
        loop {
            let there = &self.raw[self.taken..];
            if let Some(end) = there.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&there[..end]).trim_end_matches('\r').to_owned();
                self.taken += end + 1;
                return Some(line);
            }
            if there.len() > MOST_HEAD || !self.more(stream).await? {
                return None;
            }
        }
    }
}
