//! Limits, and what is refused before anything is written.

use super::*;
use crate::error::StoreError;
use crate::meta::{MAX_BY, MAX_CONTENT_TYPE, MetaError};
use crate::settings::MAX_VALUE;
use crate::state::{Listed, MAX_PAGE};

use super::faulty::{Fault, Faulty};

#[test]
fn a_value_has_a_limit_and_a_namespace_its_own() {
    run(async {
        let (state, _, _) = fresh();
        let largest = vec![b'a'; MAX_VALUE as usize];
        let meta = state.put(&key("n", "k"), Condition::Absent, new(largest.clone())).await.unwrap();
        assert_eq!(meta.size, MAX_VALUE);
        assert!(content(&state, &key("n", "k")).await == largest);
        let over = new([&largest[..], b"a"].concat());
        let refused = Err(StateError::TooLarge { size: MAX_VALUE + 1, limit: MAX_VALUE });
        assert_eq!(state.put(&key("n", "k"), Condition::At(rev(1)), over).await, refused);
        let refused = Err(StateError::TooLarge { size: 200_001, limit: 200_000 });
        assert_eq!(state.put(&key("brief", "k"), Condition::Absent, new(vec![0; 200_001])).await, refused);
        assert_eq!(state.fork(&key("n", "k"), At::Head, &key("brief", "k"), Terms::default()).await.unwrap_err(), {
            StateError::TooLarge { size: MAX_VALUE, limit: 200_000 }
        });
        let huge = Settings { max_value: u64::MAX, ..Settings::default() };
        assert_eq!(huge.of(&key("n", "k").namespace).max_value, MAX_VALUE);
        let patched = state.put(&key("brief", "p"), Condition::Absent, json("[]")).await.unwrap();
        let patch = format!(r#"[{{"op":"add","path":"/-","value":"{}"}}]"#, "x".repeat(200_000));
        let outcome = state.patch(&key("brief", "p"), patched.rev, patch.as_bytes(), Terms::default()).await;
        assert!(matches!(outcome, Err(StateError::TooLarge { limit: 200_000, .. })), "{outcome:?}");
    });
}

#[test]
fn what_cannot_be_is_refused() {
    run(async {
        let (state, _, memory) = fresh();
        let key = key("n", "k");
        let typed = |content_type: &str| New { content_type: Arc::from(content_type), ..new("[1") };
        for content_type in ["", "a\nb", "ü", &"a".repeat(MAX_CONTENT_TYPE + 1)] {
            let outcome = state.put(&key, Condition::Absent, typed(content_type)).await;
            assert_eq!(outcome, Err(StateError::Meta(MetaError::ContentType)), "{content_type}");
        }
        for content_type in ["application/json", "application/vnd.x+json; v=1"] {
            let outcome = state.put(&key, Condition::Absent, typed(content_type)).await;
            assert!(matches!(outcome, Err(StateError::NotJson(_))), "{content_type}");
        }
        for by in ["", "a\0", &"b".repeat(MAX_BY + 1)] {
            let terms = Terms { by: Some(Arc::from(by)), ..Terms::default() };
            let outcome = state.put(&key, Condition::Absent, New { terms, ..new("x") }).await;
            assert_eq!(outcome, Err(StateError::Meta(MetaError::By)), "{by}");
        }
        assert_eq!(memory.head(&key).await.unwrap(), None);
        let meta = state.put(&key, Condition::Absent, new("not json")).await.unwrap();
        for patch in [&b"[]"[..], b"{}", b"[", br#"[{"op":"add","path":"/-","value":1}]"#] {
            let outcome = state.patch(&key, meta.rev, patch, Terms::default()).await;
            assert!(matches!(outcome, Err(StateError::BadPatch(_))), "{outcome:?}");
        }
        let second = state.put(&key, Condition::At(meta.rev), json("1")).await.unwrap();
        assert!(matches!(state.diff(&key, meta.rev, second.rev).await, Err(StateError::BadPatch(_))));
    });
}

/// What the engine says comes out under its own name, nothing is remembered of it, and the next write is right again.
#[test]
fn errors_of_the_engine_keep_their_meaning() {
    run(async {
        let store = Faulty::new();
        let (state, _) = over(store.clone());
        let key = key("n", "k");
        let first = state.put(&key, Condition::Absent, new("1")).await.unwrap();
        let why = || "a test".to_owned();
        for (error, expected) in [
            (StoreError::Unavailable(why()), StateError::Unavailable(why())),
            (StoreError::Full(why()), StateError::Full(why())),
            (StoreError::Unknown(why()), StateError::Unknown(why())),
            (StoreError::Busy, StateError::Busy),
            (StoreError::TooLarge { size: 2, limit: 1 }, StateError::TooLarge { size: 2, limit: 1 }),
        ] {
            *store.fault.lock() = Fault::After(0, error);
            assert_eq!(state.put(&key, Condition::At(first.rev), new("2")).await, Err(expected));
            assert_eq!(content(&state, &key).await, "1");
        }
        // Done, and nobody knows: who reads sees it, and who writes on what it knew has lost.
        *store.fault.lock() = Fault::DoneUnknown;
        let outcome = state.put(&key, Condition::At(first.rev), new("2")).await;
        assert!(matches!(outcome, Err(StateError::Unknown(_))));
        *store.fault.lock() = Fault::None;
        assert_eq!(lost(&state.put(&key, Condition::At(first.rev), new("2")).await.unwrap_err()), Some(2));
        assert_eq!(content(&state, &key).await, "2");
        state.put(&key, Condition::At(rev(2)), new("3")).await.unwrap();
    });
}

/// What a write asks of the engine: one commit, where the head was read or written here before.
#[test]
fn a_write_on_what_is_known_is_one_round_trip() {
    run(async {
        let store = Faulty::new();
        let (state, _) = over(store.clone());
        let key = key("n", "k");
        let mut last = state.put(&key, Condition::Absent, new("a".repeat(5000))).await.unwrap();
        assert_eq!(store.asked(), ["commit"]);
        for content in ["b".repeat(5000), "c".to_owned(), "d".repeat(100_000), "e".repeat(5000)] {
            last = state.put(&key, Condition::At(last.rev), new(content)).await.unwrap();
            assert_eq!(store.asked(), ["commit"]);
        }
        content(&state, &key).await;
        assert_eq!(store.asked(), ["head"]);
        last = state.append(&key, last.rev, Bytes::from_static(b"x"), Terms::default()).await.unwrap();
        assert_eq!(store.asked(), ["commit"]);
        state.delete(&key, last.rev, Terms::default()).await.unwrap();
        assert_eq!(store.asked(), ["commit"]);
        let (other, _) = over(store.clone());
        let error = other.put(&key, Condition::At(last.rev), new("f")).await.unwrap_err();
        assert_eq!((lost(&error), store.asked()), (Some(0), vec!["head"]));
        other.put(&key, Condition::Absent, new("g")).await.unwrap();
        // It was supposed that there is nothing; the tombstone that was there instead was told with the refusal.
        assert_eq!(store.asked(), ["commit", "commit"]);
    });
}

#[test]
fn lists_and_histories_come_in_pages_without_what_is_gone() {
    run(async {
        let (state, _, _) = fresh();
        for number in 0..60 {
            let key = key("n", &format!("{number:02}"));
            let meta = state.put(&key, Condition::Absent, new("x")).await.unwrap();
            if number % 3 != 0 {
                state.delete(&key, meta.rev, Terms::default()).await.unwrap();
            }
        }
        let namespace = key("n", "x").namespace;
        let names = |page: Listed| page.items.iter().map(|(key, _)| key.name().to_owned()).collect::<Vec<_>>();
        let page = state.list(&namespace, "", None, 4).await.unwrap();
        assert_eq!(page.next.as_deref(), Some("09"));
        assert_eq!(names(page), ["00", "03", "06", "09"]);
        assert_eq!(names(state.list(&namespace, "", Some("09"), 3).await.unwrap()), ["12", "15", "18"]);
        let page = state.list(&namespace, "5", None, 9).await.unwrap();
        assert_eq!(page.next, None);
        assert_eq!(names(page), ["51", "54", "57"]);
        assert_eq!(state.list(&namespace, "", None, usize::MAX).await.unwrap().items.len(), 20);
        assert_eq!(state.list(&namespace, "", None, 0).await, Ok(Listed::default()));
        assert!(state.history(&key("n", "00"), None, usize::MAX).await.unwrap().len() <= MAX_PAGE);
        assert_eq!(state.history(&key("n", "none"), None, 1).await, Err(StateError::NotFound));
        assert_eq!(state.namespaces().await.unwrap(), [namespace]);
    });
}

/// Two thousand keys that are gone lie before one that has a value: each call looks at a bounded part of them, and says where
/// the next one begins.
#[test]
fn a_short_list_over_many_tombstones_is_bounded_work() {
    run(async {
        let store = Faulty::new();
        let (state, _) = over(store.clone());
        for number in 0..2000 {
            let key = key("n", &format!("{number:04}"));
            let meta = state.put(&key, Condition::Absent, new("x")).await.unwrap();
            state.delete(&key, meta.rev, Terms::default()).await.unwrap();
        }
        let last = key("n", "z");
        state.put(&last, Condition::Absent, new("x")).await.unwrap();
        store.asked();
        let mut pages = 0;
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = state.list(&last.namespace, "", after.as_deref(), 1).await.unwrap();
            assert!(store.asked().len() <= 4);
            found.extend(page.items.into_iter().map(|(key, _)| key));
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, [last]);
        assert!((2..=4).contains(&pages), "{pages}");
    });
}
