//! One model as calls use it: its group, its lanes, its terms.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tradewind_access::ModelBudget;
use tradewind_core::{ModelName, Moment, Usage, Usd};
use tradewind_decide::{
    Decision, Facts, Group, HealthSettings, HealthView, Member, MemberKind, RetryBudget, ScoreFacts, Strategy, decide,
    decide_call, outliers,
};
use tradewind_dispatch::{AnswerLimits, Hedge, HedgeAfter, Lane, Retry, Terms, Timeouts};
use tradewind_policy::Routes;
use tradewind_quality::Gates;
use tradewind_tokens::{Estimator, ModelTokens};

use crate::ask::Ask;
use crate::cached::KeptAnswers;
use crate::choosing::{Choosing, Understanding};
use crate::fit::{Fits, Known};
use crate::link::Link;
use crate::rules::Rules;
use crate::section::{self, Abilities, ModelEntry, Require};

/// What not every model has.
#[derive(Default)]
pub(crate) struct Extras {
    /// Whether hints have to be expressed.
    pub(crate) strict: bool,
    /// What each target can do, by leaf; empty when nothing is said about any.
    pub(crate) abilities: Vec<Abilities>,
    /// What a target has to have, also where a rule leads on from here.
    pub(crate) require: Option<Require>,
    /// What each target lacks of that and of what the models require through which alone it is reached, by leaf; empty
    /// when none lacks anything.
    pub(crate) barred: Vec<Option<String>>,
    /// Rules that lead to another model.
    pub(crate) routes: Routes,
    /// What its calls may cost altogether.
    pub(crate) budget: Option<ModelBudget>,
    /// What is known of the members that are scored, here or in a model behind this one.
    pub(crate) choosing: Option<Arc<Choosing>>,
    /// What an answer has to be like.
    pub(crate) gates: Option<Arc<Gates>>,
    /// Which answers are kept.
    pub(crate) kept: Option<Arc<KeptAnswers>>,
}

/// A model that can be called.
pub(crate) struct Model {
    pub(crate) name: ModelName,
    pub(crate) group: Group,
    /// The targets, by `leaf`.
    pub(crate) lanes: Arc<[Lane]>,
    /// The provider of each target, by `leaf`.
    pub(crate) links: Arc<[Arc<Link>]>,
    /// The token counter of each target, by `leaf`.
    pub(crate) counters: Arc<[Arc<ModelTokens>]>,
    pub(crate) extras: Extras,
    pub(crate) terms: Arc<Terms>,
    pub(crate) last_resort: Option<Arc<Rules>>,
    /// The member that a `select` group uses; a reload keeps it by name.
    selected: AtomicUsize,
}

impl Model {
    pub(crate) fn new(
        group: Group,
        lanes: Vec<Lane>,
        links: Vec<Arc<Link>>,
        estimator: &Estimator,
        terms: Terms,
        last_resort: Option<Arc<Rules>>,
    ) -> Self {
        let counters = lanes.iter().map(|lane| estimator.model(lane.target.id().model())).collect();
        Self {
            counters,
            extras: Extras::default(),
            name: group.name.clone(),
            group,
            lanes: lanes.into(),
            links: links.into(),
            terms: Arc::new(terms),
            last_resort,
            selected: AtomicUsize::new(0),
        }
    }

    /// Lets a `select` group use the member `name`: a target, or another model. False when there is no such member.
    pub(crate) fn select_target(&self, name: &str) -> bool {
        let place = self.place_of(name).filter(|_| self.group.strategy == Strategy::Select);
        if let Some(place) = place {
            self.selected.store(place, Ordering::Relaxed);
        }
        place.is_some()
    }

    /// The place of the member `name`: a target, or another model.
    pub(crate) fn place_of(&self, name: &str) -> Option<usize> {
        let is_it = |member: &Member| match &member.kind {
            MemberKind::Target(leaf) => self.lanes.get(*leaf).is_some_and(|lane| lane.target.id().as_str() == name),
            MemberKind::Group(group) => group.name.as_str() == name,
        };
        self.group.members.iter().position(is_it)
    }

    /// The name of the member that a `select` group uses.
    pub(crate) fn selected_target(&self) -> Option<&str> {
        let member = self.group.members.get(self.selected.load(Ordering::Relaxed))?;
        match &member.kind {
            MemberKind::Target(leaf) => self.lanes.get(*leaf).map(|lane| lane.target.id().as_str()),
            MemberKind::Group(group) => Some(group.name.as_str()),
        }
    }

    /// Ejects the targets that are outliers among the others.
    pub(crate) fn eject_outliers(&self, settings: &HealthSettings, now: Moment) {
        if self.lanes.len() < 2 {
            return;
        }
        // Only where the targets are meant to be alike is a slow one sick; elsewhere it may be a larger model.
        let alike = self.group.strategy == Strategy::LeastLatency;
        let factor = settings.outlier_latency_factor.filter(|_| alike);
        let settings = &HealthSettings { outlier_latency_factor: factor, ..*settings };
        let views: Vec<HealthView> = self.lanes.iter().map(|lane| lane.target.view(settings, now)).collect();
        for outlier in outliers(settings, &views) {
            self.lanes[outlier].target.eject(settings, now);
        }
    }

    /// The same model, with what not every model has.
    pub(crate) fn with(mut self, extras: Extras) -> Self {
        self.extras = extras;
        self
    }

    /// What is known about its targets.
    pub(crate) fn known(&self) -> Known<'_> {
        let Self { lanes, links, counters, extras, .. } = self;
        Known { lanes, links, counters, abilities: &extras.abilities, barred: &extras.barred }
    }

    /// Who may answer, in which order, and why. `asked` is what is known of the call, where something is scored.
    pub(crate) fn decide(
        &self,
        fits: &Fits,
        health: &HealthSettings,
        now: Moment,
        asked: Option<(&Ask, &Understanding)>,
    ) -> Decision {
        let facts: SmallVec<[Facts<'_>; 4]> = self
            .lanes
            .iter()
            .enumerate()
            .map(|(leaf, lane)| Facts {
                target: lane.target.id(),
                unfit: fits.unfit(leaf).map(|unfit| unfit.why.clone()),
                health: lane.target.view(health, now),
                in_flight: lane.target.in_flight(),
                tokens_in_flight: lane.target.tokens_in_flight(),
                saturated: lane.target.is_saturated(),
                keys: lane.keys.view(lane.target.id(), now),
                score: asked.map_or_else(ScoreFacts::default, |(ask, known)| ScoreFacts {
                    meaning: known.meaning(leaf),
                    price: self.expected_price(leaf, ask),
                    prior: lane.target.prior(now),
                    quota: lane.target.quota(now),
                }),
            })
            .collect();
        let selected = |group: &Group| std::ptr::eq(group, &self.group).then(|| self.selected.load(Ordering::Relaxed));
        RANDOM.with_borrow_mut(|random| match asked {
            None => decide(&self.group, &facts, Some(self.selected.load(Ordering::Relaxed)), now, random),
            Some((_, known)) => known.facts(&selected, |call| decide_call(&self.group, &facts, call, now, random)),
        })
    }

    /// What `ask` is expected to cost at target `leaf`.
    fn expected_price(&self, leaf: usize, ask: &Ask) -> Option<Usd> {
        let price = self.lanes[leaf].price?;
        // Tokenizers differ by less than prices do; over many targets the first one's count is good enough.
        let counter = if self.lanes.len() <= COUNTED_EACH { leaf } else { 0 };
        let input = self.counters[counter].estimate(&ask.features).tokens;
        let usage = Usage { input, output: ask.expected_answer, estimated: true, ..Usage::default() };
        Some(price.cost(&usage))
    }
}

/// Of more targets than this the tokens are estimated once and not for each.
const COUNTED_EACH: usize = 4;

thread_local! {
    static RANDOM: std::cell::RefCell<fastrand::Rng> = std::cell::RefCell::new(fastrand::Rng::new());
}

/// The terms that an entry of the configuration sets; the defaults when there is none.
pub(crate) fn terms(entry: Option<&ModelEntry>, limits: AnswerLimits, now: Moment) -> Terms {
    let defaults = section::Timeouts::default();
    let timeouts = entry.map_or(&defaults, |entry| &entry.timeouts);
    let retry = entry.map_or_else(section::Retry::default, |entry| entry.retry.clone());
    Terms {
        timeouts: Timeouts {
            connect: timeouts.connect.get(),
            headers: timeouts.headers.map(tradewind_policy::TimeSpan::get),
            first_token: timeouts.first_token.get(),
            idle: timeouts.idle.get(),
            total: timeouts.total.get(),
        },
        hedge: entry.and_then(|entry| entry.hedge.as_ref()).map(|hedge| Hedge {
            after: match hedge.after {
                section::HedgeAfter::P95 => HedgeAfter::P95,
                section::HedgeAfter::Time(time) => HedgeAfter::Fixed(time.get()),
            },
            at_most: hedge.at_most,
        }),
        retry: Retry { attempts: retry.attempts, longest_wait: retry.longest_wait.get() },
        limits,
        budget: Mutex::new(RetryBudget::new(now, retry.extra.0)),
    }
}
