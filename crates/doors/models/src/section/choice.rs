//! Checks of what decides who is asked beside the targets themselves: `score`, `require`, `route`, `budget`, what targets are
//! good at and can do, and the section `embedders`.

use std::fmt::Display;

use tradewind_core::{Code, nearest};
use tradewind_decide::{Scoring, ScoringError};
use tradewind_meaning::{MAX_TEXT_BYTES, MAX_TEXTS};
use tradewind_policy::{MOST_QUERIES, Node, Spanned, TimeSpan, check_routes};

use super::checks::{Check, above};
use super::scoring::{EmbedderKind, LEXICAL, ScoreMode, UNKNOWN_REGION, scored_targets};
use super::{ModelEntry, Reference, Strategy, Target};

/// The most numbers of a vector that may be asked for.
const MOST_DIMENSIONS: u32 = 16_384;

impl<'a> Check<'a> {
    /// What decides who is asked for `entry`.
    pub(super) fn choice(&mut self, entry: &'a ModelEntry) {
        let path = above(&entry.name, "name");
        if entry.score.is_some() && entry.strategy != Strategy::Score {
            let hint = "write `strategy: score`, or remove `score`";
            self.refuse(&format!("{path}.score"), "`score` counts with the strategy `score` only", hint);
        }
        self.score(entry);
        self.residency(entry);
        for target in &entry.targets {
            self.described(entry, target);
            self.asked_about(target);
        }
        if let Some(ceiling) = entry.require.as_ref().and_then(|require| require.price_at_most)
            && ceiling.input.is_none()
            && ceiling.output.is_none()
        {
            let hint = "write {input: 5, output: 20}, or one of them";
            self.refuse(&format!("{path}.require.price-at-most"), "it sets no price", hint);
        }
        if entry.budget.is_some_and(|budget| budget.amount().pico() == 0) {
            self.refuse(&format!("{path}.budget.usd"), "a budget of nothing lets no call through", "remove the model");
        }
        check_routes(&entry.route, self.problems);
        for rule in &entry.route {
            let reference = &rule.reference;
            if reference.value == entry.name.as_str() {
                let problem = reference.problem(Code::ConfigBadValue, "the rule leads to the model that it stands in");
                self.problems.push(problem.with_hint("name another one, or remove the rule"));
            } else {
                self.known(reference);
            }
        }
    }

    fn score(&mut self, entry: &ModelEntry) {
        let Some(score) = &entry.score else { return };
        let path = format!("{}.score", above(&entry.name, "name"));
        let scoring = Scoring::new(score.meaning.0, score.load.0, score.cost.0);
        if let Err(error) = scoring.clone() {
            self.refuse(&path, error.to_string(), "the usual ones are {meaning: 0.6, load: 0.25, cost: 0.15}");
        }
        let is_written = |key: &str| self.root.node().find(&format!("{path}.{key}")).is_some();
        if score.mode == ScoreMode::Best && is_written("temperature") {
            let hint = "write `mode: softmax`, or remove it";
            self.refuse(&format!("{path}.temperature"), "`temperature` counts with the mode `softmax` only", hint);
        } else if score.mode == ScoreMode::Softmax
            && let Some(error @ ScoringError::Temperature { .. }) =
                scoring.and_then(|scoring| scoring.softmax(score.temperature.0)).err()
        {
            self.refuse(&format!("{path}.temperature"), error.to_string(), "0.03 to 0.1 prefer the better clearly");
        }
        for (key, share) in [("abstain-below", score.abstain_below), ("margin", score.margin)] {
            if share.0 > 1.0 {
                self.refuse(&format!("{path}.{key}"), format!("`{key}` is a share, at most 1"), "");
            }
        }
        if let Some(embedder) = &score.embedder
            && self.embedder(embedder)
            && !entry.targets.iter().any(Target::is_described)
            && self.models.embedder_of_answers(entry).is_none_or(|of_answers| of_answers.path != embedder.path)
        {
            let problem = "there is nothing to compare: no target says what it is good at";
            let problem = embedder.problem(Code::ConfigBadValue, problem);
            self.problems.push(problem.with_hint("add `good-at` or `examples` to targets, or remove `embedder`"));
        }
        if let Some(default) = &score.default {
            if !entry.targets.iter().any(|target| target.reference.value == default.value) {
                let names: Vec<&str> = entry.targets.iter().map(|target| target.reference.value.as_str()).collect();
                self.unknown(default, "target of this model", &names);
            } else if score.abstain_below.0 == 0.0 && score.margin.0 == 0.0 {
                let problem = "`default` leads when none is said to fit, and here one always is";
                let problem = default.problem(Code::ConfigBadValue, problem);
                self.problems.push(problem.with_hint("set `abstain-below` or `margin` as well, or remove `default`"));
            }
        }
    }

    /// That no question leaves the regions that a model requires only to be compared: neither with what is good at what
    /// nor with the questions of kept answers, by the model itself or by one that its rules lead to.
    fn residency(&mut self, entry: &'a ModelEntry) {
        let Some(require) = entry.require.as_ref().filter(|require| !require.region.is_empty()) else { return };
        let models = self.models;
        let own = models.resolve(entry.name.as_str()).map(|own| (own, None));
        let led = entry.route.iter().map(|rule| (models.resolve(&rule.reference), Some(&rule.reference)));
        for (asked, led) in own.into_iter().chain(led.filter_map(|(asked, led)| Some((asked?, led)))) {
            let Reference::Entry(asked) = asked else { continue };
            for name in models.embedders_of(asked) {
                let Some(embedder) = models.embedder(name) else { continue };
                let there = embedder.region.as_deref();
                if embedder.kind == EmbedderKind::Openai && !require.allows_region(there) {
                    let message = format!(
                        "questions to `{}` would leave its regions to be compared: the region of the embedder `{}` is {}, \
                         and has to be {}",
                        entry.name.shown(),
                        name.shown(),
                        there.unwrap_or(UNKNOWN_REGION),
                        require.region.join(" or "),
                    );
                    let hint = "say at the embedder in which `region` it is, or take one that is computed here";
                    self.problems.push(led.unwrap_or(name).problem(Code::ConfigBadValue, message).with_hint(hint));
                }
            }
        }
    }

    /// That a question is compared once: of a model and those that stand behind it one scores.
    pub(super) fn scoring(&mut self) {
        let models = self.models;
        for (entry, scoring) in models.entries.iter().zip(&models.scoring) {
            let [one, other] = scoring[..] else { continue };
            let is_reported_behind = entry.targets.iter().any(|target| {
                let behind = models.resolve(&target.reference);
                matches!(behind, Some(Reference::Entry(behind)) if models.scoring[behind].len() > 1)
            });
            if is_reported_behind {
                continue;
            }
            let [one, other] = [one, other].map(|scoring| models.entries[scoring].name.shown());
            let message = format!("`{one}` and `{other}` both score, and a call of this model would come to both");
            let problem = entry.name.problem(Code::ConfigBadValue, message);
            let hint = "let one of them have another strategy, or lead to it by a rule of `route`";
            self.problems.push(problem.with_hint(hint));
        }
    }

    /// That `name` is an embedder. False when it is not.
    pub(super) fn embedder(&mut self, name: &Spanned<String>) -> bool {
        let known = self.models.embedders.iter().map(|entry| entry.name.value.as_str());
        let names: Vec<&str> = known.chain([LEXICAL]).collect();
        let is_known = names.contains(&name.value.as_str());
        if !is_known {
            self.unknown(name, "embedder", &names);
        }
        is_known
    }

    fn unknown<T: Display + AsRef<str>>(&mut self, name: &Spanned<T>, what: &str, names: &[&str]) {
        let problem = name.problem(Code::ConfigUnknownName, format!("no {what} named `{}`", name.shown()));
        let right = nearest(name.value.as_ref(), names.iter().copied()).filter(|_| name.raw.is_none());
        let hint =
            right.map_or_else(|| format!("there are {}", names.join(", ")), |right| format!("did you mean `{right}`?"));
        self.problems.push(problem.with_hint(hint));
    }

    /// What a target is said to be good at.
    fn described(&mut self, entry: &ModelEntry, target: &Target) {
        let path = above(&target.reference, "use");
        let texts = || target.good_at.iter().chain(&target.examples);
        for (key, given) in [("good-at", !target.good_at.is_empty()), ("examples", !target.examples.is_empty())] {
            if given && entry.strategy != Strategy::Score {
                let message = format!("`{key}` counts with the strategy `score` only");
                self.refuse(&format!("{path}.{key}"), message, "write `strategy: score`, or remove it");
            }
        }
        if texts().count() > MAX_TEXTS {
            let message = format!("a target has at most {MAX_TEXTS} texts of `good-at` and `examples` together");
            self.refuse(path, message, "");
        }
        if texts().any(|text| text.len() > MAX_TEXT_BYTES) {
            self.refuse(path, format!("a text of `good-at` or `examples` has at most {MAX_TEXT_BYTES} bytes"), "");
        }
        if texts().any(|text| text.trim().is_empty()) {
            self.refuse(path, "a text of `good-at` or `examples` is empty", "");
        }
        if target.context == Some(0) {
            self.refuse(&format!("{path}.context"), "no question fits into a context of nothing", "");
        }
    }

    /// What Prometheus is asked about a target.
    fn asked_about(&mut self, target: &Target) {
        let Some(prometheus) = &target.prometheus else { return };
        let path = format!("{}.prometheus", above(&target.reference, "use"));
        if let Some(flaw) = prometheus.flaw() {
            self.refuse(&format!("{path}.query"), flaw, "");
        }
        if self.root.section("prometheus").is_none() {
            let hint = "add `prometheus: {url: \"http://127.0.0.1:9090\"}` at the top of the file";
            self.refuse(&path, "nothing says where Prometheus is", hint);
        }
    }

    /// That not more is asked of Prometheus than may be, and nothing of which nobody takes notice.
    pub(super) fn queries(&mut self) {
        let models = self.models;
        let scored = scored_targets(models);
        for target in models.entries.iter().flat_map(|entry| &entry.targets).filter(|one| one.prometheus.is_some()) {
            let Some(Reference::Target(id)) = models.resolve(&target.reference) else { continue };
            if !scored.contains(&id) {
                let path = format!("{}.prometheus", above(&target.reference, "use"));
                let message = "`prometheus` counts with the strategy `score` only";
                self.refuse(&path, message, "write `strategy: score`, or remove it");
            }
        }
        let queries = models.target_settings().values().filter(|known| known.prometheus.is_some()).count();
        if queries > MOST_QUERIES {
            let message = format!("{queries} targets have a query for Prometheus, and {MOST_QUERIES} may");
            self.refuse("models", message, "");
        }
    }

    /// Whether the provider of this name is said to speak `dialect`.
    fn speaks(&self, provider: &str, dialect: &str) -> bool {
        let is_said = |node: &Node, key: &str, text: &str| node.get(key).and_then(Node::as_str) == Some(text);
        let providers = self.root.section("providers").map_or(&[][..], Node::items);
        providers.iter().any(|one| is_said(one, "name", provider) && is_said(one, "dialect", dialect))
    }

    /// The section `embedders`.
    pub(super) fn embedders(&mut self) {
        let models = self.models;
        self.unique(models.embedders.iter().map(|entry| &entry.name), "embedder");
        for entry in &models.embedders {
            let path = above(&entry.name, "name");
            if entry.name.value == LEXICAL {
                self.refuse(&entry.name.path, "`lexical` is the built-in embedder", "give it another name");
            } else if entry.name.value.trim().is_empty() {
                self.refuse(&entry.name.path, "the name is empty", "");
            }
            let is_remote = entry.kind == EmbedderKind::Openai;
            let given = [
                ("provider", entry.provider.is_some()),
                ("model", entry.model.is_some()),
                ("dimensions", entry.dimensions.is_some()),
                ("region", entry.region.is_some()),
                ("timeout", self.root.node().find(&format!("{path}.timeout")).is_some()),
            ];
            for (key, is_given) in given {
                if is_given && !is_remote {
                    let message = format!("`{key}` belongs to the type `openai`");
                    self.refuse(&format!("{path}.{key}"), message, "remove it");
                }
            }
            if !is_remote {
                continue;
            }
            match &entry.provider {
                None => self.refuse(path, "the type `openai` needs a `provider`", "write provider: NAME"),
                Some(provider) if !self.providers.contains(provider.value.as_str()) => {
                    let names: Vec<&str> = self.providers.iter().copied().collect();
                    self.unknown(provider, "provider", &names);
                }
                Some(provider) if self.speaks(&provider.value, "anthropic") => {
                    let message =
                        format!("`{}` speaks the dialect anthropic, which has no embeddings", provider.shown());
                    let problem = provider.problem(Code::ConfigBadValue, message);
                    self.problems.push(problem.with_hint("name a provider with `dialect: openai`"));
                }
                Some(_) => {}
            }
            if entry.model.as_ref().is_none_or(|model| model.trim().is_empty()) {
                self.refuse(path, "the type `openai` needs a `model`", "write model: text-embedding-3-small");
            }
            if entry.dimensions.is_some_and(|dimensions| !(1..=MOST_DIMENSIONS).contains(&dimensions)) {
                let message = format!("a vector has from 1 to {MOST_DIMENSIONS} numbers");
                self.refuse(&format!("{path}.dimensions"), message, "");
            }
            if entry.timeout == TimeSpan::default() {
                self.refuse(&format!("{path}.timeout"), "no provider answers in no time", "300ms is usual");
            }
        }
    }
}
