//! Reads a whole body, within a limit.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use tradewind_core::{Fault, FaultKind};
use tradewind_egress::AnswerBody;

use crate::Decoder;

/// Collects `body`, decoded, up to `limit` bytes. A body of one chunk is not copied.
pub(crate) async fn collect(mut body: AnswerBody, headers: &HeaderMap, limit: usize) -> Result<Bytes, Fault> {
    let too_large = || Fault::new(FaultKind::TooLarge, format!("the answer is larger than {limit} bytes"));
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut decoder = Decoder::for_headers(headers, limit)?;
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(limit);
    let mut only: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    while let Some(frame) = Pin::new(&mut body).frame().await {
        let Ok(chunk) = frame?.into_data() else { continue }; // trailers carry nothing that a caller needs
        let chunk = decoder.push(chunk)?;
        add(chunk, &mut only, &mut joined, expected);
        if only.as_ref().map_or(0, Bytes::len) + joined.len() > limit {
            return Err(too_large());
        }
    }
    add(decoder.end()?, &mut only, &mut joined, expected);
    Ok(if joined.is_empty() { only.unwrap_or_default() } else { joined.freeze() })
}

/// Keeps the first chunk as it is, and joins from the second on.
fn add(chunk: Bytes, only: &mut Option<Bytes>, joined: &mut BytesMut, expected: usize) {
    if chunk.is_empty() {
        return;
    }
    if let Some(first) = only.take() {
        joined.reserve(expected.max(first.len() + chunk.len()));
        joined.extend_from_slice(&first);
    } else if joined.is_empty() {
        *only = Some(chunk);
        return;
    }
    joined.extend_from_slice(&chunk);
}
