//! What the engines on servers share: how a watch begins, what it waits for, and how it ends.

mod questions;

use std::array;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::watch;

pub(crate) use self::questions::{Answer, Question, Questions, Unanswered};

use crate::error::StoreError;
use crate::store::{After, Cursor, Event};
use crate::told::{Changes, Passed};

/// Pauses between attempts while no server can be reached; after them the watch ends.
const PAUSES: [Duration; 8] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// How long a server is waited for that cannot be reached: some 16 seconds.
pub(crate) struct Patience(array::IntoIter<Duration, 8>);

impl Patience {
    pub(crate) fn new() -> Self {
        Self(PAUSES.into_iter())
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The error itself, when another attempt would not help, or there were enough.
    pub(crate) async fn after(&mut self, error: StoreError) -> Result<(), StoreError> {
        let pause = self.0.next().filter(|_| matches!(error, StoreError::Unavailable(_))).ok_or(error)?;
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Where a watch begins.
pub(crate) enum Start {
    /// After this place.
    At(Cursor),
    /// After the one that was asked for when the watch began.
    Asking(Arc<Question>),
}

impl Start {
    /// After a place that is known, or after the present one, which is asked for within this call: see [`Questions`].
    ///
    /// # Errors
    /// What asking says, where it says so at once and waiting would not help.
    pub(crate) fn of(after: After, ask: impl FnOnce() -> Arc<Question>) -> Result<Self, StoreError> {
        let question = match after {
            After::Cursor(place) => return Ok(Self::At(place)),
            After::Now => ask(),
        };
        match question.answered() {
            Some(Ok(place)) => Ok(Self::At(place)),
            Some(Err(why)) => match why.into_error() {
                StoreError::Unavailable(_) => Ok(Self::Asking(question)),
                error => Err(error),
            },
            None => Ok(Self::Asking(question)),
        }
    }

    /// The same of an engine whose places are one number.
    ///
    /// # Errors
    /// [`StoreError::CursorGone`] for what it never gave as a place.
    pub(crate) fn counted(after: After, ask: impl FnOnce() -> Arc<Question>) -> Result<Self, StoreError> {
        if matches!(after, After::Cursor(place) if place.minor != 0) {
            return Err(StoreError::CursorGone);
        }
        Self::of(after, ask)
    }
}

/// A watch of one engine.
pub(crate) trait Watching: Send + 'static {
    /// Told when the store closes.
    fn closing(&self) -> watch::Receiver<bool>;

    /// The next change; comes back with what it was doing when the future is dropped, and goes on.
    fn next(&mut self) -> impl Future<Output = Result<Event, StoreError>> + Send;
}

/// Its changes, until the store closes or it fails, which is told. `passed` is what it moves on.
pub(crate) fn told(watch: Result<impl Watching, StoreError>, passed: Passed) -> Changes {
    let watch = match watch {
        Ok(watch) => watch,
        Err(error) => return Changes::new(stream::iter([Err(error)]).boxed(), passed),
    };
    let events = stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        let mut closing = watch.closing();
        let next = tokio::select! {
            biased;
            _ = closing.wait_for(|closed| *closed) => return None,
            next = watch.next() => next,
        };
        match next {
            Ok(event) => Some((Ok(event), Some(watch))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Changes::new(events.boxed(), passed)
}

#[cfg(test)]
mod tests {
    use std::future;

    use futures_util::{FutureExt as _, TryFutureExt as _};

    use super::*;
    use crate::suite::key;

    fn of<F: Future<Output = Result<Cursor, StoreError>> + Send + 'static>(
        after: After,
        asking: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<Start, StoreError> {
        let ask = move || asking().map_err(Unanswered::Refused).boxed();
        Start::counted(after, || Questions::default().ask(key("n", "k").namespace, ask))
    }

    #[test]
    fn a_watch_begins_where_it_is_told_or_where_things_are() {
        assert!(matches!(of(After::Cursor(Cursor::at(7)), future::pending), Ok(Start::At(Cursor { major: 7, .. }))));
        let elsewhere = After::Cursor(Cursor { major: 7, minor: 1 });
        assert!(
            matches!(of(elsewhere, || future::ready(Ok(Cursor::at(9)))), Err(StoreError::CursorGone)),
            "a place of no server"
        );
        assert!(matches!(of(After::Now, || future::ready(Ok(Cursor::at(9)))), Ok(Start::At(Cursor { major: 9, .. }))));
        assert!(matches!(of(After::Now, || future::ready(Err(StoreError::Busy))), Err(StoreError::Busy)));
        assert!(matches!(of(After::Now, future::pending), Ok(Start::Asking(_))));
        let nobody = || future::ready(Err(StoreError::Unavailable("nobody".to_owned())));
        assert!(matches!(of(After::Now, nobody), Ok(Start::Asking(_))), "it is waited for");
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "a test has a clock of its own")]
    async fn what_cannot_be_reached_is_waited_for_and_nothing_else() {
        let begun = tokio::time::Instant::now();
        let mut patience = Patience::new();
        while patience.after(StoreError::Unavailable(String::new())).await.is_ok() {}
        let all: Duration = PAUSES.iter().sum();
        assert_eq!(begun.elapsed(), all);
        assert_eq!(Patience::new().after(StoreError::CursorGone).await, Err(StoreError::CursorGone));
        assert_eq!(begun.elapsed(), all, "at once");
    }
}
