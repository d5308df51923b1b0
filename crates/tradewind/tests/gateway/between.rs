//! What the gateway puts between a caller and a provider beside the answer itself: sealed ids of responses, hints that
//! are left out, token counts that nobody asked for, targets without a price.

use serde_json::{Value, json};
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};

use crate::support::{Answer, Bench, error_code, get, post, question};

/// Two providers of chat completions and responses, one of messages, and keys.
async fn world() -> (Bench, [Sim; 3], String) {
    let sim = async |name| Sim::start(SimOptions::named(name)).await.unwrap();
    let sims = [sim("one").await, sim("two").await, sim("claude").await];
    let [one, two, claude] = [0, 1, 2].map(|at: usize| sims[at].base_url());
    let yaml = format!(
        "providers:\n  - {{name: one, dialect: openai, base-url: \"{one}/v1\", api-key: k, discover: false}}\n  \
         - {{name: two, dialect: openai, base-url: \"{two}/v1\", api-key: k, discover: false}}\n  \
         - {{name: claude, dialect: anthropic, base-url: \"{claude}\", api-key: k, discover: false}}\n\
         models:\n  - {{name: both, targets: [{{use: one/m}}, {{use: two/m}}]}}\n  \
         - {{name: two-first, targets: [{{use: two/m}}, {{use: one/m}}]}}\n  \
         - {{name: messages, targets: [{{use: claude/m, price: {{input: 1, output: 2}}}}]}}\n  \
         - {{name: mixed, targets: [{{use: one/free}}, {{use: two/m, price: {{input: 1, output: 2}}}}]}}\n  \
         - {{name: free, targets: [{{use: one/free}}]}}\n\
         keys:\n  - {{name: ann, secret: secret-of-ann-0123456789, allow: [\"models/*\", control/read]}}\n  \
         - {{name: bob, secret: secret-of-bob-0123456789}}\n  \
         - {{name: strict, secret: secret-of-strict-0123456789, budget: {{usd: 10, per: day}}}}\n  \
         - {{name: loose, secret: secret-of-loose-0123456789, budget: {{usd: 10, per: day}}, unpriced: allow}}\n"
    );
    (Bench::start(&yaml).await, sims, yaml)
}

fn bearer(key: &str) -> String {
    format!("authorization: Bearer secret-of-{key}-0123456789\r\n")
}

async fn respond(bench: &Bench, key: &str, fields: Value) -> Answer {
    let mut body = json!({"model": "both", "input": "Which way does the wind blow?"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    bench.send(&post("/v1/responses", &bearer(key), &body.to_string())).await
}

async fn record(bench: &Bench, answer: &Answer) -> Value {
    let path = format!("/api/v1/decisions/{}", answer.decision().unwrap());
    bench.get_with(&path, &bearer("ann")).await.json()
}

/// The id of a response, whole or streamed, which has to be the same in all of it.
fn response_id(answer: &Answer, stream: bool) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    if !stream {
        return answer.json()["id"].as_str().unwrap().to_owned();
    }
    let events = answer.events().into_iter().map(|event| serde_json::from_str::<Value>(&event).unwrap());
    let mut ids: Vec<String> = events.filter_map(|event| event["response"]["id"].as_str().map(str::to_owned)).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_is_gone_on_from_by_its_own_caller_at_its_own_target_alone() {
    let (bench, [one, two, _claude], yaml) = world().await;
    for stream in [false, true] {
        let first = respond(&bench, "ann", json!({"stream": stream})).await;
        let id = response_id(&first, stream);
        assert!(id.starts_with("resp_tw"), "{id}");
        assert!(!first.text().contains("resp-one"), "the provider's own id is shown: {}", first.text());
        // Another model would ask the other target first, but the response is kept by this one.
        let again = json!({"model": "two-first", "stream": stream, "previous_response_id": id});
        let again = respond(&bench, "ann", again).await;
        assert_eq!((again.status, again.header("x-tradewind-target")), (200, Some("one/m")), "{}", again.text());
        assert_eq!(two.stats().requests, 0, "a response was asked for where it is not kept");
        let seen: Value = serde_json::from_str(&one.requests().last().unwrap().body).unwrap();
        assert!(seen["previous_response_id"].as_str().unwrap().starts_with("resp-one-"), "{seen}");

        let before = one.stats().requests;
        let (mut forged, last) = (id.clone(), if id.ends_with('A') { 'B' } else { 'A' });
        forged.pop();
        forged.push(last);
        for (key, previous) in [("bob", id.as_str()), ("ann", &forged), ("ann", "resp_tw"), ("ann", "resp-one-1")] {
            let answer = respond(&bench, key, json!({"stream": stream, "previous_response_id": previous})).await;
            assert_eq!(answer.status, 400, "{key} {previous}: {}", answer.text());
            let said = answer.json();
            assert_eq!(said["error"]["param"], "previous_response_id", "{said}");
            assert!(error_code(&said, Dialect::OpenAi).is_some(), "{said}");
        }
        assert_eq!(one.stats().requests, before, "a refused call reached the provider");
    }
    // What was given out stays good over a restart.
    let id = response_id(&respond(&bench, "ann", json!({})).await, false);
    let bench = bench.restart(&yaml).await;
    assert_eq!(respond(&bench, "ann", json!({"previous_response_id": id})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_that_are_left_out_are_listed() {
    let (bench, [one, _two, claude], _) = world().await;
    for stream in [false, true] {
        let mut body = question(Dialect::OpenAi, "messages", stream);
        body["prompt_cache_key"] = json!("harbour");
        body["store"] = json!(false);
        let answer = bench.ask_with(Dialect::OpenAi, &body, &bearer("ann")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut dropped: Vec<&str> = answer.header("x-tradewind-dropped").unwrap().split(", ").collect();
        dropped.sort_unstable();
        assert_eq!(dropped, ["prompt_cache_key", "store"]);
        let record = record(&bench, &answer).await;
        assert_eq!(
            (&record["translated"], record["dropped"].as_array().unwrap().len()),
            (&json!("messages"), 2),
            "{record}"
        );
        let seen = claude.requests().last().unwrap().body.clone();
        assert!(!seen.contains("prompt_cache_key") && !seen.contains("store"), "{seen}");

        // Where nothing is translated, nothing is left out.
        body["model"] = json!("both");
        let answer = bench.ask_with(Dialect::OpenAi, &body, &bearer("ann")).await;
        assert_eq!((answer.status, answer.header("x-tradewind-dropped")), (200, None));
        assert!(one.requests().last().unwrap().body.contains("prompt_cache_key"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_translated_stream_shows_counts_to_those_who_ask_for_them() {
    let (bench, _sims, _) = world().await;
    for asked in [false, true] {
        let mut body = question(Dialect::OpenAi, "messages", true);
        if !asked {
            body.as_object_mut().unwrap().remove("stream_options");
        }
        let answer = bench.ask_with(Dialect::OpenAi, &body, &bearer("ann")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.text().contains("\"usage\":{"), asked, "{}", answer.text());
        let record = record(&bench, &answer).await;
        assert_eq!(record["usage"]["estimated"], json!(false), "{record}");
        assert!(record["cost_usd"].as_f64().unwrap() > 0.0, "{record}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_without_a_price_are_for_keys_that_may_use_them() {
    let (bench, [one, _two, _claude], _) = world().await;
    let ask = async |key: &str, model: &str| {
        bench.ask_with(Dialect::OpenAi, &question(Dialect::OpenAi, model, false), &bearer(key)).await
    };
    let refused = ask("strict", "free").await;
    assert_eq!((refused.status, error_code(&refused.json(), Dialect::OpenAi).as_deref()), (403, Some("TW1017")));
    // Of several targets the one with a price is asked, whatever its place.
    assert_eq!(ask("strict", "mixed").await.header("x-tradewind-target"), Some("two/m"));
    assert_eq!(one.stats().requests, 0);
    for key in ["loose", "bob"] {
        for model in ["free", "mixed"] {
            assert_eq!(ask(key, model).await.header("x-tradewind-target"), Some("one/free"), "{key} {model}");
        }
    }
    let rows = bench.get_with("/api/v1/spend?by=key", &bearer("ann")).await.json();
    let row = |key: &str| rows["rows"].as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone();
    assert_eq!((&row("loose")["unpriced"], &row("loose")["usd"]), (&json!(2), &json!(0.0)), "{rows}");
    assert_eq!(row("strict")["unpriced"], json!(0), "{rows}");
    assert_eq!(bench.send(&get("/livez")).await.status, 200);
}
