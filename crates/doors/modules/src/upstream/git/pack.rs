//! Writes a zip (PKWARE's APPNOTE 6.3) into a file: deflate, no descriptors, no times, one entry after the other.
//!
//! Its hash for go.sum depends on names and contents alone, so that nothing is lost by leaving out the rest.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use flate2::{Compression, CrcWriter, write::DeflateEncoder};

/// Made by and needed to read: 2.0, with names in UTF-8.
const VERSION: u16 = 20;
const UTF8: u16 = 1 << 11;
const DEFLATE: u16 = 8;
/// 1980-01-01, the first day that there is.
const DATE: u16 = 0x21;

/// A zip that is being written.
pub(crate) struct Packer {
    file: BufWriter<File>,
    directory: Vec<u8>,
    entries: u16,
}

impl Packer {
    /// Begins a zip in an empty file.
    pub(crate) fn new(file: File) -> Self {
        Self { file: BufWriter::new(file), directory: Vec::new(), entries: 0 }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When it cannot be written, or there are too many files or bytes for a zip without 64-bit sizes.
    pub(crate) fn add(&mut self, name: &str, content: &mut dyn Read) -> io::Result<()> {
        let too_much = || io::Error::other("more than a zip can hold");
        let start = self.file.stream_position()?;
        let local = self.local(name, 0, 0, 0)?;
        self.file.write_all(&local)?;
        let body = self.file.stream_position()?;
        let mut encoder = CrcWriter::new(DeflateEncoder::new(&mut self.file, Compression::default()));
        let size = io::copy(content, &mut encoder)?;
        let crc = encoder.crc().sum();
        encoder.into_inner().finish()?;
        let end = self.file.stream_position()?;
        let narrow = |number: u64| u32::try_from(number).map_err(|_| too_much());
        let (start32, compressed, size) = (narrow(start)?, narrow(end - body)?, narrow(size)?);
        let local = self.local(name, crc, compressed, size)?;
        self.file.seek(SeekFrom::Start(start))?;
        self.file.write_all(&local)?;
        self.file.seek(SeekFrom::Start(end))?;
        self.entries = self.entries.checked_add(1).ok_or_else(too_much)?;
        self.directory.extend(0x0201_4b50_u32.to_le_bytes());
        self.directory.extend(VERSION.to_le_bytes());
        // From here on as in front of the file.
        self.directory.extend(&local[4..30]);
        self.directory.extend([0; 10]); // comment, disk, attributes
        self.directory.extend(start32.to_le_bytes());
        self.directory.extend(name.as_bytes());
        Ok(())
    }

    /// Ends the zip; gives the file back, at its beginning, with its length.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn finish(mut self) -> io::Result<(File, u64)> {
        let start = self.file.stream_position()?;
        let narrow = |number: u64| u32::try_from(number).map_err(|_| io::Error::other("more than a zip can hold"));
        self.file.write_all(&self.directory)?;
        let mut end = Vec::with_capacity(22);
        end.extend(0x0605_4b50_u32.to_le_bytes());
        end.extend([0; 4]);
        end.extend(self.entries.to_le_bytes());
        end.extend(self.entries.to_le_bytes());
        end.extend(narrow(self.directory.len() as u64)?.to_le_bytes());
        end.extend(narrow(start)?.to_le_bytes());
        end.extend([0; 2]);
        self.file.write_all(&end)?;
        let length = self.file.stream_position()?;
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok((file, length))
    }

    fn local(&self, name: &str, crc: u32, compressed: u32, size: u32) -> io::Result<Vec<u8>> {
        let length = u16::try_from(name.len()).map_err(|_| io::Error::other("a name is too long for a zip"))?;
        let mut header = Vec::with_capacity(30 + name.len());
        header.extend(0x0403_4b50_u32.to_le_bytes());
        for number in [VERSION, UTF8, DEFLATE, 0, DATE] {
            header.extend(number.to_le_bytes());
        }
        for number in [crc, compressed, size] {
            header.extend(number.to_le_bytes());
        }
        header.extend(length.to_le_bytes());
        header.extend([0; 2]); // no extra field
        header.extend(name.as_bytes());
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::ModuleVersion;
    use crate::zip::{ZipLimits, check_zip};

    #[test]
    fn what_is_written_keeps_all_rules() {
        let mut packer = Packer::new(tempfile::tempfile().unwrap());
        let of = ModuleVersion::parse("example.com/a@v1.0.0").unwrap();
        let long = "x".repeat(100_000);
        for (name, content) in
            [("go.mod", "module example.com/a\n"), ("é.go", "package a\n"), ("empty", ""), ("l", &long)]
        {
            packer.add(&format!("{of}/{name}"), &mut content.as_bytes()).unwrap();
        }
        let (file, length) = packer.finish().unwrap();
        assert_eq!(file.metadata().unwrap().len(), length);
        assert!(length < 2000, "it is compressed");
        let facts = check_zip(&file, &of, &ZipLimits::default()).unwrap();
        assert_eq!((facts.files, facts.unpacked), (4, 100_031));
        assert_eq!(facts.go_mod.as_deref(), Some("module example.com/a\n".as_bytes()));
    }
}
