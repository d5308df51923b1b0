//! What a question is about: embedders, and the choice of the target that fits it best.
//!
//! Pure: no clock, no files, no network.

mod cache;
mod chooser;
mod complexity;
mod confidence;
mod described;
mod embedder;
mod encoder;
mod glossary;
mod index;
mod lexical;
mod reading;
mod remote;
mod stem;
mod text_limit;
mod vector;
mod words;

pub use cache::{VectorCache, VectorCacheStats};
pub use chooser::{Basis, Chooser, ChooserError, Fit, MAX_TARGETS, Question, TargetFit};
pub use complexity::{Complexity, MAX_COMPLEXITY_BYTES};
pub use described::{
    Described, DescribedError, MAX_DESCRIPTION_BYTES, MAX_PARAMETER_DEPTH, MAX_PARAMETERS, MAX_TEXT_BYTES, MAX_TEXTS,
    Parameter,
};
pub use embedder::Embedder;
pub use encoder::{ArchiveError, Encoder, EncoderError, EncoderParts};
pub use lexical::Lexical;
pub use reading::MAX_QUESTION_BYTES;
pub use remote::{LONGEST_REMOTE_ANSWER, MOST_DIMENSIONS, MOST_REMOTE_TEXTS, RemoteEmbedder, RemoteError};
pub use vector::{Vector, VectorError};
