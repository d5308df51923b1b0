//! What keeps calls together: the session that a caller names, or the beginning of the prompt.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use tradewind_core::Dialect;

use super::world::{World, body, candidate, target, with};
use crate::support::question;

const EQUAL: [&str; 4] = ["{use: up/a}", "{use: up/b}", "{use: up/c}", "{use: up/d}"];

async fn world(affinity: &str) -> World {
    World::start(&format!("meaning: 0, load: 1, cost: 0, affinity: {affinity}"), &EQUAL, "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_stays_at_one_target_and_sessions_are_spread() {
    let world = world("session").await;
    let mut homes = HashMap::new();
    for session in 0..16 {
        let mut who = HashSet::new();
        for _ in 0..4 {
            let headers = format!("x-tradewind-session: session-{session}\r\n");
            let answer = world.ask_with(&body("Hello"), &headers).await;
            who.insert(target(&answer));
        }
        assert_eq!(who.len(), 1, "session {session} was at {who:?}");
        *homes.entry(who.into_iter().next().unwrap()).or_insert(0) += 1;
    }
    assert!(homes.len() >= 3, "16 sessions are all at {homes:?}");

    let answer = world.ask_with(&body("Hello"), "x-tradewind-session: session-1\r\n").await;
    let record = world.bench.record(&answer).await;
    assert_eq!(record["choice"]["affinity"], "session", "{record}");
    assert_eq!(record["candidates"][0]["reason"], "where calls of this session or prompt go", "{record}");
    // Where no session is named there is none.
    let record = world.record("Hello").await;
    assert!(record["choice"]["affinity"].is_null(), "{record}");
    // The header is for the gateway, not for the provider.
    assert!(world.sim.requests().iter().all(|seen| seen.header("x-tradewind-session").is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_only_the_body_names_stays_at_one_target() {
    let world = world("session").await;
    let mut homes = HashSet::new();
    for session in 0..16 {
        let who = format!("session-{session}");
        let mut messages = question(Dialect::Anthropic, "assistant", false);
        messages["metadata"] = json!({"user_id": who});
        let mut at = HashSet::new();
        for _ in 0..3 {
            at.insert(target(&world.ask_with(&with(body("Hello"), "user", json!(who)), "").await));
            at.insert(target(&world.bench.ask_with(Dialect::Anthropic, &messages, "").await));
        }
        assert_eq!(at.len(), 1, "session {session} was at {at:?}");
        homes.extend(at);
    }
    assert!(homes.len() >= 3, "16 sessions are all at {homes:?}");
    let answer = world.ask_with(&with(body("Hello"), "user", json!("session-1")), "").await;
    let record = world.bench.record(&answer).await;
    assert_eq!(record["choice"]["affinity"], "session", "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_named_by_the_header_or_by_the_request() {
    let world = world("session").await;
    for name in ["ann", "bob", "carol"] {
        let by_header = target(&world.ask_with(&body("Hi"), &format!("x-tradewind-session: {name}\r\n")).await);
        let by_user = target(&world.ask_with(&with(body("Hi"), "user", json!(name)), "").await);
        let mut messages = question(Dialect::Anthropic, "assistant", false);
        messages["metadata"] = json!({"user_id": name});
        let by_metadata = target(&world.bench.ask_with(Dialect::Anthropic, &messages, "").await);
        assert_eq!((&by_user, &by_metadata), (&by_header, &by_header), "{name}");
        let other = with(body("Hi"), "user", json!("somebody else"));
        let overruled = world.ask_with(&other, &format!("x-tradewind-session: {name}\r\n")).await;
        assert_eq!(target(&overruled), by_header, "the header counts first");
        let preview = world.preview(&body("Hi"), &json!({"x-tradewind-session": name})).await;
        assert_eq!((&preview["chosen"], &preview["choice"]["affinity"]), (&json!(by_header), &json!("session")));
    }
}

fn talk(system: &str, turns: usize) -> Value {
    let mut messages = vec![json!({"role": "system", "content": system}), json!({"role": "user", "content": "Begin."})];
    for turn in 0..turns {
        messages.push(json!({"role": "assistant", "content": format!("Answer {turn}.")}));
        messages.push(json!({"role": "user", "content": format!("And {turn}?")}));
    }
    json!({"model": "assistant", "messages": messages})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_goes_where_its_beginning_may_be_kept() {
    let world = world("prompt-cache").await;
    let mut homes = HashSet::new();
    for number in 0..16 {
        let system = format!("You are assistant number {number}.");
        let mut who = HashSet::new();
        for turns in 0..4 {
            who.insert(target(&world.ask_with(&talk(&system, turns), "").await));
        }
        assert_eq!(who.len(), 1, "the conversation {number} was at {who:?}");
        homes.extend(who);
    }
    assert!(homes.len() >= 3, "16 conversations are all at {homes:?}");
    let record = world.bench.record(&world.ask_with(&talk("x", 1), "").await).await;
    assert_eq!(record["choice"]["affinity"], "prompt-cache", "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn affinity_does_not_lead_to_whoever_may_not_answer() {
    let world = world("session").await;
    let headers = "x-tradewind-session: session-1\r\n";
    let home = target(&world.ask_with(&body("Hello"), headers).await);
    let narrow: Vec<String> = EQUAL
        .iter()
        .map(|one| {
            if one.contains(&home) {
                one.replacen("}", ", region: us}", 1)
            } else {
                one.replacen("}", ", region: eu}", 1)
            }
        })
        .collect();
    let narrow: Vec<&str> = narrow.iter().map(String::as_str).collect();
    let score = "meaning: 0, load: 1, cost: 0, affinity: session";
    world.bench.reload(&super::world::document(&world.sim, score, &narrow, "    require: {region: [eu]}\n"));
    let (one, two) = (world.ask_with(&body("Hello"), headers).await, world.ask_with(&body("Hello"), headers).await);
    assert_ne!(target(&one), home);
    assert_eq!(target(&one), target(&two), "it stays where it went");
    let record = world.bench.record(&one).await;
    assert_eq!(candidate(&record, &home)["eligible"], json!(false), "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_leaves_a_home_that_is_busy_and_comes_back() {
    let world = world("session").await;
    let headers = "x-tradewind-session: session-1\r\n";
    let home = target(&world.ask_with(&body("Hello"), headers).await);
    let busy = world.bench.target(&home);
    // Of one call under way, the one to come included, 1.25 times a quarter is still one: an idle home takes it.
    let held: Vec<_> = (0..4).map(|_| busy.try_enter(1).expect("there is room")).collect();
    let mut elsewhere = HashSet::new();
    for _ in 0..5 {
        let answer = world.ask_with(&body("Hello"), headers).await;
        elsewhere.insert(target(&answer));
        let record = world.bench.record(&answer).await;
        assert_eq!(record["candidates"][0]["reason"], "where calls of this session or prompt go", "{record}");
        assert_eq!(candidate(&record, &home)["parts"]["in_flight"], json!(4.0), "{record}");
    }
    assert_eq!(elsewhere.len(), 1, "the next in line takes all of them: {elsewhere:?}");
    assert!(!elsewhere.contains(&home));
    drop(held);
    assert_eq!(target(&world.ask_with(&body("Hello"), headers).await), home);
    world.bench.is_back_at_baseline(&[&world.sim]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_stays_together_where_no_target_fits() {
    let described = EQUAL.map(|one| one.replacen("}", ", good-at: [poems]}", 1));
    let described: Vec<&str> = described.iter().map(String::as_str).collect();
    let score = "meaning: 0.6, load: 0.4, cost: 0, affinity: session, abstain-below: 0.5";
    let world = World::start(score, &described, "").await;
    let mut homes = HashSet::new();
    for session in 0..12 {
        let mut who = HashSet::new();
        for _ in 0..4 {
            let headers = format!("x-tradewind-session: session-{session}\r\n");
            let answer = world.ask_with(&body("qwx zzkj vvbn"), &headers).await;
            let record = world.bench.record(&answer).await;
            assert_eq!(record["choice"]["meaning"]["abstained"], json!(true), "{record}");
            assert_eq!(record["candidates"][0]["reason"], "where calls of this session or prompt go", "{record}");
            who.insert(target(&answer));
        }
        assert_eq!(who.len(), 1, "session {session} was at {who:?}");
        homes.extend(who);
    }
    assert!(homes.len() >= 3, "{homes:?}");
}
