//! A raw client: writes requests byte by byte as given and reads whatever comes, with a strict reader of HTTP/1.1 bodies
//! and of event streams to judge it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tradewind_core::Dialect;
use tradewind_sim::Sim;

pub(crate) const DIALECTS: [Dialect; 2] = [Dialect::OpenAi, Dialect::Anthropic];
pub(crate) const PROMPT: &str = "Which way does the wind blow?";

/// How long nothing may come from a sim that was told to be silent.
pub(crate) const SILENCE: Duration = Duration::from_millis(1500);
/// The same for any other: only a test that fails waits that long.
const PATIENCE: Duration = Duration::from_secs(20);
/// Faults that leave the connection open and silent.
const SILENT: [&str; 4] = ["no-headers", "hang-after-headers", "stall", "content-length-short"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
    Silence,
}

/// What came, and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
    /// How many reads it took.
    pub(crate) reads: usize,
}

pub(crate) fn body(dialect: Dialect, stream: bool, fault: &str) -> Value {
    let model = if fault.is_empty() { "m".to_owned() } else { format!("m!{fault}") };
    let mut body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": PROMPT}]});
    if dialect == Dialect::Anthropic {
        body["max_tokens"] = json!(1000);
    }
    body
}

pub(crate) fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "/v1/chat/completions",
        Dialect::Anthropic => "/v1/messages",
    }
}

/// A request that closes the connection behind it, unless `headers` keep it.
pub(crate) fn request(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let close = if headers.contains("connection:") { "" } else { "connection: close\r\n" };
    format!("POST {path} HTTP/1.1\r\nhost: sim\r\n{close}{headers}content-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

pub(crate) async fn connect(sim: &Sim) -> TcpStream {
    TcpStream::connect(sim.address()).await.unwrap()
}

/// Reads until the connection ends or nothing comes for `patience`.
pub(crate) async fn read_for(stream: &mut TcpStream, patience: Duration) -> Raw {
    let mut raw = Raw { bytes: Vec::new(), end: End::Silence, reads: 0 };
    loop {
        match tokio::time::timeout(patience, stream.read_buf(&mut raw.bytes)).await {
            Err(_) => return raw,
            Ok(Ok(0)) => {
                raw.end = End::Fin;
                return raw;
            }
            Ok(Ok(_)) => raw.reads += 1,
            Ok(Err(_)) => {
                raw.end = End::Reset;
                return raw;
            }
        }
    }
}

/// Reads until the connection ends.
pub(crate) async fn read_all(stream: &mut TcpStream) -> Raw {
    read_for(stream, PATIENCE).await
}

pub(crate) async fn send(sim: &Sim, request: &[u8]) -> Raw {
    let mut stream = connect(sim).await;
    stream.write_all(request).await.unwrap();
    read_all(&mut stream).await
}

/// Asks with the fault in the model's name.
pub(crate) async fn ask(sim: &Sim, dialect: Dialect, stream: bool, fault: &str) -> Raw {
    let mut connection = connect(sim).await;
    connection.write_all(&request(path(dialect), "", &body(dialect, stream, fault).to_string())).await.unwrap();
    let silent = SILENT.contains(&fault.split('@').next().unwrap_or_default());
    read_for(&mut connection, if silent { SILENCE } else { PATIENCE }).await
}

/// How a body is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Short,
    BadChunk,
    /// More bytes than announced.
    Extra,
}

impl Raw {
    /// The last head, behind interim ones.
    pub(crate) fn head(&self) -> String {
        let mut start = 0;
        loop {
            let end = find(&self.bytes[start..], b"\r\n\r\n").map_or(self.bytes.len(), |at| start + at + 4);
            let head = String::from_utf8_lossy(&self.bytes[start..end]).into_owned();
            if !head.starts_with("HTTP/1.1 1") || end == self.bytes.len() {
                return head;
            }
            start = end;
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head().split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let head = self.head();
        let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }

    fn after_head(&self) -> &[u8] {
        let head = self.head();
        let at = find(&self.bytes, head.as_bytes()).unwrap();
        &self.bytes[at + head.len()..]
    }

    /// The body with its framing taken off, which has to be right.
    pub(crate) fn body(&self) -> Result<Vec<u8>, Broken> {
        let bytes = self.after_head();
        if self.header("transfer-encoding").is_some() {
            return unchunk(bytes);
        }
        match self.header("content-length") {
            None => Ok(bytes.to_vec()),
            Some(length) => match bytes.len().cmp(&length.parse().unwrap()) {
                std::cmp::Ordering::Less => Err(Broken::Short),
                std::cmp::Ordering::Equal => Ok(bytes.to_vec()),
                std::cmp::Ordering::Greater => Err(Broken::Extra),
            },
        }
    }

    /// As much of the body as there is, its framing taken off.
    pub(crate) fn body_so_far(&self) -> String {
        let bytes = self.after_head();
        let bytes = if self.header("transfer-encoding").is_some() { unchunk_some(bytes).0 } else { bytes.to_vec() };
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body().unwrap()).unwrap()
    }

    /// The data of the events of the stream so far, by the rules of the standard.
    pub(crate) fn events(&self) -> Vec<String> {
        events(&self.body_so_far())
    }

    pub(crate) fn has_terminal(&self) -> bool {
        self.events().iter().any(|event| event == "[DONE]" || event.contains("\"message_stop\""))
    }

    /// The text of a whole or streamed answer.
    pub(crate) fn text(&self, dialect: Dialect, stream: bool) -> Option<String> {
        if !stream {
            let value = self.json();
            return match dialect {
                Dialect::OpenAi => value["choices"][0]["message"]["content"].as_str().map(str::to_owned),
                Dialect::Anthropic => value["content"][0]["text"].as_str().map(str::to_owned),
            };
        }
        let mut text = String::new();
        for event in self.events() {
            let Ok(value) = serde_json::from_str::<Value>(&event) else { continue };
            let piece = match dialect {
                Dialect::OpenAi => &value["choices"][0]["delta"]["content"],
                Dialect::Anthropic => &value["delta"]["text"],
            };
            text.push_str(piece.as_str().unwrap_or_default());
        }
        Some(text)
    }

    /// Asserts that this is the right and complete answer to [`body`].
    pub(crate) fn assert_right(&self, sim: &Sim, dialect: Dialect, stream: bool, what: &str) {
        let what = format!("{what} {dialect} stream={stream}");
        assert_eq!(self.status(), 200, "{what}");
        assert!(self.body().is_ok(), "{what}: {:?}", self.body());
        let expected = sim.expected_text(dialect, body(dialect, stream, "").to_string().as_bytes());
        assert_eq!(self.text(dialect, stream), expected, "{what}");
        if stream {
            assert!(self.has_terminal(), "{what}");
        }
    }
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn unchunk(bytes: &[u8]) -> Result<Vec<u8>, Broken> {
    match unchunk_some(bytes) {
        (body, Some(rest)) if rest == bytes.len() => Ok(body),
        (_, Some(_)) => Err(Broken::Extra),
        (_, None) if has_bad_size(bytes) => Err(Broken::BadChunk),
        (_, None) => Err(Broken::Short),
    }
}

fn has_bad_size(bytes: &[u8]) -> bool {
    find(bytes, b"\r\nzz\r\n").is_some()
}

/// The data of complete chunks, and where the body ended if it did.
fn unchunk_some(bytes: &[u8]) -> (Vec<u8>, Option<usize>) {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some(line) = find(&bytes[at..], b"\r\n") else { return (body, None) };
        let size =
            std::str::from_utf8(&bytes[at..at + line]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(size) = size else { return (body, None) };
        at += line + 2;
        if size == 0 {
            let end = find(&bytes[at - 2..], b"\r\n\r\n").map(|end| at - 2 + end + 4);
            return (body, end);
        }
        let Some(data) = bytes.get(at..at + size) else { return (body, None) };
        body.extend_from_slice(data);
        at += size + 2;
    }
}

/// Parses an event stream by the rules of the WHATWG standard; an unfinished event is dropped.
pub(crate) fn events(text: &str) -> Vec<String> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
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
