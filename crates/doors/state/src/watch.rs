//! Watching: changes as server-sent events.
//!
//! Each change is one event, whose id is the place that a watch which was cut goes on after; the first event, `ready`, has the
//! place where this one began, so that a cut before the first change loses nothing either. A comment each 15 s keeps what is in
//! between from closing the connection, and shows a caller that is gone.
//!
//! Where changes happen of which this watch has none to show, its place goes on all the same, once a second at most, as an id
//! without data: no client makes an event of that, and all of them go on after it. Otherwise a watch of what rarely changes
//! would fall behind what is kept, and be refused when it is cut though it has missed nothing.
//!
//! The stream ends when the gateway stops, when the
//! caller's key is revoked, when another document is put in place, whose keys may allow something else, and after an error,
//! which is an event of its own: EventSource connects again by itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use tokio::time::{Interval, MissedTickBehavior, Sleep, interval, sleep, timeout};
use tradewind_access::Grant;
use tradewind_core::Code;
use tradewind_door::{Body, Refusal, Response};
use tradewind_runtime::{Stage, Stages};
use tradewind_store::{After, Changes, Cursor, Event, Namespace, StateError};

use crate::door::{Call, Failure, may_use};
use crate::failure::refusal;
use crate::shown::{Shown, json};

/// How often something is sent at least.
const BEAT: Duration = Duration::from_secs(15);
/// How long after a change that is not shown its place is.
const PASSED: Duration = Duration::from_secs(1);
/// How long an answer waits for a first change that is to come.
const FIRST: Duration = Duration::from_secs(1);
const LAST_EVENT_ID: &str = "last-event-id";

/// Changes of a namespace from a place on.
pub(crate) async fn changes(
    call: &Call<'_>,
    namespace: &Namespace,
    stages: Stages,
    watches: Arc<AtomicU64>,
    documents: Documents,
) -> Result<Response, Failure> {
    let prefix = call.query.text("prefix").unwrap_or_default();
    let last = call.head.headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()).filter(|id| !id.is_empty());
    let from = last.or_else(|| call.query.text("from").filter(|from| !from.is_empty()));
    let latest = call.state.latest(namespace).await?;
    let start = match from {
        Some(text) => Cursor::parse(text).map_err(|error| {
            Refusal::new(Code::BadField, format!("`from`: {error}, as it came with an event")).in_field("from")
        })?,
        None => latest,
    };
    let mut events = call.state.watch(namespace, prefix, After::Cursor(start));
    // Where there is something to come, or nothing can, that is seen before the answer begins: a place that is gone is a
    // status then, and not an event that a client meets again and again.
    let mut first = None;
    if start != latest
        && let Ok(next) = timeout(FIRST, events.next()).await
    {
        first = next.transpose()?;
    }
    watches.fetch_add(1, Ordering::Relaxed);
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.reset();
    let ending = Box::pin(async move { stages.reached(Stage::Draining).await });
    let changes = Shows {
        events,
        first,
        start: Some(start),
        place: start,
        said: start,
        passing: None,
        beat,
        ending,
        grant: call.grant.clone(),
        documents,
        watches,
        is_over: false,
    };
    let mut response = Response::new(Body::stream(changes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// How many documents there were, and how many when a watch began.
pub(crate) struct Documents {
    now: Arc<AtomicU64>,
    then: u64,
}

impl Documents {
    /// Up to now.
    pub(crate) fn new(now: &Arc<AtomicU64>) -> Self {
        Self { then: now.load(Ordering::Acquire), now: now.clone() }
    }

    fn has_another(&self) -> bool {
        self.now.load(Ordering::Acquire) != self.then
    }
}

/// The body of a watch.
struct Shows {
    events: Changes<StateError>,
    /// The first change, when it came before the answer began.
    first: Option<Event>,
    /// Where it began, until that has been said.
    start: Option<Cursor>,
    /// The latest change that was shown, or that was not to be.
    place: Cursor,
    /// The place that the caller knows of.
    said: Cursor,
    /// Until when a later place is kept back, since others may follow at once.
    passing: Option<Pin<Box<Sleep>>>,
    beat: Interval,
    ending: Pin<Box<dyn Future<Output = ()> + Send>>,
    grant: Grant,
    documents: Documents,
    watches: Arc<AtomicU64>,
    is_over: bool,
}

impl Drop for Shows {
    fn drop(&mut self) {
        self.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

type Polled = Poll<Option<io::Result<Frame<Bytes>>>>;

fn frame(text: impl Into<Bytes>) -> Polled {
    Poll::Ready(Some(Ok(Frame::data(text.into()))))
}

impl http_body::Body for Shows {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Some(start) = this.start.take() {
            return frame(format!("retry: 1000\nevent: ready\nid: {start}\ndata: {{}}\n\n"));
        }
        if this.ending.as_mut().poll(context).is_ready() {
            this.is_over = true;
            return Poll::Ready(None);
        }
        // A stream that never ends asks at each event, and at each beat, whether it still may.
        loop {
            let event = match this.first.take() {
                Some(event) => Some(Ok(event)),
                None => match Pin::new(&mut this.events).poll_next(context) {
                    Poll::Ready(event) => event,
                    Poll::Pending => break,
                },
            };
            if let Some(end) = this.ended() {
                return end;
            }
            match event {
                Some(Ok(event)) => {
                    this.place = event.cursor;
                    if may_use(&this.grant, &event.key).is_ok() {
                        this.said = event.cursor;
                        this.passing = None;
                        return frame(said(&event));
                    }
                }
                Some(Err(error)) => return this.failed(&refusal(&error)),
                None => {
                    this.is_over = true;
                    return Poll::Ready(None);
                }
            }
        }
        // Everything up to there has been looked at: nothing is ready to be shown.
        this.place = this.events.passed().map_or(this.place, |passed| passed.max(this.place));
        if this.place > this.said {
            let passing = this.passing.get_or_insert_with(|| Box::pin(sleep(PASSED)));
            if passing.as_mut().poll(context).is_ready() {
                this.beat.reset();
                return this.still_here(context);
            }
        }
        ready!(this.beat.poll_tick(context));
        this.still_here(context)
    }
}

impl Shows {
    /// How it ends, where it has to.
    fn ended(&mut self) -> Option<Polled> {
        if self.grant.is_revoked() {
            return Some(self.failed(&Refusal::new(Code::KeyRevoked, "the key was revoked")));
        }
        if self.documents.has_another() {
            self.is_over = true;
            return Some(Poll::Ready(None));
        }
        None
    }

    /// Says nothing but the place.
    fn still_here(&mut self, context: &mut Context<'_>) -> Polled {
        if let Some(end) = self.ended() {
            return end;
        }
        // Leaves a waker for the next beat.
        let _ = self.beat.poll_tick(context);
        self.said = self.place;
        self.passing = None;
        frame(format!(": still here\nid: {}\n\n", self.place))
    }

    /// Says why it ends, and ends.
    fn failed(&mut self, refusal: &Refusal) -> Polled {
        self.is_over = true;
        let error = serde_json::json!({"error": {"code": refusal.code.name(), "message": refusal.message}});
        frame(format!("event: error\ndata: {error}\n\n"))
    }
}

/// A change as an event.
fn said(event: &Event) -> Vec<u8> {
    let mut text = format!("id: {}\ndata: ", event.cursor).into_bytes();
    text.extend_from_slice(&json(&Shown::new(&event.key, &event.meta)));
    text.extend_from_slice(b"\n\n");
    text
}
