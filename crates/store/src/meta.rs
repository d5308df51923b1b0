//! What is known of a revision without its content.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ring::digest;
use serde::{Serialize, Serializer};
use tradewind_core::UnixMillis;

use crate::name::{Epoch, Hash, Rev};

/// The longest content type, in bytes.
pub const MAX_CONTENT_TYPE: usize = 255;
/// The longest name of a schema, in bytes.
pub const MAX_SCHEMA_NAME: usize = 128;
/// The longest name of who wrote a revision, in bytes.
pub const MAX_BY: usize = 256;

/// Separates the hashes of the chain from all other uses of SHA-256.
const CHAIN_DOMAIN: &[u8] = b"tradewind-state-chain-1\0";

/// Why something cannot be part of a [`Meta`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// Empty, too long, or not printable ASCII.
    #[error("a content type is 1 to {MAX_CONTENT_TYPE} printable ASCII characters")]
    ContentType,
    /// Not `name@version`.
    #[error(
        "a schema is NAME@VERSION: 1 to {MAX_SCHEMA_NAME} characters a-z, A-Z, 0-9, `.`, `_`, `-`, `/`, and a number"
    )]
    Schema,
    /// Empty, too long, or with control characters.
    #[error("a writer's name is 1 to {MAX_BY} bytes without control characters")]
    By,
}

/// What a revision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A value.
    Value,
    /// A tombstone: somebody deleted the value. It keeps number and epoch going, so that neither comes twice.
    Deleted,
    /// A tombstone: the value's time was over.
    Expired,
}

impl Kind {
    /// Its number in records and in the chain.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Value => 0,
            Self::Deleted => 1,
            Self::Expired => 2,
        }
    }

    /// The kind of this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Value),
            1 => Some(Self::Deleted),
            2 => Some(Self::Expired),
            _ => None,
        }
    }

    /// Whether there is no value any more.
    #[must_use]
    pub const fn is_tombstone(self) -> bool {
        !matches!(self, Self::Value)
    }
}

/// The shape that the content of a revision has, by its writer's word; as text `name@version`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Schema {
    name: Arc<str>,
    /// Counted by the writer; upcasters go from one to the next.
    pub version: u32,
}

impl Schema {
    /// Checks a name.
    ///
    /// # Errors
    /// [`MetaError::Schema`].
    pub fn new(name: &str, version: u32) -> Result<Self, MetaError> {
        let fits = (1..=MAX_SCHEMA_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
        if fits { Ok(Self { name: Arc::from(name), version }) } else { Err(MetaError::Schema) }
    }

    /// Reads `name@version`, as in the header `Tradewind-Schema`.
    ///
    /// # Errors
    /// [`MetaError::Schema`].
    pub fn parse(text: &str) -> Result<Self, MetaError> {
        let (name, version) = text.rsplit_once('@').ok_or(MetaError::Schema)?;
        if !version.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MetaError::Schema);
        }
        Self::new(name, version.parse().map_err(|_| MetaError::Schema)?)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a reader that knows the versions up to `newest` can read this one.
    #[must_use]
    pub fn is_known_by(&self, newest: &Self) -> bool {
        self.name == newest.name && self.version <= newest.version
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What makes a hand-off token one of its kind: 16 random bytes; as text 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 16]);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tradewind_core::write_hex(&self.0, f)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Everything about a revision but its content. All of it is fixed when the revision is written, save [`Meta::expires_at`]
/// under a sliding time to live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Meta {
    /// Its number.
    pub rev: Rev,
    /// The revision that it replaced; `None` for the first of a key.
    pub parent: Option<Rev>,
    /// Whether there is a value.
    pub kind: Kind,
    /// Media type of the content, as its writer gave it; that of the parent for a tombstone.
    pub content_type: Arc<str>,
    /// Shape of the content, where its writer named one.
    pub schema: Option<Schema>,
    /// SHA-256 of the content; of nothing for a tombstone.
    pub hash: Hash,
    /// SHA-256 over the parent's chain and this revision's number, kind, hash, content type and schema: see [`Meta::link`].
    pub chain: Hash,
    /// Bytes of the content.
    pub size: u64,
    /// When it was written.
    pub created_at: UnixMillis,
    /// When it is gone; for a tombstone, when the key may be forgotten.
    pub expires_at: Option<UnixMillis>,
    /// Under a sliding time to live: how long after the last read it is gone. Whole milliseconds.
    #[serde(serialize_with = "millis")]
    pub sliding: Option<Duration>,
    /// How often the key was handed over.
    pub epoch: Epoch,
    /// Name of the key that wrote it.
    pub by: Option<Arc<str>>,
    /// The token that was redeemed with this revision.
    pub handoff: Option<Nonce>,
}

impl Meta {
    /// The chain's hash of a revision: SHA-256 of a domain, the parent's chain (32 zero bytes without a parent), the number
    /// (8 bytes, big-endian), the kind, the content's hash, the content type and the schema, each text behind its length.
    #[must_use]
    pub fn link(
        parent: Option<&Hash>,
        rev: Rev,
        kind: Kind,
        hash: &Hash,
        content_type: &str,
        schema: Option<&Schema>,
    ) -> Hash {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(CHAIN_DOMAIN);
        context.update(parent.map_or(&[0; 32], |parent| &parent.0));
        context.update(&rev.get().to_be_bytes());
        context.update(&[kind.number()]);
        context.update(&hash.0);
        text(&mut context, content_type);
        match schema {
            None => context.update(&[0]),
            Some(schema) => {
                context.update(&[1]);
                text(&mut context, schema.name());
                context.update(&schema.version.to_be_bytes());
            }
        }
        Hash::from_digest(context.finish())
    }

    /// Whether [`Meta::chain`] is what follows from the rest and the parent's chain.
    #[must_use]
    pub fn follows(&self, parent: Option<&Hash>) -> bool {
        self.chain == Self::link(parent, self.rev, self.kind, &self.hash, &self.content_type, self.schema.as_ref())
    }

    /// Whether a read at `now` must not return it: a tombstone, or its time is over.
    #[must_use]
    pub fn is_gone(&self, now: UnixMillis) -> bool {
        self.kind.is_tombstone() || self.has_expired(now)
    }

    /// Whether its time is over at `now`.
    #[must_use]
    pub fn has_expired(&self, now: UnixMillis) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

fn text(context: &mut digest::Context, text: &str) {
    context.update(&(text.len() as u64).to_be_bytes());
    context.update(text.as_bytes());
}

fn millis<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        None => serializer.serialize_none(),
        Some(duration) => serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// Checks a content type that came from outside.
///
/// # Errors
/// [`MetaError::ContentType`].
pub(crate) fn check_content_type(text: &str) -> Result<(), MetaError> {
    let fits = (1..=MAX_CONTENT_TYPE).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if fits { Ok(()) } else { Err(MetaError::ContentType) }
}

/// Checks the name of a writer.
///
/// # Errors
/// [`MetaError::By`].
pub(crate) fn check_by(text: &str) -> Result<(), MetaError> {
    let fits = (1..=MAX_BY).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(MetaError::By) }
}
