//! What has to hold for any answer.

use proptest::prelude::*;
use serde_json::{Value, json};
use tradewind_dialects::Wire::{self, Chat, Messages, Responses};

use super::sample::{Random, sample};
use super::{LARGE, accumulated, stream, stream_within, whole};

proptest! {
    #[test]
    fn there_and_back_is_the_identity(sample in sample()) {
        let chat = sample.chat();
        let mut messages = whole(Chat, Messages, &chat.to_string()).unwrap();
        prop_assert_eq!(whole(Messages, Chat, &messages.to_string()).unwrap(), chat);
        let expected = sample.messages();
        messages["id"] = json!("msg_1");
        prop_assert_eq!(&messages, &expected);
        let chat = whole(Messages, Chat, &expected.to_string()).unwrap();
        prop_assert_eq!(whole(Chat, Messages, &chat.to_string()).unwrap(), expected);
    }

    #[test]
    fn a_stream_adds_up_to_the_whole_answer(sample in sample(), seed: u64) {
        let mut random = Random(seed);
        let chat = (sample.chat().to_string(), sample.chat_stream(&mut random));
        let messages = (sample.messages().to_string(), sample.messages_stream(&mut random));
        for (from, (body, events)) in [(Chat, chat), (Messages, messages)] {
            for to in [Chat, Messages, Responses] {
                let streamed = accumulated(to, &stream(from, to, &events).unwrap());
                prop_assert_eq!(streamed, whole(from, to, &body).unwrap(), "from {:?} to {:?}", from, to);
            }
        }
    }

    #[test]
    fn whatever_comes_nothing_panics(events in proptest::collection::vec(odd_event(), 0..12), limit in prop_oneof![Just(LARGE), 0usize..300]) {
        let events: Vec<String> = events.iter().map(Value::to_string).collect();
        for from in [Chat, Messages, Responses] {
            for to in [Chat, Messages, Responses] {
                if let Ok(stream) = stream_within(from, to, &events, limit) {
                    check_events(to, &stream);
                }
                for event in &events {
                    let _ = whole(from, to, event);
                }
            }
        }
    }

    #[test]
    fn whatever_bytes_come_nothing_panics(event in "[\\[\\]{}\":,a-z0-9\\\\ ]{0,60}") {
        for from in [Chat, Messages] {
            let _ = stream(from, Responses, std::slice::from_ref(&event));
            let _ = whole(from, Responses, &event);
        }
    }
}

/// Every event is one line of JSON, whatever it says.
fn check_events(wire: Wire, stream: &str) {
    for (name, data) in super::accumulate::events(stream) {
        assert!(data == "[DONE]" || serde_json::from_str::<Value>(data).is_ok(), "{data}");
        assert_eq!(name.is_some(), wire != Chat);
    }
}

/// JSON with the names and words that the readers look for, in odd places.
fn odd_event() -> impl Strategy<Value = Value> {
    const NAMES: [&str; 24] = [
        "type",
        "index",
        "delta",
        "choices",
        "message",
        "content",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "finish_reason",
        "stop_reason",
        "usage",
        "content_block",
        "partial_json",
        "text",
        "thinking",
        "signature",
        "thinking_blocks",
        "refusal",
        "input",
        "prompt_tokens",
        "function_call",
    ];
    const WORDS: [&str; 22] = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "text_delta",
        "thinking_delta",
        "signature_delta",
        "input_json_delta",
        "tool_use",
        "text",
        "thinking",
        "redacted_thinking",
        "stop",
        "length",
        "tool_calls",
        "end_turn",
        "refusal",
        "{",
        "}",
        "{}",
    ];
    let leaf = prop_oneof![
        proptest::sample::select(&WORDS[..]).prop_map(Value::from),
        (0u64..4).prop_map(Value::from),
        Just(Value::Null),
    ];
    let value = leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(proptest::sample::select(&NAMES[..]), inner, 0..5)
                .prop_map(|members| json!(members)),
        ]
    });
    // Half of them have a shape that goes deeper into the readers.
    prop_oneof![
        value.clone(),
        value.clone().prop_map(|delta| json!({ "choices": [{ "delta": delta }] })),
        (proptest::sample::select(&WORDS[..10]), 0u64..3, value.clone(), value).prop_map(
            |(kind, index, delta, block)| {
                json!({ "type": kind, "index": index, "delta": delta, "content_block": block })
            }
        ),
    ]
}
