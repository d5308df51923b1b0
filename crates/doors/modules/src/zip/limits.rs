//! How large a module zip may be.

/// Bounds for a module zip. The default has Go's own where Go has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZipLimits {
    /// Of the zip itself, in bytes. Go: 500 MiB.
    pub archive: u64,
    /// Of all files together, unpacked, in bytes. Go: 500 MiB.
    pub unpacked: u64,
    /// Of go.mod, in bytes. Go: 16 MiB. It is held in memory.
    pub go_mod: u64,
    /// Of LICENSE, in bytes. Go: 16 MiB.
    pub licence: u64,
    /// How many entries there may be, and how many folders. The toolchain has 15,000; each takes some 200 bytes of memory.
    pub entries: u64,
    /// Of all names together, in bytes; they are held in memory.
    pub names: u64,
    /// Of the directory at the end, in bytes.
    pub directory: u64,
}

impl Default for ZipLimits {
    fn default() -> Self {
        Self {
            archive: 500 << 20,
            unpacked: 500 << 20,
            go_mod: 16 << 20,
            licence: 16 << 20,
            entries: 200_000,
            names: 16 << 20,
            directory: 64 << 20,
        }
    }
}
