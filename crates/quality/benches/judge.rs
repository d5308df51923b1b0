//! What judging costs. Budget: 50 µs for a whole answer of 4 KB with all gates on.

use std::sync::Arc;

use divan::{Bencher, black_box};
use tradewind_core::{AnswerView, Delta, Finish, RequestView, ToolCallView, ToolView};
use tradewind_quality::{Gates, QualitySettings, SchemaCache, StreamGate};

fn main() {
    divan::main();
}

const ALL: &str = r#"{"finish":["stop","tool-calls"],"json-schema":true,"tool-arguments":true,"language":"same","refusal":true,
    "empty":true,"repetition":true,"length":{"min":1,"max":20000},"confidence":true,"stream":"advisory"}"#;

fn gates() -> Gates {
    let settings: QualitySettings = serde_json::from_str(ALL).expect("they are good");
    Gates::new(settings, Arc::new(SchemaCache::new()))
}

/// Prose of about `bytes`, no sentence like another.
fn prose(bytes: usize, words: &[&str]) -> String {
    let mut text = String::new();
    let mut state = 1u32;
    while text.len() < bytes {
        for _ in 0..12 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(words[(state >> 16) as usize % words.len()]);
        }
        text.push_str(".\n");
    }
    text
}

const ENGLISH: &[&str] = &[
    "the ", "cache ", "of ", "a ", "router ", "is ", "kept ", "for ", "each ", "call ", "and ", "then ", "written ",
    "to ", "disk ",
];
const CHINESE: &[&str] =
    &["缓存", "的", "路由器", "每次", "调用", "之后", "会", "写入", "磁盘", "，", "然后", "再", "读取", "它们"];

fn said(text: &str) -> AnswerView<'_> {
    AnswerView { finish: Some(Finish::Stop), text: text.into(), choices: 1, ..AnswerView::default() }
}

fn asked(question: &str) -> RequestView<'_> {
    RequestView { question: question.into(), ..RequestView::default() }
}

#[divan::bench]
fn judge_4_kb_of_english(bencher: Bencher<'_, '_>) {
    let (gates, text) = (gates(), prose(4096, ENGLISH));
    let expected = gates.expect(asked("How does the cache of the router work, and when is it written?"));
    bencher.bench_local(|| gates.judge(black_box(&expected), black_box(&said(&text))));
}

#[divan::bench]
fn judge_4_kb_of_chinese(bencher: Bencher<'_, '_>) {
    let (gates, text) = (gates(), prose(4096, CHINESE));
    let expected = gates.expect(asked("路由器的缓存是怎么工作的，什么时候写入磁盘？"));
    bencher.bench_local(|| gates.judge(black_box(&expected), black_box(&said(&text))));
}

const SCHEMA: &str = r#"{"type":"object","properties":{"items":{"type":"array","items":{"type":"object","properties":{"id":{"type":"integer"},
    "name":{"type":"string","maxLength":80},"tags":{"type":"array","items":{"enum":["a","b","c"]}}},"required":["id","name"],
    "additionalProperties":false}}},"required":["items"]}"#;

fn json() -> String {
    let items: Vec<String> =
        (0..80).map(|n| format!(r#"{{"id":{n},"name":"item number {n}","tags":["a","b"]}}"#)).collect();
    format!(r#"{{"items":[{}]}}"#, items.join(","))
}

#[divan::bench]
fn judge_4_kb_of_json_by_its_schema(bencher: Bencher<'_, '_>) {
    let (gates, text) = (gates(), json());
    let expected = gates.expect(RequestView { schema: Some(SCHEMA.into()), ..asked("List the items of the cache.") });
    bencher.bench_local(|| gates.judge(black_box(&expected), black_box(&said(&text))));
}

#[divan::bench]
fn judge_a_tool_call_of_4_kb(bencher: Bencher<'_, '_>) {
    let (gates, text) = (gates(), json());
    let tools = vec![ToolView { name: "store".into(), parameters: Some(SCHEMA.into()) }];
    let expected = gates.expect(RequestView { tools, ..asked("List the items of the cache.") });
    let call = ToolCallView { name: "store".into(), arguments: text.into() };
    let answer = AnswerView { tool_calls: vec![call], finish: Some(Finish::ToolCalls), ..said("") };
    bencher.bench_local(|| gates.judge(black_box(&expected), black_box(&answer)));
}

#[divan::bench]
fn expect_with_a_known_schema(bencher: Bencher<'_, '_>) {
    let gates = gates();
    bencher.bench_local(|| {
        let request = RequestView { schema: Some(SCHEMA.into()), ..asked("How does the cache of the router work?") };
        gates.expect(black_box(request))
    });
}

#[divan::bench]
fn compile_a_schema(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(gates).bench_local_values(|gates| {
        black_box(gates.expect(RequestView { schema: Some(SCHEMA.into()), ..RequestView::default() }));
        gates
    });
}

#[divan::bench]
fn thousand_pieces_of_a_stream(bencher: Bencher<'_, '_>) {
    let gates = Arc::new(gates());
    let expected = Arc::new(gates.expect(asked("How does the cache work?")).into_owned());
    bencher.with_inputs(|| StreamGate::new(gates.clone(), expected.clone(), 1 << 20)).bench_local_values(|mut gate| {
        for _ in 0..1000 {
            black_box(gate.push(&Delta::Text(black_box(" the quick"))));
        }
        gate
    });
}
