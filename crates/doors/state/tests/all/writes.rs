//! Writing: conditions first of all, and what may be written.

use std::time::Duration;

use crate::world::World;

const PATH: &str = "/api/v1/state/n/a";
const JSON: (&str, &str) = ("content-type", "application/json");
const PATCH: (&str, &str) = ("content-type", "application/json-patch+json");

#[tokio::test]
async fn there_is_no_write_without_a_condition() {
    let world = World::new();
    world.create("n/a", "1").await;
    for (method, path) in [
        ("PUT", PATH),
        ("PATCH", PATH),
        ("DELETE", PATH),
        ("POST", "/api/v1/state/n/a/restore"),
        ("POST", "/api/v1/state/n/a/handoff"),
    ] {
        let headers = [PATCH];
        world.ask(method, path, &headers, "").await.is(428, "TW7004");
        world.ask(method, path, &[PATCH, ("if-match", "*")], "").await.is(428, "TW7004");
    }
    assert_eq!(world.read("n/a").await.text(), "1");
}

#[tokio::test]
async fn a_lost_race_is_told_what_is_there() {
    let world = World::new();
    world.create("n/a", "1").await;
    world.replace("n/a", 1, "2").await.has(200);
    let lost = world.replace("n/a", 1, "3").await.is(412, "TW7003");
    assert_eq!((lost.header("etag"), lost.header("tradewind-epoch")), ("\"2\"", "0"));
    let again = world.ask("PUT", PATH, &[("if-none-match", "*"), JSON], "3").await.is(412, "TW7003");
    assert_eq!(again.header("etag"), "\"2\"");

    let headers = [("if-match", "\"1\""), JSON, ("prefer", "return=representation")];
    let lost = world.ask("PUT", PATH, &headers, "3").await.has(412);
    assert_eq!((lost.text(), lost.header("etag"), lost.header("tradewind-code")), ("2", "\"2\"", "TW7003"));
    assert_eq!((lost.header("content-location"), lost.header("content-type")), (PATH, "application/json"));
    assert_eq!(lost.header("preference-applied"), "return=representation");
    assert_eq!(world.read("n/a").await.text(), "2");

    world.ask("DELETE", PATH, &[("if-match", "\"2\"")], "").await.has(200);
    let gone = world.replace("n/a", 2, "4").await;
    assert!([404, 412].contains(&gone.status), "{gone:?}");
    assert_eq!(world.create("n/a", "5").await.header("etag"), "\"4\"", "a number does not come again after a deletion");
}

#[tokio::test]
async fn an_answer_has_what_its_caller_prefers() {
    let world = World::new();
    let headers = [("if-none-match", "*"), JSON, ("prefer", "return=minimal")];
    let minimal = world.ask("PUT", PATH, &headers, "[1]").await.has(204);
    assert_eq!((minimal.body.len(), minimal.header("etag"), minimal.header("content-type")), (0, "\"1\"", ""));
    assert_eq!(minimal.header("preference-applied"), "return=minimal");
    let headers = [("if-match", "\"1\""), ("tradewind-append", "true"), ("prefer", "return=representation")];
    let whole = world.ask("PATCH", PATH, &headers, "[2]").await.has(200);
    assert_eq!((whole.json(), whole.header("etag")), (serde_json::json!([1, 2]), "\"2\""));
    let headers = [("if-match", "\"2\""), ("prefer", "return=minimal")];
    world.ask("DELETE", PATH, &headers, "").await.has(204);
}

#[tokio::test]
async fn a_patch_sends_only_what_is_new() {
    let world = World::new();
    world.create("n/a", "{\"a\": 1, \"log\": []}").await;
    let patch = "[{\"op\": \"add\", \"path\": \"/log/-\", \"value\": \"x\"}]";
    let patched = world.ask("PATCH", PATH, &[PATCH, ("if-match", "\"1\"")], patch).await.has(200);
    assert_eq!(patched.header("etag"), "\"2\"");
    assert_eq!(world.read("n/a").await.json(), serde_json::json!({"a": 1, "log": ["x"]}));
    for (body, status, code) in [
        ("[{\"op\": \"remove\", \"path\": \"/b\"}]", 422, "TW7009"),
        ("[{\"op\": \"test\", \"path\": \"/a\", \"value\": 2}]", 422, "TW7009"),
        ("{}", 422, "TW7009"),
        ("nonsense", 422, "TW7009"),
    ] {
        world.ask("PATCH", PATH, &[PATCH, ("if-match", "\"2\"")], body).await.is(status, code);
    }
    world.ask("PATCH", PATH, &[PATCH, ("if-match", "\"1\"")], patch).await.is(412, "TW7003");
    world.ask("PATCH", PATH, &[PATCH, ("if-none-match", "*")], patch).await.is(400, "TW1011");
    world.ask("PATCH", PATH, &[JSON, ("if-match", "\"2\"")], patch).await.is(415, "TW1012");
    let headers = [PATCH, ("if-match", "\"2\""), ("tradewind-schema", "a@1")];
    world.ask("PATCH", PATH, &headers, patch).await.is(400, "TW1011");
    assert_eq!(world.read("n/a").await.header("etag"), "\"2\"");
}

#[tokio::test]
async fn lists_and_texts_grow_by_appending() {
    let world = World::new();
    let append = ("tradewind-append", "true");
    let begun = [append, ("if-none-match", "*"), ("content-type", "text/plain")];
    world.ask("PATCH", PATH, &begun, "one\n").await.has(201);
    world.ask("PATCH", PATH, &[append, ("if-match", "\"1\"")], "two\n").await.has(200);
    assert_eq!(world.read("n/a").await.text(), "one\ntwo\n");
    assert_eq!(world.read("n/a").await.header("content-type"), "text/plain");
    world.ask("PATCH", PATH, &[append, ("if-match", "\"1\"")], "two\n").await.is(412, "TW7003");
    world.create("n/b", "{\"a\": 1}").await;
    world.ask("PATCH", "/api/v1/state/n/b", &[append, ("if-match", "\"1\"")], "[1]").await.is(422, "TW7009");
}

#[tokio::test]
async fn values_have_a_largest_size_in_each_namespace() {
    let world = World::with_rules();
    let put = |path: &'static str, size: usize| {
        let world = &world;
        async move { world.ask("PUT", path, &[("if-none-match", "*")], &"x".repeat(size)).await }
    };
    put("/api/v1/state/small/a", 100).await.has(201);
    put("/api/v1/state/small/b", 101).await.is(413, "TW7006");
    put("/api/v1/state/n/a", 1000).await.has(201);
    put("/api/v1/state/n/b", 1001).await.is(413, "TW7006");
    let append = [("tradewind-append", "true"), ("if-match", "\"1\"")];
    world.ask("PATCH", "/api/v1/state/small/a", &append, "x").await.is(413, "TW7006");
    assert_eq!(world.read("small/a").await.body.len(), 100);
}

#[tokio::test]
async fn what_is_said_to_be_json_is_json() {
    let world = World::new();
    world.ask("PUT", PATH, &[("if-none-match", "*"), JSON], "{").await.is(400, "TW1001");
    world.ask("PUT", PATH, &[("if-none-match", "*"), ("content-type", "text/plain")], "{").await.has(201);
}

#[tokio::test]
async fn headers_that_cannot_be_read_are_refused() {
    let world = World::new();
    for header in [("if-match", "1"), ("tradewind-ttl", "soon"), ("tradewind-schema", "x"), ("tradewind-epoch", "-1")] {
        let condition = if header.0 == "if-match" { header } else { ("if-none-match", "*") };
        let headers = if header.0 == "if-match" { vec![header] } else { vec![condition, header] };
        world.ask("PUT", PATH, &headers, "x").await.is(400, "TW1011");
    }
    world.read("n/a").await.is(404, "TW7001");
}

#[tokio::test]
async fn disjoint_changes_are_merged_where_that_is_asked_for() {
    let world = World::with_rules();
    world.create("merged/a", "{\"a\": 1, \"b\": 1}").await;
    world.replace("merged/a", 1, "{\"a\": 2, \"b\": 1}").await.has(200);
    world.replace("merged/a", 1, "{\"a\": 1, \"b\": 2}").await.has(200);
    assert_eq!(world.read("merged/a").await.json(), serde_json::json!({"a": 2, "b": 2}));
    world.replace("merged/a", 1, "{\"a\": 3, \"b\": 1}").await.is(412, "TW7003");
    world.create("n/a", "{\"a\": 1, \"b\": 1}").await;
    world.replace("n/a", 1, "{\"a\": 2, \"b\": 1}").await.has(200);
    world.replace("n/a", 1, "{\"a\": 1, \"b\": 2}").await.is(412, "TW7003");
}

#[tokio::test]
async fn of_many_writers_one_wins() {
    let world = std::sync::Arc::new(World::new());
    world.create("n/a", "0").await;
    for round in 1..=20 {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let world = world.clone();
            writers.spawn(async move { world.replace("n/a", round, &writer.to_string()).await.status });
        }
        let statuses = writers.join_all().await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 412].contains(status)), "{statuses:?}");
    }
}

#[tokio::test]
async fn a_write_that_happened_is_no_error() {
    let world = World::new();
    world.clock.hurry(Duration::from_secs(2));
    // It is over before it could be shown.
    let headers = [("if-none-match", "*"), ("tradewind-ttl", "1s"), ("prefer", "return=representation")];
    let written = world.ask("PUT", "/api/v1/state/n/a", &headers, "x").await.has(201);
    assert_eq!((written.header("etag"), written.header("preference-applied")), ("\"1\"", ""));
    assert_eq!(written.json()["rev"], 1);
    world.read("n/a").await.is(410, "TW7002");
}

/// A condition that nobody looks at is refused: who sent it believes in it.
#[tokio::test]
async fn what_takes_no_condition_says_so() {
    let world = World::new();
    world.create("n/a", "1").await;
    for (method, path, body) in [
        ("POST", "/api/v1/state/n/a/fork", "{\"key\": \"b\"}"),
        ("POST", "/api/v1/state/n/a/prune", "{\"keep\": 1}"),
        ("PUT", "/api/v1/state/n/a/pin?rev=1", ""),
        ("DELETE", "/api/v1/state/n/a/pin?rev=1", ""),
        ("POST", "/api/v1/handoff/redeem", "{\"token\": \"twh1_AAAA\"}"),
    ] {
        for condition in [("if-match", "\"1\""), ("if-match", "\"9\""), ("if-none-match", "*")] {
            let refused = world.ask(method, path, &[condition], body).await.is(400, "TW1011");
            assert_eq!(refused.json()["error"]["field"], condition.0, "{method} {path}");
        }
    }
    world.read("n/b").await.is(404, "TW7001");
}
