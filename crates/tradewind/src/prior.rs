//! Asks Prometheus, now and then, how much each target can take, and hands on what it says.
//!
//! Off the way of any call: one task asks one query after the other, over the same egress as everything else, and what it
//! learns is a hint that decides nothing alone. So a Prometheus that lies, hangs, sends garbage or disappears costs no
//! call: each of these is a failure, counted, and said once when it begins and once when it ends. How a hint ages and how
//! far it is trusted is `decide`'s.
//!
//! Bounds: [`MOST_QUERIES`] queries, one at a time, each within its timeout and with an answer of at most 256 KiB. After
//! two in a row that nobody answered the rest of a round is not asked, and the next round begins with another query, so
//! that one that hangs does not silence those behind it. Times are spread by a tenth, so that many gateways do not ask at
//! once.

mod ask;
mod changes;
mod reply;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tradewind_core::{Clock, Moment, TargetId};
use tradewind_egress::{Egress, Roots};
use tradewind_policy::{MOST_QUERIES, Prometheus};
use tradewind_runtime::{Kind, Supervisor};

use self::ask::Source;
use self::changes::Changes;
pub use self::reply::PriorFailure;

/// After so many queries in a row that nobody answered, the rest of a round is not asked.
const MOST_UNANSWERED: usize = 2;

/// What becomes of each poll: the target, when the answer came, and the number or why there is none.
pub type PriorFeed = Box<dyn Fn(&TargetId, Moment, Result<f64, &PriorFailure>) + Send + Sync>;

/// What is asked about one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorQuery {
    /// The target.
    pub target: TargetId,
    /// The query, in PromQL.
    pub query: String,
}

/// How polling has gone since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PriorStats {
    /// Numbers that came.
    pub samples: u64,
    /// Polls that brought none.
    pub failures: u64,
}

/// What will be asked of whom: see [`PriorPoller::plan`].
#[must_use = "a plan that nobody follows changes nothing"]
pub struct PriorPlan(Option<Arc<Plan>>);

/// The poller. Its task ends when this is dropped.
pub struct PriorPoller {
    plan: watch::Sender<Option<Arc<Plan>>>,
    counts: Arc<Counts>,
    egress: Arc<Egress>,
    roots: Roots,
}

#[derive(Default)]
struct Counts {
    samples: AtomicU64,
    failures: AtomicU64,
}

/// What is asked of whom, and how often.
struct Plan {
    settings: Prometheus,
    queries: Vec<PriorQuery>,
    source: Source,
}

impl fmt::Debug for PriorPoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorPoller").field("stats", &self.stats()).finish()
    }
}

impl PriorPoller {
    /// A poller that asks nobody yet. `feed` is told of every poll; `log` is given a line whenever something changes.
    #[must_use]
    pub fn start(
        egress: Arc<Egress>,
        roots: Roots,
        supervisor: &Supervisor,
        clock: Arc<dyn Clock>,
        feed: PriorFeed,
        log: Box<dyn Fn(&str) + Send + Sync>,
    ) -> Self {
        let (plan, plans) = watch::channel(None);
        let counts = Arc::new(Counts::default());
        let task = Task { counts: counts.clone(), clock, feed, log };
        supervisor.spawn(Kind::Upkeep, task.run(plans));
        Self { plan, counts, egress, roots }
    }

    /// Polls as `settings` say from now on; nobody without them or without queries. The same plan as before goes on
    /// undisturbed. Of more than [`MOST_QUERIES`] queries the first are asked.
    ///
    /// # Errors
    /// As [`Self::plan`]; then the plan of before stays.
    pub fn apply(&self, settings: Option<&Prometheus>, queries: Vec<PriorQuery>) -> Result<(), String> {
        self.follow(self.plan(settings, queries)?);
        Ok(())
    }

    /// What [`Self::apply`] would do, for [`Self::follow`]. Changes nothing yet.
    ///
    /// # Errors
    /// When the URL is not one of a server.
    pub fn plan(&self, settings: Option<&Prometheus>, mut queries: Vec<PriorQuery>) -> Result<PriorPlan, String> {
        queries.truncate(MOST_QUERIES);
        let Some(settings) = settings.filter(|_| !queries.is_empty()) else { return Ok(PriorPlan(None)) };
        let source = Source::new(settings, &self.egress, &self.roots)?;
        Ok(PriorPlan(Some(Arc::new(Plan { settings: settings.clone(), queries, source }))))
    }

    /// Polls as `plan` says from now on; the same as before goes on undisturbed.
    pub fn follow(&self, PriorPlan(next): PriorPlan) {
        self.plan.send_if_modified(|plan| {
            let is_same = match (&*plan, &next) {
                (None, None) => true,
                (Some(plan), Some(next)) => plan.settings == next.settings && plan.queries == next.queries,
                _ => false,
            };
            if !is_same {
                *plan = next;
            }
            !is_same
        });
    }

    /// How polling has gone.
    #[must_use]
    pub fn stats(&self) -> PriorStats {
        PriorStats {
            samples: self.counts.samples.load(Ordering::Relaxed),
            failures: self.counts.failures.load(Ordering::Relaxed),
        }
    }
}

struct Task {
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
    feed: PriorFeed,
    log: Box<dyn Fn(&str) + Send + Sync>,
}

impl Task {
    async fn run(self, mut plans: watch::Receiver<Option<Arc<Plan>>>) {
        let mut changes = Changes::default();
        loop {
            let plan = plans.borrow_and_update().clone();
            let polling = async {
                match &plan {
                    Some(plan) => self.poll(plan, &mut changes).await,
                    None => std::future::pending().await,
                }
            };
            let changed = tokio::select! {
                () = polling => return,
                changed = plans.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Asks round after round, for ever.
    async fn poll(&self, plan: &Plan, changes: &mut Changes) {
        changes.keep_only(&plan.queries);
        let interval = plan.settings.interval.get();
        tokio::time::sleep(interval.mul_f64(0.1 * fastrand::f64())).await;
        let mut first = 0;
        loop {
            let started = self.clock.now();
            self.round(plan, first, changes).await;
            for line in changes.lines(plan.source.name()) {
                (self.log)(&line);
            }
            first = (first + 1) % plan.queries.len();
            let took = self.clock.now().since(started);
            let wanted = interval.mul_f64(0.9 + 0.2 * fastrand::f64());
            // A round that took longer is followed by a pause all the same.
            tokio::time::sleep(wanted.saturating_sub(took).max(interval / 10)).await;
        }
    }

    async fn round(&self, plan: &Plan, first: usize, changes: &mut Changes) {
        let mut unanswered = 0;
        for offset in 0..plan.queries.len() {
            let query = &plan.queries[(first + offset) % plan.queries.len()];
            let answer = if unanswered < MOST_UNANSWERED {
                plan.source.ask(&query.query).await
            } else {
                Err(PriorFailure::NotAsked)
            };
            match &answer {
                Err(failure) if failure.is_nobody() => unanswered += 1,
                Err(PriorFailure::NotAsked) => {}
                _ => unanswered = 0,
            }
            let counter = if answer.is_ok() { &self.counts.samples } else { &self.counts.failures };
            counter.fetch_add(1, Ordering::Relaxed);
            (self.feed)(&query.target, self.clock.now(), answer.as_ref().copied());
            changes.note(&query.target, answer);
        }
    }
}

/// A time span as Prometheus reads it.
fn prometheus_duration(span: Duration) -> String {
    format!("{}ms", span.as_millis().max(1))
}
