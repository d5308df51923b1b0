//! The end of a zip and the directory before it (APPNOTE.TXT 4.3.12 to 4.3.16).

use std::io::{Read, Seek};

use super::fault::ZipFault;
use super::limits::ZipLimits;
use super::read::{Reader, u16_at, u32_at, u64_at};

const END: [u8; 4] = *b"PK\x05\x06";
const END_LENGTH: u64 = 22;
const END_64: [u8; 4] = *b"PK\x06\x06";
const END_64_LENGTH: u64 = 56;
const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";
const LOCATOR_64_LENGTH: u64 = 20;
const HEADER: [u8; 4] = *b"PK\x01\x02";
const HEADER_LENGTH: usize = 46;

/// The number of the extra field with sizes of 64 bits (4.5.3).
pub(super) const EXTRA_ZIP64: u16 = 0x0001;
/// The number of the extra field with another name (4.6.9).
const EXTRA_UNICODE_PATH: u16 = 0x7075;

/// The systems whose attributes are those of Unix (4.4.2).
const UNIX: u8 = 3;
const MACOS: u8 = 19;
/// Kinds of files in attributes of Unix.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;

/// Bits that say that data is encrypted, its header is hidden, or it is a patch (4.4.4).
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const PATCH: u16 = 1 << 5;

/// Where the directory lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory {
    /// Its first byte.
    pub offset: u64,
    size: u64,
    pub entries: u64,
}

/// What the directory says of an entry.
#[derive(Debug)]
pub(super) struct Header {
    pub name: Box<str>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    pub compressed: u64,
    pub size: u64,
    /// Where its local header begins.
    pub offset: u64,
}

impl Directory {
    /// Finds it from the end of the file.
    pub(super) fn find<R: Read + Seek>(reader: &mut Reader<R>, limits: &ZipLimits) -> Result<Self, ZipFault> {
        let tail = reader.length.min(END_LENGTH + u64::from(u16::MAX));
        let from = reader.length - tail;
        reader.go_to(from)?;
        let mut bytes = vec![0; usize::try_from(tail).expect("64 KiB")];
        reader.fill(&mut bytes)?;
        // The last one, as Go takes it; that its comment ends with the file makes it the only one that can be meant.
        let last = bytes.windows(END_LENGTH as usize).rposition(|window| window.starts_with(&END));
        let Some(place) = last else { return Err(ZipFault::Format("no end of central directory")) };
        let end = &bytes[place..];
        match (end.len() as u64).cmp(&(END_LENGTH + u64::from(u16_at(end, 20)))) {
            std::cmp::Ordering::Less => return Err(ZipFault::Format("comment breaks off")),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => return Err(ZipFault::DataAfter),
        }
        let at = from + place as u64;
        let end = End::new(end);
        let (end, ends_at) = match end_64(reader, at)? {
            Some((end_64, ends_at)) => (end.widened(end_64)?, ends_at),
            None => (end, at),
        };
        if end.disks.iter().any(|disk| *disk != 0) || end.entries_here != end.entries {
            return Err(ZipFault::Disks);
        }
        if end.entries > limits.entries {
            return Err(ZipFault::TooMany { what: "entries", limit: limits.entries });
        }
        if end.size > limits.directory {
            return Err(ZipFault::TooMany { what: "bytes of central directory", limit: limits.directory });
        }
        match end.offset.checked_add(end.size) {
            Some(behind) if behind == ends_at => Ok(Self { offset: end.offset, size: end.size, entries: end.entries }),
            Some(behind) if behind < ends_at => Err(ZipFault::DataBefore),
            _ => Err(ZipFault::Format("central directory is not where it should be")),
        }
    }

    /// Where it ends.
    fn end(&self) -> u64 {
        self.offset + self.size
    }

    /// Reads all headers, in their order, and gives each to `take`.
    pub(super) fn read<R: Read + Seek>(
        &self,
        reader: &mut Reader<R>,
        mut take: impl FnMut(Header) -> Result<(), ZipFault>,
    ) -> Result<(), ZipFault> {
        reader.go_to(self.offset)?;
        for _ in 0..self.entries {
            take(header(reader)?)?;
            if reader.place() > self.end() {
                break;
            }
        }
        if reader.place() != self.end() {
            return Err(ZipFault::Format("central directory has another size than it says"));
        }
        Ok(())
    }
}

/// The numbers of the end of central directory.
struct End {
    /// This one and that of the directory.
    disks: [u32; 2],
    entries_here: u64,
    entries: u64,
    size: u64,
    offset: u64,
}

impl End {
    fn new(bytes: &[u8]) -> Self {
        Self {
            disks: [u16_at(bytes, 4).into(), u16_at(bytes, 6).into()],
            entries_here: u16_at(bytes, 8).into(),
            entries: u16_at(bytes, 10).into(),
            size: u32_at(bytes, 12).into(),
            offset: u32_at(bytes, 16).into(),
        }
    }

    /// Takes the numbers of 64 bits; each that had room in the narrow ones has to be the same there.
    fn widened(self, wide: Self) -> Result<Self, ZipFault> {
        let (narrow_16, narrow_32) = (u64::from(u16::MAX), u64::from(u32::MAX));
        let is_same = |narrow: u64, most: u64, wide: u64| narrow == most || narrow == wide;
        let disk = |number: usize| is_same(self.disks[number].into(), narrow_16, wide.disks[number].into());
        if disk(0)
            && disk(1)
            && is_same(self.entries_here, narrow_16, wide.entries_here)
            && is_same(self.entries, narrow_16, wide.entries)
            && is_same(self.size, narrow_32, wide.size)
            && is_same(self.offset, narrow_32, wide.offset)
        {
            return Ok(wide);
        }
        Err(ZipFault::Format("the two ends of central directory differ"))
    }
}

/// The end for 64 bits and where it begins, when there is one before the end at `at`.
fn end_64<R: Read + Seek>(reader: &mut Reader<R>, at: u64) -> Result<Option<(End, u64)>, ZipFault> {
    let Some(locator_at) = at.checked_sub(LOCATOR_64_LENGTH) else { return Ok(None) };
    let mut locator = [0; LOCATOR_64_LENGTH as usize];
    reader.go_to(locator_at)?;
    reader.fill(&mut locator)?;
    if !locator.starts_with(&LOCATOR_64) {
        return Ok(None);
    }
    let malformed = ZipFault::Format("malformed zip64 end of central directory");
    let begins_at = u64_at(&locator, 8);
    if u32_at(&locator, 4) != 0 || u32_at(&locator, 16) > 1 {
        return Err(ZipFault::Disks);
    }
    if begins_at.checked_add(END_64_LENGTH) != Some(locator_at) {
        return Err(malformed);
    }
    let mut end = [0; END_64_LENGTH as usize];
    reader.go_to(begins_at)?;
    reader.fill(&mut end)?;
    // The length that it gives is that of what follows it.
    if !end.starts_with(&END_64) || u64_at(&end, 4) != END_64_LENGTH - 12 {
        return Err(malformed);
    }
    let wide = End {
        disks: [u32_at(&end, 16), u32_at(&end, 20)],
        entries_here: u64_at(&end, 24),
        entries: u64_at(&end, 32),
        size: u64_at(&end, 40),
        offset: u64_at(&end, 48),
    };
    Ok(Some((wide, begins_at)))
}

/// One header of the directory.
fn header<R: Read + Seek>(reader: &mut Reader<R>) -> Result<Header, ZipFault> {
    let mut fixed = [0; HEADER_LENGTH];
    reader.fill(&mut fixed)?;
    if !fixed.starts_with(&HEADER) {
        return Err(ZipFault::Format("no header where the central directory has to have one"));
    }
    let name = reader.bytes(u16_at(&fixed, 28))?;
    let extra = reader.bytes(u16_at(&fixed, 30))?;
    reader.bytes(u16_at(&fixed, 32))?;
    let name = String::from_utf8(name)
        .map_err(|error| ZipFault::NotUtf8(String::from_utf8_lossy(error.as_bytes()).into_owned()))?;
    let mut header = Header {
        flags: u16_at(&fixed, 8),
        method: u16_at(&fixed, 10),
        crc: u32_at(&fixed, 16),
        compressed: u32_at(&fixed, 20).into(),
        size: u32_at(&fixed, 24).into(),
        offset: u32_at(&fixed, 42).into(),
        name: name.into(),
    };
    let mut wide = [&mut header.size, &mut header.compressed, &mut header.offset];
    if !widen(&extra, &mut wide) || has_other_name(&extra, &header.name) {
        return Err(ZipFault::Extra(header.name.into()));
    }
    if u16_at(&fixed, 34) != 0 {
        return Err(ZipFault::Disks);
    }
    let (system, attributes) = (fixed[5], u32_at(&fixed, 38));
    let kind = if matches!(system, UNIX | MACOS) { attributes >> 16 & KIND } else { 0 };
    let is_folder = header.name.ends_with('/');
    if !(matches!(kind, 0 | REGULAR) || kind == FOLDER && is_folder) {
        let what = if kind == SYMLINK { "file is a symbolic link" } else { "not a regular file" };
        return Err(ZipFault::Irregular { name: header.name.into(), what });
    }
    if header.flags & (ENCRYPTED | PATCH) != 0 {
        return Err(ZipFault::Encrypted(header.name.into()));
    }
    Ok(header)
}

/// Puts numbers of 64 bits in the place of those that had no room in 32, in the order of the extra field. False when a
/// number is missing, or the field malformed.
pub(super) fn widen(extra: &[u8], numbers: &mut [&mut u64]) -> bool {
    let mut field = match field(extra, EXTRA_ZIP64) {
        Ok(field) => field,
        Err(Malformed) => return false,
    };
    for number in numbers.iter_mut().filter(|number| ***number == u64::from(u32::MAX)) {
        // Without the field the number is what it says.
        let Some(rest) = field else { continue };
        let Some((wide, rest)) = rest.split_first_chunk() else { return false };
        **number = u64::from_le_bytes(*wide);
        field = Some(rest);
    }
    true
}

/// Whether a field gives another name, which other readers would take.
fn has_other_name(extra: &[u8], name: &str) -> bool {
    // A version and a checksum come before the name.
    let other = field(extra, EXTRA_UNICODE_PATH).ok().flatten();
    other.is_some_and(|field| field.get(5..) != Some(name.as_bytes()))
}

/// Extra fields that run over their end.
struct Malformed;

/// The first extra field of a number. Fewer than four bytes at the end are padding.
fn field(mut extra: &[u8], number: u16) -> Result<Option<&[u8]>, Malformed> {
    let mut found = None;
    while extra.len() >= 4 {
        let (is, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(field) = extra.get(4..4 + length) else { return Err(Malformed) };
        if is == number && found.is_none() {
            found = Some(field);
        }
        extra = &extra[4 + length..];
    }
    Ok(found)
}
