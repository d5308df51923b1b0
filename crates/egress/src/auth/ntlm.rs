//! The client of NTLMv2 (MS-NLMP), as far as a login at a proxy needs it: three messages, no signing, no sealing.
//!
//! NTLMv1 and LM are not spoken, whatever a server asks for. The password is kept as the key that NTLMv2 makes of it. Written
//! here because the crate that has all of it (`sspi`) brings Kerberos and 240 more.

use hmac::{Hmac, KeyInit, Mac};
use md4::{Digest, Md4};
use md5::Md5;
use tradewind_core::UnixMillis;

/// What each message begins with.
const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";
/// The header of the last message, with the fields for a version and a message integrity code (MIC).
const HEADER: usize = 88;
/// Where in it the MIC stands.
const MIC: std::ops::Range<usize> = 72..88;
/// The most that a server may say about itself, in bytes; real ones have some hundred.
const LONGEST_TARGET_INFO: usize = 8 * 1024;
/// Milliseconds between 1601, where Windows begins, and 1970.
const EPOCH: u64 = 11_644_473_600_000;

/// MS-NLMP §2.2.2.5.
mod flags {
    pub(super) const UNICODE: u32 = 1;
    const REQUEST_TARGET: u32 = 1 << 2;
    const NTLM: u32 = 1 << 9;
    const ALWAYS_SIGN: u32 = 1 << 15;
    const EXTENDED_SESSION_SECURITY: u32 = 1 << 19;
    const TARGET_INFO: u32 = 1 << 23;
    const KEY_128: u32 = 1 << 29;
    const KEY_56: u32 = 1 << 31;
    /// What we offer.
    pub(super) const OFFERED: u32 =
        UNICODE | REQUEST_TARGET | NTLM | ALWAYS_SIGN | EXTENDED_SESSION_SECURITY | TARGET_INFO | KEY_128 | KEY_56;
}

/// Ids of what a server says about itself, MS-NLMP §2.2.2.1.
mod about {
    pub(super) const END: u16 = 0;
    pub(super) const FLAGS: u16 = 6;
    pub(super) const TIMESTAMP: u16 = 7;
    /// Of `FLAGS`: there is a MIC.
    pub(super) const HAS_MIC: u32 = 2;
}

/// Why there is no answer to a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NtlmError {
    /// No challenge of NTLM.
    #[error("what the proxy sent is no NTLM challenge")]
    NotChallenge,
    /// A field leads outside of the message, or is too long.
    #[error("the proxy's NTLM challenge is broken")]
    Broken,
    /// It takes the character sets of old only.
    #[error("the proxy does not take Unicode in NTLM")]
    NotUnicode,
}

/// Who logs in, and the key that was made of the password.
pub(crate) struct Account {
    user: Vec<u8>,
    domain: Vec<u8>,
    key: [u8; 16],
}

/// What must not be the same twice.
#[derive(Clone, Copy)]
pub(crate) struct Fresh {
    pub(crate) client_challenge: [u8; 8],
    pub(crate) now: UnixMillis,
}

impl Account {
    /// `DOMAIN\user`, or `user@domain.example`, which servers take as a name without a domain, or a user alone.
    pub(crate) fn new(username: &str, password: &str) -> Self {
        let (domain, user) = username.split_once('\\').unwrap_or(("", username));
        let hash = Md4::digest(utf16(password));
        let key = hmac(&hash, &[&utf16(&user.to_uppercase()), &utf16(domain)]);
        Self { user: utf16(user), domain: utf16(domain), key }
    }

    /// The last message: it answers `challenge`, which answered [`negotiate`].
    ///
    /// # Errors
    /// When the challenge cannot be read.
    pub(crate) fn authenticate(&self, challenge: &[u8], fresh: Fresh) -> Result<Vec<u8>, NtlmError> {
        let read = Challenge::read(challenge)?;
        let Response { lm, nt, session_key, has_mic } = self.respond(&read, fresh)?;
        let mut out = Vec::with_capacity(HEADER + self.domain.len() + self.user.len() + lm.len() + nt.len());
        out.extend_from_slice(SIGNATURE);
        out.extend_from_slice(&3u32.to_le_bytes());
        let mut offset = HEADER;
        // The two without content: the name of this machine, and a session key of our own.
        let order: [(usize, usize); 6] = {
            let domain = place(&mut offset, self.domain.len());
            let user = place(&mut offset, self.user.len());
            let workstation = place(&mut offset, 0);
            let lm = place(&mut offset, lm.len());
            let nt = place(&mut offset, nt.len());
            [lm, nt, domain, user, workstation, place(&mut offset, 0)]
        };
        for (start, length) in order {
            let length = u16::try_from(length).map_err(|_| NtlmError::Broken)?.to_le_bytes();
            out.extend_from_slice(&length);
            out.extend_from_slice(&length);
            out.extend_from_slice(&u32::try_from(start).map_err(|_| NtlmError::Broken)?.to_le_bytes());
        }
        out.extend_from_slice(&(read.flags & flags::OFFERED).to_le_bytes());
        out.resize(HEADER, 0);
        for part in [&self.domain, &self.user, &lm, &nt] {
            out.extend_from_slice(part);
        }
        if has_mic {
            let mic = hmac(&session_key, &[&negotiate(), challenge, &out]);
            out[MIC].copy_from_slice(&mic);
        }
        Ok(out)
    }

    /// MS-NLMP §3.3.2 and §3.1.5.1.2.
    fn respond(&self, challenge: &Challenge<'_>, fresh: Fresh) -> Result<Response, NtlmError> {
        let Fresh { client_challenge, now } = fresh;
        let (target_info, timestamp) = answered(challenge.target_info)?;
        let time = timestamp.unwrap_or_else(|| now.0.saturating_add(EPOCH).saturating_mul(10_000).to_le_bytes());
        let mut blob = vec![1, 1, 0, 0, 0, 0, 0, 0];
        blob.extend_from_slice(&time);
        blob.extend_from_slice(&client_challenge);
        blob.extend_from_slice(&[0; 4]);
        blob.extend_from_slice(&target_info);
        blob.extend_from_slice(&[0; 4]);
        let proof = hmac(&self.key, &[&challenge.server_challenge, &blob]);
        let lm = if timestamp.is_some() {
            vec![0; 24]
        } else {
            let proof = hmac(&self.key, &[&challenge.server_challenge, &client_challenge]);
            [&proof[..], &client_challenge].concat()
        };
        let nt = [&proof[..], &blob].concat();
        Ok(Response { lm, nt, session_key: hmac(&self.key, &[&proof]), has_mic: timestamp.is_some() })
    }
}

struct Response {
    lm: Vec<u8>,
    nt: Vec<u8>,
    session_key: [u8; 16],
    has_mic: bool,
}

/// The first message: what we can do, and nothing about us.
pub(crate) fn negotiate() -> [u8; 32] {
    let mut out = [0; 32];
    out[..8].copy_from_slice(SIGNATURE);
    out[8] = 1;
    out[12..16].copy_from_slice(&flags::OFFERED.to_le_bytes());
    // Domain and workstation, neither of which is said, lie behind the message.
    out[20] = 32;
    out[28] = 32;
    out
}

/// What the server says in between.
#[derive(Debug, PartialEq, Eq)]
struct Challenge<'a> {
    flags: u32,
    server_challenge: [u8; 8],
    /// As it came; empty where there is none.
    target_info: &'a [u8],
}

impl<'a> Challenge<'a> {
    fn read(message: &'a [u8]) -> Result<Self, NtlmError> {
        if !message.starts_with(SIGNATURE) || message.get(8..12) != Some(&2u32.to_le_bytes()) {
            return Err(NtlmError::NotChallenge);
        }
        let flags = u32::from_le_bytes(bytes(message, 20)?);
        if flags & flags::UNICODE == 0 {
            return Err(NtlmError::NotUnicode);
        }
        let server_challenge = bytes(message, 24)?;
        // Old servers end here: they say nothing about themselves.
        let target_info = if message.len() < 48 {
            &[]
        } else {
            let length = usize::from(u16::from_le_bytes(bytes(message, 40)?));
            let start = u32::from_le_bytes(bytes(message, 44)?) as usize;
            let within = start.checked_add(length).and_then(|end| message.get(start..end));
            if length == 0 { &[] } else { within.ok_or(NtlmError::Broken)? }
        };
        if target_info.len() > LONGEST_TARGET_INFO {
            return Err(NtlmError::Broken);
        }
        Ok(Self { flags, server_challenge, target_info })
    }
}

/// What is said back of what the server says about itself, and its time. With a time there is a MIC, which is said here.
fn answered(target_info: &[u8]) -> Result<(Vec<u8>, Option<[u8; 8]>), NtlmError> {
    let (mut pairs, mut said, mut time) = (Vec::with_capacity(target_info.len() + 8), 0, None);
    let mut rest = target_info;
    while !rest.is_empty() {
        let id = u16::from_le_bytes(bytes(rest, 0)?);
        let length = usize::from(u16::from_le_bytes(bytes(rest, 2)?));
        let pair = rest.get(..4 + length).ok_or(NtlmError::Broken)?;
        match id {
            about::END => break,
            about::FLAGS => said = u32::from_le_bytes(bytes(pair, 4)?),
            about::TIMESTAMP => {
                time = Some(bytes(pair, 4)?);
                pairs.extend_from_slice(pair);
            }
            _ => pairs.extend_from_slice(pair),
        }
        rest = &rest[pair.len()..];
    }
    if time.is_some() {
        said |= about::HAS_MIC;
    }
    if said != 0 {
        pairs.extend_from_slice(&about::FLAGS.to_le_bytes());
        pairs.extend_from_slice(&4u16.to_le_bytes());
        pairs.extend_from_slice(&said.to_le_bytes());
    }
    if !target_info.is_empty() {
        pairs.extend_from_slice(&[0; 4]);
    }
    Ok((pairs, time))
}

/// The bytes at `start`.
fn bytes<const N: usize>(message: &[u8], start: usize) -> Result<[u8; N], NtlmError> {
    message.get(start..).and_then(<[u8]>::first_chunk).copied().ok_or(NtlmError::Broken)
}

/// Start and length of the next part of a message.
fn place(offset: &mut usize, length: usize) -> (usize, usize) {
    let start = *offset;
    *offset += length;
    (start, length)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// HMAC-MD5 over `parts` one after the other.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut hmac = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

/// What is answered to a challenge by an account that is always the same, for the fuzz target and the replay of its seeds.
/// Not for use outside tests.
#[must_use]
pub fn outline_challenge(challenge: &[u8]) -> Option<Vec<u8>> {
    let fresh = Fresh { client_challenge: [0xaa; 8], now: UnixMillis(0) };
    Account::new("Domain\\User", "Password").authenticate(challenge, fresh).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// MS-NLMP §4.2.4.3, the challenge.
    const CHALLENGE: &str = "4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef00000000000000002400240044000000\
        060070170000000f53006500720076006500720002000c0044006f006d00610069006e0001000c005300650072007600650072000000\
        0000";
    const CLIENT: [u8; 8] = [0xaa; 8];

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    fn account() -> Account {
        Account::new("Domain\\User", "Password")
    }

    /// A moment that Windows writes as zero does not exist here: the blob of the example has one.
    fn example() -> Response {
        let bytes = unhex(CHALLENGE);
        let challenge = Challenge::read(&bytes).unwrap();
        assert_eq!(challenge.flags, 0xe28a_8233);
        let mut response =
            account().respond(&challenge, Fresh { client_challenge: CLIENT, now: UnixMillis(0) }).unwrap();
        let blob = response.nt.split_off(16);
        let blob = [&blob[..8], &[0; 8], &blob[16..]].concat();
        let proof = hmac(&account().key, &[&challenge.server_challenge, &blob]);
        response.session_key = hmac(&account().key, &[&proof]);
        response.nt = [&proof[..], &blob].concat();
        response
    }

    #[test]
    fn the_numbers_are_those_of_the_specification() {
        // §4.2.4.1.1, §4.2.4.1.3, §4.2.4.2.1, §4.2.4.2.2, §4.2.4.1.2.
        assert_eq!(account().key, *unhex("0c868a403bfd7a93a3001ef22ef02e3f"));
        let Response { lm, nt, session_key, has_mic } = example();
        let blob = "01010000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c0044006f006d00610069006e0001000c00\
                    5300650072007600650072000000000000000000";
        assert_eq!(nt[16..], unhex(blob));
        assert_eq!(lm, unhex("86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa"));
        assert_eq!(nt[..16], unhex("68cd0ab851e51c96aabc927bebef6a1c"));
        assert_eq!(session_key, *unhex("8de40ccadbc14a82f15cb0ad0de95ca3"));
        assert!(!has_mic);
    }

    #[test]
    fn names_say_their_domain_or_are_whole() {
        let read = |account: &Account, challenge: &str| {
            let message = account
                .authenticate(&unhex(challenge), Fresh { client_challenge: CLIENT, now: UnixMillis(0) })
                .unwrap();
            let part = |at: usize| {
                let length = usize::from(u16::from_le_bytes(bytes(&message, at).unwrap()));
                let start = u32::from_le_bytes(bytes(&message, at + 4).unwrap()) as usize;
                let units: Vec<u16> = message[start..start + length]
                    .chunks(2)
                    .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
                    .collect();
                String::from_utf16(&units).unwrap()
            };
            [part(28), part(36), part(44)]
        };
        for (name, domain, user) in [
            ("CORP\\bob", "CORP", "bob"),
            ("bob@corp.example", "", "bob@corp.example"),
            ("bob", "", "bob"),
            ("CORP\\Jürgen", "CORP", "Jürgen"),
        ] {
            assert_eq!(read(&Account::new(name, "x"), CHALLENGE), [domain, user, ""], "{name}");
        }
        // The name counts in capital letters, the domain as it is written.
        assert_eq!(Account::new("D\\jürgen", "x").key, Account::new("D\\JÜRGEN", "x").key);
        assert_ne!(Account::new("D\\u", "x").key, Account::new("d\\u", "x").key);
    }

    /// A challenge with this target info.
    fn challenge(target_info: &[u8]) -> Vec<u8> {
        let mut message = unhex(CHALLENGE)[..56].to_vec();
        let length = u16::try_from(target_info.len()).unwrap().to_le_bytes();
        message[40..48].copy_from_slice(&[length[0], length[1], length[0], length[1], 56, 0, 0, 0]);
        [&message[..], target_info].concat()
    }

    #[test]
    fn a_server_with_a_clock_gets_its_time_and_a_code_over_all_messages() {
        let time = [1, 2, 3, 4, 5, 6, 7, 8];
        let target_info =
            [&[2, 0, 2, 0, b'D', 0][..], &[7, 0, 8, 0], &time, &[6, 0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0]].concat();
        let message = challenge(&target_info);
        let answer = account().authenticate(&message, Fresh { client_challenge: CLIENT, now: UnixMillis(9) }).unwrap();
        let lm = u32::from_le_bytes(bytes(&answer, 16).unwrap()) as usize;
        assert_eq!(answer[lm..lm + 24], [0; 24]);
        let nt = &answer[lm + 24..];
        assert_eq!(nt[24..32], time, "its time, not ours");
        let back =
            [&[2, 0, 2, 0, b'D', 0][..], &[7, 0, 8, 0], &time, &[6, 0, 4, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
                .concat();
        assert_eq!(nt[44..], back, "what the server said, and that there is a code");
        let mut without = answer.clone();
        without[MIC].fill(0);
        let key = hmac(&account().key, &[&nt[..16]]);
        assert_eq!(answer[MIC], hmac(&key, &[&negotiate(), &message, &without]));
        assert_ne!(answer[MIC], [0; 16]);
    }

    #[test]
    fn challenges_that_are_none_are_refused() {
        let good = unhex(CHALLENGE);
        let with = |at: usize, value: &[u8]| {
            let mut message = good.clone();
            message[at..at + value.len()].copy_from_slice(value);
            message
        };
        let long = [&[2, 0, 0, 0x30][..], &vec![b'x'; 0x3000], &[0; 4]].concat();
        let table: [(Vec<u8>, NtlmError); 8] = [
            (Vec::new(), NtlmError::NotChallenge),
            (negotiate().to_vec(), NtlmError::NotChallenge),
            (with(0, b"x"), NtlmError::NotChallenge),
            (good[..30].to_vec(), NtlmError::Broken),
            (with(20, &[2]), NtlmError::NotUnicode),
            (with(44, &[0xff; 4]), NtlmError::Broken),
            (challenge(&[2, 0, 9, 0, 1]), NtlmError::Broken),
            (challenge(&long), NtlmError::Broken),
        ];
        for (message, error) in table {
            let fresh = Fresh { client_challenge: CLIENT, now: UnixMillis(0) };
            assert_eq!(account().authenticate(&message, fresh), Err(error));
        }
        // A server of old, which says nothing about itself.
        assert!(outline_challenge(&good[..32]).is_some());
    }

    proptest! {
        /// Whatever is challenged: no panic, and a message whose parts lie in it.
        #[test]
        fn any_challenge_has_an_end(
            flags in any::<u8>(),
            rest in prop::collection::vec(any::<u8>(), 0..200),
            target_info in prop::collection::vec((0u16..12, prop::collection::vec(any::<u8>(), 0..20)), 0..8),
        ) {
            let pairs: Vec<u8> = target_info
                .iter()
                .flat_map(|(id, value)| [&id.to_le_bytes()[..], &(value.len() as u16).to_le_bytes(), value].concat())
                .collect();
            let start = [SIGNATURE, &2u32.to_le_bytes()[..]].concat();
            for message in [[&start[..], &rest].concat(), { let mut message = challenge(&pairs); message[20] = flags; message }] {
                let Some(answer) = outline_challenge(&message) else { continue };
                for at in [12, 20, 28, 36, 44, 52] {
                    let length = usize::from(u16::from_le_bytes(bytes(&answer, at).unwrap()));
                    let start = u32::from_le_bytes(bytes(&answer, at + 4).unwrap()) as usize;
                    prop_assert!(start >= HEADER && start + length <= answer.len());
                }
            }
        }
    }
}
