//! One entry: its local header, its data, and what may follow it (APPNOTE.TXT 4.3.7 to 4.3.9).

use std::io::{Read, Seek};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::directory::{Header, widen};
use super::fault::ZipFault;
use super::read::{Reader, u16_at, u32_at, u64_at};

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const LOCAL_LENGTH: usize = 30;
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";

/// Stored as it is, and deflated (4.4.5).
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The bit that says that checksum and sizes follow the data (4.4.4).
const HAS_DESCRIPTOR: u16 = 1 << 3;
/// The bits that have to be the same in both headers: encryption, descriptor, patch.
const SAME_FLAGS: u16 = 1 | HAS_DESCRIPTOR | 1 << 5 | 1 << 6 | 1 << 13;

/// Reads entries; its buffers serve all of them.
pub(super) struct Unpacker {
    inflate: Decompress,
    output: Vec<u8>,
}

impl Unpacker {
    pub(super) fn new() -> Self {
        Self { inflate: Decompress::new(false), output: vec![0; 64 << 10] }
    }

    /// Reads the entry at the reader's place, gives its content to `take` piece by piece, and leaves the reader behind it,
    /// at `next`: where the next entry or the directory begins.
    pub(super) fn read<R: Read + Seek>(
        &mut self,
        reader: &mut Reader<R>,
        header: &Header,
        next: u64,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), ZipFault> {
        check_local_header(reader, header)?;
        let overlaps = reader.place().checked_add(header.compressed).is_none_or(|end| end > next);
        if overlaps {
            return Err(ZipFault::Overlap(header.name.to_string()));
        }
        let mut content = Content { header, crc: Crc::new(), size: 0, take: &mut take };
        match header.method {
            STORED => stored(reader, &mut content)?,
            DEFLATED => self.deflated(reader, &mut content)?,
            method => return Err(ZipFault::Method { name: header.name.to_string(), method }),
        }
        content.finish()?;
        check_descriptor(reader, header, next)
    }

    fn deflated<R: Read + Seek>(&mut self, reader: &mut Reader<R>, content: &mut Content<'_>) -> Result<(), ZipFault> {
        let name = &content.header.name;
        let corrupt = || ZipFault::Corrupt(name.to_string());
        self.inflate.reset(false);
        let mut left = content.header.compressed;
        loop {
            let input = if left == 0 { &[] } else { reader.peek(left)? };
            let (read_before, written_before) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, &mut self.output, FlushDecompress::None);
            let status = status.map_err(|_| corrupt())?;
            let read = usize::try_from(self.inflate.total_in() - read_before).expect("no more than was given");
            let written = usize::try_from(self.inflate.total_out() - written_before).expect("no more than has room");
            reader.consume(read);
            left -= read as u64;
            content.add(&self.output[..written])?;
            match status {
                Status::StreamEnd if left == 0 => return Ok(()),
                Status::StreamEnd => return Err(ZipFault::DataInside(name.to_string())),
                // Nothing goes in and nothing comes out: the data breaks off.
                Status::Ok | Status::BufError if read == 0 && written == 0 => return Err(corrupt()),
                Status::Ok | Status::BufError => {}
            }
        }
    }
}

/// The content of an entry as it comes out.
struct Content<'a> {
    header: &'a Header,
    crc: Crc,
    size: u64,
    take: &'a mut dyn FnMut(&[u8]),
}

impl Content<'_> {
    fn add(&mut self, bytes: &[u8]) -> Result<(), ZipFault> {
        self.size += bytes.len() as u64;
        let Header { name, size: declared, .. } = self.header;
        if self.size > *declared {
            return Err(ZipFault::LargerThanDeclared { name: name.to_string(), declared: *declared });
        }
        self.crc.update(bytes);
        (self.take)(bytes);
        Ok(())
    }

    fn finish(&self) -> Result<(), ZipFault> {
        let Header { name, size: declared, crc, .. } = self.header;
        if self.size < *declared {
            return Err(ZipFault::SmallerThanDeclared { name: name.to_string(), declared: *declared });
        }
        if self.crc.sum() != *crc {
            return Err(ZipFault::Checksum(name.to_string()));
        }
        Ok(())
    }
}

fn stored<R: Read + Seek>(reader: &mut Reader<R>, content: &mut Content<'_>) -> Result<(), ZipFault> {
    let mut left = content.header.compressed;
    while left > 0 {
        let bytes = reader.peek(left)?;
        let length = bytes.len();
        content.add(bytes)?;
        reader.consume(length);
        left -= length as u64;
    }
    Ok(())
}

/// Compares the header in front of the data with the directory's, so that nobody can read two zips in one.
fn check_local_header<R: Read + Seek>(reader: &mut Reader<R>, header: &Header) -> Result<(), ZipFault> {
    let name = || header.name.to_string();
    let differs = |what| Err(ZipFault::Differs { name: name(), what });
    let mut fixed = [0; LOCAL_LENGTH];
    reader.fill(&mut fixed)?;
    if !fixed.starts_with(&LOCAL) {
        return Err(ZipFault::Format("no local header where the central directory says"));
    }
    let flags = u16_at(&fixed, 6);
    let local_name = reader.bytes(u16_at(&fixed, 26))?;
    let extra = reader.bytes(u16_at(&fixed, 28))?;
    if local_name != header.name.as_bytes() {
        return differs("name");
    }
    if flags & SAME_FLAGS != header.flags & SAME_FLAGS {
        return differs("flags");
    }
    if u16_at(&fixed, 8) != header.method {
        return differs("compression method");
    }
    let crc = u32_at(&fixed, 14);
    let (mut compressed, mut size) = (u64::from(u32_at(&fixed, 18)), u64::from(u32_at(&fixed, 22)));
    if !widen(&extra, &mut [&mut size, &mut compressed]) {
        return Err(ZipFault::Extra(name()));
    }
    // With a descriptor, what is not known yet is zero.
    let may_be_zero = header.flags & HAS_DESCRIPTOR != 0;
    let is_same = |local: u64, central: u64| local == central || may_be_zero && local == 0;
    if !is_same(crc.into(), header.crc.into()) {
        return differs("checksum");
    }
    if !is_same(compressed, header.compressed) || !is_same(size, header.size) {
        return differs("size");
    }
    Ok(())
}

/// What lies between the data and `next` is a descriptor where one is announced, and nothing else. It has two sizes of 32 or
/// 64 bits, and may have a signature; by its length it is known which.
fn check_descriptor<R: Read + Seek>(reader: &mut Reader<R>, header: &Header, next: u64) -> Result<(), ZipFault> {
    let name = || header.name.to_string();
    let length = next - reader.place();
    if header.flags & HAS_DESCRIPTOR == 0 {
        return if length == 0 { Ok(()) } else { Err(ZipFault::DataBetween(name())) };
    }
    let (has_signature, is_wide) = match length {
        12 => (false, false),
        16 => (true, false),
        20 => (false, true),
        24 => (true, true),
        0..12 => return Err(ZipFault::Overlap(name())),
        _ => return Err(ZipFault::DataBetween(name())),
    };
    let mut bytes = [0; 24];
    let bytes = &mut bytes[..usize::try_from(length).expect("24 at most")];
    reader.fill(bytes)?;
    let fields = if has_signature { &bytes[4..] } else { &bytes[..] };
    let (compressed, size) = if is_wide {
        (u64_at(fields, 4), u64_at(fields, 12))
    } else {
        (u64::from(u32_at(fields, 4)), u64::from(u32_at(fields, 8)))
    };
    let is_same = (!has_signature || bytes.starts_with(&DESCRIPTOR))
        && u32_at(fields, 0) == header.crc
        && compressed == header.compressed
        && size == header.size;
    if is_same { Ok(()) } else { Err(ZipFault::Differs { name: name(), what: "data descriptor" }) }
}
