//! Signed notes (C2SP `signed-note`): a text, an empty line, and lines of signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::Verifier;
use crate::verifier::is_name;

/// Bytes of the longest note that is looked at. Those of checksum databases have about 200, with a dozen cosignatures 2,000.
pub const MAX_NOTE: usize = 64 * 1024;

/// The most signatures that a note may have, Go's bound: checking them must not become work for whoever has no key.
pub const MAX_SIGNATURES: usize = 100;

/// What a line of a signature starts with: an em dash and a space.
const SIGNATURE: &str = "\u{2014} ";

/// A note that a known key has signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// What was signed, its last line feed included.
    pub text: String,
}

/// Why a note is not believed. The texts start as those of the go command.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum NoteError {
    /// It is not a note.
    #[error("malformed note: {0}")]
    Malformed(&'static str),
    /// A known key's signature belongs to another text, or is none at all.
    #[error("invalid signature for key {name}+{hash:08x}")]
    Invalid {
        /// The name of the key.
        name: String,
        /// The hash of the key.
        hash: u32,
    },
    /// Nobody who is known has signed it.
    #[error("note has no verifiable signatures")]
    Unverified,
    /// Two of the known keys have one name and hash, so that a signature does not say whose it is.
    #[error("ambiguous key {name}+{hash:08x}")]
    Ambiguous {
        /// The name of the keys.
        name: String,
        /// The hash of the keys.
        hash: u32,
    },
}

/// Checks the signatures of `known` keys at a note, and gives its text when there is at least one.
///
/// Signatures of others are passed over, and further ones of the same key. At most [`MAX_NOTE`] bytes and
/// [`MAX_SIGNATURES`] lines are looked at.
///
/// # Errors
/// [`NoteError`] says why the note is not believed.
pub fn open_note(note: &[u8], known: &[Verifier]) -> Result<Note, NoteError> {
    if note.len() > MAX_NOTE {
        return Err(NoteError::Malformed("longer than 64 KiB"));
    }
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed("not UTF-8"))?;
    if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Malformed("a control character"));
    }
    let split = note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line before the signatures"))?;
    let (text, signatures) = (&note[..=split], &note[split + 2..]);
    let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Malformed("no signatures"))?;

    let mut seen: Vec<&Verifier> = Vec::new();
    for (count, line) in signatures.split('\n').enumerate() {
        if count == MAX_SIGNATURES {
            return Err(NoteError::Malformed("more than 100 signatures"));
        }
        let (name, hash, signature) = read_signature(line).ok_or(NoteError::Malformed("not a signature"))?;
        let mut same = known.iter().filter(|verifier| verifier.name() == name && verifier.hash() == hash);
        let Some(verifier) = same.next() else { continue };
        if same.next().is_some() {
            return Err(NoteError::Ambiguous { name: name.to_owned(), hash });
        }
        if seen.contains(&verifier) {
            continue;
        }
        if !verifier.signed(text.as_bytes(), &signature) {
            return Err(NoteError::Invalid { name: name.to_owned(), hash });
        }
        seen.push(verifier);
    }
    if seen.is_empty() {
        return Err(NoteError::Unverified);
    }
    Ok(Note { text: text.to_owned() })
}

/// Name, hash of the key, and signature of a line `— name base64`.
fn read_signature(line: &str) -> Option<(&str, u32, Vec<u8>)> {
    let (name, base64) = line.strip_prefix(SIGNATURE)?.split_once(' ')?;
    let bytes = STANDARD.decode(base64).ok()?;
    let (hash, signature) = bytes.split_first_chunk()?;
    let is_one = is_name(name) && !signature.is_empty();
    is_one.then(|| (name, u32::from_be_bytes(*hash), signature.to_vec()))
}
