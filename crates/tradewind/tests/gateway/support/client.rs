//! A raw HTTP/1.1 client: sends bytes as given, reads what comes until the connection ends, and takes framing apart by
//! itself, so that nothing of the gateway's own HTTP library can hide a mistake.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tradewind_core::Dialect;

/// No answer takes longer; a test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What every question asks.
pub(crate) const PROMPT: &str = "Which way does the wind blow?";

#[expect(clippy::disallowed_methods, reason = "a caller measures with a clock of its own")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The path of a question.
pub(crate) fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "/v1/chat/completions",
        Dialect::Anthropic => "/v1/messages",
    }
}

/// The body of a question.
pub(crate) fn question(dialect: Dialect, model: &str, stream: bool) -> Value {
    let mut body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": PROMPT}]});
    match dialect {
        Dialect::OpenAi if stream => body["stream_options"] = json!({"include_usage": true}),
        Dialect::OpenAi => {}
        Dialect::Anthropic => body["max_tokens"] = json!(1000),
    }
    body
}

/// A request that closes the connection behind it.
pub(crate) fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").into_bytes()
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As its framing says.
    Whole,
    /// The connection ended before that.
    Cut,
    /// More bytes came than its framing says.
    Extra,
}

/// An answer, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
    /// From sending to the end.
    pub(crate) took: Duration,
}

/// Sends `request` and reads until the connection ends.
pub(crate) async fn send(address: SocketAddr, request: &[u8]) -> Answer {
    let began = now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The gateway may refuse before it has read all: what it says is read all the same.
    let _ = stream.write_all(request).await;
    let bytes = read_to_end(&mut stream).await;
    Answer::parse(&bytes, began.elapsed())
}

/// Reads until the connection ends, however it ends.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reading = async { while let Ok(1..) = stream.read_buf(&mut bytes).await {} };
    tokio::time::timeout(PATIENCE, reading).await.expect("the gateway ended neither the answer nor the connection");
    bytes
}

/// Reads until `seen` is in what came.
pub(crate) async fn read_until(stream: &mut TcpStream, seen: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reading = async {
        while find(&bytes, seen.as_bytes()).is_none() {
            let count = stream.read_buf(&mut bytes).await.unwrap();
            assert!(count > 0, "the connection ended before {seen:?}: {}", String::from_utf8_lossy(&bytes));
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{seen:?} did not come"));
    bytes
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8], took: Duration) -> Self {
        let Some(end) = find(bytes, b"\r\n\r\n") else {
            let head = String::from_utf8_lossy(bytes).into_owned();
            return Self { status: 0, head, body: Vec::new(), end: End::Cut, took };
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let mut answer = Self { status, head, body: Vec::new(), end: End::Whole, took };
        let rest = &bytes[end + 4..];
        if answer.header("transfer-encoding") == Some("chunked") {
            (answer.body, answer.end) = unchunk(rest);
        } else {
            answer.body = rest.to_vec();
            if let Some(length) = answer.header("content-length").and_then(|length| length.parse::<usize>().ok()) {
                answer.end = match rest.len().cmp(&length) {
                    std::cmp::Ordering::Less => End::Cut,
                    std::cmp::Ordering::Equal => End::Whole,
                    std::cmp::Ordering::Greater => End::Extra,
                };
            }
        }
        answer
    }

    /// The value of a header, in lower case like the whole head.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(crate) fn decision(&self) -> Option<&str> {
        self.header("x-tradewind-decision")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {} {}", self.head, self.text()))
    }

    /// The data of the events of a stream, by the rules of the WHATWG standard; an unfinished event is dropped.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = self.text().trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
        let mut events = Vec::new();
        let mut data: Vec<&str> = Vec::new();
        for line in text.split_inclusive('\n') {
            let Some(line) = line.strip_suffix('\n') else { break };
            if line.is_empty() {
                if !data.is_empty() {
                    events.push(std::mem::take(&mut data).join("\n"));
                }
            } else if let Some(value) = line.strip_prefix("data:") {
                data.push(value.strip_prefix(' ').unwrap_or(value));
            }
        }
        events
    }

    /// The text of the answer, whole or streamed.
    pub(crate) fn said(&self, dialect: Dialect) -> String {
        if self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let pieces = self.events().into_iter().filter_map(|event| serde_json::from_str::<Value>(&event).ok());
            let said = |event: Value| match dialect {
                Dialect::OpenAi => event["choices"][0]["delta"]["content"].as_str().map(str::to_owned),
                Dialect::Anthropic => event["delta"]["text"].as_str().map(str::to_owned),
            };
            return pieces.filter_map(said).collect();
        }
        let body = self.json();
        let said = match dialect {
            Dialect::OpenAi => &body["choices"][0]["message"]["content"],
            Dialect::Anthropic => &body["content"][0]["text"],
        };
        said.as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Takes chunked coding off.
fn unchunk(bytes: &[u8]) -> (Vec<u8>, End) {
    let mut body = Vec::new();
    let mut rest = bytes;
    loop {
        let Some(line) = rest.windows(2).take(20).position(|pair| pair == b"\r\n") else { return (body, End::Cut) };
        let size = std::str::from_utf8(&rest[..line]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.unwrap_or_else(|| panic!("{:?} is no chunk size", &rest[..line]));
        rest = &rest[line + 2..];
        if size == 0 {
            return match rest {
                b"\r\n" => (body, End::Whole),
                [b'\r', b'\n', ..] => (body, End::Extra),
                _ => (body, End::Cut),
            };
        }
        let Some(chunk) = rest.get(..size + 2) else {
            body.extend_from_slice(&rest[..size.min(rest.len())]);
            return (body, End::Cut);
        };
        body.extend_from_slice(&chunk[..size]);
        rest = &rest[size + 2..];
    }
}
