//! The threads that serve callers: each has a runtime of its own, and a connection stays where it was put.
//!
//! What a call touches (its sockets, timers, buffers, the connection to the provider) is then known to one core: no
//! queue, timer wheel or poller is shared, and nothing is woken over threads. Refused: one runtime whose threads steal
//! tasks from each other. It evens out load within a call, where here it is evened out over connections alone, and pays
//! for that on every call.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

thread_local! {
    static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The number of the worker whose thread this is, from 0; `None` on any other thread.
#[must_use]
pub fn current_worker() -> Option<usize> {
    CURRENT.get()
}

/// The worker threads. Dropping it tells them to end, with what still runs on them, and does not wait for that.
pub struct Workers {
    places: Arc<[Place]>,
    ends: Vec<Arc<Notify>>,
}

/// A worker as a place for connections.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) handle: Handle,
    /// Connections that are served there.
    pub(crate) connections: AtomicUsize,
}

impl Workers {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// When the system gives no thread or no poller.
    pub fn start(count: usize) -> io::Result<Self> {
        let (mut places, mut ends) = (Vec::new(), Vec::new());
        for number in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            places.push(Place { handle: runtime.handle().clone(), connections: AtomicUsize::new(0) });
            let end = Arc::new(Notify::new());
            ends.push(end.clone());
            std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                CURRENT.set(Some(number));
                runtime.block_on(end.notified());
                // Without waiting for name look-ups, which block threads of their own.
                runtime.shutdown_background();
            })?;
        }
        Ok(Self { places: places.into(), ends })
    }

    /// As many as the machine has cores for this process.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn for_all_cores() -> io::Result<Self> {
        Self::start(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn places(&self) -> Arc<[Place]> {
        self.places.clone()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.ends.iter().for_each(|end| end.notify_one());
    }
}

/// The place with the fewest connections.
pub(crate) fn least_busy(places: &[Place]) -> Option<usize> {
    (0..places.len()).min_by_key(|index| places[*index].connections.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::{Kind, Supervisor};

    /// Serves `count` connections that each say on which worker they are, and returns what they said.
    async fn served(supervisor: &Supervisor, count: usize) -> Vec<(usize, TcpStream)> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = Vec::new();
        for _ in 0..count {
            let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
            let mut connected = connected.unwrap();
            let serving = async |mut stream: TcpStream| {
                let worker = u8::try_from(current_worker().unwrap()).unwrap();
                stream.write_all(&[worker]).await.unwrap();
                let _ = stream.read(&mut [0]).await; // until the other side is gone
            };
            supervisor.serve(accepted.unwrap().0, serving).unwrap();
            connections.push((usize::from(connected.read_u8().await.unwrap()), connected));
        }
        connections
    }

    #[tokio::test]
    async fn connections_are_spread_over_the_workers() {
        let workers = Workers::start(3).unwrap();
        let supervisor = Supervisor::over(&workers);
        let mut connections = served(&supervisor, 6).await;
        let mut on: Vec<usize> = connections.iter().map(|(worker, _)| *worker).collect();
        on.sort_unstable();
        assert_eq!(on, [0, 0, 1, 1, 2, 2]);

        // The place of those that have ended is the next one.
        connections.retain(|(worker, _)| *worker != 1);
        supervisor.reached(Kind::Connection, 4).await;
        let next: Vec<usize> = served(&supervisor, 2).await.iter().map(|(worker, _)| *worker).collect();
        assert_eq!(next, [1, 1]);
    }

    #[tokio::test]
    async fn a_thread_that_is_no_worker_has_no_number() {
        let _workers = Workers::start(1).unwrap();
        assert_eq!(current_worker(), None);
    }

    #[tokio::test]
    async fn what_runs_on_a_worker_ends_with_it() {
        let workers = Workers::start(2).unwrap();
        let supervisor = Supervisor::over(&workers);
        let connections = served(&supervisor, 4).await;
        assert_eq!(supervisor.stop(Duration::ZERO, Duration::ZERO).await, 4);
        drop(workers);
        supervisor.reached(Kind::Connection, 0).await;
        for (_, mut connection) in connections {
            assert_eq!(connection.read(&mut [0]).await.unwrap(), 0, "closed");
        }
    }
}
