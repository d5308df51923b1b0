//! The check of a whole zip.

use std::fs::File;
use std::io::{Read, Seek};

use bytes::Bytes;
use ring::digest::{Context, SHA256};

use super::directory::{Directory, Header};
use super::entry::Unpacker;
use super::fault::{BadZip, ZipFault};
use super::limits::ZipLimits;
use super::names::{Names, Role};
use super::read::Reader;
use crate::hash::{H1, H1Builder};
use crate::name::ModuleVersion;
use crate::rules::{LONGEST_LICENCE, Licence, is_licence_file};

/// What is known of a zip that keeps all rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipFacts {
    /// The hash of its files.
    pub h1: H1,
    /// How many files there are; folders do not count.
    pub files: u32,
    /// Their sizes together, in bytes.
    pub unpacked: u64,
    /// The module's go.mod, when it has one.
    pub go_mod: Option<Bytes>,
    /// What the licence files at the top are, each once, in the order of the files' names. `UNKNOWN` for a text that was not
    /// recognised; empty when there is no such file.
    pub licences: Vec<Licence>,
}

/// Checks a zip. Reads the file twice over from front to back, which takes as long as unpacking and hashing it; moves its
/// cursor.
///
/// # Errors
/// When it breaks a rule, or cannot be read ([`BadZip::is_unread`]).
pub fn check_zip(file: &File, of: &ModuleVersion, limits: &ZipLimits) -> Result<ZipFacts, BadZip> {
    check_zip_in(file, of, limits)
}

/// The same for anything with the bytes of a zip.
///
/// # Errors
/// When it breaks a rule, or cannot be read.
pub fn check_zip_in<R: Read + Seek>(file: R, of: &ModuleVersion, limits: &ZipLimits) -> Result<ZipFacts, BadZip> {
    check(file, of, limits).map_err(|fault| BadZip { of: of.clone(), fault })
}

/// An entry that was read from the directory.
struct Entry {
    header: Header,
    role: Role,
    sha256: [u8; 32],
}

fn check<R: Read + Seek>(file: R, of: &ModuleVersion, limits: &ZipLimits) -> Result<ZipFacts, ZipFault> {
    let mut reader = Reader::new(file)?;
    if reader.length > limits.archive {
        return Err(ZipFault::ArchiveTooLarge { is: reader.length, limit: limits.archive });
    }
    let directory = Directory::find(&mut reader, limits)?;
    let prefix = format!("{of}/");
    let mut entries = entries(&mut reader, directory, &prefix, limits)?;
    // In the order in which they lie in the file, each has to begin where the one before ends.
    entries.sort_unstable_by_key(|entry| entry.header.offset);
    let mut kept = Kept::default();
    let mut unpacker = Unpacker::new();
    reader.go_to(0)?;
    for number in 0..entries.len() {
        let next = entries.get(number + 1).map_or(directory.offset, |entry| entry.header.offset);
        let entry = &mut entries[number];
        let is_there = reader.place() == entry.header.offset;
        if !is_there && number == 0 {
            return Err(ZipFault::DataBefore);
        }
        if next <= entry.header.offset {
            return Err(ZipFault::Overlap(entry.header.name.to_string()));
        }
        let name = entry.header.name.strip_prefix(&prefix).unwrap_or_default();
        let mut keep = Kept::room_for(name, entry.role);
        let mut sha256 = Context::new(&SHA256);
        unpacker.read(&mut reader, &entry.header, next, |bytes| {
            sha256.update(bytes);
            keep.add(bytes);
        })?;
        kept.take(name, keep);
        entry.sha256.copy_from_slice(sha256.finish().as_ref());
    }
    if reader.place() != directory.offset {
        return Err(ZipFault::DataBefore);
    }
    entries.sort_unstable_by(|one, other| one.header.name.cmp(&other.header.name));
    let mut h1 = H1Builder::default();
    let (mut files, mut unpacked) = (0, 0);
    for entry in &entries {
        h1.add(&entry.header.name, &entry.sha256);
        files += u32::from(entry.role != Role::Folder);
        unpacked += entry.header.size;
    }
    let licences = kept.licences();
    Ok(ZipFacts { h1: h1.finish(), files, unpacked, go_mod: kept.go_mod.map(Bytes::from), licences })
}

/// Reads the directory and checks what can be checked without the data.
fn entries<R: Read + Seek>(
    reader: &mut Reader<R>,
    directory: Directory,
    prefix: &str,
    limits: &ZipLimits,
) -> Result<Vec<Entry>, ZipFault> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut names = Names::new(prefix, limits);
    let (mut unpacked, mut name_bytes) = (0_u64, 0_u64);
    directory.read(reader, |header| {
        name_bytes += header.name.len() as u64;
        if name_bytes > limits.names {
            return Err(ZipFault::TooMany { what: "bytes of names", limit: limits.names });
        }
        let number = u32::try_from(entries.len()).expect("the number of entries is bounded");
        let name_of = |at: u32| entries.get(at as usize).map_or(&*header.name, |entry| &entry.header.name);
        let role = names.check(number, &header.name, name_of)?;
        unpacked = unpacked.saturating_add(header.size);
        if unpacked > limits.unpacked {
            return Err(ZipFault::UnpackedTooLarge { limit: limits.unpacked });
        }
        match role {
            Role::GoMod if header.size > limits.go_mod => {
                return Err(ZipFault::FileTooLarge { file: "go.mod", limit: limits.go_mod });
            }
            Role::License if header.size > limits.licence => {
                return Err(ZipFault::FileTooLarge { file: "LICENSE", limit: limits.licence });
            }
            Role::Folder if header.size > 0 => {
                return Err(ZipFault::Irregular { name: header.name.into(), what: "directory with content" });
            }
            _ => {}
        }
        entries.push(Entry { header, role, sha256: [0; 32] });
        Ok(())
    })?;
    Ok(entries)
}

/// What is kept of the content of files.
#[derive(Default)]
struct Kept {
    go_mod: Option<Vec<u8>>,
    /// What each licence file is, by its name: of all of them, since whoever packs a zip orders it as it likes.
    licence_files: Vec<(String, Vec<Licence>)>,
}

/// Room for the content of one file, up to a limit.
struct Room {
    kept: Option<Vec<u8>>,
    most: usize,
}

impl Room {
    fn add(&mut self, bytes: &[u8]) {
        if let Some(kept) = &mut self.kept {
            let room = self.most - kept.len();
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
}

impl Kept {
    fn room_for(name: &str, role: Role) -> Room {
        let is_licence = matches!(role, Role::License | Role::Top) && is_licence_file(name);
        match role {
            Role::GoMod => Room { kept: Some(Vec::new()), most: usize::MAX },
            _ if is_licence => Room { kept: Some(Vec::new()), most: LONGEST_LICENCE },
            _ => Room { kept: None, most: 0 },
        }
    }

    fn take(&mut self, name: &str, room: Room) {
        let Some(bytes) = room.kept else { return };
        if name == "go.mod" {
            self.go_mod = Some(bytes);
        } else {
            self.licence_files.push((name.to_owned(), Licence::recognise(&bytes)));
        }
    }

    fn licences(&mut self) -> Vec<Licence> {
        self.licence_files.sort();
        let mut licences = Vec::new();
        for licence in self.licence_files.iter().flat_map(|(_, found)| found) {
            if !licences.contains(licence) {
                licences.push(*licence);
            }
        }
        licences
    }
}
