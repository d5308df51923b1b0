//! Blocks: what one row of the journal's file holds, a run of records packed together. Packing and unpacking only; the
//! file's table is `file`'s matter, and which blocks a question needs is `read`'s.
//!
//! A block is records in the order of their ids, each as a line of JSON, compressed with LZ4. Measured with records of
//! 1000 bytes whose numbers all differ: 130 bytes are left of each, for 0.3 µs. Leaving out of the lines what is null or
//! false would save little beside that, and what a reader gets would no longer be what was written.
//!
//! Records arrive in the order in which calls end, so the ids of two batches overlap. Within a block they lie close
//! together ([`SPAN`]): the record of a long call goes into a block of its own, and whoever looks for an id or for a
//! place to go on from has to look at few blocks.

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};

use crate::error::JournalError;
use crate::json::Renderer;
use crate::record::{Outcome, Record};

/// The largest difference between two ids of a block: five seconds. Ids are milliseconds shifted by 20 bits.
pub(crate) const SPAN: u64 = 5_000 << 20;
/// A block is closed before its text gets longer than this: up to 64 KiB, LZ4 is fastest. Only a single record can be
/// longer.
const TEXT_BYTES: usize = 65_000;
/// No text of a block is longer than this; a line is at most 64 KiB.
const MOST_TEXT_BYTES: usize = 1 << 20;
/// When the names of a block's models are longer than this together, they are not listed.
const MODELS_BYTES: usize = 512;
/// Buffers larger than this are not kept while there is little to write.
const KEPT_BYTES: usize = 4 << 10;

/// One row of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The smallest id in it.
    pub(crate) first: u64,
    /// The largest id in it; at most [`SPAN`] more than the smallest.
    pub(crate) last: u64,
    /// How many records.
    pub(crate) count: usize,
    /// [`outcome_bit`] of each outcome in it.
    pub(crate) outcomes: u8,
    /// [`quoted_model`] of each model in it; `None` when they are too many.
    pub(crate) models: Option<String>,
    /// The length of the text in 4 bytes, little-endian, and the text as an LZ4 block. The text is the records as JSON in
    /// the order of their ids, each with a line feed.
    pub(crate) packed: Vec<u8>,
}

/// The bit of `outcome` in [`Block::outcomes`].
pub(crate) fn outcome_bit(outcome: Outcome) -> u8 {
    1 << outcome as u8
}

/// How `model` stands in [`Block::models`]. Only a hint: one name may hold another one's quotation marks.
pub(crate) fn quoted_model(model: &str) -> String {
    format!("\"{model}\"")
}

/// The text of a block.
pub(crate) fn unpack(packed: &[u8]) -> Result<String, JournalError> {
    let (length, compressed) = packed.split_first_chunk().ok_or(JournalError::Damaged)?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > MOST_TEXT_BYTES {
        return Err(JournalError::Damaged);
    }
    let mut text = vec![0; length];
    match decompress_into(compressed, &mut text) {
        Ok(written) if written == length => String::from_utf8(text).map_err(|_| JournalError::Damaged),
        _ => Err(JournalError::Damaged),
    }
}

/// Packs records into blocks. Its buffers are used again for the next block.
#[derive(Default)]
pub(crate) struct Packer {
    renderer: Renderer,
    table: CompressTable,
    compressed: Vec<u8>,
}

/// The block that is being filled.
struct Draft {
    first: u64,
    last: u64,
    count: usize,
    outcomes: u8,
    models: String,
    many_models: bool,
}

impl Packer {
    /// Packs `batch` and empties it. Each record is let go as soon as it is rendered, while it is in the cache.
    #[expect(clippy::vec_box, reason = "they come in boxes, and sorting pointers is cheaper than sorting 1 KiB each")]
    pub(crate) fn pack(&mut self, batch: &mut Vec<Box<Record>>) -> Vec<Block> {
        // Nearly sorted already.
        batch.sort_by_key(|record| record.id);
        let mut blocks = Vec::new();
        let mut draft: Option<Draft> = None;
        for record in batch.drain(..) {
            let start = self.renderer.lines.len();
            self.renderer.record(&record);
            self.renderer.lines.push(b'\n');
            let id = record.id.number();
            if let Some(full) = draft.take_if(|draft| id - draft.first > SPAN || self.renderer.lines.len() > TEXT_BYTES)
            {
                blocks.push(self.close(full, start));
            }
            draft.get_or_insert_with(|| Draft::new(id)).add(id, record.outcome, record.model_shown());
        }
        if let Some(rest) = draft {
            blocks.push(self.close(rest, self.renderer.lines.len()));
        }
        blocks
    }

    /// Makes a block of the first `length` bytes of the text, and takes them out of it.
    fn close(&mut self, draft: Draft, length: usize) -> Block {
        let text = &self.renderer.lines[..length];
        let room = get_maximum_output_size(length);
        if self.compressed.len() < room {
            self.compressed.resize(room, 0);
        }
        let compressed = compress_into_with_table(text, &mut self.compressed, &mut self.table)
            .expect("there is room for text that cannot be compressed");
        let mut packed = Vec::with_capacity(4 + compressed);
        packed.extend_from_slice(&u32::try_from(length).expect("a few lines are below 4 GiB").to_le_bytes());
        packed.extend_from_slice(&self.compressed[..compressed]);
        self.renderer.lines.drain(..length);
        Block {
            first: draft.first,
            last: draft.last,
            count: draft.count,
            outcomes: draft.outcomes,
            models: (!draft.many_models).then_some(draft.models),
            packed,
        }
    }

    /// Gives back the memory that a busy time took.
    pub(crate) fn shrink(&mut self) {
        if self.renderer.lines.capacity() > KEPT_BYTES {
            *self = Self::default();
        }
    }
}

impl Draft {
    fn new(first: u64) -> Self {
        Self { first, last: first, count: 0, outcomes: 0, models: String::new(), many_models: false }
    }

    fn add(&mut self, id: u64, outcome: Outcome, model: &str) {
        self.last = id;
        self.count += 1;
        self.outcomes |= outcome_bit(outcome);
        // Nearly always the first name, or the only one.
        let known = |models: &str| models.split('"').any(|known| known == model);
        if self.many_models || known(&self.models) {
            return;
        }
        if self.models.len() + model.len() > MODELS_BYTES {
            self.many_models = true;
        } else {
            self.models.push_str(&quoted_model(model));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_in_the_file_unpacking_ends(mut bytes: Vec<u8>, length in 0_u32..100_000) {
            let _ = unpack(&bytes);
            bytes.splice(0..0, length.to_le_bytes());
            let _ = unpack(&bytes);
        }
    }

    #[test]
    fn a_length_without_bound_is_not_believed() {
        assert!(matches!(unpack(&[0xff; 1000]), Err(JournalError::Damaged)));
    }

    #[test]
    fn every_outcome_has_its_bit() {
        let all = Outcome::ALL.iter().fold(0, |bits, outcome| bits | outcome_bit(*outcome));
        assert_eq!(all.count_ones() as usize, Outcome::ALL.len());
    }
}
