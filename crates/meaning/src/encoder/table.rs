//! The embedding of each piece of the vocabulary: 512 numbers of 6 bits, and a scale for each of 17 parts.
//!
//! Piece `id` is row `id / 17` of part `id % 17`, as the original model splits its table. In memory a row is 384 bytes:
//! three planes of 128, each byte with one value in its low six bits and two bits of a fourth value above them, so that
//! a row is unpacked by whole vectors. 48 MiB for the published vocabulary instead of 64 with a byte for each value.

use super::EncoderError;

/// Numbers in the embedding of a piece.
pub(super) const EMBEDDING: usize = 512;
/// Parts that the table is split into.
pub(super) const PARTS: usize = 17;
/// Most rows of a part; the published table has 7,530.
pub(super) const MOST_ROWS: usize = 16_384;

const QUARTER: usize = EMBEDDING / 4;
const PACKED: usize = 3 * QUARTER;
const LARGEST: u8 = 63;

/// The table.
pub(super) struct Table {
    rows: Vec<[u8; PACKED]>,
    scale: [f32; PARTS],
    low: [f32; PARTS],
}

impl Table {
    /// A table of zeros with `rows` rows in each part.
    pub(super) fn new(rows: usize, scale: [f32; PARTS], low: [f32; PARTS]) -> Self {
        Self { rows: vec![[0; PACKED]; rows * PARTS], scale, low }
    }

    /// How many pieces it has an embedding for.
    pub(super) fn pieces(&self) -> usize {
        self.rows.len()
    }

    /// Puts in the rows of a part, one value a byte.
    pub(super) fn fill(&mut self, part: usize, name: &str, values: &[u8]) -> Result<(), EncoderError> {
        if values.iter().any(|value| *value > LARGEST) {
            return Err(EncoderError::array(name, "holds values of more than 6 bits"));
        }
        let rows = self.rows.iter_mut().skip(part).step_by(PARTS);
        for (row, values) in rows.zip(values.as_chunks::<EMBEDDING>().0) {
            for place in 0..QUARTER {
                let fourth = values[3 * QUARTER + place];
                for plane in 0..3 {
                    row[plane * QUARTER + place] =
                        values[plane * QUARTER + place] | (((fourth >> (2 * plane)) & 3) << 6);
                }
            }
        }
        Ok(())
    }

    /// Writes the embedding of `piece`, which is one of [`Self::pieces`].
    #[inline(always)]
    pub(super) fn read(&self, piece: u32, embedding: &mut [f32; EMBEDDING]) {
        let row = &self.rows[piece as usize];
        let part = piece as usize % PARTS;
        let (scale, low) = (self.scale[part], self.low[part]);
        for plane in 0..3 {
            for place in 0..QUARTER {
                embedding[plane * QUARTER + place] = f32::from(row[plane * QUARTER + place] & LARGEST) * scale + low;
            }
        }
        for place in 0..QUARTER {
            let fourth = (row[place] >> 6) | (row[QUARTER + place] >> 6 << 2) | (row[2 * QUARTER + place] >> 6 << 4);
            embedding[3 * QUARTER + place] = f32::from(fourth) * scale + low;
        }
    }
}
