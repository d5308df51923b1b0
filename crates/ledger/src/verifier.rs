//! Keys that notes are checked with (C2SP `signed-note`, section "Verifier keys"): `name+hash+key`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use thiserror::Error;

/// The byte in front of a key that says Ed25519.
const ED25519_KEY: u8 = 1;

/// A key that signs notes under a name.
#[derive(Clone)]
pub struct Verifier {
    name: String,
    hash: u32,
    key: UnparsedPublicKey<[u8; 32]>,
}

/// What is wrong with a text that should be a verifier key.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum VerifierError {
    /// It is not `name+hash+key` with a name that notes can have, eight hexadecimal digits and base64.
    #[error("malformed verifier id")]
    Malformed,
    /// The hash belongs to another name or key: most likely one of them was changed by hand.
    #[error("invalid verifier hash")]
    OtherHash,
    /// The key is of an algorithm other than Ed25519.
    #[error("unknown verifier algorithm")]
    Algorithm,
}

impl Verifier {
    /// Reads `name+hash+key`, for example
    /// `sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8`.
    ///
    /// # Errors
    /// [`VerifierError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, VerifierError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierError::Malformed);
        };
        // Eight digits exactly: `from_str_radix` alone would take a sign and fewer of them.
        let is_hash = hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hash = u32::from_str_radix(hash, 16).ok().filter(|_| is_hash).ok_or(VerifierError::Malformed)?;
        let bytes = STANDARD.decode(key).map_err(|_| VerifierError::Malformed)?;
        let (Some((algorithm, key)), true) = (bytes.split_first(), is_name(name)) else {
            return Err(VerifierError::Malformed);
        };
        if hash != hash_of(name, &bytes) {
            return Err(VerifierError::OtherHash);
        }
        if *algorithm != ED25519_KEY {
            return Err(VerifierError::Algorithm);
        }
        let key: [u8; 32] = key.try_into().map_err(|_| VerifierError::Malformed)?;
        Ok(Self { name: name.to_owned(), hash, key: UnparsedPublicKey::new(&ED25519, key) })
    }

    /// The name that stands at its signatures.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hash that stands at its signatures.
    #[must_use]
    pub fn hash(&self) -> u32 {
        self.hash
    }

    /// Whether it signed `text`.
    pub(crate) fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        self.key.verify(text, signature).is_ok()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519_KEY], self.key.as_ref()].concat();
        write!(formatter, "{}+{:08x}+{}", self.name, self.hash, STANDARD.encode(key))
    }
}

impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.key.as_ref() == other.key.as_ref()
    }
}

impl Eq for Verifier {}

/// Whether a note can be signed under this name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|letter: char| letter.is_whitespace() || letter == '+')
}

/// The first four bytes of the SHA-256 of name, line feed, algorithm and key.
fn hash_of(name: &str, key: &[u8]) -> u32 {
    let text = [name.as_bytes(), b"\n", key].concat();
    let hash = digest(&SHA256, &text);
    let (first, _) = hash.as_ref().split_first_chunk().expect("a SHA-256 has 32 bytes");
    u32::from_be_bytes(*first)
}
