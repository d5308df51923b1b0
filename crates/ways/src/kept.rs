//! What is remembered over a restart: what was chosen in which group, how each group follows the network, and what
//! dashboards keep here.
//!
//! One small file in the data directory. It is written by the upkeep task, a moment after a change; a call never waits
//! for it. A file that cannot be read is put aside under another name, never overwritten.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use tradewind_runtime::files;

/// Its name in the data directory.
const FILE: &str = "ways.json";
/// The largest file that is read.
const LARGEST: u64 = 16 * 1024 * 1024;
/// The form of the file.
const VERSION: u32 = 1;

/// The content of the file.
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

/// What is remembered.
#[derive(Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    content: Mutex<(Content, bool)>,
    bell: Notify,
    /// Held while the file is written: who writes last waits for who writes now.
    writing: Mutex<()>,
}

impl Kept {
    /// Reads what the data directory has. The second value says what was wrong with the file, if anything was.
    pub(crate) fn open(folder: &Path) -> (Self, Option<String>) {
        let path = folder.join(FILE);
        let (content, wrong) = match files::read_text(&path, LARGEST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Content::default(), None),
            Err(error) => (Content::default(), Some(error.to_string())),
            Ok(text) => match serde_json::from_str::<Content>(&text) {
                Ok(content) if content.schema_version == VERSION => (content, None),
                Ok(content) => {
                    (Content::default(), Some(format!("its form is {}, known is {VERSION}", content.schema_version)))
                }
                Err(error) => (Content::default(), Some(error.to_string())),
            },
        };
        let wrong = wrong.map(|why| {
            let aside = path.with_extension("json.unreadable");
            let moved = std::fs::rename(&path, &aside);
            let then = moved.map_or_else(
                |error| format!("it could not be put aside: {error}"),
                |()| format!("it is kept as {}", aside.display()),
            );
            format!("{}: what was selected is forgotten, since the file cannot be read: {why}; {then}", path.display())
        });
        (Self { path, content: Mutex::new((content, false)), bell: Notify::new(), writing: Mutex::default() }, wrong)
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
    pub(crate) async fn changed(&self) {
        self.bell.notified().await;
    }

    /// Writes what has changed since it was last written. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// When the file cannot be written; it is tried again with the next change.
    pub(crate) fn write(&self) -> io::Result<()> {
        let _turn = self.writing.lock();
        let text = {
            let mut content = self.content.lock();
            if !std::mem::take(&mut content.1) {
                return Ok(());
            }
            serde_json::to_string_pretty(&content.0).map_err(io::Error::other)?
        };
        files::replace_private(&self.path, &text).inspect_err(|_| self.content.lock().1 = true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, wrong) = Kept::open(folder.path());
        assert_eq!(wrong, None);
        kept.select("way-out", Some("corp"));
        kept.select("gone", Some("x"));
        kept.select("gone", None);
        kept.set_record("way-out", Some(serde_json::json!({"source": "manual"})));
        kept.write().unwrap();
        let (kept, _) = Kept::open(folder.path());
        assert_eq!(kept.selected("way-out").as_deref(), Some("corp"));
        assert_eq!(kept.selected("gone"), None);
        assert_eq!(kept.record("way-out"), Some(serde_json::json!({"source": "manual"})));
        kept.set_record("way-out", None);
        kept.write().unwrap();
        assert!(Kept::open(folder.path()).0.has_records(), "empty is not absent");
    }

    #[test]
    fn dashboards_keep_what_there_is_room_for() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, _) = Kept::open(folder.path());
        assert_eq!(kept.store("a", Some("[1, 2 ]")), Ok(()));
        kept.write().unwrap();
        let (kept, _) = Kept::open(folder.path());
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
    fn a_file_that_cannot_be_read_is_put_aside() {
        for text in ["{", "[]", r#"{"schema_version":7}"#] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(FILE);
            std::fs::File::create(&path).unwrap();
            files::replace_private(&path, text).unwrap();
            let (kept, wrong) = Kept::open(folder.path());
            assert!(wrong.unwrap().contains("ways.json.unreadable"), "{text}");
            assert_eq!(kept.selected("x"), None);
            let aside = files::read_text(&folder.path().join("ways.json.unreadable"), 100).unwrap();
            assert_eq!(aside, text);
        }
    }

    #[test]
    fn only_changes_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, _) = Kept::open(folder.path());
        kept.write().unwrap();
        assert!(!folder.path().join(FILE).exists(), "nothing has changed");
        kept.select("a", Some("b"));
        kept.write().unwrap();
        std::fs::remove_file(folder.path().join(FILE)).unwrap();
        kept.select("a", Some("b"));
        kept.write().unwrap();
        assert!(!folder.path().join(FILE).exists(), "the same choice again is no change");
    }
}
