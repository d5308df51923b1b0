//! Runs the callers of a load, closed loop or open loop, and gathers what they saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::{Caller, Watch, now};
use super::report::Tally;
use super::{Arrivals, LoadOptions, LoadReport};

/// How long calls that are still open at the end may take to finish.
const GRACE: Duration = Duration::from_secs(10);
/// How long after the end of an open loop calls that are due are still begun; what is left then is `unfinished`.
const BACKLOG: Duration = Duration::from_secs(5);
/// How long a caller waits behind a failed call, so that a dead target is not hammered.
const AFTER_FAILURE: Duration = Duration::from_millis(5);

/// Puts a load on its target, on a thread of its own, and tells what came of it.
///
/// # Errors
/// When no runtime can be made.
pub async fn put_load(options: LoadOptions) -> std::io::Result<LoadReport> {
    let gathered = tokio::task::spawn_blocking(move || drive(&options)).await;
    Ok(gathered.map_err(std::io::Error::other)??.report())
}

/// Runs a load on this thread.
pub(super) fn drive(options: &LoadOptions) -> std::io::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(drive_callers(options)))
}

async fn drive_callers(options: &LoadOptions) -> Tally {
    let begin = now();
    let plan = Arc::new(Plan {
        request: options.request(),
        stream: options.stream,
        begin,
        measure_from: begin + options.warm_up,
        end: begin + options.warm_up + options.lasting,
        next: AtomicU64::new(0),
        due: Semaphore::new(0),
    });
    let mut tasks = JoinSet::new();
    let (callers, rate) = match options.arrivals {
        Arrivals::Closed { callers } => (callers.max(1), None),
        Arrivals::Open { rate, connections } => (connections.max(1), Some(rate)),
    };
    for _ in 0..callers {
        let (plan, caller) = (Arc::clone(&plan), Caller::new(options.target));
        match rate {
            None => tasks.spawn(closed(plan, caller)),
            Some(rate) => tasks.spawn(open(plan, caller, rate)),
        };
    }
    if let Some(rate) = rate {
        let plan = Arc::clone(&plan);
        // It ends with the timetable, which is before the deadline below.
        drop(tokio::task::spawn_blocking(move || keep_timetable(&plan, rate, callers)));
    }
    let mut tally = Tally::new();
    // Put together at the very end: histograms are large, and the last calls are still on their way.
    let mut tallies = Vec::with_capacity(callers);
    let deadline = tokio::time::sleep(options.warm_up + options.lasting + GRACE);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            joined = tasks.join_next() => match joined {
                Some(Ok(gathered)) => tallies.push(gathered),
                Some(Err(_)) => tally.fail("unfinished"),
                None => break,
            },
            () = &mut deadline => {
                for _ in 0..tasks.len() {
                    tally.fail("unfinished");
                }
                break;
            }
        }
    }
    for gathered in &tallies {
        tally.join(gathered);
    }
    // Closed loop: the time in which calls ended. Open loop: the time in which they were to begin.
    tally.measured = options.lasting;
    tally
}

/// What all callers share.
struct Plan {
    request: Vec<u8>,
    stream: bool,
    begin: Instant,
    measure_from: Instant,
    end: Instant,
    /// The number of the next call of an open loop.
    next: AtomicU64,
    /// Open loop: a permit for each call whose time has come and that no caller has taken.
    due: Semaphore,
}

impl Plan {
    /// When a call of an open loop is to begin.
    fn intended(&self, number: u64, rate: f64) -> Instant {
        self.begin + Duration::from_secs_f64(number as f64 / rate)
    }
}

/// Notes when parts of one answer arrive.
struct Arrived<'a> {
    tally: &'a mut Tally,
    /// Whether this is a stream of which times are taken.
    times: bool,
    start: Instant,
    last: Option<Instant>,
    bytes: u64,
}

impl Watch for Arrived<'_> {
    fn body_bytes(&mut self, count: usize) {
        self.bytes += count as u64;
        if !self.times {
            return;
        }
        let now = now();
        match self.last.replace(now) {
            None => self.tally.first.record(now.duration_since(self.start)),
            // Chunks of one read are handled within a microsecond of each other: no gap on the wire.
            Some(last) if now.duration_since(last) > Duration::from_micros(2) => {
                self.tally.gaps.record(now.duration_since(last));
            }
            Some(_) => {}
        }
    }
}

/// Makes one call that counts from `start`.
async fn one(plan: &Plan, caller: &mut Caller, tally: &mut Tally, start: Instant, measured: bool) {
    let times = measured && plan.stream;
    let mut arrived = Arrived { tally, times, start, last: None, bytes: 0 };
    let outcome = caller.call(&plan.request, plan.stream, &mut arrived).await;
    let bytes = arrived.bytes;
    let failed = outcome.is_err();
    if measured {
        match outcome {
            Ok(()) => {
                tally.ok += 1;
                tally.bytes += bytes;
                tally.total.record(now().duration_since(start));
            }
            Err(failure) => tally.fail(&failure.name()),
        }
    }
    if failed {
        tokio::time::sleep(AFTER_FAILURE).await;
    }
}

/// One call after the other until the end.
async fn closed(plan: Arc<Plan>, mut caller: Caller) -> Tally {
    let mut tally = Tally::new();
    loop {
        let start = now();
        if start >= plan.end {
            return tally;
        }
        one(&plan, &mut caller, &mut tally, start, start >= plan.measure_from).await;
    }
}

/// Gives out a permit at the time of each call, and at the end one to each caller, who then finds that nothing is left.
///
/// On a thread of its own: tokio's timers go by the millisecond, and at 10,000 calls a second ten would begin at once.
fn keep_timetable(plan: &Plan, rate: f64, callers: usize) {
    let mut number = 0;
    loop {
        let intended = plan.intended(number, rate);
        if intended >= plan.end {
            return plan.due.add_permits(callers);
        }
        std::thread::sleep(intended.saturating_duration_since(now()));
        let (now, first) = (now(), number);
        while plan.intended(number, rate) <= now.min(plan.end) {
            number += 1;
        }
        plan.due.add_permits(usize::try_from(number - first).unwrap_or(0));
    }
}

/// Takes the next call of the timetable until the end. A call that was due before a caller was free for it counts from
/// the time it was due; one that was waited for counts from when it was really begun, since a timer that fires late is the
/// generator's delay and not the target's.
async fn open(plan: Arc<Plan>, mut caller: Caller, rate: f64) -> Tally {
    let mut tally = Tally::new();
    loop {
        let waited = match plan.due.try_acquire() {
            Ok(permit) => {
                permit.forget();
                false
            }
            Err(_) => {
                plan.due.acquire().await.expect("nobody closes it").forget();
                true
            }
        };
        let number = plan.next.fetch_add(1, Ordering::Relaxed);
        let intended = plan.intended(number, rate);
        if intended >= plan.end {
            return tally;
        }
        let measured = intended >= plan.measure_from;
        let now = now();
        if now > plan.end + BACKLOG {
            if measured {
                tally.fail("unfinished");
            }
            continue;
        }
        let mut start = intended;
        if waited {
            start = now;
            if measured {
                tally.late.record(start.saturating_duration_since(intended));
            }
        }
        one(&plan, &mut caller, &mut tally, start, measured).await;
    }
}
