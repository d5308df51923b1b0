//! Bytes and times in JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tradewind_core::UnixMillis;

/// Bytes as they are where they are text, so that a person can read the file, else in base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Encoded {
    Text(String),
    Base64 { base64: String },
}

impl Encoded {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64 { base64: STANDARD.encode(bytes) },
        }
    }

    pub(super) fn bytes(self) -> Result<Bytes, String> {
        match self {
            Self::Text(text) => Ok(text.into()),
            Self::Base64 { base64 } => Ok(STANDARD.decode(base64).map_err(|error| error.to_string())?.into()),
        }
    }
}

pub(super) fn time(text: &str) -> Result<UnixMillis, String> {
    UnixMillis::parse_rfc3339(text).ok_or_else(|| format!("`{text}` is no time"))
}
