//! Looks at SQLite's write-ahead log before SQLite does.
//!
//! SQLite takes the log up to the first frame whose checksum is wrong and forgets the rest without a word. That is right
//! for a write that was not finished. For a flipped bit it is not: transactions behind it, which were acknowledged, would be
//! gone. The two differ in what follows: every transaction is on disk before the next one begins, so that behind an
//! unfinished one there is no other.
//!
//! Only the last transaction is beyond this: damage to it looks like a write that was not finished. Format:
//! <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>. Checksums go on from frame to frame, each beginning with
//! what the frame before says its own is; frames behind a damaged one can therefore still be checked.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

use crate::error::StoreError;
use crate::sqlite::schema::FILE_NAME;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Magic number; its lowest bit says whether checksums read big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// What the log is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It ends with a whole transaction, or there is none.
    Whole,
    /// The last transaction is not whole, or damaged.
    Torn {
        /// Of what SQLite will cut off.
        bytes: u64,
    },
    /// Transactions follow behind something that is not what was written.
    Damaged {
        /// Where that is in the file.
        at: u64,
    },
}

/// Looks at the log of the file in `folder`.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be read.
pub(super) fn inspect(folder: &Path) -> Result<Finding, StoreError> {
    let path = folder.join(format!("{FILE_NAME}-wal"));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Finding::Whole),
        Err(error) => return Err(StoreError::Unavailable(format!("{}: {error}", path.display()))),
    };
    look(BufReader::with_capacity(1 << 20, file))
        .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))
}

fn look(mut log: impl Read) -> io::Result<Finding> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(Finding::Whole);
    }
    let big_endian = word(&header, 0) & 1 == 1;
    let page = word(&header, 8) as usize;
    let sum = checksum(big_endian, [0, 0], &header[..24]);
    let sound = word(&header, 0) & !1 == MAGIC && sum == [word(&header, 24), word(&header, 28)];
    if !sound || !(512..=65536).contains(&page) {
        // It is written before anything else, and in one piece.
        return Ok(if header == [0; HEADER] { Finding::Whole } else { Finding::Damaged { at: 0 } });
    }
    let salts = &header[16..24];
    let mut frame = vec![0; FRAME_HEADER + page];
    let mut said = sum;
    let mut at = HEADER as u64;
    let mut committed = at;
    let mut last_ours = at;
    let mut bad: Option<Bad> = None;
    while fill(&mut log, &mut frame)? {
        let (head, content) = frame.split_at(FRAME_HEADER);
        let stored = [word(head, 16), word(head, 20)];
        let ours = head[8..16] == *salts;
        let intact = ours && checksum(big_endian, checksum(big_endian, said, &head[..8]), content) == stored;
        let commits = word(head, 4) != 0;
        let end = at + frame.len() as u64;
        match &mut bad {
            None if intact => {
                if commits {
                    committed = end;
                }
            }
            // The frame itself may say that it was the end of its transaction.
            None => bad = Some(Bad { at, commits: u32::from(ours && commits) }),
            Some(bad) if intact && commits => bad.commits += 1,
            Some(_) => {}
        }
        if ours {
            last_ours = end;
        }
        said = stored;
        at = end;
    }
    Ok(match bad {
        Some(Bad { at, commits: 2.. }) => Finding::Damaged { at },
        _ if last_ours > committed => Finding::Torn { bytes: last_ours - committed },
        _ => Finding::Whole,
    })
}

/// The first frame that is not what was written.
struct Bad {
    at: u64,
    /// Ends of transactions from there on.
    commits: u32,
}

/// False at the end, also when it comes early.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A big-endian word: all numbers in headers are.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn checksum(big_endian: bool, begin: [u32; 2], bytes: &[u8]) -> [u32; 2] {
    let number = |word: &[u8]| {
        let word = word.try_into().expect("four bytes");
        if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    };
    bytes.chunks_exact(8).fold(begin, |[first, second], pair| {
        let first = first.wrapping_add(number(&pair[..4])).wrapping_add(second);
        let second = second.wrapping_add(number(&pair[4..])).wrapping_add(first);
        [first, second]
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::*;

    /// The log of `count` transactions, each of several frames, and where each ends.
    fn written(count: usize) -> (Vec<u8>, Vec<usize>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let log = folder.path().join(format!("{FILE_NAME}-wal"));
        let file = Connection::open(&path).unwrap();
        file.pragma_update(None, "journal_mode", "WAL").unwrap();
        file.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        file.execute_batch("CREATE TABLE t (a BLOB)").unwrap();
        let mut ends = Vec::new();
        for _ in 0..count {
            file.execute("INSERT INTO t VALUES (randomblob(9000))", []).unwrap();
            ends.push(usize::try_from(fs::metadata(&log).unwrap().len()).unwrap());
        }
        assert_eq!(inspect(folder.path()), Ok(Finding::Whole));
        (fs::read(log).unwrap(), ends)
    }

    #[test]
    fn no_log_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(inspect(folder.path()), Ok(Finding::Whole));
        assert_eq!(look(&[0_u8; 31][..]).unwrap(), Finding::Whole);
        assert_eq!(look(&[0_u8; 4096][..]).unwrap(), Finding::Whole);
    }

    #[test]
    fn a_log_that_ends_anywhere_is_not_damaged() {
        let (log, ends) = written(4);
        for length in (0..log.len()).step_by(97).chain(ends) {
            let finding = look(&log[..length]).unwrap();
            assert!(!matches!(finding, Finding::Damaged { .. }), "{length}: {finding:?}");
        }
    }

    #[test]
    fn a_flipped_bit_in_front_of_other_transactions_is_damage() {
        let (log, ends) = written(4);
        let last = ends[2];
        for bit in (0..last * 8).step_by(1009) {
            let mut log = log.clone();
            log[bit / 8] ^= 1 << (bit % 8);
            let frame = (bit / 8).saturating_sub(HEADER) / (FRAME_HEADER + 4096);
            let within = (bit / 8).saturating_sub(HEADER) % (FRAME_HEADER + 4096);
            // One word of a header alone says that a transaction ends.
            let ends_last = HEADER + (frame + 1) * (FRAME_HEADER + 4096) == last && (4..16).contains(&within);
            let finding = look(&log[..]).unwrap();
            assert!(ends_last || matches!(finding, Finding::Damaged { .. }), "bit {bit}: {finding:?}");
        }
    }

    #[test]
    fn damage_to_the_last_transaction_looks_unfinished() {
        let (mut log, ends) = written(4);
        log[ends[2] + 500] ^= 1;
        let bytes = (ends[3] - ends[2]) as u64;
        assert_eq!(look(&log[..]).unwrap(), Finding::Torn { bytes });
    }

    #[test]
    fn frames_of_an_earlier_log_do_not_count() {
        let (mut log, ends) = written(4);
        // As after a log that was begun anew: other salts.
        for frame in log[ends[1]..].chunks_mut(FRAME_HEADER + 4096) {
            frame[9] ^= 0xff;
        }
        assert_eq!(look(&log[..]).unwrap(), Finding::Whole);
    }
}
