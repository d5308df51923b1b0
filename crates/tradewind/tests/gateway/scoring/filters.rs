//! What a target lacks for a call takes it out before anything is scored, with the reason in the record; where nobody is
//! left the caller is told why.

use serde_json::{Value, json};
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};

use super::world::{body, candidate, document, with};
use crate::support::{Bench, error_code, post, question};

/// What one target is said to have, what is required, a request, and the reason for which that target is not asked.
fn table() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let image = json!([{"role": "user", "content": [{"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}]);
    let schema = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}});
    let plain = || body("Which way does the wind blow?");
    vec![
        (
            "context: 1000",
            "",
            body(&"wind and weather ".repeat(2000)),
            "its context has 1000 tokens, and the call about ",
        ),
        (
            "context: 1000",
            "",
            with(plain(), "max_tokens", json!(1000)),
            "its context has 1000 tokens, and the call about ",
        ),
        ("images: false", "", with(plain(), "messages", image), "takes no images"),
        ("tools: false", "", with(plain(), "tools", tools), "takes no tools"),
        ("tools: false", "", with(plain(), "functions", json!([{"name": "f"}])), "takes no tools"),
        ("json-schema: false", "", with(plain(), "response_format", schema), "takes no JSON Schema for the answer"),
        ("region: us", "region: [eu, ch]", plain(), "its region is us, and has to be eu or ch"),
        ("max-output: 9", "region: [eu]", plain(), "its region is unknown, and has to be eu"),
        (
            "price: {input: 9, output: 1}",
            "price-at-most: {input: 5}",
            plain(),
            "its price for input is 9, and may be 5 at most",
        ),
        (
            "price: {input: 1, output: 30}",
            "price-at-most: {input: 5, output: 20}",
            plain(),
            "its price for output is 30, and may be 20 at most",
        ),
        (
            "price: {input: 5, output: 20, cached: 1, cache-write: 6}",
            "price-at-most: {input: 5}",
            plain(),
            "its price for writing to its cache is 6, and may be 5 at most",
        ),
        (
            "price: {input: 5, output: 20, reasoning: 60}",
            "price-at-most: {output: 20}",
            plain(),
            "its price for reasoning is 60, and may be 20 at most",
        ),
        ("max-output: 9", "price-at-most: {output: 20}", plain(), "has no price, and `price-at-most` asks for one"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_lacks_something_is_not_asked() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    for (lacks, require, request, reason) in table() {
        let more = if require.is_empty() { String::new() } else { format!("    require: {{{require}}}\n") };
        let lacking = format!("{{use: up/lacking, {lacks}}}");
        let able = "{use: up/able, context: 1000000, images: true, tools: true, json-schema: true, region: EU, \
                    price: {input: 5, output: 20}}";
        // The one that lacks something would lead by the file's order and by its score.
        let bench = Bench::start(&document(&sim, "meaning: 1, load: 0, cost: 0", &[&lacking, able], &more)).await;
        let answer = bench.ask_with(Dialect::OpenAi, &request, "").await;
        assert_eq!(answer.header("x-tradewind-target"), Some("up/able"), "{lacks}: {}", answer.text());
        let record = bench.record(&answer).await;
        let refused = candidate(&record, "up/lacking");
        assert_eq!((&refused["eligible"], &refused["rank"]), (&json!(false), &json!(null)), "{lacks}: {record}");
        assert!(refused["reason"].as_str().unwrap().starts_with(reason), "{lacks}: {refused}");

        bench.reload(&document(&sim, "meaning: 1, load: 0, cost: 0", &[&lacking], &more));
        let before = sim.stats().requests;
        let refused = bench.ask_with(Dialect::OpenAi, &request, "").await;
        assert_eq!(refused.status, 400, "{lacks}: {}", refused.text());
        assert_eq!(error_code(&refused.json(), Dialect::OpenAi).as_deref(), Some("TW1014"), "{lacks}");
        assert!(refused.text().contains(reason), "{lacks}: {}", refused.text());
        assert_eq!(sim.stats().requests, before, "{lacks}: nobody is asked");
        assert_eq!(bench.record(&refused).await["outcome"], "rejected", "{lacks}");
    }
}

/// A request is read, and not looked through for words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_lacks_nothing_that_is_asked_for_is_asked() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let target = "{use: up/plain, context: 1000, images: false, tools: false, json-schema: false}";
    let bench = Bench::start(&document(&sim, "meaning: 1, load: 0, cost: 0", &[target], "")).await;
    for (more, status) in [
        (r#""tools":[ ],"functions":[]"#, 200),
        (r#""response_format":{"type":"text","x":"json_schema"}"#, 200),
        (r#""response_format":{"type":"json\u005fschema","json_schema":{"name":"s","schema":{}}}"#, 400),
        // Each answer is that long, and none with another.
        (r#""max_tokens":200,"n":8"#, 200),
        (r#""n":8"#, 200),
        // A page that was cited is no image.
        (
            r#""messages":[{"role":"user","content":[{"type":"text","text":"so?","annotations":[{"url":"https://a.example"}]}]}]"#,
            200,
        ),
        (
            r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example"}}]}]"#,
            400,
        ),
    ] {
        let hello = r#""messages":[{"role":"user","content":"hello"}],"#;
        let hello = if more.contains("messages") { "" } else { hello };
        let request = format!(r#"{{"model":"assistant",{hello}{more}}}"#);
        let answer = bench.send(&post("/v1/chat/completions", "", &request)).await;
        assert_eq!(answer.status, status, "{more}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_said_of_a_target_is_left_to_it() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let bench = Bench::start(&document(&sim, "meaning: 1, load: 0, cost: 0", &["{use: up/plain}"], "")).await;
    for (lacks, require, request, _) in table() {
        let answer = bench.ask_with(Dialect::OpenAi, &request, "").await;
        assert_eq!(answer.status, 200, "{lacks} {require}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_strategy_has_the_filters_and_every_dialect() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    for strategy in ["select", "fallback", "weighted", "least-latency", "score"] {
        let bench = Bench::start(&format!(
            "providers:\n  - {{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}\n\
             models:\n  - {{name: eu, strategy: {strategy}, require: {{region: [eu]}}, targets: [{{use: up/there, region: eu}}]}}\n  \
             - {{name: us, strategy: {strategy}, require: {{region: [eu]}}, targets: [{{use: up/here, region: us}}]}}\n",
            sim.base_url()
        ))
        .await;
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            assert_eq!(bench.ask(dialect, "eu", false).await.status, 200, "{strategy}");
            let refused = bench.ask_with(dialect, &question(dialect, "us", true), "").await;
            assert_eq!(refused.status, 400, "{strategy}: {}", refused.text());
            assert_eq!(error_code(&refused.json(), dialect).as_deref(), Some("TW1014"), "{strategy}");
        }
    }
}
