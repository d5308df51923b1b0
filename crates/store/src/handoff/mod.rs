//! Hand-off: how the holder of a key passes it on, once, to who shows a token.
//!
//! A token says of which key, at which revision and epoch, and until when, and is signed with a secret of the store. It is
//! asked for by the holder, carried to the other device by whatever means, and redeemed there: a compare-and-set at exactly
//! its revision writes the same content again with the next epoch and the token's nonce. That compare-and-set is what lets
//! one redeem win; the epoch is what refuses the old holder's next write. The clock only narrows the window, so that a clock
//! that jumps can refuse a good token but not let two holders be.
//!
//! Nothing is kept of a token until it is redeemed. As text it is `twh1_` and base64url (RFC 4648, section 5, no padding) of
//!
//! ```text
//! namespace   1 byte of length, bytes
//! name        2 bytes of length, big-endian, bytes
//! rev         8 bytes, big-endian
//! epoch       8 bytes, big-endian
//! schema      1 byte, 0 or 1, and where 1: the version, 4 bytes, big-endian
//! nonce      16 bytes
//! expires     8 bytes, big-endian: milliseconds since the Unix epoch
//! signature  32 bytes: HMAC-SHA-256 of a domain and all before
//! ```

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use tradewind_core::{Secret, UnixMillis};

use crate::error::TokenRefusal;
use crate::meta::{Meta, Nonce};
use crate::name::{Epoch, Key, MAX_KEY_NAME, MAX_NAMESPACE, Rev};

/// How long a token is good for at most.
pub const MAX_LIFE: Duration = Duration::from_secs(60);

/// How much the clocks of two gateways on one store may differ: a token may seem to have so much more of its life left.
pub const LEEWAY: Duration = Duration::from_secs(5);

const PREFIX: &str = "twh1_";
const DOMAIN: &[u8] = b"tradewind-handoff-1\0";
const SIGNATURE: usize = 32;

/// The longest text that is looked at, in bytes: that of a token with the longest names.
pub const MAX_TOKEN: usize =
    PREFIX.len() + (1 + MAX_NAMESPACE + 2 + MAX_KEY_NAME + 8 + 8 + 5 + 16 + 8 + SIGNATURE).div_ceil(3) * 4;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What is handed over.
    pub key: Key,
    /// The head when the token was given out, and the only one that it can be redeemed at.
    pub rev: Rev,
    /// The epoch then; the redeemer's is the next.
    pub epoch: Epoch,
    /// The version of the content's schema, so that who does not know it can refuse before redeeming.
    pub schema_version: Option<u32>,
    /// What makes it one of its kind.
    pub nonce: Nonce,
    /// From when on it is late.
    pub expires_at: UnixMillis,
}

impl Token {
    /// A token for `head`, good for `life`, which is cut to [`MAX_LIFE`].
    #[must_use]
    pub fn new(key: Key, head: &Meta, nonce: Nonce, now: UnixMillis, life: Duration) -> Self {
        let schema_version = head.schema.as_ref().map(|schema| schema.version);
        let expires_at = UnixMillis(now.0.saturating_add(millis(life.min(MAX_LIFE))));
        Self { key, rev: head.rev, epoch: head.epoch, schema_version, nonce, expires_at }
    }

    /// Whether it may be redeemed at `now`, given the key's head and the revision after the token's own, as far as there
    /// are such. The write has then to be a compare-and-set at [`Token::rev`]; one that loses it asks again.
    ///
    /// # Errors
    /// [`TokenRefusal::Late`] and [`TokenRefusal::Early`] by the clock alone, whatever became of the key; then
    /// [`TokenRefusal::Redeemed`], [`TokenRefusal::Replayed`] (also where it was this one, but the revision that says so is
    /// not kept any more) and [`TokenRefusal::Stale`].
    pub fn judge(&self, now: UnixMillis, head: Option<&Meta>, next: Option<&Meta>) -> Result<(), TokenRefusal> {
        if now >= self.expires_at {
            return Err(TokenRefusal::Late);
        }
        if self.expires_at.0 - now.0 > millis(MAX_LIFE + LEEWAY) {
            return Err(TokenRefusal::Early);
        }
        let head = head.ok_or(TokenRefusal::Stale)?;
        let redeemed = |meta: &Meta| meta.handoff == Some(self.nonce);
        if redeemed(head) || next.is_some_and(redeemed) {
            return Err(TokenRefusal::Redeemed);
        }
        if head.epoch > self.epoch {
            return Err(TokenRefusal::Replayed);
        }
        if head.rev != self.rev || head.epoch != self.epoch || head.is_gone(now) {
            return Err(TokenRefusal::Stale);
        }
        Ok(())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A nonce from the operating system's random source; `None` when it has no random bytes.
#[must_use]
pub fn fresh_nonce() -> Option<Nonce> {
    let mut nonce = [0; 16];
    SystemRandom::new().fill(&mut nonce).ok().map(|()| Nonce(nonce))
}

/// A secret for a [`Signer`], from the operating system's random source; `None` when it has no random bytes. It is made once
/// for a store, kept in it, and shared by all gateways on it.
#[must_use]
pub fn fresh_secret() -> Option<Secret<[u8; 32]>> {
    let mut secret = [0; 32];
    SystemRandom::new().fill(&mut secret).ok().map(|()| Secret::new(secret))
}

/// Signs tokens, and reads those that it signed.
#[derive(Clone, Debug)]
pub struct Signer {
    key: hmac::Key,
}

impl Signer {
    /// A signer with the secret of a store.
    #[must_use]
    pub fn new(secret: &Secret<[u8; 32]>) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose()) }
    }

    /// The token as text, at most [`MAX_TOKEN`] bytes.
    #[must_use]
    pub fn write(&self, token: &Token) -> String {
        let mut bytes = DOMAIN.to_vec();
        let (namespace, name) = (token.key.namespace.as_str(), token.key.name());
        bytes.push(u8::try_from(namespace.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(namespace.as_bytes());
        bytes.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&token.rev.get().to_be_bytes());
        bytes.extend_from_slice(&token.epoch.get().to_be_bytes());
        bytes.push(u8::from(token.schema_version.is_some()));
        if let Some(version) = token.schema_version {
            bytes.extend_from_slice(&version.to_be_bytes());
        }
        bytes.extend_from_slice(&token.nonce.0);
        bytes.extend_from_slice(&token.expires_at.0.to_be_bytes());
        let signature = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(signature.as_ref());
        let mut text = PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string(&bytes[DOMAIN.len()..], &mut text);
        text
    }

    /// What a token says that this signer wrote.
    ///
    /// # Errors
    /// [`TokenRefusal::Forged`] for every other text.
    pub fn read(&self, text: &str) -> Result<Token, TokenRefusal> {
        let text = text.strip_prefix(PREFIX).filter(|_| text.len() <= MAX_TOKEN).ok_or(TokenRefusal::Forged)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenRefusal::Forged)?;
        let (said, signature) = bytes.split_last_chunk::<SIGNATURE>().ok_or(TokenRefusal::Forged)?;
        hmac::verify(&self.key, &[DOMAIN, said].concat(), signature).map_err(|_| TokenRefusal::Forged)?;
        decode(said).ok_or(TokenRefusal::Forged)
    }
}

fn decode(mut rest: &[u8]) -> Option<Token> {
    let rest = &mut rest;
    let length = usize::from(take::<1>(rest)?[0]);
    let namespace = text(rest, length)?;
    let length = usize::from(u16::from_be_bytes(take(rest)?));
    let name = text(rest, length)?;
    let key = Key::parse(namespace, name).ok()?;
    let rev = Rev::new(u64::from_be_bytes(take(rest)?))?;
    let epoch = Epoch::new(u64::from_be_bytes(take(rest)?))?;
    let schema_version = match take::<1>(rest)?[0] {
        0 => None,
        1 => Some(u32::from_be_bytes(take(rest)?)),
        _ => return None,
    };
    let nonce = Nonce(take(rest)?);
    let expires_at = UnixMillis(u64::from_be_bytes(take(rest)?));
    rest.is_empty().then_some(Token { key, rev, epoch, schema_version, nonce, expires_at })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*first)
}

fn text<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a str> {
    let (first, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    std::str::from_utf8(first).ok()
}

#[cfg(test)]
mod tests;
