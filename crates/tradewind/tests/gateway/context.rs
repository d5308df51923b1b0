//! Routing by who calls, from end to end: which target a call of a key, with a signed header, or of some program gets to,
//! and that nobody gets further than the key lets them by saying so.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac::{self, HMAC_SHA256};
use serde_json::{Value, json};
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};

use crate::support::{Answer, Bench, error_code, post, question};

const SECRET: &str = "a-secret-for-signatures-of-32-bytes-or-more";

/// One model whose rules lead to another target for each kind of caller; `more` is the section `context`.
fn document(sim: &Sim, more: &str) -> String {
    format!(
        "providers: [{{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}]\n\
         models:\n  - name: assistant\n    strategy: fallback\n    targets: [{{use: up/usual}}]\n    route:\n      \
         - {{when: {{role: admin}}, use: up/strong}}\n      \
         - {{when: {{tenant: acme, region: [eu]}}, use: up/european}}\n      \
         - {{when: {{tags: [batch, night]}}, use: group}}\n      \
         - {{when: {{region: us, proven: true}}, use: up/american}}\n      \
         - {{when: {{region: us}}, use: up/said-american}}\n      \
         - {{when: {{device: mobile}}, use: up/small}}\n  \
         - {{name: group, targets: [{{use: up/cheap}}]}}\n\
         keys:\n  - {{name: plain, secret: secret-of-plain-0123456789}}\n  \
         - {{name: admin, secret: secret-of-admin-0123456789, role: admin}}\n  \
         - {{name: acme, secret: secret-of-acme-0123456789, tenant: acme, region: EU}}\n  \
         - {{name: batch, secret: secret-of-batch-0123456789, tags: [batch]}}\n  \
         - {{name: night, secret: secret-of-night-0123456789, tags: [night, batch]}}\n  \
         - {{name: phone, secret: secret-of-phone-0123456789, device: mobile}}\n  \
         - {{name: reader, secret: secret-of-reader-0123456789, allow: [control/read]}}\n{more}",
        sim.base_url()
    )
}

async fn sim() -> Sim {
    Sim::start(SimOptions::named("up")).await.unwrap()
}

async fn call(bench: &Bench, key: &str, headers: &str) -> Answer {
    let headers = format!("authorization: Bearer secret-of-{key}-0123456789\r\n{headers}");
    bench.ask_with(Dialect::OpenAi, &question(Dialect::OpenAi, "assistant", false), &headers).await
}

/// Which upstream model a call got to.
async fn reached(bench: &Bench, sim: &Sim, key: &str, headers: &str) -> String {
    let before = sim.stats().requests;
    let answer = call(bench, key, headers).await;
    assert_eq!(answer.status, 200, "{key} {headers}: {}", answer.text());
    assert_eq!(sim.stats().requests, before + 1);
    let model = sim.requests().last().unwrap().model.clone().unwrap();
    assert_eq!(answer.header("x-tradewind-target"), Some(format!("up/{model}").as_str()));
    model
}

/// A context header with its signature, made now.
#[expect(clippy::disallowed_methods, reason = "whoever signs has a clock of their own")]
fn signed(value: &str, secret: &str) -> String {
    let made = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    signed_at(value, secret, made)
}

fn signed_at(value: &str, secret: &str, made: u64) -> String {
    let key = hmac::Key::new(HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, format!("{made}.{value}").as_bytes());
    let digits: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x-tradewind-context: {value}\r\nx-tradewind-context-signature: t={made},v1={digits}\r\n")
}

fn is_refused(answer: &Answer) {
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(error_code(&answer.json(), Dialect::OpenAi).as_deref(), Some("TW1022"), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_key_says_of_its_callers_leads_to_a_target() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "")).await;
    for (key, model) in [
        ("plain", "usual"),
        ("admin", "strong"),
        ("acme", "european"),
        ("batch", "usual"), // the rule wants both tags
        ("night", "cheap"),
        ("phone", "small"),
    ] {
        assert_eq!(reached(&bench, &sim, key, "").await, model, "{key}");
    }
    let answer = call(&bench, "night", "").await;
    let record = bench.send(&get_as(&answer)).await;
    let choice = &record.json()["choice"];
    assert_eq!(choice["rule"]["number"], 2, "{}", record.text());
    assert_eq!(choice["rule"]["use"], "group", "{}", record.text());
    assert!(choice["context"].to_string().contains("night"), "{}", record.text());
}

/// The request for the record of `answer`.
fn get_as(answer: &Answer) -> Vec<u8> {
    let id = answer.decision().unwrap();
    let key = "authorization: Bearer secret-of-reader-0123456789\r\n";
    format!("GET /api/v1/decisions/{id} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{key}\r\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_agent_tells_the_device_when_nobody_else_does() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "")).await;
    let phone = "user-agent: Dalvik/2.1.0 (Linux; U; Android 14)\r\n";
    assert_eq!(reached(&bench, &sim, "plain", phone).await, "small");
    assert_eq!(reached(&bench, &sim, "plain", "user-agent: curl/8.5.0\r\n").await, "usual");
    // The key of a phone is that of a phone, whatever the program calls itself.
    assert_eq!(reached(&bench, &sim, "phone", "user-agent: curl/8.5.0\r\n").await, "small");
    assert_eq!(reached(&bench, &sim, "admin", phone).await, "strong", "the first rule that fits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_header_settles_what_the_key_leaves_open() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, &format!("context: {{signing-secret: {SECRET}}}\n"))).await;
    for (key, value, model) in [
        ("plain", "role=admin", "strong"),
        ("plain", "device=mobile", "small"),
        ("plain", "region=us", "american"),
        ("plain", "tags=batch,night", "cheap"),
        ("batch", "tags=night", "cheap"),
        ("plain", "role=admin;key=plain", "strong"),
        ("acme", "region=us", "european"), // the key's own word stands
    ] {
        assert_eq!(reached(&bench, &sim, key, &signed(value, SECRET)).await, model, "{key} {value}");
    }
    // Nothing of it goes to the provider.
    assert!(sim.requests().iter().all(|seen| seen.headers.iter().all(|(name, _)| !name.starts_with("x-tradewind-"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_raises_a_privilege_by_saying_so() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, &format!("context: {{signing-secret: {SECRET}}}\n"))).await;
    let right = signed("role=operator", SECRET);
    for headers in [
        "x-tradewind-context: role=admin\r\n".to_owned(),
        "x-tradewind-context: tags=batch,night\r\n".to_owned(),
        "x-tradewind-context: region=us\r\n".to_owned(), // hints are not believed here
        signed("role=admin", "another-secret-for-signatures-of-32-bytes"),
        right.replace("role=operator", "role=admin"),
        signed_at("role=admin", SECRET, 1_000_000_000),
        signed("role=admin;key=admin", SECRET), // made for the calls of another key
    ] {
        is_refused(&call(&bench, "plain", &headers).await);
    }
    // One that is signed and one that is not: nobody could tell which is meant.
    let answer = call(&bench, "plain", &format!("{right}x-tradewind-context: role=admin\r\n")).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(sim.stats().requests, 0, "none of these calls was answered another way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_changes_what_is_believed() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "")).await;
    let hint = "x-tradewind-context: region=us\r\n";
    is_refused(&call(&bench, "plain", hint).await);
    bench.reload(&document(&sim, "context: {trust-hints: true}\n"));
    // A hint is no proof: it does not get to the rule that asks for one.
    assert_eq!(reached(&bench, &sim, "plain", hint).await, "said-american");
    is_refused(&call(&bench, "plain", "x-tradewind-context: role=admin\r\n").await);
    is_refused(&call(&bench, "plain", &signed("role=admin", SECRET)).await);
    bench.reload(&document(&sim, &format!("context: {{signing-secret: {SECRET}}}\n")));
    assert_eq!(reached(&bench, &sim, "plain", &signed("role=admin", SECRET)).await, "strong");
    is_refused(&call(&bench, "plain", hint).await);
}

/// Where data may go is said by the model that was asked for; a rule of it leads to no other place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_leads_not_out_of_what_the_model_requires() {
    let sim = sim().await;
    let bench = Bench::start(&format!(
        "providers: [{{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}]\n\
         models:\n  \
         - {{name: home, require: {{region: [eu]}}, route: [{{use: abroad}}], targets: [{{use: up/european, region: eu}}]}}\n  \
         - {{name: abroad, targets: [{{use: up/american, region: us}}]}}\n",
        sim.base_url()
    ))
    .await;
    let abroad = bench.ask(Dialect::OpenAi, "abroad", false).await;
    assert_eq!((abroad.status, sim.stats().requests), (200, 1));
    let home = bench.ask(Dialect::OpenAi, "home", false).await;
    assert_eq!((home.status, sim.stats().requests), (400, 1), "{}", home.text());
    assert!(home.text().contains("its region is us, and has to be eu"), "{}", home.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_goes_by_the_headers_of_the_call_that_is_asked_about() {
    let sim = sim().await;
    let more = format!("context: {{signing-secret: {SECRET}, trust-hints: true}}\n");
    let bench = Bench::start(&document(&sim, &more)).await;
    let asked = async |key: &str, own: &str, headers: &str| {
        let headers: serde_json::Map<String, Value> = headers
            .split("\r\n")
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let request = question(Dialect::OpenAi, "assistant", false);
        let body = json!({"dialect": "openai", "request": request, "headers": headers}).to_string();
        let own = format!("authorization: Bearer secret-of-{key}-0123456789\r\n{own}");
        bench.send(&post("/api/v1/decide", &own, &body)).await
    };
    let phone = "user-agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile\r\n";
    for (key, headers, target) in [
        ("plain", String::new(), "up/usual"),
        ("admin", String::new(), "up/strong"),
        ("plain", signed("role=admin", SECRET), "up/strong"),
        ("plain", signed("region=us", SECRET), "up/american"),
        ("plain", "x-tradewind-context: region=us\r\n".to_owned(), "up/said-american"),
        ("plain", phone.to_owned(), "up/small"),
    ] {
        let decided = asked(key, "", &headers).await;
        assert_eq!(decided.status, 200, "{}", decided.text());
        assert_eq!(decided.json()["chosen"], target, "{key} {headers}");
        assert_eq!(call(&bench, key, &headers).await.header("x-tradewind-target"), Some(target), "as the call itself");
    }
    // Where the question about it comes from is another matter.
    assert_eq!(asked("plain", phone, "").await.json()["chosen"], "up/usual");
    assert_eq!(asked("plain", &signed("role=admin", SECRET), "").await.json()["chosen"], "up/usual");
    // What would be refused of a call is refused here.
    let refused = asked("plain", "", &signed("role=admin", "another-secret-of-32-bytes-or-more-0")).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (403, &json!("TW1022")), "{}", refused.text());
}
