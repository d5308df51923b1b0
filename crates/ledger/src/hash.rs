//! Hashes of a log's tree (RFC 6962, section 2.1): SHA-256, with one byte in front that tells records from nodes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};
use thiserror::Error;

/// A hash of a record, of a node, or of a whole tree. Displayed in base64, as notes have it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hash([u8; Hash::LENGTH]);

/// A text that is not the base64 of 32 bytes.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("malformed hash")]
pub struct HashError;

impl Hash {
    /// Bytes of a hash.
    pub const LENGTH: usize = 32;

    /// The root of a tree without records: the hash of nothing.
    pub const OF_NOTHING: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
        0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// The hash of a record with this content.
    #[must_use]
    pub fn of_record(content: &[u8]) -> Self {
        Self::of(&[&[0], content])
    }

    /// The hash of the node above two others.
    #[must_use]
    pub fn of_node(left: Self, right: Self) -> Self {
        Self::of(&[&[1], &left.0, &right.0])
    }

    /// The root above a power of two of hashes that lie one behind the other.
    ///
    /// # Panics
    /// When `hashes` is not a power of two of whole hashes.
    pub(crate) fn above(hashes: &[u8]) -> Self {
        assert!(hashes.len().is_power_of_two() && hashes.len() >= Self::LENGTH, "{} bytes", hashes.len());
        if let Ok(one) = <[u8; Self::LENGTH]>::try_from(hashes) {
            return Self(one);
        }
        let (left, right) = hashes.split_at(hashes.len() / 2);
        Self::of_node(Self::above(left), Self::above(right))
    }

    /// Reads the standard base64 of a hash, with its padding.
    ///
    /// # Errors
    /// [`HashError`] for anything else, other spellings of the same bytes included.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let bytes = STANDARD.decode(text).map_err(|_| HashError)?;
        Ok(Self(bytes.try_into().map_err(|_| HashError)?))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(part);
        }
        let mut hash = [0; Self::LENGTH];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }
}

impl From<[u8; Hash::LENGTH]> for Hash {
    fn from(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
