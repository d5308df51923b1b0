//! What finding the features of a request costs. Budget: 2 ns a byte, since it runs before every call.

use divan::Bencher;
use divan::counter::BytesCount;
use tradewind_tokens::Features;

fn main() {
    divan::main();
}

/// A chat of about `size` bytes, with tools, as an agent sends it.
fn body(size: usize) -> Vec<u8> {
    let tool = r#"{"type":"function","function":{"name":"read_file","description":"Read a file of the workspace, with line numbers.","parameters":{"type":"object","properties":{"path":{"type":"string"},"limit":{"type":"integer"}},"required":["path"]}}}"#;
    let turn = r#"{"role":"user","content":"Please look at \"src/main.rs\" and tell me why the test fails:\n\n```\nassertion failed: left == right\n  left: 4096\n right: 4095\n```\nThe loop reads `buffer.len() - 1` bytes, I think. 请用中文回答。"}"#;
    let mut text = format!(r#"{{"model":"gpt-4o","temperature":0.2,"stream":true,"tools":[{tool}],"messages":[{turn}"#);
    while text.len() < size {
        text.push(',');
        text.push_str(turn);
    }
    text.push_str("]}");
    text.into_bytes()
}

#[divan::bench(args = [1_000, 100_000])]
fn of_request(bencher: Bencher<'_, '_>, size: usize) {
    let body = body(size);
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| Features::of_request(divan::black_box(&body)));
}
