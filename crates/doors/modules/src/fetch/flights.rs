//! One at a time: whoever asks for what is being fetched already waits for the same.
//!
//! What is fetched is nobody's own: it goes on when the one who asked first hangs up, and it ends with the process.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tradewind_egress::Spawner;

use crate::failure::Failure;

/// What is under way, by what it is about. `P` is what is told of it while it is, and at its end.
pub(super) struct Flights<K, P> {
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<P>>>>,
}

impl<K, P> Default for Flights<K, P> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

impl<K, P> Flights<K, P>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    /// Joins what is under way about `key`, or begins it with `run`, which tells how it goes, where there is `room`, which it
    /// takes up until it is over. What has ended is not joined.
    ///
    /// # Errors
    /// Those of `room`.
    pub(super) fn join<F>(
        &self,
        key: K,
        spawner: &Spawner,
        room: impl FnOnce() -> Result<OwnedSemaphorePermit, Failure>,
        first: P,
        run: impl FnOnce(Arc<watch::Sender<P>>) -> F,
    ) -> Result<watch::Receiver<P>, Failure>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut under_way = self.under_way.lock();
        if let Some(known) = under_way.get(&key) {
            return Ok(known.clone());
        }
        let room = room()?;
        let (sender, receiver) = watch::channel(first);
        under_way.insert(key.clone(), receiver.clone());
        drop(under_way);
        let over = Over { key, under_way: Arc::clone(&self.under_way) };
        let running = run(Arc::new(sender));
        spawner.spawn(async move {
            // Dropped also when the task is: then the channel closes, and nobody waits for what does not come.
            let (_over, _room) = (over, room);
            running.await;
        });
        Ok(receiver)
    }

    /// How many are under way.
    pub(super) fn count(&self) -> usize {
        self.under_way.lock().len()
    }
}

/// Takes an entry out when its task is over.
struct Over<K: Eq + Hash, P> {
    key: K,
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<P>>>>,
}

impl<K: Eq + Hash, P> Drop for Over<K, P> {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.key);
    }
}

/// Waits until what is told is what `look` wants; `None` when it ended without.
pub(super) async fn told<P, T>(receiver: &mut watch::Receiver<P>, look: impl Fn(&P) -> Option<T>) -> Option<T> {
    loop {
        if let Some(found) = look(&receiver.borrow_and_update()) {
            return Some(found);
        }
        receiver.changed().await.ok()?;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::super::places::Places;
    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
    async fn what_is_under_way_is_bounded_and_joined_all_the_same() {
        let spawner = Spawner::new(|task| drop(tokio::spawn(task)));
        let (flights, places) = (Flights::<usize, ()>::default(), Places::default());
        let join = |key| flights.join(key, &spawner, || places.room(), (), |_| pending());
        let first = (0..10_000).find(|key| join(*key).is_err()).expect("there is no bound");
        let failure = join(first).unwrap_err();
        assert_eq!((first, flights.count(), failure.status), (4096, 4096, 503), "{failure}");
        assert!(join(0).is_ok(), "it is joined");
        let waiting: Vec<_> = (0..10_000).map_while(|_| places.room_ahead().ok()).collect();
        assert_eq!(waiting.len(), 4096, "what nobody has asked for has room of its own, and no more");
        assert!(Places::default().room().is_ok(), "other upstreams have room of their own");
    }
}
