//! What the gateway itself remembers over a restart: selections of groups, how each follows the network, what dashboards keep
//! here. One value under a reserved name of the SQLite store in the data directory, whatever `store` says: it is this machine's,
//! and no other gateway's on the same server. It has its history, its schema and the store's promises.
//!
//! What cannot be read keeps no gateway from starting: it is told, stays in the history, and is written over by the next
//! change.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tradewind_core::{Clock, Code};
use tradewind_runtime::files;
use tradewind_store::agent::{Snapshot, StatefulAgent, UpcastError};
use tradewind_store::state::{At, Condition, New, Terms};
use tradewind_store::{Key, Namespace, Rev, State, StateError};
use tradewind_ways::{Kept, Ways};

use crate::state::{has_state, open};
use crate::{Document, say};

/// The file of releases before the store.
const FILE: &str = "ways.json";
/// The largest such file that is read.
const LARGEST: u64 = 16 << 20;
/// Changes that come within this time are written together.
const GATHER: Duration = Duration::from_millis(50);
/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(5);
/// So often a write is tried that finds another revision than the one before.
const TRIES: u32 = 3;

/// What a gateway with this document remembers, for a look at it while none runs: makes and changes nothing. Where it cannot be
/// known, nothing is remembered, and the second value says why.
pub(crate) async fn look_at(document: &Document, clock: Arc<dyn Clock>) -> (Kept, Option<String>) {
    let folder = files::expand_home(&document.shared.data_dir.0);
    if !has_state(&folder) {
        let text = files::read_text(&folder.join(FILE), LARGEST).ok();
        return (text.and_then(|text| Kept::of_file(&text).ok()).unwrap_or_default(), None);
    }
    let opened = match open(&document.state, &folder, clock).await {
        Ok(opened) => opened,
        Err(error) => return (Kept::default(), Some(format!("what was selected cannot be read: {error}"))),
    };
    let read = Remembered::of(opened.own_state()).read().await;
    let closed = opened.close().await.map_err(|error| error.to_string());
    match read.and_then(|kept| closed.map(|()| kept)) {
        Ok(kept) => (kept.unwrap_or_default(), None),
        Err(why) => (Kept::default(), Some(format!("what was selected cannot be read: {why}"))),
    }
}

/// Where it is written.
pub(crate) struct Remembered {
    state: Arc<State>,
    key: Key,
    /// The revision that is there; nothing before the first.
    rev: Mutex<Option<Rev>>,
}

impl Remembered {
    fn of(state: Arc<State>) -> Self {
        let key = Key::new(Namespace::reserved("gateway"), "ways").expect("a name that is written here");
        Self { state, key, rev: Mutex::new(None) }
    }

    /// Reads what is remembered in `state`, or what a release before it left in the data directory. The last value is what
    /// a person should be told.
    pub(crate) async fn open(state: Arc<State>, folder: &Path) -> (Self, Kept, Option<String>) {
        let this = Self::of(state);
        match this.read().await {
            Ok(Some(kept)) => (this, kept, None),
            Ok(None) => {
                let (kept, wrong) = this.take_over(&folder.join(FILE)).await;
                (this, kept, wrong)
            }
            Err(why) => {
                let wrong = format!("what was selected is forgotten, since it cannot be read: {why}");
                (this, Kept::default(), Some(wrong))
            }
        }
    }

    async fn read(&self) -> Result<Option<Kept>, String> {
        let value = match self.state.get(&self.key, At::Head).await {
            Ok(value) => value,
            Err(StateError::NotFound | StateError::Gone) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        *self.rev.lock().await = Some(value.meta.rev);
        let upcasters = Kept::upcasters();
        let content = upcasters.upcast(value.meta.schema.as_ref(), value.content).map_err(|error| match error {
            UpcastError::Newer { found, known } => {
                format!("{}: {}", Code::StateSchema, StateError::OtherSchema { found, known })
            }
            error => error.to_string(),
        })?;
        let snapshot = Snapshot { content, content_type: value.meta.content_type, schema: upcasters.newest().clone() };
        let mut kept = Kept::default();
        kept.restore_from(&snapshot).map_err(|error| error.to_string())?;
        Ok(Some(kept))
    }

    /// What a release before the store wrote; it is put aside once it is in the store.
    async fn take_over(&self, path: &Path) -> (Kept, Option<String>) {
        let read = match files::read_text(path, LARGEST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (Kept::default(), None),
            Err(error) => Err(error.to_string()),
            Ok(text) => Kept::of_file(&text),
        };
        let aside = |end: &str| {
            let to = path.with_extension(end);
            let moved = std::fs::rename(path, &to);
            moved.map_or_else(
                |error| format!("it could not be put aside: {error}"),
                |()| format!("it is kept as {}", to.display()),
            )
        };
        match read {
            Ok(kept) => match self.write(&kept).await {
                Ok(()) => {
                    let kept_as = aside("json.moved");
                    let told = format!("{}: what was selected is in the state store now; {kept_as}", path.display());
                    (kept, Some(told))
                }
                Err(error) => {
                    let wrong = format!("{}: what was selected could not be taken over: {error}", path.display());
                    (kept, Some(wrong))
                }
            },
            Err(why) => {
                let then = aside("json.unreadable");
                let wrong = "what was selected is forgotten, since the file cannot be read";
                (Kept::default(), Some(format!("{}: {wrong}: {why}; {then}", path.display())))
            }
        }
    }

    /// Writes what has changed since it was last written.
    pub(crate) async fn write(&self, kept: &Kept) -> Result<(), String> {
        let Some(snapshot) = kept.unwritten().map_err(|error| error.to_string())? else { return Ok(()) };
        self.put(&snapshot).await.map_err(|error| {
            kept.was_not_written();
            error.to_string()
        })
    }

    async fn put(&self, snapshot: &Snapshot) -> Result<(), StateError> {
        let mut rev = self.rev.lock().await;
        let mut tries = 1;
        loop {
            let condition = rev.map_or(Condition::Absent, Condition::At);
            let new = New {
                content: snapshot.content.clone(),
                content_type: snapshot.content_type.clone(),
                schema: Some(snapshot.schema.clone()),
                terms: Terms::default(),
            };
            match self.state.put(&self.key, condition, new).await {
                Ok(meta) => {
                    *rev = Some(meta.rev);
                    return Ok(());
                }
                // This process is the only one that writes it: the revision is one of its own whose outcome was not known, or
                // one that could not be read.
                Err(StateError::Lost { head }) if tries < TRIES => {
                    tries += 1;
                    *rev = head.map(|meta| meta.rev);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes what the ways out remember, a moment after it has changed.
    pub(crate) async fn keep_written(self: Arc<Self>, ways: Ways) {
        let mut works = true;
        loop {
            ways.kept().changed().await;
            tokio::time::sleep(GATHER).await;
            match self.write(ways.kept()).await {
                Ok(()) => {
                    if !std::mem::replace(&mut works, true) {
                        say::note("what was selected is written again");
                    }
                }
                Err(error) => {
                    if std::mem::replace(&mut works, false) {
                        say::note(format_args!("what was selected could not be written: {error}"));
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tradewind_door_state::StateSection;
    use tradewind_runtime::SystemClock;

    use super::*;

    #[tokio::test]
    async fn what_a_newer_release_wrote_is_told_and_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let section = StateSection::default();
        let opened = open(&section, folder.path(), Arc::new(SystemClock::new())).await.unwrap();
        let remembered = Remembered::of(opened.own_state());
        let mut schema = Kept::upcasters().newest().clone();
        schema.version += 1;
        let new = New {
            content: "{}".into(),
            content_type: "application/json".into(),
            schema: Some(schema),
            terms: Terms::default(),
        };
        remembered.state.put(&remembered.key, Condition::Absent, new).await.unwrap();
        let why = remembered.read().await.unwrap_err();
        assert!(
            why.starts_with(
                "TW7008: the content has the schema tradewind.ways@2, and its reader knows tradewind.ways@1"
            ),
            "{why}"
        );
        opened.close().await.unwrap();
    }
}
