//! Reads a response out of bytes without a connection: for the fuzz target and the replay of its seeds.

use bytes::BytesMut;

use crate::http1::head::take;

/// What was read of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseOutline {
    /// Its status; 0 while the head is not complete.
    pub status: u16,
    /// Its body as far as it came.
    pub body: Vec<u8>,
    /// Whether the body came to its end by its own framing.
    pub ended: bool,
    /// Bytes behind the end.
    pub rest: usize,
    /// Whether something was refused; nothing is read after that.
    pub refused: bool,
}

/// Reads the response to a request in the pieces in which it comes.
#[must_use]
pub fn outline_response(pieces: &[&[u8]]) -> ResponseOutline {
    let (mut outline, mut buffer, mut framing) = (ResponseOutline::default(), BytesMut::new(), None);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if framing.is_none() {
            match take(&mut buffer, false) {
                Ok(None) => continue,
                Ok(Some(head)) => {
                    outline.status = head.parts.status.as_u16();
                    framing = Some(head.framing);
                }
                Err(_) => {
                    outline.refused = true;
                    return outline;
                }
            }
        }
        let Some(framing) = &mut framing else { continue };
        loop {
            match framing.take(&mut buffer) {
                Ok(Some(data)) => outline.body.extend_from_slice(&data),
                Ok(None) => break,
                Err(_) => {
                    outline.refused = true;
                    return outline;
                }
            }
        }
    }
    outline.ended = framing.is_some_and(|framing| framing.is_end());
    outline.rest = if outline.ended { buffer.len() } else { 0 };
    outline
}
