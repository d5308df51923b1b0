//! Why a call is not let in.

use std::sync::Arc;

use tradewind_core::Code;

/// Why a call is not let in. The message is for whoever called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no key.
    #[error(
        "this gateway wants a key: send it as `authorization: Bearer KEY`, as `x-api-key: KEY`, or as the password of \
         Basic authentication"
    )]
    Missing,
    /// There is one, and nobody knows it.
    #[error("this key is not known here: check that it is whole, or ask for another one")]
    Unknown,
    /// It was revoked.
    #[error("the key `{name}` was revoked: ask for another one")]
    Revoked {
        /// The name of the key.
        name: Arc<str>,
    },
    /// Its time is over.
    #[error("the key `{name}` has expired: ask for another one")]
    Expired {
        /// The name of the key.
        name: Arc<str>,
    },
}

impl Denied {
    /// The public code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing | Self::Unknown => Code::UnknownKey,
            Self::Revoked { .. } | Self::Expired { .. } => Code::KeyRevoked,
        }
    }

    /// The name of the key, when it is one that was known.
    #[must_use]
    pub const fn name(&self) -> Option<&Arc<str>> {
        match self {
            Self::Missing | Self::Unknown => None,
            Self::Revoked { name } | Self::Expired { name } => Some(name),
        }
    }
}
