//! What an embedding by the encoder costs. Budget: 0.7 ms for a question of 60 words, which the published vocabulary
//! splits into some 65 tokens. The weights are invented and have the published shapes: no time depends on their values.

use divan::Bencher;
use tradewind_meaning::{Embedder, Encoder};

#[path = "../src/encoder/sample.rs"]
mod sample;

fn main() {
    divan::main();
}

#[divan::bench(args = [10, 65, 512])]
fn tokens(bencher: Bencher<'_, '_>, tokens: usize) {
    let encoder = Encoder::of_wheel(&sample::wheel()).expect("the sample is right");
    // Each of these words is one piece, and two pieces are the marks.
    let text = "the ".repeat(tokens - 2);
    bencher.bench_local(|| encoder.embed(divan::black_box(&text)));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn load(bencher: Bencher<'_, '_>) {
    let wheel = sample::wheel();
    bencher.bench_local(|| Encoder::of_wheel(divan::black_box(&wheel)).is_ok());
}
