//! The bounds of a store.

use super::pins::Pins;

/// How much is kept. What is larger than it may be is refused; of what is too much, the least recently used goes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most bytes of all that is kept but for quarantine, from which on the least recently used is removed until nine tenths
    /// are left. Exceeded for a moment by what comes in, and for as long as pins and zips that are being read need it.
    pub max_bytes: u64,
    /// The most bytes of one zip, 500 MiB as for the go command.
    pub max_zip: u64,
    /// The most bytes of zips in quarantine; the oldest go first. What was refused, and why, stays.
    pub max_quarantine: u64,
    /// What is never removed to make room.
    pub pins: Pins,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 20 << 30, max_zip: 500 << 20, max_quarantine: 256 << 20, pins: Pins::default() }
    }
}
