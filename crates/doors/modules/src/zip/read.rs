//! Reads bytes at places of a file, in order, without ever holding more than a buffer.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::fault::ZipFault;

/// How much is read at once, in bytes.
const BUFFER: usize = 64 << 10;

/// A file that is read from front to back, with its place.
pub(super) struct Reader<R> {
    file: BufReader<R>,
    place: u64,
    pub(super) length: u64,
}

impl<R: Read + Seek> Reader<R> {
    /// At the beginning of the file.
    pub(super) fn new(mut file: R) -> Result<Self, ZipFault> {
        let length = file.seek(SeekFrom::End(0)).map_err(ZipFault::Read)?;
        file.rewind().map_err(ZipFault::Read)?;
        Ok(Self { file: BufReader::with_capacity(BUFFER, file), place: 0, length })
    }

    /// Where the next byte comes from.
    pub(super) const fn place(&self) -> u64 {
        self.place
    }

    /// Goes to a place.
    pub(super) fn go_to(&mut self, place: u64) -> Result<(), ZipFault> {
        self.file.seek(SeekFrom::Start(place)).map_err(ZipFault::Read)?;
        self.place = place;
        Ok(())
    }

    /// Exactly `bytes.len()` bytes. A file that ends before is a malformed zip.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ZipFault> {
        self.file.read_exact(bytes).map_err(of_io)?;
        self.place += bytes.len() as u64;
        Ok(())
    }

    /// The next bytes of the file, at most `most`, at least one.
    pub(super) fn peek(&mut self, most: u64) -> Result<&[u8], ZipFault> {
        let bytes = self.file.fill_buf().map_err(ZipFault::Read)?;
        if bytes.is_empty() {
            return Err(ZipFault::Format("unexpected end"));
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(&bytes[..bytes.len().min(most)])
    }

    /// Goes over bytes that [`peek`](Self::peek) has shown.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.file.consume(bytes);
        self.place += bytes as u64;
    }

    /// Reads `length` bytes; those behind are not touched. The caller bounds it.
    pub(super) fn bytes(&mut self, length: u16) -> Result<Vec<u8>, ZipFault> {
        let mut bytes = vec![0; usize::from(length)];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// A file that ends too early is a malformed zip, anything else a fault of the disk.
fn of_io(error: io::Error) -> ZipFault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ZipFault::Format("unexpected end"),
        _ => ZipFault::Read(error),
    }
}

/// The little-endian number of 16 bits at a place.
pub(super) fn u16_at(bytes: &[u8], place: usize) -> u16 {
    u16::from_le_bytes(bytes[place..place + 2].try_into().expect("two bytes"))
}

/// The little-endian number of 32 bits at a place.
pub(super) fn u32_at(bytes: &[u8], place: usize) -> u32 {
    u32::from_le_bytes(bytes[place..place + 4].try_into().expect("four bytes"))
}

/// The little-endian number of 64 bits at a place.
pub(super) fn u64_at(bytes: &[u8], place: usize) -> u64 {
    u64::from_le_bytes(bytes[place..place + 8].try_into().expect("eight bytes"))
}
