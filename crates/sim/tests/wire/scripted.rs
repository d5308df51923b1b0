//! Scripted answers in each wire, what was received, what was charged, and what a strict sim refuses.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tradewind_sim::{Charges, Ending, Finish, ScriptedAnswer, ScriptedCall, ScriptedUsage, Sim, SimOptions, Thinking};

use crate::client::*;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

fn call(id: &str, arguments: &str) -> ScriptedCall {
    ScriptedCall { id: id.to_owned(), name: "weather".to_owned(), arguments: arguments.to_owned() }
}

/// Something of everything.
fn answer() -> ScriptedAnswer {
    ScriptedAnswer {
        chunks: Some(vec!["Wind ".to_owned(), "灯台".to_owned(), " 🚢".to_owned()]),
        thinking: Some(Thinking { text: "where is it?".to_owned(), signature: "c2ln".to_owned() }),
        tool_calls: vec![call("id_1", r#"{"city":"Ærø"}"#), call("id_2", r#"{"city":"Lima"}"#)],
        finish: Finish::ToolCalls,
        usage: ScriptedUsage { input: 100, output: 40, cached: 60, cache_creation: 10, reasoning: 12 },
        ..ScriptedAnswer::default()
    }
}

fn asked(path: &str, stream: bool) -> Value {
    let mut body = json!({"model": "m", "stream": stream});
    match path {
        RESPONSES => body["input"] = json!("hello"),
        _ => body["messages"] = json!([{"role": "user", "content": "hello"}]),
    }
    match path {
        MESSAGES => body["max_tokens"] = json!(100),
        CHAT if stream => body["stream_options"] = json!({"include_usage": true}),
        _ => {}
    }
    body
}

async fn post(sim: &Sim, path: &str, body: &Value) -> Raw {
    send(sim, &request(path, "anthropic-version: 2023-06-01\r\n", &body.to_string())).await
}

async fn administer(sim: &Sim, method: &str, path: &str, body: &str) -> Raw {
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    send(sim, format!("{head}{body}").as_bytes()).await
}

/// The events of a stream that are JSON.
fn parsed(raw: &Raw) -> Vec<Value> {
    raw.events().iter().filter_map(|event| serde_json::from_str(event).ok()).collect()
}

fn joined(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

async fn scripted(answer: ScriptedAnswer) -> Sim {
    let sim = Sim::start(SimOptions { strict: true, ..SimOptions::named("alpha") }).await.unwrap();
    sim.script("m", answer).unwrap();
    sim
}

#[tokio::test]
async fn chat_completions() {
    let sim = scripted(answer()).await;
    let whole = post(&sim, CHAT, &asked(CHAT, false)).await.json();
    let message = &whole["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("Wind 灯台 🚢"), &json!("where is it?")));
    assert_eq!(message["tool_calls"][1]["id"], "id_2");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"city":"Ærø"}"#);
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 12}});
    assert_eq!(whole["usage"], usage);

    let events = parsed(&post(&sim, CHAT, &asked(CHAT, true)).await);
    assert_eq!(joined(&events, "/choices/0/delta/content"), "Wind 灯台 🚢");
    assert_eq!(joined(&events, "/choices/0/delta/reasoning_content"), "where is it?");
    let pieces = joined(&events, "/choices/0/delta/tool_calls/0/function/arguments");
    assert_eq!(pieces, r#"{"city":"Ærø"}{"city":"Lima"}"#);
    assert_eq!(events.last().unwrap()["usage"], usage);
    assert_eq!(events.last().unwrap()["choices"], json!([]));
}

#[tokio::test]
async fn usage_of_a_chat_stream_comes_only_when_it_was_asked_for() {
    let sim = scripted(answer()).await;
    let mut body = asked(CHAT, true);
    body.as_object_mut().unwrap().remove("stream_options");
    assert!(parsed(&post(&sim, CHAT, &body).await).iter().all(|event| event["usage"].is_null()));
}

#[tokio::test]
async fn pieces_of_parallel_calls_come_by_turns_when_asked_for() {
    let sim = scripted(ScriptedAnswer { interleave: true, piece: 4, ..answer() }).await;
    let events = parsed(&post(&sim, CHAT, &asked(CHAT, true)).await);
    let call = |event: &Value| event.pointer("/choices/0/delta/tool_calls/0").cloned();
    let order: Vec<u64> = events.iter().filter_map(|event| call(event)?["index"].as_u64()).collect();
    assert_eq!(order[..6], [0, 1, 0, 1, 0, 1], "{order:?}");
    for (index, arguments) in [(0, r#"{"city":"Ærø"}"#), (1, r#"{"city":"Lima"}"#)] {
        let of = |event: &Value| call(event).filter(|call| call["index"] == index);
        let pieces: Vec<Value> = events.iter().filter_map(of).collect();
        assert_eq!(joined(&pieces, "/function/arguments"), arguments);
        assert_eq!(pieces.iter().filter(|piece| piece["id"].is_string()).count(), 1);
    }
}

#[tokio::test]
async fn messages() {
    let sim = scripted(answer()).await;
    let whole = post(&sim, MESSAGES, &asked(MESSAGES, false)).await.json();
    let content = json!([{"type": "thinking", "thinking": "where is it?", "signature": "c2ln"},
        {"type": "text", "text": "Wind 灯台 🚢"},
        {"type": "tool_use", "id": "id_1", "name": "weather", "input": {"city": "Ærø"}},
        {"type": "tool_use", "id": "id_2", "name": "weather", "input": {"city": "Lima"}}]);
    assert_eq!(whole["content"], content);
    assert_eq!(whole["stop_reason"], "tool_use");
    let usage = json!({"input_tokens": 30, "output_tokens": 40, "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 10, "output_tokens_details": {"thinking_tokens": 12}});
    assert_eq!(whole["usage"], usage);

    let events = parsed(&post(&sim, MESSAGES, &asked(MESSAGES, true)).await);
    assert_eq!(joined(&events, "/delta/text"), "Wind 灯台 🚢");
    assert_eq!(joined(&events, "/delta/thinking"), "where is it?");
    assert_eq!(joined(&events, "/delta/signature"), "c2ln");
    assert_eq!(joined(&events, "/delta/partial_json"), r#"{"city":"Ærø"}{"city":"Lima"}"#);
    let blocks: Vec<&Value> = events.iter().filter(|event| event["type"] == "content_block_start").collect();
    assert_eq!(blocks.iter().map(|event| event["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let delta = events.iter().find(|event| event["type"] == "message_delta").unwrap();
    assert_eq!(delta["usage"], usage);

    let mut count = asked(MESSAGES, false);
    count.as_object_mut().unwrap().remove("max_tokens");
    let counted = post(&sim, "/v1/messages/count_tokens", &count).await.json();
    assert_eq!(counted, json!({"input_tokens": 100}));
}

#[tokio::test]
async fn responses() {
    let sim = scripted(answer()).await;
    let whole = post(&sim, RESPONSES, &asked(RESPONSES, false)).await.json();
    let kinds: Vec<&str> =
        whole["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call", "function_call"]);
    assert_eq!(whole["output"][1]["content"][0]["text"], "Wind 灯台 🚢");
    assert_eq!((&whole["output"][2]["call_id"], &whole["status"]), (&json!("id_1"), &json!("completed")));

    let raw = post(&sim, RESPONSES, &asked(RESPONSES, true)).await;
    assert!(!raw.body_so_far().contains("[DONE]"));
    let events = parsed(&raw);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let names: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(names[..3], ["response.created", "response.in_progress", "response.output_item.added"]);
    let mut last = events.last().unwrap()["response"].clone();
    assert_eq!(*names.last().unwrap(), "response.completed");
    assert_eq!(joined(&events[..events.len() - 1], "/delta").matches("Wind 灯台 🚢").count(), 1);
    let done: Value = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["item"].clone())
        .collect();
    assert_eq!(done, whole["output"]);
    // The stream differs in nothing but what the request said of streaming.
    last["id"] = whole["id"].clone();
    assert_eq!(last, whole);
}

#[tokio::test]
async fn ends_of_answers_in_each_wire() {
    let refusal = ScriptedAnswer {
        refusal: Some("I will not.".to_owned()),
        finish: Finish::Refusal,
        ..ScriptedAnswer::default()
    };
    let silent = ScriptedAnswer { finish: Finish::Refusal, ..ScriptedAnswer::default() };
    let ended = |finish| ScriptedAnswer { finish, ..ScriptedAnswer::text("so far") };
    let stopped = ended(Finish::StopSequence("END".to_owned()));
    let cases = [
        (refusal, json!(["stop", null, "I will not."]), json!(["refusal", null]), "completed"),
        (silent, json!(["content_filter", null, null]), json!(["refusal", null]), "incomplete"),
        (stopped, json!(["stop", "END", null]), json!(["stop_sequence", "END"]), "completed"),
        (ended(Finish::Length), json!(["length", null, null]), json!(["max_tokens", null]), "incomplete"),
        (ended(Finish::Stop), json!(["stop", null, null]), json!(["end_turn", null]), "completed"),
    ];
    for (answer, chat, messages, status) in cases {
        let sim = scripted(answer.clone()).await;
        let choice = post(&sim, CHAT, &asked(CHAT, false)).await.json()["choices"][0].clone();
        let said = json!([choice["finish_reason"], choice["stop_reason"], choice["message"]["refusal"]]);
        assert_eq!(said, chat, "{answer:?}");
        let whole = post(&sim, MESSAGES, &asked(MESSAGES, false)).await.json();
        assert_eq!(json!([whole["stop_reason"], whole["stop_sequence"]]), messages, "{answer:?}");
        assert_eq!(post(&sim, RESPONSES, &asked(RESPONSES, false)).await.json()["status"], status, "{answer:?}");
        let streamed = parsed(&post(&sim, CHAT, &asked(CHAT, true)).await);
        assert_eq!(joined(&streamed, "/choices/0/finish_reason"), chat[0].as_str().unwrap(), "{answer:?}");
        assert_eq!(joined(&streamed, "/choices/0/delta/refusal"), chat[2].as_str().unwrap_or_default(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_previous_response_has_to_be_one_that_was_given_out() {
    let sim = scripted(ScriptedAnswer::text("a")).await;
    let with = |previous: &str| json!({"model": "m", "input": "and then?", "previous_response_id": previous});
    let first = post(&sim, RESPONSES, &asked(RESPONSES, false)).await.json();
    let known = post(&sim, RESPONSES, &with(first["id"].as_str().unwrap())).await;
    assert_eq!((known.status(), &known.json()["previous_response_id"]), (200, &first["id"]));
    let unknown = post(&sim, RESPONSES, &with("resp-alpha-0")).await;
    assert_eq!(unknown.status(), 400);
    assert!(unknown.json()["error"]["message"].as_str().unwrap().contains("resp-alpha-0"));
    let mut unkept = asked(RESPONSES, false);
    unkept["store"] = json!(false);
    unkept["input"] = json!("something else");
    let unkept = post(&sim, RESPONSES, &unkept).await.json();
    assert_eq!(post(&sim, RESPONSES, &with(unkept["id"].as_str().unwrap())).await.status(), 400);
}

#[tokio::test]
async fn a_sim_without_responses_has_no_such_path() {
    let sim = Sim::start(SimOptions { responses: false, ..SimOptions::default() }).await.unwrap();
    assert_eq!(post(&sim, RESPONSES, &asked(RESPONSES, false)).await.status(), 404);
    assert_eq!(post(&sim, CHAT, &asked(CHAT, false)).await.status(), 200);
}

#[tokio::test]
async fn answers_are_registered_and_requests_read_over_http() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let put = administer(&sim, "PUT", "/sim/answers/m", r#"{"text": "as told", "usage": {"input": 5}}"#).await;
    assert_eq!(put.status(), 200);
    assert_eq!(administer(&sim, "PUT", "/sim/answers/m", r#"{"txt": "wrong"}"#).await.status(), 400);
    let body = asked(CHAT, false);
    let told = post(&sim, CHAT, &body).await.json();
    assert_eq!(told["choices"][0]["message"]["content"], "as told");
    post(&sim, CHAT, &json!({"model": "a/other one", "messages": []})).await;

    let seen = administer(&sim, "GET", "/sim/requests?model=m", "").await.json();
    let [request] = seen.as_array().unwrap().as_slice() else { panic!("{seen}") };
    assert_eq!(request["path"], CHAT);
    assert_eq!(serde_json::from_str::<Value>(request["body"].as_str().unwrap()).unwrap(), body);
    assert_eq!(request["charged"]["input"], 5);
    let other = administer(&sim, "GET", "/sim/requests?model=a%2Fother%20one", "").await.json();
    assert_eq!(other.as_array().unwrap().len(), 1);
    assert_eq!(administer(&sim, "GET", "/sim/requests", "").await.json().as_array().unwrap().len(), 2);

    assert_eq!(administer(&sim, "DELETE", "/sim/answers/m", "").await.status(), 200);
    assert_ne!(post(&sim, CHAT, &body).await.json()["choices"][0]["message"]["content"], "as told");
}

#[tokio::test]
async fn what_is_charged_is_what_was_sent() {
    let sim = scripted(answer()).await;
    let all = Charges { calls: 1, input: 100, cached: 60, cache_creation: 10, output: 40, reasoning: 12 };
    let mut calls = 0;
    for path in [CHAT, MESSAGES, RESPONSES] {
        for stream in [false, true] {
            assert_eq!(post(&sim, path, &asked(path, stream)).await.status(), 200);
            calls += 1;
            assert_eq!(sim.requests().last().unwrap().charged, all, "{path} stream={stream}");
            assert_eq!(sim.stats().charges["m"].output, 40 * calls, "{path} stream={stream}");
        }
    }
    // What is refused costs nothing, and what breaks off costs what came before.
    let mut wrong = asked(CHAT, false);
    wrong["system"] = json!("not here");
    assert_eq!(post(&sim, CHAT, &wrong).await.status(), 400);
    sim.script("m", ScriptedAnswer { chunks: Some(vec!["a".to_owned(); 10]), ..told(20) }).unwrap();
    let mut cut = asked(CHAT, true);
    cut["model"] = json!("m!mid-stream-cut:3");
    post(&sim, CHAT, &cut).await;
    let charges = sim.stats().charges["m"];
    assert_eq!((charges.calls, charges.output, charges.input), (calls + 1, 40 * calls + 6, 100 * calls));
}

fn told(output: u64) -> ScriptedAnswer {
    ScriptedAnswer { usage: ScriptedUsage { output, ..ScriptedUsage::default() }, ..ScriptedAnswer::default() }
}

#[tokio::test]
async fn a_caller_that_goes_away_owes_what_was_sent_until_then() {
    let options = SimOptions { tokens_per_second: Some(50.0), ..SimOptions::default() };
    let sim = Sim::start(options).await.unwrap();
    sim.script("m", ScriptedAnswer { chunks: Some(vec!["a".to_owned(); 100]), ..told(200) }).unwrap();
    let mut connection = connect(&sim).await;
    connection.write_all(&request(CHAT, "", &asked(CHAT, true).to_string())).await.unwrap();
    assert!(sim.wait_until(Duration::from_secs(20), |stats| stats.charges.contains_key("m")).await);
    assert!(sim.wait_until(Duration::from_secs(20), |stats| stats.charges["m"].output >= 10).await);
    drop(connection);
    assert!(sim.wait_until(Duration::from_secs(20), |stats| stats.cancelled == 1).await);
    let seen = sim.requests().pop().unwrap();
    assert_eq!(seen.ending, Ending::ClientGone);
    assert_eq!(sim.stats().charges["m"], seen.charged);
    assert!((10..200).contains(&seen.charged.output), "{:?}", seen.charged);
    assert_eq!(seen.charged.output % 2, 0, "each event costs two");
}

#[tokio::test]
async fn only_a_strict_sim_refuses_what_providers_refuse() {
    let strict = scripted(ScriptedAnswer::text("a")).await;
    let lax = Sim::start(SimOptions::default()).await.unwrap();
    for (path, field, kind) in
        [(CHAT, "top_k", None), (MESSAGES, "n", Some("invalid_request_error")), (RESPONSES, "stop", None)]
    {
        let mut body = asked(path, false);
        body[field] = json!(1);
        assert_eq!(post(&lax, path, &body).await.status(), 200, "{path}");
        let refused = post(&strict, path, &body).await;
        assert_eq!(refused.status(), 400, "{path}");
        let error = &refused.json()["error"];
        assert!(error["message"].as_str().unwrap().contains(field), "{error}");
        assert!(kind.is_none_or(|kind| error["type"] == kind), "{error}");
    }
    let versionless = send(&strict, &request(MESSAGES, "", &asked(MESSAGES, false).to_string())).await;
    assert_eq!(versionless.status(), 400);
}
