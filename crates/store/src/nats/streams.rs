//! The two streams of a namespace: made with the first write, and known from then on.

use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde_json::{Value, json};

use super::EVENTS_PER_KEY;
use super::leader::{Info, info};
use super::link::{ApiError, Fault, Link};
use super::names::Space;
use crate::error::StoreError;
use crate::name::Namespace;

/// Which streams are known to be there, and how many messages of one subject each keeps.
pub(super) struct Streams {
    replicas: usize,
    known: Mutex<FxHashMap<Namespace, u32>>,
}

impl Streams {
    pub(super) fn new(replicas: usize) -> Self {
        Self { replicas, known: Mutex::default() }
    }

    pub(super) fn replicas(&self) -> usize {
        self.replicas
    }

    /// Forgets what is known of a namespace's streams, because they were found to be gone.
    pub(super) fn forget(&self, namespace: &Namespace) {
        self.known.lock().remove(namespace);
    }

    /// Sees to it that the streams are there and keep `keep` revisions of each key.
    pub(super) async fn ready(&self, link: &Link, namespace: &Namespace, keep: u32) -> Result<(), StoreError> {
        let wanted = keep.max(EVENTS_PER_KEY);
        if self.known.lock().get(namespace).is_some_and(|kept| *kept >= wanted) {
            return Ok(());
        }
        let space = Space::of(namespace);
        let kept = match info(link, &space.stream()).await? {
            Some(info) => u32::try_from(info.config.max_msgs_per_subject).unwrap_or(u32::MAX),
            None => 0,
        };
        if kept == 0 {
            // The one beside it first: who finds the stream of records finds both.
            self.make("CREATE", link, self.beside(&space)).await?;
            self.make("CREATE", link, self.records(&space, wanted)).await?;
        } else if kept < wanted {
            // Only ever more: another gateway may have been told to keep them.
            self.make("UPDATE", link, self.records(&space, wanted)).await?;
        }
        self.known.lock().insert(namespace.clone(), kept.max(wanted));
        Ok(())
    }

    async fn make(&self, action: &str, link: &Link, config: Config) -> Result<(), StoreError> {
        let what = format!("STREAM.{action}.{}", config.name);
        let request = serde_json::to_value(&config).expect("settings of a stream are JSON");
        // Making a stream twice does nothing, so that an answer that did not come is no harm.
        match link.api::<Value>(&what, &request).await.map_err(Fault::of_read)? {
            Ok(_) => Ok(()),
            // Somebody else was first, and wants to keep more or less.
            Err(error) if error.err_code == ApiError::STREAM_EXISTS => Ok(()),
            Err(error) => Err(error.into_error()),
        }
    }

    fn records(&self, space: &Space, keep: u32) -> Config {
        Config {
            name: space.stream(),
            subjects: vec![space.all_records(), space.mark()],
            max_messages_per_subject: i64::from(keep),
            description: Some("Tradewind: one message for each revision of a key".to_owned()),
            ..self.plain()
        }
    }

    fn beside(&self, space: &Space) -> Config {
        Config {
            name: space.beside(),
            subjects: vec![space.all_beside()],
            max_messages_per_subject: 1,
            description: Some("Tradewind: pieces of long contents, pinned revisions, extended times".to_owned()),
            ..self.plain()
        }
    }

    fn plain(&self) -> Config {
        Config {
            max_bytes: -1,
            max_messages: -1,
            max_consumers: -1,
            // Where somebody sets a limit, writes are refused and nothing is thrown away.
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            num_replicas: self.replicas,
            allow_direct: true,
            ..Config::default()
        }
    }
}

/// The streams with our subjects.
#[derive(Default)]
pub(super) struct Everything {
    pub(super) streams: Vec<Info>,
    /// Those of which nobody says anything now: a cluster is just making them, or they have lost too many servers.
    pub(super) missing: Vec<String>,
}

/// All streams of ours. A cluster takes some seconds to find out that nobody answers for one.
pub(super) async fn everything(link: &Link) -> Result<Everything, StoreError> {
    #[derive(serde::Deserialize)]
    struct Page {
        total: usize,
        #[serde(default)]
        streams: Option<Vec<Info>>,
        #[serde(default)]
        missing: Option<Vec<String>>,
    }
    let mut found = Everything::default();
    loop {
        let offset = found.streams.len() + found.missing.len();
        let request = json!({"offset": offset, "subject": "tradewind.>"});
        match link.api::<Page>("STREAM.LIST", &request).await.map_err(Fault::of_read)? {
            Ok(page) => {
                let (streams, missing) = (page.streams.unwrap_or_default(), page.missing.unwrap_or_default());
                let many = streams.len() + missing.len();
                found.streams.extend(streams);
                found.missing.extend(missing);
                if many == 0 || offset + many >= page.total {
                    return Ok(found);
                }
            }
            Err(error) => return Err(error.into_error()),
        }
    }
}
