//! What a finished call teaches about the tokens of its target's model.

use std::fmt;
use std::sync::Arc;

use tradewind_core::Usage;
use tradewind_tokens::{Features, ModelTokens};

/// What a question looked like, and whose tokens it was counted in.
#[derive(Clone)]
pub(crate) struct Lesson {
    pub(crate) tokens: Arc<ModelTokens>,
    pub(crate) features: Arc<Features>,
}

impl fmt::Debug for Lesson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lesson")
    }
}

impl Lesson {
    /// Learns from the counts that the provider gave.
    pub(crate) fn learn(self, usage: Option<Usage>) {
        if let Some(usage) = usage.filter(|usage| !usage.estimated) {
            self.tokens.observe(&self.features, usage.input);
        }
    }
}
