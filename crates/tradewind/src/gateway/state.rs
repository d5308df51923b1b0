//! The state door of a gateway: its engine, what sweeps it, and what is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tradewind_core::{Clock, DecisionIds};
use tradewind_door_state::{Counted, Needs, Records, StateDoor, StateSection};
use tradewind_runtime::{Kind, Supervisor};
use tradewind_store::State;
use tradewind_telemetry::{Metrics, Sinks};
use tradewind_ways::Ways;

use crate::say;
use crate::state::Opened;

/// How often values are looked for whose time is over. A read sees no such value however late this is; watches do.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// So many are buried at once.
const SWEPT_AT_ONCE: usize = 256;

/// What the door is made with.
pub(super) struct Parts<'a> {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sinks: Arc<Sinks>,
    pub(super) ids: Arc<DecisionIds>,
    pub(super) ways: Ways,
    pub(super) supervisor: &'a Supervisor,
    pub(super) metrics: &'a Metrics,
}

/// The state door, and the engine below it.
pub(super) struct StatePort {
    door: StateDoor,
    opened: Opened,
}

impl StatePort {
    /// Serves what was opened, and begins to sweep.
    pub(super) fn start(section: &StateSection, policy: &str, opened: Opened, parts: Parts<'_>) -> Self {
        let Parts { clock, sinks, ids, ways, supervisor, metrics } = parts;
        let records = Records { sinks, ids, network: Box::new(move || ways.network_name()) };
        let needs = Needs { clock, stages: supervisor.stages().clone(), records: Some(records) };
        let door = StateDoor::new(opened.state(&section.settings), &section.settings, policy, needs);
        for note in door.state().facts().notes {
            say::note(format_args!("state: {note}"));
        }
        let swept = Arc::new(Counts::default());
        let states = [door.state(), opened.own_state()];
        let (sweeping, counting) = (door.clone(), swept.clone());
        supervisor.spawn(Kind::Upkeep, async move {
            wrap_again(states).await;
            keep_sweeping(sweeping, counting).await;
        });
        gauges(metrics, &door, swept);
        Self { door, opened }
    }

    pub(super) const fn door(&self) -> &StateDoor {
        &self.door
    }

    /// Goes on with the rules of another document. Its engine, durability and keys are looked at when a gateway starts.
    pub(super) fn put_in_place(&self, section: &StateSection, policy: &str) {
        self.door.put_in_place(self.opened.state(&section.settings), &section.settings, policy);
    }

    /// Lets the engine finish.
    pub(super) async fn close(&self) {
        if let Err(error) = self.opened.close().await {
            say::note(format_args!("state: {error}"));
        }
    }
}

/// Wraps data keys with the present master key that another one wrapped, so that the other one can go.
async fn wrap_again(states: [Arc<State>; 2]) {
    for state in states {
        match state.rewrap().await {
            Ok(0) => {}
            Ok(count) => say::note(format_args!("state: {count} data keys are wrapped again, with the present key")),
            Err(error) => say::note(format_args!("state: not all data keys are wrapped with the present key: {error}")),
        }
    }
}

/// Buries values whose time is over, and forgets tombstones that are old enough. Says when it cannot, and when it can again.
async fn keep_sweeping(door: StateDoor, counts: Arc<Counts>) {
    let mut works = true;
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        loop {
            match door.state().sweep(SWEPT_AT_ONCE).await {
                Ok(swept) => {
                    counts.expired.fetch_add(swept.expired, Ordering::Relaxed);
                    let before = counts.failing.swap(swept.failed, Ordering::Relaxed);
                    if swept.failed > before
                        && let Some((key, why)) = &swept.why
                    {
                        say::note(format_args!(
                            "state: keys whose time is over and that cannot be removed: {}, such as {key}: {why}\n  = hint: \
                             `tradewind state check` finds what is damaged, with the gateway stopped",
                            swept.failed
                        ));
                    }
                    if !std::mem::replace(&mut works, true) {
                        say::note("state: values whose time is over are removed again");
                    }
                    if !swept.more {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    if std::mem::replace(&mut works, false) {
                        say::note(format_args!("state: values whose time is over cannot be removed: {error}"));
                    }
                    break;
                }
            }
        }
    }
}

/// What is counted of the sweeping.
#[derive(Default)]
struct Counts {
    expired: AtomicU64,
    failing: AtomicU64,
}

/// Adds what the door counts beside calls to the metrics, which hold no door.
fn gauges(metrics: &Metrics, door: &StateDoor, swept: Arc<Counts>) {
    let count = |of: fn(Counted) -> u64| {
        let door = door.weak();
        move || door().map_or(0, |door: StateDoor| of(door.counted()))
    };
    let help = "Reads of state that were answered: values, lists, histories, differences";
    metrics.counter("tradewind_state_reads", help, count(|counted| counted.reads));
    let help = "Reads of state, and requests that are no operation of it, that were answered with an error";
    metrics.counter("tradewind_state_reads_refused", help, count(|counted| counted.refused_reads));
    let watches = count(|counted| counted.watches);
    metrics.gauge("tradewind_state_watches", "Watches of state that are open", move || {
        i64::try_from(watches()).unwrap_or(i64::MAX)
    });
    let help = "Values of state that are gone because their time was over";
    let counts = swept.clone();
    metrics.counter("tradewind_state_expired", help, move || counts.expired.load(Ordering::Relaxed));
    let help = "Keys of state whose time is over and which cannot be removed, because they cannot be read or written";
    metrics.gauge("tradewind_state_unremovable", help, move || {
        i64::try_from(swept.failing.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
    });
}
