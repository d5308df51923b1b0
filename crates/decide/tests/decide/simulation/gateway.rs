//! Who picks the server: Tradewind's strategies, driven as `dispatch` drives them, and the simple ones to compare with.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use tradewind_core::{ModelName, Moment, TargetId};
use tradewind_decide::{
    Admission, BreakerView, Facts, Group, Health, HealthSettings, HealthView, KeysView, Member, Observation, Prior,
    RetryBudget, Sample, ScoreFacts, Scoring, Strategy, decide, outliers,
};

use super::scraped::{Rule, Scraped};

/// How the order of servers is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Picker {
    /// The next in turn; no breakers.
    RoundRobin,
    /// The one with the fewest calls of ours under way; no breakers.
    LeastInFlight,
    /// The one of two drawn at random with fewer calls of ours under way; no breakers.
    TwoInFlight,
    /// By metrics that are read once in so many seconds; no breakers.
    Scraped(Rule, u64),
    /// Ours.
    Ours(Strategy),
    /// Ours, by load only.
    Load {
        /// The slow prior, if there is one.
        prior: Option<Polled>,
        /// Of softmax.
        temperature: Option<f64>,
    },
}

/// What a prior is made of; polled once in 15 seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Polled {
    /// The share of slots in use, over about a minute.
    Average,
    /// The share of slots in use at that moment.
    Instant,
    /// The contrary of the truth: the slower a server, the better.
    Lie,
}

impl fmt::Display for Picker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoundRobin => f.pad("round robin"),
            Self::LeastInFlight => f.pad("least in flight"),
            Self::TwoInFlight => f.pad("P2C in flight"),
            Self::Scraped(rule, refresh) => f.pad(&format!("{rule}, {refresh} s old")),
            Self::Ours(strategy) => f.pad(strategy.name()),
            Self::Load { prior: None, temperature: None } => f.pad("score"),
            Self::Load { temperature: Some(temperature), .. } => f.pad(&format!("score, softmax T={temperature}")),
            Self::Load { prior: Some(Polled::Average), .. } => f.pad("score, prior: use over a minute"),
            Self::Load { prior: Some(Polled::Instant), .. } => f.pad("score, prior: use at the moment"),
            Self::Load { prior: Some(Polled::Lie), .. } => f.pad("score, prior: a lie"),
        }
    }
}

/// What is known of one server.
struct Known {
    target: TargetId,
    health: Health,
    in_flight: u32,
    tokens: u64,
    prior: Prior,
    /// The share of its slots in use, over about a minute.
    averaged: f64,
}

/// How often the prior is polled.
const POLLED: u64 = 15;

/// The gateway's side of the simulation.
pub(crate) struct Gateway {
    picker: Picker,
    settings: HealthSettings,
    group: Group,
    servers: Vec<Known>,
    budget: RetryBudget,
    random: Rng,
    turn: usize,
    scraped: Vec<Scraped>,
    /// How well each server fits every call, where that counts.
    meaning: Vec<Option<f32>>,
}

impl Gateway {
    pub(crate) fn new(picker: Picker, servers: usize, seed: u64) -> Self {
        let known = |number| Known {
            target: TargetId::new(&format!("sim/{number}")),
            health: Health::new(Moment::START, seed.wrapping_mul(100) + number as u64),
            in_flight: 0,
            tokens: 0,
            prior: Prior::new(Duration::from_secs(POLLED)),
            averaged: 0.5,
        };
        let load_only = Scoring::new(0.0, 1.0, 0.0).expect("one weight is above 0");
        let (strategy, scoring) = match picker {
            Picker::Ours(strategy) => (strategy, Scoring::default()),
            Picker::Load { temperature: None, .. } => (Strategy::Score, load_only),
            Picker::Load { temperature: Some(temperature), .. } => {
                (Strategy::Score, load_only.softmax(temperature).expect("within its bounds"))
            }
            _ => (Strategy::Fallback, Scoring::default()),
        };
        let members = (0..servers).map(Member::target).collect();
        Self {
            picker,
            settings: HealthSettings::default(),
            group: Group::new(ModelName::new("sim"), strategy, members).scoring(scoring),
            servers: (0..servers).map(known).collect(),
            budget: RetryBudget::new(Moment::START, RetryBudget::SHARE),
            random: Rng::with_seed(seed),
            turn: 0,
            scraped: vec![Scraped::default(); servers],
            meaning: vec![None; servers],
        }
    }

    /// The same gateway, with how well each server fits every call.
    pub(crate) fn with_meaning(mut self, meaning: &[f32]) -> Self {
        self.meaning = meaning.iter().copied().map(Some).collect();
        self
    }

    /// The servers to try for a new call, in order.
    pub(crate) fn choose(&mut self, now: Moment) -> Vec<usize> {
        self.budget.deposit(now);
        let count = self.servers.len();
        self.turn += 1;
        match self.picker {
            Picker::RoundRobin => (0..count).map(|step| (self.turn + step) % count).collect(),
            Picker::LeastInFlight => {
                let mut order: Vec<usize> = (0..count).collect();
                self.random.shuffle(&mut order);
                order.sort_by_key(|server| self.servers[*server].in_flight);
                order
            }
            Picker::TwoInFlight => {
                let mut order: Vec<usize> = (0..count).collect();
                self.random.shuffle(&mut order);
                if self.servers[order[1]].in_flight < self.servers[order[0]].in_flight {
                    order.swap(0, 1);
                }
                order
            }
            Picker::Scraped(rule, _) => rule.order(&self.scraped, &mut self.random),
            Picker::Ours(_) | Picker::Load { .. } => {
                let mut facts: Vec<Facts<'_>> =
                    self.servers.iter().map(|known| known.facts(&self.settings, now)).collect();
                for (facts, meaning) in facts.iter_mut().zip(&self.meaning) {
                    facts.score.meaning = *meaning;
                }
                let decision = decide(&self.group, &facts, None, now, &mut self.random);
                decision.eligible().iter().map(|candidate| candidate.leaf).collect()
            }
        }
    }

    pub(crate) fn may_retry(&mut self, now: Moment) -> bool {
        self.budget.withdraw(now)
    }

    pub(crate) fn admit(&mut self, server: usize, now: Moment) -> bool {
        let guarded = matches!(self.picker, Picker::Ours(_) | Picker::Load { .. });
        !guarded || !matches!(self.servers[server].health.admit(&self.settings, now), Admission::No { .. })
    }

    pub(crate) fn started(&mut self, server: usize, tokens: u64) {
        self.servers[server].in_flight += 1;
        self.servers[server].tokens += tokens;
    }

    pub(crate) fn ended(&mut self, server: usize, tokens: u64) {
        self.servers[server].in_flight -= 1;
        self.servers[server].tokens -= tokens;
    }

    pub(crate) fn observe(&mut self, server: usize, now: Moment, observation: &Observation) {
        self.servers[server].health.record(&self.settings, now, observation);
    }

    /// Once a second: ejects outliers, and reads metrics when it is time to.
    pub(crate) fn tick(&mut self, now: Moment) {
        let second = now.micros() / 1_000_000;
        match self.picker {
            Picker::Scraped(_, refresh) if second.is_multiple_of(refresh) => {
                for (scraped, known) in self.scraped.iter_mut().zip(&self.servers) {
                    *scraped = Scraped::read(known.in_flight, &known.health.view(&self.settings, now));
                }
            }
            Picker::Load { prior: Some(polled), .. } if second.is_multiple_of(POLLED) => {
                for known in &mut self.servers {
                    known.poll(polled, &self.settings, now);
                }
            }
            _ => {}
        }
        let views: Vec<HealthView> = self.servers.iter().map(|known| known.health.view(&self.settings, now)).collect();
        for server in outliers(&self.settings, &views) {
            self.servers[server].health.eject(&self.settings, now);
        }
    }

    pub(crate) fn in_flight(&self, server: usize) -> u32 {
        self.servers[server].in_flight
    }

    /// Whether `server` is out of use, by its breaker or as an outlier.
    pub(crate) fn is_out(&self, server: usize, now: Moment) -> bool {
        let view = self.servers[server].health.view(&self.settings, now);
        view.breaker != BreakerView::Closed || view.ejected_until.is_some()
    }
}

impl Known {
    fn poll(&mut self, polled: Polled, settings: &HealthSettings, now: Moment) {
        let metrics = Scraped::read(self.in_flight, &self.health.view(settings, now));
        self.averaged += 0.25 * (metrics.used - self.averaged);
        let value = match polled {
            Polled::Average => 1.5 - self.averaged,
            Polled::Instant => 1.5 - metrics.used,
            // 0.25 s is usual here.
            Polled::Lie => metrics.seconds / 0.25,
        };
        self.prior.record(now, Sample::Value(value));
    }

    fn facts(&self, settings: &HealthSettings, now: Moment) -> Facts<'_> {
        Facts {
            target: &self.target,
            unfit: None,
            health: self.health.view(settings, now),
            in_flight: self.in_flight,
            tokens_in_flight: self.tokens,
            saturated: false,
            keys: KeysView::Ready,
            score: ScoreFacts { prior: self.prior.at(now), ..ScoreFacts::default() },
        }
    }
}
