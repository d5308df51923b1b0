//! What is put on the wire, step by step: a reply with its framing becomes a list of [`Step`]s, and pacing cuts the
//! steps into smaller ones. No I/O here; `connection` plays the script.

use std::time::Duration;

use bytes::Bytes;

use crate::answer::Place;
use crate::stats::Charge;

/// One act on the connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// One write.
    Send(Bytes),
    /// The same bytes so many times; takes no more memory than once.
    Repeat(Bytes, u64),
    /// Nothing for so long, while watching whether the client goes away.
    Wait(Duration),
    /// Nothing until the client goes away.
    Hang,
    /// Nothing on the wire: from here on the client owes this.
    Charge(Charge),
    /// RST.
    Reset,
    /// FIN.
    Close,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `Content-Length`, with so many bytes more (or less) than there are.
    Length { lie: i64 },
    /// `Transfer-Encoding: chunked`, each part a chunk.
    Chunked,
    /// The end of the connection.
    Close,
}

/// What happens behind the body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// The connection is kept.
    Keep,
    /// FIN; with chunked framing the last chunk is sent before it.
    Close,
    /// Bytes in place of the last chunk, then FIN.
    BreakWith(Bytes),
    /// RST; no last chunk.
    Reset,
    /// Further bytes behind a complete body; the connection is kept.
    KeepAfter(Bytes),
}

/// A piece of a body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    /// Bytes; `place` says what of the answer they are.
    Bytes { bytes: Bytes, place: Place },
    /// The same bytes so many times, in one chunk.
    Repeat(Bytes, u64),
    /// A pause.
    Wait(Duration),
    /// A pause without end.
    Hang,
    /// Nothing on the wire: from here on the client owes this.
    Charge(Charge),
}

impl Part {
    pub(crate) fn bytes(bytes: impl Into<Bytes>, place: Place) -> Self {
        Self::Bytes { bytes: bytes.into(), place }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes { bytes, .. } => bytes.len() as u64,
            Self::Repeat(bytes, times) => bytes.len() as u64 * times,
            Self::Wait(_) | Self::Hang | Self::Charge(_) => 0,
        }
    }

    pub(crate) fn is_content(&self) -> bool {
        matches!(self, Self::Bytes { place: Place::Content, .. })
    }
}

/// A reply before it is put into bytes.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Sent before the head, in one write.
    pub(crate) interim: Option<Bytes>,
    pub(crate) http10: bool,
    pub(crate) framing: Framing,
    pub(crate) parts: Vec<Part>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) end: End,
    /// Whether head and body may go in one write; streams send the head first.
    pub(crate) together: bool,
    /// What the request costs, before anything is sent or waited for.
    pub(crate) on_accept: Option<Charge>,
    /// What the answer costs, as soon as it begins.
    pub(crate) on_head: Option<Charge>,
}

impl Reply {
    /// A whole body of a type.
    pub(crate) fn whole(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            interim: None,
            http10: false,
            framing: Framing::Length { lie: 0 },
            parts: vec![Part::bytes(body, Place::Content)],
            trailers: Vec::new(),
            end: End::Keep,
            together: true,
            on_accept: None,
            on_head: None,
        }
    }

    /// A whole JSON body.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::whole(status, "application/json", body.to_string())
    }

    /// A stream of events.
    pub(crate) fn stream(parts: Vec<Part>) -> Self {
        let mut reply = Self::whole(200, "text/event-stream; charset=utf-8", Bytes::new());
        reply.headers.push(("cache-control".to_owned(), "no-cache".to_owned()));
        reply.framing = Framing::Chunked;
        reply.parts = parts;
        reply.together = false;
        reply
    }

    pub(crate) fn header(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Whether the connection can take another request behind this reply.
    pub(crate) fn keeps_connection(&self) -> bool {
        !self.http10 && self.framing != Framing::Close && matches!(self.end, End::Keep | End::KeepAfter(_))
    }

    /// All bytes of the body together. Only for bodies without repetition.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for part in &self.parts {
            if let Part::Bytes { bytes, .. } = part {
                body.extend_from_slice(bytes);
            }
        }
        body
    }

    /// The status line and headers, with those of the framing.
    fn head(&self) -> Vec<u8> {
        let version = if self.http10 { "1.0" } else { "1.1" };
        let mut head = format!("HTTP/{version} {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.framing {
            Framing::Length { lie } => {
                let length = self.parts.iter().map(Part::len).sum::<u64>().saturating_add_signed(lie);
                head.push_str(&format!("content-length: {length}\r\n"));
            }
            Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
            Framing::Close => {}
        }
        if !self.trailers.is_empty() {
            let names: Vec<&str> = self.trailers.iter().map(|(name, _)| name.as_str()).collect();
            head.push_str(&format!("trailer: {}\r\n", names.join(", ")));
        }
        if self.framing == Framing::Close || self.end == End::Close {
            head.push_str("connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// The steps of this reply.
    pub(crate) fn script(self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.parts.len() + 4);
        steps.extend(self.on_head.clone().map(Step::Charge));
        if let Some(interim) = &self.interim {
            steps.push(Step::Send(interim.clone()));
        }
        let chunked = self.framing == Framing::Chunked;
        steps.push(Step::Send(self.head().into()));
        for part in &self.parts {
            match part {
                Part::Wait(time) => steps.push(Step::Wait(*time)),
                Part::Hang => steps.push(Step::Hang),
                Part::Charge(charge) => steps.push(Step::Charge(charge.clone())),
                Part::Bytes { bytes, .. } if bytes.is_empty() => {}
                Part::Bytes { bytes, .. } if chunked => steps.push(Step::Send(chunk(bytes))),
                Part::Bytes { bytes, .. } => steps.push(Step::Send(bytes.clone())),
                Part::Repeat(bytes, times) if chunked => {
                    steps.push(Step::Send(format!("{:x}\r\n", part.len()).into()));
                    steps.push(Step::Repeat(bytes.clone(), *times));
                    steps.push(Step::Send(Bytes::from_static(b"\r\n")));
                }
                Part::Repeat(bytes, times) => steps.push(Step::Repeat(bytes.clone(), *times)),
            }
        }
        if chunked && !matches!(self.end, End::BreakWith(_) | End::Reset) {
            let mut last = "0\r\n".to_owned();
            for (name, value) in &self.trailers {
                last.push_str(&format!("{name}: {value}\r\n"));
            }
            last.push_str("\r\n");
            steps.push(Step::Send(last.into()));
        }
        if self.together {
            steps = join(steps);
        }
        match &self.end {
            End::Keep => {}
            End::KeepAfter(bytes) => steps.push(Step::Send(bytes.clone())),
            End::Close => steps.push(Step::Close),
            End::BreakWith(bytes) => {
                steps.push(Step::Send(bytes.clone()));
                steps.push(Step::Close);
            }
            End::Reset => steps.push(Step::Reset),
        }
        if !self.keeps_connection() && !matches!(steps.last(), Some(Step::Close | Step::Reset)) {
            steps.push(Step::Close);
        }
        steps
    }
}

/// One chunk of chunked coding.
fn chunk(bytes: &Bytes) -> Bytes {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk.into()
}

/// Neighbouring sends as one.
fn join(steps: Vec<Step>) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::with_capacity(steps.len());
    for step in steps {
        match (joined.last_mut(), step) {
            (Some(Step::Send(before)), Step::Send(bytes)) => {
                let mut both = before.to_vec();
                both.extend_from_slice(&bytes);
                *before = both.into();
            }
            (_, step) => joined.push(step),
        }
    }
    joined
}

/// How bytes are spread over writes and time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Every byte a write of its own.
    EachByte,
    /// Writes of 1 to 16 bytes.
    Random(u64),
    /// Behind the head, one byte per interval.
    Drip(Duration),
    /// Behind the head, so many bytes a second.
    Cap(u64),
}

/// How often a capped connection sends.
const CAP_INTERVAL: Duration = Duration::from_millis(20);

/// Spreads the bytes of `steps`. The first send, with the head, is spared by `Drip` and `Cap`.
pub(crate) fn paced(steps: Vec<Step>, pace: Pace) -> Vec<Step> {
    let mut random = fastrand::Rng::with_seed(if let Pace::Random(seed) = pace { seed } else { 0 });
    let mut spread = Vec::new();
    let mut head_sent = false;
    for step in steps {
        let Step::Send(mut bytes) = step else {
            spread.push(step);
            continue;
        };
        if !head_sent && matches!(pace, Pace::Drip(_) | Pace::Cap(_)) {
            let end = head_end(&bytes);
            spread.push(Step::Send(bytes.split_to(end)));
        }
        head_sent = true;
        while !bytes.is_empty() {
            let (size, wait) = match pace {
                Pace::EachByte => (1, None),
                Pace::Random(_) => (random.usize(1..=16), None),
                Pace::Drip(interval) => (1, Some(interval)),
                Pace::Cap(rate) => (usize::try_from(rate / 50).unwrap_or(usize::MAX).max(1), Some(CAP_INTERVAL)),
            };
            spread.push(Step::Send(bytes.split_to(size.min(bytes.len()))));
            spread.extend(wait.map(Step::Wait));
        }
    }
    spread
}

/// Where the head ends in `bytes`, or their length.
fn head_end(bytes: &[u8]) -> usize {
    memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4)
}

/// The reason phrase.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        413 => "Payload Too Large",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        529 => "Overloaded",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(steps: &[Step]) -> String {
        let mut all = Vec::new();
        for step in steps {
            if let Step::Send(bytes) = step {
                all.extend_from_slice(bytes);
            }
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn a_whole_reply_is_one_write() {
        let steps = Reply::whole(200, "text/plain", "hello").script();
        let expected = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(steps, [Step::Send(expected.into())]);
    }

    #[test]
    fn each_event_of_a_stream_is_one_chunk_and_one_write() {
        let parts = vec![Part::bytes("data: a\n\n", Place::Content), Part::bytes("data: b\n\n", Place::Content)];
        let steps = Reply::stream(parts).script();
        assert_eq!(steps.len(), 4);
        assert_eq!(steps[1], Step::Send("9\r\ndata: a\n\n\r\n".into()));
        assert_eq!(steps[3], Step::Send("0\r\n\r\n".into()));
    }

    #[test]
    fn pacing_changes_writes_and_not_bytes() {
        let script = || Reply::whole(200, "text/plain", "hello, harbour").script();
        let whole = sent(&script());
        for pace in [Pace::EachByte, Pace::Random(3), Pace::Drip(Duration::from_secs(1)), Pace::Cap(100)] {
            assert_eq!(sent(&paced(script(), pace)), whole, "{pace:?}");
        }
        assert_eq!(paced(script(), Pace::EachByte).len(), whole.len());
        // The head in one write, then two bytes each 20 ms.
        assert_eq!(paced(script(), Pace::Cap(100)).len(), 1 + 7 * 2);
    }
}
