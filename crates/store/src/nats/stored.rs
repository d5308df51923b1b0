//! Messages as revisions, and how they are read back.

use std::time::Duration;

use async_nats::header::HeaderMap;
use async_nats::{Message, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::about::{ABOUT, About};
use super::leader;
use super::link::{ApiError, Fault, Link};
use super::names::{self, Space};
use crate::error::StoreError;
use crate::record::Record;

/// Messages that are asked for at once.
const STEP: usize = 64;
/// How often all messages of a subject are read, of which some go meanwhile.
const LOOKS: usize = 16;
/// How long the next message of several may take.
const NEXT: Duration = Duration::from_secs(5);
/// Pauses before it is asked again where there is a stream and nobody answers for it.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1_000),
];

/// A message that was read from a stream.
pub(super) struct Stored {
    /// Its place in the stream.
    pub(super) place: u64,
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

impl Stored {
    /// Whether it has the header of a revision, readable or not.
    pub(super) fn has_about(&self) -> bool {
        self.headers.get(ABOUT).is_some()
    }

    pub(super) fn about(&self) -> Result<About, StoreError> {
        About::read(&self.subject, Some(&self.headers))
    }

    pub(super) fn record(&self) -> Result<Record, StoreError> {
        let damaged = || StoreError::damaged(format!("the content of {} is not what was written", self.subject));
        self.about()?.into_record(&self.payload).ok_or_else(damaged)
    }

    fn direct(message: Message) -> Result<Self, StoreError> {
        let strange = || StoreError::damaged("NATS answers with a message that has no place");
        let headers = message.headers.ok_or_else(strange)?;
        let of = |name: &str| headers.get(name).map(|value| value.as_str().to_owned()).ok_or_else(strange);
        let place = of("Nats-Sequence")?.parse().map_err(|_| strange())?;
        let subject = of("Nats-Subject")?;
        Ok(Self { place, subject, headers, payload: message.payload })
    }
}

/// The last message with a subject. Of several replicas one is believed that has come as far as the leader.
pub(super) async fn last(
    link: &Link,
    stream: &str,
    subject: &str,
    replicas: usize,
) -> Result<Option<Stored>, StoreError> {
    if replicas > 1 {
        let Some(info) = leader::info_with_subjects(link, stream, subject, 0).await? else { return Ok(None) };
        if info.state.subjects.is_none_or(|subjects| subjects.is_empty()) {
            return Ok(None);
        }
        let subjects = [subject.to_owned()];
        return Ok(last_of_each_up_to(link, stream, &subjects, info.state.last_seq).await?.pop());
    }
    let mut pauses = PAUSES.into_iter();
    loop {
        match link.ask(["$JS.API.DIRECT.GET.", stream, ".", subject].concat(), None, Bytes::new()).await {
            Ok(message) => match message.status {
                None => return Stored::direct(message).map(Some),
                Some(StatusCode::NOT_FOUND) => return Ok(None),
                Some(other) => return Err(StoreError::Unavailable(format!("NATS answers with {other}"))),
            },
            Err(Fault::Nobody) => {
                if !is_there(link, stream).await? {
                    return Ok(None);
                }
                tokio::time::sleep(pauses.next().ok_or_else(|| Fault::Nobody.of_read())?).await;
            }
            Err(fault) => return Err(fault.of_read()),
        }
    }
}

/// Whether there is such a stream. One that is just being made, or has lost its leader, is, and nobody answers for it yet.
async fn is_there(link: &Link, stream: &str) -> Result<bool, StoreError> {
    Ok(leader::info(link, stream).await?.is_some())
}

/// The last message with one of these subjects, by who takes itself for the leader.
async fn last_of_leader(link: &Link, stream: &str, subject: &str) -> Result<Option<Stored>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Found {
        message: jetstream_raw::Raw,
    }
    let request = json!({"last_by_subj": subject});
    let what = ["STREAM.MSG.GET.", stream].concat();
    match link.api::<Found>(&what, &request).await.map_err(Fault::of_read)? {
        Ok(found) => found.message.stored().map(Some),
        Err(error) if matches!(error.err_code, ApiError::NO_MESSAGE | ApiError::NO_STREAM) => Ok(None),
        Err(error) => Err(error.into_error()),
    }
}

/// The place of the first message of these subjects from `place` on. The leader is asked.
pub(super) async fn next(link: &Link, stream: &str, subjects: &str, place: u64) -> Result<Option<u64>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Found {
        message: Place,
    }
    #[derive(serde::Deserialize)]
    struct Place {
        seq: u64,
    }
    let request = json!({"seq": place, "next_by_subj": subjects});
    let what = ["STREAM.MSG.GET.", stream].concat();
    match link.api::<Found>(&what, &request).await.map_err(Fault::of_read)? {
        Ok(found) => Ok(Some(found.message.seq)),
        Err(error) if matches!(error.err_code, ApiError::NO_MESSAGE | ApiError::NO_STREAM) => Ok(None),
        Err(error) => Err(error.into_error()),
    }
}

/// A message as the leader gives it: in JSON.
mod jetstream_raw {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use bytes::Bytes;

    use super::{HeaderMap, StoreError, Stored};

    #[derive(serde::Deserialize)]
    pub(super) struct Raw {
        subject: String,
        seq: u64,
        #[serde(default)]
        data: String,
        #[serde(default)]
        hdrs: String,
    }

    impl Raw {
        pub(super) fn stored(self) -> Result<Stored, StoreError> {
            let strange = |_| StoreError::damaged("NATS answers with a message that is not Base64");
            let payload = Bytes::from(BASE64_STANDARD.decode(&self.data).map_err(strange)?);
            let text = BASE64_STANDARD.decode(&self.hdrs).map_err(strange)?;
            let mut headers = HeaderMap::new();
            for line in String::from_utf8_lossy(&text).lines().skip(1) {
                if let Some((name, value)) = line.split_once(':') {
                    headers.insert(name.trim(), value.trim());
                }
            }
            Ok(Stored { place: self.seq, subject: self.subject, headers, payload })
        }
    }
}

/// All messages with a subject.
pub(super) struct All {
    /// In order.
    pub(super) messages: Vec<Stored>,
    /// Why there are more: the server passes over what it cannot read.
    pub(super) damaged: Option<StoreError>,
}

impl All {
    /// The messages, if that is all of them.
    pub(super) fn whole(self) -> Result<Vec<Stored>, StoreError> {
        self.damaged.map_or(Ok(self.messages), Err)
    }
}

/// Reads all messages with a subject, or under one that ends with a wildcard. Any of several replicas may answer: it must
/// have what its leader had before.
pub(super) async fn all(link: &Link, stream: &str, subject: &str, replicas: usize) -> Result<All, StoreError> {
    let mut before: Option<Vec<u64>> = None;
    let mut pauses = PAUSES.into_iter();
    for _ in 0..LOOKS {
        let newest = match replicas {
            ..=1 => None,
            // Who is asked for the last one of each of several subjects tells all of them.
            _ if subject.ends_with(['*', '>']) => last_of_leader(link, stream, subject).await?,
            _ => last(link, stream, subject, replicas).await?,
        };
        let (messages, counted) = read_all(link, stream, subject).await?;
        if messages.len() as u64 >= counted {
            let place = |message: Option<&Stored>| message.map_or(0, |message| message.place);
            if place(messages.last()) >= place(newest.as_ref()) {
                return Ok(All { messages, damaged: None });
            }
            tokio::time::sleep(pauses.next().ok_or_else(|| lags(link))?).await;
            continue;
        }
        // Some may have gone while they were read. Where the same ones are there again, none has.
        let places: Vec<u64> = messages.iter().map(|message| message.place).collect();
        if before.as_ref() == Some(&places) {
            let missing = counted - messages.len() as u64;
            let what = format!("the server cannot read {missing} of the {counted} messages of {subject}");
            return Ok(All { messages, damaged: Some(StoreError::damaged(what)) });
        }
        before = Some(places);
    }
    Err(StoreError::Busy)
}

/// All messages with a subject that the server can read, and how many there were when the first one was asked for.
async fn read_all(link: &Link, stream: &str, subject: &str) -> Result<(Vec<Stored>, u64), StoreError> {
    let (mut found, mut counted): (Vec<Stored>, _) = (Vec::new(), None);
    loop {
        let from = found.last().map_or(1, |last| last.place + 1);
        let step = several(link, stream, &json!({"seq": from, "batch": STEP, "next_by_subj": subject})).await?;
        let is_last = step.messages.len() < STEP;
        let counted = *counted.get_or_insert(step.messages.len() as u64 + step.left);
        found.extend(step.messages);
        if is_last {
            return Ok((found, counted));
        }
    }
}

/// Whether there is a message with a subject.
pub(super) async fn is_any(link: &Link, stream: &str, subject: &str, replicas: usize) -> Result<bool, StoreError> {
    if replicas > 1 {
        return Ok(next(link, stream, subject, 1).await?.is_some());
    }
    let first = several(link, stream, &json!({"seq": 1, "batch": 1, "next_by_subj": subject})).await?;
    Ok(!first.messages.is_empty() || first.left > 0)
}

/// The last message of each subject, as far as there is one, in no order. Of several replicas one is believed that has come
/// as far as the leader.
pub(super) async fn last_of_each(
    link: &Link,
    stream: &str,
    subjects: &[String],
    replicas: usize,
) -> Result<Vec<Stored>, StoreError> {
    let mut found = Vec::with_capacity(subjects.len());
    if subjects.is_empty() {
        return Ok(found);
    }
    let up_to = match replicas {
        ..=1 => 0,
        _ => match leader::info(link, stream).await? {
            Some(info) => info.state.last_seq,
            None => return Ok(found),
        },
    };
    for subjects in subjects.chunks(STEP) {
        found.extend(last_of_each_up_to(link, stream, subjects, up_to).await?);
    }
    Ok(found)
}

/// The same, by who has come to the place `up_to` of the stream at least.
async fn last_of_each_up_to(
    link: &Link,
    stream: &str,
    subjects: &[String],
    up_to: u64,
) -> Result<Vec<Stored>, StoreError> {
    if up_to == 0 {
        return Ok(several(link, stream, &json!({"multi_last": subjects, "batch": subjects.len()})).await?.messages);
    }
    // Who has none of them does not say how far it has come. Everybody has the mark, if it has come far enough.
    let mark = names::mark_of(stream);
    let with_mark: Vec<&str> = subjects.iter().map(String::as_str).chain([&*mark]).collect();
    let request = json!({"multi_last": with_mark, "batch": with_mark.len()});
    let mut pauses = PAUSES.into_iter();
    loop {
        let mut several = several(link, stream, &request).await?;
        match several.up_to {
            Some(come_to) if come_to >= up_to => {
                several.messages.retain(|message| message.subject != mark);
                return Ok(several.messages);
            }
            Some(_) => tokio::time::sleep(pauses.next().ok_or_else(|| lags(link))?).await,
            None => break,
        }
    }
    let asked = subjects.iter().map(async |subject| match last_of_leader(link, stream, subject).await {
        // It is left out, as by a server that is asked for several.
        Err(StoreError::Damaged { .. }) => Ok(None),
        other => other,
    });
    Ok(try_join_all(asked).await?.into_iter().flatten().collect())
}

fn lags(link: &Link) -> StoreError {
    StoreError::Unavailable(format!("{}: a replica lags behind its leader", link.place()))
}

/// What is answered to who asks for several messages.
#[derive(Default)]
struct Several {
    messages: Vec<Stored>,
    /// How many more there were, by the server's count, readable or not.
    left: u64,
    /// How far who answers had come, where the last ones were asked for, and it has some.
    up_to: Option<u64>,
}

/// Asks for several messages; none where there is no such stream.
async fn several(link: &Link, stream: &str, request: &Value) -> Result<Several, StoreError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        if let Some(found) = ask_for_several(link, stream, request).await? {
            return Ok(found);
        }
        if !is_there(link, stream).await? {
            return Ok(Several::default());
        }
        tokio::time::sleep(pauses.next().ok_or_else(|| Fault::Nobody.of_read())?).await;
    }
}

/// Asks for several messages (ADR-31): they come one by one, and then an empty one that says so. `None` when nobody answers.
async fn ask_for_several(link: &Link, stream: &str, request: &Value) -> Result<Option<Several>, StoreError> {
    let mut losses = link.connected().await?;
    let broke = |why: &str| StoreError::Unavailable(format!("{}: {why}", link.place()));
    let inbox = link.client.new_inbox();
    let mut answers = link.client.subscribe(inbox.clone()).await.map_err(|error| broke(&error.to_string()))?;
    let subject = ["$JS.API.DIRECT.GET.", stream].concat();
    let sent = link.client.publish_with_reply(subject, inbox, Bytes::from(request.to_string())).await;
    sent.map_err(|error| broke(&error.to_string()))?;
    let mut messages = Vec::new();
    loop {
        let next = tokio::select! {
            biased;
            next = tokio::time::timeout(NEXT, answers.next()) => next,
            _ = losses.changed() => return Err(broke("the connection broke")),
        };
        let message = next.map_err(|_| broke("no answer"))?.ok_or_else(|| broke("the client has ended"))?;
        match message.status {
            None => messages.push(Stored::direct(message)?),
            // Nothing at all.
            Some(StatusCode::NOT_FOUND) => return Ok(Some(Several { messages, ..Several::default() })),
            Some(StatusCode::NO_RESPONDERS) => return Ok(None),
            // The end.
            Some(status) if status.as_u16() == 204 => {
                let number = |name: &str| message.headers.as_ref()?.get(name)?.as_str().parse().ok();
                let left = number("Nats-Num-Pending").unwrap_or_default();
                return Ok(Some(Several { messages, left, up_to: number("Nats-UpTo-Sequence") }));
            }
            Some(status) => return Err(broke(&format!("NATS answers with {status}"))),
        }
    }
}

/// The subjects of a stream under `filter`.
pub(super) async fn subjects(link: &Link, space: &Space, filter: &str) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    loop {
        let Some(info) = leader::info_with_subjects(link, &space.stream(), filter, found.len()).await? else {
            return Ok(found);
        };
        let page = info.state.subjects.unwrap_or_default();
        let is_last = page.is_empty() || found.len() + page.len() >= info.total;
        found.extend(page.into_keys());
        if is_last {
            return Ok(found);
        }
    }
}
