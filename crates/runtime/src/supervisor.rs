//! The owner of every task.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::workers::{Place, least_busy};
use crate::{Stage, Stages, Workers};

/// What a task is for, and so what stopping means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Serves a caller: at a stop it is waited for until the drain time is over, then dropped.
    Connection,
    /// Upkeep (watching, sweeping, probing) or an HTTP/2 connection that callers' tasks drive: dropped when the last
    /// connection has ended.
    Upkeep,
}

/// Starts tasks, counts them, and ends them. There is one in a process; clones are the same one.
#[derive(Clone, Default)]
pub struct Supervisor(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stages: Stages,
    connections: AtomicUsize,
    upkeep: AtomicUsize,
    /// Told when a task begins and when one has ended.
    changed: Notify,
    /// How to drop each task, by its number. Taken when a task begins and ends, never by a call.
    running: Mutex<HashMap<u64, AbortHandle>>,
    numbers: AtomicU64,
    /// Where connections are served; on the runtime that spawns when there is none.
    places: Arc<[Place]>,
}

impl Supervisor {
    /// A supervisor without tasks, which serves connections on the runtime that it is used on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A supervisor without tasks, which serves connections on `workers`.
    #[must_use]
    pub fn over(workers: &Workers) -> Self {
        Self(Arc::new(Inner { places: workers.places(), ..Inner::default() }))
    }

    /// The stage of the process, as this supervisor moves it.
    #[must_use]
    pub fn stages(&self) -> &Stages {
        &self.0.stages
    }

    /// Tasks of `kind` that run now.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.counter(kind).load(Ordering::Relaxed)
    }

    fn counter(&self, kind: Kind) -> &AtomicUsize {
        match kind {
            Kind::Connection => &self.0.connections,
            Kind::Upkeep => &self.0.upkeep,
        }
    }

    /// Starts a task on the present runtime. A panic in it ends that task alone; it is counted out like any other end.
    pub fn spawn(&self, kind: Kind, task: impl Future<Output = ()> + Send + 'static) {
        self.start(kind, None, task);
    }

    /// Starts a task that serves `stream`, on the worker with the fewest connections.
    ///
    /// # Errors
    /// When the socket cannot be handed over.
    pub fn serve<F>(&self, stream: TcpStream, task: impl FnOnce(TcpStream) -> F + Send + 'static) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let place = least_busy(&self.0.places);
        let stream = stream.into_std()?;
        self.start(Kind::Connection, place, async move {
            // Registered with the poller of the thread that runs this. When that fails, the connection is closed.
            if let Ok(stream) = TcpStream::from_std(stream) {
                task(stream).await;
            }
        });
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the home of spawning")]
    fn start(&self, kind: Kind, place: Option<usize>, task: impl Future<Output = ()> + Send + 'static) {
        self.counter(kind).fetch_add(1, Ordering::Relaxed);
        self.0.changed.notify_waiters();
        let place_of = |index: usize| &self.0.places[index];
        if let Some(index) = place {
            place_of(index).connections.fetch_add(1, Ordering::Relaxed);
        }
        let number = self.0.numbers.fetch_add(1, Ordering::Relaxed);
        let ended = Arc::new(AtomicBool::new(false));
        let running = Running { supervisor: self.clone(), kind, place, number, ended: ended.clone() };
        let handle = place.map_or_else(Handle::current, |index| place_of(index).handle.clone()).spawn(async move {
            let _running = running;
            task.await;
        });
        let mut handles = self.0.running.lock();
        // A task that has ended already has looked for its entry in vain.
        if !ended.load(Ordering::Relaxed) {
            handles.insert(number, handle.abort_handle());
        }
    }

    /// Stops: no new connections, waits up to `drain` for the present ones, lets them end with an error for up to
    /// `grace`, then drops them. Returns how many connections were dropped.
    pub async fn stop(&self, drain: Duration, grace: Duration) -> usize {
        self.0.stages.advance(Stage::Draining);
        if tokio::time::timeout(drain, self.reached(Kind::Connection, 0)).await.is_err() {
            self.0.stages.advance(Stage::Over);
            let _ = tokio::time::timeout(grace, self.reached(Kind::Connection, 0)).await; // what is left is counted below
        }
        self.0.stages.advance(Stage::Over);
        let abandoned = self.count(Kind::Connection);
        // Collected first: ending a task takes its entry out.
        let handles: Vec<AbortHandle> = self.0.running.lock().values().cloned().collect();
        handles.iter().for_each(AbortHandle::abort);
        abandoned
    }

    /// Waits until just `count` tasks of `kind` run.
    pub async fn reached(&self, kind: Kind, count: usize) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.count(kind) == count {
                return;
            }
            changed.await;
        }
    }
}

/// Counts a task out when it ends, however it ends.
struct Running {
    supervisor: Supervisor,
    kind: Kind,
    place: Option<usize>,
    number: u64,
    ended: Arc<AtomicBool>,
}

impl Drop for Running {
    fn drop(&mut self) {
        {
            let mut handles = self.supervisor.0.running.lock();
            self.ended.store(true, Ordering::Relaxed);
            handles.remove(&self.number);
        }
        if let Some(index) = self.place {
            self.supervisor.0.places[index].connections.fetch_sub(1, Ordering::Relaxed);
        }
        self.supervisor.counter(self.kind).fetch_sub(1, Ordering::Relaxed);
        self.supervisor.0.changed.notify_waiters();
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("connections", &self.count(Kind::Connection))
            .field("upkeep", &self.count(Kind::Upkeep))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_connections_and_reports_what_it_dropped() {
        let supervisor = Supervisor::new();
        supervisor.spawn(Kind::Connection, tokio::time::sleep(Duration::from_secs(1)));
        supervisor.spawn(Kind::Upkeep, std::future::pending());
        assert_eq!(supervisor.stop(Duration::from_secs(5), Duration::from_secs(1)).await, 0);

        let supervisor = Supervisor::new();
        supervisor.spawn(Kind::Connection, std::future::pending());
        let polite = supervisor.clone();
        supervisor.spawn(Kind::Connection, async move { polite.stages().reached(Stage::Over).await });
        assert_eq!(supervisor.stop(Duration::from_secs(5), Duration::from_secs(1)).await, 1);
        supervisor.reached(Kind::Connection, 0).await;
    }

    #[tokio::test]
    async fn a_panic_is_counted_out() {
        let supervisor = Supervisor::new();
        supervisor.spawn(Kind::Connection, async { panic!("on purpose") });
        supervisor.reached(Kind::Connection, 0).await;
        assert_eq!(supervisor.count(Kind::Connection), 0);
    }
}
