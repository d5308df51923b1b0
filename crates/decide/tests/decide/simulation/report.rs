//! What is counted in a simulation, and the questions that tests ask of it.

use std::ops::Range;
use std::time::Duration;

use tradewind_core::Moment;

use super::gateway::Gateway;

/// One second of one server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Second {
    /// Attempts that began.
    pub(crate) attempts: u32,
    /// The most calls under way at once.
    pub(crate) most_in_flight: u32,
    /// Whether it was out of use when the second began.
    pub(crate) out: bool,
}

/// The course of one simulation.
pub(crate) struct Report {
    /// Time to the first byte of each answered call, fallbacks included; sorted when asked.
    waits: Vec<Duration>,
    pub(crate) failed: usize,
    /// Attempts beyond the first of a call.
    extra: usize,
    /// By server, then by second.
    seconds: Vec<Vec<Second>>,
}

impl Report {
    pub(crate) fn new(servers: usize, length: Duration) -> Self {
        let length = length.as_secs() as usize;
        Self { waits: Vec::new(), failed: 0, extra: 0, seconds: vec![vec![Second::default(); length]; servers] }
    }

    pub(crate) fn answered(&mut self, wait: Duration) {
        self.waits.push(wait);
    }

    pub(crate) fn failed(&mut self) {
        self.failed += 1;
    }

    pub(crate) fn attempt(&mut self, now: Moment, server: usize, first: bool, gateway: &Gateway) {
        self.extra += usize::from(!first);
        // What begins after the last arrival is a fallback of a call that is counted already.
        if let Some(second) = self.seconds[server].get_mut((now.micros() / 1_000_000) as usize) {
            second.attempts += 1;
            second.most_in_flight = second.most_in_flight.max(gateway.in_flight(server));
        }
    }

    pub(crate) fn tick(&mut self, now: Moment, gateway: &Gateway) {
        for (server, seconds) in self.seconds.iter_mut().enumerate() {
            if let Some(second) = seconds.get_mut((now.micros() / 1_000_000) as usize) {
                second.out = gateway.is_out(server, now);
            }
        }
    }

    fn calls(&self) -> usize {
        self.waits.len() + self.failed
    }

    pub(crate) fn servers(&self) -> usize {
        self.seconds.len()
    }

    /// How many seconds calls arrived for.
    pub(crate) fn length(&self) -> usize {
        self.seconds[0].len()
    }

    /// Attempts beyond the first, by calls.
    pub(crate) fn extra_share(&self) -> f64 {
        self.extra as f64 / self.calls() as f64
    }

    /// Failed calls by all.
    pub(crate) fn failed_share(&self) -> f64 {
        self.failed as f64 / self.calls() as f64
    }

    /// Seconds to the first byte under which a share `q` of the answered calls stayed.
    pub(crate) fn wait(&mut self, q: f64) -> f64 {
        self.waits.sort_unstable();
        let index = ((self.waits.len() as f64 * q) as usize).min(self.waits.len() - 1);
        self.waits[index].as_secs_f64()
    }

    /// The seconds of `server` within a stretch of time.
    pub(crate) fn seconds(&self, server: usize, within: Range<usize>) -> &[Second] {
        &self.seconds[server][within]
    }

    /// Attempts at `server` within a stretch of time.
    pub(crate) fn attempts(&self, server: usize, within: Range<usize>) -> u32 {
        self.seconds(server, within).iter().map(|second| second.attempts).sum()
    }

    /// The share of all attempts that went to `server` within a stretch of time.
    pub(crate) fn share(&self, server: usize, within: Range<usize>) -> f64 {
        let all: u32 = (0..self.seconds.len()).map(|other| self.attempts(other, within.clone())).sum();
        f64::from(self.attempts(server, within)) / f64::from(all)
    }

    /// How unsteady the attempts at `server` are: variance by mean of their number in a second. 1 where each call is sent
    /// by chance, less where in turn; far more where all flock to one server and then to another.
    pub(crate) fn unsteadiness(&self, server: usize, within: Range<usize>) -> f64 {
        let attempts: Vec<f64> = self.seconds(server, within).iter().map(|second| f64::from(second.attempts)).collect();
        let mean = attempts.iter().sum::<f64>() / attempts.len() as f64;
        let squares: f64 = attempts.iter().map(|attempts| (attempts - mean).powi(2)).sum();
        squares / attempts.len() as f64 / mean
    }

    /// The most calls that were under way at once at `server` within a stretch of time.
    pub(crate) fn most_in_flight(&self, server: usize, within: Range<usize>) -> u32 {
        self.seconds(server, within).iter().map(|second| second.most_in_flight).max().unwrap_or(0)
    }
}
