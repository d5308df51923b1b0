//! Watching: each change once and in order, also over a cut.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::Value;
use tradewind_access::Grant;
use tradewind_door::Body;
use tradewind_runtime::Stage;
use tradewind_store::Settings;
use tradewind_store::suite::Memory;

use crate::world::{World, access, caller};

/// One event.
#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

struct Watch(Body);

impl Watch {
    async fn open(world: &World, grant: &Grant, query: &str, last: Option<&str>) -> Self {
        let headers: Vec<(&str, &str)> = last.map(|last| ("last-event-id", last)).into_iter().collect();
        let path = format!("/api/v1/state/n/watch{query}");
        let response = world.open_as(grant, "GET", &path, &headers, "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response.into_body())
    }

    /// The next event, comments left out; nothing at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let frame = tokio::time::timeout(Duration::from_secs(3600), self.0.frame()).await.expect("an event comes");
            let bytes = frame?.unwrap().into_data().unwrap();
            let text = std::str::from_utf8(&bytes).unwrap();
            let block = text.strip_suffix("\n\n").expect("a frame is whole events");
            if block.starts_with(':') {
                continue;
            }
            let field = |name: &str| {
                block.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned()
            };
            let data = serde_json::from_str(&field("data")).unwrap();
            return Some(Event { name: field("event"), id: field("id"), data });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_change_is_told_once_and_in_order() {
    let world = World::new();
    world.create("n/before", "1").await;
    let mut watch = Watch::open(&world, &Grant::anyone(), "", None).await;
    let ready = watch.next().await.unwrap();
    assert_eq!(ready.name, "ready");
    assert_eq!(world.door.counted().watches, 1);
    world.create("n/a", "1").await;
    world.create("other/a", "1").await;
    world.replace("n/a", 1, "2").await.has(200);
    world.ask("DELETE", "/api/v1/state/n/a", &[("if-match", "\"2\"")], "").await.has(200);
    let mut ids = vec![ready.id];
    for (rev, kind) in [(1, "value"), (2, "value"), (3, "deleted")] {
        let event = watch.next().await.unwrap();
        assert_eq!((&event.data["key"], &event.data["rev"]), (&"a".into(), &rev.into()));
        assert_eq!((event.data["kind"].as_str().unwrap(), event.name.as_str()), (kind, ""));
        ids.push(event.id);
    }
    drop(watch);
    assert_eq!(world.door.counted().watches, 0);

    // From each place on, by a header as EventSource sends it, or by the query.
    for (number, id) in ids.iter().enumerate() {
        for (query, last) in [(String::new(), Some(id.as_str())), (format!("?from={id}"), None)] {
            let mut watch = Watch::open(&world, &Grant::anyone(), &query, last).await;
            assert_eq!(watch.next().await.unwrap().name, "ready");
            for rev in number + 1..=3 {
                assert_eq!(watch.next().await.unwrap().data["rev"], rev, "after {id}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_before_the_first_change_loses_nothing() {
    let world = World::new();
    let mut watch = Watch::open(&world, &Grant::anyone(), "", None).await;
    let ready = watch.next().await.unwrap();
    drop(watch);
    world.create("n/a", "1").await;
    let mut watch = Watch::open(&world, &Grant::anyone(), "", Some(&ready.id)).await;
    assert_eq!(watch.next().await.unwrap().id, ready.id);
    assert_eq!(watch.next().await.unwrap().data["key"], "a");
}

#[tokio::test(start_paused = true)]
async fn expiry_is_told() {
    let world = World::new();
    let headers = [("if-none-match", "*"), ("tradewind-ttl", "1m")];
    world.ask("PUT", "/api/v1/state/n/a", &headers, "x").await.has(201);
    let mut watch = Watch::open(&world, &Grant::anyone(), "", None).await;
    watch.next().await.unwrap();
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.door.state().sweep(10).await.unwrap().expired, 1);
    assert_eq!(watch.next().await.unwrap().data["kind"], "expired");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_watched_and_may_be_seen_is_told() {
    let world = World::new();
    let mut prefixed = Watch::open(&world, &Grant::anyone(), "?prefix=a/", None).await;
    let mut narrow = Watch::open(&world, &caller("bob", &["state/n/b"]), "", None).await;
    prefixed.next().await.unwrap();
    narrow.next().await.unwrap();
    for key in ["n/c", "n/a/1", "n/b", "n/a/2"] {
        world.create(key, "1").await;
    }
    assert_eq!(prefixed.next().await.unwrap().data["key"], "a/1");
    assert_eq!(prefixed.next().await.unwrap().data["key"], "a/2");
    assert_eq!(narrow.next().await.unwrap().data["key"], "b");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_gone_is_said_before_anything_is_sent() {
    let world = World::with(Settings::default(), Memory::keeping(2));
    let mut watch = Watch::open(&world, &Grant::anyone(), "", None).await;
    let start = watch.next().await.unwrap().id;
    for key in ["n/a", "n/b", "n/c", "n/d"] {
        world.create(key, "1").await;
    }
    let path = format!("/api/v1/state/n/watch?from={start}");
    world.ask("GET", &path, &[], "").await.is(410, "TW7014");
    world.ask("GET", "/api/v1/state/n/watch?from=999999", &[], "").await.is(410, "TW7014");
    world.ask("GET", "/api/v1/state/n/watch?from=x", &[], "").await.is(400, "TW1002");
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_when_the_gateway_stops() {
    let world = World::new();
    let mut watch = Watch::open(&world, &Grant::anyone(), "", None).await;
    watch.next().await.unwrap();
    world.stages.advance(Stage::Draining);
    assert_eq!(watch.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_ends_its_watches() {
    let world = World::new();
    let (access, grant) = access("alice", &["state/n/*"]);
    let mut watch = Watch::open(&world, &grant, "", None).await;
    watch.next().await.unwrap();
    access.set_document(&[]).unwrap();
    let event = watch.next().await.unwrap();
    assert_eq!((event.name.as_str(), &event.data["error"]["code"]), ("error", &"TW1016".into()));
    assert_eq!(watch.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_comments() {
    let world = World::new();
    let mut watch = Watch::open(&world, &Grant::anyone(), "", None).await;
    watch.next().await.unwrap();
    for _ in 0..3 {
        let frame = tokio::time::timeout(Duration::from_secs(16), watch.0.frame()).await.expect("a beat");
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), ": still here\nid: 0\n\n");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_shown_nothing_keeps_its_place() {
    let world = World::with(Settings::default(), Memory::keeping(2));
    let narrow = caller("bob", &["state/n/b"]);
    let mut watch = Watch::open(&world, &narrow, "", None).await;
    watch.next().await.unwrap();
    for key in ["n/1", "n/2", "n/3", "n/4"] {
        world.create(key, "1").await;
        let frame = tokio::time::timeout(Duration::from_secs(16), watch.0.frame()).await.expect("a beat");
        assert!(frame.unwrap().unwrap().into_data().unwrap().starts_with(b": still here\nid: "));
    }
    let frame = tokio::time::timeout(Duration::from_secs(16), watch.0.frame()).await.expect("a beat");
    let beat = frame.unwrap().unwrap().into_data().unwrap();
    let place = std::str::from_utf8(&beat).unwrap().trim_end().strip_prefix(": still here\nid: ").unwrap().to_owned();
    drop(watch);
    world.create("n/b", "1").await;
    let mut watch = Watch::open(&world, &narrow, "", Some(&place)).await;
    watch.next().await.unwrap();
    assert_eq!(watch.next().await.unwrap().data["key"], "b");
}

/// What nobody is to be shown moves the place on, soon and not for each change.
#[tokio::test(start_paused = true)]
async fn a_quiet_watch_keeps_up_with_others() {
    let world = World::with(Settings::default(), Memory::keeping(2));
    let mut watch = Watch::open(&world, &Grant::anyone(), "?prefix=quiet/", None).await;
    let start = watch.next().await.unwrap().id;
    let mut places = Vec::new();
    for round in 0..3 {
        for number in 0..5 {
            world.create(&format!("n/busy/{round}/{number}"), "1").await;
            assert!(tokio::time::timeout(Duration::from_millis(10), watch.0.frame()).await.is_err(), "not at once");
        }
        let frame = tokio::time::timeout(Duration::from_secs(2), watch.0.frame()).await.expect("a place comes soon");
        places.push(frame.unwrap().unwrap().into_data().unwrap());
    }
    assert_eq!(places, [5, 10, 15].map(|place| format!(": still here\nid: {place}\n\n")));
    drop(watch);
    // Two are kept, and the watch began before all fifteen.
    world.ask("GET", &format!("/api/v1/state/n/watch?prefix=quiet/&from={start}"), &[], "").await.is(410, "TW7014");
    world.create("n/quiet/own", "1").await;
    let mut watch = Watch::open(&world, &Grant::anyone(), "?prefix=quiet/", Some("15")).await;
    watch.next().await.unwrap();
    assert_eq!(watch.next().await.unwrap().data["key"], "quiet/own");
}

#[tokio::test(start_paused = true)]
async fn another_document_ends_watches_and_nothing_is_missed() {
    let world = World::new();
    let (access, grant) = access("alice", &["state/n/*"]);
    let mut watch = Watch::open(&world, &grant, "", None).await;
    let place = watch.next().await.unwrap().id;
    world.door.put_in_place(world.door.state(), &Settings::default(), "next");
    world.create("n/a", "1").await;
    assert_eq!(watch.next().await, None, "what the key was allowed before is not told by the old watch");
    drop(access);
    let mut watch = Watch::open(&world, &caller("alice", &["state/n/b"]), "", Some(&place)).await;
    watch.next().await.unwrap();
    world.create("n/b", "1").await;
    assert_eq!(watch.next().await.unwrap().data["key"], "b");
}
