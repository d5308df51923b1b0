//! One connection: reads requests, plays scripts, notices when the client goes away. Plain TCP or TLS.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::request::{BodyLength, Head, MOST_BODY, parse_chunked};
use crate::script::Step;
use crate::stats::Recorder;

/// The byte stream.
pub(crate) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Io {
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        buffer.reserve(16 * 1024);
        match self {
            Self::Plain(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Played {
    /// To its end.
    Complete,
    /// The client went away.
    ClientGone,
    /// By [`Step::Reset`].
    Reset,
}

/// Why no request could be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The client went away, or sent nothing more.
    Gone,
    /// What came is not HTTP; answered with this status.
    Bad(u16, String),
}

/// How much a client may send while it should be reading.
const MOST_EARLY: usize = 1 << 20;
/// How long a closed connection is read on, so that the last bytes are not lost to an RST.
const LINGER: Duration = Duration::from_secs(1);

/// A connection and what has been read ahead of it.
pub(crate) struct Connection {
    io: Io,
    ahead: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(io: Io) -> Self {
        Self { io, ahead: Vec::new() }
    }

    /// Waits for the first byte of a next request; false when the client closed instead.
    pub(crate) async fn readable(&mut self) -> bool {
        match &self.io {
            // Not read but looked at: with unread bytes, closing sends RST.
            Io::Plain(stream) => matches!(stream.peek(&mut [0]).await, Ok(1..)),
            Io::Tls(_) => self.more().await.is_ok(),
        }
    }

    async fn more(&mut self) -> Result<(), ReadError> {
        match self.io.read(&mut self.ahead).await {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(ReadError::Gone),
        }
    }

    /// Reads the head of the next request.
    pub(crate) async fn read_head(&mut self) -> Result<Head, ReadError> {
        loop {
            if !self.ahead.is_empty() {
                match Head::parse(&self.ahead) {
                    Ok(Some((head, length))) => {
                        self.ahead.drain(..length);
                        return Ok(head);
                    }
                    Ok(None) => {}
                    Err(error) => return Err(ReadError::Bad(400, error)),
                }
            }
            self.more().await?;
        }
    }

    /// Reads the body that belongs to `head`.
    pub(crate) async fn read_body(&mut self, head: &Head) -> Result<Vec<u8>, ReadError> {
        let length = head.body_length().map_err(|error| ReadError::Bad(400, error))?;
        let expects = head.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
        if expects && self.ahead.is_empty() {
            let interim = self.io.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
            interim.map_err(|_| ReadError::Gone)?;
        }
        match length {
            BodyLength::Known(length) if length > MOST_BODY => {
                Err(ReadError::Bad(413, "the body is too large".to_owned()))
            }
            BodyLength::Known(length) => {
                while self.ahead.len() < length {
                    self.more().await?;
                }
                let rest = self.ahead.split_off(length);
                Ok(std::mem::replace(&mut self.ahead, rest))
            }
            BodyLength::Chunked => loop {
                // A complete chunked body ends in CRLF: cheaper to ask than to parse again for every read.
                if self.ahead.ends_with(b"\r\n") {
                    match parse_chunked(&self.ahead) {
                        Ok(Some((body, used))) => {
                            self.ahead.drain(..used);
                            return Ok(body);
                        }
                        Ok(None) => {}
                        Err(error) => return Err(ReadError::Bad(400, error)),
                    }
                }
                if self.ahead.len() > MOST_BODY {
                    return Err(ReadError::Bad(413, "the body is too large".to_owned()));
                }
                self.more().await?;
            },
        }
    }

    /// Reads at least one byte of a body, and leaves the rest unread.
    pub(crate) async fn read_some_body(&mut self) -> Result<(), ReadError> {
        if self.ahead.is_empty() { self.more().await } else { Ok(()) }
    }

    /// Throws away what was read ahead.
    pub(crate) fn forget(&mut self) {
        self.ahead.clear();
    }

    /// Plays a script. What it charges for is noted as far as it comes.
    pub(crate) async fn play(&mut self, steps: &[Step], recorder: &Recorder) -> Played {
        for step in steps {
            let done = match step {
                Step::Send(bytes) => self.send(bytes).await,
                Step::Repeat(bytes, times) => self.repeat(bytes, *times).await,
                Step::Wait(time) => self.wait(*time).await,
                Step::Hang => self.wait(Duration::MAX).await,
                Step::Charge(charge) => {
                    recorder.charge(charge);
                    true
                }
                Step::Close => {
                    self.close().await;
                    true
                }
                Step::Reset => {
                    self.reset();
                    return Played::Reset;
                }
            };
            if !done {
                return Played::ClientGone;
            }
        }
        Played::Complete
    }

    async fn send(&mut self, bytes: &Bytes) -> bool {
        let sent = self.io.write_all(bytes).await.is_ok();
        // A reader on the same runtime gets its turn, and so sees one write at a time.
        tokio::task::yield_now().await;
        sent
    }

    async fn repeat(&mut self, bytes: &Bytes, times: u64) -> bool {
        for _ in 0..times {
            if !self.send(bytes).await {
                return false;
            }
        }
        true
    }

    /// Waits; false when the client went away meanwhile.
    async fn wait(&mut self, time: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.gone() => false,
            () = tokio::time::sleep(time) => true,
        }
    }

    /// Returns when the client has closed the connection. What it sends before that is kept.
    async fn gone(&mut self) {
        while self.ahead.len() < MOST_EARLY {
            if self.more().await.is_err() {
                return;
            }
        }
        std::future::pending().await
    }

    /// Makes the coming close an RST.
    fn reset(&self) {
        // Fails only when the client has closed already, and then there is nobody to reset.
        drop(self.io.tcp().set_zero_linger());
    }

    /// FIN, then reads on for a moment: unread bytes would turn the close into an RST, which may overtake the answer.
    pub(crate) async fn close(&mut self) {
        if self.io.shutdown().await.is_ok() {
            let drain = async {
                while self.more().await.is_ok() {
                    self.ahead.clear();
                }
            };
            drop(tokio::time::timeout(LINGER, drain).await);
        }
    }
}
