//! Who is asked by what a question means, with the built-in embedder: languages, abstention, complexity. Load has no weight
//! here, so that nothing is left to chance.

use serde_json::json;

use super::world::{CODE, CODER, FACT, SMALL, World, candidate, part};

const BY_MEANING: &str = "meaning: 0.8, load: 0, cost: 0.2";

/// A long task with code and conditions.
const TASK: &str = "Review and debug this program code:\n```rust\nfn parse(date: &str) -> Option<Date> {\n    let (day, rest) = \
                    date.split_once('.')?;\n    Date::new(day, rest)\n}\n```\nIt must never panic, and it has to take \
                    at most 10 characters unless the year is missing. If \"Day\" or \"Month\" is wrong, return None; \
                    otherwise ensure that every date between 1970-01-01 and 2099-12-31 is read exactly. Compare both \
                    ways, step by step, and write the result as a table with one row for each case.";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_about_code_goes_to_the_coder_and_a_short_fact_to_the_small_one() {
    let world = World::start(BY_MEANING, &[SMALL, CODER], "").await;
    for _ in 0..5 {
        assert_eq!(world.who(CODE).await, "up/coder");
        assert_eq!(world.who(FACT).await, "up/small");
    }
    // What the user said last is what counts, not what was said before.
    let talk = json!({"model": "assistant", "messages": [
        {"role": "system", "content": "You write and review program code."}, {"role": "user", "content": CODE},
        {"role": "assistant", "content": "Done."}, {"role": "user", "content": FACT}]});
    let answer = world.ask_with(&talk, "").await;
    assert_eq!(answer.header("x-tradewind-target"), Some("up/small"));
    // With typos, and the other way round in the file.
    assert_eq!(world.who("Plaese revew this Rust functon and debgu its code.").await, "up/coder");
    world.bench.reload(&super::world::document(&world.sim, BY_MEANING, &[CODER, SMALL], ""));
    assert_eq!(world.who(FACT).await, "up/small");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chinese_question_finds_what_is_described_in_english() {
    let world = World::start(BY_MEANING, &[SMALL, CODER], "").await;
    let record = world.record("帮我检查这个函数的代码并调试程序").await;
    assert_eq!(record["chosen"], "up/coder", "{record}");
    assert!(part(&record, "up/coder", "meaning") > 0.9, "{record}");
    assert_eq!(world.who("法国的首都是哪里？").await, "up/small");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_decides_where_meaning_is_equal() {
    let target = |name: &str, price: &str| format!("{{use: up/{name}, price: {price}, good-at: [program code]}}");
    let (dear, cheap) = (target("dear", "{input: 15, output: 60}"), target("cheap", "{input: 0.5, output: 2}"));
    let world = World::start(BY_MEANING, &[&dear, &cheap], "").await;
    let record = world.record(CODE).await;
    assert!(part(&record, "up/cheap", "total") > part(&record, "up/dear", "total") + 0.1, "no chance: {record}");
    assert_eq!(record["chosen"], "up/cheap", "{record}");
    assert!((part(&record, "up/dear", "meaning") - part(&record, "up/cheap", "meaning")).abs() < 1e-6, "{record}");
    assert!(part(&record, "up/dear", "cost") < 1.0 && part(&record, "up/cheap", "cost") == 1.0, "{record}");
    assert!(part(&record, "up/dear", "price_usd") > part(&record, "up/cheap", "price_usd"), "{record}");
    // Where cost has no weight, the price is still told, and does not decide.
    let nothing_said = ["{use: up/dear, price: {input: 3, output: 15}, good-at: [code]}", SMALL];
    world.bench.reload(&super::world::document(&world.sim, "meaning: 1, load: 0, cost: 0", &nothing_said, ""));
    assert_eq!(world.who(CODE).await, "up/dear");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_none_fits_the_default_leads() {
    let score = format!("{BY_MEANING}, abstain-below: 0.3, default: up/coder");
    let world = World::start(&score, &[SMALL, CODER], "").await;
    let record = world.record("qwx zzkj vvbn").await;
    let meaning = &record["choice"]["meaning"];
    assert_eq!((&meaning["abstained"], &meaning["embedder"]), (&json!(true), &json!("lexical")), "{record}");
    assert!(meaning["confidence"].as_f64().unwrap() < 0.3, "{record}");
    assert_eq!(record["chosen"], "up/coder", "{record}");
    assert_eq!(candidate(&record, "up/coder")["reason"], "the default, since none fits by meaning");
    assert_eq!(record["candidates"][0]["parts"]["score"]["weights"]["meaning"], json!(0.0), "{record}");
    // A question that fits is not the default's.
    let record = world.record("A short factual question: what is the capital of Italy?").await;
    assert_eq!(
        (&record["chosen"], &record["choice"]["meaning"]["abstained"]),
        (&json!("up/small"), &json!(false)),
        "{record}"
    );

    // A default that may not be asked leads nobody.
    let no_tools = CODER.replacen("{use", "{tools: false, use", 1);
    world.bench.reload(&super::world::document(&world.sim, &score, &[SMALL, &no_tools], ""));
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let asked = super::world::with(super::world::body("qwx zzkj vvbn"), "tools", tools);
    assert_eq!(super::world::target(&world.ask_with(&asked, "").await), "up/small");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_answer_is_not_who_fits() {
    let score = format!("{BY_MEANING}, abstain-below: 0.3, default: up/small");
    let poet = "{use: up/poet, good-at: [poems, songs, rhymes]}";
    let no_tools = CODER.replacen("{use", "{tools: false, use", 1);
    let world = World::start(&score, &[&no_tools, SMALL, poet], "").await;
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let (plain, asked) = (super::world::body(CODE), super::world::with(super::world::body(CODE), "tools", tools));
    for (request, chosen, abstained) in [(&plain, "up/coder", false), (&asked, "up/small", true)] {
        let record = world.bench.record(&world.ask_with(request, "").await).await;
        assert_eq!(record["chosen"], chosen, "{record}");
        assert_eq!(record["choice"]["meaning"]["abstained"], json!(abstained), "{record}");
        let confidence = record["choice"]["meaning"]["confidence"].as_f64().unwrap();
        assert_eq!(confidence < 0.3, abstained, "{record}");
        let eligible = record["candidates"].as_array().unwrap().iter().filter(|one| one["eligible"] == json!(true));
        let shares: f64 = eligible.map(|one| one["parts"]["score"]["meaning"].as_f64().unwrap()).sum();
        assert!((shares - 1.0).abs() < 1e-5, "those that may answer have 1 together: {record}");
        let preview = world.preview(request, &json!({})).await;
        assert_eq!(preview["choice"]["meaning"], record["choice"]["meaning"], "{preview}");
    }
    // Where nobody is left of whom anything is said, none fits.
    let plain = "{use: up/plain}";
    world.bench.reload(&super::world::document(&world.sim, "meaning: 1, load: 0, cost: 0", &[&no_tools, plain], ""));
    let record = world.bench.record(&world.ask_with(&asked, "").await).await;
    assert_eq!((&record["chosen"], &record["choice"]["meaning"]["abstained"]), (&json!("up/plain"), &json!(true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_default_meaning_counts_nothing_where_none_fits() {
    // By meaning the coder would lead: the margin alone makes the gateway abstain.
    let world = World::start("meaning: 0.8, load: 0, cost: 0.2, margin: 1", &[CODER, SMALL], "").await;
    let record = world.record(CODE).await;
    assert_eq!(record["choice"]["meaning"]["abstained"], json!(true), "{record}");
    let score = &candidate(&record, "up/coder")["parts"]["score"];
    assert_eq!(score["weights"], json!({"meaning": 0.0, "load": 0.0, "cost": 1.0}), "{record}");
    assert_eq!(score["set_weights"], json!({"meaning": 0.8, "load": 0.0, "cost": 0.2}), "{record}");
    assert!(part(&record, "up/coder", "meaning") > part(&record, "up/small", "meaning"), "{record}");
    assert_eq!(record["chosen"], "up/small", "the cheaper one: {record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_complex_question_gives_meaning_more_weight() {
    // A hundred times the price, which is all the difference that cost can make.
    let cheap = "{use: up/small, price: {input: 0.03, output: 0.15}, good-at: [small talk, jokes, poems]}";
    let world = World::start("meaning: 0.55, load: 0, cost: 0.45", &[cheap, CODER], "").await;
    let (plain, complex) = (world.record("Review program code.").await, world.record(TASK).await);
    let value = |record: &serde_json::Value| record["choice"]["complexity"]["value"].as_f64().unwrap();
    assert!(value(&complex) > value(&plain) + 0.3, "{} {}", plain["choice"], complex["choice"]);
    for part in ["length", "spread", "entities", "code", "constraints"] {
        let of = |record: &serde_json::Value| record["choice"]["complexity"][part].as_f64().unwrap();
        assert!(of(&complex) > of(&plain), "{part}: {} {}", plain["choice"], complex["choice"]);
    }
    for record in [&plain, &complex] {
        let score = &candidate(record, "up/coder")["parts"]["score"];
        let weight = score["weights"]["meaning"].as_f64().unwrap();
        assert!((weight - (0.55 + 0.55 * 0.45 * value(record))).abs() < 1e-6, "{record}");
        assert!((score["complexity"].as_f64().unwrap() - value(record)).abs() < 1e-6, "{record}");
        assert!((score["set_weights"]["meaning"].as_f64().unwrap() - 0.55).abs() < 1e-9, "{record}");
    }
    // By the weights of the file the cheap one would answer; for this question the coder is worth its price.
    let total = |target: &str, weights: &str| -> f64 {
        let score = &candidate(&complex, target)["parts"]["score"];
        ["meaning", "cost"]
            .iter()
            .map(|part| score[weights][part].as_f64().unwrap() * score[part].as_f64().unwrap())
            .sum()
    };
    assert!(total("up/small", "set_weights") > total("up/coder", "set_weights"), "{complex}");
    assert!(total("up/small", "weights") < total("up/coder", "weights") - 0.1, "{complex}");
    assert_eq!(complex["chosen"], "up/coder", "{complex}");
}
