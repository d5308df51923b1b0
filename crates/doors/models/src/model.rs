//! One model as calls use it: its group, its lanes, its terms.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tradewind_core::{Dialect, ModelName, Moment};
use tradewind_decide::{
    Decision, Facts, Group, HealthSettings, HealthView, Member, MemberKind, RetryBudget, Strategy, decide, outliers,
};
use tradewind_dispatch::{AnswerLimits, Hedge, HedgeAfter, Lane, Retry, Terms, Timeouts};

use crate::link::Link;
use crate::rules::Rules;
use crate::section::{self, ModelEntry};

/// A model that can be called.
pub(crate) struct Model {
    pub(crate) name: ModelName,
    pub(crate) group: Group,
    /// The targets, by `leaf`.
    pub(crate) lanes: Arc<[Lane]>,
    /// The provider of each target, by `leaf`.
    pub(crate) links: Arc<[Arc<Link>]>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) last_resort: Option<Arc<Rules>>,
    /// The member that a `select` group uses; a reload keeps it by name.
    selected: AtomicUsize,
}

/// What a call asks of a target, for the hard filters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// An operation of a dialect.
    Dialect(Dialect),
    /// A path that the gateway does not know.
    Passthrough,
}

impl Model {
    pub(crate) fn new(
        group: Group,
        lanes: Vec<Lane>,
        links: Vec<Arc<Link>>,
        terms: Terms,
        last_resort: Option<Arc<Rules>>,
    ) -> Self {
        Self {
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
        let is_it = |member: &Member| match &member.kind {
            MemberKind::Target(leaf) => self.lanes.get(*leaf).is_some_and(|lane| lane.target.id().as_str() == name),
            MemberKind::Group(group) => group.name.as_str() == name,
        };
        let place = self.group.members.iter().position(is_it).filter(|_| self.group.strategy == Strategy::Select);
        if let Some(place) = place {
            self.selected.store(place, Ordering::Relaxed);
        }
        place.is_some()
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

    /// Who may answer, in which order, and why.
    pub(crate) fn decide(&self, wish: Wish, health: &HealthSettings, now: Moment) -> Decision {
        let facts: SmallVec<[Facts<'_>; 4]> = self
            .lanes
            .iter()
            .zip(self.links.iter())
            .map(|(lane, link)| Facts {
                target: lane.target.id(),
                unfit: unfit(wish, link),
                health: lane.target.view(health, now),
                in_flight: lane.target.in_flight(),
                tokens_in_flight: lane.target.tokens_in_flight(),
                saturated: lane.target.is_saturated(),
                keys: lane.keys.view(lane.target.id(), now),
            })
            .collect();
        RANDOM.with_borrow_mut(|random| {
            decide(&self.group, &facts, Some(self.selected.load(Ordering::Relaxed)), now, random)
        })
    }

    /// Whether no target can ever answer `wish`, so that trying again later makes no sense.
    pub(crate) fn never_fits(&self, wish: Wish) -> bool {
        self.links.iter().all(|link| unfit(wish, link).is_some())
    }
}

thread_local! {
    static RANDOM: std::cell::RefCell<fastrand::Rng> = std::cell::RefCell::new(fastrand::Rng::new());
}

/// Why a provider cannot answer at all, if so.
fn unfit(wish: Wish, link: &Link) -> Option<std::borrow::Cow<'static, str>> {
    match wish {
        Wish::Dialect(wanted) if wanted == link.dialect => None,
        Wish::Dialect(Dialect::OpenAi) => {
            Some("speaks anthropic, the call is openai, and translation is not built yet".into())
        }
        Wish::Dialect(Dialect::Anthropic) => {
            Some("speaks openai, the call is anthropic, and translation is not built yet".into())
        }
        Wish::Passthrough if link.passthrough => None,
        Wish::Passthrough => Some("its provider has no `passthrough: true`".into()),
    }
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
