//! Load: slow and busy targets get fewer calls, and softmax draws.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_sim::{Delay, Sim, SimOptions};

use super::world::{CODE, CODER, FACT, SMALL, World, body, candidate, part, target, with};
use crate::support::{Bench, SOON, eventually, post};

/// One provider for each target, since each has a speed of its own.
async fn two(first: Duration) -> (Sim, Sim, Bench) {
    let slow = SimOptions { first_token: Delay::Fixed(first), ..SimOptions::named("slow") };
    let (slow, quick) = (Sim::start(slow).await.unwrap(), Sim::start(SimOptions::named("quick")).await.unwrap());
    let bench = Bench::start(&format!(
        "providers:\n  - {{name: slow, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}\n  \
         - {{name: quick, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}\n\
         models:\n  - {{name: assistant, strategy: score, score: {{meaning: 0, load: 1, cost: 0}}, \
         targets: [{{use: slow/m}}, {{use: quick/m}}]}}\n",
        slow.base_url(),
        quick.base_url()
    ))
    .await;
    (slow, quick, bench)
}

async fn quick_ones(bench: &Bench, calls: usize) -> usize {
    let mut quick = 0;
    for _ in 0..calls {
        let answer = bench.ask(Dialect::OpenAi, "assistant", true).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        quick += usize::from(target(&answer) == "quick/m");
    }
    quick
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_leave_a_slow_target() {
    let (slow, quick, bench) = two(Duration::from_secs(1)).await;
    // Both are known by then, save with a chance of one in a million.
    quick_ones(&bench, 20).await;
    let more = quick_ones(&bench, 30).await;
    assert!(more >= 24, "only {more} of 30 calls went to the quick one");
    let record = bench.record(&bench.ask(Dialect::OpenAi, "assistant", true).await).await;
    if slow.stats().requests > 0 {
        assert!(part(&record, "slow/m", "load") < part(&record, "quick/m", "load"), "{record}");
    }
    assert_eq!(part(&record, "quick/m", "load"), 1.0, "{record}");
    bench.is_back_at_baseline(&[&slow, &quick]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_avoid_a_busy_target() {
    let (slow, quick, bench) = two(Duration::from_secs(60)).await;
    let busy = async {
        let call = || bench.ask(Dialect::OpenAi, "slow/m", true);
        let half = || async { tokio::join!(call(), call(), call(), call()) };
        let ((a, b, c, d), (e, f, g, h)) = tokio::join!(half(), half());
        [a, b, c, d, e, f, g, h]
    };
    let asking = async {
        eventually("it is busy", SOON, async || slow.stats().in_flight == 8).await;
        // Decided only and not made: the 2 % of calls that go anywhere, to keep what is known fresh, would wait there.
        let asked = json!({"dialect": "openai", "request": body(FACT)}).to_string();
        let mut idle = 0;
        for _ in 0..60 {
            let decided = bench.send(&post("/api/v1/decide", "", &asked)).await.json();
            assert_eq!(candidate(&decided, "slow/m")["parts"]["in_flight"], 8.0, "{decided}");
            assert!(part(&decided, "slow/m", "load") < part(&decided, "quick/m", "load"), "{decided}");
            idle += usize::from(decided["chosen"] == "quick/m");
        }
        assert!(idle >= 52, "only {idle} of 60 calls would go to the idle one");
    };
    // The callers leave when that has been seen: no time passes that the calls would have to outlast.
    tokio::select! {
        answers = busy => panic!("the calls are over: {answers:?}"),
        () = asking => {}
    }
    bench.is_back_at_baseline(&[&slow, &quick]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn softmax_draws_the_better_the_likelier() {
    let softmax = |temperature: f64| format!("meaning: 1, load: 0, cost: 0, mode: softmax, temperature: {temperature}");
    let hot = World::start(&softmax(10.0), &[SMALL, CODER], "").await;
    let mut coders = 0;
    for _ in 0..40 {
        let answer = hot.ask_with(&with(body(CODE), "user", json!("u")), "").await;
        coders += usize::from(target(&answer) == "up/coder");
        let record = hot.bench.record(&answer).await;
        let first = record["candidates"].as_array().unwrap().iter().find(|one| one["rank"] == 1).unwrap();
        assert_eq!(first["reason"], "drawn by softmax over the scores", "{record}");
    }
    // At temperature 10 it is nearly even: outside of 5 to 35 once in two million runs.
    assert!((5..=35).contains(&coders), "{coders} of 40");
    let cold = World::start(&softmax(0.001), &[SMALL, CODER], "").await;
    for _ in 0..10 {
        assert_eq!(cold.who(CODE).await, "up/coder");
        assert_eq!(cold.who(FACT).await, "up/small");
    }
}

/// A provider that says with each answer how many requests are left of a hundred: as `left` says for the model `scarce`, and
/// all of them for others. Each answer takes a second, which is what the load of a target is judged by: beside it
/// what this machine adds is little, and both targets are alike but for what is left.
async fn metered(listener: TcpListener, left: Arc<AtomicU32>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let left = left.clone();
        connections.spawn(async move {
            let mut bytes = Vec::new();
            while matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                // The body ends with the request: nobody sends a second one before the answer.
                if !text.trim_end().ends_with('}') {
                    continue;
                }
                bytes.clear();
                tokio::time::sleep(Duration::from_secs(1)).await;
                let left = if text.contains("scarce") { left.load(Ordering::Relaxed) } else { 100 };
                let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
                    "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}})
                .to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-ratelimit-limit-requests: 100\r\n\
                     x-ratelimit-remaining-requests: {left}\r\nx-ratelimit-reset-requests: 60s\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_spare_a_target_whose_provider_says_that_little_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let left = Arc::new(AtomicU32::new(100));
    let mut serving = JoinSet::new();
    serving.spawn(metered(listener, left.clone()));
    let bench = Bench::start(&format!(
        "providers:\n  - {{name: up, dialect: openai, base-url: \"http://{address}/v1\", api-key: k, discover: false}}\n\
         models:\n  - {{name: assistant, strategy: score, score: {{meaning: 0, load: 1, cost: 0}}, \
         targets: [{{use: up/scarce}}, {{use: up/ample}}]}}\n"
    ))
    .await;
    let learn = async |remaining: u32| {
        left.store(remaining, Ordering::Relaxed);
        // At once, so that whatever holds this machine up holds up both.
        let ask = |target| bench.ask(Dialect::OpenAi, target, false);
        let (scarce, ample) = tokio::join!(ask("up/scarce"), ask("up/ample"));
        assert_eq!((scarce.status, ample.status), (200, 200));
    };
    // How the two compare by their times alone.
    let alike = |told: &Value| {
        let time = |target: &str| candidate(told, target)["parts"]["first_token_ms"].as_f64().unwrap();
        (time("up/ample") / time("up/scarce")).min(1.0)
    };
    let decided = async || {
        let asked = json!({"dialect": "openai", "request": body(FACT)}).to_string();
        let (mut ample, mut last) = (0, Value::Null);
        for _ in 0..60 {
            last = bench.send(&post("/api/v1/decide", "", &asked)).await.json();
            ample += usize::from(last["chosen"] == "up/ample");
        }
        (ample, last)
    };
    // As much is left as is enough: nobody is spared.
    learn(25).await;
    let (_, told) = decided().await;
    assert!(part(&told, "up/scarce", "load") > 0.85 * alike(&told), "{told}");
    assert!((0.25..0.35).contains(&part(&told, "up/scarce", "quota_left")), "{told}");
    // With a tenth it looks two and a half times as loaded, with nothing twenty times.
    for (remaining, at_most) in [(10, 0.85), (0, 0.45)] {
        learn(remaining).await;
        let (ample, told) = decided().await;
        assert!(ample >= 54, "only {ample} of 60 with {remaining} left");
        assert!(part(&told, "up/scarce", "load") < at_most, "{told}");
        // A little comes back with every second until all is there again.
        let shown = part(&told, "up/scarce", "quota_left");
        assert!((f64::from(remaining) / 100.0..f64::from(remaining) / 100.0 + 0.1).contains(&shown), "{told}");
        assert!((50.0..=60.0).contains(&part(&told, "up/scarce", "quota_resets_s")), "{told}");
        assert_eq!(part(&told, "up/ample", "load"), 1.0, "{told}");
    }
    learn(100).await;
    let (_, told) = decided().await;
    assert!(part(&told, "up/scarce", "load") > 0.85 * alike(&told), "{told}");
}
