//! Who may use what: `state/NAMESPACE/KEY` against the allow-list of the caller's key.

use serde_json::json;

use crate::world::{World, caller};

#[tokio::test]
async fn a_key_reads_and_writes_what_its_list_names() {
    let world = World::new();
    for key in ["threads/alice/1", "threads/bob/1", "locks/a"] {
        world.create(key, "1").await;
    }
    let alice = caller("alice", &["state/threads/alice/*", "state/locks/a"]);
    let get = |path: &'static str| world.ask_as(&alice, "GET", path, &[], "");
    get("/api/v1/state/threads/alice/1").await.has(200);
    get("/api/v1/state/threads/%61lice/1").await.has(200);
    get("/api/v1/state/locks/a").await.has(200);
    for path in [
        "/api/v1/state/threads/bob/1",
        "/api/v1/state/threads/%62ob/1",
        "/api/v1/state/threads/alice",
        "/api/v1/state/threads/bob/1/history",
        "/api/v1/state/threads/bob/1/diff?from=1",
        "/api/v1/state/locks/ab",
    ] {
        get(path).await.is(403, "TW1017");
    }
    for (method, path) in [
        ("PUT", "/api/v1/state/threads/bob/1"),
        ("PATCH", "/api/v1/state/threads/bob/1"),
        ("DELETE", "/api/v1/state/threads/bob/1"),
        ("PUT", "/api/v1/state/threads/bob/1/pin?rev=1"),
        ("POST", "/api/v1/state/threads/bob/1/handoff"),
        ("POST", "/api/v1/state/threads/bob/1/fork"),
    ] {
        world.ask_as(&alice, method, path, &[("if-match", "\"1\"")], "{}").await.is(403, "TW1017");
    }
    let written = world.ask_as(&alice, "PUT", "/api/v1/state/threads/alice/1", &[("if-match", "\"1\"")], "2").await;
    assert_eq!(written.has(200).json()["by"], "alice");
}

#[tokio::test]
async fn a_copy_goes_only_where_its_maker_may_write() {
    let world = World::new();
    world.create("threads/alice/1", "1").await;
    let alice = caller("alice", &["state/threads/alice/*"]);
    let fork = |body: &'static str| world.ask_as(&alice, "POST", "/api/v1/state/threads/alice/1/fork", &[], body);
    fork("{\"key\": \"bob/2\"}").await.is(403, "TW1017");
    fork("{\"namespace\": \"locks\", \"key\": \"alice/2\"}").await.is(403, "TW1017");
    fork("{\"key\": \"alice/2\"}").await.has(201);
}

#[tokio::test]
async fn a_token_is_redeemed_by_who_may_use_its_key() {
    let world = World::new();
    world.create("threads/alice/1", "1").await;
    let alice = caller("alice", &["state/threads/alice/*"]);
    let path = "/api/v1/state/threads/alice/1/handoff";
    let given = world.ask_as(&alice, "POST", path, &[("if-match", "\"1\"")], "").await.has(200).json();
    let body = json!({ "token": given["token"] }).to_string();
    let bob = caller("bob", &["state/threads/bob/*"]);
    world.ask_as(&bob, "POST", "/api/v1/handoff/redeem", &[], &body).await.is(403, "TW1017");
    world.ask_as(&alice, "POST", "/api/v1/handoff/redeem", &[], &body).await.has(200);
}

#[tokio::test]
async fn lists_show_what_a_key_may_use() {
    let world = World::new();
    for key in ["threads/alice/1", "threads/bob/1", "threads/bob/2", "locks/a"] {
        world.create(key, "1").await;
    }
    let alice = caller("alice", &["state/threads/alice/*", "state/locks/*"]);
    let listed = world.ask_as(&alice, "GET", "/api/v1/state/threads", &[], "").await.has(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["key"], "alice/1");
    let namespaces = world.ask_as(&alice, "GET", "/api/v1/state", &[], "").await.has(200).json();
    assert_eq!(namespaces, json!({"items": ["locks"]}));
    let nobody = caller("nobody", &["models/*"]);
    let listed = world.ask_as(&nobody, "GET", "/api/v1/state/threads", &[], "").await.has(200).json();
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn pages_name_nothing_that_a_key_may_not_see() {
    let world = World::new();
    for key in ["threads/alice/1", "threads/alice/2", "threads/bob/1", "threads/bob/2", "threads/carol/1"] {
        world.create(key, "1").await;
    }
    let list = async |grant: &tradewind_access::Grant, query: &str| {
        let path = format!("/api/v1/state/threads?limit=1{query}");
        world.ask_as(grant, "GET", &path, &[], "").await.has(200).json()
    };
    let nobody = caller("nobody", &["models/*"]);
    assert_eq!(list(&nobody, "").await, json!({"items": []}));
    assert_eq!(list(&nobody, "&after=alice/2").await, json!({"items": []}));

    // Each page is full of what may be seen, whatever lies between.
    let two = caller("two", &["state/threads/alice/2", "state/threads/carol/*"]);
    let first = list(&two, "").await;
    assert_eq!((&first["items"][0]["key"], &first["next"]), (&"alice/2".into(), &"alice/2".into()));
    let second = list(&two, "&after=alice/2").await;
    assert_eq!((&second["items"][0]["key"], second.get("next")), (&"carol/1".into(), None));
    assert_eq!(list(&two, "&after=carol/1").await, json!({"items": []}));
}

#[tokio::test]
async fn a_list_looks_at_so_many_keys_and_no_more() {
    let world = World::new();
    for number in 0..9_100 {
        world.create(&format!("threads/a{number:05}"), "1").await;
    }
    world.create("threads/b", "1").await;
    let bob = caller("bob", &["state/threads/b"]);
    let list = async |query: &str| world.ask_as(&bob, "GET", &format!("/api/v1/state/threads{query}"), &[], "").await;
    list("?limit=1").await.is(403, "TW1017");
    let found = list("?limit=1&prefix=b").await.has(200).json();
    assert_eq!((&found["items"][0]["key"], &found["next"]), (&"b".into(), &"b".into()));
    // A longer first page reaches it.
    assert_eq!(list("?limit=1000").await.has(200).json()["items"][0]["key"], "b");
}

/// What was deleted is passed over, a bounded part in each call; pages go on, and name nothing that may not be used.
#[tokio::test]
async fn a_list_over_what_was_deleted_comes_in_pages() {
    let world = World::new();
    for number in 0..2_500 {
        for owner in ["alice", "bob"] {
            let path = format!("threads/{owner}/{number:04}");
            world.create(&path, "1").await;
            world.ask("DELETE", &format!("/api/v1/state/{path}"), &[("if-match", "\"1\"")], "").await.has(200);
        }
    }
    world.create("threads/carol", "1").await;
    for (allow, pages) in
        [("state/threads/*", 2..=99), ("state/threads/alice/*", 2..=99), ("state/threads/carol", 1..=9)]
    {
        let grant = caller("one", &[allow]);
        let (mut found, mut after, mut count) = (Vec::new(), String::new(), 0);
        loop {
            let path = format!("/api/v1/state/threads?limit=7&after={after}");
            let mut page = world.ask_as(&grant, "GET", &path, &[], "").await.has(200).json();
            found.append(page["items"].as_array_mut().unwrap());
            count += 1;
            let Some(next) = page["next"].as_str() else { break };
            assert!(grant.allows(&format!("state/threads/{next}")), "{next} is not told to {allow}");
            after = next.to_owned();
        }
        assert!(pages.contains(&count), "{count} pages for {allow}");
        assert_eq!(found.len(), usize::from(allow != "state/threads/alice/*"), "{allow}");
    }
}
