//! What putting a request into another wire format costs. Budget: 1 ms for 100 KB with 40 messages and 20 tools.

use divan::{Bencher, black_box};
use serde_json::{Value, json};
use tradewind_dialects::{RequestOptions, Wire, translate_request};

fn main() {
    divan::main();
}

/// About 4 KB of text as agents send it: code, quotes, line ends.
fn text(number: usize) -> String {
    let line = format!("    let value_{number} = read(\"notes/für alle {number}.txt\")?; // \\o/ 走吧\n");
    line.repeat(4000 / line.len())
}

fn schema() -> Value {
    let property = |number: usize| {
        (
            format!("field_{number}"),
            json!({"type": "string", "description": "What the field is for.", "enum": ["a", "b", "c"]}),
        )
    };
    json!({"type": "object", "properties": (0..8).map(property).collect::<serde_json::Map<_, _>>(), "required": ["field_0"]})
}

/// About 100 KB: 40 messages, of which ten call a tool and ten bring its result, and 20 tools of a kilobyte each.
fn chat() -> String {
    let mut messages = Vec::new();
    for turn in 0..10 {
        let arguments = json!({"path": format!("src/{turn}.rs"), "text": text(turn).get(..800)}).to_string();
        let call = json!({"id": format!("call_{turn}"), "type": "function", "function": {"name": "tool_1", "arguments": arguments}});
        messages.push(json!({"role": "user", "content": [{"type": "text", "text": text(turn)}]}));
        messages.push(json!({"role": "assistant", "content": "I look at it.", "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": format!("call_{turn}"), "content": text(turn)}));
        messages.push(json!({"role": "assistant", "content": "It says what you said."}));
    }
    messages.push(json!({"role": "user", "content": "And?"}));
    let tool = |number: usize| json!({"type": "function", "function": {"name": format!("tool_{number}"), "description": "Does it.", "parameters": schema()}});
    let tools: Vec<Value> = (0..20).map(tool).collect();
    json!({"model": "assistant", "messages": messages, "tools": tools, "stream": true, "max_tokens": 1000}).to_string()
}

fn translated(from: Wire, to: Wire, body: &[u8]) -> Vec<u8> {
    translate_request(from, to, body, &RequestOptions::default()).expect("both wires can say it").body.to_vec()
}

#[divan::bench]
fn chat_to_messages(bencher: Bencher<'_, '_>) {
    let body = chat();
    assert!((90_000..110_000).contains(&body.len()), "{}", body.len());
    bencher.bench_local(|| {
        translate_request(Wire::Chat, Wire::Messages, black_box(body.as_bytes()), &RequestOptions::default())
    });
}

#[divan::bench]
fn messages_to_chat(bencher: Bencher<'_, '_>) {
    let body = translated(Wire::Chat, Wire::Messages, chat().as_bytes());
    bencher.bench_local(|| translate_request(Wire::Messages, Wire::Chat, black_box(&body), &RequestOptions::default()));
}

/// An image of a megabyte, which is decoded to see that it is one.
#[divan::bench]
fn a_large_image(bencher: Bencher<'_, '_>) {
    let url = format!("data:image/png;base64,iVBORw0KGgoA{}", "ABCD".repeat(250_000));
    let part = json!({"type": "image_url", "image_url": {"url": url}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [part]}]}).to_string();
    bencher.bench_local(|| {
        translate_request(Wire::Chat, Wire::Messages, black_box(body.as_bytes()), &RequestOptions::default())
    });
}
