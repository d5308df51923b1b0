//! What is known about each target right now. Survives a reload: the same target keeps its health.
//!
//! Health sits behind one small mutex for each target, held for some tens of nanoseconds and never across an await:
//! its parts (breaker, averages, ejection) change together, and no call ever takes two of them at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tradewind_core::{Moment, TargetId};
use tradewind_decide::{
    Admission, Health, HealthSettings, HealthView, Observation, Prior, PriorView, Quota, QuotaView, Sample,
};

/// The live side of one target.
#[derive(Debug)]
pub struct Target {
    id: TargetId,
    health: Mutex<Health>,
    in_flight: AtomicU32,
    tokens_in_flight: AtomicU64,
    queued: AtomicU32,
    left: Notify,
    max_in_flight: AtomicU32,
    max_queue: AtomicU32,
    outside: Mutex<Outside>,
}

/// What others say about a target's load: its provider's rate limits, and Prometheus.
#[derive(Debug, Default)]
struct Outside {
    quota: Option<Quota>,
    prior: Option<Prior>,
}

/// A permit to use a target; gives it back when dropped.
#[derive(Debug)]
pub struct Entered {
    target: Arc<Target>,
    tokens: u64,
}

impl Target {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> &TargetId {
        &self.id
    }

    /// Sets how many calls may be in flight and how many may wait for one of them to end.
    pub fn set_limits(&self, max_in_flight: u32, max_queue: u32) {
        self.max_in_flight.store(max_in_flight, Ordering::Relaxed);
        self.max_queue.store(max_queue, Ordering::Relaxed);
        self.left.notify_waiters();
    }

    /// Calls in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Estimated tokens of the calls in flight.
    #[must_use]
    pub fn tokens_in_flight(&self) -> u64 {
        self.tokens_in_flight.load(Ordering::Relaxed)
    }

    /// Calls that wait for a permit.
    #[must_use]
    pub fn queued(&self) -> u32 {
        self.queued.load(Ordering::Relaxed)
    }

    /// Whether every permit is taken.
    #[must_use]
    pub fn is_saturated(&self) -> bool {
        self.in_flight() >= self.max_in_flight.load(Ordering::Relaxed)
    }

    /// Its health as `decide` wants it.
    #[must_use]
    pub fn view(&self, settings: &HealthSettings, now: Moment) -> HealthView {
        self.health.lock().view(settings, now)
    }

    /// Asks the breaker; a half-open one hands out its probe slot here.
    pub fn admit(&self, settings: &HealthSettings, now: Moment) -> Admission {
        self.health.lock().admit(settings, now)
    }

    /// Tells how an attempt went.
    pub fn record(&self, settings: &HealthSettings, now: Moment, observation: &Observation) {
        self.health.lock().record(settings, now, observation);
    }

    /// Takes it out of the choice for a while: it is an outlier among its group.
    pub fn eject(&self, settings: &HealthSettings, now: Moment) {
        self.health.lock().eject(settings, now);
    }

    /// Takes note of what its provider says about its limits.
    pub fn note_quota(&self, quota: Quota) {
        self.outside.lock().quota = Some(quota);
    }

    /// What is left of its provider's limits, as far as is known and worth saying.
    #[must_use]
    pub fn quota(&self, now: Moment) -> Option<QuotaView> {
        self.outside.lock().quota.as_ref()?.at(now)
    }

    /// Takes note of what Prometheus says, or that it says nothing. It is asked every `interval`.
    pub fn note_prior(&self, now: Moment, interval: Duration, sample: Sample) {
        self.outside.lock().prior.get_or_insert_with(|| Prior::new(interval)).record(now, sample);
    }

    /// Forgets what Prometheus has said: it is not asked any more.
    pub fn forget_prior(&self) {
        self.outside.lock().prior = None;
    }

    /// The correction of its load by what Prometheus says; 1 when it says nothing.
    #[must_use]
    pub fn prior(&self, now: Moment) -> f64 {
        self.outside.lock().prior.as_ref().map_or(1.0, |prior| prior.at(now))
    }

    /// All that is known of what Prometheus says; nothing when it is not asked, or has not been yet.
    #[must_use]
    pub fn prior_view(&self, now: Moment) -> Option<PriorView> {
        self.outside.lock().prior.as_ref().map(|prior| prior.view(now))
    }

    /// The quantile `q` of its times to first byte, once enough are known.
    #[must_use]
    pub fn first_byte_quantile(&self, q: f64) -> Option<Duration> {
        self.health.lock().first_byte_quantile(q)
    }

    /// Takes a permit if one is free. `tokens` is the estimate of what the call will use.
    pub fn try_enter(self: &Arc<Self>, tokens: u64) -> Option<Entered> {
        let limit = self.max_in_flight.load(Ordering::Relaxed);
        let taken = self
            .in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < limit).then_some(now.saturating_add(1)));
        taken.ok()?;
        self.tokens_in_flight.fetch_add(tokens, Ordering::Relaxed);
        Some(Entered { target: self.clone(), tokens })
    }

    /// Waits for a permit; `None` at once when as many wait as may. The caller bounds the time.
    pub async fn enter(self: &Arc<Self>, tokens: u64) -> Option<Entered> {
        if let Some(entered) = self.try_enter(tokens) {
            return Some(entered);
        }
        let limit = self.max_queue.load(Ordering::Relaxed);
        let place = self.queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
            (waiting < limit).then_some(waiting.saturating_add(1))
        });
        place.ok()?;
        let _place = QueuePlace(self);
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if let Some(entered) = self.try_enter(tokens) {
                return Some(entered);
            }
            left.await;
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.target.tokens_in_flight.fetch_sub(self.tokens, Ordering::Relaxed);
        self.target.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.target.queued() > 0 {
            self.target.left.notify_one();
        }
    }
}

/// A place in a target's queue, given back however the wait ends.
struct QueuePlace<'a>(&'a Target);

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
        // A permit that was meant for this place must not be lost with it.
        self.0.left.notify_one();
    }
}

/// All targets that any snapshot has named. Looked up when a snapshot is built, never by a call.
#[derive(Debug, Default)]
pub struct Targets {
    known: Mutex<HashMap<TargetId, Arc<Target>>>,
}

impl Targets {
    /// The live side of `id`; a new one begins healthy.
    pub fn get(&self, id: &TargetId, now: Moment) -> Arc<Target> {
        let mut known = self.known.lock();
        if let Some(target) = known.get(id) {
            return target.clone();
        }
        let target = Arc::new(Target {
            id: id.clone(),
            health: Mutex::new(Health::new(now, fastrand::u64(..))),
            in_flight: AtomicU32::new(0),
            tokens_in_flight: AtomicU64::new(0),
            queued: AtomicU32::new(0),
            left: Notify::new(),
            max_in_flight: AtomicU32::new(u32::MAX),
            outside: Mutex::default(),
            max_queue: AtomicU32::new(0),
        });
        known.insert(id.clone(), target.clone());
        target
    }

    /// Forgets the targets that no snapshot and no call holds any more.
    pub fn forget_unused(&self) {
        self.known.lock().retain(|_, target| Arc::strong_count(target) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(max_in_flight: u32, max_queue: u32) -> Arc<Target> {
        let target = Targets::default().get(&TargetId::new("sim/fast"), Moment::START);
        target.set_limits(max_in_flight, max_queue);
        target
    }

    #[tokio::test]
    async fn permits_are_bounded_and_the_queue_too() {
        let target = target(1, 1);
        let first = target.try_enter(10).unwrap();
        assert!(target.try_enter(10).is_none());
        assert!(target.is_saturated());
        let waiting = target.enter(5);
        tokio::pin!(waiting);
        tokio::select! { biased; _ = &mut waiting => panic!("no permit is free"), () = std::future::ready(()) => {} }
        assert_eq!(target.queued(), 1);
        assert!(target.enter(5).await.is_none(), "the queue is full");
        drop(first);
        let second = waiting.await.unwrap();
        assert_eq!((target.in_flight(), target.tokens_in_flight(), target.queued()), (1, 5, 0));
        drop(second);
        assert_eq!((target.in_flight(), target.tokens_in_flight()), (0, 0));
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_leaves_no_place_taken() {
        let target = target(1, 1);
        let held = target.try_enter(0).unwrap();
        let gave_up = tokio::time::timeout(Duration::from_millis(1), target.enter(0)).await;
        assert!(gave_up.is_err());
        assert_eq!(target.queued(), 0);
        drop(held);
        assert!(target.try_enter(0).is_some());
    }
}
