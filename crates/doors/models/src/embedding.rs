//! The embedders of the process: what a name in the document stands for, and the vectors that are kept.

use std::convert::Infallible;
use std::sync::Arc;

use parking_lot::Mutex;
use tradewind_meaning::{Complexity, Embedder, Encoder, MAX_QUESTION_BYTES, Vector, VectorCache};

use crate::remote::Remote;

/// How much memory the vectors of questions may take.
const CACHE_BYTES: usize = 16 << 20;

/// Reads the encoder's weights; `None` when they are not installed.
pub type LoadEncoder = Box<dyn Fn() -> Result<Option<Encoder>, String> + Send + Sync>;

/// What all models share: the encoder, which is read once, and the vectors of questions.
pub struct Embedders {
    load: LoadEncoder,
    encoder: Mutex<Option<Arc<Encoder>>>,
    pub(crate) cache: VectorCache,
}

impl Embedders {
    /// Embedders of which the encoder comes from `load`, when a document first asks for it.
    #[must_use]
    pub fn new(load: LoadEncoder) -> Self {
        Self { load, encoder: Mutex::new(None), cache: VectorCache::new(CACHE_BYTES) }
    }

    /// The encoder.
    ///
    /// # Errors
    /// When it is not installed or cannot be used, in words for whoever starts the gateway.
    pub(crate) fn encoder(&self) -> Result<Arc<Encoder>, String> {
        let mut encoder = self.encoder.lock();
        if let Some(encoder) = &*encoder {
            return Ok(encoder.clone());
        }
        let loaded = (self.load)()?.ok_or("its weights are not installed; run `tradewind embedder install`")?;
        Ok(encoder.insert(Arc::new(loaded)).clone())
    }
}

/// What compares questions for one model.
#[derive(Clone)]
pub(crate) enum Embedding {
    /// Their words.
    Lexical,
    /// Vectors that are worked out here.
    Local(Arc<Encoder>),
    /// Vectors that a provider is asked for.
    Remote(Arc<Remote>),
}

impl Embedding {
    /// The vector of `text`, as far as it is known without asking anybody.
    pub(crate) fn vector(&self, embedders: &Embedders, text: &str) -> Option<Arc<Vector>> {
        match self {
            Self::Lexical => None,
            Self::Local(encoder) => {
                let embed = || Ok::<_, Infallible>(encoder.embed(text));
                embedders.cache.get_or(Encoder::NAME, text, embed).ok()
            }
            Self::Remote(remote) => embedders.cache.get(remote.identity(), text),
        }
    }

    /// The vector of `text`, and how far its sentences lie apart, where vectors are worked out here: both once as long as
    /// they are kept.
    pub(crate) fn vector_and_spread(&self, embedders: &Embedders, text: &str) -> (Option<Arc<Vector>>, Option<f32>) {
        let Self::Local(encoder) = self else { return (self.vector(embedders, text), None) };
        let vector = match embedders.cache.get_with_spread(Encoder::NAME, text) {
            Some((vector, spread @ Some(_))) => return (Some(vector), spread),
            Some((vector, None)) => Some(vector),
            None => self.vector(embedders, text),
        };
        // None of a single sentence, which is found without embedding anything.
        let spread = Complexity::spread_of(text, &**encoder);
        if let Some(spread) = spread {
            embedders.cache.put_spread(Encoder::NAME, text, spread);
        }
        (vector, spread)
    }

    /// Whether the vector of `text` comes of all of it. `text` is a question that is short enough to be compared.
    pub(crate) fn reads(&self, text: &str) -> bool {
        match self {
            Self::Lexical => true,
            Self::Local(encoder) => encoder.reads_all(text),
            Self::Remote(_) => text.len() <= MAX_QUESTION_BYTES,
        }
    }

    /// The provider to be asked for the vector, when it is one.
    pub(crate) fn remote(&self) -> Option<&Arc<Remote>> {
        match self {
            Self::Remote(remote) => Some(remote),
            Self::Lexical | Self::Local(_) => None,
        }
    }

    /// Whether vectors of the two can be compared.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Lexical, Self::Lexical) | (Self::Local(_), Self::Local(_)) => true,
            (Self::Remote(one), Self::Remote(other)) => one.identity() == other.identity(),
            _ => false,
        }
    }
}
