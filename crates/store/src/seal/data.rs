//! Data keys: what seals bodies and pieces, and what names pieces.
//!
//! A sealed body is
//!
//! ```text
//! version  1 byte, 1
//! key      8 bytes, which data key: see DataKeyId
//! salt    12 bytes, random: the body's key is HMAC-SHA-256(data key for bodies, salt)
//! nonce   12 bytes, random
//! text     as long as the plain one
//! tag     16 bytes, AES-256-GCM; the additional data is the header up to here and the place
//! ```

use std::fmt;

use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use tradewind_core::Secret;

use super::SealError;
use crate::name::{Key, Namespace, Rev};
use crate::record::PieceId;

const VERSION: u8 = 1;
const SALT: usize = 12;
const NONCE: usize = 12;
const TAG: usize = 16;
const HEADER: usize = 1 + 8 + SALT + NONCE;

/// Bytes that a sealed body has more than the plain one.
pub const OVERHEAD: usize = HEADER + TAG;

/// Names a data key without telling it: the first 8 bytes of an HMAC-SHA-256 with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataKeyId(pub [u8; 8]);

impl fmt::Display for DataKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tradewind_core::write_hex(&self.0, f)
    }
}

/// Where something sealed lies. What is moved elsewhere cannot be opened there.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// The body of a revision.
    Body {
        /// Of which key.
        key: &'a Key,
        /// Of which revision.
        rev: Rev,
    },
    /// A piece of a long content.
    Piece {
        /// In which namespace.
        namespace: &'a Namespace,
        /// Its name there.
        id: &'a PieceId,
    },
}

impl Place<'_> {
    /// One text for each place, so that no two places share one: what has no fixed length stands behind its length.
    fn bytes(&self) -> Vec<u8> {
        let (mark, namespace) = match self {
            Self::Body { key, .. } => (0, &key.namespace),
            Self::Piece { namespace, .. } => (1, *namespace),
        };
        let mut bytes = vec![mark];
        text(&mut bytes, namespace.as_str());
        match self {
            Self::Body { key, rev } => {
                text(&mut bytes, key.name());
                bytes.extend_from_slice(&rev.get().to_be_bytes());
            }
            Self::Piece { id, .. } => bytes.extend_from_slice(&id.0),
        }
        bytes
    }
}

pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// The data key of one namespace.
pub struct DataKey {
    id: DataKeyId,
    bodies: hmac::Key,
    pieces: hmac::Key,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({})", self.id)
    }
}

impl DataKey {
    pub(super) fn new(secret: &Secret<[u8; 32]>) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        let derive = |purpose: &[u8]| hmac::sign(&secret, purpose);
        let key = |purpose: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, derive(purpose).as_ref());
        let mut id = [0; 8];
        id.copy_from_slice(&derive(b"tradewind-data-key-id-1").as_ref()[..8]);
        Self { id: DataKeyId(id), bodies: key(b"tradewind-bodies-1"), pieces: key(b"tradewind-piece-ids-1") }
    }

    /// Its name, as the header of everything that it sealed has it.
    #[must_use]
    pub const fn id(&self) -> DataKeyId {
        self.id
    }

    /// The name of a plain piece: its HMAC-SHA-256, so that the name says nothing to who has not the key.
    ///
    /// # Panics
    /// Never: an HMAC-SHA-256 has 32 bytes.
    #[must_use]
    pub fn piece_id(&self, plain: &[u8]) -> PieceId {
        PieceId(hmac::sign(&self.pieces, plain).as_ref().try_into().expect("HMAC-SHA-256 gives 32 bytes"))
    }

    /// Seals `plain` for its place; [`OVERHEAD`] bytes are added.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Bytes, SealError> {
        let random = random::<{ SALT + NONCE }>()?;
        let mut out = Vec::with_capacity(plain.len() + OVERHEAD);
        out.push(VERSION);
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&random);
        seal_behind(&self.bodies, &place.bytes(), &mut out, plain);
        Ok(Bytes::from(out))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`SealError::Damaged`] when it was sealed for another place, or is not what it was; [`SealError::OtherKey`];
    /// [`SealError::Version`].
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Bytes, SealError> {
        let what = match place {
            Place::Body { .. } => "a body",
            Place::Piece { .. } => "a piece",
        };
        match sealed.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(SealError::Version(version)),
            None => return Err(SealError::Damaged(what)),
        }
        let found = sealed.get(1..9).and_then(|id| id.try_into().ok()).map(DataKeyId);
        if let Some(found) = found.filter(|found| *found != self.id) {
            return Err(SealError::OtherKey { found, known: self.id });
        }
        let plain = open_behind(&self.bodies, &place.bytes(), sealed, HEADER).ok_or(SealError::Damaged(what))?;
        Ok(Bytes::from(plain))
    }
}

/// Puts `plain`, sealed, and the tag behind a header that ends with salt and nonce. Header and place are the additional data.
pub(super) fn seal_behind(key: &hmac::Key, place: &[u8], header: &mut Vec<u8>, plain: &[u8]) {
    let (key, nonce) = derive(key, header).expect("a header that is being written is whole");
    let additional = [header.as_slice(), place].concat();
    let at = header.len();
    header.extend_from_slice(plain);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(additional), &mut header[at..])
        .expect("a content is far shorter than what the cipher can take");
    header.extend_from_slice(tag.as_ref());
}

/// What was sealed behind a header of `header` bytes.
pub(super) fn open_behind(key: &hmac::Key, place: &[u8], sealed: &[u8], header: usize) -> Option<Vec<u8>> {
    let (head, text) = sealed.split_at_checked(header)?;
    let (key, nonce) = derive(key, head)?;
    let mut text = text.to_vec();
    let plain = key.open_in_place(nonce, Aad::from([head, place].concat()), &mut text).ok()?.len();
    text.truncate(plain);
    Some(text)
}

/// The key and the nonce of one body, from the end of its header.
fn derive(key: &hmac::Key, header: &[u8]) -> Option<(LessSafeKey, Nonce)> {
    let random = header.last_chunk::<{ SALT + NONCE }>()?;
    let (salt, nonce) = random.split_at(SALT);
    let own = hmac::sign(key, salt);
    let own = UnboundKey::new(&AES_256_GCM, own.as_ref()).expect("HMAC-SHA-256 gives 32 bytes");
    Some((LessSafeKey::new(own), Nonce::try_assume_unique_for_key(nonce).ok()?))
}

/// Bytes of the operating system's random source.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SealError::NoRandom)?;
    Ok(bytes)
}
