//! What the commands print, and what they make of names and streams.

use serde_json::json;
use tradewind_store::Key;

use super::name::{escaped, key, part, path};
use super::progress::bar;
use super::put::type_of;
use super::table;
use super::watch::{Event, Events};

#[test]
fn names_become_paths() {
    for (text, wanted) in [
        ("threads/alice/1", "/api/v1/state/threads/alice%2F1/history"),
        ("threads/watch", "/api/v1/state/threads/%77%61%74%63%68/history"),
        ("threads/a b", "/api/v1/state/threads/a%20b/history"),
        ("threads/history", "/api/v1/state/threads/history/history"),
    ] {
        assert_eq!(path(&key(text).unwrap(), "/history"), wanted);
    }
    assert_eq!(key("n/ü").unwrap(), Key::parse("n", "ü").unwrap());
    for bad in ["threads", "Threads/a", "threads/", "threads//a"] {
        assert!(key(bad).is_err(), "{bad}");
    }
    let (namespace, prefix) = part("threads/alice/").unwrap();
    assert_eq!((namespace.as_str(), prefix), ("threads", "alice/"));
    assert_eq!(part("threads").unwrap().1, "");
    assert_eq!(escaped("a&b=c%+"), "a%26b%3Dc%25%2B");
}

#[test]
fn lists_are_tables() {
    let item = json!({
        "namespace": "threads", "key": "alice/1", "rev": 7, "kind": "value", "size": 1234,
        "created-at": "2026-11-21T20:57:01.123Z", "expires-at": null, "epoch": 1, "by": "ci",
        "hash": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "pinned": true,
    });
    assert_eq!(
        table::keys(std::slice::from_ref(&item)),
        "KEY      REV  SIZE    WRITTEN           EXPIRES  BY\nalice/1  7    1.2 KB  2026-11-21 20:57  -        ci\n"
    );
    let damaged =
        json!({"namespace": "threads", "key": "bob", "error": {"code": "TW7010", "message": "it is damaged"}});
    assert!(table::is_damaged(&damaged) && !table::is_damaged(&item));
    assert_eq!(
        table::keys(&[damaged, item.clone()]),
        "KEY      REV  SIZE    WRITTEN           EXPIRES  BY\nbob      -    -       damaged, TW7010\n\
         alice/1  7    1.2 KB  2026-11-21 20:57  -        ci\n"
    );
    assert_eq!(
        table::revisions(std::slice::from_ref(&item)),
        "REV  KIND   SIZE    WRITTEN           EPOCH  BY  HASH\n\
         7    value  1.2 KB  2026-11-21 20:57  1      ci  ba7816bf8f01  pinned\n"
    );
    assert_eq!(table::change(&item), "2026-11-21 20:57  threads/alice/1  rev 7  1.2 KB by ci");
    let gone = json!({"namespace": "n", "key": "a", "rev": 8, "kind": "expired", "created-at": "2026-11-21T20:57:01Z"});
    assert_eq!(table::change(&gone), "2026-11-21 20:57  n/a  rev 8  expired");
}

#[test]
fn events_are_found_however_they_are_cut() {
    let stream = "retry: 1000\nevent: ready\nid: 4\ndata: {}\n\n: still here\n\n: still here\nid: 4-1\n\nid: 5\ndata: {\"rev\":1}\n\n";
    let wanted = [
        Event { name: "ready".to_owned(), id: Some("4".to_owned()), data: json!({}) },
        Event { name: String::new(), id: Some("4-1".to_owned()), data: json!(null) },
        Event { name: String::new(), id: Some("5".to_owned()), data: json!({"rev": 1}) },
    ];
    for size in [1, 2, 3, 7, 1000] {
        let mut events = Events::default();
        let found: Vec<Event> = stream.as_bytes().chunks(size).flat_map(|piece| events.read(piece).unwrap()).collect();
        assert_eq!(found, wanted, "{size}");
    }
    assert!(Events::default().read(&vec![b'x'; 70_000]).is_err());
    assert!(Events::default().read(b"data: {\n\n").is_err());
}

#[test]
fn contents_have_the_type_that_they_look_like() {
    assert_eq!(type_of(b"{\"a\": 1}\n"), "application/json");
    assert_eq!(type_of(b"12"), "application/json");
    assert_eq!(type_of("Grüße".as_bytes()), "text/plain; charset=utf-8");
    assert_eq!(type_of(b"\xff"), "application/octet-stream");
}

#[test]
fn a_bar_says_how_far_it_is() {
    assert_eq!(bar("copying", 1, 2, "keys"), format!("copying [{}{}] 1 of 2 keys", "#".repeat(15), " ".repeat(15)));
    assert_eq!(bar("copying", 0, 0, "keys"), format!("copying [{}] 0 of 0 keys", "#".repeat(30)));
}
