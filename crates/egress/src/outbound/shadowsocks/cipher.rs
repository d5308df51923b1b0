//! Ciphers and keys.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use shadowsocks_crypto::v1::{Cipher, openssl_bytes_to_key};
use shadowsocks_crypto::v2::tcp::TcpCipher;
use shadowsocks_crypto::{CipherCategory, CipherKind};
use tradewind_core::Secret;

/// The ciphers that are built, by their names in the document.
const CIPHERS: [&str; 6] = [
    "aes-128-gcm",
    "aes-256-gcm",
    "chacha20-ietf-poly1305",
    "2022-blake3-aes-128-gcm",
    "2022-blake3-aes-256-gcm",
    "2022-blake3-chacha20-poly1305",
];
/// More keys than this one after another are not taken.
const KEYS: usize = 8;
/// SIP022 §2.2, the derivation of the keys of identity headers.
const IDENTITY: &str = "shadowsocks 2022 identity subkey";
/// The length of the tag of each of these ciphers.
pub(super) const TAG: usize = 16;
/// The length of one identity header.
pub(super) const IDENTITY_HEADER: usize = 16;

/// Why cipher and password do not make a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No cipher of this name is built.
    #[error("the cipher `{0}` is not built; there are {names}", names = CIPHERS.join(", "))]
    Cipher(String),
    /// A key of 2022 that is not base64.
    #[error("the password of a 2022 cipher has to be base64, as `openssl rand -base64 {0}` makes it")]
    NotBase64(usize),
    /// A key of 2022 of the wrong length.
    #[error("a key of this cipher has {0} bytes, not {1}")]
    Length(usize, usize),
    /// Several keys where there can be but one.
    #[error("several keys, as in `first:second`, are of the 2022 AES ciphers alone, and at most {KEYS}")]
    SeveralKeys,
    /// An empty password.
    #[error("the password is empty")]
    Empty,
}

/// The cipher and the keys of one server.
pub(super) struct Secrets {
    pub(super) kind: CipherKind,
    /// The last one is the user's, those before are of the servers on the way (SIP023). Exactly one but for 2022.
    keys: Vec<Secret<Vec<u8>>>,
}

/// What encrypts or decrypts one direction of a stream, a frame after the other.
pub(super) enum FrameCipher {
    Old(Cipher),
    New(TcpCipher),
}

impl FrameCipher {
    /// Encrypts the frame in `bytes`, whose last [`TAG`] bytes are free for the tag.
    pub(super) fn seal(&mut self, bytes: &mut [u8]) {
        match self {
            Self::Old(cipher) => cipher.encrypt_packet(bytes),
            Self::New(cipher) => cipher.encrypt_packet(bytes),
        }
    }

    /// Decrypts the frame in `bytes`, tag included; false when it is not genuine.
    pub(super) fn open(&mut self, bytes: &mut [u8]) -> bool {
        match self {
            Self::Old(cipher) => cipher.decrypt_packet(bytes),
            Self::New(cipher) => cipher.decrypt_packet(bytes),
        }
    }
}

impl Secrets {
    /// Those of the document.
    pub(super) fn new(cipher: &str, password: &str) -> Result<Self, SecretError> {
        let unknown = || SecretError::Cipher(cipher.chars().take(40).collect());
        if !CIPHERS.contains(&cipher) {
            return Err(unknown());
        }
        let kind: CipherKind = cipher.parse().map_err(|_| unknown())?;
        if password.is_empty() {
            return Err(SecretError::Empty);
        }
        let length = kind.key_len();
        if kind.category() != CipherCategory::Aead2022 {
            let mut key = vec![0; length];
            openssl_bytes_to_key(password.as_bytes(), &mut key);
            return Ok(Self { kind, keys: vec![Secret::new(key)] });
        }
        let mut keys = Vec::new();
        for text in password.split(':') {
            let key = STANDARD.decode(text).map_err(|_| SecretError::NotBase64(length))?;
            if key.len() != length {
                return Err(SecretError::Length(length, key.len()));
            }
            keys.push(Secret::new(key));
        }
        let takes_several = !matches!(kind, CipherKind::AEAD2022_BLAKE3_CHACHA20_POLY1305);
        if keys.len() > 1 && (!takes_several || keys.len() > KEYS) {
            return Err(SecretError::SeveralKeys);
        }
        Ok(Self { kind, keys })
    }

    /// Whether it is an edition of 2022.
    pub(super) fn is_2022(&self) -> bool {
        self.kind.category() == CipherCategory::Aead2022
    }

    /// The key that belongs to the user.
    pub(super) fn own(&self) -> &[u8] {
        self.keys.last().expect("there is at least one key").expose()
    }

    /// The key of the first server on the way, which is the user's own where there is but one.
    pub(super) fn first(&self) -> &[u8] {
        self.keys.first().expect("there is at least one key").expose()
    }

    /// The length of the salt of a stream.
    pub(super) fn salt(&self) -> usize {
        self.kind.salt_len()
    }

    /// A salt that was never used.
    pub(super) fn new_salt(&self) -> Result<Vec<u8>, RandomError> {
        let mut salt = vec![0; self.salt()];
        random(&mut salt)?;
        Ok(salt)
    }

    /// The cipher of the direction that has this salt.
    pub(super) fn frames(&self, salt: &[u8]) -> FrameCipher {
        if self.is_2022() {
            FrameCipher::New(TcpCipher::new(self.kind, self.own(), salt))
        } else {
            FrameCipher::Old(Cipher::new(self.kind, self.own(), salt))
        }
    }

    /// The identity headers of a stream (SIP023): for each server on the way, who comes next.
    pub(super) fn identity_headers(&self, salt: &[u8], out: &mut Vec<u8>) {
        for pair in self.keys.windows(2) {
            let material = [pair[0].expose(), salt].concat();
            let derived = blake3::derive_key(IDENTITY, &material);
            let mut header = name_of(pair[1].expose());
            encrypt_block(&derived[..self.kind.key_len()], &mut header);
            out.extend_from_slice(&header);
        }
    }

    /// The identity headers of a datagram, whose own header is `head` (SIP023).
    pub(super) fn datagram_identity_headers(&self, head: &[u8; 16], out: &mut Vec<u8>) {
        for pair in self.keys.windows(2) {
            let mut header = name_of(pair[1].expose());
            for (byte, mask) in header.iter_mut().zip(head) {
                *byte ^= mask;
            }
            encrypt_block(pair[0].expose(), &mut header);
            out.extend_from_slice(&header);
        }
    }
}

/// The name of a key: the beginning of its hash.
fn name_of(key: &[u8]) -> [u8; IDENTITY_HEADER] {
    let hash = blake3::hash(key);
    let mut name = [0; IDENTITY_HEADER];
    name.copy_from_slice(&hash.as_bytes()[..IDENTITY_HEADER]);
    name
}

/// Encrypts one block of AES. Keys have 16 or 32 bytes.
pub(super) fn encrypt_block(key: &[u8], block: &mut [u8; 16]) {
    let mut array = Array::from(*block);
    if let Ok(cipher) = Aes128::new_from_slice(key) {
        cipher.encrypt_block(&mut array);
    } else if let Ok(cipher) = Aes256::new_from_slice(key) {
        cipher.encrypt_block(&mut array);
    }
    *block = array.into();
}

/// Decrypts one block of AES. Keys have 16 or 32 bytes.
pub(super) fn decrypt_block(key: &[u8], block: &mut [u8; 16]) {
    let mut array = Array::from(*block);
    if let Ok(cipher) = Aes128::new_from_slice(key) {
        cipher.decrypt_block(&mut array);
    } else if let Ok(cipher) = Aes256::new_from_slice(key) {
        cipher.decrypt_block(&mut array);
    }
    *block = array.into();
}

/// The system has no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub(super) struct RandomError;

/// Fills `bytes` with what nobody can foresee.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), RandomError> {
    SystemRandom::new().fill(bytes).map_err(|_| RandomError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cipher_has_a_key() {
        for cipher in CIPHERS {
            let length = if cipher.contains("128") { 16 } else { 32 };
            let secrets = Secrets::new(cipher, &STANDARD.encode(vec![7; length])).unwrap();
            assert_eq!(secrets.own().len(), length, "{cipher}");
            assert_eq!(secrets.salt(), length, "{cipher}");
        }
    }

    #[test]
    fn a_password_becomes_the_key_that_openssl_makes_of_it() {
        // openssl enc -aes-256-gcm -md md5 -nosalt -P -k password
        let secrets = Secrets::new("aes-256-gcm", "password").unwrap();
        let hex: String = secrets.own().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "5f4dcc3b5aa765d61d8327deb882cf992b95990a9151374abd8ff8c5a7a0fe08");
    }

    #[test]
    fn what_makes_no_key_is_refused_with_the_reason() {
        let refused = |cipher: &str, password: &str| Secrets::new(cipher, password).err().unwrap();
        let key = STANDARD.encode([7; 16]);
        assert!(matches!(refused("rc4-md5", "x"), SecretError::Cipher(_)));
        assert!(matches!(refused("none", "x"), SecretError::Cipher(_)));
        assert_eq!(refused("aes-128-gcm", ""), SecretError::Empty);
        assert_eq!(refused("2022-blake3-aes-128-gcm", "not base64!"), SecretError::NotBase64(16));
        assert_eq!(refused("2022-blake3-aes-256-gcm", &key), SecretError::Length(32, 16));
        assert_eq!(refused("2022-blake3-aes-128-gcm", &[key.as_str(); 9].join(":")), SecretError::SeveralKeys);
        let long = STANDARD.encode([7; 32]);
        assert_eq!(refused("2022-blake3-chacha20-poly1305", &format!("{long}:{long}")), SecretError::SeveralKeys);
        assert!(Secrets::new("2022-blake3-aes-128-gcm", &format!("{key}:{key}")).is_ok());
    }

    #[test]
    fn blocks_are_those_of_aes() {
        // FIPS 197, appendix C.1 and C.3.
        let key: Vec<u8> = (0..32).collect();
        let plain: [u8; 16] = std::array::from_fn(|index| (index * 0x11) as u8);
        for (length, begin) in [(16, [0x69, 0xc4]), (32, [0x8e, 0xa2])] {
            let mut block = plain;
            encrypt_block(&key[..length], &mut block);
            assert_eq!(block[..2], begin);
            decrypt_block(&key[..length], &mut block);
            assert_eq!(block, plain);
        }
    }
}
