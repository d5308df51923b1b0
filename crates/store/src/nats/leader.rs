//! What the leader of a stream says of it, and whether it is the leader.
//!
//! A server that slept, as machines and programs do, believes when it wakes up that it leads what it led before, until another
//! one tells it better, and answers until then with what it knew: in a test that stops a leader and asks it as it goes on,
//! every other time. It says that it has just heard from the others, whose answers to what it sent before lay there while it
//! slept. What it cannot do is to have others take a message.
//!
//! So a mark is written, once in a while for all who read: most servers have taken it since it was sent, and elect nobody else
//! for a time. Who leads the stream then has the mark, and who has it and leads was not asleep.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::commit::taken;
use super::link::{ApiError, Fault, Link};
use super::names::mark_of;
use crate::error::StoreError;

/// So long after a mark was sent no other leader is elected: a server waits 4 s at least after it heard from one, and votes
/// for none that has not got what it has itself.
const LEASE: Duration = Duration::from_secs(2);
/// Without a mark, where the stream is full, a leader that heard from most servers within this time is believed: a heartbeat
/// comes once a second, and after two when nothing else was sent.
const HEARD: Duration = Duration::from_secs(3);

/// Pauses before it is asked again where an answer is not the leader's.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(80),
    Duration::from_millis(400),
    Duration::from_millis(1_000),
];

/// Of each stream, when the last mark was sent and where it lies.
#[derive(Default)]
pub(super) struct Marks(Mutex<FxHashMap<String, (Instant, u64)>>);

/// What became of a mark.
enum Marked {
    Taken,
    /// The stream takes no more.
    Full,
    /// Nobody leads it now.
    Nobody,
}

impl Marks {
    /// Where the mark lies, while it says who leads.
    fn of(&self, stream: &str) -> Option<u64> {
        let marks = self.0.lock();
        marks.get(stream).filter(|(sent, _)| sent.elapsed() < LEASE).map(|(_, place)| *place)
    }

    async fn write(&self, link: &Link, stream: &str) -> Result<Marked, StoreError> {
        #[expect(clippy::disallowed_methods, reason = "how long ago something was sent concerns nobody else")]
        let sent = Instant::now();
        let answer = match link.ask(mark_of(stream), Some(HeaderMap::new()), Bytes::new()).await {
            Ok(answer) => answer,
            Err(Fault::Nobody) => return Ok(Marked::Nobody),
            Err(fault) => return Err(fault.of_read()),
        };
        match taken(&answer.payload).map_err(StoreError::Unavailable)?.map_err(ApiError::into_error) {
            Ok(place) => {
                let mut marks = self.0.lock();
                let last = marks.entry(stream.to_owned()).or_insert((sent, place));
                if last.0 < sent {
                    *last = (sent, place);
                }
                Ok(Marked::Taken)
            }
            Err(StoreError::Full(_)) => Ok(Marked::Full),
            Err(error) => Err(error),
        }
    }
}

/// What is known of a stream.
#[derive(serde::Deserialize)]
pub(super) struct Info {
    pub(super) config: Limits,
    pub(super) state: State,
    /// How many subjects there are, of which an answer names some.
    #[serde(default)]
    pub(super) total: usize,
    #[serde(default)]
    cluster: Option<Cluster>,
}

/// The part of a stream's settings that is of interest.
#[derive(serde::Deserialize)]
pub(super) struct Limits {
    pub(super) name: String,
    #[serde(default)]
    pub(super) max_msgs_per_subject: i64,
}

/// The part of a stream's state that is of interest.
#[derive(serde::Deserialize)]
pub(super) struct State {
    pub(super) messages: u64,
    pub(super) last_seq: u64,
    /// How many messages each subject has, of those that were asked for.
    #[serde(default)]
    pub(super) subjects: Option<HashMap<String, u64>>,
}

/// The other servers that keep a stream.
#[derive(serde::Deserialize)]
struct Cluster {
    #[serde(default)]
    replicas: Option<Vec<Peer>>,
}

#[derive(serde::Deserialize)]
struct Peer {
    /// Nanoseconds since the leader heard from it.
    #[serde(default)]
    active: u64,
}

impl Info {
    fn peers(&self) -> &[Peer] {
        self.cluster.as_ref().and_then(|cluster| cluster.replicas.as_deref()).unwrap_or_default()
    }

    /// Whether who says this believes to have heard from most of the others.
    fn has_heard(&self) -> bool {
        let peers = self.peers();
        let heard = peers.iter().filter(|peer| Duration::from_nanos(peer.active) < HEARD).count();
        (heard + 1) * 2 > peers.len() + 1
    }
}

/// What a stream is at; `None` when there is none.
pub(super) async fn info(link: &Link, stream: &str) -> Result<Option<Info>, StoreError> {
    ask(link, stream, &Value::Null).await
}

/// The same, with the subjects under `filter` behind the first `offset` of them.
pub(super) async fn info_with_subjects(
    link: &Link,
    stream: &str,
    filter: &str,
    offset: usize,
) -> Result<Option<Info>, StoreError> {
    ask(link, stream, &json!({"subjects_filter": filter, "offset": offset})).await
}

async fn ask(link: &Link, stream: &str, request: &Value) -> Result<Option<Info>, StoreError> {
    let what = ["STREAM.INFO.", stream].concat();
    let mut pauses = PAUSES.into_iter();
    loop {
        let info = match link.api::<Info>(&what, request).await.map_err(Fault::of_read)? {
            Ok(info) => info,
            Err(error) if error.err_code == ApiError::NO_STREAM => return Ok(None),
            Err(error) => return Err(error.into_error()),
        };
        if info.peers().is_empty() {
            return Ok(Some(info));
        }
        let pause = match link.marks.of(stream) {
            Some(place) if info.state.last_seq >= place => return Ok(Some(info)),
            Some(_) => pauses.next(),
            None => match link.marks.write(link, stream).await? {
                Marked::Taken => pauses.next().map(|_| Duration::ZERO),
                Marked::Full if info.has_heard() => return Ok(Some(info)),
                Marked::Full | Marked::Nobody => pauses.next(),
            },
        };
        let other = || StoreError::Unavailable(format!("{}: it is not said who leads {stream} now", link.place()));
        tokio::time::sleep(pause.ok_or_else(other)?).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_is_more_than_half() {
        let said = |cluster: &str| {
            let rest = r#""config":{"name":"S"},"state":{"messages":1,"last_seq":1}"#;
            serde_json::from_str::<Info>(&format!("{{{rest}{cluster}}}")).unwrap().has_heard()
        };
        let of_peers = |seconds: &[f64]| {
            let peers: Vec<_> =
                seconds.iter().map(|active| format!(r#"{{"active":{}}}"#, (active * 1e9) as u64)).collect();
            said(&format!(r#","cluster":{{"leader":"a","replicas":[{}]}}"#, peers.join(",")))
        };
        assert!(said("") && said(r#","cluster":{"leader":"a"}"#) && said(r#","cluster":{"replicas":null}"#));
        assert!(of_peers(&[]) && of_peers(&[0.0, 2.9]) && of_peers(&[6.0, 1.4]) && of_peers(&[0.1, 0.1, 9.0, 9.0]));
        assert!(!of_peers(&[3.0, 6.7]) && !of_peers(&[3.0]) && !of_peers(&[0.1, 9.0, 9.0, 9.0]));
    }
}
