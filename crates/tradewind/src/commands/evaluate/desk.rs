//! Decides as the gateway would, in this process: the models door of the document, which nobody can reach and which
//! reaches nobody.
//!
//! What the gateway leaves to chance is settled: `score` puts the best total first, without the noise and the probes that
//! keep calls from flocking, and the draws of strategies that draw have a fixed seed. The default where none fits, and the
//! target that affinity leads to, are taken as they are.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use serde_json::Value;
use tradewind_access::{Grant, ModelBudgets};
use tradewind_core::{Clock, DecisionIds, TargetId, Usd};
use tradewind_decide::{Candidate, HealthSettings};
use tradewind_dispatch::{Sampling, Services};
use tradewind_door_models::{
    EmbedderKind, Embedders, LEXICAL, ModelsDoor, Needs, PreviewRequest, ScoreSettings, Seal, Strategy,
};
use tradewind_egress::{Egress, EgressSettings, Roots, Spawner};
use tradewind_runtime::{KeyRings, Stages, SystemClock, Targets, files};
use tradewind_telemetry::{JournalSender, Meaning, Preview, Sinks};
use tradewind_tokens::Estimator;

use super::report::{About, Decided, Fitting};
use super::set::Item;
use crate::{Document, installed};

/// What the draws of the strategies that draw begin with.
const SEED: u64 = 20_261_122;

pub(super) struct Desk<'a> {
    door: ModelsDoor,
    document: &'a Document,
    model: &'a str,
    bases: Cell<BTreeMap<&'static str, usize>>,
}

impl<'a> Desk<'a> {
    /// A desk for the model `model` of `document`.
    ///
    /// # Errors
    /// When a gateway could not start with it: an embedder that is not installed, a file of certificates that is not there.
    pub(super) fn open(document: &'a Document, model: &'a str) -> anyhow::Result<Self> {
        fastrand::seed(SEED);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        // Nothing is started, so that nobody is called.
        let egress = Egress::new(clock.clone(), Spawner::new(drop), EgressSettings::default());
        let (nobody, _) = JournalSender::to_channel(1);
        let services = Services {
            clock,
            stages: Stages::default(),
            sinks: Arc::new(Sinks::to_journal(nobody)),
            sampling: Sampling::default(),
            health: HealthSettings::default(),
        };
        let folder = files::expand_home(&document.shared.data_dir.0);
        let load = Box::new(move || installed(&folder).map_err(|error| error.to_string()));
        let needs = Needs {
            egress,
            targets: Arc::new(Targets::default()),
            key_rings: Arc::new(KeyRings::default()),
            services: Arc::new(services),
            ids: Arc::new(DecisionIds::after(0)),
            estimator: Arc::new(Estimator::default()),
            embedders: Arc::new(Embedders::new(load)),
            budgets: Arc::new(ModelBudgets::default()),
            // No response was ever given out here.
            seal: Arc::new(Seal::new(&[0; 32])),
        };
        let door = ModelsDoor::new(&document.shared, &document.models, &document.policy, needs, Roots::system());
        let door = door.map_err(|error| anyhow!("{error}"))?;
        Ok(Self { door, document, model, bases: Cell::default() })
    }

    /// What would be decided.
    ///
    /// # Errors
    /// When the call would be refused before a decision, in words.
    pub(super) fn decide(&self, item: &Item) -> Result<Decided, String> {
        let mut body = item.body.clone();
        body.insert("model".to_owned(), Value::from(self.model));
        let request = serde_json::value::to_raw_value(&body).map_err(|error| error.to_string())?;
        let path = None;
        let asked = PreviewRequest { dialect: item.dialect, request, path, headers: Default::default() };
        let grant = Grant::anyone().with_context(item.context.clone());
        let preview = self.door.preview_settled(&asked, &grant);
        let preview = preview.map_err(|refusal| format!("it would be refused: {}", refusal.message))?;
        if let Some(meaning) = meaning(&preview) {
            let mut bases = self.bases.take();
            *bases.entry(meaning.basis).or_default() += 1;
            self.bases.set(bases);
        }
        Ok(decided(&preview))
    }

    /// What was evaluated.
    pub(super) fn about(&self, path: &Path) -> About {
        let usual = ScoreSettings::default();
        let entry = self.document.models.entry(self.model);
        let scores = self.document.models.scoring_entry(self.model);
        let score = scores.map(|entry| entry.score.as_ref().unwrap_or(&usual));
        let embedder = score.map(|score| score.embedder.as_ref().map_or(LEXICAL, |name| name.value.as_str()));
        let embedder_entry = embedder.and_then(|name| self.document.models.embedder(name));
        let remote = embedder_entry.is_some_and(|entry| entry.kind == EmbedderKind::Openai);
        let bases = self.bases.take();
        let counts = bases.iter().map(|(basis, count)| ((*basis).to_owned(), *count)).collect();
        self.bases.set(bases);
        About {
            set: path.display().to_string(),
            model: self.model.to_owned(),
            strategy: entry.map_or_else(String::new, |entry| strategy(entry.strategy).to_owned()),
            embedder: embedder.map(str::to_owned),
            embedder_not_asked: remote,
            bases: counts,
            abstain_below: score.map(|score| score.abstain_below.0),
            margin: score.map(|score| score.margin.0),
        }
    }
}

const fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Select => "select",
        Strategy::Fallback => "fallback",
        Strategy::Weighted => "weighted",
        Strategy::LeastLatency => "least-latency",
        Strategy::Score => "score",
    }
}

fn meaning(preview: &Preview) -> Option<&Meaning> {
    preview.choice.as_ref()?.meaning.as_ref()
}

/// What counts as decided.
fn decided(preview: &Preview) -> Decided {
    let eligible = preview.decision.eligible();
    let taken = eligible.first();
    let price = |candidate: &Candidate| candidate.parts.score.as_ref().and_then(|parts| parts.price);
    let prices = || eligible.iter().filter_map(price);
    let fitting = meaning(preview).map(|meaning| {
        let said = |candidate: &Candidate| {
            candidate.parts.score.as_ref().filter(|parts| !parts.meaning_assumed).map(|parts| parts.meaning)
        };
        Fitting {
            best: best(eligible, said).map(|candidate| candidate.target.clone()),
            confidence: f64::from(meaning.confidence),
            abstained: meaning.abstained,
        }
    });
    let names = eligible.iter().map(|candidate| candidate.target.clone());
    Decided {
        // Rules are the last resort, when there is nobody.
        chosen: taken.map(|candidate| candidate.target.clone()).or_else(|| preview.chosen.clone()),
        fitting,
        price: taken.and_then(price),
        cheapest: prices().min(),
        dearest: prices().max(),
        prices: names.zip(eligible.iter().map(price)).filter_map(priced).collect(),
    }
}

fn priced((target, price): (TargetId, Option<Usd>)) -> Option<(TargetId, Usd)> {
    Some((target, price?))
}

/// The candidate with the most by `of`, the first of equals: of a model that stands for several targets the one that would
/// answer.
fn best(candidates: &[Candidate], of: impl Fn(&Candidate) -> Option<f64>) -> Option<&Candidate> {
    let mut best: Option<(f64, &Candidate)> = None;
    for candidate in candidates {
        let Some(value) = of(candidate) else { continue };
        if best.is_none_or(|(known, _)| value > known) {
            best = Some((value, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}
