//! What is remembered over a restart: what was chosen in which group, how each group follows the network, and what
//! dashboards keep here.
//!
//! It is the state of an agent ([`StatefulAgent`]) that somebody else writes, a moment after a change; a call never waits for
//! that.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use tradewind_store::Schema;
use tradewind_store::agent::{AgentError, Snapshot, StatefulAgent, Upcasters};

/// What its shape is called.
const SCHEMA: &str = "tradewind.ways";
/// The version that is written.
const VERSION: u32 = 1;

/// The content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Content {
    schema_version: u32,
    /// By group.
    #[serde(default)]
    selected: BTreeMap<String, String>,
    /// By group, as the network machine writes it; absent until a policy was followed for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    networkpolicy: Option<BTreeMap<String, Value>>,
    /// JSON of dashboards, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<String, String>,
}

/// Keys of dashboards.
const MOST_KEYS: usize = 64;
/// Bytes of their keys and values together.
const MOST_STORED: usize = 1024 * 1024;

/// Why something of a dashboard is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// Too large, by itself or with what is kept already.
    #[error("more than {MOST_STORED} bytes would be stored")]
    Bytes,
    /// Too many keys.
    #[error("more than {MOST_KEYS} keys would be stored")]
    Keys,
}

impl Default for Content {
    fn default() -> Self {
        Self { schema_version: VERSION, selected: BTreeMap::new(), networkpolicy: None, storage: BTreeMap::new() }
    }
}

impl Content {
    fn read(json: &[u8]) -> Result<Self, String> {
        let content: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if content.schema_version != VERSION {
            return Err(format!("its form is {}, known is {VERSION}", content.schema_version));
        }
        Ok(content)
    }
}

/// What is remembered.
#[derive(Debug, Default)]
pub struct Kept {
    /// And whether it has changed since it was last written.
    content: Mutex<(Content, bool)>,
    bell: Notify,
}

impl Kept {
    /// How what older releases wrote is brought up to date.
    #[must_use]
    pub fn upcasters() -> Upcasters {
        Upcasters::new(SCHEMA, VERSION).expect("a name that was written here")
    }

    /// Reads the file that releases before the state store wrote; it counts as changed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_file(text: &str) -> Result<Self, String> {
        let content = Content::read(text.as_bytes())?;
        Ok(Self { content: Mutex::new((content, true)), bell: Notify::new() })
    }

    /// What was chosen in `group`.
    pub(crate) fn selected(&self, group: &str) -> Option<String> {
        self.content.lock().0.selected.get(group).cloned()
    }

    /// Remembers what was chosen; `None` forgets it.
    pub(crate) fn select(&self, group: &str, member: Option<&str>) {
        self.change(|content| match member {
            Some(member) => content.selected.insert(group.to_owned(), member.to_owned()).as_deref() != Some(member),
            None => content.selected.remove(group).is_some(),
        });
    }

    /// Whether a policy was ever followed here.
    pub(crate) fn has_records(&self) -> bool {
        self.content.lock().0.networkpolicy.is_some()
    }

    /// How `group` follows the network.
    pub(crate) fn record(&self, group: &str) -> Option<Value> {
        self.content.lock().0.networkpolicy.as_ref()?.get(group).cloned()
    }

    /// Remembers how `group` follows the network; `None` forgets it.
    pub(crate) fn set_record(&self, group: &str, record: Option<Value>) {
        self.change(|content| match record {
            Some(record) => {
                let records = content.networkpolicy.get_or_insert_default();
                records.insert(group.to_owned(), record.clone()) != Some(record)
            }
            None => content.networkpolicy.as_mut().is_some_and(|records| records.remove(group).is_some()),
        });
    }

    /// What a dashboard keeps under `key`.
    pub(crate) fn stored(&self, key: &str) -> Option<String> {
        self.content.lock().0.storage.get(key).cloned()
    }

    /// Keeps something of a dashboard; `None` forgets it.
    ///
    /// # Errors
    /// When there is no room for it.
    pub(crate) fn store(&self, key: &str, json: Option<&str>) -> Result<(), NoRoom> {
        let mut kept = Ok(());
        self.change(|content| {
            let storage = &mut content.storage;
            let Some(json) = json else { return storage.remove(key).is_some() };
            let others = storage.iter().filter(|(known, _)| *known != key);
            let (count, bytes) =
                others.fold((0, 0), |(count, bytes), (key, value)| (count + 1, bytes + key.len() + value.len()));
            if count >= MOST_KEYS {
                kept = Err(NoRoom::Keys);
            } else if bytes + key.len() + json.len() > MOST_STORED {
                kept = Err(NoRoom::Bytes);
            } else {
                return storage.insert(key.to_owned(), json.to_owned()).as_deref() != Some(json);
            }
            false
        });
        kept
    }

    fn change(&self, edit: impl FnOnce(&mut Content) -> bool) {
        let mut content = self.content.lock();
        if edit(&mut content.0) {
            content.1 = true;
            self.bell.notify_one();
        }
    }

    /// Waits until there is something to write.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }

    /// What is to be written, when it has changed since it was last asked for.
    ///
    /// # Errors
    /// None that is known: it can always be written as JSON.
    pub fn unwritten(&self) -> Result<Option<Snapshot>, AgentError> {
        if !std::mem::take(&mut self.content.lock().1) {
            return Ok(None);
        }
        self.take_snapshot().map(Some)
    }

    /// What was to be written was not.
    pub fn was_not_written(&self) {
        self.content.lock().1 = true;
        self.bell.notify_one();
    }
}

impl StatefulAgent for Kept {
    fn take_snapshot(&self) -> Result<Snapshot, AgentError> {
        let schema = Schema::new(SCHEMA, VERSION).expect("a name that was written here");
        Snapshot::json(schema, &self.content.lock().0)
    }

    fn restore_from(&mut self, snapshot: &Snapshot) -> Result<(), AgentError> {
        let content = Content::read(&snapshot.content).map_err(AgentError::Restore)?;
        *self.content.get_mut() = (content, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What another process makes of what this one would write.
    fn again(kept: &Kept) -> Kept {
        let mut other = Kept::default();
        other.restore_from(&kept.unwritten().unwrap().expect("it has changed")).unwrap();
        other
    }

    #[test]
    fn what_was_chosen_is_there_after_a_restart() {
        let kept = Kept::default();
        kept.select("way-out", Some("corp"));
        kept.select("gone", Some("x"));
        kept.select("gone", None);
        kept.set_record("way-out", Some(serde_json::json!({"source": "manual"})));
        let kept = again(&kept);
        assert_eq!(kept.selected("way-out").as_deref(), Some("corp"));
        assert_eq!(kept.selected("gone"), None);
        assert_eq!(kept.record("way-out"), Some(serde_json::json!({"source": "manual"})));
        kept.set_record("way-out", None);
        assert!(again(&kept).has_records(), "empty is not absent");
    }

    #[test]
    fn dashboards_keep_what_there_is_room_for() {
        let kept = Kept::default();
        assert_eq!(kept.store("a", Some("[1, 2 ]")), Ok(()));
        let kept = again(&kept);
        assert_eq!(kept.stored("a").as_deref(), Some("[1, 2 ]"), "as it was written");
        let large = "1".repeat(MOST_STORED - 1);
        assert_eq!(kept.store("a", Some(&large)), Ok(()), "in the place of the one before");
        assert_eq!(kept.store("b", Some("1")), Err(NoRoom::Bytes));
        assert_eq!(kept.store("a", Some(&(large + "1"))), Err(NoRoom::Bytes));
        assert_eq!(kept.stored("a").map(|kept| kept.len()), Some(MOST_STORED - 1), "as before");
        assert_eq!(kept.store("a", None), Ok(()));
        assert_eq!(kept.stored("a"), None);
        for key in 0..MOST_KEYS {
            assert_eq!(kept.store(&key.to_string(), Some("1")), Ok(()));
        }
        assert_eq!(kept.store("one more", Some("1")), Err(NoRoom::Keys));
        assert_eq!(kept.store("7", Some("2")), Ok(()));
    }

    #[test]
    fn what_is_not_ours_changes_nothing() {
        for text in ["{", "[]", r#"{"schema_version":7}"#] {
            assert!(Kept::of_file(text).is_err(), "{text}");
            let mut kept = Kept::default();
            kept.select("a", Some("b"));
            let snapshot = Snapshot { content: text.as_bytes().into(), ..kept.take_snapshot().unwrap() };
            kept.restore_from(&snapshot).unwrap_err();
            assert_eq!(kept.selected("a").as_deref(), Some("b"));
        }
    }

    #[test]
    fn the_file_of_before_is_read_and_written_elsewhere() {
        let kept = Kept::of_file(r#"{"schema_version":1,"selected":{"way-out":"corp"}}"#).unwrap();
        assert_eq!(again(&kept).selected("way-out").as_deref(), Some("corp"));
    }

    #[test]
    fn only_changes_are_written() {
        let kept = Kept::default();
        let is_unwritten = || kept.unwritten().unwrap().is_some();
        assert!(!is_unwritten(), "nothing has changed");
        kept.select("a", Some("b"));
        assert!(is_unwritten() && !is_unwritten());
        kept.select("a", Some("b"));
        assert!(!is_unwritten(), "the same choice again is no change");
        kept.was_not_written();
        assert!(is_unwritten());
    }
}
