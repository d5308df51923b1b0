//! Kept answers, through the gateway: what is given again and to whom, what is never kept, and that of many callers who ask
//! the same at once one asks.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_sim::{Finish, Injection, ScriptedAnswer, ScriptedCall, Sim, SimFault, SimOptions};

use crate::support::{Answer, Bench, End, LIMITS, SOON, error_code, eventually, now, post, question, send};

const PRICE: &str = "price: {input: 10, output: 20}";

async fn sim() -> Sim {
    Sim::start(SimOptions::named("up")).await.unwrap()
}

/// A model that keeps answers by `cache`, and what else belongs to it.
fn document(sim: &Sim, cache: &str, more: &str) -> String {
    format!(
        "providers: [{{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}]\n\
         limits: {LIMITS}\n\
         models:\n  - {{name: assistant, cache: {cache}, retry: {{attempts: 1}}, {more}targets: [{{use: up/small, {PRICE}}}]}}\n  \
         - {{name: led, route: [{{when: {{key: [a, b, c, d]}}, use: assistant}}], targets: [{{use: up/large}}]}}\n",
        sim.base_url()
    )
}

/// Four keys: two of one tenant, one of another, one with limits.
fn keys() -> &'static str {
    "keys:\n  - {name: a, secret: secret-of-a-0123456789, tenant: one}\n  \
     - {name: b, secret: secret-of-b-0123456789, tenant: one}\n  \
     - {name: c, secret: secret-of-c-0123456789, tenant: two}\n  \
     - {name: d, secret: secret-of-d-0123456789, tenant: one, allow: [models/led, control/read], rpm: 2}\n"
}

fn bearer(key: &str) -> String {
    format!("authorization: Bearer secret-of-{key}-0123456789\r\n")
}

async fn chat(bench: &Bench, stream: bool, headers: &str) -> Answer {
    bench.ask_with(Dialect::OpenAi, &question(Dialect::OpenAi, "assistant", stream), headers).await
}

/// How a kept answer was found. Its age, in seconds, is that of a machine that may be busy.
fn cached(answer: &Answer) -> Option<&str> {
    assert_eq!((answer.status, answer.end), (200, End::Whole), "{}", answer.text());
    let said = answer.header("x-tradewind-cache")?;
    let (how, age) = said.split_once("; age=").unwrap_or_else(|| panic!("{said}"));
    let age = age.split(';').next().and_then(|age| age.parse::<u64>().ok());
    assert!(age.is_some_and(|age| age < 20), "{said}");
    Some(how)
}

fn asked(sim: &Sim) -> u64 {
    sim.stats().requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_question_is_asked_once() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "{exact: {}}", "")).await;
    let plain = json!({"model": "assistant", "messages": [{"role": "user", "content": "hello"}]});
    // The same in other words: the order of fields, and what does not change the answer.
    let other = json!({"user": "me", "messages": [{"content": "hello", "role": "user"}], "model": "assistant", "n": 1});
    for (path, first, second) in [
        ("/v1/chat/completions", &plain, &other),
        (
            "/v1/messages",
            &json!({"model": "assistant", "max_tokens": 100, "messages": plain["messages"]}),
            &Value::Null,
        ),
        ("/v1/responses", &json!({"model": "assistant", "input": "hello"}), &Value::Null),
        ("/v1/completions", &json!({"model": "assistant", "prompt": "hello"}), &Value::Null),
        ("/v1/embeddings", &json!({"model": "assistant", "input": "hello"}), &Value::Null),
    ] {
        let before = asked(&sim);
        let made = bench.send(&post(path, "", &first.to_string())).await;
        assert_eq!(cached(&made), None, "{path}");
        let second = if second.is_null() { first } else { second };
        let again = bench.send(&post(path, "", &second.to_string())).await;
        assert_eq!(cached(&again), Some("exact"), "{path}");
        assert_eq!(again.body, made.body, "{path}");
        assert_eq!(again.header("content-type"), made.header("content-type"), "{path}");
        assert_eq!(again.header("x-tradewind-target"), Some("up/small"), "{path}");
        assert_ne!(again.decision(), made.decision(), "{path}");
        assert_eq!(asked(&sim), before + 1, "{path}");

        let record = bench.record(&again).await;
        assert_eq!(record["choice"]["cache"]["kind"], "exact", "{record}");
        assert_eq!(record["choice"]["cache"]["decision"].as_str(), made.decision(), "{record}");
        assert_eq!((&record["outcome"], &record["chosen"]), (&json!("ok"), &json!("up/small")), "{record}");
        assert_eq!(record["attempts"].as_array().map(Vec::len), Some(0), "{record}");
        assert_eq!((&record["usage"]["input"], &record["usage"]["output"]), (&json!(0), &json!(0)), "{record}");
        assert_eq!(record["cost_usd"].as_f64(), Some(0.0), "{record}");
        assert!(bench.record(&made).await["choice"]["cache"].is_null());
    }
    // Another question, another parameter, another header for the provider.
    let before = asked(&sim);
    for (headers, field) in [("", "temperature"), ("", "seed"), ("openai-beta: new\r\n", "user")] {
        let mut body = plain.clone();
        body[field] = json!(1);
        let answer = bench.send(&post("/v1/chat/completions", headers, &body.to_string())).await;
        assert_eq!(cached(&answer), None, "{headers}{field}");
    }
    assert_eq!(asked(&sim), before + 3);
    bench.is_back_at_baseline(&[&sim]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_at_once_one_asks() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "{exact: {}}", "")).await;
    sim.set_fault("slow-headers:400ms".parse::<Injection>().unwrap()).unwrap();
    for stream in [false, true] {
        let before = asked(&sim);
        let mut callers = JoinSet::new();
        for _ in 0..50 {
            let request = post("/v1/chat/completions", "", &question(Dialect::OpenAi, "assistant", stream).to_string());
            let address = bench.address;
            callers.spawn(async move { send(address, &request).await });
        }
        let answers = callers.join_all().await;
        assert_eq!(asked(&sim), before + 1, "stream: {stream}");
        assert_eq!(answers.iter().filter(|answer| cached(answer).is_none()).count(), 1, "stream: {stream}");
        assert!(answers.iter().all(|answer| answer.body == answers[0].body), "stream: {stream}");
    }
    bench.is_back_at_baseline(&[&sim]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_given_again_byte_for_byte_and_to_nobody_who_asks_for_a_whole() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "{exact: {}}", "")).await;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let before = asked(&sim);
        let made = bench.ask(dialect, "assistant", true).await;
        let again = bench.ask(dialect, "assistant", true).await;
        assert_eq!((cached(&made), cached(&again)), (None, Some("exact")), "{dialect}");
        assert_eq!(again.body, made.body, "{dialect}");
        assert!(!made.said(dialect).is_empty() && again.header("content-type") == made.header("content-type"));
        assert_eq!(asked(&sim), before + 1, "{dialect}");
        assert_eq!(cached(&bench.ask(dialect, "assistant", false).await), None, "{dialect}");
        assert_eq!(asked(&sim), before + 2, "{dialect}");
    }
    // One that does not want the counts gets a stream without them.
    let mut body = question(Dialect::OpenAi, "assistant", true);
    body.as_object_mut().unwrap().remove("stream_options");
    let without = bench.ask_with(Dialect::OpenAi, &body, "").await;
    assert_eq!(cached(&without), None);
    assert!(!without.text().contains("prompt_tokens"), "{}", without.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_and_pieces_of_answers_are_not_kept() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "{exact: {}}", "")).await;
    let faults = [
        (SimFault::Error500, false),
        (SimFault::Error400, false),
        (SimFault::TruncatedJson, false),
        (SimFault::MidStreamCut, true),
        (SimFault::NoTerminal, true),
        (SimFault::ErrorEventLater, true),
    ];
    for (number, (fault, stream)) in faults.into_iter().enumerate() {
        sim.set_fault(fault).unwrap();
        let bad = chat(&bench, stream, "").await;
        assert_eq!(bad.header("x-tradewind-cache"), None, "{fault:?}");
        sim.clear_fault();
        let before = asked(&sim);
        // The breaker may want a moment after a fault.
        eventually("it answers", SOON, async || {
            chat(&bench, stream, "cache-control: no-store\r\n").await.status == 200
        })
        .await;
        let good = chat(&bench, stream, "").await;
        assert_eq!(cached(&good), None, "{fault:?}");
        assert!(asked(&sim) > before + 1, "{fault:?}");
        assert_eq!(cached(&chat(&bench, stream, "").await), Some("exact"), "{fault:?}");
        // The next fault finds nothing kept.
        bench.reload(&document(&sim, "{exact: {}}", &format!("timeouts: {{idle: {}s}}, ", 20 + number)));
    }
    sim.script("small", ScriptedAnswer { finish: Finish::Length, ..ScriptedAnswer::text("cut short") }).unwrap();
    for stream in [false, true, false, true] {
        assert_eq!(cached(&chat(&bench, stream, "").await), None, "a cut answer was kept");
    }
    bench.is_back_at_baseline(&[&sim]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_stay_with_their_key_or_tenant() {
    let sim = sim().await;
    let with_keys = |cache: &str| format!("{}{}", document(&sim, cache, ""), keys());
    let bench = Bench::start(&with_keys("{exact: {}}")).await;
    for key in ["a", "b", "c"] {
        assert_eq!(cached(&chat(&bench, false, &bearer(key)).await), None, "{key}");
    }
    assert_eq!(cached(&chat(&bench, false, &bearer("b")).await), Some("exact"));

    bench.reload(&with_keys("{exact: {}, scope: tenant}"));
    assert_eq!(cached(&chat(&bench, false, &bearer("a")).await), None);
    assert_eq!(cached(&chat(&bench, false, &bearer("b")).await), Some("exact"));
    assert_eq!(cached(&chat(&bench, false, &bearer("c")).await), None, "another tenant");
    // The ids in responses are one key's own.
    let ask = json!({"model": "assistant", "input": "hello"}).to_string();
    let mut answers = Vec::new();
    for key in ["a", "b", "b"] {
        answers.push(bench.send(&post("/v1/responses", &bearer(key), &ask)).await);
    }
    let found: Vec<Option<&str>> = answers.iter().map(cached).collect();
    assert_eq!(found, [None, None, Some("exact")]);
    // Whoever may not use the model does not get its answers either; by a rule that leads there, a call is another one.
    let refused = chat(&bench, false, &bearer("d")).await;
    assert_eq!((refused.status, error_code(&refused.json(), Dialect::OpenAi).as_deref()), (403, Some("TW1017")));
    let led = question(Dialect::OpenAi, "led", false);
    let first = bench.ask_with(Dialect::OpenAi, &led, &bearer("a")).await;
    assert_eq!((cached(&first), first.header("x-tradewind-target")), (None, Some("up/small")));
    assert_eq!(cached(&bench.ask_with(Dialect::OpenAi, &led, &bearer("b")).await), Some("exact"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_can_keep_out_of_it_and_answers_grow_old() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "{exact: {ttl: 5s}}", "")).await;
    let said = async |wish: &str| {
        let answer = chat(&bench, false, &format!("cache-control: {wish}\r\n")).await;
        cached(&answer).map(str::to_owned)
    };
    assert_eq!(said("no-store").await, None);
    assert_eq!(said("max-age=60").await, None, "what no-store asked for was kept");
    assert_eq!(said("max-age=60").await.as_deref(), Some("exact"));
    assert_eq!(said("no-store").await, None);
    assert_eq!(said("no-cache").await, None);
    assert_eq!(said("max-age=0").await, None);
    assert_eq!(asked(&sim), 5);
    // An answer is given for as long as its time lasts, and then asked for again.
    let began = now();
    eventually("it is asked again", SOON, async || said("").await.is_none()).await;
    assert!(began.elapsed() > Duration::from_secs(1), "it was kept for {:?}", began.elapsed());
    assert_eq!(asked(&sim), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_answer_costs_nothing_and_is_seen_in_usage_and_metrics() {
    let sim = sim().await;
    let keys = "keys:\n  - {name: poor, secret: secret-of-poor-0123456789, budget: {usd: 5, per: day}, \
                allow: [models/assistant, control/read]}\n";
    let bench = Bench::start(&format!("{}{keys}", document(&sim, "{exact: {}}", "budget: {usd: 9, per: day}, "))).await;
    let key = bearer("poor");
    let fetch = async |path: &str| bench.get_with(path, &key).await;
    let made = chat(&bench, false, &key).await;
    let budgets = fetch("/api/v1/keys").await.json();
    for _ in 0..3 {
        assert_eq!(cached(&chat(&bench, false, &key).await), Some("exact"));
    }
    let after = fetch("/api/v1/keys").await.json();
    let spent = |keys: &Value| [&keys["keys"][0], &keys["models"][0]].map(|one| one["spent"].as_f64().unwrap());
    assert_eq!(spent(&after), spent(&budgets));
    assert!(spent(&after).iter().all(|spent| *spent > 0.0), "{after}");
    assert_eq!((&after["keys"][0]["reserved"], &after["models"][0]["reserved"]), (&json!(0.0), &json!(0.0)));
    let record = fetch(&format!("/api/v1/decisions/{}", made.decision().unwrap())).await.json();
    assert!(record["usage"]["input"].as_u64().unwrap() > 0, "{record}");

    let spend = fetch("/api/v1/spend?by=target").await.json();
    let rows = spend["rows"].as_array().unwrap_or_else(|| panic!("{spend}"));
    let row = |target: &str| rows.iter().find(|row| row["target"] == target).unwrap_or_else(|| panic!("{spend}"));
    assert_eq!((&row("cache")["calls"], &row("up/small")["calls"]), (&json!(3), &json!(1)));
    assert_eq!(row("cache")["usd"].to_string().trim_matches('"').parse::<f64>(), Ok(0.0), "{spend}");

    let metrics = fetch("/metrics").await.text();
    for line in [
        "tradewind_cache_exact_hits_total{model=\"assistant\"} 3",
        "tradewind_cache_exact_misses_total{model=\"assistant\"} 1",
        "tradewind_cache_entries{model=\"assistant\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_answer_counts_as_a_call_of_its_key() {
    let sim = sim().await;
    let bench = Bench::start(&format!("{}{}", document(&sim, "{exact: {}}", ""), keys())).await;
    let led = question(Dialect::OpenAi, "led", false);
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(bench.ask_with(Dialect::OpenAi, &led, &bearer("d")).await);
    }
    assert_eq!((cached(&answers[0]), cached(&answers[1])), (None, Some("exact")));
    assert_eq!(answers[2].status, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_not_held_up_by_who_asks() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "{exact: {}}", "")).await;
    sim.set_fault("slow-headers:12s".parse::<Injection>().unwrap()).unwrap();
    let request = post("/v1/chat/completions", "", &question(Dialect::OpenAi, "assistant", false).to_string());
    let mut leader = TcpStream::connect(bench.address).await.unwrap();
    leader.write_all(&request).await.unwrap();
    assert!(sim.wait_until(SOON, |stats| stats.in_flight == 1).await);
    // One whose time is over is told so.
    let late = chat(&bench, false, "x-tradewind-timeout: 200ms\r\n").await;
    assert_eq!(late.status, 504, "{}", late.text());
    assert!(late.text().contains("asking the same"), "{}", late.text());
    assert!(late.took < Duration::from_secs(10), "{:?}", late.took);
    assert_eq!(asked(&sim), 1);
    // When the one who asks goes away, the next one asks.
    let address = bench.address;
    let mut follower = JoinSet::new();
    follower.spawn(async move { send(address, &request).await });
    let models = bench.gateway.models();
    let waits = || models.answers_kept().iter().any(|kept| kept.exact.waiting == 1);
    eventually("it waits", SOON, async || waits()).await;
    sim.clear_fault();
    drop(leader);
    assert_eq!(cached(&follower.join_next().await.unwrap().unwrap()), None);
    assert_eq!(asked(&sim), 2);
    assert_eq!(cached(&chat(&bench, false, "").await), Some("exact"));
    bench.is_back_at_baseline(&[&sim]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_keeps_answers_unless_the_model_changes() {
    let sim = sim().await;
    let yaml = document(&sim, "{exact: {}}", "");
    let bench = Bench::start(&yaml).await;
    assert_eq!(cached(&chat(&bench, false, "").await), None);
    bench.reload(&format!("# the same\n{yaml}"));
    assert_eq!(cached(&chat(&bench, false, "").await), Some("exact"));
    bench.reload(&yaml.replace("up/small", "up/other"));
    let answer = chat(&bench, false, "").await;
    assert_eq!((cached(&answer), answer.header("x-tradewind-target")), (None, Some("up/other")));
}

/// Somebody might not answer any more, or not pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_changes_who_may_answer_or_what_passes_forgets() {
    let sim = sim().await;
    let yaml = document(&sim, "{exact: {}}", "");
    let bench = Bench::start(&yaml).await;
    for (from, to) in [
        ("{name: led, ", "{name: led, quality: {empty: true}, "),
        ("{name: led, ", "{name: led, require: {price-at-most: {input: 50}}, "),
        ("models:", "models:\n  - {name: third, targets: [{use: up/small, region: us}]}"),
        ("api-key: k", "api-key: k, headers: {x-site: two}"),
        ("api-key: k", "api-key: k, query: {site: two}"),
    ] {
        bench.reload(&yaml);
        chat(&bench, false, "").await;
        assert_eq!(cached(&chat(&bench, false, "").await), Some("exact"), "{to}");
        bench.reload(&yaml.replacen(from, to, 1));
        assert_eq!(cached(&chat(&bench, false, "").await), None, "{to}");
    }
    // What has nothing to do with it changes nothing.
    bench.reload(&yaml);
    chat(&bench, false, "").await;
    bench.reload(&yaml.replacen(
        "models:",
        "models:\n  - {name: third, targets: [{use: up/large}], quality: {empty: true}}",
        1,
    ));
    assert_eq!(cached(&chat(&bench, false, "").await), Some("exact"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_reaches_the_provider_makes_another_call() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "{exact: {}}", "")).await;
    for (headers, found) in [
        ("x-user-id: alice\r\n", None),
        ("x-user-id: bob\r\n", None),
        ("", None),
        ("x-user-id: alice\r\nuser-agent: other/2\r\nx-request-id: 7\r\n", Some("exact")),
        // These stay here.
        ("x-user-id: bob\r\ncookie: a=b\r\nx-forwarded-for: 10.0.0.1\r\n", Some("exact")),
    ] {
        assert_eq!(cached(&chat(&bench, false, headers).await), found, "{headers}");
    }
}

/// An answer of the responses API repeats what was asked, also where the gateway writes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_given_what_another_call_said_of_itself() {
    let sim = sim().await;
    let yaml = document(&sim, "{exact: {}}", "").replacen("openai", "anthropic", 1).replacen("/v1\"", "\"", 1);
    let bench = Bench::start(&yaml).await;
    for field in ["user", "safety_identifier", "prompt_cache_key", "metadata"] {
        let of = |who: &str| if field == "metadata" { json!({"who": who}) } else { json!(who) };
        let ask = async |who: &str| {
            let body = json!({"model": "assistant", "input": format!("about {field}"), field: of(who)});
            bench.send(&post("/v1/responses", "", &body.to_string())).await
        };
        for (who, found) in [("alice", None), ("bob", None), ("alice", Some("exact"))] {
            let answer = ask(who).await;
            assert_eq!(cached(&answer), found, "{field} {who}");
            assert_eq!(answer.json()[field], of(who), "{}", answer.text());
        }
    }
}

/// It says nothing about the message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_names_a_message_that_the_provider_keeps_is_never_looked_up() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "{exact: {}}", "")).await;
    for item in [r#"{"id":"msg_a"}"#, r#"{"type":"item\u005freference","id":"msg_a"}"#, r#"{"type":null,"id":"msg_a"}"#]
    {
        let body = format!(r#"{{"model":"assistant","input":[{item}]}}"#);
        for _ in 0..2 {
            let answer = bench.send(&post("/v1/responses", "", &body)).await;
            assert_eq!(cached(&answer), None, "{item}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_means_the_same_is_answered_where_the_model_opts_in() {
    let sim = sim().await;
    let cache = "{exact: {}, meaning: {threshold: 0.8}, scope: tenant}";
    let bench = Bench::start(&format!("{}{}", document(&sim, cache, ""), keys())).await;
    let ask = async |text: &str, key: &str, more: Value| {
        let mut body = json!({"model": "assistant", "messages": [{"role": "user", "content": text}]});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let answer = bench.ask_with(Dialect::OpenAi, &body, &bearer(key)).await;
        (cached(&answer).map(str::to_owned), answer)
    };
    let nothing = || json!({});
    let text = "Which way does the wind blow over the harbour of Lisbon at 5 today?";
    let paraphrase = "Which way is the wind blowing over the harbour of Lisbon at 5 today?";
    let (found, made) = ask(text, "a", nothing()).await;
    assert_eq!(found, None);
    let (found, again) = ask(paraphrase, "b", nothing()).await;
    assert_eq!(found.as_deref(), Some("meaning"), "a paraphrase was asked again");
    let said = again.header("x-tradewind-cache").unwrap();
    assert!(said.contains("; similarity=0."), "{said}");
    assert_eq!(again.body, made.body);
    let record = bench.get_with(&format!("/api/v1/decisions/{}", again.decision().unwrap()), &bearer("b")).await.json();
    assert_eq!(record["choice"]["cache"]["kind"], "meaning", "{record}");
    assert!(record["choice"]["cache"]["similarity"].as_f64().unwrap() >= 0.8, "{record}");
    // What differs in a detail, in what was said before, or in who asks, is another question.
    for (text, key, more) in [
        ("Which way is the wind blowing over the harbour of Lisbon at 6 today?", "a", nothing()),
        ("Which way is the wind not blowing over the harbour of Lisbon at 5 today?", "a", nothing()),
        ("Which way is the wind blowing over the harbour of Porto at 5 today?", "a", nothing()),
        (paraphrase, "c", nothing()),
        (paraphrase, "a", json!({"temperature": 1})),
    ] {
        assert_eq!(ask(text, key, more).await.0, None, "{text} {key}");
    }
    // A call of a tool is not given for a question that is merely alike, whatever the provider calls its end.
    let call = ScriptedCall { id: "c".to_owned(), name: "wind".to_owned(), arguments: "{}".to_owned() };
    let scripted = ScriptedAnswer { tool_calls: vec![call], finish: Finish::Stop, ..ScriptedAnswer::default() };
    sim.script("small", scripted).unwrap();
    let tools =
        || json!({"tools": [{"type": "function", "function": {"name": "wind", "parameters": {"type": "object"}}}]});
    assert_eq!(ask(text, "a", tools()).await.0, None);
    assert_eq!(ask(paraphrase, "a", tools()).await.0, None);
    assert_eq!(ask(text, "a", tools()).await.0.as_deref(), Some("exact"));

    let metrics = bench.get_with("/metrics", &bearer("d")).await.text();
    assert!(metrics.contains("tradewind_cache_meaning_hits_total{model=\"assistant\"} 1"), "{metrics}");
}
