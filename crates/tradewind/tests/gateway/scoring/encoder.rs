//! The encoder that is computed here, from its files in the data directory to the target of a call. Its weights are invented
//! ones in the shape of the published: what it finds alike is beside the point, and the same as without a gateway.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_meaning::{Chooser, Described, Embedder, Encoder, Fit, Question};
use tradewind_runtime::files;
use tradewind_sim::{Sim, SimOptions};

use super::world::{body, part, target};
use crate::support::{Bench, eventually};

#[path = "../../../../meaning/src/encoder/sample.rs"]
mod sample;

const TEXTS: [[&str; 2]; 3] = [["bag of leek", "pale reed"], ["sun sits", "dusty drum"], ["move in fog", "goof"]];

fn described() -> Vec<Described> {
    TEXTS.map(|texts| Described::from_texts(texts.map(str::to_owned).to_vec(), Vec::new())).to_vec()
}

/// A model that chooses by meaning alone, with the encoder where it is named.
fn document(sim: &Sim, with_encoder: bool, more: &str) -> String {
    let names = ["a", "b", "c"];
    let targets: Vec<String> =
        names.iter().zip(TEXTS).map(|(name, texts)| format!("{{use: up/{name}, good-at: {texts:?}}}")).collect();
    let (embedders, embedder) = if with_encoder {
        ("embedders: [{name: encoder, type: universal-sentence-encoder}]\n", ", embedder: encoder")
    } else {
        ("", "")
    };
    format!(
        "providers:\n  - {{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}\n{embedders}\
         models:\n  - name: assistant\n    strategy: score\n    score: {{meaning: 1, load: 0, cost: 0{embedder}}}\n    \
         targets: [{}]\n{more}",
        sim.base_url(),
        targets.join(", ")
    )
}

fn folder(bench: &Bench) -> PathBuf {
    bench.folder.path().join("data/embedders/universal-sentence-encoder")
}

#[expect(clippy::disallowed_methods, reason = "as somebody else writes them")]
fn put_files(bench: &Bench, model: &[u8], weights: &[u8]) {
    files::make_private_dir(&folder(bench)).unwrap();
    for (name, bytes) in [("sp.model", model), ("weights.npz", weights), ("LICENSE", b"none")] {
        std::fs::write(folder(bench).join(name), bytes).unwrap();
    }
}

/// Four questions of which no word and no part of one stands at a target, and that by their vectors one target fits
/// clearly: two for each of two targets, with what is to be found.
fn clear_questions(encoder: &Encoder) -> Vec<(String, Fit)> {
    let (words, vectors) =
        (Chooser::lexical(&described()).unwrap(), Chooser::with_embedder(&described(), encoder).unwrap());
    let letters = ["q", "x", "y", "z", "j", "h", "w", "v", "c", "t", "k"];
    let pairs = letters.iter().flat_map(|one| letters.map(|two| (*one, two)));
    let mut found: Vec<(String, Fit)> = Vec::new();
    for text in pairs.map(|(one, two)| format!("{one}{two}{one} {two}{one}{one}{two}")) {
        let by_words = words.fit(&Question { text: &text, vector: None });
        if by_words.targets.iter().any(|target| target.score > 0.0) {
            continue;
        }
        let vector = encoder.embed(&text);
        let fit = vectors.fit(&Question { text: &text, vector: Some(&vector) });
        let mut shares: Vec<f32> = fit.targets.iter().map(|target| target.share).collect();
        shares.sort_unstable_by(f32::total_cmp);
        if shares[2] - shares[1] > 0.12 && found.iter().filter(|(_, known)| known.best == fit.best).count() < 2 {
            found.push((text, fit));
            if found.len() == 4 {
                return found;
            }
        }
    }
    panic!("no such questions: {found:?}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_vectors_lead_a_call_to_its_target() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let bench = Bench::start(&document(&sim, false, "")).await;
    put_files(&bench, &sample::model(), &sample::npz(&sample::arrays()));
    bench.reload(&document(&sim, true, ""));
    let encoder = Encoder::load(&sample::model(), &sample::npz(&sample::arrays())).unwrap();
    for (text, fit) in &clear_questions(&encoder) {
        for time in 0..2 {
            let answer = bench.ask_with(Dialect::OpenAi, &body(text), "").await;
            let who = ["up/a", "up/b", "up/c"][fit.best.unwrap()];
            assert_eq!(target(&answer), who, "{text} {time}");
            let record = bench.record(&answer).await;
            assert_eq!(record["choice"]["meaning"]["basis"], "words and vectors", "{record}");
            for (name, target) in ["up/a", "up/b", "up/c"].iter().zip(&fit.targets) {
                assert!((part(&record, name, "meaning") - f64::from(target.share)).abs() < 1e-4, "{text}: {record}");
            }
        }
    }
    // Of several sentences the spread is that of their vectors, and the same when the question comes again.
    let several = "The cat sat. Question my aunt! Is the dog here?";
    let mut seen = Vec::new();
    for _ in 0..3 {
        let record = bench.record(&bench.ask_with(Dialect::OpenAi, &body(several), "").await).await;
        seen.push(record["choice"]["complexity"]["spread"].as_f64().unwrap());
    }
    let spread = tradewind_meaning::Complexity::spread_of(several, &encoder).unwrap();
    assert!(seen.iter().all(|seen| (seen - f64::from(spread)).abs() < 1e-5), "{seen:?} {spread}");
    bench.is_back_at_baseline(&[&sim]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_weights_are_refused_and_calls_go_on() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let bench = Arc::new(Bench::start(&document(&sim, false, "")).await);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut calling = JoinSet::new();
    let (calls, stopped, counted) = (bench.clone(), stop.clone(), answered.clone());
    calling.spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            let answer = calls.ask_with(Dialect::OpenAi, &body("bag of leek"), "").await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(target(&answer), "up/a", "by its words");
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let refused = |what: &str| {
        let said = bench.try_reload(&document(&sim, true, "")).unwrap_err();
        assert!(said.contains("`encoder`") && said.contains("tradewind embedder install"), "{what}: {said}");
    };
    refused("not installed");
    let (model, weights) = (sample::model(), sample::npz(&sample::arrays()));
    let mut flipped = weights.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    let short_model = &model[..model.len() / 2];
    for (what, model, weights) in [
        ("cut off", &model[..], &weights[..weights.len() - 100]),
        ("one bit is another", &model, &flipped),
        ("empty", &model, &[]),
        ("no archive", &model, b"weights"),
        ("half a vocabulary", short_model, &weights),
    ] {
        put_files(&bench, model, weights);
        let before = answered.load(Ordering::Relaxed);
        refused(what);
        let goes_on = async || answered.load(Ordering::Relaxed) > before + 2;
        eventually("calls go on", crate::support::SOON, goes_on).await;
        // What is in force is what was.
        let record = bench.record(&bench.ask_with(Dialect::OpenAi, &body("bag of leek"), "").await).await;
        assert_eq!(record["choice"]["meaning"]["embedder"], json!("lexical"), "{what}: {record}");
    }
    put_files(&bench, &model, &weights);
    bench.reload(&document(&sim, true, ""));
    let record = bench.record(&bench.ask_with(Dialect::OpenAi, &body("bag of leek"), "").await).await;
    assert_eq!(record["choice"]["meaning"]["embedder"], json!("encoder"), "{record}");
    // It has been read: what becomes of the files later is nothing to calls or reloads.
    put_files(&bench, short_model, &flipped);
    bench.reload(&document(&sim, true, "    timeouts: {total: 9s}\n"));
    let record = bench.record(&bench.ask_with(Dialect::OpenAi, &body("bag of leek"), "").await).await;
    assert_eq!(record["choice"]["meaning"]["basis"], json!("words and vectors"), "{record}");
    stop.store(true, Ordering::Relaxed);
    calling.join_next().await.unwrap().unwrap();
    bench.is_back_at_baseline(&[&sim]).await;
}
