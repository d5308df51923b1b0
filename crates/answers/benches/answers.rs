//! What the caches cost a call: making a key, finding an answer, comparing by meaning.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use divan::Bencher;
use tradewind_answers::{
    Answered, Asked, Entry, ExactCache, ExactSettings, Finish, Form, Key, Keyed, Keyer, Lookup, MeaningCache,
    MeaningLimits, Scope, ScopeKind, Shape,
};
use tradewind_core::{DecisionId, Moment, TargetId, UnixMillis, Usage};

fn main() {
    divan::main();
}

fn body(messages: usize) -> String {
    let message = r#"{"role":"user","content":"a sentence of some length that says what is wanted, with a \"quote\""}"#;
    let list = vec![message; messages].join(",");
    format!(r#"{{"model":"assistant","temperature":0.2,"stream":true,"user":"u-1","messages":[{list}]}}"#)
}

fn keyed(body: &str, with_question: bool) -> Keyed {
    let scope = Scope::of(ScopeKind::Key, Some("build"), Some("ci"));
    let asked = Asked {
        scope: &scope,
        shape: Shape::Chat,
        model: "assistant",
        variant: &[],
        has_effects: false,
        body: body.as_bytes(),
    };
    Keyer::new([1; 16]).read(&asked, with_question).expect("it can be cached")
}

fn entry() -> Entry {
    Entry::new(&Answered {
        status: 200,
        whole: true,
        finish: Finish::Stop,
        passed_gates: true,
        form: Form::Whole,
        body: &[b'x'; 2000],
        content_type: "application/json",
        dropped: "",
        usage: Usage::default(),
        target: &TargetId::new("up/model"),
        decision: DecisionId::from_number(1),
        at: UnixMillis(0),
    })
    .expect("it can be kept")
}

#[divan::bench(args = [1, 10, 100])]
fn key(bencher: Bencher<'_, '_>, messages: usize) {
    let body = body(messages);
    bencher.counter(divan::counter::BytesCount::of_str(&body)).bench(|| keyed(black_box(&body), false));
}

#[divan::bench(args = [1, 10, 100])]
fn key_and_question(bencher: Bencher<'_, '_>, messages: usize) {
    let body = body(messages);
    bencher.bench(|| keyed(black_box(&body), true));
}

#[divan::bench(threads = [1, 2])]
fn hit(bencher: Bencher<'_, '_>) {
    let cache = ExactCache::new(&ExactSettings::default());
    let keys: Vec<Key> = (1..64).map(|messages| keyed(&body(messages), false).exact).collect();
    for key in &keys {
        cache.keep(*key, entry(), Moment::START);
    }
    bencher.with_inputs(|| keys[fastrand::usize(..keys.len())]).bench_values(|key| cache.lookup(key, Moment::START));
}

#[divan::bench]
fn miss_and_keep(bencher: Bencher<'_, '_>) {
    let cache = ExactCache::new(&ExactSettings::default());
    let numbers = AtomicU64::new(0);
    bencher
        .with_inputs(|| {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            (keyed(&format!(r#"{{"messages":[],"seed":{number}}}"#), false).exact, entry())
        })
        .bench_values(|(key, entry)| match cache.lookup(key, Moment::START) {
            Lookup::Lead(leader) => drop(leader.complete(entry, Moment::START)),
            _ => unreachable!("no key comes twice"),
        });
}

/// Looks through all questions of one context, none of which is near.
#[divan::bench(args = [256, 4096])]
fn compare_512_dimensions(bencher: Bencher<'_, '_>, questions: usize) {
    let (threshold, ttl) = (0.95, Duration::from_secs(600));
    let cache = MeaningCache::new(MeaningLimits { threshold, ttl, entries: questions, bytes: 1 << 30 });
    let question = keyed(&body(1), true).question.expect("there is one");
    let random = || {
        let vector: Vec<f32> = (0..512).map(|_| fastrand::f32() - 0.5).collect();
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.into_iter().map(|x| x / length).collect::<Vec<f32>>()
    };
    let entry = Arc::new(entry());
    for _ in 0..questions {
        cache.keep(&question, &random(), entry.clone(), Moment::START);
    }
    let vector = random();
    bencher.bench(|| cache.find(black_box(&question), black_box(&vector), Moment::START));
}
