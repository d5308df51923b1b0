//! What an engine keeps of one revision, and how it is written as bytes.
//!
//! The encoding is our own and short: a version, then each field in order, numbers as LEB128, texts behind their length. It
//! is not self-describing, which `serde` formats that are small are not either, and it holds nothing that the reader would
//! have to guess. Reading is bounded by [`MAX_RECORD`] and never allocates more than the bytes that are there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tradewind_core::UnixMillis;

use crate::meta::{Kind, MAX_BY, Meta, Nonce, Schema, check_by, check_content_type};
use crate::name::{Epoch, Hash, Rev};

/// The most bytes that a record can have. A body is at most 64 KiB of content, or the names of the pieces of 16 MiB; the
/// rest is room for seals and names.
pub const MAX_RECORD: usize = 256 << 10;

/// The first byte of an encoded record.
const VERSION: u8 = 1;

/// Names a piece of a long content within its namespace: the SHA-256 of the piece, or, where the namespace is sealed, its
/// HMAC-SHA-256 with the data key, so that the name says nothing about the content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceId(pub [u8; 32]);

impl fmt::Display for PieceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tradewind_core::write_hex(&self.0, f)
    }
}

impl fmt::Debug for PieceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A revision as an engine keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is; engines read it, and change nothing but `expires_at`.
    pub meta: Meta,
    /// Its content, opaque to engines.
    pub body: Body,
}

/// The content of a revision. Bytes are packed, and sealed where the namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// None: a tombstone.
    None,
    /// All of it.
    Whole(Bytes),
    /// What it takes to make it out of the content of a newer revision.
    Delta {
        /// The newer revision.
        on: Rev,
        /// The difference.
        bytes: Bytes,
    },
    /// The names of its pieces, in order. One piece may come several times.
    Pieces(Vec<PieceId>),
}

impl Body {
    /// The pieces that it names.
    #[must_use]
    pub fn pieces(&self) -> &[PieceId] {
        match self {
            Self::Pieces(ids) => ids,
            _ => &[],
        }
    }

    /// Bytes that it takes in a record.
    #[must_use]
    pub fn stored_size(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Whole(bytes) | Self::Delta { bytes, .. } => bytes.len(),
            Self::Pieces(ids) => ids.len() * 32,
        }
    }
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// More than [`MAX_RECORD`] bytes.
    #[error("a record has more than {MAX_RECORD} bytes")]
    TooLong,
    /// Written by a newer release.
    #[error("a record has the version {0}, which this release does not know")]
    Version(u8),
    /// They end early.
    #[error("a record ends early")]
    Cut,
    /// A field cannot be what it is, or something follows the last one.
    #[error("a record has an impossible {0}")]
    Field(&'static str),
}

impl Record {
    /// Writes it as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(200 + self.body.stored_size());
        self.encode_into(&mut out);
        out
    }

    /// Writes it as bytes behind others. Where its meta ends.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) -> usize {
        let meta = &self.meta;
        out.push(VERSION);
        number(out, meta.rev.get());
        number(out, meta.parent.map_or(0, Rev::get));
        out.push(meta.kind.number());
        text(out, &meta.content_type);
        match &meta.schema {
            None => number(out, 0),
            Some(schema) => {
                text(out, schema.name());
                number(out, u64::from(schema.version));
            }
        }
        out.extend_from_slice(&meta.hash.0);
        out.extend_from_slice(&meta.chain.0);
        number(out, meta.size);
        number(out, meta.created_at.0);
        optional(out, meta.expires_at.map(|at| at.0));
        optional(out, meta.sliding.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
        number(out, meta.epoch.get());
        text(out, meta.by.as_deref().unwrap_or(""));
        match &meta.handoff {
            None => out.push(0),
            Some(nonce) => {
                out.push(1);
                out.extend_from_slice(&nonce.0);
            }
        }
        let end_of_meta = out.len();
        match &self.body {
            Body::None => out.push(0),
            Body::Whole(bytes) => {
                out.push(1);
                number(out, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Body::Delta { on, bytes } => {
                out.push(2);
                number(out, on.get());
                number(out, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Body::Pieces(ids) => {
                out.push(3);
                number(out, ids.len() as u64);
                for id in ids {
                    out.extend_from_slice(&id.0);
                }
            }
        }
        end_of_meta
    }

    /// Reads what [`Record::encode`] wrote. The body shares `bytes`.
    ///
    /// # Errors
    /// Any [`RecordError`].
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes)?;
        let meta = reader.meta()?;
        let body = match reader.byte()? {
            0 => Body::None,
            1 => Body::Whole(reader.rest_as_text_of(bytes)?),
            2 => {
                let on = Rev::new(reader.number()?).ok_or(RecordError::Field("base"))?;
                Body::Delta { on, bytes: reader.rest_as_text_of(bytes)? }
            }
            3 => {
                let count = reader.length()?;
                if count.checked_mul(32) != Some(reader.rest.len()) {
                    return Err(RecordError::Field("number of pieces"));
                }
                Body::Pieces((0..count).map(|_| reader.array().map(PieceId)).collect::<Result<_, _>>()?)
            }
            _ => return Err(RecordError::Field("body")),
        };
        if !reader.rest.is_empty() {
            return Err(RecordError::Field("end"));
        }
        if meta.kind.is_tombstone() != (body == Body::None) {
            return Err(RecordError::Field("body"));
        }
        Ok(Self { meta, body })
    }

    /// Reads the [`Meta`] alone, from the same bytes; the body is not looked at.
    ///
    /// # Errors
    /// Any [`RecordError`].
    pub fn decode_meta(bytes: &[u8]) -> Result<Meta, RecordError> {
        Reader::new(bytes)?.meta()
    }
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number, or none, as one more than the number; the greatest is written as the one before it.
fn optional(out: &mut Vec<u8>, value: Option<u64>) {
    number(out, value.map_or(0, |value| value.saturating_add(1)));
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// What is left to read.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::TooLong);
        }
        let mut reader = Self { rest: bytes };
        match reader.byte()? {
            VERSION => Ok(reader),
            other => Err(RecordError::Version(other)),
        }
    }

    fn meta(&mut self) -> Result<Meta, RecordError> {
        let rev = Rev::new(self.number()?).ok_or(RecordError::Field("revision"))?;
        let parent = match self.number()? {
            0 => None,
            number => Some(Rev::new(number).filter(|parent| *parent < rev).ok_or(RecordError::Field("parent"))?),
        };
        let kind = Kind::from_number(self.byte()?).ok_or(RecordError::Field("kind"))?;
        let content_type = self.text()?;
        check_content_type(content_type).map_err(|_| RecordError::Field("content type"))?;
        let content_type = shared_content_type(content_type);
        let schema = match self.text()? {
            "" => None,
            name => {
                let version = u32::try_from(self.number()?).map_err(|_| RecordError::Field("schema"))?;
                Some(Schema::new(name, version).map_err(|_| RecordError::Field("schema"))?)
            }
        };
        let hash = Hash(self.array()?);
        let chain = Hash(self.array()?);
        let size = self.number()?;
        let created_at = UnixMillis(self.number()?);
        let expires_at = self.number()?.checked_sub(1).map(UnixMillis);
        let sliding = self.number()?.checked_sub(1).map(Duration::from_millis);
        let epoch = Epoch::new(self.number()?).ok_or(RecordError::Field("epoch"))?;
        let by = match self.text()? {
            "" => None,
            by if by.len() <= MAX_BY && check_by(by).is_ok() => Some(Arc::from(by)),
            _ => return Err(RecordError::Field("writer")),
        };
        let handoff = match self.byte()? {
            0 => None,
            1 => Some(Nonce(self.array()?)),
            _ => return Err(RecordError::Field("token")),
        };
        Ok(Meta {
            rev,
            parent,
            kind,
            content_type,
            schema,
            hash,
            chain,
            size,
            created_at,
            expires_at,
            sliding,
            epoch,
            by,
            handoff,
        })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(RecordError::Cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, RecordError> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        self.take(N).map(|bytes| bytes.try_into().expect("as many as were taken"))
    }

    /// LEB128, in as few bytes as the number needs and no more.
    fn number(&mut self) -> Result<u64, RecordError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(RecordError::Field("number")) } else { Ok(value) };
            }
        }
        Err(RecordError::Field("number"))
    }

    fn length(&mut self) -> Result<usize, RecordError> {
        usize::try_from(self.number()?).map_err(|_| RecordError::Cut)
    }

    fn text(&mut self) -> Result<&'a str, RecordError> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| RecordError::Field("text"))
    }

    /// The bytes behind a length, which have to be the last ones, as a part of `whole`.
    fn rest_as_text_of(&mut self, whole: &Bytes) -> Result<Bytes, RecordError> {
        let length = self.length()?;
        if length != self.rest.len() {
            return Err(if length > self.rest.len() { RecordError::Cut } else { RecordError::Field("end") });
        }
        Ok(whole.slice_ref(self.take(length)?))
    }
}

/// The usual content types are shared by all records instead of allocated for each.
pub(crate) fn shared_content_type(text: &str) -> Arc<str> {
    use std::sync::LazyLock;
    static USUAL: LazyLock<[Arc<str>; 4]> = LazyLock::new(|| {
        ["application/json", "text/plain", "text/plain; charset=utf-8", "application/octet-stream"].map(Arc::from)
    });
    USUAL.iter().find(|usual| ***usual == *text).cloned().unwrap_or_else(|| Arc::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(longest: usize) -> impl Strategy<Value = String> {
        proptest::collection::vec(prop_oneof![Just('a'), Just('/'), Just('ü'), Just('日'), Just('9')], 1..longest)
            .prop_map(|characters| characters.into_iter().collect())
    }

    fn meta() -> impl Strategy<Value = Meta> {
        let numbers = (1..=Rev::MAX, any::<u64>(), any::<u64>(), 0..=Rev::MAX);
        let times = (any::<u64>(), proptest::option::of(0..u64::MAX), proptest::option::of(0..u64::MAX));
        let schema = proptest::option::of(("[a-zA-Z0-9._/-]{1,128}", any::<u32>()));
        let texts = ("[ -~]{1,255}", schema, proptest::option::of(text(60)));
        let hashes = (any::<[u8; 32]>(), any::<[u8; 32]>(), proptest::option::of(any::<[u8; 16]>()));
        (numbers, times, texts, hashes, 0..3_u8).prop_map(|(numbers, times, texts, hashes, kind)| Meta {
            rev: Rev::new(numbers.0).unwrap(),
            parent: Rev::new(numbers.1 % numbers.0),
            kind: Kind::from_number(kind).unwrap(),
            content_type: Arc::from(texts.0),
            schema: texts.1.map(|(name, version)| Schema::new(&name, version).unwrap()),
            hash: Hash(hashes.0),
            chain: Hash(hashes.1),
            size: numbers.2,
            created_at: UnixMillis(times.0),
            expires_at: times.1.map(UnixMillis),
            sliding: times.2.map(Duration::from_millis),
            epoch: Epoch::new(numbers.3).unwrap(),
            by: texts.2.map(Arc::from),
            handoff: hashes.2.map(Nonce),
        })
    }

    fn body() -> impl Strategy<Value = Body> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
        prop_oneof![
            bytes().prop_map(Body::Whole),
            (1..=Rev::MAX, bytes()).prop_map(|(on, bytes)| Body::Delta { on: Rev::new(on).unwrap(), bytes }),
            proptest::collection::vec(any::<[u8; 32]>().prop_map(PieceId), 0..9).prop_map(Body::Pieces),
        ]
    }

    fn record() -> impl Strategy<Value = Record> {
        (meta(), body()).prop_map(|(meta, body)| {
            let body = if meta.kind.is_tombstone() { Body::None } else { body };
            Record { meta, body }
        })
    }

    proptest! {
        #[test]
        fn a_record_reads_back(record in record()) {
            let bytes = Bytes::from(record.encode());
            prop_assert_eq!(&Record::decode_meta(&bytes).unwrap(), &record.meta);
            prop_assert_eq!(Record::decode(&bytes).unwrap(), record);
        }

        #[test]
        fn a_record_that_was_cut_or_made_longer_is_none(record in record(), cut in any::<prop::sample::Index>()) {
            let mut bytes = record.encode();
            let cut = cut.index(bytes.len());
            prop_assert!(Record::decode(&Bytes::copy_from_slice(&bytes[..cut])).is_err());
            bytes.push(0);
            prop_assert!(Record::decode(&bytes.into()).is_err());
        }

        #[test]
        fn there_is_one_way_to_write_a_record(record in record(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let mut bytes = record.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let bytes = Bytes::from(bytes);
            if let Ok(other) = Record::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }

        #[test]
        fn bytes_from_nowhere_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut bytes = bytes;
            let _ = Record::decode(&Bytes::copy_from_slice(&bytes));
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            let _ = Record::decode(&bytes.into());
        }
    }

    #[test]
    fn a_record_has_a_bound() {
        assert_eq!(Record::decode(&Bytes::from(vec![VERSION; MAX_RECORD + 1])), Err(RecordError::TooLong));
        assert_eq!(Record::decode(&Bytes::from_static(&[9, 0])), Err(RecordError::Version(9)));
        assert_eq!(Record::decode(&Bytes::new()), Err(RecordError::Cut));
    }
}
