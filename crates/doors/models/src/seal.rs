//! Sealed response ids: the id of a response that a provider keeps, as the caller is given it. It holds which target
//! keeps the response, so that the next call goes there and nowhere else, and it is good for the key that it was given to
//! alone: nobody can go on with the conversation of another.
//!
//! `resp_tw` and then base64url of nonce (12 bytes), ciphertext and tag (16 bytes), ChaCha20-Poly1305 (RFC 8439). The nonce
//! is derived from the content, so that one response has one id wherever it is named.

use std::sync::Arc;
use std::{fmt, io};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use tradewind_core::TargetId;

const PREFIX: &str = "resp_tw";
const NONCE: usize = 12;
/// Ids longer than this are not looked at.
const LONGEST: usize = 2048;

/// Seals and opens ids.
pub struct Seal {
    key: LessSafeKey,
    nonces: hmac::Key,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// A new secret.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn fresh_secret() -> io::Result<[u8; 32]> {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret).map_err(|_| io::Error::other("the system gives no random bytes"))?;
        Ok(secret)
    }

    /// A seal with this secret, which has to stay the same for ids to stay good.
    ///
    /// # Panics
    /// Never: the key has the length that the cipher wants.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        let derive = |purpose: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), purpose);
        let key = UnboundKey::new(&CHACHA20_POLY1305, derive(b"seal").as_ref()).expect("HMAC-SHA256 gives 32 bytes");
        Self { key: LessSafeKey::new(key), nonces: hmac::Key::new(hmac::HMAC_SHA256, derive(b"nonce").as_ref()) }
    }

    /// The id that `caller` (the name of its key) is given for the response `id` at `target`.
    pub(crate) fn seal(&self, target: &TargetId, caller: Option<&str>, id: &str) -> String {
        let mut sealed = [target.as_str(), "\n", id].concat().into_bytes();
        let mut context = hmac::Context::with_key(&self.nonces);
        context.update(&sealed);
        context.update(b"\n");
        context.update(caller.unwrap_or_default().as_bytes());
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&context.sign().as_ref()[..NONCE]);
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad(caller), &mut sealed)
            .expect("an id is far shorter than what the cipher can take");
        let mut text = PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string([&nonce[..], &sealed, tag.as_ref()].concat(), &mut text);
        text
    }

    /// The target and its own id behind an id that `caller` was given; `None` when it was not given this one.
    pub(crate) fn open(&self, caller: Option<&str>, id: &str) -> Option<(TargetId, String)> {
        let mut sealed = URL_SAFE_NO_PAD.decode(id.strip_prefix(PREFIX).filter(|_| id.len() <= LONGEST)?).ok()?;
        let nonce: [u8; NONCE] = sealed.get(..NONCE)?.try_into().ok()?;
        let opened =
            self.key.open_in_place(Nonce::assume_unique_for_key(nonce), aad(caller), sealed.get_mut(NONCE..)?).ok()?;
        let (target, id) = std::str::from_utf8(opened).ok()?.split_once('\n')?;
        Some((TargetId::parse(target).ok()?, id.to_owned()))
    }
}

/// The seal of the responses of one target for one caller.
#[derive(Clone, Debug)]
pub(crate) struct IdSeal {
    pub(crate) seal: Arc<Seal>,
    pub(crate) target: TargetId,
    pub(crate) caller: Option<Arc<str>>,
}

impl IdSeal {
    /// The id that the caller is given for the target's `id`.
    pub(crate) fn seal(&self, id: &str) -> String {
        self.seal.seal(&self.target, self.caller.as_deref(), id)
    }
}

fn aad(caller: Option<&str>) -> Aad<&[u8]> {
    Aad::from(caller.unwrap_or_default().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_good_for_whom_it_was_given_to() {
        let seal = Seal::new(&[7; 32]);
        let target = TargetId::new("openai/gpt-5");
        let id = seal.seal(&target, Some("ci"), "resp_123");
        assert_eq!(id, seal.seal(&target, Some("ci"), "resp_123"));
        assert_ne!(id, seal.seal(&target, Some("ci"), "resp_124"));
        assert_eq!(seal.open(Some("ci"), &id), Some((target.clone(), "resp_123".to_owned())));
        assert_eq!(seal.open(Some("other"), &id), None);
        assert_eq!(seal.open(None, &id), None);
        assert_eq!(Seal::new(&[8; 32]).open(Some("ci"), &id), None);
        let open = seal.seal(&target, None, "resp_123");
        assert_eq!(seal.open(None, &open).map(|(target, _)| target), Some(target));
    }

    #[test]
    fn what_was_not_sealed_here_is_not_opened() {
        let seal = Seal::new(&[7; 32]);
        let id = seal.seal(&TargetId::new("openai/gpt-5"), None, "resp_123");
        for index in 0..id.len() {
            let mut forged = id.clone().into_bytes();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open(None, &String::from_utf8(forged).unwrap()), None, "byte {index}");
        }
        for id in ["", "resp_tw", "resp_123", "resp_twAAAA", &format!("resp_tw{}", "A".repeat(5000))] {
            assert_eq!(seal.open(None, id), None, "{id}");
        }
    }
}
