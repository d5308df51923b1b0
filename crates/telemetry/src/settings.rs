//! The bounds of the journal.

use std::time::Duration;

/// How much the journal may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Records older than this are deleted.
    pub max_age: Duration,
    /// When the file's live pages take more than this, the oldest records are deleted. The file itself may be larger by
    /// one write-ahead log (about 32 MiB under full load). At least 1 MiB.
    pub max_bytes: u64,
    /// How many records may wait to be written; one more is dropped and counted. A waiting record takes about 1.3 KiB
    /// with up to four candidates and 0.2 KiB more for each further one: the default is bounded by some 22 MiB then. A
    /// gateway at rest pays 16 bytes a place.
    pub queue: usize,
    /// The longest that a record waits before its batch is begun.
    pub batch_time: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(7 * 86_400),
            max_bytes: 1 << 30,
            queue: 16_384,
            batch_time: Duration::from_millis(100),
        }
    }
}
