//! Watches: each reads the stream of changes from where it is, and all of one namespace share the waiting for more.
//!
//! Places are counted from 1. An entry in a stream tells of one change or of several that came together, and is called
//! `1-N` by the place of its last one, so that whoever goes on after a place and finds an entry that does not begin at the
//! next one, or in front of it, knows that changes are gone. A server that lost what it had told gives the same numbers to
//! others: a place has a mark of its entry beside the number, and each reading begins with the entry that was told last.
//! Whoever brings a number alone is not told of such a loss. A lost connection is made again with [`Patience`];
//! nothing is told twice or left out by it, because the place is the watch's own.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::FutureExt as _;
use redis::Cmd;
use tokio::sync::watch;

use super::keys::Space;
use super::link::{Fault, Link, WAIT};
use super::reply;
use crate::error::StoreError;
use crate::name::Namespace;
use crate::servers::{Answer, Patience, Start, Unanswered, Watching, told};
use crate::store::{After, Cursor, Event};
use crate::told::{Changes, Passed};

/// Entries of changes that are read at once.
const STEP: usize = 64;

fn last_change(space: &Space) -> Cmd {
    let mut command = redis::cmd("XREVRANGE");
    command.arg(space.changes()).arg("+").arg("-").arg("COUNT").arg(1);
    command
}

/// The place of a namespace's latest change.
pub(super) async fn latest(link: Arc<Link>, namespace: Namespace) -> Result<Cursor, StoreError> {
    reply::last_place(link.read(&last_change(&Space::of(&namespace))).await?)
}

/// The same for a watch that begins now.
async fn ask(link: Arc<Link>, last_change: Cmd) -> Answer {
    match link.ask(&last_change).await {
        Ok(answer) => reply::last_place(answer).map_err(Unanswered::Refused),
        Err(fault @ Fault::Refused(..)) => Err(Unanswered::Refused(fault.of_read())),
        Err(fault) => Err(Unanswered::NotReached(fault.of_read())),
    }
}

pub(super) fn stream(link: Arc<Link>, namespace: &Namespace, prefix: &str, after: After) -> Changes {
    let start = Start::of(after, || {
        let (link_of_question, space) = (Arc::clone(&link), Space::of(namespace));
        let ask = move || ask(Arc::clone(&link_of_question), last_change(&space)).boxed();
        link.questions.ask(namespace.clone(), ask)
    });
    let passed = Passed::default();
    let watch = start.map(|start| Watch {
        link,
        namespace: namespace.clone(),
        prefix: Arc::from(prefix),
        start,
        found: VecDeque::new(),
        passed: passed.clone(),
        caught_up: false,
        heard: None,
    });
    told(watch, passed)
}

struct Watch {
    link: Arc<Link>,
    namespace: Namespace,
    prefix: Arc<str>,
    start: Start,
    found: VecDeque<Event>,
    passed: Passed,
    /// Whether everything that is there was read, so that it is time to wait.
    caught_up: bool,
    /// The later change that another watch waits behind.
    heard: Option<u64>,
}

impl Watching for Watch {
    fn closing(&self) -> watch::Receiver<bool> {
        self.link.closing()
    }

    async fn next(&mut self) -> Result<Event, StoreError> {
        loop {
            if let Some(event) = self.found.pop_front() {
                return Ok(event);
            }
            let mut patience = Patience::new();
            while let Err(error) = self.step().await {
                patience.after(error).await?;
            }
        }
    }
}

impl Watch {
    /// Finds out where to begin, or reads, or waits.
    async fn step(&mut self) -> Result<(), StoreError> {
        let place = match &mut self.start {
            Start::At(place) => *place,
            Start::Asking(question) => {
                let place = question.answer().await.map_err(Unanswered::into_error)?;
                self.start = Start::At(place);
                return Ok(());
            }
        };
        if self.caught_up {
            self.caught_up = false;
            return self.wait(place.major).await;
        }
        let mut command = redis::cmd("XRANGE");
        let told = format!("1-{}", place.major.max(1));
        command.arg(Space::of(&self.namespace).changes()).arg(told).arg("+").arg("COUNT").arg(STEP + 1);
        let part = reply::changes(self.link.read(&command).await?, &self.namespace, place)?;
        let mut last = part.place;
        self.caught_up = part.later.is_empty();
        for change in part.later {
            if change.cursor.major != last.major + 1 {
                return Err(StoreError::CursorGone);
            }
            last = change.cursor;
            if change.key.name().starts_with(&*self.prefix) {
                self.found.push_back(change);
            }
        }
        self.start = Start::At(last);
        if self.found.is_empty() {
            self.passed.move_to(last);
        }
        Ok(())
    }

    /// Waits for a change after `place`, for [`WAIT`] at most.
    async fn wait(&mut self, place: u64) -> Result<(), StoreError> {
        let waiting = {
            let mut waits = self.link.waits.lock();
            waits.retain(|_, (_, waiting)| {
                waiting.peek().is_none() && waiting.strong_count().is_some_and(|count| count > 1)
            });
            match waits.get(&self.namespace) {
                // It knows of a later change already; unless that was looked for and is not there, because it was lost.
                Some((later, _)) if *later > place && self.heard != Some(*later) => {
                    self.heard = Some(*later);
                    return Ok(());
                }
                Some((earlier, waiting)) if *earlier <= place => waiting.clone(),
                _ => {
                    let mut command = redis::cmd("XREAD");
                    command.arg("BLOCK").arg(WAIT.as_millis() as u64).arg("COUNT").arg(1);
                    command.arg("STREAMS").arg(Space::of(&self.namespace).changes()).arg(format!("1-{place}"));
                    let link = Arc::clone(&self.link);
                    let waiting = async move { link.wait_for(&command).await.map(drop) }.boxed().shared();
                    waits.insert(self.namespace.clone(), (place, waiting.clone()));
                    waiting
                }
            }
        };
        waiting.await
    }
}
