//! Damage is told of what is damaged, and keeps nothing else from anybody.
//!
//! The suite cannot harm what an engine keeps. Each engine that can come to be harmed under a running store has tests of its
//! own that call [`before_damage`], harm the revision in the way that is theirs, and then call what is to hold.

use std::sync::Arc;

use super::{FakeClock, Memory, key};
use crate::error::{StateError, StoreError};
use crate::name::{Key, Rev};
use crate::settings::Settings;
use crate::state::{Condition, Copied, LeftOut, New, Part, State, Terms, copy};
use crate::store::Store;

/// How many revisions each key has.
const REVISIONS: u64 = 3;

/// Keys of three revisions each, in order; the one in the middle is to be harmed.
pub struct ToHarm {
    /// The one before it.
    pub before: Key,
    /// The one that is to be harmed.
    pub harmed: Key,
    /// The one behind it.
    pub behind: Key,
}

impl ToHarm {
    fn all(&self) -> [&Key; 3] {
        [&self.before, &self.harmed, &self.behind]
    }

    fn others(&self) -> [&Key; 2] {
        [&self.before, &self.behind]
    }
}

fn over(store: &Arc<dyn Store>) -> State {
    State::new(store.clone(), Settings::default(), FakeClock::new(), None)
}

fn new(content: String) -> New {
    New { content: content.into(), content_type: Arc::from("text/plain"), schema: None, terms: Terms::default() }
}

fn is_damage<T>(found: &Result<T, StoreError>) -> bool {
    matches!(found, Err(StoreError::Damaged { .. }))
}

/// Writes the keys.
pub async fn before_damage(store: &Arc<dyn Store>) -> ToHarm {
    let keys = ToHarm { before: key("harm", "a"), harmed: key("harm", "b/harmed"), behind: key("harm", "c") };
    let state = over(store);
    for key in keys.all() {
        let mut condition = Condition::Absent;
        for number in 1..=REVISIONS {
            let meta = state.put(key, condition, new(format!("{number} of {key}"))).await.expect("a revision");
            condition = Condition::At(meta.rev);
        }
    }
    keys
}

/// What of the harmed key cannot be copied, and is said so each time; everything of the others is.
async fn the_rest_is_copied(store: &Arc<dyn Store>, keys: &ToHarm, part: Part) -> Arc<Memory> {
    let target = Arc::new(Memory::new());
    for expected in [true, false] {
        let copied = copy(&**store, &*target, |_| ()).await.expect("a copy");
        let Copied { keys_in_all, keys: whole, revisions, left_out, .. } = copied;
        let (with_head, of_harmed) = if part == Part::Key { (2, 0) } else { (3, 1) };
        let written = if expected { 2 * REVISIONS + of_harmed } else { 0 };
        assert_eq!((keys_in_all, whole, revisions), (3, with_head, written));
        let left: Vec<(&Key, Part)> = left_out.iter().map(|LeftOut { key, part, .. }| (key, *part)).collect();
        assert_eq!(left, [(&keys.harmed, part)]);
    }
    for key in keys.others() {
        assert_eq!(target.history(key, None, 9).await, store.history(key, None, 9).await);
        assert_eq!(target.head(key).await, store.head(key).await);
    }
    target
}

/// The newest revision of the harmed key, its meta included, is not what was written.
pub async fn a_damaged_head_is_told(store: Arc<dyn Store>, keys: ToHarm) {
    let namespace = &keys.harmed.namespace;
    assert!(is_damage(&store.head(&keys.harmed).await));
    assert!(is_damage(&store.history(&keys.harmed, None, 9).await));
    let mut listed = store.list(namespace, "", None, 9).await.expect("a list");
    // Page by page it is the same.
    let mut paged = Vec::new();
    while let [head] = &store.list(namespace, "", paged.last().map(Key::name), 1).await.expect("a page")[..] {
        paged.push(head.0.clone());
    }
    assert_eq!(paged.iter().collect::<Vec<_>>(), keys.all());
    assert_eq!(listed.iter().map(|(key, _)| key).collect::<Vec<_>>(), keys.all());
    assert_eq!(store.list(namespace, "b/", None, 9).await.expect("a list")[..], listed[1..2]);
    let (key, head) = listed.remove(1);
    assert!(is_damage(&head), "{key}: {head:?}");
    for (key, meta) in listed {
        assert_eq!(meta.as_ref(), Ok(&store.head(&key).await.expect("a head").expect("it is there").meta));
    }
    let state = over(&store);
    let listed = state.list(namespace, "", None, 9).await.expect("a list").items;
    let damaged = listed.iter().filter(|(_, head)| matches!(head, Err(StateError::Damaged { .. })));
    assert_eq!(damaged.map(|(key, _)| key).collect::<Vec<_>>(), [&keys.harmed]);
    assert_eq!(listed.len(), 3);
    let checked = state.check(|_| ()).await.expect("a check");
    let named = checked.damages.iter().map(|damage| &*damage.key).collect::<Vec<_>>();
    assert_eq!((checked.keys, named), (3, vec![&*keys.harmed.to_string()]));
    let target = the_rest_is_copied(&store, &keys, Part::Key).await;
    assert_eq!(target.head(&keys.harmed).await, Ok(None), "an earlier one would pass for the value");
}

/// The second of the harmed key's three revisions, its meta included, is not what was written.
pub async fn a_damaged_earlier_revision_is_told(store: Arc<dyn Store>, keys: ToHarm) {
    let [second, third] = [2, 3].map(|number| Rev::new(number).expect("it is not 0"));
    assert!(is_damage(&store.revision(&keys.harmed, second).await));
    let history = store.history(&keys.harmed, None, 9).await;
    assert!(is_damage(&history), "a history leaves nothing out without a word: {history:?}");
    let head = store.head(&keys.harmed).await.expect("a head");
    assert_eq!(head.as_ref().map(|head| head.meta.rev), Some(third));
    let listed = store.list(&keys.harmed.namespace, "", None, 9).await.expect("a list");
    assert!(listed.len() == 3 && listed.iter().all(|(_, head)| head.is_ok()), "{listed:?}");
    let state = over(&store);
    let checked = state.check(|_| ()).await.expect("a check");
    let named = checked.damages.iter().map(|damage| &*damage.key).collect::<Vec<_>>();
    assert_eq!((checked.keys, named), (3, vec![&*keys.harmed.to_string()]));
    let target = the_rest_is_copied(&store, &keys, Part::Earlier).await;
    assert_eq!(target.head(&keys.harmed).await, Ok(head));
    assert_eq!(target.history(&keys.harmed, None, 9).await.map(|history| history.len()), Ok(1));
    // The conversation goes on.
    state.put(&keys.harmed, Condition::At(third), new("4".to_owned())).await.expect("a revision");
    let again = copy(&*store, &*target, |_| ()).await.expect("a copy");
    assert_eq!((again.revisions, again.left_out.len()), (1, 1));
}
