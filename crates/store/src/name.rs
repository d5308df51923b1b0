//! What things of the store are called: namespaces, keys, numbers of revisions, epochs, hashes.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The longest name of a namespace, in bytes.
pub const MAX_NAMESPACE: usize = 64;
/// The longest name of a key within its namespace, in bytes.
pub const MAX_KEY_NAME: usize = 512;

/// Why a name cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not 1 to 64 bytes of `a-z`, `0-9`, `.`, `_`, `-`, the first one a letter or a digit.
    #[error(
        "a namespace is 1 to {MAX_NAMESPACE} bytes of a-z, 0-9, `.`, `_` and `-`, and begins with a letter or a digit"
    )]
    Namespace,
    /// Empty or too long.
    #[error("a key is 1 to {MAX_KEY_NAME} bytes")]
    KeyLength,
    /// A control character, or a segment that is empty, `.` or `..`.
    #[error("a key has no control characters, and no segment between slashes that is empty, `.` or `..`")]
    KeyForm,
    /// Not a number from 1 to 2^63 - 1 in decimal digits.
    #[error("a revision is a number from 1 on")]
    Rev,
    /// Not a number from 0 to 2^63 - 1 in decimal digits.
    #[error("an epoch is a number from 0 on")]
    Epoch,
    /// Not 64 hexadecimal digits.
    #[error("a hash is 64 hexadecimal digits")]
    Hash,
}

/// A group of keys with settings, limits and a data key of its own: 1 to 64 bytes `[a-z0-9][a-z0-9._-]*`.
///
/// One that begins with `_` belongs to the store itself ([`Namespace::reserved`]); no text from outside can name it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// Checks a name that came from outside.
    ///
    /// # Errors
    /// [`NameError::Namespace`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let first = text.bytes().next().ok_or(NameError::Namespace)?;
        let fits = text.len() <= MAX_NAMESPACE
            && (first.is_ascii_lowercase() || first.is_ascii_digit())
            && text.bytes().all(is_namespace_byte);
        if fits { Ok(Self(Arc::from(text))) } else { Err(NameError::Namespace) }
    }

    /// Reads a name back that this store wrote itself, a reserved one too. For engines.
    ///
    /// # Errors
    /// [`NameError::Namespace`].
    pub fn stored(text: &str) -> Result<Self, NameError> {
        let plain = text.strip_prefix('_').unwrap_or(text);
        if text.len() > MAX_NAMESPACE {
            return Err(NameError::Namespace);
        }
        Self::parse(plain).map(|_| Self(Arc::from(text)))
    }

    /// A namespace of the store's own, named `_` and `name`: no caller can reach it.
    ///
    /// # Panics
    /// When `name` is no namespace itself.
    #[must_use]
    pub fn reserved(name: &'static str) -> Self {
        Self::stored(&format!("_{name}")).expect("a reserved name is written in code")
    }

    /// Whether it belongs to the store itself.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('_')
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a text that is shared, not copied.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

const fn is_namespace_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Namespace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What one value is kept under: a namespace and a name in it.
///
/// The name is 1 to 512 bytes of UTF-8 without control characters; `/` divides it into segments, none of them empty, `.` or
/// `..`, so that it can stand in a path and be shown on a line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace.
    pub namespace: Namespace,
    name: Arc<str>,
}

impl Key {
    /// Checks a name that came from outside, or that an engine reads back.
    ///
    /// # Errors
    /// [`NameError::KeyLength`], [`NameError::KeyForm`].
    pub fn new(namespace: Namespace, name: &str) -> Result<Self, NameError> {
        if name.is_empty() || name.len() > MAX_KEY_NAME {
            return Err(NameError::KeyLength);
        }
        if name.chars().any(char::is_control) || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(NameError::KeyForm);
        }
        Ok(Self { namespace, name: Arc::from(name) })
    }

    /// Checks both names: `Key::parse("threads", "alice/1")`.
    ///
    /// # Errors
    /// Any [`NameError`] of the two.
    pub fn parse(namespace: &str, name: &str) -> Result<Self, NameError> {
        Self::new(Namespace::parse(namespace)?, name)
    }

    /// The name within the namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name as a text that is shared, not copied.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}/{}\"", self.namespace, self.name)
    }
}

/// The number of a revision of one key: 1 for the first, then one more each time; at most 2^63 - 1, so that it fits a
/// signed column.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rev(NonZeroU64);

impl Rev {
    /// The first one.
    pub const FIRST: Self = Self(NonZeroU64::MIN);
    /// The last one that there can be.
    pub const MAX: u64 = i64::MAX as u64;

    /// The revision of this number; `None` for 0 and above 2^63 - 1.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) if number.get() <= Self::MAX => Some(Self(number)),
            _ => None,
        }
    }

    /// Reads decimal digits, as in an `ETag`.
    ///
    /// # Errors
    /// [`NameError::Rev`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        digits(text).and_then(Self::new).ok_or(NameError::Rev)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The one after it; the last one stays, which 2^63 writes of one key would have to reach first.
    #[must_use]
    pub const fn next(self) -> Self {
        match Self::new(self.0.get() + 1) {
            Some(next) => next,
            None => self,
        }
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Rev {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.get())
    }
}

/// How often a key was handed over: 0 at first, one more with each redeemed token; at most 2^63 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    /// The first one.
    pub const FIRST: Self = Self(0);

    /// The epoch of this number; `None` above 2^63 - 1.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Rev::MAX { Some(Self(number)) } else { None }
    }

    /// Reads decimal digits, as in the header `Tradewind-Epoch`.
    ///
    /// # Errors
    /// [`NameError::Epoch`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        digits(text).and_then(Self::new).ok_or(NameError::Epoch)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(if self.0 < Rev::MAX { self.0 + 1 } else { self.0 })
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Decimal digits and nothing else: no sign, no space.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A SHA-256 hash; as text 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_digest(ring::digest::digest(&ring::digest::SHA256, bytes))
    }

    /// The hash that a SHA-256 context ended with.
    ///
    /// # Panics
    /// When the digest is of another algorithm.
    #[must_use]
    pub fn from_digest(digest: ring::digest::Digest) -> Self {
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`NameError::Hash`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        tradewind_core::from_hex(text.as_bytes()).map(Self).ok_or(NameError::Hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tradewind_core::write_hex(&self.0, f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tradewind_core::write_hex(&self.0, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_plain_lower_case_words() {
        for good in ["a", "0", "threads", "a.b_c-d", &"x".repeat(64)] {
            assert_eq!(Namespace::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "_store", ".a", "-a", "a/b", "a b", "ä", "a\0", &"x".repeat(65)] {
            assert_eq!(Namespace::parse(bad), Err(NameError::Namespace), "{bad}");
        }
    }

    #[test]
    fn only_the_store_itself_has_reserved_namespaces() {
        let own = Namespace::reserved("store");
        assert!(own.is_reserved());
        assert_eq!(Namespace::stored("_store"), Ok(own.clone()));
        assert!(Namespace::parse(own.as_str()).is_err());
        assert!(Namespace::stored("__store").is_err());
        assert!(Namespace::stored(&format!("_{}", "x".repeat(64))).is_err());
    }

    #[test]
    fn keys_have_segments_that_a_path_can_have() {
        for good in ["a", "a/b", "alice/1", "..a", "a..b/...", "über/日本", "a b", &"x".repeat(512)] {
            assert_eq!(Key::parse("n", good).unwrap().name(), good);
        }
        for bad in ["/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\nb", "a\u{7f}", "a\u{85}b"] {
            assert_eq!(Key::parse("n", bad), Err(NameError::KeyForm), "{bad}");
        }
        for bad in [String::new(), "x".repeat(513)] {
            assert_eq!(Key::parse("n", &bad), Err(NameError::KeyLength));
        }
    }

    #[test]
    fn numbers_are_digits_alone() {
        assert_eq!(Rev::parse("1"), Ok(Rev::FIRST));
        assert_eq!(Rev::parse("9223372036854775807").unwrap().get(), Rev::MAX);
        for bad in ["", "0", "+1", "-1", " 1", "1.0", "9223372036854775808", "99999999999999999999"] {
            assert_eq!(Rev::parse(bad), Err(NameError::Rev), "{bad}");
        }
        assert_eq!(Epoch::parse("0"), Ok(Epoch::FIRST));
        assert_eq!(Epoch::parse("9223372036854775808"), Err(NameError::Epoch));
        assert_eq!(Rev::new(Rev::MAX).unwrap().next().get(), Rev::MAX);
    }

    #[test]
    fn hashes_read_back() {
        let hash = Hash::of(b"abc");
        assert_eq!(hash.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Hash::parse(&hash.to_string()), Ok(hash));
        assert!(Hash::parse("ba").is_err());
        assert!(Hash::parse(&"g".repeat(64)).is_err());
    }
}
