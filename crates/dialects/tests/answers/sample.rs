//! Made-up answers that every wire format can say, as whole answers and as streams cut into pieces.

use proptest::prelude::*;
use serde_json::{Value, json};

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) thinking: String,
    pub(crate) signature: String,
    pub(crate) text: String,
    /// Id, name and arguments of each call.
    pub(crate) calls: Vec<(String, String, Value)>,
    /// `finish_reason` and `stop_reason`, and the stop sequence.
    pub(crate) finish: (&'static str, &'static str),
    pub(crate) sequence: Option<String>,
    pub(crate) usage: [u64; 5],
}

/// Texts with what is easily broken in them.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof!["[a-z ]{1,8}", Just("\"\\\n\u{0}".to_owned()), Just("😀é中".to_owned()), Just("{}[]".to_owned())],
        0..4,
    )
    .prop_map(|pieces| pieces.concat())
}

fn arguments() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map(
        "[a-z]{1,3}",
        prop_oneof![text().prop_map(Value::from), Just(json!([1, {"x": null}]))],
        0..3,
    )
    .prop_map(|members| json!(members))
}

pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    let finish = prop_oneof![
        Just(("stop", "end_turn")),
        Just(("stop", "stop_sequence")),
        Just(("length", "max_tokens")),
        Just(("tool_calls", "tool_use")),
    ];
    let calls = proptest::collection::vec(("[a-z]{1,6}", arguments()), 0..4);
    (
        text(),
        prop_oneof![Just(String::new()), "[a-z=]{1,9}"],
        text(),
        calls,
        finish,
        proptest::array::uniform5(0u64..50),
    )
        .prop_map(
            |(thinking, signature, text, calls, mut finish, [uncached, cached, written, output, reasoning])| {
                if !calls.is_empty() {
                    finish = ("tool_calls", "tool_use");
                } else if finish.0 == "tool_calls" {
                    finish = ("stop", "end_turn");
                }
                let calls = calls.into_iter().enumerate();
                let signature = if thinking.is_empty() { String::new() } else { signature };
                Sample {
                    signature,
                    thinking,
                    text,
                    calls: calls.map(|(at, (name, arguments))| (format!("call_{at}"), name, arguments)).collect(),
                    sequence: (finish.1 == "stop_sequence").then(|| "\n##".to_owned()),
                    finish,
                    usage: [uncached, cached, written, output + reasoning, reasoning],
                }
            },
        )
}

impl Sample {
    pub(crate) fn chat_usage(&self) -> Value {
        let [uncached, cached, written, output, reasoning] = self.usage;
        let input = uncached + cached + written;
        let mut prompt = json!({ "cached_tokens": cached });
        if written > 0 {
            prompt["cache_write_tokens"] = json!(written);
        }
        json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": prompt, "completion_tokens_details": { "reasoning_tokens": reasoning },
        })
    }

    pub(crate) fn messages_usage(&self) -> Value {
        let [uncached, cached, written, output, reasoning] = self.usage;
        json!({
            "input_tokens": uncached, "cache_creation_input_tokens": written, "cache_read_input_tokens": cached,
            "output_tokens": output, "output_tokens_details": { "thinking_tokens": reasoning },
        })
    }

    pub(crate) fn chat(&self) -> Value {
        let or_null = |text: &String| if text.is_empty() { Value::Null } else { json!(text) };
        let mut message = json!({ "role": "assistant", "content": or_null(&self.text), "refusal": null });
        if !self.thinking.is_empty() {
            message["reasoning_content"] = json!(self.thinking);
        }
        if !self.signature.is_empty() {
            message["thinking_blocks"] =
                json!([{ "type": "thinking", "thinking": self.thinking, "signature": self.signature }]);
        }
        if !self.calls.is_empty() {
            let calls = self.calls.iter().map(|(id, name, arguments)| {
                json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments.to_string() } })
            });
            message["tool_calls"] = calls.collect();
        }
        let mut choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": self.finish.0 });
        if let Some(sequence) = &self.sequence {
            choice["stop_reason"] = json!(sequence);
        }
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "m",
            "choices": [choice], "usage": self.chat_usage(),
        })
    }

    pub(crate) fn messages(&self) -> Value {
        let mut content = Vec::new();
        if !self.thinking.is_empty() {
            content.push(json!({ "type": "thinking", "thinking": self.thinking, "signature": self.signature }));
        }
        if !self.text.is_empty() {
            content.push(json!({ "type": "text", "text": self.text }));
        }
        for (id, name, input) in &self.calls {
            content.push(json!({ "type": "tool_use", "id": id, "name": name, "input": input }));
        }
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": self.finish.1, "stop_sequence": self.sequence, "usage": self.messages_usage(),
        })
    }

    /// The chunks of a chat completion, cut as `random` says: the pieces of calls are interleaved.
    pub(crate) fn chat_stream(&self, random: &mut Random) -> Vec<String> {
        let chunk = |choices: Value| json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices });
        let delta = |delta: Value| chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null }])).to_string();
        let mut events = vec![delta(json!({ "role": "assistant", "content": "" }))];
        for piece in random.cut(&self.thinking) {
            events.push(delta(json!({ "reasoning_content": piece })));
        }
        if !self.signature.is_empty() {
            events.push(delta(
                json!({ "thinking_blocks": [{ "index": 0, "type": "thinking", "signature": self.signature }] }),
            ));
        }
        for piece in random.cut(&self.text) {
            events.push(delta(json!({ "content": piece })));
        }
        let mut rest: Vec<Vec<String>> = Vec::new();
        let mut next = 0;
        while next < self.calls.len() || rest.iter().any(|pieces| !pieces.is_empty()) {
            let chosen = random.below(next + 1);
            if let Some(piece) = rest.get_mut(chosen).and_then(Vec::pop) {
                events.push(delta(json!({ "tool_calls": [{ "index": chosen, "function": { "arguments": piece } }] })));
            } else if let Some((id, name, arguments)) = self.calls.get(next).filter(|_| random.below(2) == 0) {
                let function = json!({ "name": name, "arguments": "" });
                let start = json!({ "index": next, "id": id, "type": "function", "function": function });
                events.push(delta(json!({ "tool_calls": [start] })));
                let mut pieces = random.cut(&arguments.to_string());
                pieces.reverse();
                rest.push(pieces);
                next += 1;
            }
        }
        let mut choice = json!({ "index": 0, "delta": {}, "finish_reason": self.finish.0 });
        if let Some(sequence) = &self.sequence {
            choice["stop_reason"] = json!(sequence);
        }
        events.push(chunk(json!([choice])).to_string());
        let mut last = chunk(json!([]));
        last["usage"] = self.chat_usage();
        events.extend([last.to_string(), "[DONE]".to_owned()]);
        events
    }

    /// The events of a messages stream, cut as `random` says.
    pub(crate) fn messages_stream(&self, random: &mut Random) -> Vec<String> {
        let mut message = self.messages();
        let content = message["content"].take();
        message["content"] = json!([]);
        message["usage"] = json!({ "input_tokens": 1, "output_tokens": 1 });
        let mut events = vec![json!({ "type": "message_start", "message": message }), json!({ "type": "ping" })];
        for (index, block) in content.as_array().into_iter().flatten().enumerate() {
            let delta = |delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
            let mut start = block.clone();
            let mut deltas = Vec::new();
            let text = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
            match &*text("type") {
                "text" => {
                    start["text"] = json!("");
                    deltas.extend(
                        random
                            .cut(&text("text"))
                            .into_iter()
                            .map(|piece| json!({ "type": "text_delta", "text": piece })),
                    );
                }
                "thinking" => {
                    (start["thinking"], start["signature"]) = (json!(""), json!(""));
                    let pieces = random.cut(&text("thinking")).into_iter();
                    deltas.extend(pieces.map(|piece| json!({ "type": "thinking_delta", "thinking": piece })));
                    deltas.push(json!({ "type": "signature_delta", "signature": self.signature }));
                }
                _ => {
                    start["input"] = json!({});
                    let input = if block["input"] == json!({}) { String::new() } else { block["input"].to_string() };
                    let pieces = random.cut(&input).into_iter();
                    deltas.extend(pieces.map(|piece| json!({ "type": "input_json_delta", "partial_json": piece })));
                }
            }
            events.push(json!({ "type": "content_block_start", "index": index, "content_block": start }));
            events.extend(deltas.into_iter().map(delta));
            events.push(json!({ "type": "content_block_stop", "index": index }));
        }
        let delta = json!({ "stop_reason": self.finish.1, "stop_sequence": self.sequence });
        events.push(json!({ "type": "message_delta", "delta": delta, "usage": self.messages_usage() }));
        events.push(json!({ "type": "message_stop" }));
        events.iter().map(Value::to_string).collect()
    }
}

/// Choices that are the same in every run of a case.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound` (Knuth's multiplier; its upper bits are good enough to cut texts).
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound.max(1)
    }

    /// `text` in pieces, some of them empty.
    fn cut(&mut self, text: &str) -> Vec<String> {
        let mut pieces = vec![String::new()];
        for letter in text.chars() {
            if self.below(4) == 0 {
                pieces.push(String::new());
            }
            if let Some(last) = pieces.last_mut() {
                last.push(letter);
            }
        }
        pieces
    }
}
