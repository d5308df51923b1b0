//! Virtual time: calls arrive, a gateway sends them to servers, servers answer or fail, and everything is counted.
//!
//! A server works on `slots` calls at once and lets others wait in line. A call has a size, which stretches its prompt
//! (the time to the first byte) and its answer alike. No timeouts: a server that hangs is one that fails late.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use tradewind_core::{FaultKind, Moment};
use tradewind_decide::Observation;

use super::gateway::Gateway;
use super::report::Report;

/// How a server behaves at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// Median time to the first byte of a call of size 1, without waiting in line.
    pub(crate) first_byte: Duration,
    /// Median time from the first byte to the last.
    pub(crate) rest: Duration,
    /// Share of calls that fail.
    pub(crate) failing: f64,
    /// How long a failing call takes.
    pub(crate) fails_after: Duration,
}

impl Behaviour {
    /// 200 ms to the first byte, a second to the last, no failures.
    pub(crate) const GOOD: Self = Self {
        first_byte: Duration::from_millis(200),
        rest: Duration::from_millis(1000),
        failing: 0.0,
        fails_after: Duration::from_millis(2),
    };

    /// Every call fails within 2 ms.
    pub(crate) const BLACK_HOLE: Self = Self { failing: 1.0, ..Self::GOOD };

    pub(crate) const fn failing(mut self, share: f64) -> Self {
        self.failing = share;
        self
    }

    pub(crate) const fn slower(mut self, times: u32) -> Self {
        self.first_byte = self.first_byte.saturating_mul(times);
        self.rest = self.rest.saturating_mul(times);
        self
    }
}

/// How many calls a server works on at once.
pub(crate) const SLOTS: usize = 20;

/// One simulated target.
pub(crate) struct Server {
    slots: usize,
    course: Box<dyn Fn(Moment) -> Behaviour>,
    busy: usize,
    line: VecDeque<Attempt>,
}

impl Server {
    /// A server of [`SLOTS`] slots whose behaviour follows `course`.
    pub(crate) fn following(course: impl Fn(Moment) -> Behaviour + 'static) -> Self {
        Self { slots: SLOTS, course: Box::new(course), busy: 0, line: VecDeque::new() }
    }

    /// A server that always behaves in one way.
    pub(crate) fn steady(behaviour: Behaviour) -> Self {
        Self::following(move |_| behaviour)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attempt {
    call: usize,
    server: usize,
    started: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival,
    FirstByte(Attempt),
    LastByte(Attempt),
    Failure(Attempt),
    /// A second has passed.
    Tick,
}

struct Call {
    arrived: Moment,
    size: f64,
    /// Servers still to try, the next one last.
    candidates: Vec<usize>,
}

/// A world of servers and a steady flow of calls.
pub(crate) struct World {
    servers: Vec<Server>,
    calls_a_second: f64,
    length: Duration,
    random: Rng,
    now: Moment,
    /// Ordered by time, then by the order of scheduling.
    agenda: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    scheduled: u64,
    calls: Vec<Call>,
}

impl World {
    pub(crate) fn new(servers: Vec<Server>, calls_a_second: f64, length: Duration, seed: u64) -> Self {
        Self {
            servers,
            calls_a_second,
            length,
            random: Rng::with_seed(seed),
            now: Moment::START,
            agenda: BinaryHeap::new(),
            scheduled: 0,
            calls: Vec::new(),
        }
    }

    /// Runs to the end of the arrivals and until every call is over.
    pub(crate) fn run(mut self, gateway: &mut Gateway) -> Report {
        let mut report = Report::new(self.servers.len(), self.length);
        let end = Moment::START + self.length;
        self.schedule(Duration::ZERO, Event::Arrival);
        self.schedule(Duration::ZERO, Event::Tick);
        while let Some(Reverse((at, _, event))) = self.agenda.pop() {
            self.now = at;
            match event {
                Event::Arrival if at < end => self.arrive(gateway, &mut report),
                Event::Tick if at < end => {
                    gateway.tick(at);
                    report.tick(at, gateway);
                    self.schedule(Duration::from_secs(1), Event::Tick);
                }
                Event::Arrival | Event::Tick => {}
                Event::FirstByte(attempt) => {
                    let first_byte = at.since(attempt.started);
                    gateway.observe(attempt.server, at, &Observation::Success { first_byte });
                    report.answered(at.since(self.calls[attempt.call].arrived));
                }
                Event::LastByte(attempt) => self.leave(attempt, gateway),
                Event::Failure(attempt) => {
                    let after = at.since(attempt.started);
                    let failure = Observation::Failure { kind: FaultKind::ServerError, after };
                    gateway.observe(attempt.server, at, &failure);
                    self.leave(attempt, gateway);
                    self.try_next(attempt.call, false, gateway, &mut report);
                }
            }
        }
        report
    }

    fn arrive(&mut self, gateway: &mut Gateway, report: &mut Report) {
        let pause = -(1.0 - self.random.f64()).ln() / self.calls_a_second;
        self.schedule(Duration::from_secs_f64(pause), Event::Arrival);
        let size = log_normal(0.6, &mut self.random);
        let mut candidates = gateway.choose(self.now);
        candidates.reverse();
        self.calls.push(Call { arrived: self.now, size, candidates });
        self.try_next(self.calls.len() - 1, true, gateway, report);
    }

    fn try_next(&mut self, call: usize, first: bool, gateway: &mut Gateway, report: &mut Report) {
        if !first && !gateway.may_retry(self.now) {
            report.failed();
            return;
        }
        while let Some(server) = self.calls[call].candidates.pop() {
            if !gateway.admit(server, self.now) {
                continue;
            }
            gateway.started(server, tokens(self.calls[call].size));
            report.attempt(self.now, server, first, gateway);
            let attempt = Attempt { call, server, started: self.now };
            if self.servers[server].busy < self.servers[server].slots {
                self.serve(attempt);
            } else {
                self.servers[server].line.push_back(attempt);
            }
            return;
        }
        report.failed();
    }

    fn serve(&mut self, attempt: Attempt) {
        let server = &mut self.servers[attempt.server];
        server.busy += 1;
        let behaviour = (server.course)(self.now);
        let stretch = self.calls[attempt.call].size * log_normal(0.2, &mut self.random);
        if self.random.f64() < behaviour.failing {
            self.schedule(behaviour.fails_after, Event::Failure(attempt));
            return;
        }
        let first_byte = behaviour.first_byte.mul_f64(stretch);
        self.schedule(first_byte, Event::FirstByte(attempt));
        self.schedule(first_byte + behaviour.rest.mul_f64(stretch), Event::LastByte(attempt));
    }

    /// Frees the slot of an attempt that is over and lets the next in line have it.
    fn leave(&mut self, attempt: Attempt, gateway: &mut Gateway) {
        gateway.ended(attempt.server, tokens(self.calls[attempt.call].size));
        let server = &mut self.servers[attempt.server];
        server.busy -= 1;
        if let Some(next) = server.line.pop_front() {
            self.serve(next);
        }
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.scheduled += 1;
        self.agenda.push(Reverse((self.now + after, self.scheduled, event)));
    }
}

fn tokens(size: f64) -> u64 {
    (size * 1000.0) as u64
}

/// Around 1, with this spread (standard deviation of the logarithm); by Box and Muller.
fn log_normal(spread: f64, random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    (spread * radius * (std::f64::consts::TAU * random.f64()).cos()).exp()
}
