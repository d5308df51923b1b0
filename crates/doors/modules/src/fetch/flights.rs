//! One at a time: whoever asks for what is being fetched already waits for the same.
//!
//! What is fetched is nobody's own: it goes on when the one who asked first hangs up, and it ends with the process.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tradewind_egress::Spawner;

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
    /// Joins what is under way about `key`, or begins it with `run`, which tells how it goes. What has ended is not joined.
    pub(super) fn join<F>(
        &self,
        key: K,
        spawner: &Spawner,
        first: P,
        run: impl FnOnce(Arc<watch::Sender<P>>) -> F,
    ) -> watch::Receiver<P>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut under_way = self.under_way.lock();
        if let Some(known) = under_way.get(&key) {
            return known.clone();
        }
        let (sender, receiver) = watch::channel(first);
        under_way.insert(key.clone(), receiver.clone());
        drop(under_way);
        let over = Over { key, under_way: Arc::clone(&self.under_way) };
        let running = run(Arc::new(sender));
        spawner.spawn(async move {
            // Dropped also when the task is: then the channel closes, and nobody waits for what does not come.
            let _over = over;
            running.await;
        });
        receiver
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
