//! Keys and namespaces: any text that can be one, in order.

use std::sync::Arc;

use super::commits::{done, piece_id, rev, several};
use super::records::{EPOCH, following, key, record, tombstone};
use crate::meta::Kind;
use crate::name::{Key, Namespace, Rev};
use crate::store::{Pin, Store};

/// Names that mean something to SQL, to Redis's patterns, to NATS's subjects, or to a file system.
const ODD: [&str; 26] = [
    "%", "_", "*", "?", "[a]", "a*", "a.b", "a.>", ">", "*.b", "a b", "'", "\"", "\\", "`", "{a}", "$x", ":", "a:b",
    "#", "~", "\u{feff}", "ü", "日本", "😀", "...",
];

async fn names(
    store: &dyn Store,
    namespace: &Namespace,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Vec<String> {
    let page = store.list(namespace, prefix, after, limit).await.expect("a list");
    page.iter().filter(|(_, head)| head.is_ok()).map(|(key, _)| key.name().to_owned()).collect()
}

/// An empty store has nothing and says so.
pub async fn nothing_is_there(store: Arc<dyn Store>) {
    let key = key("n", "k");
    assert_eq!(store.head(&key).await, Ok(None));
    assert_eq!(store.revision(&key, Rev::FIRST).await, Ok(None));
    assert_eq!(store.history(&key, None, 10).await, Ok(Vec::new()));
    assert_eq!(store.list(&key.namespace, "", None, 10).await, Ok(Vec::new()));
    assert_eq!(store.namespaces().await, Ok(Vec::new()));
    assert_eq!(store.pieces(&key.namespace, &[piece_id(b"p")]).await, Ok(vec![None]));
    assert_eq!(store.pieces(&key.namespace, &[]).await, Ok(Vec::new()));
    assert_eq!(store.prune(&key, 1).await, Ok(0));
    assert_eq!(store.pin(&key, Rev::FIRST, Pin::Off).await, Ok(false));
    assert_eq!(store.extend(&key, Rev::FIRST, EPOCH).await, Ok(false));
    assert_eq!(store.due(EPOCH, 10).await, Ok(Vec::new()));
    assert_eq!(store.forget(&key, Rev::FIRST).await, Ok(false));
    assert_eq!(store.latest(&key.namespace).await, store.latest(&key.namespace).await);
    assert!(store.latest(&key.namespace).await.is_ok());
    assert_eq!(store.namespaces().await, Ok(Vec::new()));
}

/// Lists are in order of bytes, from a place on, by a prefix, in pages, tombstones among them.
pub async fn keys_are_listed(store: Arc<dyn Store>) {
    let all = ["a", "a-", "a/b", "a/b/c", "aa", "b", "ab/c", "Z", "ä", "z", "{", "a0"];
    for name in all {
        done(&*store, &key("n", name), &record(name.as_bytes())).await;
    }
    done(&*store, &key("other", "a/other"), &record(b"other")).await;
    done(&*store, &Key::new(Namespace::reserved("own"), "x").expect("a key"), &record(b"own")).await;
    let namespace = key("n", "a").namespace;
    let mut sorted = all.map(str::to_owned).to_vec();
    sorted.sort_unstable();
    assert_eq!(names(&*store, &namespace, "", None, 100).await, sorted);
    assert_eq!(names(&*store, &namespace, "a", None, 100).await, ["a", "a-", "a/b", "a/b/c", "a0", "aa", "ab/c"]);
    assert_eq!(names(&*store, &namespace, "a/", None, 100).await, ["a/b", "a/b/c"]);
    assert_eq!(names(&*store, &namespace, "a/b/c/", None, 100).await, [""; 0]);
    assert_eq!(names(&*store, &namespace, "a", Some("a/b"), 2).await, ["a/b/c", "a0"]);
    assert_eq!(names(&*store, &namespace, "a/", Some("Z"), 1).await, ["a/b"]);
    assert_eq!(names(&*store, &namespace, "a/", Some("a0"), 9).await, [""; 0]);
    assert_eq!(names(&*store, &namespace, "", Some("not there"), 1).await, ["z"]);
    assert_eq!(names(&*store, &namespace, "", None, 0).await, [""; 0]);
    let mut paged = Vec::new();
    while paged.len() < all.len() {
        paged.extend(
            names(
                &*store,
                &namespace,
                "",
                paged.last().map(String::as_str).map(|last: &str| last.to_owned()).as_deref(),
                5,
            )
            .await,
        );
    }
    assert_eq!(paged, sorted);
    let texts: Vec<String> =
        store.namespaces().await.expect("namespaces").iter().map(|namespace| namespace.as_str().to_owned()).collect();
    assert_eq!(texts, ["_own", "n", "other"]);
    // Of a key there is its head, whatever that is.
    let deleted = tombstone(&record(b"b").meta, Kind::Deleted, EPOCH);
    done(&*store, &key("n", "b"), &deleted).await;
    let page = store.list(&namespace, "b", None, 10).await.expect("a list");
    assert_eq!(page, [(key("n", "b"), Ok(deleted.meta))]);
}

/// Every name that is one is kept, found, listed and told of as it is, beside the others.
pub async fn keys_are_any_text(store: Arc<dyn Store>) {
    let namespace = key("odd.name_-", "x").namespace;
    for name in ODD {
        let key = Key::new(namespace.clone(), name).expect("a key");
        let first = record(name.as_bytes());
        done(&*store, &key, &first).await;
        done(&*store, &key, &following(&first.meta, b"second")).await;
    }
    let mut sorted = ODD.map(str::to_owned).to_vec();
    sorted.sort_unstable();
    assert_eq!(names(&*store, &namespace, "", None, 100).await, sorted);
    for name in ODD {
        let key = Key::new(namespace.clone(), name).expect("a key");
        let head = store.head(&key).await.expect("a head").expect("it is there");
        assert_eq!(head.meta.rev, rev(2), "{name}");
        assert_eq!(store.revision(&key, rev(1)).await.expect("a revision"), Some(record(name.as_bytes())), "{name}");
        let found = names(&*store, &namespace, name, None, 100).await;
        let expected: Vec<String> = sorted.iter().filter(|other| other.starts_with(name)).cloned().collect();
        assert_eq!(found, expected, "{name}");
    }
    // The same names elsewhere are other keys.
    let elsewhere = key("odd", "name");
    several(&*store, &elsewhere, 3).await;
    assert_eq!(names(&*store, &elsewhere.namespace, "", None, 100).await, ["name"]);
}
