//! A revision as a message, and back: the content as payload, and everything else in a header, for those who read headers
//! alone. What the header says is not in the payload once more: a server looks through headers often.
//!
//! Both have a checksum, that of the header over the subject too: what is damaged, or lies where it was not written, is
//! nobody's revision. The server has checksums of its own; these are for what happens before and behind them.

use async_nats::header::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::Rev;
use crate::record::{Body, MAX_RECORD, PieceId, Record};

/// The header that says what a message is: `LOW LEAST PARENT SHAPE REST`, the lowest revision that the key keeps unpinned, the
/// lowest that this commit alone lets stay, the parent's place in the stream, what the payload is, and in Base64 the
/// beginning of the encoded record, the payload's CRC-32C and that of all this behind the subject, both little-endian.
pub(super) const ABOUT: HeaderName = HeaderName::from_static("Tradewind");

/// Bytes of a checksum.
const SUM: usize = size_of::<u32>();

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Nothing: `-`.
    None,
    /// The content: `w`.
    Whole,
    /// A difference to a newer revision: `d` and its number.
    Delta(Rev),
    /// The names of pieces: `p`.
    Pieces,
}

impl Shape {
    fn write(self, text: &mut String) {
        match self {
            Self::None => text.push('-'),
            Self::Whole => text.push('w'),
            Self::Delta(on) => {
                text.push('d');
                text.push_str(&on.to_string());
            }
            Self::Pieces => text.push('p'),
        }
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            "-" => Some(Self::None),
            "w" => Some(Self::Whole),
            "p" => Some(Self::Pieces),
            other => Rev::new(other.strip_prefix('d')?.parse().ok()?).map(Self::Delta),
        }
    }
}

/// A revision that is to be sent.
pub(super) struct Letter {
    /// The beginning of the encoded record, the payload's checksum, and room for that of the header.
    described: Vec<u8>,
    shape: Shape,
    payload: Bytes,
}

impl Letter {
    pub(super) fn of(record: Record) -> Self {
        let Record { meta, body } = record;
        let (shape, payload) = match body {
            Body::None => (Shape::None, Bytes::new()),
            Body::Whole(bytes) => (Shape::Whole, bytes),
            Body::Delta { on, bytes } => (Shape::Delta(on), bytes),
            Body::Pieces(ids) => (Shape::Pieces, ids.iter().flat_map(|id| id.0).collect()),
        };
        let mut described = Record { meta, body: Body::None }.encode();
        described.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        described.extend_from_slice(&[0; SUM]);
        Self { described, shape, payload }
    }

    pub(super) fn payload(&self) -> Bytes {
        self.payload.clone()
    }

    /// The header for a message with this subject.
    pub(super) fn about(&mut self, subject: &str, low: u64, least: u64, parent: u64) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(48 + self.described.len().div_ceil(3) * 4);
        write!(text, "{low} {least} {parent} ").expect("writing to a string does not fail");
        self.shape.write(&mut text);
        text.push(' ');
        let room = self.described.len() - SUM;
        let sum = sum(subject, &text, &self.described[..room]);
        self.described[room..].copy_from_slice(&sum.to_le_bytes());
        BASE64_STANDARD.encode_string(&self.described, &mut text);
        text
    }
}

fn sum(subject: &str, numbers: &str, described: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(subject.as_bytes()), numbers.as_bytes()), described)
}

/// What the header [`ABOUT`] says.
pub(super) struct About {
    /// The lowest revision that the key keeps unpinned, from this one on.
    pub(super) low: u64,
    /// The lowest revision that this commit lets stay, whatever earlier ones removed.
    pub(super) least: u64,
    /// The parent's place in the stream; 0 without one.
    pub(super) parent: u64,
    pub(super) meta: Meta,
    shape: Shape,
    payload_sum: u32,
}

impl About {
    /// Reads the header of a message with this subject.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], for messages of others too.
    pub(super) fn read(subject: &str, headers: Option<&HeaderMap>) -> Result<Self, StoreError> {
        let header = headers.and_then(|headers| headers.get(ABOUT)).map(|value| value.as_str());
        let about = header.and_then(|header| Self::parse(subject, header));
        about.ok_or_else(|| StoreError::damaged(format!("a message of {subject} is not what was written")))
    }

    fn parse(subject: &str, header: &str) -> Option<Self> {
        let (numbers, described) = header.split_at(header.rfind(' ')? + 1);
        let described = BASE64_STANDARD.decode(described).ok()?;
        let (described, written) = described.split_last_chunk::<SUM>()?;
        if sum(subject, numbers, described) != u32::from_le_bytes(*written) {
            return None;
        }
        let (record, payload_sum) = described.split_last_chunk::<SUM>()?;
        let mut parts = numbers.split(' ');
        let mut number = || parts.next()?.parse().ok();
        let (low, least, parent) = (number()?, number()?, number()?);
        let shape = Shape::read(parts.next()?)?;
        let meta = Record::decode_meta(record).ok()?;
        Some(Self { low, least, parent, meta, shape, payload_sum: u32::from_le_bytes(*payload_sum) })
    }

    /// Whether the content is pieces.
    pub(super) fn has_pieces(&self) -> bool {
        self.shape == Shape::Pieces
    }

    /// The revision, with the payload of the same message; `None` where they do not fit.
    pub(super) fn into_record(self, payload: &Bytes) -> Option<Record> {
        if payload.len() > MAX_RECORD || crc32c::crc32c(payload) != self.payload_sum {
            return None;
        }
        let body = match self.shape {
            Shape::None => Body::None,
            Shape::Whole => Body::Whole(payload.clone()),
            Shape::Delta(on) => Body::Delta { on, bytes: payload.clone() },
            Shape::Pieces => {
                let (ids, rest) = payload.as_chunks::<32>();
                if !rest.is_empty() {
                    return None;
                }
                Body::Pieces(ids.iter().map(|id| PieceId(*id)).collect())
            }
        };
        let fits = self.meta.kind.is_tombstone() == (body == Body::None);
        fits.then_some(Record { meta: self.meta, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{EPOCH, following, record, tombstone};

    fn headers(about: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ABOUT, about);
        headers
    }

    fn bodies() -> [Record; 4] {
        let first = record(b"first");
        let with = |body| Record { body, ..following(&first.meta, b"second") };
        [
            first.clone(),
            with(Body::Delta { on: Rev::new(9).unwrap(), bytes: Bytes::from_static(b"difference") }),
            with(Body::Pieces(vec![PieceId([7; 32]), PieceId([8; 32])])),
            tombstone(&first.meta, crate::Kind::Deleted, EPOCH),
        ]
    }

    #[test]
    fn a_revision_comes_back() {
        for record in bodies() {
            let mut letter = Letter::of(record.clone());
            let about = About::read("s.k", Some(&headers(&letter.about("s.k", 3, 2, 77)))).unwrap();
            assert_eq!((about.low, about.least, about.parent), (3, 2, 77));
            assert_eq!(about.has_pieces(), matches!(record.body, Body::Pieces(_)));
            assert_eq!(about.into_record(&letter.payload()), Some(record));
        }
    }

    #[test]
    fn no_bit_flips_unseen() {
        for record in bodies() {
            let mut letter = Letter::of(record);
            let about = letter.about("s.k", 3, 2, 77);
            let read = |subject: &str, about: &str| About::read(subject, Some(&headers(about)));
            assert!(read("s.l", &about).is_err(), "it lies under another subject");
            for bit in 0..about.len() * 8 {
                let mut bytes = about.clone().into_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                // A header cannot have all bytes.
                let Ok(flipped) = String::from_utf8(bytes) else { continue };
                if !flipped.contains(['\r', '\n']) {
                    assert!(read("s.k", &flipped).is_err(), "{flipped}");
                }
            }
            let payload = letter.payload();
            for bit in 0..payload.len() * 8 {
                let mut flipped = payload.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(read("s.k", &about).unwrap().into_record(&flipped.into()), None);
            }
        }
    }

    #[test]
    fn messages_of_others_are_none() {
        assert!(About::read("s.k", None).is_err());
        assert!(About::read("s.k", Some(&HeaderMap::new())).is_err());
        for strange in ["", " ", "1 1 0 w ", "1 1 0 w AAAA", "1 1 0 w AAAAAAAAAAAA", "w", "1 1 0 d0 AAAAAAAAAAAA"] {
            assert!(About::read("s.k", Some(&headers(strange))).is_err(), "{strange:?}");
        }
    }
}
