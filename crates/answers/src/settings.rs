//! The key `cache` of a model, as it is written. A model without it keeps nothing.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tradewind_policy::{ByteSize, Spanned, TimeSpan};

use crate::ScopeKind;

/// The smallest and the largest memory that answers may take.
const SMALLEST: ByteSize = ByteSize::kib(64);
const LARGEST: ByteSize = ByteSize::mib(16 * 1024);
/// The longest time that an answer is kept, in seconds: 30 days.
const LONGEST: u64 = 30 * 86_400;
/// The least similarity that may be asked for: below, answers to other questions would be given.
const LEAST_THRESHOLD: f64 = 0.8;
/// The most questions that are kept for one model: each of those with the same context is compared.
const MOST_ENTRIES: u32 = 65_536;

/// Which answers of a model are kept, and for whom. They are kept in memory only.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct CacheSettings {
    /// Answers to the same request.
    pub exact: Option<ExactSettings>,
    /// Answers to a question that means the same, in the same context.
    pub meaning: Option<MeaningSettings>,
    /// Who shares answers; never beyond a tenant.
    pub scope: ScopeKind,
}

/// Answers to the same request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct ExactSettings {
    /// How long an answer is kept.
    pub ttl: TimeSpan,
    /// How much memory answers may take; those not used for longest go first.
    pub max: ByteSize,
}

impl Default for ExactSettings {
    fn default() -> Self {
        Self { ttl: TimeSpan::from_secs(600), max: ByteSize::mib(64) }
    }
}

/// Answers to a question that means the same.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct MeaningSettings {
    /// The least cosine of two questions that count as the same, from 0.8 to 1.
    #[schemars(range(min = 0.8, max = 1))]
    pub threshold: f64,
    /// How long an answer is kept.
    pub ttl: TimeSpan,
    /// The embedder that compares questions; that of the model's `score` when absent, else the built-in one.
    #[schemars(with = "Option<String>")]
    pub embedder: Option<Spanned<String>>,
    /// How many questions are kept.
    pub max_entries: u32,
    /// How much memory answers and vectors may take; those not used for longest go first.
    pub max: ByteSize,
}

impl Default for MeaningSettings {
    fn default() -> Self {
        Self {
            threshold: 0.95,
            ttl: TimeSpan::from_secs(600),
            embedder: None,
            max_entries: 4096,
            max: ByteSize::mib(64),
        }
    }
}

/// A value of `cache` that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Where it is, below `cache`: `exact.ttl`; empty for `cache` itself.
    pub path: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: &'static str,
}

impl CacheSettings {
    /// What the types cannot say. Whether the embedder exists is for the caller to check.
    #[must_use]
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut refuse = |path, message, hint| flaws.push(Flaw { path, message, hint });
        if self.exact.is_none() && self.meaning.is_none() {
            let hint = "write `exact: {}` for the usual settings, or remove `cache`";
            refuse("", "nothing is cached: there is neither `exact` nor `meaning`".to_owned(), hint);
        }
        let exact = self.exact.as_ref().map(|exact| ("exact.ttl", exact.ttl, "exact.max", exact.max));
        let meaning = self.meaning.as_ref().map(|meaning| ("meaning.ttl", meaning.ttl, "meaning.max", meaning.max));
        for (ttl_path, ttl, max_path, max) in exact.into_iter().chain(meaning) {
            if ttl.get().is_zero() || ttl.get() > Duration::from_secs(LONGEST) {
                refuse(ttl_path, format!("`ttl` is {ttl}"), "more than nothing, at most 30d");
            }
            if !(SMALLEST..=LARGEST).contains(&max) {
                refuse(max_path, format!("`max` is {max}"), "from 64KiB to 16GiB");
            }
        }
        if let Some(meaning) = &self.meaning {
            // What is not a number is in no range.
            if !(LEAST_THRESHOLD..=1.0).contains(&meaning.threshold) {
                let message = format!("`threshold` is {}", meaning.threshold);
                refuse("meaning.threshold", message, "a cosine from 0.8 to 1, such as 0.95");
            }
            if !(1..=MOST_ENTRIES).contains(&meaning.max_entries) {
                refuse("meaning.max-entries", format!("`max-entries` is {}", meaning.max_entries), "from 1 to 65536");
            }
        }
        flaws
    }
}

#[cfg(test)]
mod tests {
    use tradewind_policy::{Problems, decode, parse_yaml};

    use super::*;

    fn read(text: &str) -> (Option<CacheSettings>, Problems) {
        let mut problems = Problems::new();
        let node = parse_yaml(text, &mut problems).expect("it is YAML");
        (decode(&node, "cache", &[], &mut problems), problems)
    }

    #[test]
    fn the_usual_settings_need_no_words() {
        let (settings, problems) = read("{exact: {}, meaning: {embedder: encoder}}");
        assert!(problems.is_empty());
        let settings = settings.expect("it was read");
        assert_eq!(settings.flaws(), []);
        assert_eq!(settings.exact, Some(ExactSettings::default()));
        let meaning = settings.meaning.expect("it was written");
        assert_eq!((meaning.threshold, meaning.max_entries), (0.95, 4096));
        assert_eq!(meaning.embedder.expect("it was written").path.as_ref(), "cache.meaning.embedder");
        let (settings, _) = read("{exact: {ttl: 1h, max: 1MiB}, scope: tenant}");
        let settings = settings.expect("it was read");
        assert_eq!(settings.scope, ScopeKind::Tenant);
        assert_eq!(settings.exact, Some(ExactSettings { ttl: TimeSpan::from_secs(3600), max: ByteSize::mib(1) }));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (text, path) in [
            ("{}", ""),
            ("{exact: {ttl: 0s}}", "exact.ttl"),
            ("{exact: {ttl: 31d}}", "exact.ttl"),
            ("{exact: {max: 1KiB}}", "exact.max"),
            ("{meaning: {max: 1TiB}}", "meaning.max"),
            ("{meaning: {ttl: 0}}", "meaning.ttl"),
            ("{meaning: {threshold: 0.5}}", "meaning.threshold"),
            ("{meaning: {threshold: 1.1}}", "meaning.threshold"),
            ("{meaning: {threshold: .nan}}", "meaning.threshold"),
            ("{meaning: {max-entries: 0}}", "meaning.max-entries"),
            ("{meaning: {max-entries: 100000}}", "meaning.max-entries"),
        ] {
            let (settings, problems) = read(text);
            assert!(problems.is_empty(), "{text}: {:?}", problems.list());
            let flaws = settings.expect("it was read").flaws();
            assert_eq!(flaws.iter().map(|flaw| flaw.path).collect::<Vec<_>>(), [path], "{text}");
        }
        let (_, problems) = read("{exact: {tll: 1m}}");
        assert_eq!(problems.list()[0].hint.as_deref(), Some("did you mean `ttl`?"));
    }
}
