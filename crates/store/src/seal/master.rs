//! Master keys: what wraps data keys. Where their bytes come from is the caller's business.

use std::fmt;

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use tradewind_core::Secret;

use super::SealError;

/// The longest name of a master key, in bytes.
pub const MAX_MASTER_ID: usize = 64;

/// A master key and its name.
#[derive(Clone)]
pub struct MasterKey {
    id: String,
    secret: Secret<[u8; 32]>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl MasterKey {
    /// A key out of what a variable, a file or a command gave: 32 random bytes as they are, in base64 (either alphabet, with
    /// or without padding), or as 64 hexadecimal digits; white space around a text is passed over.
    ///
    /// # Errors
    /// [`SealError::BadMaster`], [`SealError::Password`], [`SealError::BadMasterId`].
    pub fn new(id: &str, bytes: &[u8]) -> Result<Self, SealError> {
        let is_id = (1..=MAX_MASTER_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !is_id {
            return Err(SealError::BadMasterId);
        }
        Ok(Self { id: id.to_owned(), secret: Secret::new(read(bytes)?) })
    }

    /// Its name, which is kept with everything that it wraps.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) const fn secret(&self) -> &[u8; 32] {
        self.secret.expose()
    }
}

fn read(bytes: &[u8]) -> Result<[u8; 32], SealError> {
    let trimmed = bytes.trim_ascii();
    if let Ok(raw) = <[u8; 32]>::try_from(bytes) {
        // One in 10^14 random keys is refused by this, and every password.
        let is_text = raw.iter().all(|byte| (0x20..0x7f).contains(byte));
        return if is_text { Err(SealError::Password) } else { Ok(raw) };
    }
    if trimmed.len() == 32 && trimmed.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return Err(SealError::Password);
    }
    if trimmed.len() == 64 {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(trimmed.chunks_exact(2)) {
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(SealError::BadMaster) };
            *byte = high << 4 | low;
        }
        return Ok(key);
    }
    let engines: [&GeneralPurpose; 4] = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    let mut keys = engines.iter().filter_map(|engine| <[u8; 32]>::try_from(engine.decode(trimmed).ok()?).ok());
    keys.next().ok_or(SealError::BadMaster)
}

/// The master key that wraps, and those that wrapped before it and still unwrap.
#[derive(Clone, Debug)]
pub struct Masters {
    current: MasterKey,
    previous: Vec<MasterKey>,
}

impl Masters {
    /// Puts them together.
    ///
    /// # Errors
    /// [`SealError::SameMasterId`].
    pub fn new(current: MasterKey, previous: Vec<MasterKey>) -> Result<Self, SealError> {
        let mut ids: Vec<&str> = previous.iter().map(MasterKey::id).chain([current.id()]).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(SealError::SameMasterId(pair[0].to_owned()));
        }
        Ok(Self { current, previous })
    }

    /// The one that wraps.
    #[must_use]
    pub const fn current(&self) -> &MasterKey {
        &self.current
    }

    /// The one of this name.
    pub(super) fn find(&self, id: &str) -> Option<&MasterKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.id == id)
    }
}
