//! Hand-off, with all its refusals.

use std::time::Duration;

use crate::world::World;

const HANDOFF: &str = "/api/v1/state/n/a/handoff";
const REDEEM: &str = "/api/v1/handoff/redeem";

async fn token(world: &World, rev: &str) -> String {
    let given = world.ask("POST", HANDOFF, &[("if-match", rev)], "").await.has(200).json();
    assert_eq!((&given["namespace"], &given["key"]), (&"n".into(), &"a".into()));
    given["token"].as_str().unwrap().to_owned()
}

fn body(token: &str) -> String {
    serde_json::json!({ "token": token }).to_string()
}

#[tokio::test]
async fn a_key_is_handed_over_once_and_its_old_holder_fenced() {
    let world = World::new();
    world.create("n/a", "{\"step\": 1}").await;
    let token = token(&world, "\"1\"").await;
    let taken = world.ask("POST", REDEEM, &[], &body(&token)).await.has(200);
    assert_eq!((taken.header("etag"), taken.header("tradewind-epoch")), ("\"2\"", "1"));
    assert_eq!(taken.json()["epoch"], 1);
    assert!(taken.json()["handoff"].is_string());
    assert_eq!(world.read("n/a").await.text(), "{\"step\": 1}");

    let old = [("if-match", "\"1\""), ("tradewind-epoch", "0")];
    world.ask("PUT", "/api/v1/state/n/a", &old, "x").await.is(409, "TW7005");
    let old = [("if-match", "\"2\""), ("tradewind-epoch", "0")];
    world.ask("PUT", "/api/v1/state/n/a", &old, "x").await.is(409, "TW7005");
    world.ask("DELETE", "/api/v1/state/n/a", &old, "").await.is(409, "TW7005");
    let new = [("if-match", "\"2\""), ("tradewind-epoch", "1")];
    world.ask("PUT", "/api/v1/state/n/a", &new, "x").await.has(200);
    world.ask("POST", REDEEM, &[], &body(&token)).await.is(409, "TW7017");
}

#[tokio::test]
async fn each_refusal_has_a_code_of_its_own() {
    let world = World::new();
    world.create("n/a", "1").await;
    let first = token(&world, "\"1\"").await;

    let mut tampered = first.clone().into_bytes();
    let middle = tampered.len() / 2;
    tampered[middle] = if tampered[middle] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    for forged in [tampered.as_str(), "", "twh1_", "nonsense", &"x".repeat(2000)] {
        world.ask("POST", REDEEM, &[], &body(forged)).await.is(403, "TW7015");
    }
    let another = World::new();
    another.create("n/a", "1").await;
    another.ask("POST", REDEEM, &[], &body(&first)).await.is(403, "TW7015");

    world.clock.advance(Duration::from_secs(60));
    world.ask("POST", REDEEM, &[], &body(&first)).await.is(410, "TW7016");

    let stale = token(&world, "\"1\"").await;
    world.replace("n/a", 1, "2").await.has(200);
    world.ask("POST", REDEEM, &[], &body(&stale)).await.is(409, "TW7019");

    let (one, other) = (token(&world, "\"2\"").await, token(&world, "\"2\"").await);
    world.ask("POST", REDEEM, &[], &body(&one)).await.has(200);
    world.ask("POST", REDEEM, &[], &body(&other)).await.is(409, "TW7018");
}

#[tokio::test]
async fn a_token_is_asked_for_by_who_holds_the_key() {
    let world = World::new();
    world.ask("POST", HANDOFF, &[("if-match", "\"1\"")], "").await.is(412, "TW7003");
    world.create("n/a", "1").await;
    world.replace("n/a", 1, "2").await.has(200);
    world.ask("POST", HANDOFF, &[("if-match", "\"1\"")], "").await.is(412, "TW7003");
    world.ask("POST", HANDOFF, &[("if-none-match", "*")], "").await.is(400, "TW1011");
    let here = ("if-match", "\"2\"");
    world.ask("POST", HANDOFF, &[here], "{\"ttl\": \"61s\"}").await.is(400, "TW1002");
    world.ask("POST", HANDOFF, &[here], "{\"ttl\": \"1ms\"}").await.is(400, "TW1002");
    let given = world.ask("POST", HANDOFF, &[here], "{\"ttl\": \"5s\"}").await.has(200).json();
    assert_eq!(given["expires-at"], "2026-11-21T20:57:06.000Z");
    let taken = world.ask("POST", REDEEM, &[], &body(given["token"].as_str().unwrap())).await;
    taken.has(200);
    world.ask("POST", HANDOFF, &[("if-match", "\"3\""), ("tradewind-epoch", "0")], "").await.is(409, "TW7005");
    world.ask("POST", REDEEM, &[], "{}").await.is(400, "TW1002");
}

/// A token is good once: it is not used up by a device that cannot go on with what it is for.
#[tokio::test]
async fn a_token_stays_good_where_the_schema_is_not_known() {
    let world = World::new();
    let headers = [("if-none-match", "*"), ("tradewind-schema", "plan@3")];
    world.ask("PUT", "/api/v1/state/n/a", &headers, "{}").await.has(201);
    let token = token(&world, "\"1\"").await;
    for unknown in ["plan@2", "thread@3"] {
        world.ask("POST", REDEEM, &[("tradewind-schema", unknown)], &body(&token)).await.is(409, "TW7008");
    }
    world.ask("POST", REDEEM, &[("tradewind-schema", "plan")], &body(&token)).await.is(400, "TW1011");
    assert_eq!(world.read("n/a").await.header("tradewind-epoch"), "0");
    world.ask("POST", REDEEM, &[("tradewind-schema", "plan@3")], &body(&token)).await.has(200);
    assert_eq!(world.read("n/a").await.header("tradewind-schema"), "plan@3");
    world.ask("POST", REDEEM, &[("tradewind-schema", "plan@3")], &body(&token)).await.is(409, "TW7017");
}
