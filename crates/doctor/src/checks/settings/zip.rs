//! The hash of a module zip in the cache, computed from its files as `go mod verify` does.
//!
//! A reader of its own and not that of the modules door, which the doctor may not use: it only hashes, and what it cannot
//! read is exactly what the go command could not unpack.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;
use ring::digest::{Context, SHA256, digest};
use tradewind_core::to_hex;

/// Go's own limits for a module: 500 MiB unpacked.
const MOST_UNPACKED: u64 = 500 << 20;
/// The most that the list of files may be, in bytes.
const MOST_LIST: u64 = 64 << 20;
/// The largest go.mod.
const MOST_GO_MOD: u64 = 16 << 20;

/// What a zip holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::checks) struct Zip {
    /// Its hash, `h1:…`.
    pub(in crate::checks) h1: String,
    /// The hash of the go.mod in it, as go.sum has it; `None` without one.
    pub(in crate::checks) go_mod: Option<String>,
}

/// Why a file is no zip.
#[derive(Debug, thiserror::Error)]
pub(in crate::checks) enum BadZip {
    /// It is damaged.
    #[error("not a valid zip file: {0}")]
    Damaged(&'static str),
    /// It is larger than a module may be, or of a kind that no module is.
    #[error("it cannot be checked: {0}")]
    Unknown(&'static str),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One file of a zip.
struct Entry {
    name: String,
    method: u16,
    packed: u64,
    unpacked: u64,
    offset: u64,
}

/// Reads the zip at `path` and hashes its files.
///
/// # Errors
/// When it is damaged, as far as reading every byte of every file tells.
pub(super) fn read(path: &Path) -> Result<Zip, BadZip> {
    read_from(&mut File::open(path)?)
}

/// Reads a zip and hashes its files.
///
/// # Errors
/// As [`read`].
pub(in crate::checks) fn read_from<F: Read + Seek>(file: &mut F) -> Result<Zip, BadZip> {
    let entries = entries(file)?;
    let mut lines = BTreeMap::new();
    let mut go_mod = None;
    let mut unpacked = 0_u64;
    for entry in &entries {
        unpacked = unpacked.saturating_add(entry.unpacked);
        if unpacked > MOST_UNPACKED {
            return Err(BadZip::Unknown("it is over 500 MiB"));
        }
        // `path@version/go.mod`, in the module's own folder; what comes before the version may have slashes.
        let is_go_mod = entry
            .name
            .split_once('@')
            .is_some_and(|(_, rest)| rest.split_once('/').is_some_and(|(_, name)| name == "go.mod"));
        let mut reader = contents(file, entry)?;
        let mut hash = Context::new(&SHA256);
        let mut buffer = vec![0; 32 << 10];
        let mut length = 0_u64;
        loop {
            let count = reader.read(&mut buffer).map_err(|_| BadZip::Damaged("a file in it cannot be unpacked"))?;
            if count == 0 {
                break;
            }
            length += count as u64;
            if length > entry.unpacked {
                return Err(BadZip::Damaged("a file in it is longer than it says"));
            }
            hash.update(&buffer[..count]);
        }
        if length != entry.unpacked {
            return Err(BadZip::Damaged("a file in it is shorter than it says"));
        }
        let hex = to_hex(hash.finish().as_ref());
        if is_go_mod && entry.unpacked <= MOST_GO_MOD {
            go_mod = Some(h1_of_lines(&[(hex.clone(), "go.mod")]));
        }
        lines.insert(entry.name.as_str(), hex);
    }
    let lines: Vec<(String, &str)> = lines.into_iter().map(|(name, hex)| (hex, name)).collect();
    Ok(Zip { h1: h1_of_lines(&lines), go_mod })
}

/// The hash of a go.mod, as go.sum has it.
pub(in crate::checks) fn h1_of_mod(text: &[u8]) -> String {
    h1_of_lines(&[(to_hex(digest(&SHA256, text).as_ref()), "go.mod")])
}

fn h1_of_lines(lines: &[(String, &str)]) -> String {
    let mut hash = Context::new(&SHA256);
    for (hex, name) in lines {
        hash.update(format!("{hex}  {name}\n").as_bytes());
    }
    format!("h1:{}", STANDARD.encode(hash.finish().as_ref()))
}

fn number(bytes: &[u8], place: usize, length: usize) -> u64 {
    let bytes = bytes.get(place..place + length).unwrap_or_default();
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// The list of files at the end of a zip.
fn entries<F: Read + Seek>(file: &mut F) -> Result<Vec<Entry>, BadZip> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail_length = length.min(22 + 65_535);
    file.seek(SeekFrom::Start(length - tail_length))?;
    let mut tail = Vec::new();
    file.take(tail_length).read_to_end(&mut tail)?;
    let end = (0..=tail.len().saturating_sub(22)).rev().find(|place| tail[*place..].starts_with(b"PK\x05\x06"));
    let Some(end) = end.filter(|_| tail.len() >= 22) else { return Err(BadZip::Damaged("it has no end record")) };
    let (count, size, offset) = (number(&tail, end + 10, 2), number(&tail, end + 12, 4), number(&tail, end + 16, 4));
    if count == 0xffff || offset == 0xffff_ffff {
        return Err(BadZip::Unknown("it is a zip64"));
    }
    if size > MOST_LIST || offset + size > length {
        return Err(BadZip::Damaged("its list of files is not where it says"));
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut list = Vec::new();
    file.take(size).read_to_end(&mut list)?;
    let mut entries = Vec::new();
    let mut place = 0;
    for _ in 0..count {
        let record = &list[place.min(list.len())..];
        let (name, extra, comment) = (number(record, 28, 2), number(record, 30, 2), number(record, 32, 2));
        let end = 46 + name as usize;
        let Some(name) = record.get(46..end).filter(|_| record.starts_with(b"PK\x01\x02")) else {
            return Err(BadZip::Damaged("its list of files ends early"));
        };
        let name = String::from_utf8(name.to_vec()).map_err(|_| BadZip::Unknown("a name in it is not UTF-8"))?;
        let entry = Entry {
            method: number(record, 10, 2) as u16,
            packed: number(record, 20, 4),
            unpacked: number(record, 24, 4),
            offset: number(record, 42, 4),
            name,
        };
        // Folders are not hashed.
        if !entry.name.ends_with('/') {
            entries.push(entry);
        }
        place += end + extra as usize + comment as usize;
    }
    Ok(entries)
}

/// The contents of a file of a zip, unpacked.
fn contents<'a, F: Read + Seek>(file: &'a mut F, entry: &Entry) -> Result<Box<dyn Read + 'a>, BadZip> {
    file.seek(SeekFrom::Start(entry.offset))?;
    let mut header = [0; 30];
    file.read_exact(&mut header).map_err(|_| BadZip::Damaged("a file in it is missing"))?;
    if !header.starts_with(b"PK\x03\x04") {
        return Err(BadZip::Damaged("a file in it is missing"));
    }
    let skip = number(&header, 26, 2) + number(&header, 28, 2);
    file.seek(SeekFrom::Current(i64::try_from(skip).unwrap_or(0)))?;
    let packed = file.take(entry.packed);
    match entry.method {
        0 => Ok(Box::new(packed)),
        8 => Ok(Box::new(DeflateDecoder::new(packed))),
        _ => Err(BadZip::Unknown("it is packed in an unusual way")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A zip with the stored file `m@v1/go.mod`.
    fn zip(contents: &[u8]) -> Vec<u8> {
        let name = b"m@v1/go.mod";
        let word = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
        let mut bytes = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend([word(contents.len()), word(contents.len())].concat());
        bytes.extend([name.len() as u8, 0, 0, 0]);
        bytes.extend(name);
        bytes.extend(contents);
        let start = bytes.len();
        bytes.extend(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0");
        bytes.extend([word(contents.len()), word(contents.len())].concat());
        bytes.extend([name.len() as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(word(0));
        bytes.extend(name);
        let size = bytes.len() - start;
        bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        bytes.extend([word(size), word(start)].concat());
        bytes.extend([0, 0]);
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> Result<Zip, BadZip> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), bytes).unwrap();
        read(file.path())
    }

    #[test]
    fn a_zip_is_hashed_file_by_file() {
        let read = read_bytes(&zip(b"module m\n")).unwrap();
        assert_eq!(read.go_mod.as_deref(), Some(h1_of_mod(b"module m\n").as_str()));
        // As `sha256sum | sha256sum` gives it for the one file.
        let hex = to_hex(digest(&SHA256, b"module m\n").as_ref());
        let sum = digest(&SHA256, format!("{hex}  m@v1/go.mod\n").as_bytes());
        assert_eq!(read.h1, format!("h1:{}", STANDARD.encode(sum.as_ref())));
        // Go's own value for the go.mod of rsc.io/quote v1.5.2 in its script tests.
        let text = b"module \"rsc.io/quote\"\n\nrequire \"rsc.io/sampler\" v1.3.0\n";
        assert_eq!(h1_of_mod(text), "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=");
    }

    #[test]
    fn a_damaged_zip_is_found_out() {
        let whole = zip(b"module m\n");
        for length in 0..whole.len() {
            assert!(read_bytes(&whole[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bytes_are_too_strange(place in 0_usize..160, byte: u8, noise in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut bytes = zip(b"module m\n");
            if let Some(changed) = bytes.get_mut(place) {
                *changed = byte;
            }
            let _ = read_bytes(&bytes);
            let _ = read_bytes(&noise);
        }
    }
}
