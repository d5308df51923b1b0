//! The one place that says how many tokens a request is before its provider does.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::calibration::Calibration;
use crate::family::Family;
use crate::features::Features;
use crate::tokenizer::Tokenizers;

/// How many models are learned of. The ones over that share their family's estimate, which learns nothing.
const MOST_MODELS: usize = 4096;
/// Longer names are not learned of.
const LONGEST_NAME: usize = 256;

/// A count of tokens that no provider has reported. Whoever shows it says that it is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Tokens.
    pub tokens: u64,
    /// Whether the texts were counted by the model's own tokenizer. The format around them is an estimate even then.
    pub exact: bool,
}

/// Estimates for any number of models; shared by all calls.
pub struct Estimator {
    models: RwLock<HashMap<Box<str>, Arc<ModelTokens>>>,
    unlearned: [Arc<ModelTokens>; Family::ALL.len()],
    tokenizers: Tokenizers,
}

impl Estimator {
    /// Nothing is learned yet, and no tokenizer loaded.
    #[must_use]
    pub fn new() -> Self {
        Self {
            models: RwLock::new(HashMap::new()),
            unlearned: Family::ALL.map(|family| Arc::new(ModelTokens::new(family, false))),
            tokenizers: Tokenizers::new(),
        }
    }

    /// What is known of the model that a provider calls `name`. To be kept as long as the model is used.
    ///
    /// Learns of up to 4,096 models with names of up to 256 bytes; all others have what is known of their family.
    #[must_use]
    pub fn model(&self, name: &str) -> Arc<ModelTokens> {
        if let Some(model) = self.models.read().get(name) {
            return model.clone();
        }
        let family = Family::of(name);
        let mut models = self.models.write();
        if name.len() > LONGEST_NAME || (models.len() >= MOST_MODELS && !models.contains_key(name)) {
            return self.unlearned[family as usize].clone();
        }
        models.entry(name.into()).or_insert_with(|| Arc::new(ModelTokens::new(family, true))).clone()
    }

    /// Counts the request in `body` with the tokenizer of `model` itself; `None` when there is none here for it, when
    /// the body is over 64 KiB, or is no JSON.
    ///
    /// Takes up to 10 ms, and with the first call for a tokenizer another 60 ms; that tokenizer stays in memory, with
    /// 46 MiB for GPT-4o and later and 24 MiB for GPT-4. Hence not for each call, and not on a thread that serves
    /// others.
    #[must_use]
    pub fn exact(&self, model: &str, body: &[u8]) -> Option<Estimate> {
        self.tokenizers.count_request(Family::of(model), body).map(|tokens| Estimate { tokens, exact: true })
    }
}

impl Default for Estimator {
    fn default() -> Self {
        Self::new()
    }
}

/// What is known of one model's tokens.
pub struct ModelTokens {
    family: Family,
    learns: bool,
    /// Reports so far.
    reports: AtomicU32,
    calibration: Mutex<Calibration>,
}

/// Each of the first reports is learned from.
const LEARNED_AT_FIRST: u32 = 256;
/// Then one in so many: a busy model tells little that is new.
const LEARNED_LATER: u32 = 16;

impl ModelTokens {
    fn new(family: Family, learns: bool) -> Self {
        Self { family, learns, reports: AtomicU32::new(0), calibration: Mutex::new(Calibration::new(family)) }
    }

    /// Tokens of what `features` were found in.
    #[must_use]
    pub fn estimate(&self, features: &Features) -> Estimate {
        let tokens = self.calibration.lock().estimate(self.family, features).ceil();
        Estimate { tokens: tokens as u64, exact: false }
    }

    /// Learns that the provider counted `actual` prompt tokens, cached ones included. A report that cannot be true
    /// (nothing, ten times the estimate, a tenth of it) changes nothing. After the first 256 reports one in 16 is learned
    /// from.
    pub fn observe(&self, features: &Features, actual: u64) {
        if !self.learns {
            return;
        }
        let report = self.reports.fetch_add(1, Ordering::Relaxed);
        if report < LEARNED_AT_FIRST || report.is_multiple_of(LEARNED_LATER) {
            self.calibration.lock().observe(self.family, features, actual);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_bounded() {
        let estimator = Estimator::new();
        for number in 0..MOST_MODELS + 10 {
            let _ = estimator.model(&format!("gpt-4o-{number}"));
        }
        assert_eq!(estimator.models.read().len(), MOST_MODELS);
        let over = estimator.model("gpt-4o-over");
        let features = Features::of_text("Nobody learns of a model that does not fit into the table any more.");
        let before = over.estimate(&features);
        for _ in 0..20 {
            over.observe(&features, before.tokens * 2);
        }
        assert_eq!(over.estimate(&features), before);
        let known = estimator.model("gpt-4o-7");
        for _ in 0..20 {
            known.observe(&features, before.tokens * 2);
        }
        assert!(estimator.model("gpt-4o-7").estimate(&features).tokens > before.tokens * 3 / 2);
        assert!(!estimator.model(&"x".repeat(300)).estimate(&features).exact);
        assert_eq!(estimator.models.read().len(), MOST_MODELS);
    }

    #[test]
    fn an_empty_request_is_no_tokens() {
        let model = Estimator::new().model("anything");
        assert_eq!(model.estimate(&Features::default()).tokens, 0);
    }
}
