//! What SQLite has written to its log and was not handed on yet.
//!
//! SQLite writes a transaction as frames, each a header and a page, with two calls to the system for each frame; half of
//! its time goes there. What it appends is gathered here instead, and handed on when the frame is complete that ends the
//! transaction. Until then nobody else looks for the frames: other connections learn where the log ends after
//! that, and after a crash a transaction without its end counts for nothing.
//!
//! What is not appended is handed on at once: the log's own header, and frames of the same transaction that SQLite writes
//! again in their place.

/// A result code of SQLite's, other than `SQLITE_OK`.
pub(super) type Code = std::ffi::c_int;

/// What the header of a frame has, in bytes: <https://www.sqlite.org/fileformat2.html#wal_file_format>.
const FRAME_HEADER: usize = 24;
/// What a page has at least, in bytes.
const LEAST_PAGE: usize = 512;
/// With so much it is handed on, in bytes.
pub(super) const MOST: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    /// Where they belong in the file.
    at: i64,
    /// Whether a transaction ends with the page that comes next.
    ends: bool,
}

impl Gathered {
    /// Takes a write of SQLite's. `put` hands bytes on to the file.
    ///
    /// # Errors
    /// Those of `put`. What was gathered is dropped then: SQLite rolls a transaction back when one of its writes fails.
    pub(super) fn write(
        &mut self,
        bytes: &[u8],
        at: i64,
        mut put: impl FnMut(&[u8], i64) -> Result<(), Code>,
    ) -> Result<(), Code> {
        let written = self.take(bytes, at, &mut put);
        if written.is_err() {
            self.bytes.clear();
        }
        written
    }

    fn take(
        &mut self,
        bytes: &[u8],
        at: i64,
        put: &mut impl FnMut(&[u8], i64) -> Result<(), Code>,
    ) -> Result<(), Code> {
        let is_header = bytes.len() == FRAME_HEADER;
        match bytes.len() {
            // The size of the file in pages after the transaction, in the header of its last frame alone.
            FRAME_HEADER => self.ends = bytes[4..8] != [0; 4],
            LEAST_PAGE.. => {}
            // The log's own header, or a part of a frame: nothing to wait for.
            _ => self.ends = true,
        }
        if at != self.at + length(&self.bytes) {
            self.hand_on(&mut *put)?;
            put(bytes, at)?;
            self.at = at + length(bytes);
            return Ok(());
        }
        self.bytes.extend_from_slice(bytes);
        if (self.ends && !is_header) || self.bytes.len() >= MOST { self.hand_on(put) } else { Ok(()) }
    }

    /// Hands on all that is here, before anything else is done with the file.
    ///
    /// # Errors
    /// Those of `put`. It is kept then: SQLite has been told that it is written.
    pub(super) fn hand_on(&mut self, mut put: impl FnMut(&[u8], i64) -> Result<(), Code>) -> Result<(), Code> {
        if !self.bytes.is_empty() {
            put(&self.bytes, self.at)?;
            self.at += length(&self.bytes);
            self.bytes.clear();
        }
        Ok(())
    }
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).expect("bytes in memory are fewer")
}
