//! Encryption at rest: every body and every piece of a namespace is sealed with the namespace's data key, and the data key
//! is kept in the store itself, wrapped by a master key that is not.
//!
//! ```text
//! master key (environment, file or command: handed in as bytes)
//!   └─ wraps the data key of each namespace    a record of its own in `_keys`, see KeyRecord
//!        ├─ seals bodies     additional data: namespace, key, number of the revision
//!        ├─ seals pieces     additional data: namespace, id
//!        └─ names pieces     HMAC-SHA-256 of the plain piece
//! ```
//!
//! A new master key wraps the data keys again ([`Sealer::rewrap`]); nothing else is written anew. The old one is listed as
//! previous until every record in `_keys` has been rewrapped.
//!
//! AES-256-GCM, since processors have instructions for it and *ring* brings it already. Its nonce of 96 bits is too short to
//! be drawn at random for as many revisions as a namespace may see, so each body has a key of its own, derived from the data
//! key and half of 24 random bytes, and the other half is its nonce: the construction of XAES-256-GCM (C2SP), with
//! HMAC-SHA-256 in the place of CMAC, which *ring* does not have. A counter was refused: several gateways write to one store.
//!
//! What is not hidden: names, sizes, times, content types, schemas, and the SHA-256 of the content, which is part of what
//! every reader of a revision is told. A content that can be guessed can therefore be confirmed by who has the store but not
//! the key.

mod data;
mod master;
mod record;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tradewind_core::Secret;

use crate::name::{Key, Namespace};

pub use data::{DataKey, DataKeyId, OVERHEAD, Place};
pub use master::{MAX_MASTER_ID, MasterKey, Masters};
pub use record::{KeyRecord, MAX_KEY_RECORD};

/// Why something is not sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A master key has not 32 bytes.
    #[error("a master key is 32 random bytes, as they are, in base64, or as 64 hexadecimal digits")]
    BadMaster,
    /// A text of 32 characters, which nobody's random source makes.
    #[error("a master key of 32 printable characters is a password, not 32 random bytes")]
    Password,
    /// The name of a master key is none.
    #[error("the id of a master key is 1 to {MAX_MASTER_ID} characters a-z, A-Z, 0-9, `.`, `_`, `-`")]
    BadMasterId,
    /// Two master keys have one name.
    #[error("two master keys have the id {0}")]
    SameMasterId(String),
    /// A data key is wrapped with a master key that is not configured.
    #[error("the data key of {namespace} is wrapped with the master key {master}, which is not configured")]
    NoMaster {
        /// Whose data key it is.
        namespace: Namespace,
        /// The id of the master key.
        master: String,
    },
    /// A body is sealed with a data key that is not the namespace's.
    #[error("sealed with the data key {found}, while that of the namespace is {known}")]
    OtherKey {
        /// What the header says.
        found: DataKeyId,
        /// What there is.
        known: DataKeyId,
    },
    /// Sealed by a newer release.
    #[error("sealed in a form that this release does not know ({0})")]
    Version(u8),
    /// Changed since it was sealed, moved from another place, or wrapped with another master key of the same name.
    #[error("{0} is not what was sealed here")]
    Damaged(&'static str),
    /// The operating system has no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

/// The namespace of the wrapped data keys. It is never sealed itself.
#[must_use]
pub fn keys_namespace() -> Namespace {
    Namespace::reserved("keys")
}

/// The record that holds the wrapped data key of `namespace`.
///
/// # Panics
/// Never: the name of a namespace is the name of a key.
#[must_use]
pub fn key_of(namespace: &Namespace) -> Key {
    Key::new(keys_namespace(), namespace.as_str()).expect("a namespace has no character that a key cannot have")
}

/// The master keys, and the data keys that were unwrapped with them.
///
/// It knows no store: who does, looks here first ([`Sealer::data_key`]), reads the record at [`key_of`] when there is none,
/// and gives its content to [`Sealer::admit`]; where there is no record, it writes [`Sealer::fresh`] on the condition that
/// there is still none, and a writer who loses that race reads the winner's. A data key never changes, so what was admitted
/// once stays right, whoever rotates the master keys meanwhile.
#[derive(Debug)]
pub struct Sealer {
    masters: Masters,
    admitted: RwLock<HashMap<Namespace, Arc<DataKey>>>,
}

impl Sealer {
    /// A sealer with these master keys and no data key yet.
    #[must_use]
    pub fn new(masters: Masters) -> Self {
        Self { masters, admitted: RwLock::default() }
    }

    /// The data key of `namespace`, when it was admitted.
    #[must_use]
    pub fn data_key(&self, namespace: &Namespace) -> Option<Arc<DataKey>> {
        self.admitted.read().get(namespace).cloned()
    }

    /// The content of a record with a new data key for `namespace`. The key is used once the record has been written, and
    /// admitted from what is then in the store.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn fresh(&self, namespace: &Namespace) -> Result<Vec<u8>, SealError> {
        let secret = Secret::new(data::random::<32>()?);
        Ok(KeyRecord::wrap(namespace, self.masters.current(), &secret)?.encode())
    }

    /// Unwraps the data key of `namespace` from the content of its record.
    ///
    /// # Errors
    /// [`SealError::NoMaster`], [`SealError::Damaged`], [`SealError::Version`].
    pub fn admit(&self, namespace: &Namespace, content: &[u8]) -> Result<Arc<DataKey>, SealError> {
        let (secret, _) = self.unwrap(namespace, content)?;
        let key = Arc::new(DataKey::new(&secret));
        self.admitted.write().insert(namespace.clone(), key.clone());
        Ok(key)
    }

    /// The content of the record of `namespace` with its data key wrapped by the current master key; `None` where it is
    /// already. To be written on the condition that the record is still the one that was read.
    ///
    /// # Errors
    /// As of [`Sealer::admit`], and [`SealError::NoRandom`].
    pub fn rewrap(&self, namespace: &Namespace, content: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        let (secret, master) = self.unwrap(namespace, content)?;
        let current = self.masters.current();
        if master == current.id() {
            return Ok(None);
        }
        Ok(Some(KeyRecord::wrap(namespace, current, &secret)?.encode()))
    }

    /// The secret of a record, and the id of the master key that it is wrapped with.
    fn unwrap(&self, namespace: &Namespace, content: &[u8]) -> Result<(Secret<[u8; 32]>, String), SealError> {
        let record = KeyRecord::decode(content)?;
        let master = self
            .masters
            .find(&record.master)
            .ok_or_else(|| SealError::NoMaster { namespace: namespace.clone(), master: record.master.clone() })?;
        Ok((record.unwrap(namespace, master)?, record.master))
    }
}

#[cfg(test)]
mod tests;
