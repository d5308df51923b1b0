//! Revisions as JSON.

use schemars::JsonSchema;
use serde::Serialize;
use tradewind_core::{UnixMillis, format_duration};
use tradewind_store::{Epoch, Hash, Key, Kind, Meta, Nonce, Rev, Schema, StateError};

use crate::failure::refusal;

/// A revision of a key, without its content.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Shown<'a> {
    namespace: &'a str,
    key: &'a str,
    /// The number of the revision, from 1 on.
    #[schemars(with = "u64")]
    rev: Rev,
    /// The revision that it replaced.
    #[schemars(with = "Option<u64>")]
    parent: Option<Rev>,
    /// `value`, `deleted` or `expired`.
    #[schemars(with = "String")]
    kind: Kind,
    content_type: &'a str,
    /// `name@version`.
    #[schemars(with = "Option<String>")]
    schema: Option<&'a Schema>,
    /// SHA-256 of the content, in hexadecimal digits.
    #[schemars(with = "String")]
    hash: &'a Hash,
    /// SHA-256 over the parent's chain and this revision.
    #[schemars(with = "String")]
    chain: &'a Hash,
    /// Bytes of the content.
    size: u64,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339. Of a tombstone: when the key may be forgotten.
    expires_at: Option<String>,
    /// Under a sliding time to live, how long it is.
    sliding: Option<String>,
    /// How often the key was handed over.
    #[schemars(with = "u64")]
    epoch: Epoch,
    /// The name of the key that wrote it.
    by: Option<&'a str>,
    /// The token that was redeemed with it.
    #[schemars(with = "Option<String>")]
    handoff: Option<&'a Nonce>,
    /// Whether it stays however many come after it; in histories only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<bool>,
}

impl<'a> Shown<'a> {
    /// `meta` of `key`.
    pub(crate) fn new(key: &'a Key, meta: &'a Meta) -> Self {
        Self {
            namespace: key.namespace.as_str(),
            key: key.name(),
            rev: meta.rev,
            parent: meta.parent,
            kind: meta.kind,
            content_type: &meta.content_type,
            schema: meta.schema.as_ref(),
            hash: &meta.hash,
            chain: &meta.chain,
            size: meta.size,
            created_at: meta.created_at.rfc3339(),
            expires_at: meta.expires_at.map(UnixMillis::rfc3339),
            sliding: meta.sliding.map(format_duration),
            epoch: meta.epoch,
            by: meta.by.as_deref(),
            handoff: meta.handoff.as_ref(),
            pinned: None,
        }
    }

    /// The same, with whether it is pinned.
    pub(crate) fn pinned(self, pinned: bool) -> Self {
        Self { pinned: Some(pinned), ..self }
    }
}

/// A key in a list: its newest revision, or why that cannot be given.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Item<'a> {
    Sound(Box<Shown<'a>>),
    Unreadable(Unreadable<'a>),
}

/// A key whose newest revision cannot be read. Whether it is a value, nobody can say.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Unreadable<'a> {
    namespace: &'a str,
    key: &'a str,
    error: Why,
}

/// Why.
#[derive(Serialize, JsonSchema)]
struct Why {
    /// `TW7010`: its page is docs/errors/TW7010.md.
    code: &'static str,
    message: String,
}

impl<'a> Item<'a> {
    pub(crate) fn new(key: &'a Key, head: &'a Result<Meta, StateError>) -> Self {
        match head {
            Ok(meta) => Self::Sound(Box::new(Shown::new(key, meta))),
            Err(error) => {
                let refusal = refusal(error);
                let error = Why { code: refusal.code.name(), message: refusal.message.into_owned() };
                Self::Unreadable(Unreadable { namespace: key.namespace.as_str(), key: key.name(), error })
            }
        }
    }
}

/// Writes JSON out of our own types, whose keys are texts and whose numbers are finite.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own types are JSON")
}

/// A page of a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Page<T, N> {
    pub(crate) items: Vec<T>,
    /// What leads to the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<N>,
}
