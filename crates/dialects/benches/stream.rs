//! What the translation of one streamed chunk costs. Budget: 10 µs, the aim is 2; the last event of a response, which
//! repeats the whole answer, is allowed more.

use std::fmt;

use divan::{Bencher, black_box};
use tradewind_dialects::Wire::{Chat, Messages, Responses};
use tradewind_dialects::{AnswerContext, StreamTranslator, Wire, translate_answer};

fn main() {
    divan::main();
}

struct Pair(Wire, Wire);

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.0.name(), self.1.name())
    }
}

const PAIRS: [Pair; 4] = [Pair(Chat, Messages), Pair(Messages, Chat), Pair(Chat, Responses), Pair(Messages, Responses)];

/// Chunks that one iteration translates, so that what is measured is many times the clock's grain.
const CHUNKS: usize = 1000;

fn translator(Pair(from, to): &Pair) -> StreamTranslator {
    let context = AnswerContext { id: "d1".to_owned(), created: 1_700_000_000, wants_usage: true, echo: None };
    StreamTranslator::new(*from, *to, context, 1 << 24)
}

fn begin(wire: Wire) -> Vec<String> {
    if wire == Chat {
        return vec![chunk(r#"{"role":"assistant","content":""}"#)];
    }
    vec![
        r#"{"type":"message_start","message":{"id":"msg_01AbCdEfGhIjKlMnOpQrStUv","type":"message","role":"assistant","model":"claude-sonnet","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":100,"output_tokens":1}}}"#.to_owned(),
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#.to_owned(),
    ]
}

fn chunk(delta: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-BqYkqk9vXr1mJ0nFjQ2c8uLwT3zPd","object":"chat.completion.chunk","created":1752000000,"model":"gpt-5-mini-2025-08-07","service_tier":"default","system_fingerprint":"fp_1a2b3c4d5e","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}],"usage":null}}"#
    )
}

fn text(wire: Wire) -> String {
    if wire == Chat {
        chunk(r#"{"content":" the quick brown"}"#)
    } else {
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" the quick brown"}}"#.to_owned()
    }
}

fn arguments(wire: Wire) -> [String; 2] {
    if wire == Chat {
        [
            chunk(
                r#"{"tool_calls":[{"index":0,"id":"call_abc","type":"function","function":{"name":"write","arguments":"{\"lines\":[1"}}]}"#,
            ),
            chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":",\"path\\n\""}}]}"#),
        ]
    } else {
        [
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_abc","name":"write","input":{}}}"#.to_owned(),
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"path\\n\""}}"#.to_owned(),
        ]
    }
}

fn end(wire: Wire) -> Vec<String> {
    let events: &[&str] = if wire == Chat {
        &[
            r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":1000,"total_tokens":1100}}"#,
            "[DONE]",
        ]
    } else {
        &[
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1000}}"#,
            r#"{"type":"message_stop"}"#,
        ]
    };
    events.iter().map(|event| (*event).to_owned()).collect()
}

/// Translates `before` outside of what is measured, then `events`.
fn measure(bencher: Bencher<'_, '_>, pair: &Pair, before: &[String], events: &[String]) {
    bencher
        .counter(divan::counter::ItemsCount::new(events.len()))
        .with_inputs(|| {
            let mut translator = translator(pair);
            let mut out = Vec::with_capacity(4096);
            for event in before {
                translator.event(event.as_bytes(), &mut out).expect("the events are good");
            }
            (translator, out)
        })
        .bench_local_values(|(mut translator, mut out)| {
            for event in events {
                out.clear();
                translator.event(black_box(event.as_bytes()), &mut out).expect("the events are good");
                black_box(&out);
            }
            (translator, out)
        });
}

#[divan::bench(args = PAIRS)]
fn thousand_pieces_of_text(bencher: Bencher<'_, '_>, pair: &Pair) {
    measure(bencher, pair, &begin(pair.0), &vec![text(pair.0); CHUNKS]);
}

#[divan::bench(args = PAIRS)]
fn thousand_pieces_of_arguments(bencher: Bencher<'_, '_>, pair: &Pair) {
    let [first, piece] = arguments(pair.0);
    let before = [begin(pair.0), vec![first]].concat();
    measure(bencher, pair, &before, &vec![piece; CHUNKS]);
}

#[divan::bench(args = PAIRS)]
fn the_first_events(bencher: Bencher<'_, '_>, pair: &Pair) {
    measure(bencher, pair, &[], &begin(pair.0));
}

#[divan::bench(args = PAIRS)]
fn the_last_events_of_a_thousand(bencher: Bencher<'_, '_>, pair: &Pair) {
    let before = [begin(pair.0), vec![text(pair.0); CHUNKS]].concat();
    measure(bencher, pair, &before, &end(pair.0));
}

#[divan::bench(args = PAIRS)]
fn a_whole_answer_of_4_kb(bencher: Bencher<'_, '_>, pair: &Pair) {
    let context = AnswerContext { id: "d1".to_owned(), created: 1_700_000_000, wants_usage: true, echo: None };
    let said = "the quick brown fox\\n".repeat(200);
    let body = if pair.0 == Chat {
        format!(
            r#"{{"id":"c","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{said}"}},"finish_reason":"stop"}}]}}"#
        )
    } else {
        format!(r#"{{"id":"c","model":"m","content":[{{"type":"text","text":"{said}"}}],"stop_reason":"end_turn"}}"#)
    };
    bencher.bench_local(|| translate_answer(pair.0, pair.1, black_box(body.as_bytes()), &context).expect("it is good"));
}
