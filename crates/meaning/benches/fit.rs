//! What a choice costs: 50 targets, with vectors of 512 dimensions and without; making the vector is not in it.
//!
//! `cargo bench -p tradewind-meaning --bench fit`

use divan::{Bencher, black_box};
use serde_json::json;
use tradewind_meaning::{Chooser, Complexity, Described, Embedder, Lexical, Question, Vector};

fn main() {
    divan::main();
}

const SHORT: &str = "Can you book a table for four at an Italian restaurant in Oslo on Friday?";
const LONG: &str = "I am going to Oslo for a conference from 12 to 15 March and would like you to plan the whole trip for me: a \
    flight from Madrid that arrives before noon, a quiet hotel near the opera with breakfast, a table for four on Friday \
    evening, and a list of museums that are open on Monday, with their prices and opening hours, please.";
const CHINESE: &str = "帮我订一张下周五从北京飞广州的机票，要靠窗的座位，上午出发，最好不超过一千五百块。";

fn tools() -> Vec<Described> {
    let verbs = ["book", "find", "cancel", "list", "compare"];
    let things =
        ["hotel", "flight", "restaurant", "museum", "train", "taxi", "concert", "invoice", "meeting", "parcel"];
    let mut tools = Vec::new();
    for verb in verbs {
        for thing in things {
            let parameters = json!({"required": ["city"], "properties": {
                "city": {"description": format!("The city in which to {verb} the {thing}.")},
                "date": {"description": "The date, in the format YYYY-MM-DD."},
                "people": {"description": "For how many people."}}});
            let description = format!("Lets you {verb} a {thing} in any city. Prices and opening hours are included.");
            tools.push(Described::from_tool(&format!("{verb}_{thing}"), &description, &parameters));
        }
    }
    tools
}

fn models() -> Vec<Described> {
    let topics =
        ["code", "poetry", "law", "medicine", "history", "translation", "mathematics", "cooking", "travel", "sport"];
    let model = |number: usize| {
        let texts =
            (0..3).map(|text| format!("questions about {}", topics[(number * 3 + text) % topics.len()])).collect();
        Described::from_texts(texts, vec![format!("an example about {}", topics[number % topics.len()])])
    };
    (0..50).map(model).collect()
}

fn run(bencher: Bencher<'_, '_>, targets: &[Described], text: &str, vectors: bool) {
    let chooser = Chooser::with_embedder(targets, &Lexical).expect("within the limits");
    let vector: Option<Vector> = vectors.then(|| Lexical.embed(text));
    bencher.bench(|| chooser.fit(&Question { text: black_box(text), vector: vector.as_ref() }));
}

#[divan::bench]
fn tools_short_question_words(bencher: Bencher<'_, '_>) {
    run(bencher, &tools(), SHORT, false);
}

#[divan::bench]
fn tools_short_question_fused(bencher: Bencher<'_, '_>) {
    run(bencher, &tools(), SHORT, true);
}

#[divan::bench]
fn tools_long_question_fused(bencher: Bencher<'_, '_>) {
    run(bencher, &tools(), LONG, true);
}

#[divan::bench]
fn models_short_question_fused(bencher: Bencher<'_, '_>) {
    run(bencher, &models(), SHORT, true);
}

#[divan::bench]
fn models_long_question_fused(bencher: Bencher<'_, '_>) {
    run(bencher, &models(), LONG, true);
}

#[divan::bench]
fn tools_chinese_question_fused(bencher: Bencher<'_, '_>) {
    run(bencher, &tools(), CHINESE, true);
}

#[divan::bench]
fn lexical_embedding_of_sixty_words() -> Vector {
    Lexical.embed(black_box(LONG))
}

#[divan::bench]
fn complexity_of_sixty_words() -> Complexity {
    Complexity::of(black_box(LONG), None)
}
