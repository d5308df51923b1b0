//! Writes zips, also such as nobody should write.

use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write as _;

/// An entry as it is written; each number can be made a lie.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub name: Vec<u8>,
    /// The name in front of the data, when it is another one.
    pub local_name: Option<Vec<u8>>,
    /// What is written as its data, compressed.
    pub data: Vec<u8>,
    pub method: u16,
    pub local_method: Option<u16>,
    pub flags: u16,
    pub local_flags: Option<u16>,
    pub crc: u32,
    pub local_crc: Option<u32>,
    pub compressed: u64,
    pub size: u64,
    pub local_size: Option<u64>,
    /// With sizes of 64 bits in both headers.
    pub is_wide: bool,
    /// The system and its attributes.
    pub made_by: u8,
    pub attributes: u32,
    /// More extra fields of the directory.
    pub extra: Vec<u8>,
    /// Bytes behind the data, before the next entry.
    pub behind: Vec<u8>,
    /// Where the directory says that it is, when that is not true.
    pub offset: Option<u64>,
    pub disk: u16,
    pub comment: Vec<u8>,
}

impl Entry {
    /// An honest entry, deflated.
    pub(crate) fn new(name: impl Into<Vec<u8>>, content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).expect("memory takes everything");
        let data = encoder.finish().expect("memory takes everything");
        Self { method: 8, compressed: data.len() as u64, data, ..Self::stored(name, content) }
    }

    /// An honest entry, stored.
    pub(crate) fn stored(name: impl Into<Vec<u8>>, content: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        Self {
            name: name.into(),
            local_name: None,
            data: content.to_vec(),
            method: 0,
            local_method: None,
            flags: 0,
            local_flags: None,
            crc: crc.sum(),
            local_crc: None,
            compressed: content.len() as u64,
            size: content.len() as u64,
            local_size: None,
            is_wide: false,
            made_by: 3,
            attributes: 0o100_644 << 16,
            extra: Vec::new(),
            behind: Vec::new(),
            offset: None,
            disk: 0,
            comment: Vec::new(),
        }
    }

    /// The same with checksum and sizes behind the data.
    pub(crate) fn streamed(mut self, has_signature: bool, is_wide: bool) -> Self {
        self.flags |= 8;
        self.local_crc = Some(0);
        self.local_size = Some(0);
        if has_signature {
            self.behind.extend(b"PK\x07\x08");
        }
        self.behind.extend(self.crc.to_le_bytes());
        for size in [self.compressed, self.size] {
            let bytes = size.to_le_bytes();
            self.behind.extend(if is_wide { &bytes[..] } else { &bytes[..4] });
        }
        self
    }

    /// The extra field with sizes of 64 bits, and what then is in the place of 32.
    fn sizes(&self, compressed: u64, size: u64) -> (Vec<u8>, [u8; 8]) {
        let mut narrow = [0; 8];
        if !self.is_wide {
            narrow[..4].copy_from_slice(&(compressed as u32).to_le_bytes());
            narrow[4..].copy_from_slice(&(size as u32).to_le_bytes());
            return (Vec::new(), narrow);
        }
        narrow.fill(255);
        let field = [&[1, 0, 16, 0][..], &size.to_le_bytes(), &compressed.to_le_bytes()].concat();
        (field, narrow)
    }

    fn local(&self) -> Vec<u8> {
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let has_sizes = self.local_size.unwrap_or(1) != 0;
        let compressed = if has_sizes { self.compressed } else { 0 };
        let (extra, sizes) = self.sizes(compressed, self.local_size.unwrap_or(self.size));
        let mut bytes = b"PK\x03\x04\x14\0".to_vec();
        bytes.extend(self.local_flags.unwrap_or(self.flags).to_le_bytes());
        bytes.extend(self.local_method.unwrap_or(self.method).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.local_crc.unwrap_or(self.crc).to_le_bytes());
        bytes.extend(sizes);
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend((extra.len() as u16).to_le_bytes());
        [bytes, name.clone(), extra, self.data.clone(), self.behind.clone()].concat()
    }

    fn central(&self, offset: u64) -> Vec<u8> {
        let (mut extra, sizes) = self.sizes(self.compressed, self.size);
        extra.extend(&self.extra);
        let mut bytes = b"PK\x01\x02\x14".to_vec();
        bytes.push(self.made_by);
        bytes.extend([20, 0]);
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(self.method.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.crc.to_le_bytes());
        bytes.extend(sizes);
        bytes.extend((self.name.len() as u16).to_le_bytes());
        bytes.extend((extra.len() as u16).to_le_bytes());
        bytes.extend((self.comment.len() as u16).to_le_bytes());
        bytes.extend(self.disk.to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(self.attributes.to_le_bytes());
        bytes.extend((self.offset.unwrap_or(offset) as u32).to_le_bytes());
        [bytes, self.name.clone(), extra, self.comment.clone()].concat()
    }
}

/// A whole zip.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zip {
    pub entries: Vec<Entry>,
    pub before: Vec<u8>,
    /// Between the last entry and the directory.
    pub between: Vec<u8>,
    pub behind: Vec<u8>,
    pub comment: Vec<u8>,
    /// How many entries the end counts, when that is not true.
    pub count: Option<u64>,
    /// With an end of 64 bits.
    pub is_wide: bool,
    /// Added to where the end says that the directory is.
    pub shift: i64,
    pub disk: u16,
    pub is_directory_reversed: bool,
    /// Bytes to change at last: how far from the end, and to what.
    pub changes: Vec<(usize, u8)>,
}

impl Zip {
    /// Of honest entries.
    pub(crate) fn of<N: Into<Vec<u8>>>(files: impl IntoIterator<Item = (N, Vec<u8>)>) -> Self {
        let entries = files.into_iter().map(|(name, content)| Entry::new(name, &content)).collect();
        Self { entries, ..Self::default() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.before.clone();
        let mut headers = Vec::new();
        for entry in &self.entries {
            headers.push(entry.central(bytes.len() as u64));
            bytes.extend(entry.local());
        }
        if self.is_directory_reversed {
            headers.reverse();
        }
        let directory = headers.concat();
        bytes.extend(&self.between);
        let offset = (bytes.len() as u64).wrapping_add_signed(self.shift);
        let size = directory.len() as u64;
        let count = self.count.unwrap_or(self.entries.len() as u64);
        bytes.extend(directory);
        if self.is_wide {
            let at = bytes.len() as u64;
            bytes.extend(b"PK\x06\x06");
            bytes.extend(44_u64.to_le_bytes());
            bytes.extend([45, 0, 45, 0]);
            bytes.extend([0; 8]);
            for number in [count, count, size, offset] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend(b"PK\x06\x07\0\0\0\0");
            bytes.extend(at.to_le_bytes());
            bytes.extend(1_u32.to_le_bytes());
        }
        let narrow = |number: u64, most: u64| if self.is_wide { most } else { number };
        bytes.extend(b"PK\x05\x06");
        bytes.extend(self.disk.to_le_bytes());
        bytes.extend(self.disk.to_le_bytes());
        for _ in 0..2 {
            bytes.extend((narrow(count, 0xffff) as u16).to_le_bytes());
        }
        bytes.extend((narrow(size, 0xffff_ffff) as u32).to_le_bytes());
        bytes.extend((narrow(offset, 0xffff_ffff) as u32).to_le_bytes());
        bytes.extend((self.comment.len() as u16).to_le_bytes());
        bytes.extend(&self.comment);
        bytes.extend(&self.behind);
        let length = bytes.len();
        for (from_end, byte) in &self.changes {
            bytes[length - from_end] = *byte;
        }
        bytes
    }
}
