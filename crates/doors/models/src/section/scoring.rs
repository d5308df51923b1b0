//! What the strategy `score` is told: `score` and `require` of a model, what each target is good at and can do, and the
//! section `embedders`.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use tradewind_core::TargetId;
use tradewind_policy::{Amount, Spanned, TimeSpan};

use super::{Models, Reference, Strategy, checks::DEEPEST_NESTING};

/// The name of the embedder that is always there.
pub const LEXICAL: &str = "lexical";

/// How `score` weighs what it knows of each target.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct ScoreSettings {
    /// The weight of how well a target fits the question. It rises with the complexity of the question.
    pub meaning: Amount,
    /// The weight of how free a target is.
    pub load: Amount,
    /// The weight of how cheap a target is for this call.
    pub cost: Amount,
    /// What compares questions with what targets are good at: `lexical`, which is built in, or one of `embedders`.
    #[schemars(with = "Option<String>")]
    pub embedder: Option<Spanned<String>>,
    /// The least confidence, from 0 to 1, with which a target is said to fit; below it none does.
    pub abstain_below: Amount,
    /// The least distance, from 0 to 1, between the two that fit best; below it none does.
    pub margin: Amount,
    /// Which target leads when none fits. Without it meaning counts nothing for such a call.
    #[schemars(with = "Option<String>")]
    pub default: Option<Spanned<String>>,
    /// How one is picked by the scores.
    pub mode: ScoreMode,
    /// `softmax`: the larger, the more even the draw; from 0.001 to 10.
    pub temperature: Amount,
    /// What keeps calls together at one target, as long as it has no more than a quarter above its share of them.
    pub affinity: Affinity,
}

impl Default for ScoreSettings {
    fn default() -> Self {
        Self {
            meaning: Amount(0.6),
            load: Amount(0.25),
            cost: Amount(0.15),
            embedder: None,
            abstain_below: Amount(0.0),
            margin: Amount(0.0),
            default: None,
            mode: ScoreMode::Best,
            temperature: Amount(0.1),
            affinity: Affinity::None,
        }
    }
}

/// How one is picked by the scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScoreMode {
    /// The best; of those that are about as good, the less loaded of two.
    #[default]
    Best,
    /// Drawn at random, the better the likelier.
    Softmax,
}

/// What keeps calls together at one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Affinity {
    /// Nothing.
    #[default]
    None,
    /// The session that the caller names: `x-tradewind-session`, else `user` or `metadata.user_id`.
    Session,
    /// The beginning of the conversation, which a provider may have in its cache: system prompt, tools, first message.
    PromptCache,
}

/// What a target has to have to be asked at all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Require {
    /// Where it has to be: one of these words, which are compared with `region` of the target.
    pub region: Vec<String>,
    /// The most that it may charge.
    pub price_at_most: Option<PriceCeiling>,
}

/// What is said of where a target or an embedder is, when nothing is.
pub(crate) const UNKNOWN_REGION: &str = "unknown";

impl Require {
    /// Whether something may be asked that is `there`. Where nothing is said of that, it may be only when every region will
    /// do.
    pub(crate) fn allows_region(&self, there: Option<&str>) -> bool {
        let is_there = |region: &String| there.is_some_and(|there| region.eq_ignore_ascii_case(there));
        self.region.is_empty() || self.region.iter().any(is_there)
    }
}

/// The most that a target may charge, in USD per million tokens. A target without a price is over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct PriceCeiling {
    /// Prompt tokens, those that are read from a cache or written to it among them.
    pub input: Option<Amount>,
    /// Answer tokens, those of reasoning among them.
    pub output: Option<Amount>,
}

/// One entry of `embedders`: what turns a text into a vector, so that texts that mean the same lie close together.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmbedderEntry {
    /// The name by which `score` and `cache` refer to it.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: EmbedderKind,
    /// `openai`: the provider that is asked.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub provider: Option<Spanned<String>>,
    /// `openai`: its model.
    #[serde(default)]
    pub model: Option<String>,
    /// `openai`: how many numbers a vector has; as the model gives them when absent.
    #[serde(default)]
    pub dimensions: Option<u32>,
    /// `openai`: where it is: a word as at targets. A model with `require.region` is refused when its questions would leave
    /// those regions to be compared.
    #[serde(default)]
    pub region: Option<String>,
    /// `openai`: how long a call waits for it; then its question is compared by its words.
    #[serde(default = "three_hundred_millis")]
    pub timeout: TimeSpan,
}

const fn three_hundred_millis() -> TimeSpan {
    TimeSpan::from_millis(300)
}

/// What an embedder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EmbedderKind {
    /// The Universal Sentence Encoder (multilingual, version 3), which `tradewind embedder install` puts into the data
    /// directory.
    UniversalSentenceEncoder,
    /// Any server with OpenAI's `/v1/embeddings`.
    Openai,
}

/// The targets of all entries that score, and of what stands behind these.
pub(super) fn scored_targets(models: &Models) -> HashSet<TargetId> {
    let is_scored = |entry: &usize| models.entries[*entry].strategy == Strategy::Score;
    let mut left: Vec<usize> = (0..models.entries.len()).filter(is_scored).collect();
    let mut seen: HashSet<usize> = left.iter().copied().collect();
    let mut targets = HashSet::new();
    while let Some(entry) = left.pop() {
        for target in &models.entries[entry].targets {
            match models.resolve(&target.reference) {
                Some(Reference::Target(id)) => drop(targets.insert(id)),
                Some(Reference::Entry(behind)) if seen.insert(behind) => left.push(behind),
                _ => {}
            }
        }
    }
    targets
}

/// For each entry those that score among itself and what stands behind it, two at most. Entries that stand in a circle or
/// too deep are refused elsewhere; here they only must not keep it from ending.
pub(super) fn scoring(models: &Models) -> Vec<SmallVec<[usize; 2]>> {
    let mut known = vec![None; models.entries.len()];
    for entry in 0..models.entries.len() {
        scoring_from(models, entry, 0, &mut known);
    }
    known.into_iter().map(Option::unwrap_or_default).collect()
}

fn scoring_from(models: &Models, entry: usize, depth: usize, known: &mut [Option<SmallVec<[usize; 2]>>]) {
    if known[entry].is_some() || depth > DEEPEST_NESTING {
        return;
    }
    // For whoever comes round to it again.
    known[entry] = Some(SmallVec::new());
    let mut found = SmallVec::new();
    if models.entries[entry].strategy == Strategy::Score {
        found.push(entry);
    }
    for target in &models.entries[entry].targets {
        let Some(Reference::Entry(behind)) = models.resolve(&target.reference) else { continue };
        scoring_from(models, behind, depth + 1, known);
        for one in known[behind].iter().flatten() {
            if found.len() < 2 && !found.contains(one) {
                found.push(*one);
            }
        }
    }
    known[entry] = Some(found);
}
