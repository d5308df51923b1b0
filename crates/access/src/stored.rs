//! The file of created keys: read and written as text, never as a file.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tradewind_core::{Device, UnixMillis};
use tradewind_policy::{BadTerm, Budget, KeyHash, KeyTerms, MOST_KEYS, Timestamp, Unpriced, check_key_name};

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// A key made with `tradewind key create`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredKey {
    /// Its name.
    pub name: String,
    /// The hash of its secret.
    pub sha256: KeyHash,
    /// When it was made.
    pub created: Timestamp,
    /// Which team or customer calls with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What calls with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Where it calls from, or where its data may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What kind of program calls with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// Whatever else rules may ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// What it may spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Whether targets without a price may answer although there is a budget.
    #[serde(default)]
    pub unpriced: Unpriced,
    /// Requests a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u64>,
    /// Tokens a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<u64>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was revoked. It stays in the file, so that its bearer is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

impl StoredKey {
    /// A key with `terms`, made at `created`.
    #[must_use]
    pub fn new(name: &str, sha256: KeyHash, created: UnixMillis, terms: KeyTerms) -> Self {
        let KeyTerms { tenant, role, region, device, tags, allow, budget, unpriced, rpm, tpm, expires } = terms;
        let (name, created, revoked) = (name.to_owned(), Timestamp(created), None);
        Self {
            name,
            sha256,
            created,
            tenant,
            role,
            region,
            device,
            tags,
            allow,
            budget,
            unpriced,
            rpm,
            tpm,
            expires,
            revoked,
        }
    }

    /// What it may do.
    #[must_use]
    pub fn terms(&self) -> KeyTerms {
        KeyTerms {
            tenant: self.tenant.clone(),
            role: self.role.clone(),
            region: self.region.clone(),
            device: self.device,
            tags: self.tags.clone(),
            allow: self.allow.clone(),
            budget: self.budget,
            unpriced: self.unpriced,
            rpm: self.rpm,
            tpm: self.tpm,
            expires: self.expires,
        }
    }
}

/// What is in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredKeys {
    version: u32,
    keys: Vec<StoredKey>,
}

/// What is wrong with the file, or with a change to it. The message holds the cause; there is no further source.
#[derive(Debug, thiserror::Error)]
pub enum StoredKeysError {
    /// It is not what this program writes.
    #[error("not a file of keys: {0}")]
    Unreadable(serde_json::Error),
    /// It was written by another version.
    #[error("the file has version {0}, and this program reads version {VERSION}")]
    Version(u32),
    /// A key that cannot be.
    #[error("the key `{name}`: `{}`: {bad}", bad.term)]
    BadKey {
        /// Its name.
        name: String,
        /// What is wrong with it.
        bad: BadTerm,
    },
    /// The name is taken.
    #[error("there is a key named `{0}` already")]
    NameTaken(String),
    /// The secret is another key's.
    #[error("the secret of `{0}` is another key's as well")]
    SecretTaken(String),
    /// There are too many.
    #[error("there are {MOST_KEYS} keys already, which is the most")]
    TooMany,
    /// No key of this name.
    #[error("there is no key named `{0}`")]
    Unknown(String),
    /// It was revoked before.
    #[error("the key `{name}` was revoked already, at {at}")]
    AlreadyRevoked {
        /// Its name.
        name: String,
        /// When.
        at: Timestamp,
    },
}

impl Default for StoredKeys {
    fn default() -> Self {
        Self { version: VERSION, keys: Vec::new() }
    }
}

impl StoredKeys {
    /// Reads the file.
    ///
    /// # Errors
    /// When anything in it is not right: a limit that is not understood must not become no limit.
    pub fn parse(text: &str) -> Result<Self, StoredKeysError> {
        // The version first: another one may have other fields.
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let Head { version } = serde_json::from_str(text).map_err(StoredKeysError::Unreadable)?;
        if version != VERSION {
            return Err(StoredKeysError::Version(version));
        }
        let stored: Self = serde_json::from_str(text).map_err(StoredKeysError::Unreadable)?;
        if stored.keys.len() > MOST_KEYS {
            return Err(StoredKeysError::TooMany);
        }
        let (mut names, mut hashes) = (HashSet::new(), HashSet::new());
        for key in &stored.keys {
            check(key)?;
            if key.revoked.is_none() && !names.insert(&*key.name) {
                return Err(StoredKeysError::NameTaken(key.name.clone()));
            }
            if !hashes.insert(key.sha256) {
                return Err(StoredKeysError::SecretTaken(key.name.clone()));
            }
        }
        Ok(stored)
    }

    /// The text of the file.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain values become JSON");
        text.push('\n');
        text
    }

    /// The keys, in the order of their making; revoked ones are among them.
    #[must_use]
    pub fn keys(&self) -> &[StoredKey] {
        &self.keys
    }

    /// Adds a key. The name of a revoked key is free again; when there are too many, the key that was revoked first is
    /// forgotten.
    ///
    /// # Errors
    /// When the key cannot be, its name is taken, or there is no place.
    pub fn add(&mut self, key: StoredKey) -> Result<(), StoredKeysError> {
        check(&key)?;
        if self.keys.iter().any(|other| other.name == key.name && other.revoked.is_none()) {
            return Err(StoredKeysError::NameTaken(key.name));
        }
        if self.keys.iter().any(|other| other.sha256 == key.sha256) {
            return Err(StoredKeysError::SecretTaken(key.name));
        }
        if self.keys.len() >= MOST_KEYS {
            let revoked = self.keys.iter().enumerate().filter_map(|(index, key)| Some((key.revoked?, index))).min();
            let Some((_, index)) = revoked else { return Err(StoredKeysError::TooMany) };
            self.keys.remove(index);
        }
        self.keys.push(key);
        Ok(())
    }

    /// Revokes the key of this name.
    ///
    /// # Errors
    /// When there is none, or it was revoked before.
    pub fn revoke(&mut self, name: &str, at: UnixMillis) -> Result<(), StoredKeysError> {
        if let Some(key) = self.keys.iter_mut().find(|key| key.name == name && key.revoked.is_none()) {
            key.revoked = Some(Timestamp(at));
            return Ok(());
        }
        match self.keys.iter().rev().find_map(|key| (key.name == name).then_some(key.revoked).flatten()) {
            Some(at) => Err(StoredKeysError::AlreadyRevoked { name: name.to_owned(), at }),
            None => Err(StoredKeysError::Unknown(name.to_owned())),
        }
    }
}

fn check(key: &StoredKey) -> Result<(), StoredKeysError> {
    let bad = check_key_name(&key.name).err().or_else(|| key.terms().problems().into_iter().next());
    match bad {
        Some(bad) => Err(StoredKeysError::BadKey { name: key.name.clone(), bad }),
        None => Ok(()),
    }
}
