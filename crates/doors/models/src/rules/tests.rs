//! Answers by rule in every wire format, whole and as streams.

use http_body_util::BodyExt;
use tradewind_policy::Spanned;

use super::*;
use crate::section::ResponderRule;

fn responder() -> Rules {
    let rule = |contains: &[&str], matches: &[&str], answer: &str| {
        let own = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        ResponderRule { contains: own(contains), matches: own(matches), answer: answer.to_owned() }
    };
    let responder = Responder {
        name: Spanned::unplaced("house".to_owned()),
        rules: vec![
            rule(&["Outage"], &[], "all is down at {{time}}"),
            rule(&[], &[r"^status of (?<service>\w+)"], "{{service}} is \"up\", says {{model}}"),
            rule(&["status"], &[], "which one?"),
        ],
        otherwise: "no rule for «{{question}}»".to_owned(),
    };
    assert_eq!(Rules::flaws(&responder), []);
    Rules::of(&responder)
}

async fn answer(operation: Operation, question: &str, stream: bool) -> (String, String) {
    let quoted = Value::from(question);
    let (field, value) = match operation {
        Operation::Completions => ("prompt", quoted),
        Operation::Responses => ("input", quoted),
        _ => ("messages", json!([{"role": "user", "content": "before"}, {"role": "user", "content": quoted}])),
    };
    let body = json!({"model": "assistant", "max_tokens": 9, "stream": stream, field: value}).to_string();
    let ask = Ask::read(operation, Bytes::from(body)).unwrap();
    let rules = responder();
    assert_eq!(rules.target(), TargetId::new("rules/house"));
    let response = rules.respond(&ask, 3, DecisionId::from_number(7), UnixMillis(1_795_294_621_123));
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (kind, String::from_utf8(body.to_vec()).unwrap())
}

/// The text that is said in a body, whatever its format.
fn said(operation: Operation, stream: bool, body: &str) -> String {
    let text = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    if !stream {
        let value: Value = serde_json::from_str(body).unwrap();
        assert_eq!(value["model"], "tradewind/house", "it does not pretend");
        return text(
            &value,
            match operation {
                Operation::Chat => "/choices/0/message/content",
                Operation::Completions => "/choices/0/text",
                Operation::Messages => "/content/0/text",
                _ => "/output/0/content/0/text",
            },
        );
    }
    let events = body.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    events
        .map(|data| {
            let event: Value = serde_json::from_str(data).unwrap();
            match operation {
                Operation::Chat => text(&event, "/choices/0/delta/content"),
                Operation::Completions => text(&event, "/choices/0/text"),
                Operation::Messages => text(&event, "/delta/text"),
                _ if event["type"] == "response.output_text.delta" => text(&event, "/delta"),
                _ => String::new(),
            }
        })
        .collect()
}

#[tokio::test]
async fn rules_answer_in_every_format() {
    for operation in [Operation::Chat, Operation::Completions, Operation::Messages, Operation::Responses] {
        for stream in [false, true] {
            for (question, expected) in [
                ("is there an OUTAGE?", "all is down at 2026-11-21T20:57:01.123Z"),
                ("Status of billing, please", "billing is \"up\", says assistant"),
                ("the status of billing", "which one?"),
                ("hello {{time}}\n", "no rule for «hello {{time}}»"),
            ] {
                let (kind, body) = answer(operation, question, stream).await;
                assert_eq!(said(operation, stream, &body), expected, "{operation:?} {stream} {body}");
                assert_eq!(kind.starts_with("text/event-stream"), stream, "{kind}");
            }
        }
    }
}

#[tokio::test]
async fn only_the_beginning_of_a_long_question_is_looked_at() {
    let question = format!("{}outage", "é".repeat(LONGEST_QUESTION / 2));
    let (_, body) = answer(Operation::Chat, &question, false).await;
    assert!(said(Operation::Chat, false, &body).starts_with("no rule for «éé"));
    let (_, body) = answer(Operation::Chat, &question[2 * "outage".len()..], false).await;
    assert!(said(Operation::Chat, false, &body).starts_with("all is down"));
}

#[test]
fn the_built_in_one_says_what_it_is() {
    let facts = Facts { model: "m", at: UnixMillis(0), question: "status" };
    assert_eq!(Rules::built_in().answer(facts), BUILT_IN_ANSWER);
}
