//! Blobs: files that are named by the SHA-256 of what they hold.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use ring::digest;
use serde::{Deserialize, Serialize};
use tradewind_core::{from_hex, to_hex, write_hex};

/// The SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// That of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_digest(&digest::digest(&digest::SHA256, bytes))
    }

    /// What `Display` writes, at once.
    pub(crate) fn hex(&self) -> String {
        to_hex(&self.0)
    }

    /// What `Display` writes, between quotation marks.
    pub(crate) fn quoted(&self) -> String {
        let mut quoted = String::with_capacity(66);
        quoted.push('"');
        write_hex(&self.0, &mut quoted).expect("writing to a String does not fail");
        quoted.push('"');
        quoted
    }

    /// What [`Self`]'s `Display` writes; `None` when it is something else.
    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        from_hex(hex.as_bytes()).map(Self)
    }

    /// That of all that `reader` gives, and how many bytes these are.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn of_reader(mut reader: impl Read) -> io::Result<(Self, u64)> {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut buffer = vec![0; 128 << 10];
        let mut size = 0;
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok((Self::of_digest(&context.finish()), size)),
                Ok(read) => {
                    context.update(&buffer[..read]);
                    size += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn of_digest(digest: &digest::Digest) -> Self {
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("64 hexadecimal digits were expected"))
    }
}

/// A blob: what it is called, and how many bytes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// Its name.
    pub sha256: Sha256,
    /// In bytes.
    pub size: u64,
}

/// Whether `file` holds this blob: reads it from where it stands to its end.
///
/// # Errors
/// When it cannot be read.
pub(super) fn holds(file: &File, blob: &Blob) -> io::Result<bool> {
    let (sha256, size) = Sha256::of_reader(file)?;
    Ok(sha256 == blob.sha256 && size == blob.size)
}
