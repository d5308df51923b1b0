//! Reading values: what is said of them, conditions, times, damage.

use std::time::Duration;

use tradewind_store::{Key, Rev};

use crate::world::World;

#[tokio::test]
async fn a_value_comes_back_as_it_was_written() {
    let world = World::new();
    let headers = [
        ("if-none-match", "*"),
        ("content-type", "text/plain; charset=utf-8"),
        ("tradewind-schema", "note@3"),
        ("tradewind-ttl", "1h"),
    ];
    let written = world.ask("PUT", "/api/v1/state/notes/a/b", &headers, "Grüße\n").await.has(201);
    assert_eq!(written.header("etag"), "\"1\"");
    let shown = written.json();
    assert_eq!((&shown["namespace"], &shown["key"], &shown["rev"]), (&"notes".into(), &"a/b".into(), &1.into()));
    assert_eq!((&shown["kind"], &shown["parent"], &shown["size"]), (&"value".into(), &().into(), &8.into()));
    assert_eq!((&shown["schema"], &shown["epoch"]), (&"note@3".into(), &0.into()));
    assert_eq!(shown["created-at"], "2026-11-21T20:57:01.000Z");
    assert_eq!(shown["expires-at"], "2026-11-21T21:57:01.000Z");

    let read = world.read("notes/a/b").await.has(200);
    assert_eq!(read.text(), "Grüße\n");
    assert_eq!(read.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!((read.header("etag"), read.header("tradewind-epoch")), ("\"1\"", "0"));
    assert_eq!(read.header("tradewind-hash"), shown["hash"].as_str().unwrap());
    assert_eq!(read.header("tradewind-schema"), "note@3");
    assert_eq!(read.header("tradewind-expires-at"), "2026-11-21T21:57:01.000Z");
    assert_eq!(read.header("cache-control"), "no-cache");
    let escaped = world.read("notes/a%2Fb").await.has(200);
    assert_eq!(escaped.body, read.body);
    let head = world.ask("HEAD", "/api/v1/state/notes/a/b", &[], "").await.has(200);
    assert_eq!(head.header("etag"), "\"1\"");
}

/// A reader says which schema it knows, and is not given what it could only guess at.
#[tokio::test]
async fn a_schema_that_the_reader_does_not_know_is_refused() {
    let world = World::new();
    let headers = [("if-none-match", "*"), ("tradewind-schema", "note@3")];
    world.ask("PUT", "/api/v1/state/notes/a", &headers, "3").await.has(201);
    world.create("notes/plain", "1").await;
    let read = async |key: &str, knows, method| {
        let path = format!("/api/v1/state/notes/{key}");
        world.ask(method, &path, &[("tradewind-schema", knows)], "").await
    };
    for known in ["note@3", "note@4"] {
        assert_eq!(read("a", known, "GET").await.has(200).header("tradewind-schema"), "note@3");
    }
    for unknown in ["note@2", "note@0", "letter@3", "not@3"] {
        let refused = read("a", unknown, "GET").await;
        assert!(refused.text().contains(&format!("the schema note@3, and its reader knows {unknown} and older")));
        refused.is(409, "TW7008");
        assert_eq!(read("a", unknown, "HEAD").await.status, 409);
    }
    read("plain", "note@2", "GET").await.has(200);
    for bad in ["note", "note@-1", "note@", "@1", "a b@1", "note@4294967296"] {
        read("a", bad, "GET").await.is(400, "TW1011");
    }
    // Also of a revision that it has already.
    let has = [("if-none-match", "\"1\""), ("tradewind-schema", "note@2")];
    world.ask("GET", "/api/v1/state/notes/a", &has, "").await.is(409, "TW7008");
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_over_is_gone() {
    let world = World::with_rules();
    world.read("notes/a").await.is(404, "TW7001");
    world.read("never/a/history").await.is(404, "TW7001");
    world.create("notes/a", "1").await;
    world.read("notes/a?rev=2").await.is(404, "TW7001");
    world.ask("DELETE", "/api/v1/state/notes/a", &[("if-match", "\"1\"")], "").await.has(200);
    world.read("notes/a").await.is(404, "TW7001");
    assert_eq!(world.read("notes/a?rev=1").await.has(200).text(), "1");

    world.create("short/a", "1").await;
    world.clock.advance(Duration::from_millis(59_999));
    world.read("short/a").await.has(200);
    world.clock.advance(Duration::from_millis(1));
    world.read("short/a").await.is(410, "TW7002");

    world.create("small/a", "1").await;
    for rev in 1..4 {
        world.replace("small/a", rev, "2").await.has(200);
    }
    world.read("small/a?rev=1").await.is(410, "TW7002");
    world.read("small/a?rev=3").await.has(200);
}

#[tokio::test]
async fn a_sliding_time_begins_again_with_each_read() {
    let world = World::new();
    let headers = [("if-none-match", "*"), ("tradewind-ttl", "60s; sliding")];
    world.ask("PUT", "/api/v1/state/n/a", &headers, "x").await.has(201);
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(40));
        world.read("n/a").await.has(200);
    }
    world.clock.advance(Duration::from_secs(60));
    world.read("n/a").await.is(410, "TW7002");
}

#[tokio::test]
async fn a_reader_that_has_it_is_not_sent_it_again() {
    let world = World::new();
    world.create("n/a", "{}").await;
    let path = "/api/v1/state/n/a";
    let same = world.ask("GET", path, &[("if-none-match", "\"1\"")], "").await.has(304);
    assert_eq!((same.header("etag"), same.body.len()), ("\"1\"", 0));
    world.ask("GET", path, &[("if-none-match", "\"2\"")], "").await.has(200);
    world.ask("GET", path, &[("if-match", "\"1\"")], "").await.has(200);
    world.ask("GET", path, &[("if-match", "\"2\"")], "").await.is(412, "TW7003");
}

#[tokio::test]
async fn what_is_damaged_is_never_given() {
    let world = World::new();
    world.create("n/a", "{\"a\": \"long enough to be worth a byte\"}").await;
    assert!(world.store.damage(&Key::parse("n", "a").unwrap(), Rev::FIRST));
    // Whatever is still remembered of it is let go first.
    let settings = tradewind_store::Settings::default();
    let state = tradewind_store::State::new(world.store.clone(), settings.clone(), world.clock.clone(), None);
    world.door.put_in_place(std::sync::Arc::new(state), &settings, "policy");
    let refused = world.read("n/a").await.is(500, "TW7010");
    assert!(!refused.text().contains("long enough"), "{refused:?}");
}

#[tokio::test]
async fn requests_that_are_none_are_refused() {
    let world = World::new();
    for (method, path, status, code) in [
        ("GET", "/api/v1/state/N/a", 400, "TW7007"),
        ("GET", "/api/v1/state/n/a//b", 400, "TW7007"),
        ("GET", "/api/v1/state/n/%2e%2e", 400, "TW7007"),
        ("GET", "/api/v1/state/n/a?revision=1", 400, "TW1002"),
        ("GET", "/api/v1/state/n/a?rev=0", 400, "TW1002"),
        ("GET", "/api/v1/state/n?limit=0", 400, "TW1002"),
        ("GET", "/api/v1/state/n/a/diff", 400, "TW1002"),
        ("POST", "/api/v1/state/n/a", 405, "TW1009"),
        ("PATCH", "/api/v1/state/n", 405, "TW1009"),
    ] {
        world.ask(method, path, &[], "").await.is(status, code);
    }
    let refused = world.ask("POST", "/api/v1/state/n/a", &[], "").await;
    assert_eq!(refused.header("allow"), "GET, PUT, PATCH, DELETE");
}

/// A value is of the type that its writer chose; a browser that shows it runs nothing of it with our origin.
#[tokio::test]
async fn a_page_that_was_stored_is_no_page_of_ours() {
    let world = World::new();
    let headers = [("if-none-match", "*"), ("content-type", "text/html")];
    world.ask("PUT", "/api/v1/state/n/a", &headers, "<script>alert(1)</script>").await.has(201);
    let read = world.read("n/a").await.has(200);
    assert_eq!(read.header("content-type"), "text/html");
    assert_eq!(read.header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(read.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn reads_are_counted() {
    let world = World::new();
    world.create("n/a", "1").await;
    world.read("n/a").await.has(200);
    world.read("n").await.has(200);
    world.read("n/b").await.has(404);
    let counted = world.door.counted();
    assert_eq!((counted.reads, counted.refused_reads, counted.watches), (2, 1, 0));
}
