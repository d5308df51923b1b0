//! What each call pays before it is decided upon: who calls, where from, which rule, and holding back from budgets.
//!
//! To be compared with the budget of 17 µs of CPU for a whole call; without a context header nothing may be allocated.

use divan::{AllocProfiler, Bencher, black_box};
use http::{HeaderMap, HeaderValue};
use ring::hmac;
use tradewind_access::{Access, Grant, ModelBudgets, Reach, StoredKey};
use tradewind_core::{Device, Moment, Secret, UnixMillis, Usd};
use tradewind_policy::{
    Amount, Budget, ContextSettings, KeyHash, KeyTerms, Period, RouteFacts, RouteRule, Routes, Spanned, When, Words,
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const NOW: UnixMillis = UnixMillis(1_795_132_800_000);
const KEY: &str = "tw-0123456789abcdef";
const SIGNING: &str = "0123456789abcdef0123456789abcdef";

fn main() {
    divan::main();
}

fn access() -> Access {
    let access = Access::new(Reach::Loopback);
    let terms = KeyTerms {
        role: Some("machine".to_owned()),
        tags: vec!["batch".to_owned()],
        budget: Some(Budget { usd: Amount(1e6), per: Period::Day }),
        ..KeyTerms::default()
    };
    let key = StoredKey::new("ci", KeyHash::of(KEY.as_bytes()), NOW, terms);
    access.set_created(&[key]).expect("one key goes together with itself");
    let signing_secret = Some(Secret::new(SIGNING.to_owned()));
    access.set_context(&ContextSettings { signing_secret, trust_hints: true, ..ContextSettings::default() });
    access
}

/// Headers as an official client sends them.
fn headers(more: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let usual = [
        ("host", "gateway.example"),
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("user-agent", "AsyncOpenAI/Python 1.51.0"),
        ("x-stainless-lang", "python"),
        ("x-stainless-os", "Linux"),
        ("x-stainless-arch", "x64"),
        ("x-stainless-runtime", "CPython"),
        ("authorization", "Bearer tw-0123456789abcdef"),
    ];
    for (name, value) in usual.iter().chain(more) {
        headers.append(*name, HeaderValue::from_str(value).expect("it is plain text"));
    }
    headers
}

#[divan::bench]
fn who_calls(bencher: Bencher<'_, '_>) {
    let (access, headers) = (access(), headers(&[]));
    bencher.bench_local(|| access.authenticate(black_box(&headers), NOW));
}

#[divan::bench(args = ["nobody has keys", "a key", "a browser", "a hint", "a signature"])]
fn where_from(bencher: Bencher<'_, '_>, case: &str) {
    let access = access();
    let grant = access.authenticate(&headers(&[]), NOW).expect("the key is right");
    let browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36";
    let context = "role=admin;device=mobile;region=eu;tags=a,b";
    let tag =
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SIGNING.as_bytes()), format!("1795132800.{context}").as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let signature = format!("t=1795132800,v1={digits}");
    let (grant, headers) = match case {
        "nobody has keys" => (Grant::anyone(), headers(&[])),
        "a browser" => {
            let mut headers = headers(&[]);
            headers.insert("user-agent", HeaderValue::from_static(browser));
            (grant, headers)
        }
        "a hint" => (grant, headers(&[("x-tradewind-context", "region=eu")])),
        "a signature" => {
            (grant, headers(&[("x-tradewind-context", context), ("x-tradewind-context-signature", &signature)]))
        }
        _ => (grant, headers(&[])),
    };
    assert!(access.context(&grant, &headers, NOW).is_ok(), "the case is what it is called");
    bencher.bench_local(|| access.context(&grant, black_box(&headers), NOW));
}

/// All rules are looked at, the last one fits.
#[divan::bench(args = [3, 20, 100])]
fn which_rule(bencher: Bencher<'_, '_>, count: usize) {
    let access = access();
    let grant = access.authenticate(&headers(&[]), NOW).expect("the key is right");
    let context = access.context(&grant, &headers(&[]), NOW).expect("there is no context header");
    let words = |words: &[String]| Some(Spanned::unplaced(Words(words.to_vec())));
    let mut rules: Vec<RouteRule> = (1..count)
        .map(|number| RouteRule {
            when: When {
                role: words(&["machine".to_owned()]),
                device: Some(Spanned::unplaced(Words(vec![Device::Server]))),
                tags: words(&["batch".to_owned(), format!("tag-{number}")]),
                ..When::default()
            },
            reference: Spanned::unplaced("openai/gpt-5-mini".to_owned()),
        })
        .collect();
    rules.push(RouteRule { when: When::default(), reference: Spanned::unplaced("strong".to_owned()) });
    let routes = Routes::new(&rules);
    let facts = RouteFacts { context: &context, key: Some("ci"), model: "assistant" };
    assert_eq!(routes.choose(&facts).map(|(place, _)| place), Some(count - 1));
    bencher.bench_local(|| routes.choose(black_box(&facts)));
}

#[divan::bench(args = [false, true])]
fn reserve_and_settle(bencher: Bencher<'_, '_>, with_model: bool) {
    let access = access();
    let grant = access.authenticate(&headers(&[]), NOW).expect("the key is right");
    let model = ModelBudgets::default().of("assistant", Budget { usd: Amount(1e6), per: Period::Month });
    let model = with_model.then_some(&model);
    let (now, cost) = (Moment::from_micros(1), Usd::from_pico(1000));
    bencher.bench_local(|| {
        let held = grant.reserve_at(black_box(model), 100, cost, now, NOW).expect("the budgets are large");
        held.settle(90, cost, now);
    });
}
