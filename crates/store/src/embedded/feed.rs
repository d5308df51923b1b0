//! The feed of changes: the latest ones in memory, for any number of watches, and a way to ask for older ones.
//!
//! Changes are numbered without gaps over the whole store, so that a watch knows from two numbers whether it missed any.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::error::StoreError;
use crate::name::Namespace;
use crate::store::{After, Cursor, Event};
use crate::told::{Changes, Passed};

/// Changes that a watch takes from the feed in one go.
const STEP: usize = 256;

/// What a watch found when it looked.
#[derive(Debug)]
pub(crate) struct Past {
    /// The changes that it asked for, in order.
    pub(crate) events: Vec<Event>,
    /// Everything up to this one was looked at.
    pub(crate) upto: u64,
}

/// Changes that are not in memory any more.
pub(crate) trait Older: Send + Sync + 'static {
    /// Changes after the number `after` to keys of `namespace` whose names begin with `prefix`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::CursorGone`] when some of them are not kept any more.
    fn read(
        &self,
        namespace: Namespace,
        prefix: Arc<str>,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Past, StoreError>>;
}

/// The latest changes, and everybody who waits for the next one.
pub(crate) struct Feed {
    recent: Mutex<Recent>,
    /// The number of the newest change; `None` once the store is closed.
    newest: Mutex<Option<watch::Sender<u64>>>,
    listen: watch::Receiver<u64>,
    older: Option<Box<dyn Older>>,
}

struct Recent {
    events: VecDeque<Event>,
    newest: u64,
    most: usize,
}

impl Feed {
    /// A feed that keeps `most` changes in memory, of which `events` are the ones up to `newest`.
    pub(crate) fn new(most: usize, newest: u64, events: VecDeque<Event>, older: Option<Box<dyn Older>>) -> Self {
        let (sender, listen) = watch::channel(newest);
        let recent = Mutex::new(Recent { events, newest, most });
        Self { recent, newest: Mutex::new(Some(sender)), listen, older }
    }

    /// The number of the newest change.
    pub(crate) fn newest(&self) -> u64 {
        *self.listen.borrow()
    }

    /// Everything that is kept in memory, the oldest first.
    pub(crate) fn kept(&self) -> Vec<Event> {
        self.recent.lock().events.iter().cloned().collect()
    }

    /// Tells of changes, whose numbers follow on the newest.
    pub(crate) fn publish(&self, events: Vec<Event>) {
        let Some(last) = events.last().map(|event| event.cursor.major) else { return };
        let mut recent = self.recent.lock();
        recent.events.extend(events);
        recent.newest = last;
        let surplus = recent.events.len().saturating_sub(recent.most);
        recent.events.drain(..surplus);
        drop(recent);
        if let Some(newest) = &*self.newest.lock() {
            newest.send_replace(last);
        }
    }

    /// Ends all watches, once they have told what is there.
    pub(crate) fn close(&self) {
        *self.newest.lock() = None;
    }

    /// Changes after `after`, when all of them are in memory.
    fn recent(&self, namespace: &Namespace, prefix: &str, after: u64) -> Option<Past> {
        let recent = self.recent.lock();
        let oldest = recent.newest + 1 - recent.events.len() as u64;
        let skip = usize::try_from((after + 1).checked_sub(oldest)?).ok()?;
        let mut events = Vec::new();
        let mut upto = after;
        for event in recent.events.range(skip.min(recent.events.len())..) {
            upto = event.cursor.major;
            if event.key.namespace == *namespace && event.key.name().starts_with(prefix) {
                events.push(event.clone());
                if events.len() == STEP {
                    break;
                }
            }
        }
        Some(Past { events, upto })
    }

    /// See [`Store::watch`](crate::Store::watch).
    pub(crate) fn watch(self: &Arc<Self>, namespace: &Namespace, prefix: &str, after: After) -> Changes {
        let listen = self.listen.clone();
        let newest = *listen.borrow();
        let position = match after {
            After::Now => Ok(newest),
            After::Cursor(Cursor { major, minor: 0 }) if major <= newest => Ok(major),
            After::Cursor(_) => Err(StoreError::CursorGone),
        };
        let passed = Passed::default();
        let position = match position {
            Ok(position) => position,
            Err(error) => return Changes::new(stream::iter([Err(error)]).boxed(), passed),
        };
        let watcher = Watcher {
            feed: self.clone(),
            listen,
            namespace: namespace.clone(),
            prefix: Arc::from(prefix),
            position,
            ready: VecDeque::new(),
            passed: passed.clone(),
            ended: false,
        };
        Changes::new(stream::unfold(watcher, Watcher::next).boxed(), passed)
    }
}

/// One watch.
struct Watcher {
    feed: Arc<Feed>,
    listen: watch::Receiver<u64>,
    namespace: Namespace,
    prefix: Arc<str>,
    /// Everything up to this change was told, is in `ready`, or is of no interest.
    position: u64,
    ready: VecDeque<Event>,
    passed: Passed,
    ended: bool,
}

impl Watcher {
    async fn next(mut self) -> Option<(Result<Event, StoreError>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            if self.ended {
                return None;
            }
            let newest = *self.listen.borrow_and_update();
            if self.position >= newest {
                self.passed.move_to(Cursor::at(self.position));
                if self.listen.changed().await.is_err() {
                    return None;
                }
                continue;
            }
            let past = match self.feed.recent(&self.namespace, &self.prefix, self.position) {
                Some(past) => Ok(past),
                None => self.older().await,
            };
            match past {
                Ok(Past { events, upto }) => {
                    // What was committed in this moment is not told before everybody knows its number: whoever begins anew
                    // behind it would be sent away.
                    self.position = upto.min(newest);
                    self.ready.extend(events.into_iter().take_while(|event| event.cursor.major <= newest));
                    if self.ready.is_empty() {
                        self.passed.move_to(Cursor::at(self.position));
                    }
                }
                Err(error) => {
                    self.ended = true;
                    return Some((Err(error), self));
                }
            }
        }
    }

    async fn older(&self) -> Result<Past, StoreError> {
        let Some(older) = &self.feed.older else { return Err(StoreError::CursorGone) };
        older.read(self.namespace.clone(), self.prefix.clone(), self.position, STEP).await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::name::Key;
    use crate::suite::record;

    fn change(number: u64) -> Event {
        let key = Key::parse("n", "a").unwrap();
        Event { cursor: Cursor::at(number), key, meta: record(b"").meta }
    }

    /// A file in which everything up to this number is.
    struct Until(u64);

    impl Older for Until {
        fn read(
            &self,
            _: Namespace,
            _: Arc<str>,
            after: u64,
            _: usize,
        ) -> BoxFuture<'static, Result<Past, StoreError>> {
            let past = Past { events: (after + 1..=self.0).map(change).collect(), upto: self.0 };
            async { Ok(past) }.boxed()
        }
    }

    fn told(changes: &mut Changes) -> Vec<u64> {
        std::iter::from_fn(|| changes.next().now_or_never().flatten())
            .map(|event| event.unwrap().cursor.major)
            .collect()
    }

    #[test]
    fn nothing_is_told_before_its_number_is_known() {
        // The file has seven changes already, of which two have not been told of.
        let feed = Arc::new(Feed::new(1, 5, VecDeque::from([change(5)]), Some(Box::new(Until(7)))));
        let namespace = Key::parse("n", "a").unwrap().namespace;
        let mut changes = feed.watch(&namespace, "", After::Cursor(Cursor::at(2)));
        assert_eq!(told(&mut changes), [3, 4, 5]);
        let mut anew = feed.watch(&namespace, "", After::Cursor(Cursor::at(5)));
        feed.publish(vec![change(6), change(7)]);
        assert_eq!(told(&mut changes), [6, 7]);
        assert_eq!(told(&mut anew), [6, 7]);
    }
}
