//! An embedder behind `/v1/embeddings`: its vectors choose the target, and whatever it does, no call is lost or kept waiting
//! for longer than its time limit.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};

use crate::support::{Answer, Bench, SOON, eventually, find, post, question};

/// How the embedder behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Vectors of 3 dimensions.
    Right,
    /// The request is read, and nothing comes.
    Hang,
    /// Vectors of 2 dimensions.
    Short,
    /// A 500.
    Broken,
    /// A 422, which is about the text.
    Refusing,
    /// A 429.
    Limited,
    /// 200 with something else.
    Garbage,
    /// 200 with more than is read.
    Huge,
}

/// What was asked: the head and the body.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// A provider of vectors, in which boats and cakes are far apart.
struct Embedder {
    url: String,
    mode: Arc<Mutex<Mode>>,
    asked: Asked,
    _serving: JoinSet<()>,
}

impl Embedder {
    async fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (mode, asked) = (Arc::new(Mutex::new(mode)), Asked::default());
        let mut serving = JoinSet::new();
        let (as_told, seen) = (mode.clone(), asked.clone());
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, as_told.clone(), seen.clone()));
            }
        });
        Self { url, mode, asked, _serving: serving }
    }

    fn be(&self, mode: Mode) {
        *self.mode.lock() = mode;
    }

    fn requests(&self) -> usize {
        self.asked.lock().len()
    }
}

async fn serve(mut stream: TcpStream, mode: Arc<Mutex<Mode>>, asked: Asked) {
    let mut bytes = Vec::new();
    loop {
        let (head, body) = loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
                if bytes.len() >= end + 4 + length {
                    let body = bytes[end + 4..end + 4 + length].to_vec();
                    bytes.drain(..end + 4 + length);
                    break (head, body);
                }
            }
            if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                return;
            }
        };
        let body: Value = serde_json::from_slice(&body).unwrap();
        let mode = *mode.lock();
        asked.lock().push((head, body.clone()));
        let texts: Vec<&str> = body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        let (status, answer) = match mode {
            Mode::Hang => return std::future::pending().await,
            Mode::Right => ("200 OK", vectors(&texts, 3)),
            Mode::Short => ("200 OK", vectors(&texts, 2)),
            Mode::Broken => ("500 Internal Server Error", "{}".to_owned()),
            Mode::Refusing => ("422 Unprocessable Entity", "{}".to_owned()),
            Mode::Limited => ("429 Too Many Requests", "{}".to_owned()),
            Mode::Garbage => ("200 OK", "<html>".to_owned()),
            Mode::Huge => ("200 OK", " ".repeat(20 << 20)),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One axis for what floats, one for what is baked, and a little of both in everything.
fn vectors(texts: &[&str], dimensions: usize) -> String {
    let about = |text: &str, words: &[&str]| if words.iter().any(|word| text.contains(word)) { 1.0 } else { 0.05 };
    let of_text = |text: &&str| {
        let mut vector = vec![about(text, &["boat", "voyage"]), about(text, &["cake", "dough"])];
        vector.resize(dimensions, 0.05);
        vector
    };
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": of_text(text)}))
        .collect();
    json!({"object": "list", "data": data, "model": "embed-small"}).to_string()
}

/// What is said of an embedder, with a time limit that it meets on a busy machine too unless it hangs.
fn patiently(asking: &str) -> String {
    if asking.contains("timeout") { asking.to_owned() } else { format!("{asking}, timeout: 15s") }
}

/// A model that chooses by meaning alone. `asking` is added to the embedder, `baking` to what the first target is good at.
fn document(sim: &Sim, embedder: &Embedder, asking: &str, baking: &str) -> String {
    let asking = patiently(asking);
    format!(
        "providers:\n  - {{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}\n  \
         - {{name: vectors, dialect: openai, base-url: \"{}\", api-key: v, discover: false}}\n\
         embedders: [{{name: remote, type: openai, provider: vectors, model: embed-small{asking}}}]\n\
         models:\n  - name: assistant\n    strategy: score\n    \
         score: {{meaning: 1, load: 0, cost: 0, embedder: remote, abstain-below: 0, margin: 0}}\n    targets:\n      \
         - {{use: up/baker, good-at: [dough and ovens{baking}]}}\n      \
         - {{use: up/sailor, good-at: [voyages over wide waters]}}\n",
        sim.base_url(),
        embedder.url
    )
}

async fn sim() -> Sim {
    Sim::start(SimOptions::named("up")).await.unwrap()
}

async fn ask(bench: &Bench, text: &str) -> Answer {
    let mut body = question(Dialect::OpenAi, "assistant", false);
    body["messages"][0]["content"] = text.into();
    let answer = bench.ask_with(Dialect::OpenAi, &body, "").await;
    assert_eq!(answer.status, 200, "{text}: {}", answer.text());
    answer
}

/// What the comparison rested on.
async fn basis(bench: &Bench, answer: &Answer) -> String {
    let record = bench.record(answer).await;
    record["choice"]["meaning"]["basis"].as_str().unwrap_or_else(|| panic!("{record}")).to_owned()
}

/// Waits until the vectors of the targets are there. The question is not asked again by the tests.
async fn is_ready(bench: &Bench) {
    eventually("the vectors of the targets are there", SOON, async || {
        let answer = ask(bench, "Is there a boat?").await;
        basis(bench, &answer).await == "words and vectors"
    })
    .await;
}

const NO_VECTOR: &str = "words, since the embedder gave no vector";
const NOT_YET: &str = "words, until the embedder has given the vectors of the targets";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_choose_the_target_and_each_question_is_asked_once() {
    let (sim, embedder) = (sim().await, Embedder::start(Mode::Right).await);
    let bench = Bench::start(&document(&sim, &embedder, ", dimensions: 3", "")).await;
    is_ready(&bench).await;
    // None of these words are those of a target.
    for (text, target) in [("How is a boat steered?", "up/sailor"), ("How is a cake made?", "up/baker")] {
        let before = embedder.requests();
        for times in 0..3 {
            let answer = ask(&bench, text).await;
            assert_eq!(answer.header("x-tradewind-target"), Some(target), "{text} {times}");
            assert_eq!(basis(&bench, &answer).await, "words and vectors");
            assert_eq!(embedder.requests(), before + 1, "{text} {times}");
        }
        let (head, body) = embedder.asked.lock().last().unwrap().clone();
        assert!(head.starts_with("post /v1/embeddings http/1.1"), "{head}");
        assert!(head.contains("authorization: bearer v"), "{head}");
        let expected = json!({"model": "embed-small", "input": [text], "encoding_format": "float", "dimensions": 3});
        assert_eq!(body, expected);
    }
    // The time that the embedder takes is not the gateway's own.
    bench.is_back_at_baseline(&[&sim]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_asks_no_embedder_and_says_so() {
    let (sim, embedder) = (sim().await, Embedder::start(Mode::Right).await);
    let bench = Bench::start(&document(&sim, &embedder, "", "")).await;
    is_ready(&bench).await;
    let basis = async || {
        let request =
            json!({"model": "assistant", "messages": [{"role": "user", "content": "How is a boat steered?"}]});
        let body = json!({"dialect": "openai", "request": request}).to_string();
        let preview = bench.send(&post("/api/v1/decide", "", &body)).await.json();
        preview["choice"]["meaning"]["basis"].as_str().unwrap_or_else(|| panic!("{preview}")).to_owned()
    };
    let before = embedder.requests();
    assert_eq!(basis().await, "words, since no embedder is asked for a preview; the call would ask it");
    assert_eq!(embedder.requests(), before);
    // What a call has asked for is known.
    ask(&bench, "How is a boat steered?").await;
    assert_eq!(basis().await, "words and vectors");
    assert_eq!(embedder.requests(), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_keeps_the_vectors_of_texts_that_stay() {
    let (sim, embedder) = (sim().await, Embedder::start(Mode::Right).await);
    let bench = Bench::start(&document(&sim, &embedder, "", "")).await;
    is_ready(&bench).await;
    let before = embedder.requests();
    bench.reload(&document(&sim, &embedder, "", ""));
    let answer = ask(&bench, "Is there a boat?").await;
    assert_eq!(basis(&bench, &answer).await, "words and vectors");
    assert_eq!(embedder.requests(), before, "neither the texts nor the question were asked again");
    // Another text, other vectors; and another embedder under the same name has none of the old ones.
    bench.reload(&document(&sim, &embedder, "", ", pies"));
    is_ready(&bench).await;
    assert!(embedder.requests() > before);
    assert!(embedder.asked.lock().last().unwrap().1.to_string().contains("pies"));
    let before = embedder.requests();
    bench.reload(&document(&sim, &embedder, ", dimensions: 3", ", pies"));
    is_ready(&bench).await;
    assert!(embedder.requests() > before + 1, "the texts and the question");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedder_that_hangs_costs_a_call_its_time_limit_and_then_nothing() {
    let (sim, embedder) = (sim().await, Embedder::start(Mode::Right).await);
    let bench = Bench::start(&document(&sim, &embedder, ", timeout: 2s", "")).await;
    is_ready(&bench).await;
    embedder.be(Mode::Hang);
    let before = embedder.requests();
    for number in 0..3 {
        let answer = ask(&bench, &format!("Where is boat {number}?")).await;
        assert!((Duration::from_secs(2)..Duration::from_secs(12)).contains(&answer.took), "{:?}", answer.took);
        assert_eq!(basis(&bench, &answer).await, NO_VECTOR);
        let record = bench.record(&answer).await;
        assert!(record["overhead_ms"].as_f64().is_none_or(|own| own < 1500.0), "waiting is not our own work: {record}");
    }
    assert_eq!(embedder.requests(), before + 3);
    // Now it is left alone: no call waits for it, and questions that are known have their vectors all the same.
    let mut took = Duration::ZERO;
    for number in 3..20 {
        let answer = ask(&bench, &format!("Where is boat {number}?")).await;
        took += answer.took;
        assert_eq!(basis(&bench, &answer).await, NO_VECTOR);
    }
    assert!(took < Duration::from_secs(17), "a second for each is less than the time limit: {took:?}");
    assert_eq!(embedder.requests(), before + 3);
    let answer = ask(&bench, "Is there a boat?").await;
    assert_eq!(basis(&bench, &answer).await, "words and vectors");
    bench.is_back_at_baseline(&[&sim]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_no_good_leaves_the_words() {
    let (sim, embedder) = (sim().await, Embedder::start(Mode::Right).await);
    for mode in [Mode::Short, Mode::Broken, Mode::Limited, Mode::Garbage, Mode::Huge] {
        embedder.be(Mode::Right);
        let bench = Bench::start(&document(&sim, &embedder, ", dimensions: 3", "")).await;
        is_ready(&bench).await;
        embedder.be(mode);
        let answer = ask(&bench, "Where is the boat?").await;
        assert_eq!(basis(&bench, &answer).await, NO_VECTOR, "{mode:?}");
    }
    // Where the dimensions are not asked for, those of a question may be others than those of the targets.
    embedder.be(Mode::Right);
    let bench = Bench::start(&document(&sim, &embedder, "", "")).await;
    is_ready(&bench).await;
    embedder.be(Mode::Short);
    let answer = ask(&bench, "Where is the boat?").await;
    assert_eq!(basis(&bench, &answer).await, "words, since the vectors have different dimensions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedder_that_is_not_there_yet_keeps_nobody_waiting() {
    for mode in [Mode::Hang, Mode::Broken, Mode::Short] {
        let (sim, embedder) = (sim().await, Embedder::start(mode).await);
        let bench = Bench::start(&document(&sim, &embedder, ", dimensions: 3", "")).await;
        eventually("the texts were asked for", SOON, async || embedder.requests() > 0).await;
        let answer = ask(&bench, "Where is the boat?").await;
        assert!(answer.took < Duration::from_secs(10), "{mode:?}: {:?}", answer.took);
        assert_eq!(basis(&bench, &answer).await, NOT_YET, "{mode:?}");
        assert!(
            embedder.asked.lock().iter().all(|(_, body)| body["input"].as_array().unwrap().len() > 1),
            "no question"
        );
        if mode == Mode::Hang {
            continue; // it would be asked again after its 30 seconds
        }
        embedder.be(Mode::Right);
        is_ready(&bench).await;
        let answer = ask(&bench, "How is a boat steered?").await;
        assert_eq!(answer.header("x-tradewind-target"), Some("up/sailor"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedder_that_hangs_keeps_no_other_ones_models_waiting() {
    let (sim, embedder) = (sim().await, Embedder::start(Mode::Right).await);
    let hanging = Embedder::start(Mode::Hang).await;
    let mut document = document(&sim, &embedder, "", "").replacen(
        "embedders: [",
        &format!(
            "  - {{name: silent, dialect: openai, base-url: \"{}\", api-key: v, discover: false}}\n\
                 embedders: [{{name: hanging, type: openai, provider: silent, model: m}}, ",
            hanging.url
        ),
        1,
    );
    for number in 0..12 {
        document.push_str(&format!(
            "  - {{name: other-{number}, strategy: score, score: {{embedder: hanging}}, \
             targets: [{{use: up/x, good-at: [text {number}]}}]}}\n"
        ));
    }
    let bench = Bench::start(&document).await;
    is_ready(&bench).await;
    assert!(hanging.requests() <= 1, "it is not asked for the next model while it does not answer");
}

/// Otherwise one caller could take it from all others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedder_that_refuses_texts_is_asked_for_others_all_the_same() {
    let (sim, embedder) = (sim().await, Embedder::start(Mode::Right).await);
    let bench = Bench::start(&document(&sim, &embedder, "", "")).await;
    is_ready(&bench).await;
    embedder.be(Mode::Refusing);
    for number in 0..6 {
        let answer = ask(&bench, &format!("Where is boat {number}?")).await;
        assert_eq!(basis(&bench, &answer).await, NO_VECTOR);
    }
    embedder.be(Mode::Right);
    let answer = ask(&bench, "How is a boat steered?").await;
    assert_eq!(basis(&bench, &answer).await, "words and vectors");
    assert_eq!(answer.header("x-tradewind-target"), Some("up/sailor"));
}

/// A model that keeps answers by the vectors of questions. `asking` is added to the embedder, `more` to the provider.
fn keeping(sim: &Sim, embedder: &Embedder, asking: &str, more: &str) -> String {
    let asking = patiently(asking);
    format!(
        "providers:\n  - {{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false{more}}}\n  \
         - {{name: vectors, dialect: openai, base-url: \"{}\", api-key: v, discover: false}}\n\
         embedders: [{{name: remote, type: openai, provider: vectors, model: embed-small{asking}}}]\n\
         models:\n  - {{name: assistant, cache: {{meaning: {{threshold: 0.9, embedder: remote}}}}, targets: [{{use: up/sailor}}]}}\n",
        sim.base_url(),
        embedder.url
    )
}

/// Of a kept answer, that of the question to the one that it was made for.
fn similarity(answer: &Answer) -> Option<&str> {
    let said = answer.header("x-tradewind-cache")?;
    let found = said.strip_prefix("meaning; age=").and_then(|said| said.split_once("; similarity="));
    Some(found.unwrap_or_else(|| panic!("{said}")).1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_kept_by_its_vectors() {
    let (sim, embedder) = (sim().await, Embedder::start(Mode::Right).await);
    let bench = Bench::start(&keeping(&sim, &embedder, "", "")).await;
    let found = async |text: &str| {
        let answer = ask(&bench, text).await;
        similarity(&answer).map(str::to_owned)
    };
    let near = Some("1.00".to_owned());
    let (boat, paraphrase) = ("Which way does the boat go from here?", "Which way is the boat going from here?");
    assert_eq!(found(boat).await, None);
    assert_eq!(found(paraphrase).await, near);
    assert_eq!((sim.stats().requests, embedder.requests()), (1, 2), "each question is asked once");
    assert_eq!(found("Which way does the cake go from here?").await, None, "far by its vector");
    assert_eq!(found("Which way does the boat not go from here?").await, None, "near, and the contrary");
    // A reload keeps them with their vectors, unless those are others, or the provider is.
    bench.reload(&format!("# the same\n{}", keeping(&sim, &embedder, "", "")));
    let before = embedder.requests();
    assert_eq!(found(paraphrase).await, near);
    assert_eq!(embedder.requests(), before);
    bench.reload(&keeping(&sim, &embedder, ", dimensions: 3", ""));
    assert_eq!(found(boat).await, None);
    assert_eq!(found(paraphrase).await, near);
    bench.reload(&keeping(&sim, &embedder, ", dimensions: 3", ", headers: {x-site: two}"));
    assert_eq!(found(paraphrase).await, None);
    // Without a vector nothing is compared, and no call is lost.
    embedder.be(Mode::Broken);
    assert_eq!(found("Which way would the boat be going from here?").await, None);
    bench.is_back_at_baseline(&[&sim]).await;
}

/// What the embedder does not read, or what hardly shows in a vector of so much text, could turn all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_text_with_another_end_is_another_question() {
    let (sim, embedder) = (sim().await, Embedder::start(Mode::Right).await);
    let bench = Bench::start(&keeping(&sim, &embedder, "", "")).await;
    for (piece, times) in [("the boat goes on over the water ", 30), ("船在水上走 boat ", 180)] {
        let text = piece.repeat(times);
        for end in ["please praise it", "please mock it"] {
            let answer = ask(&bench, &format!("{text} {end}")).await;
            assert_eq!(answer.header("x-tradewind-cache"), None, "{end}");
        }
    }
    assert_eq!((sim.stats().requests, embedder.requests()), (4, 0));
}

/// A call that is refused all the same does not make the gateway pay for a vector.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedder_is_not_asked_for_a_call_that_is_refused() {
    let (sim, embedder) = (sim().await, Embedder::start(Mode::Right).await);
    let keys = "keys:\n  - {name: usual, secret: secret-of-usual-0123456789}\n  \
                - {name: poor, secret: secret-of-poor-0123456789, budget: {usd: 0.001, per: day}}\n  \
                - {name: slow, secret: secret-of-slow-0123456789, tpm: 20}\n";
    let limited = document(&sim, &embedder, "", "")
        .replace("{use: up/baker,", "{use: up/baker, tools: false, price: {input: 1, output: 10},")
        .replace("{use: up/sailor,", "{use: up/sailor, tools: false, price: {input: 1, output: 10},");
    let bench = Bench::start(&format!("{limited}{keys}")).await;
    let ask = async |key: &str, text: &str, more: Value| {
        let mut body = question(Dialect::OpenAi, "assistant", false);
        body["messages"][0]["content"] = text.into();
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let headers = format!("authorization: Bearer secret-of-{key}-0123456789\r\n");
        bench.ask_with(Dialect::OpenAi, &body, &headers).await
    };
    eventually("the targets have been asked for, and then a question", SOON, async || {
        ask("usual", "Is there a boat?", json!({})).await;
        embedder.requests() > 1
    })
    .await;
    let before = embedder.requests();
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    for (key, more, status) in [
        ("usual", json!({"tools": tools}), 400),
        ("poor", json!({"max_tokens": 200}), 429),
        ("slow", json!({"max_tokens": 200}), 429),
    ] {
        for number in 0..3 {
            let refused = ask(key, &format!("Where is the {key} boat {number}?"), more.clone()).await;
            assert_eq!(refused.status, status, "{key}: {}", refused.text());
        }
        assert_eq!(embedder.requests(), before, "{key}");
    }
    // Within the budget it is asked, and nothing stays held back.
    for number in 0..20 {
        let answer = ask("poor", &format!("Where is boat {number}?"), json!({"max_tokens": 1})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(embedder.requests(), before + number + 1);
    }
}

/// The vectors of the simulated provider are near for the same text only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_gives_answers_and_vectors() {
    let sim = sim().await;
    let yaml = format!(
        "providers: [{{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}]\n\
         embedders: [{{name: remote, type: openai, provider: up, model: embed-small, dimensions: 64, timeout: 15s}}]\n\
         models:\n  - {{name: assistant, cache: {{meaning: {{embedder: remote}}}}, targets: [{{use: up/small}}]}}\n",
        sim.base_url()
    );
    let bench = Bench::start(&yaml).await;
    for (text, found, asked) in [
        ("Which way does the wind blow?", None, 2),
        ("Which way does the wind blow?", Some("1.00"), 2),
        ("  Which way does the wind blow? ", Some("1.00"), 2),
        ("Which way is the wind blowing?", None, 4),
    ] {
        let answer = ask(&bench, text).await;
        assert_eq!(similarity(&answer), found, "{text:?}");
        assert_eq!(sim.stats().requests, asked, "{text:?}");
    }
    bench.is_back_at_baseline(&[&sim]).await;
}
