//! How a wrapped data key is kept: a JSON object, so that it can be looked at with any tool.
//!
//! `{"version":1,"master":"2026-11","wrapped":"…"}`; `wrapped` is base64 of salt (12 bytes), nonce (12 bytes), the data key
//! sealed (32 bytes), tag (16 bytes): as bodies are, with the master key in the place of the data key, and a domain, the
//! namespace and the master key's id as additional data.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use tradewind_core::Secret;

use super::data::{open_behind, random, seal_behind, text};
use super::master::MasterKey;
use super::{MAX_MASTER_ID, SealError};
use crate::name::Namespace;

/// The longest content of such a record that is read, in bytes.
pub const MAX_KEY_RECORD: usize = 1024;

const VERSION: u8 = 1;
const DOMAIN: &str = "tradewind-wrapped-data-key-1";
const RANDOM: usize = 24;

/// A data key, wrapped by a master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    version: u8,
    /// The id of the master key.
    pub master: String,
    wrapped: String,
}

impl KeyRecord {
    pub(super) fn wrap(
        namespace: &Namespace,
        master: &MasterKey,
        secret: &Secret<[u8; 32]>,
    ) -> Result<Self, SealError> {
        let mut wrapped = random::<RANDOM>()?.to_vec();
        seal_behind(&wrapping(master), &place(namespace, master), &mut wrapped, secret.expose());
        Ok(Self { version: VERSION, master: master.id().to_owned(), wrapped: STANDARD.encode(wrapped) })
    }

    pub(super) fn unwrap(&self, namespace: &Namespace, master: &MasterKey) -> Result<Secret<[u8; 32]>, SealError> {
        let damaged = || SealError::Damaged("a wrapped data key");
        let wrapped = STANDARD.decode(&self.wrapped).map_err(|_| damaged())?;
        let plain = open_behind(&wrapping(master), &place(namespace, master), &wrapped, RANDOM).ok_or_else(damaged)?;
        Ok(Secret::new(plain.try_into().map_err(|_| damaged())?))
    }

    /// Writes it as JSON.
    ///
    /// # Panics
    /// Never: it holds texts and a number.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and a number are JSON")
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`SealError::Damaged`] when it is none or has more than [`MAX_KEY_RECORD`] bytes; [`SealError::Version`].
    pub fn decode(content: &[u8]) -> Result<Self, SealError> {
        let damaged = || SealError::Damaged("a wrapped data key");
        if content.len() > MAX_KEY_RECORD {
            return Err(damaged());
        }
        let record: Self = serde_json::from_slice(content).map_err(|_| damaged())?;
        if record.version != VERSION {
            return Err(SealError::Version(record.version));
        }
        if record.master.len() > MAX_MASTER_ID {
            return Err(damaged());
        }
        Ok(record)
    }
}

/// The master key for this purpose: it never works as it is.
fn wrapping(master: &MasterKey) -> hmac::Key {
    let master = hmac::Key::new(hmac::HMAC_SHA256, master.secret());
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, DOMAIN.as_bytes()).as_ref())
}

fn place(namespace: &Namespace, master: &MasterKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [DOMAIN, namespace.as_str(), master.id()] {
        text(&mut bytes, part);
    }
    bytes
}
