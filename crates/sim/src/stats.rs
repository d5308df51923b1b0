//! What a sim has seen: every request, how it ended, and counts. Bounded: the last [`KEPT_REQUESTS`] requests with at
//! most [`KEPT_BODY`] bytes of body each; the counts go on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

/// How many requests are remembered.
pub const KEPT_REQUESTS: usize = 4096;
/// How much of a body is remembered, in bytes.
pub const KEPT_BODY: usize = 16 * 1024;

/// Of how many models the charges are kept apart; those of any further one are added up as `(other)`.
const KEPT_MODELS: usize = 4096;

/// What a client owes for calls: tokens as the sim counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Charges {
    /// Calls that were accepted, however they ended.
    pub calls: u64,
    /// Tokens of prompts, cached ones included.
    pub input: u64,
    /// Of `input`, read from a cache.
    pub cached: u64,
    /// Of `input`, written to a cache.
    pub cache_creation: u64,
    /// Tokens that were sent: of a stream as far as it came, of a whole answer all as soon as it begins.
    pub output: u64,
    /// Of `output`, reasoning; counted with the last token.
    pub reasoning: u64,
}

impl Charges {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.input += other.input;
        self.cached += other.cached;
        self.cache_creation += other.cache_creation;
        self.output += other.output;
        self.reasoning += other.reasoning;
    }
}

/// A part of what one request costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    /// The number of the request.
    pub(crate) request: u64,
    pub(crate) model: Arc<str>,
    pub(crate) charges: Charges,
}

/// How a request ended, as the sim sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It is still being answered.
    Open,
    /// All that was to be sent has been sent.
    Complete,
    /// The client went away before that.
    ClientGone,
    /// The sim broke it off, as a fault asked for.
    BrokenOff,
}

/// A request as it was received.
#[derive(Clone, Debug, Serialize)]
pub struct SeenRequest {
    /// Counts from 1.
    pub number: u64,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
    /// As sent.
    pub method: String,
    /// With its query.
    pub path: String,
    /// The model that the body names, without what stands behind `!`.
    pub model: Option<String>,
    /// In the order and case of the wire. HTTP/2: lower case, without pseudo-headers.
    pub headers: Vec<(String, String)>,
    /// At most [`KEPT_BODY`] bytes; not UTF-8 is replaced.
    pub body: String,
    /// Length of the body, in bytes.
    pub body_bytes: usize,
    /// The fault that it got.
    pub fault: Option<String>,
    /// How it ended.
    pub ending: Ending,
    /// What it cost so far.
    pub charged: Charges,
}

impl SeenRequest {
    /// The first value of a header; names are compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Counts since the sim was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SimStats {
    /// The sim's name.
    pub name: String,
    /// Requests to anything but `/sim/`.
    pub requests: u64,
    /// Requests that are being answered now.
    pub in_flight: u64,
    /// Requests whose answer was sent to its end.
    pub complete: u64,
    /// Requests whose client went away before that.
    pub cancelled: u64,
    /// Requests that a fault broke off.
    pub broken_off: u64,
    /// Connections that were accepted, TLS handshakes that failed included.
    pub connections: u64,
    /// Connections that are open now.
    pub open_connections: u64,
    /// TLS handshakes that failed.
    pub failed_handshakes: u64,
    /// Visits to the place that the `redirect` fault points to.
    pub followed_redirects: u64,
    /// Requests by path, without the query.
    pub paths: BTreeMap<String, u64>,
    /// Requests by fault.
    pub faults: BTreeMap<String, u64>,
    /// What clients owe, by model; the number of models is bounded, see `(other)`.
    pub charges: BTreeMap<String, Charges>,
}

#[derive(Default)]
struct Seen {
    stats: SimStats,
    requests: VecDeque<SeenRequest>,
}

/// The record, shared by all connections.
#[derive(Default)]
pub(crate) struct Recorder {
    seen: Mutex<Seen>,
    changed: Notify,
}

impl Recorder {
    /// Changes the counts.
    pub(crate) fn count(&self, change: impl FnOnce(&mut SimStats)) {
        change(&mut self.seen.lock().stats);
        self.changed.notify_waiters();
    }

    pub(crate) fn stats(&self) -> SimStats {
        self.seen.lock().stats.clone()
    }

    pub(crate) fn requests(&self) -> Vec<SeenRequest> {
        self.seen.lock().requests.iter().cloned().collect()
    }

    /// Takes down a request and gives it its number.
    pub(crate) fn begin(&self, mut request: SeenRequest) -> u64 {
        let mut guard = self.seen.lock();
        let seen = &mut *guard;
        seen.stats.requests += 1;
        seen.stats.in_flight += 1;
        request.number = seen.stats.requests;
        let path = request.path.split('?').next().unwrap_or_default().to_owned();
        // A stranger may ask for ever new paths; the table stays small.
        if seen.stats.paths.len() < 1000 || seen.stats.paths.contains_key(&path) {
            *seen.stats.paths.entry(path).or_default() += 1;
        }
        if seen.requests.len() == KEPT_REQUESTS {
            seen.requests.pop_front();
        }
        seen.requests.push_back(request);
        let number = seen.stats.requests;
        drop(guard);
        self.changed.notify_waiters();
        number
    }

    /// Notes the body of a request.
    pub(crate) fn body(&self, number: u64, body: String, bytes: usize) {
        self.change(number, |_, request| {
            if let Some(request) = request {
                request.body = body;
                request.body_bytes = bytes;
            }
        });
    }

    /// Notes which model a request is for.
    pub(crate) fn model(&self, number: u64, model: &str) {
        self.change(number, |_, request| {
            if let Some(request) = request {
                request.model = Some(model.to_owned());
            }
        });
    }

    /// Notes what a request costs, in addition to what was noted before.
    pub(crate) fn charge(&self, charge: &Charge) {
        self.change(charge.request, |stats, request| {
            let known = stats.charges.len() < KEPT_MODELS || stats.charges.contains_key(&*charge.model);
            let model = if known { &*charge.model } else { "(other)" };
            match stats.charges.get_mut(model) {
                Some(sum) => sum.add(charge.charges),
                None => drop(stats.charges.insert(model.to_owned(), charge.charges)),
            }
            if let Some(request) = request {
                request.charged.add(charge.charges);
            }
        });
    }

    /// Notes which fault a request gets.
    pub(crate) fn fault(&self, number: u64, fault: &str) {
        self.change(number, |stats, request| {
            *stats.faults.entry(fault.to_owned()).or_default() += 1;
            if let Some(request) = request {
                request.fault = Some(fault.to_owned());
            }
        });
    }

    /// Notes how a request ended.
    pub(crate) fn end(&self, number: u64, ending: Ending) {
        self.change(number, |stats, request| {
            stats.in_flight -= 1;
            match ending {
                Ending::Complete => stats.complete += 1,
                Ending::ClientGone => stats.cancelled += 1,
                Ending::BrokenOff | Ending::Open => stats.broken_off += 1,
            }
            if let Some(request) = request {
                request.ending = ending;
            }
        });
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut SimStats, Option<&mut SeenRequest>)) {
        let mut guard = self.seen.lock();
        let seen = &mut *guard;
        let first = seen.requests.front().map_or(0, |request| request.number);
        let request =
            number.checked_sub(first).and_then(|at| usize::try_from(at).ok()).and_then(|at| seen.requests.get_mut(at));
        change(&mut seen.stats, request);
        drop(guard);
        self.changed.notify_waiters();
    }

    /// Waits until `holds` is true of the counts; false when it was not in time.
    pub(crate) async fn wait_until(&self, within: Duration, holds: impl Fn(&SimStats) -> bool) -> bool {
        self.wait(within, |seen| holds(&seen.stats)).await
    }

    /// Waits until a request has come that `is_it`; false when it was not in time.
    pub(crate) async fn wait_for(&self, within: Duration, is_it: impl Fn(&SeenRequest) -> bool) -> bool {
        self.wait(within, |seen| seen.requests.iter().any(&is_it)).await
    }

    async fn wait(&self, within: Duration, holds: impl Fn(&Seen) -> bool) -> bool {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(&self.seen.lock()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(within, wait).await.is_ok()
    }
}
