//! The sections `models`, `responders` and `embedders` of the configuration: their types, and [`Models::decode`].
//!
//! What serde cannot say (names that refer to each other, numbers that belong together) is checked in `checks`. No
//! group, breaker or timer is made here: this is what was written, checked to be whole.

mod checks;
mod choice;
mod either;
mod network_policy;
mod scoring;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use tradewind_answers::CacheSettings;
use tradewind_core::{ModelName, Price, TargetId};
use tradewind_policy::{
    Amount, Budget, NotBuilt, Problems, PrometheusQuery, Root, RouteRule, SectionInfo, Spanned, TimeSpan,
};
use tradewind_quality::QualitySettings;

pub use self::either::HedgeAfter;
pub use self::network_policy::NetworkPolicy;
pub(crate) use self::scoring::UNKNOWN_REGION;
pub use self::scoring::{
    Affinity, EmbedderEntry, EmbedderKind, LEXICAL, PriceCeiling, Require, ScoreMode, ScoreSettings,
};

/// The section `models`.
pub const MODELS_SECTION: SectionInfo = SectionInfo {
    key: "models",
    about: "The models that callers may ask for, and the targets behind each.",
    schema: |generator| generator.subschema_for::<Vec<ModelEntry>>(),
    governed: &["*"],
    not_built: &[NotBuilt::key("via", "the way out of a target")],
};

/// The section `responders`.
pub const RESPONDERS_SECTION: SectionInfo = SectionInfo {
    key: "responders",
    about: "Answers by rule, for when no target can answer.",
    schema: |generator| generator.subschema_for::<Vec<Responder>>(),
    governed: &["*"],
    not_built: &[],
};

/// The section `embedders`.
pub const EMBEDDERS_SECTION: SectionInfo = SectionInfo {
    key: "embedders",
    about: "What compares questions by their meaning, beside the built-in `lexical`.",
    schema: |generator| generator.subschema_for::<Vec<EmbedderEntry>>(),
    governed: &["*"],
    not_built: &[],
};

/// The name of the responder that is always there.
pub const BUILT_IN_RESPONDER: &str = "rules";

/// One entry of `models`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelEntry {
    /// What callers put into `"model"`.
    #[schemars(with = "String")]
    pub name: Spanned<ModelName>,
    /// How a target is picked.
    #[serde(default)]
    pub strategy: Strategy,
    /// What may answer, in order. May be empty only when there is a `last-resort`.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// How long a call may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// A second attempt beside one that is slow; none when absent.
    #[serde(default)]
    pub hedge: Option<Hedge>,
    /// What may be tried again.
    #[serde(default)]
    pub retry: Retry,
    /// Who answers when no target can.
    #[serde(default)]
    pub last_resort: Option<LastResort>,
    /// Whether hints such as `cache_control`, `user` or `metadata` count when a request is translated: then a target whose
    /// protocol has no words for them is not asked. Otherwise they are left out and listed in `x-tradewind-dropped`.
    #[serde(default)]
    pub strict: bool,
    /// `score`: what counts how much.
    #[serde(default)]
    pub score: Option<ScoreSettings>,
    /// What a target has to have to be asked at all.
    #[serde(default)]
    pub require: Option<Require>,
    /// Rules that lead a call to another model before anything else is decided; the first that fits.
    #[serde(default)]
    pub route: Vec<RouteRule>,
    /// What an answer has to be like to be given; another target is asked when it is not.
    #[serde(default)]
    pub quality: Option<QualitySettings>,
    /// Which answers are kept, and given again.
    #[serde(default)]
    pub cache: Option<CacheSettings>,
    /// How much the calls that ask for this model may cost altogether.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// `select`: for the name of one of `networks`, or `default`, the target to select there.
    #[serde(default)]
    pub network_policy: Option<NetworkPolicy>,
}

/// How a target is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The selected target, the first one to begin with; never another by itself.
    Select,
    /// In order: the next one when one fails.
    #[default]
    Fallback,
    /// At random, in proportion to `weight`.
    Weighted,
    /// The one that is likely to give its first token soonest, by its latency, load and errors.
    LeastLatency,
    /// The one with the best score for this question, made of meaning, load and cost.
    Score,
}

/// One entry of `targets`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Target {
    /// `provider/model`, or the name of another entry of `models`.
    #[serde(rename = "use")]
    #[schemars(with = "String")]
    pub reference: Spanned<String>,
    /// The share relative to the other targets with the strategy `weighted`; 0 puts it behind all others.
    #[serde(default = "one")]
    pub weight: u32,
    /// What it charges. Without a price the cost of a call is unknown.
    #[serde(default)]
    pub price: Option<TargetPrice>,
    /// The most tokens that it answers with; 4096 when absent. Held back from a budget for a call that sets no limit to its
    /// answer.
    #[serde(default)]
    pub max_output: Option<u32>,
    /// How many calls it is given at once; 1000 when absent.
    #[serde(default)]
    pub max_in_flight: Option<u32>,
    /// How many calls may wait for it beyond those; 100 when absent.
    #[serde(default)]
    pub max_queue: Option<u32>,
    /// `score`: what it is good at, in words such as `writing and reviewing code`.
    #[serde(default)]
    pub good_at: Vec<String>,
    /// `score`: questions that it should get.
    #[serde(default)]
    pub examples: Vec<String>,
    /// How many tokens question and answer may have together; not checked when absent.
    #[serde(default)]
    pub context: Option<u32>,
    /// Whether it takes images; left to it when absent.
    #[serde(default)]
    pub images: Option<bool>,
    /// Whether it takes tools; left to it when absent.
    #[serde(default)]
    pub tools: Option<bool>,
    /// Whether it takes a JSON Schema for its answer; left to it when absent.
    #[serde(default)]
    pub json_schema: Option<bool>,
    /// Where it is, for `require`: any word, such as `eu`.
    #[serde(default)]
    pub region: Option<String>,
    /// What Prometheus knows of its load, as a slow correction of what is measured here.
    #[serde(default)]
    pub prometheus: Option<PrometheusQuery>,
}

impl Target {
    /// Whether anything is said about what it is good at.
    pub(crate) fn is_described(&self) -> bool {
        !self.good_at.is_empty() || !self.examples.is_empty()
    }
}

const fn one() -> u32 {
    1
}

/// What a target charges, in USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetPrice {
    /// Prompt tokens.
    pub input: Amount,
    /// Answer tokens.
    pub output: Amount,
    /// Prompt tokens read from the provider's cache; as `input` when absent.
    #[serde(default)]
    pub cached: Option<Amount>,
    /// Prompt tokens written to the provider's cache; as `input` when absent.
    #[serde(default)]
    pub cache_write: Option<Amount>,
    /// Reasoning tokens; as `output` when absent.
    #[serde(default)]
    pub reasoning: Option<Amount>,
}

impl From<TargetPrice> for Price {
    fn from(price: TargetPrice) -> Self {
        Self {
            input: price.input.0,
            output: price.output.0,
            cached: price.cached.map(|amount| amount.0),
            cache_write: price.cache_write.map(|amount| amount.0),
            reasoning: price.reasoning.map(|amount| amount.0),
        }
    }
}

/// How long a call may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Timeouts {
    /// Name look-up, TCP and TLS of a new connection, for each attempt.
    pub connect: TimeSpan,
    /// From connecting to the head of the response, for each attempt; not limited when absent.
    pub headers: Option<TimeSpan>,
    /// From the start of an attempt to the first event of a stream, waiting for a permit and connecting included.
    pub first_token: TimeSpan,
    /// Between two chunks of a stream.
    pub idle: TimeSpan,
    /// The whole call, all attempts included.
    pub total: TimeSpan,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: TimeSpan::from_secs(2),
            headers: None,
            first_token: TimeSpan::from_secs(30),
            idle: TimeSpan::from_secs(60),
            total: TimeSpan::from_secs(600),
        }
    }
}

/// A second attempt at another target beside one that is slow; the first answer wins, the other is cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hedge {
    /// When: `p95` for the 95th percentile of the target's own time to first token, or a time span.
    pub after: HedgeAfter,
    /// Extra attempts for one call at most, from 1 to 3.
    #[serde(default = "one")]
    pub at_most: u32,
}

/// What may be tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Retry {
    /// Extra attempts of all calls of this model together, as a share of the calls, from 0 to 0.2: more than that
    /// turns the failure of one provider into an overload of the others.
    pub extra: Amount,
    /// Attempts of one call at most, the first one included, from 1 to 10.
    pub attempts: u32,
    /// The longest `Retry-After` of a target that is waited for within a call.
    pub longest_wait: TimeSpan,
}

impl Default for Retry {
    fn default() -> Self {
        Self { extra: Amount(0.2), attempts: 4, longest_wait: TimeSpan::from_secs(20) }
    }
}

/// Who answers when no target can: `rules` for the built-in responder, or `{rules: NAME}` for one of `responders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastResort {
    /// The name of the responder.
    pub rules: Spanned<String>,
}

/// One entry of `responders`: answers by rule, without a model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Responder {
    /// The name by which `last-resort` refers to it.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// The rules, of which the first that fits answers.
    #[serde(default)]
    pub rules: Vec<ResponderRule>,
    /// The answer when no rule fits; with `{{model}}`, `{{time}}` and `{{question}}` where they are wanted.
    pub otherwise: String,
}

/// One rule of a responder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ResponderRule {
    /// The rule fits when the caller's last message holds one of these words or phrases, in upper or lower case.
    #[serde(default)]
    pub contains: Vec<String>,
    /// It fits, too, when one of these regular expressions does (those of the Rust crate regex), in upper or lower case
    /// unless it begins with `(?-i)`.
    #[serde(default)]
    pub matches: Vec<String>,
    /// The answer. `{{model}}` stands for the model as the caller named it, `{{time}}` for the present in UTC,
    /// `{{question}}` for the message, `{{1}}` or `{{name}}` for what each of `matches` captures; of the last two at most
    /// 500 characters. `\{{` stands for two braces.
    pub answer: String,
}

/// What the `use` of a target refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A model at a provider.
    Target(TargetId),
    /// Another entry of `models`, by its place in [`Models::entries`].
    Entry(usize),
}

/// What is said about one target wherever it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSettings {
    /// What it charges, if that is known.
    pub price: Option<Price>,
    /// The most tokens that it answers with.
    pub max_output: u32,
    /// How many calls it is given at once.
    pub max_in_flight: u32,
    /// How many calls may wait for it beyond those.
    pub max_queue: u32,
    /// What it can do, as far as that is said.
    pub abilities: Abilities,
    /// What Prometheus is asked about it.
    pub prometheus: Option<String>,
}

/// What a target can do, as far as that is said. What is not said is left to the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// How many tokens question and answer may have together.
    pub context: Option<u32>,
    /// Whether it takes images.
    pub images: Option<bool>,
    /// Whether it takes tools.
    pub tools: Option<bool>,
    /// Whether it takes a JSON Schema for its answer.
    pub json_schema: Option<bool>,
    /// Where it is.
    pub region: Option<String>,
}

impl Default for TargetSettings {
    fn default() -> Self {
        Self {
            price: None,
            max_output: 4096,
            max_in_flight: 1000,
            max_queue: 100,
            abilities: Abilities::default(),
            prometheus: None,
        }
    }
}

/// Both sections, decoded and checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Models {
    /// The entries of `models`, in the order of the file.
    pub entries: Vec<ModelEntry>,
    /// The entries of `responders`.
    pub responders: Vec<Responder>,
    /// The entries of `embedders`.
    pub embedders: Vec<EmbedderEntry>,
    /// The place of each entry by its name.
    by_name: HashMap<String, usize>,
    /// For each entry those that score among itself and what stands behind it: two at most, and one where the document
    /// was not refused.
    scoring: Vec<SmallVec<[usize; 2]>>,
}

impl Models {
    /// Decodes and checks both sections. The result may be used only when `problems` is empty in the end.
    #[must_use]
    pub fn decode(root: &Root, problems: &mut Problems) -> Self {
        let entries: Vec<ModelEntry> = root.list("models", problems);
        let responders = root.list("responders", problems);
        let embedders = root.list("embedders", problems);
        let mut by_name = HashMap::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            by_name.entry(entry.name.as_str().to_owned()).or_insert(index);
        }
        let mut models = Self { entries, responders, embedders, by_name, scoring: Vec::new() };
        models.scoring = scoring::scoring(&models);
        checks::check(&models, root, problems);
        models
    }

    /// The entry of this name.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&ModelEntry> {
        self.by_name.get(name).and_then(|index| self.entries.get(*index))
    }

    /// The entry that scores among this one and those that stand behind it.
    #[must_use]
    pub fn scoring(&self, entry: usize) -> Option<usize> {
        self.scoring.get(entry)?.first().copied()
    }

    /// The entry that scores when `name` is asked for: itself, or one that stands behind it.
    #[must_use]
    pub fn scoring_entry(&self, name: &str) -> Option<&ModelEntry> {
        self.entries.get(self.scoring(*self.by_name.get(name)?)?)
    }

    /// What compares the questions of kept answers of `entry`, where that is said.
    pub(crate) fn embedder_of_answers<'a>(&self, entry: &'a ModelEntry) -> Option<&'a Spanned<String>> {
        let of_score = || entry.score.as_ref().and_then(|score| score.embedder.as_ref());
        entry.cache.as_ref()?.meaning.as_ref().and_then(|meaning| meaning.embedder.as_ref().or_else(of_score))
    }

    /// The embedders that are given the questions to this entry.
    pub(crate) fn embedders_of(&self, entry: usize) -> impl Iterator<Item = &Spanned<String>> {
        let scoring = self.scoring(entry).map(|scoring| &self.entries[scoring]);
        let of_score = scoring.and_then(|entry| entry.score.as_ref()?.embedder.as_ref());
        of_score.into_iter().chain(self.embedder_of_answers(&self.entries[entry]))
    }

    /// The embedder of this name; `None` for the built-in one.
    #[must_use]
    pub fn embedder(&self, name: &str) -> Option<&EmbedderEntry> {
        self.embedders.iter().find(|entry| entry.name.value == name)
    }

    /// What a `use` refers to; `None` when it is neither an entry nor `provider/model` (then `decode` has reported it).
    #[must_use]
    pub fn resolve(&self, reference: &str) -> Option<Reference> {
        match self.by_name.get(reference) {
            Some(index) => Some(Reference::Entry(*index)),
            None => TargetId::parse(reference).ok().map(Reference::Target),
        }
    }

    /// All targets that are used, each once, with what is said about it in any of the places.
    #[must_use]
    pub fn target_settings(&self) -> HashMap<TargetId, TargetSettings> {
        let mut settings: HashMap<TargetId, TargetSettings> = HashMap::new();
        for target in self.entries.iter().flat_map(|entry| &entry.targets) {
            let Some(Reference::Target(id)) = self.resolve(&target.reference) else { continue };
            let known = settings.entry(id).or_default();
            known.price = target.price.map(Price::from).or(known.price);
            known.max_in_flight = target.max_in_flight.unwrap_or(known.max_in_flight);
            known.max_queue = target.max_queue.unwrap_or(known.max_queue);
            known.max_output = target.max_output.unwrap_or(known.max_output);
            let abilities = &mut known.abilities;
            abilities.context = target.context.or(abilities.context);
            abilities.images = target.images.or(abilities.images);
            abilities.tools = target.tools.or(abilities.tools);
            abilities.json_schema = target.json_schema.or(abilities.json_schema);
            abilities.region = target.region.clone().or_else(|| abilities.region.take());
            let query = target.prometheus.as_ref().map(|prometheus| prometheus.query.clone());
            known.prometheus = query.or_else(|| known.prometheus.take());
        }
        settings
    }

    /// The responder of this name; `None` for the built-in one.
    #[must_use]
    pub fn responder(&self, name: &str) -> Option<&Responder> {
        self.responders.iter().find(|responder| responder.name.value == name)
    }
}
