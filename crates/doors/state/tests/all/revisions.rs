//! History: pages, differences, forks, pins, pruning, restoring, and lists of keys.

use serde_json::json;
use tradewind_door_state::openapi;
use tradewind_store::{Key, Rev};

use crate::world::World;

#[tokio::test]
async fn a_history_is_read_in_pages_the_newest_first() {
    let world = World::new();
    world.create("n/a", "0").await;
    for rev in 1..5 {
        world.replace("n/a", rev, &rev.to_string()).await.has(200);
    }
    let revs = |page: &serde_json::Value| -> Vec<u64> {
        page["items"].as_array().unwrap().iter().map(|item| item["rev"].as_u64().unwrap()).collect()
    };
    let page = world.read("n/a/history?limit=3").await.has(200).json();
    assert_eq!((revs(&page), &page["next"]), (vec![5, 4, 3], &json!(3)));
    let page = world.read("n/a/history?limit=3&before=3").await.has(200).json();
    assert_eq!((revs(&page), page.get("next")), (vec![2, 1], None));
    assert_eq!(page["items"][1]["pinned"], false);
}

#[tokio::test]
async fn two_revisions_are_compared() {
    let world = World::new();
    world.create("n/a", "{\"a\": 1, \"b\": [1]}").await;
    world.replace("n/a", 1, "{\"a\": 2, \"b\": [1, 2]}").await.has(200);
    let difference = world.read("n/a/diff?from=1").await.has(200).json();
    assert_eq!((&difference["from"], &difference["to"]), (&json!(1), &json!(2)));
    let patch = difference["patch"].to_string();
    let headers = [("if-match", "\"1\""), ("content-type", "application/json-patch+json")];
    world.create("n/b", "{\"a\": 1, \"b\": [1]}").await;
    world.ask("PATCH", "/api/v1/state/n/b", &headers, &patch).await.has(200);
    assert_eq!(world.read("n/b").await.json(), world.read("n/a").await.json());
    assert_eq!(world.read("n/a/diff?from=2&to=2").await.json()["patch"], json!([]));
    world.read("n/a/diff?from=1&to=9").await.is(404, "TW7001");
    world.ask("PUT", "/api/v1/state/n/c", &[("if-none-match", "*")], "bytes").await.has(201);
    world.read("n/c/diff?from=1").await.is(422, "TW7009");
}

#[tokio::test]
async fn a_fork_is_a_value_of_its_own() {
    let world = World::new();
    world.create("n/a", "1").await;
    world.replace("n/a", 1, "2").await.has(200);
    let path = "/api/v1/state/n/a/fork";
    let forked = world.ask("POST", path, &[], "{\"key\": \"b\", \"rev\": 1}").await.has(201);
    assert_eq!((&forked.json()["key"], forked.header("etag")), (&json!("b"), "\"1\""));
    assert_eq!(world.read("n/b").await.text(), "1");
    world.ask("POST", path, &[], "{\"namespace\": \"other\", \"key\": \"a\"}").await.has(201);
    assert_eq!(world.read("other/a").await.text(), "2");
    world.ask("POST", path, &[], "{\"key\": \"b\"}").await.is(412, "TW7003");
    world.ask("POST", path, &[], "{\"key\": \"../b\"}").await.is(400, "TW7007");
    world.ask("POST", path, &[], "{}").await.is(400, "TW1002");
    world.ask("POST", path, &[], "{").await.is(400, "TW1001");
    world.ask("POST", path, &[], "{\"key\": \"c\", \"rev\": 9}").await.is(404, "TW7001");
    world.ask("POST", path, &[], &format!("{{\"key\": \"{}\"}}", "x".repeat(70_000))).await.is(413, "TW7006");
}

#[tokio::test]
async fn pinned_revisions_stay() {
    let world = World::with_rules();
    world.create("small/a", "0").await;
    world.ask("PUT", "/api/v1/state/small/a/pin?rev=1", &[], "").await.has(204);
    for rev in 1..5 {
        world.replace("small/a", rev, &rev.to_string()).await.has(200);
    }
    assert_eq!(world.read("small/a?rev=1").await.has(200).text(), "0");
    let history = world.read("small/a/history").await.json();
    assert_eq!(history["items"].as_array().unwrap().len(), 3);
    assert_eq!(history["items"][2]["pinned"], true);
    world.ask("DELETE", "/api/v1/state/small/a/pin?rev=1", &[], "").await.has(204);
    let pruned = world.ask("POST", "/api/v1/state/small/a/prune", &[], "{\"keep\": 1}").await.has(200);
    assert_eq!(pruned.json(), json!({"removed": 2}));
    world.read("small/a?rev=1").await.is(410, "TW7002");
    world.ask("POST", "/api/v1/state/small/a/prune", &[], "{\"keep\": 0}").await.is(400, "TW1002");
    let missing = world.ask("PUT", "/api/v1/state/small/a/pin?rev=1", &[], "").await;
    assert!([404, 410].contains(&missing.status), "{missing:?}");
    world.ask("PUT", "/api/v1/state/small/a/pin", &[], "").await.is(400, "TW1002");
}

#[tokio::test]
async fn an_earlier_revision_is_restored_as_a_new_one() {
    let world = World::new();
    world.create("n/a", "1").await;
    world.replace("n/a", 1, "2").await.has(200);
    let path = "/api/v1/state/n/a/restore";
    let restored = world.ask("POST", path, &[("if-match", "\"2\"")], "{\"rev\": 1}").await.has(200);
    assert_eq!(restored.header("etag"), "\"3\"");
    assert_eq!(world.read("n/a").await.text(), "1");
    world.ask("POST", path, &[("if-match", "\"2\"")], "{\"rev\": 1}").await.is(412, "TW7003");
    world.ask("POST", path, &[("if-match", "\"3\"")], "{\"rev\": 0}").await.is(400, "TW1002");
    world.ask("DELETE", "/api/v1/state/n/a", &[("if-match", "\"3\"")], "").await.has(200);
    world.ask("POST", path, &[("if-none-match", "*")], "{\"rev\": 2}").await.has(201);
    assert_eq!(world.read("n/a").await.text(), "2");
}

#[tokio::test]
async fn keys_and_namespaces_are_listed() {
    let world = World::new();
    for key in ["n/b", "n/a/1", "n/a/2", "m/x"] {
        world.create(key, "1").await;
    }
    let keys = |page: &serde_json::Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap().to_owned()).collect()
    };
    let page = world.read("n?limit=2").await.has(200).json();
    assert_eq!((keys(&page), &page["next"]), (vec!["a/1".to_owned(), "a/2".to_owned()], &json!("a/2")));
    let page = world.read("n?limit=2&after=a/2").await.json();
    assert_eq!((keys(&page), page.get("next")), (vec!["b".to_owned()], None));
    assert_eq!(keys(&world.read("n?prefix=a%2F").await.json()), ["a/1", "a/2"]);
    assert_eq!(keys(&world.read("none").await.has(200).json()), Vec::<String>::new());
    let namespaces = world.ask("GET", "/api/v1/state", &[], "").await.has(200).json();
    assert_eq!(namespaces, json!({"items": ["m", "n"]}));
}

/// A key whose newest revision cannot be read is named as such, among the others.
#[tokio::test]
async fn a_damaged_key_keeps_no_other_from_being_listed() {
    let world = World::new();
    for key in ["n/a", "n/b", "n/c"] {
        world.create(key, "1").await;
    }
    assert!(world.store.damage_all_of(&Key::parse("n", "b").unwrap(), Rev::FIRST));
    let page = world.read("n").await.has(200).json();
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.iter().map(|item| item["key"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!((&items[1]["error"]["code"], items[1].get("rev")), (&json!("TW7010"), None));
    assert!(items[1]["error"]["message"].as_str().unwrap().contains("tradewind state check"));
    assert_eq!((&items[2]["rev"], items[2].get("error")), (&json!(1), None));
    world.read("n/b").await.is(500, "TW7010");
    let described: serde_json::Value = serde_json::from_str(openapi()).unwrap();
    let shapes =
        described["components"]["schemas"]["Keys"]["properties"]["items"]["items"]["anyOf"].as_array().unwrap();
    let names = |shape: &serde_json::Value| -> Vec<String> {
        shape["properties"].as_object().unwrap().keys().cloned().collect()
    };
    for (item, shape) in [(&items[0], &shapes[0]), (&items[1], &shapes[1])] {
        assert!(item.as_object().unwrap().keys().all(|name| names(shape).contains(name)), "{item}");
    }
}
