//! One caller's connection and its reader of answers: status, `Content-Length` or chunks, terminal event. Reads only as
//! much of HTTP/1.1 as a well-behaved server sends, and calls everything else malformed.

use std::net::SocketAddr;
use std::time::Instant;

use httparse::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Connect,
    Reset,
    Cut,
    Status(u16),
    NoTerminal,
    Malformed,
}

impl Failure {
    pub(super) fn name(self) -> String {
        match self {
            Self::Connect => "connect".to_owned(),
            Self::Reset => "reset".to_owned(),
            Self::Cut => "cut".to_owned(),
            Self::Status(status) => format!("status-{status}"),
            Self::NoTerminal => "no-terminal".to_owned(),
            Self::Malformed => "malformed".to_owned(),
        }
    }
}

/// What is watched while an answer arrives.
pub(super) trait Watch {
    /// Bytes of the body have arrived.
    fn body_bytes(&mut self, count: usize);
}

/// The end of a stream, kept to look for its terminal event.
const TAIL: usize = 64;

/// Reads an answer piece by piece.
#[derive(Debug, Default)]
pub(super) struct Reader {
    status: u16,
    framing: Framing,
    tail: Vec<u8>,
    keep_tail: bool,
    closes: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Framing {
    /// The head is still to come.
    #[default]
    Head,
    /// So many bytes are left.
    Length(u64),
    /// The size line of a chunk is next.
    ChunkSize,
    /// So many bytes of a chunk are left, its line end included.
    Chunk(u64),
    /// Behind the last chunk.
    Trailers,
    Done,
}

impl Reader {
    pub(super) fn new(keep_tail: bool) -> Self {
        Self { keep_tail, ..Self::default() }
    }

    /// Takes what it can off the front of `buffer`; returns how many bytes it took.
    ///
    /// # Errors
    /// When it is not HTTP.
    pub(super) fn take(&mut self, buffer: &[u8], watch: &mut impl Watch) -> Result<usize, Failure> {
        let mut at = 0;
        loop {
            let rest = &buffer[at..];
            match self.framing {
                Framing::Head => match self.head(rest)? {
                    Some(length) => at += length,
                    None => return Ok(at),
                },
                Framing::Length(left) => {
                    let now = left.min(rest.len() as u64);
                    self.body(&rest[..now as usize], watch);
                    at += now as usize;
                    self.framing = if left == now { Framing::Done } else { Framing::Length(left - now) };
                    if left > now {
                        return Ok(at);
                    }
                }
                Framing::ChunkSize => match httparse::parse_chunk_size(rest).map_err(|_| Failure::Malformed)? {
                    Status::Partial => return Ok(at),
                    Status::Complete((used, size)) => {
                        at += used;
                        self.framing = if size == 0 { Framing::Trailers } else { Framing::Chunk(size + 2) };
                    }
                },
                Framing::Chunk(left) => {
                    let now = left.min(rest.len() as u64);
                    // The last two bytes of a chunk are its line end.
                    let data = now.min(left.saturating_sub(2));
                    self.body(&rest[..data as usize], watch);
                    at += now as usize;
                    self.framing = if left == now { Framing::ChunkSize } else { Framing::Chunk(left - now) };
                    if left > now {
                        return Ok(at);
                    }
                }
                Framing::Trailers => {
                    let Some(end) = memchr::memmem::find(rest, b"\r\n") else { return Ok(at) };
                    at += end + 2;
                    if end == 0 {
                        self.framing = Framing::Done;
                    }
                }
                Framing::Done => return Ok(at),
            }
        }
    }

    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let Status::Complete(length) = response.parse(bytes).map_err(|_| Failure::Malformed)? else {
            return Ok(None);
        };
        let status = response.code.unwrap_or(0);
        if (100..200).contains(&status) {
            return Ok(Some(length));
        }
        self.status = status;
        let mut framing = None;
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(header.value).map_err(|_| Failure::Malformed)?;
                framing = Some(Framing::Length(text.trim().parse().map_err(|_| Failure::Malformed)?));
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Some(Framing::ChunkSize);
            } else if header.name.eq_ignore_ascii_case("connection") {
                self.closes |= header.value.eq_ignore_ascii_case(b"close");
            }
        }
        self.framing = framing.ok_or(Failure::Malformed)?;
        Ok(Some(length))
    }

    fn body(&mut self, bytes: &[u8], watch: &mut impl Watch) {
        if bytes.is_empty() {
            return;
        }
        watch.body_bytes(bytes.len());
        if self.keep_tail {
            if bytes.len() >= TAIL {
                self.tail.clear();
                self.tail.extend_from_slice(&bytes[bytes.len() - TAIL..]);
            } else {
                let excess = (self.tail.len() + bytes.len()).saturating_sub(TAIL);
                self.tail.drain(..excess);
                self.tail.extend_from_slice(bytes);
            }
        }
    }

    fn done(&self) -> bool {
        self.framing == Framing::Done
    }

    /// Whether the stream ended as a stream of either dialect should.
    fn has_terminal(&self) -> bool {
        memchr::memmem::find(&self.tail, b"[DONE]").is_some()
            || memchr::memmem::find(&self.tail, b"\"message_stop\"").is_some()
    }

    fn verdict(&self) -> Result<(), Failure> {
        match self.status {
            200 if self.keep_tail && !self.has_terminal() => Err(Failure::NoTerminal),
            200 => Ok(()),
            status => Err(Failure::Status(status)),
        }
    }
}

/// A connection that is kept between calls, and opened again when it was lost.
pub(super) struct Caller {
    target: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Caller {
    pub(super) fn new(target: SocketAddr) -> Self {
        Self { target, stream: None, buffer: Vec::with_capacity(32 * 1024) }
    }

    /// Makes one call.
    ///
    /// # Errors
    /// With how it failed; the connection is given up then.
    pub(super) async fn call(&mut self, request: &[u8], stream: bool, watch: &mut impl Watch) -> Result<(), Failure> {
        let mut connection = match self.stream.take() {
            Some(connection) => connection,
            None => {
                let connection = TcpStream::connect(self.target).await.map_err(|_| Failure::Connect)?;
                drop(connection.set_nodelay(true));
                connection
            }
        };
        connection.write_all(request).await.map_err(|_| Failure::Reset)?;
        let mut reader = Reader::new(stream);
        self.buffer.clear();
        while !reader.done() {
            match connection.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                Ok(0) if reader.status == 0 => return Err(Failure::Reset),
                Ok(0) => return Err(Failure::Cut),
                Err(_) => return Err(Failure::Reset),
            }
            let used = reader.take(&self.buffer, watch)?;
            if used == self.buffer.len() {
                self.buffer.clear();
            } else {
                self.buffer.drain(..used);
            }
            if self.buffer.capacity() - self.buffer.len() < 4096 {
                self.buffer.reserve(16 * 1024);
            }
        }
        if !reader.closes && self.buffer.is_empty() {
            self.stream = Some(connection);
        }
        reader.verdict()
    }
}

/// The clock of the generator.
#[expect(clippy::disallowed_methods, reason = "a load generator measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(usize);

    impl Watch for Count {
        fn body_bytes(&mut self, count: usize) {
            self.0 += count;
        }
    }

    /// Feeds `bytes` in two pieces, cut at every place.
    fn read(bytes: &[u8], stream: bool) -> (Result<(), Failure>, usize) {
        let mut outcomes = Vec::new();
        for cut in 0..=bytes.len() {
            let (mut reader, mut count, mut buffer) = (Reader::new(stream), Count::default(), Vec::new());
            let mut outcome = Ok(());
            for piece in [&bytes[..cut], &bytes[cut..]] {
                buffer.extend_from_slice(piece);
                match reader.take(&buffer, &mut count) {
                    Ok(used) => drop(buffer.drain(..used)),
                    Err(error) => outcome = Err(error),
                }
            }
            let outcome = outcome.and_then(|()| if reader.done() { reader.verdict() } else { Err(Failure::Cut) });
            outcomes.push((outcome, count.0));
        }
        assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "depends on the cut: {outcomes:?}");
        outcomes[0]
    }

    #[test]
    fn answers_are_read_however_they_are_cut() {
        assert_eq!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", false), (Ok(()), 5));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
        assert_eq!(read(chunked, true), (Ok(()), 23));
        let trailers = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\n\r\n";
        assert_eq!(read(trailers, false), (Ok(()), 1));
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let cut = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n0\r\n\r\n";
        assert_eq!(read(cut, true).0, Err(Failure::NoTerminal));
        assert_eq!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", false).0, Err(Failure::Cut));
        assert_eq!(read(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", false).0, Err(Failure::Status(503)));
        let mut reader = Reader::new(false);
        assert_eq!(reader.take(b"SSH-2.0-OpenSSH\r\n\r\n", &mut Count::default()), Err(Failure::Malformed));
    }
}
