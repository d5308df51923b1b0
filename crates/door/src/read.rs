//! Reading a request body, within bounds of size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header, request};
use http_body::Body;
use http_body_util::BodyExt;
use tradewind_core::{Code, format_duration};

use crate::{Refusal, Unread};

/// Bounds of a request body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes.
    pub size: usize,
    /// Silence between two pieces.
    pub idle: Duration,
    /// The whole body.
    pub total: Duration,
}

/// Reads the body of a request. A body of one piece is not copied.
///
/// # Errors
/// 413 over the size, 408 over the time, 415 when it is compressed, 400 when it ends early or its framing is broken. The
/// connection is closed after each of them, since the rest of the body was not read.
pub async fn read_body(head: &request::Parts, mut body: Unread, limits: BodyLimits) -> Result<Bytes, Refusal> {
    if let Some(encoding) = head.headers.get(header::CONTENT_ENCODING)
        && encoding.as_bytes() != b"identity"
    {
        return Err(Refusal::new(Code::UnsupportedMedia, "send the request body without content-encoding").closing());
    }
    let too_large = || {
        let message = format!("the request body is over the limit of {} bytes (limits.request-body)", limits.size);
        Refusal::new(Code::BodyTooLarge, message).closing()
    };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limits.size {
        return Err(too_large());
    }
    let mut only: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    let reading = async {
        loop {
            let Ok(frame) = tokio::time::timeout(limits.idle, body.frame()).await else {
                return Err(too_slow(limits.idle, "paused for"));
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|_| {
                let message = "the request body ended early or its framing is broken; send it again";
                Refusal::new(Code::BodyBroken, message).closing()
            })?;
            let Ok(piece) = frame.into_data() else { continue };
            match only.take() {
                None if joined.is_empty() => only = Some(piece),
                first => {
                    if let Some(first) = first {
                        joined.reserve(announced.max(first.len() + piece.len()));
                        joined.extend_from_slice(&first);
                    }
                    joined.extend_from_slice(&piece);
                }
            }
            if only.as_ref().map_or(0, Bytes::len) + joined.len() > limits.size {
                return Err(too_large());
            }
        }
        Ok(())
    };
    match tokio::time::timeout(limits.total, reading).await {
        Ok(result) => result?,
        Err(_) => return Err(too_slow(limits.total, "was not complete after")),
    }
    Ok(if joined.is_empty() { only.unwrap_or_default() } else { joined.freeze() })
}

/// The most that is read of the body of a request that is refused without it: as much as a body may have where nothing
/// else is configured. And for how long, which is what bounds the work of it.
const DISCARDED: usize = 32 * 1024 * 1024;
const DISCARDED_WITHIN: Duration = Duration::from_secs(2);

/// Reads a body away, so that a client that is still sending it sees the refusal and not a connection that was reset:
/// up to 32 MiB, for up to two seconds, and not that of a client that waits to be asked for it (`Expect`). Keeps nothing.
/// Says whether it was all read; the refusal has to close the connection if it was not.
pub async fn discard(headers: &HeaderMap, mut body: Unread) -> bool {
    if body.is_end_stream() {
        return true;
    }
    if headers.contains_key(header::EXPECT) {
        return false; // it waits to be asked for
    }
    let reading = async {
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            length += frame.data_ref().map_or(0, Bytes::len);
            if length > DISCARDED {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(DISCARDED_WITHIN, reading).await.unwrap_or(false)
}

fn too_slow(limit: Duration, what: &str) -> Refusal {
    let message = format!("the request body {what} {}; send it faster or in smaller parts", format_duration(limit));
    Refusal::new(Code::BodyTooSlow, message).closing()
}
