//! Zips of modules as Go writes them, but for not being packed.

/// The zip of the module `of`, which is `path@version`.
pub(crate) fn zip(of: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let name = format!("{of}/{name}");
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        let size = (text.len() as u32).to_le_bytes();
        let mut middle = Vec::new();
        // Version 20, no flags, stored, no time.
        middle.extend([20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        middle.extend(crc.sum().to_le_bytes());
        middle.extend(size);
        middle.extend(size);
        middle.extend((name.len() as u16).to_le_bytes());
        middle.extend([0, 0]);
        let offset = (bytes.len() as u32).to_le_bytes();
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&middle);
        bytes.extend(name.as_bytes());
        bytes.extend(text.as_bytes());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&middle);
        // No comment, disk 0, no attributes.
        directory.extend([0; 10]);
        directory.extend(offset);
        directory.extend(name.as_bytes());
    }
    let (start, count) = (bytes.len() as u32, (files.len() as u16).to_le_bytes());
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\x00\x00\x00\x00");
    bytes.extend(count);
    bytes.extend(count);
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}
