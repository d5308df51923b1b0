//! What the leader of a stream says of it, and whether it still is the leader.
//!
//! A server that slept, as machines and programs do, believes when it wakes up that it leads what it led before, until another
//! one tells it better, and answers until then with what it knew: in a test that stops a leader and asks it as it goes on,
//! every other time. It takes no write then, because the others do not follow. What it says of the stream has one thing that
//! it cannot be wrong about: how long ago it heard from each of them.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::link::{ApiError, Fault, Link};
use crate::error::StoreError;

/// A leader that heard from most servers within this time is the leader: the others wait longer before they elect another,
/// 4 s at least. A heartbeat comes once a second, and after two when nothing else was sent.
///
/// It is no proof where one server alone has lost its way to the leader, and has the others elect it meanwhile: until the next
/// heartbeat both believe that they lead.
const HEARD: Duration = Duration::from_secs(3);

/// Pauses before a leader is asked again that has not heard from the others: it steps down, or hears from them.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(80), Duration::from_millis(400), Duration::from_millis(1_000)];

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
    /// Whether who says this is the leader still.
    fn is_of_leader(&self) -> bool {
        let peers = self.cluster.as_ref().and_then(|cluster| cluster.replicas.as_deref()).unwrap_or_default();
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
        match link.api::<Info>(&what, request).await.map_err(Fault::of_read)? {
            Ok(info) if info.is_of_leader() => return Ok(Some(info)),
            Ok(_) => {
                let alone = || {
                    let place = link.place();
                    StoreError::Unavailable(format!(
                        "{place}: who leads {stream} has not heard from most of its servers"
                    ))
                };
                tokio::time::sleep(pauses.next().ok_or_else(alone)?).await;
            }
            Err(error) if error.err_code == ApiError::NO_STREAM => return Ok(None),
            Err(error) => return Err(error.into_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_has_heard_from_most() {
        let said = |cluster: &str| {
            let rest = r#""config":{"name":"S"},"state":{"messages":1,"last_seq":1}"#;
            serde_json::from_str::<Info>(&format!("{{{rest}{cluster}}}")).unwrap().is_of_leader()
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
