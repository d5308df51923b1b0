//! Who picks the server: Tradewind's strategies, driven as `dispatch` drives them, and the simple ones to compare with.

use std::fmt;

use fastrand::Rng;
use tradewind_core::{ModelName, Moment, TargetId};
use tradewind_decide::{
    Admission, BreakerView, Facts, Group, Health, HealthSettings, HealthView, KeysView, Member, Observation,
    RetryBudget, Strategy, decide, outliers,
};

/// How the order of servers is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Picker {
    /// The next in turn; no breakers.
    RoundRobin,
    /// The one with the fewest calls of ours under way; no breakers.
    LeastInFlight,
    /// Ours.
    Ours(Strategy),
}

impl fmt::Display for Picker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoundRobin => f.pad("round robin"),
            Self::LeastInFlight => f.pad("least in flight"),
            Self::Ours(strategy) => f.pad(strategy.name()),
        }
    }
}

/// What is known of one server.
struct Known {
    target: TargetId,
    health: Health,
    in_flight: u32,
    tokens: u64,
}

/// The gateway's side of the simulation.
pub(crate) struct Gateway {
    picker: Picker,
    settings: HealthSettings,
    group: Group,
    servers: Vec<Known>,
    budget: RetryBudget,
    random: Rng,
    turn: usize,
}

impl Gateway {
    pub(crate) fn new(picker: Picker, servers: usize, seed: u64) -> Self {
        let known = |number| Known {
            target: TargetId::new(&format!("sim/{number}")),
            health: Health::new(Moment::START, seed.wrapping_mul(100) + number as u64),
            in_flight: 0,
            tokens: 0,
        };
        let strategy = if let Picker::Ours(strategy) = picker { strategy } else { Strategy::Fallback };
        Self {
            picker,
            settings: HealthSettings::default(),
            group: Group::new(ModelName::new("sim"), strategy, (0..servers).map(Member::target).collect()),
            servers: (0..servers).map(known).collect(),
            budget: RetryBudget::new(Moment::START, RetryBudget::SHARE),
            random: Rng::with_seed(seed),
            turn: 0,
        }
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
            Picker::Ours(_) => {
                let facts: Vec<Facts<'_>> = self.servers.iter().map(|known| known.facts(&self.settings, now)).collect();
                let decision = decide(&self.group, &facts, None, now, &mut self.random);
                decision.eligible().iter().map(|candidate| candidate.leaf).collect()
            }
        }
    }

    pub(crate) fn may_retry(&mut self, now: Moment) -> bool {
        self.budget.withdraw(now)
    }

    pub(crate) fn admit(&mut self, server: usize, now: Moment) -> bool {
        let guarded = matches!(self.picker, Picker::Ours(_));
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

    /// Once a second: ejects outliers.
    pub(crate) fn tick(&mut self, now: Moment) {
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
    fn facts(&self, settings: &HealthSettings, now: Moment) -> Facts<'_> {
        Facts {
            target: &self.target,
            unfit: None,
            health: self.health.view(settings, now),
            in_flight: self.in_flight,
            tokens_in_flight: self.tokens,
            saturated: false,
            keys: KeysView::Ready,
        }
    }
}
