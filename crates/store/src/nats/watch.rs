//! Watches, and other reading of a stream from one place to another.
//!
//! A stream keeps the last messages of each subject, so that a watch that comes late may find changes gone in the middle.
//! Each message says where its parent lies: a change whose parent lies behind the place where the watch began, and was not
//! told by it, has lost one before it, and the watch ends with [`StoreError::CursorGone`] instead of leaving it out. A key
//! that was forgotten leaves nothing at all; how far keys were forgotten is kept beside the records.
//!
//! It must end so before it tells anything that lies behind the gap: whoever goes on from there would never hear of it. Unless
//! it was pruned, a change is gone only when its key has [`EVENTS_PER_KEY`] later ones, all of them still to be read. A watch
//! with that many before it therefore looks through them, headers only, before it tells the first; and where it then does
//! not find one that it saw, that one went meanwhile.
//!
//! A lost connection is waited for with [`Patience`], and the watch goes on from its own place.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{Consumer, DeliverPolicy};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream::StreamExt as _;
use rustc_hash::FxHashMap;
use tokio::sync::watch;
use tradewind_core::UnixMillis;

use super::EVENTS_PER_KEY;
use super::about::About;
use super::commit::taken;
use super::link::{ApiError, Fault, Link};
use super::names::Space;
use super::{leader, stored};
use crate::error::StoreError;
use crate::name::{Key, Namespace};
use crate::servers::{Answer, Patience, Start, Unanswered, Watching, told};
use crate::store::{After, Cursor, Event};
use crate::told::{Changes, Passed};

/// How often it is looked whether a namespace has got its first key.
const BEFORE_THE_FIRST: Duration = Duration::from_millis(250);
/// How long the next of several messages may take.
const NEXT: Duration = Duration::from_secs(5);
/// How long nothing comes before it is asked how far others' changes have come.
const QUIET: Duration = Duration::from_secs(4);

pub(super) fn stream(link: Arc<Link>, namespace: &Namespace, prefix: &str, after: After) -> Changes {
    let space = Space::of(namespace);
    let start = Start::counted(after, || {
        let (link_of_question, space) = (Arc::clone(&link), space.clone());
        let ask = move || mark(Arc::clone(&link_of_question), space.clone()).boxed();
        link.questions.ask(namespace.clone(), ask)
    });
    let passed = Passed::default();
    let watch = start.map(|start| Watch {
        link,
        namespace: namespace.clone(),
        space,
        prefix: Arc::from(prefix),
        floor: if let Start::At(place) = start { place.major } else { 0 },
        start,
        seen: FxHashMap::default(),
        looked: 0,
        ahead: VecDeque::new(),
        passed: passed.clone(),
        open: None,
    });
    told(watch, passed)
}

/// Leaves a mark in the stream: what comes behind it is later. A read would not do, since the server answers those beside
/// the messages that come in.
async fn mark(link: Arc<Link>, space: Space) -> Answer {
    let place = match link.ask(space.mark(), Some(HeaderMap::new()), Bytes::new()).await {
        Ok(answer) => match taken(&answer.payload) {
            Ok(place) => place.map(Cursor::at).map_err(ApiError::into_error),
            Err(error) => Err(StoreError::damaged(error)),
        },
        // There is no stream: whatever comes is later.
        Err(Fault::Nobody) => Ok(Cursor::START),
        Err(fault) => return Err(Unanswered::NotReached(fault.of_read())),
    };
    place.map_err(Unanswered::Refused)
}

struct Open {
    messages: Ordered,
    /// Told when the connection is lost, and what is open with it is of no use.
    losses: watch::Receiver<u64>,
}

struct Watch {
    link: Arc<Link>,
    namespace: Namespace,
    space: Space,
    prefix: Arc<str>,
    start: Start,
    /// Nothing up to here is missing but what `ahead` shows to be.
    floor: u64,
    /// Up to here it was looked ahead.
    looked: u64,
    /// The last change of each key behind `floor`; at most as many as the namespace has keys, and none once the watch has
    /// caught up.
    seen: FxHashMap<Key, u64>,
    /// Places of changes that were found to be there and are not told yet, up to `looked`; eight bytes each.
    ahead: VecDeque<u64>,
    passed: Passed,
    open: Option<Open>,
}

impl Watching for Watch {
    fn closing(&self) -> watch::Receiver<bool> {
        self.link.closing()
    }

    async fn next(&mut self) -> Result<Event, StoreError> {
        loop {
            let mut patience = Patience::new();
            let told = loop {
                match self.step().await {
                    Ok(told) => break told,
                    Err(error) => {
                        self.open = None;
                        patience.after(error).await?;
                    }
                }
            };
            if let Some(event) = told {
                return Ok(event);
            }
        }
    }
}

impl Watch {
    /// Finds out where to begin, or opens the stream, or takes a message from it.
    async fn step(&mut self) -> Result<Option<Event>, StoreError> {
        let place = match &mut self.start {
            Start::At(place) => place.major,
            Start::Asking(question) => {
                let place = question.answer().await.map_err(Unanswered::into_error)?;
                self.start = Start::At(place);
                self.floor = place.major;
                return Ok(None);
            }
        };
        let Some(open) = &mut self.open else {
            self.open_after(place).await?;
            return Ok(None);
        };
        let message = tokio::select! {
            biased;
            message = open.messages.next() => message,
            _ = open.losses.changed() => None,
            () = tokio::time::sleep(QUIET) => return self.pass(place).await.map(|()| None),
        };
        match message {
            Some(Ok(message)) => self.take(&message, place).await,
            Some(Err(error)) => Err(StoreError::Unavailable(error.to_string())),
            None => {
                self.open = None;
                Ok(None)
            }
        }
    }

    async fn open_after(&mut self, place: u64) -> Result<(), StoreError> {
        let losses = self.link.connected().await?;
        let Some(info) = leader::info(&self.link, &self.space.stream()).await? else {
            if place > 0 {
                return Err(StoreError::CursorGone);
            }
            tokio::time::sleep(BEFORE_THE_FIRST).await;
            return Ok(());
        };
        let (_, forgotten) = forgotten(&self.link, &self.space, 2).await?;
        if place > info.state.last_seq || place < forgotten {
            return Err(StoreError::CursorGone);
        }
        let from = DeliverPolicy::ByStartSequence { start_sequence: place + 1 };
        let filter = self.space.records_with(&self.prefix);
        let (messages, _) = open(&self.link, &self.space.stream(), &filter, from).await?;
        self.open = Some(Open { messages, losses });
        Ok(())
    }

    async fn take(&mut self, message: &Message, place: u64) -> Result<Option<Event>, StoreError> {
        let info = message.info().map_err(|error| StoreError::damaged(error.to_string()))?;
        let at = info.stream_sequence;
        if at <= place {
            return Ok(None);
        }
        let about = About::read(&message.subject, message.headers.as_ref())?;
        let key = self.space.key(&self.namespace, &message.subject)?;
        if at > self.looked && info.pending + 1 >= u64::from(EVENTS_PER_KEY) {
            self.look_ahead(place).await?;
        }
        let is_wanted = key.name().starts_with(&*self.prefix);
        let is_missing = if at <= self.looked {
            is_wanted && self.ahead.pop_front() != Some(at)
        } else {
            is_wanted && about.parent > self.floor && self.seen.get(&key) != Some(&about.parent)
        };
        if is_missing {
            return Err(StoreError::CursorGone);
        }
        if info.pending == 0 {
            self.floor = at;
            self.seen.clear();
        } else if is_wanted && at > self.looked {
            self.seen.insert(key.clone(), at);
        }
        self.start = Start::At(Cursor::at(at));
        if !is_wanted {
            self.passed.move_to(Cursor::at(at));
        }
        Ok(is_wanted.then(|| Event { cursor: Cursor::at(at), key, meta: about.meta }))
    }

    /// Moves on to the end of the stream, if nothing behind `place` concerns this watch. The end is asked for first: what comes
    /// between the two answers lies behind it.
    async fn pass(&mut self, place: u64) -> Result<(), StoreError> {
        let stream = self.space.stream();
        let Some(info) = leader::info(&self.link, &stream).await? else { return Ok(()) };
        let last = info.state.last_seq;
        if last <= place {
            return Ok(());
        }
        let filter = self.space.records_with(&self.prefix);
        if stored::next(&self.link, &stream, &filter, place + 1).await?.is_none_or(|next| next > last) {
            self.start = Start::At(Cursor::at(last));
            self.passed.move_to(Cursor::at(last));
        }
        Ok(())
    }

    /// Looks through what lies behind `place`, before any of it is told.
    async fn look_ahead(&mut self, place: u64) -> Result<(), StoreError> {
        let Self { link, namespace, space, prefix, floor, .. } = &*self;
        let (mut ahead, mut last) = (VecDeque::new(), place);
        let mut seen = self.seen.clone();
        let from = DeliverPolicy::ByStartSequence { start_sequence: place + 1 };
        let filter = space.records_with(prefix);
        read_headers(link, &space.stream(), &filter, from, |subject, at, about| {
            let key = space.key(namespace, subject)?;
            last = at;
            if !key.name().starts_with(&**prefix) {
                return Ok(());
            }
            ahead.push_back(at);
            let parent = about?.parent;
            if seen.insert(key, at) != Some(parent) && parent > *floor {
                return Err(StoreError::CursorGone);
            }
            Ok(())
        })
        .await?;
        self.looked = last;
        self.floor = last.max(self.floor);
        self.seen.clear();
        self.ahead = ahead;
        Ok(())
    }
}

/// Where it is written how far keys were forgotten, and that; 0 and 0 when none was.
pub(super) async fn forgotten(link: &Link, space: &Space, replicas: usize) -> Result<(u64, u64), StoreError> {
    let Some(message) = stored::last(link, &space.beside(), &space.forgotten(), replicas).await? else {
        return Ok((0, 0));
    };
    let number = std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| StoreError::damaged(format!("what lies under {}", message.subject)))?;
    Ok((message.place, number))
}

/// Opens a stream for reading headers in order, and says how many messages are there to be read.
async fn open(link: &Link, stream: &str, filter: &str, from: DeliverPolicy) -> Result<(Ordered, u64), StoreError> {
    let broke = |error: String| StoreError::Unavailable(format!("{}: {error}", link.place()));
    let stream = link.context.get_stream_no_info(stream).await.map_err(|error| broke(error.to_string()))?;
    let config = OrderedConfig {
        filter_subject: filter.to_owned(),
        deliver_policy: from,
        headers_only: true,
        ..OrderedConfig::default()
    };
    let consumer: Consumer<OrderedConfig> =
        stream.create_consumer(config).await.map_err(|error| broke(error.to_string()))?;
    let pending = consumer.cached_info().num_pending;
    Ok((consumer.messages().await.map_err(|error| broke(error.to_string()))?, pending))
}

/// Reads the messages that are there, headers only, in order.
async fn read_all(
    link: &Link,
    stream: &str,
    filter: &str,
    from: DeliverPolicy,
    mut take: impl FnMut(&Message, u64, UnixMillis) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut losses = link.connected().await?;
    let broke = |why: String| StoreError::Unavailable(format!("{}: {why}", link.place()));
    let (mut messages, pending) = open(link, stream, filter, from).await?;
    if pending == 0 {
        return Ok(());
    }
    loop {
        let next = tokio::select! {
            biased;
            next = tokio::time::timeout(NEXT, messages.next()) => next,
            _ = losses.changed() => return Err(broke("the connection broke".to_owned())),
        };
        let message = next
            .map_err(|_| broke("no answer".to_owned()))?
            .ok_or_else(|| broke("the client has ended".to_owned()))?
            .map_err(|error| broke(error.to_string()))?;
        let info = message.info().map_err(|error| StoreError::damaged(error.to_string()))?;
        let written = u64::try_from(info.published.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        take(&message, info.stream_sequence, UnixMillis(written))?;
        if info.pending == 0 {
            return Ok(());
        }
    }
}

/// Reads the records that are there as far as their headers say: subject, place, and what it is.
pub(super) async fn read_headers(
    link: &Link,
    stream: &str,
    filter: &str,
    from: DeliverPolicy,
    mut take: impl FnMut(&str, u64, Result<About, StoreError>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    read_all(link, stream, filter, from, |message, place, _| {
        take(&message.subject, place, About::read(&message.subject, message.headers.as_ref()))
    })
    .await
}

/// Reads which messages are there: subject, place, and when it was written.
pub(super) async fn read_places(
    link: &Link,
    stream: &str,
    filter: &str,
    mut take: impl FnMut(&str, u64, UnixMillis),
) -> Result<(), StoreError> {
    read_all(link, stream, filter, DeliverPolicy::All, |message, place, written| {
        take(&message.subject, place, written);
        Ok(())
    })
    .await
}
