//! Hands what Prometheus says about each target to that target, as long as the document asks about it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tradewind_core::{Clock, Moment, TargetId};
use tradewind_decide::Sample;
use tradewind_door_models::Models;
use tradewind_egress::{Egress, Roots};
use tradewind_policy::{Prometheus, Shared};
use tradewind_runtime::{Supervisor, Targets};

use crate::prior::{PriorFailure, PriorPlan, PriorPoller, PriorQuery, PriorStats};
use crate::say;

/// The polling of Prometheus, and the targets that it is about.
pub(super) struct Priors {
    poller: PriorPoller,
    targets: Arc<Targets>,
    clock: Arc<dyn Clock>,
    asked: Arc<Mutex<Asked>>,
}

/// What is asked now.
#[derive(Default)]
struct Asked {
    settings: Option<Prometheus>,
    queries: HashMap<TargetId, String>,
}

/// What a document asks: see [`Priors::plan`].
#[must_use = "a plan that nobody follows changes nothing"]
pub(super) struct Planned {
    plan: PriorPlan,
    asked: Asked,
}

impl Priors {
    /// A poller that asks nobody yet.
    pub(super) fn start(
        egress: Arc<Egress>,
        roots: Roots,
        supervisor: &Supervisor,
        clock: Arc<dyn Clock>,
        targets: Arc<Targets>,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Asked::default()));
        let (about, told) = (asked.clone(), targets.clone());
        let feed = move |target: &TargetId, now: Moment, answer: Result<f64, &PriorFailure>| {
            let asked = about.lock();
            // An answer that comes after a reload may be about a target that is not asked about any more.
            let interval = asked.settings.as_ref().map(|settings| settings.interval.get());
            if let Some(interval) = interval.filter(|_| asked.queries.contains_key(target)) {
                let sample = answer.map_or(Sample::Failure, Sample::Value);
                told.get(target, now).note_prior(now, interval, sample);
            }
        };
        let log = Box::new(|line: &str| say::note(line));
        let poller = PriorPoller::start(egress, roots, supervisor, clock.clone(), Box::new(feed), log);
        Self { poller, targets, clock, asked }
    }

    /// What a document asks. Changes nothing yet.
    ///
    /// # Errors
    /// When the URL is not one of a server.
    pub(super) fn plan(&self, shared: &Shared, models: &Models) -> Result<Planned, String> {
        let settings = shared.prometheus.clone();
        let mut queries: Vec<PriorQuery> = models
            .target_settings()
            .into_iter()
            .filter_map(|(target, known)| Some(PriorQuery { target, query: known.prometheus? }))
            .collect();
        // In an order that stays, so that the same document again disturbs nobody.
        queries.sort_by(|a, b| a.target.as_str().cmp(b.target.as_str()));
        let by_target = queries.iter().map(|one| (one.target.clone(), one.query.clone())).collect();
        let plan = self.poller.plan(settings.as_ref(), queries)?;
        let queries = if settings.is_some() { by_target } else { HashMap::new() };
        Ok(Planned { plan, asked: Asked { settings, queries } })
    }

    /// Asks that from now on. What was said to other questions, or by another source, is forgotten.
    pub(super) fn follow(&self, Planned { plan, asked: next }: Planned) {
        let mut asked = self.asked.lock();
        let same_source = asked.settings.as_ref().zip(next.settings.as_ref()).is_some_and(|(before, now)| {
            let of = |settings: &Prometheus| (settings.url.as_str().to_owned(), settings.interval);
            of(before) == of(now)
        });
        let now = self.clock.now();
        for (target, query) in &asked.queries {
            if !same_source || next.queries.get(target) != Some(query) {
                self.targets.get(target, now).forget_prior();
            }
        }
        *asked = next;
        self.poller.follow(plan);
    }

    /// How polling has gone.
    pub(super) fn stats(&self) -> PriorStats {
        self.poller.stats()
    }
}
