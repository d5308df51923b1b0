//! What a watch gives: the changes, and how far it has come.
//!
//! A watch of something that rarely changes has an old place, however far the engine is: cut then, it would be told that what
//! came after its place is not kept any more, though none of that was its own. So the engine says, beside the changes, up to
//! where it has looked.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use parking_lot::Mutex;

use crate::error::StoreError;
use crate::store::{Cursor, Event};

/// Every later change, each once and in order; it ends after an error.
pub struct Changes<E = StoreError> {
    events: BoxStream<'static, Result<Event, E>>,
    passed: Passed,
}

/// How far a watch has come. An engine moves it on while it finds nothing to tell.
#[derive(Clone, Debug, Default)]
pub struct Passed(Arc<Mutex<Option<Cursor>>>);

impl Passed {
    /// All changes up to `place` that the watch is about were handed out: none is still on its way.
    pub fn move_to(&self, place: Cursor) {
        let mut passed = self.0.lock();
        *passed = (*passed).max(Some(place));
    }
}

impl<E: 'static> Changes<E> {
    /// The changes of `events`, whose engine moves `passed` on.
    #[must_use]
    pub fn new(events: BoxStream<'static, Result<Event, E>>, passed: Passed) -> Self {
        Self { events, passed }
    }

    /// The place up to which this watch has told everything, so that a later watch goes on after it; `None` as long as
    /// nothing was looked at.
    #[must_use]
    pub fn passed(&self) -> Option<Cursor> {
        *self.passed.0.lock()
    }

    /// The same with other errors.
    #[must_use]
    pub fn map_errors<F: 'static>(self, of: impl FnMut(E) -> F + Send + Copy + 'static) -> Changes<F> {
        let Self { events, passed } = self;
        Changes { events: events.map(move |event| event.map_err(of)).boxed(), passed }
    }
}

impl<E: 'static> Stream for Changes<E> {
    type Item = Result<Event, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = ready!(self.events.as_mut().poll_next(context));
        if let Some(Ok(event)) = &event {
            self.passed.move_to(event.cursor);
        }
        Poll::Ready(event)
    }
}
