//! `tradewind evaluate`: the report of a small set, and what is said of sets and settings that cannot be used.

use insta::assert_snapshot;
use serde_json::Value;

use crate::program::{Ended, Place};

/// Three targets that are good at different things.
const DOCUMENT: &str = r#"
data-dir: data
providers:
  - {name: small, dialect: openai, base-url: "http://127.0.0.1:9/v1", api-key: k}
  - {name: large, dialect: openai, base-url: "http://127.0.0.1:9/v1", api-key: k}
models:
  - name: assistant
    strategy: score
    score: {meaning: 0.8, load: 0.1, cost: 0.1, abstain-below: 0.2, margin: 0.01, default: small/mini}
    route: [{when: {role: admin}, use: large/coder}]
    targets:
      - {use: small/mini, price: {input: 0.25, output: 2}, good-at: [short questions about capitals and history]}
      - {use: large/coder, price: {input: 3, output: 15}, good-at: ["writing and repairing source code, Rust and Python"]}
      - {use: large/translator, price: {input: 1, output: 4}, good-at: [translating texts into German and French]}
  - {name: dice, strategy: weighted, targets: [{use: small/mini}, {use: large/coder}]}
"#;

const SET: &str = r#"{"question": "Which capital has Peru? I like history.", "target": "small/mini"}
{"question": "Write a Python function, please; source code only", "target": "large/coder"}
{"question": "My Rust source code needs repairing", "target": ["large/coder", "small/mini"]}
{"question": "Translate this contract into French", "target": "large/translator"}
{"question": "Guten Abend, was machst du?", "target": "large/translator"}
{"question": "pizza with cheese", "target": null}

{"question": "any", "target": "large/coder", "context": {"role": "admin", "device": "mobile", "tags": ["batch"]}}
{"dialect": "anthropic", "target": "large/coder", "request": {"max_tokens": 9, "messages": [{"role": "user", "content": "Python source code"}]}}
"#;

fn place() -> Place {
    let place = Place::new();
    place.file("tradewind.yaml", DOCUMENT);
    place.file("set.jsonl", SET);
    place
}

fn refused(place: &Place, arguments: &[&str]) -> String {
    let Ended { code, stdout, stderr } = place.tradewind(arguments);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    stderr
}

#[test]
fn the_table_says_how_good_the_choice_is() {
    let place = place();
    let ended = place.tradewind(&["evaluate", "set.jsonl"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(ended.stdout, @"
    assistant: 8 questions of set.jsonl, 1 without a right target; strategy score
    compared by the embedder lexical: words (7)

    ACCURACY                               QUESTIONS  RIGHT    SHARE
    top-1 by meaning, where a target fits          6      5    0.833
    by meaning, with abstention                    7      6    0.857
    abstained, where none fits                     1      1    1.000
    by the decision, where a target fits           7      6    0.857
    by the decision                                8      7    0.875

    COVERAGE  THRESHOLD    RIGHT   abstaining below a confidence
       0.143      0.993    1.000
       0.286      0.991    1.000
       0.714      0.922    1.000
       0.857      0.155    0.833
       1.000      0.006    0.714
    in effect, abstain-below 0.2 and margin 0.01: coverage 0.714, right 5 of 5
    AUC of the confidence, a target fits against none: 1.000

    CONFIDENCE QUESTIONS       MEAN    RIGHT
    0.0 - 0.1          1      0.006    0.000
    0.1 - 0.2          1      0.155    0.000
    0.9 - 1.0          5      0.959    1.000
    expected calibration error: 0.052

    EXPECTED COST
    as chosen           $0.020287
    always cheapest     $0.006042
    always dearest      $0.045426
    cheapest right      $0.014759
    over 7 questions; left out, as no price is known at the chosen target: 1

    CONFUSION by meaning: a row for what is right, a column for what was chosen
                         1 2 3 4
      1 large/coder      3 . . .
      2 large/translator . 1 . 1
      3 small/mini       . . 1 .
      4 none             . . . 1
    ");
    assert_eq!(place.tradewind(&["evaluate", "set.jsonl"]).stdout, ended.stdout, "nothing is left to chance");
    assert!(!place.path().join("data").exists(), "nothing is written");
}

#[test]
fn json_and_picture_have_the_same_numbers() {
    let place = place();
    let ended = place.tradewind(&["evaluate", "set.jsonl", "--json", "--svg", "out.svg"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), "drew out.svg\n"));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_snapshot!(format!("{keys:?}"), @r#"["abstain_below", "abstention", "accuracy", "bases", "calibration", "confusion", "cost", "embedder", "embedder_not_asked", "margin", "model", "none", "questions", "set", "strategy"]"#);
    assert_snapshot!(report["accuracy"], @r#"{"abstained_where_none_fits":{"accuracy":1.0,"questions":1,"right":1},"by_decision":{"accuracy":0.875,"questions":8,"right":7},"by_decision_where_one_fits":{"accuracy":0.8571428571428571,"questions":7,"right":6},"by_meaning":{"accuracy":0.8571428571428571,"questions":7,"right":6},"top1_by_meaning":{"accuracy":0.8333333333333334,"questions":6,"right":5}}"#);
    assert_snapshot!(report["cost"], @r#"{"cheapest_usd":0.00604225,"chosen_usd":0.02028725,"dearest_usd":0.045426,"questions":7,"right_usd":0.01475925,"without_price":1}"#);
    let svg = std::fs::read_to_string(place.path().join("out.svg")).unwrap();
    let auc = format!("AUC {:.3}", report["abstention"]["auc"].as_f64().unwrap());
    let ece = format!("ECE {:.3}", report["calibration"]["ece"].as_f64().unwrap());
    assert!(svg.starts_with("<svg ") && svg.contains(&auc) && svg.contains(&ece), "{auc} {ece}\n{svg}");
}

#[test]
fn a_threshold_takes_the_place_of_the_one_in_the_file() {
    let place = place();
    let coverage = |threshold: &str| {
        let ended = place.tradewind(&["evaluate", "set.jsonl", "--json", "--threshold", threshold]);
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        (report["abstain_below"].as_f64().unwrap(), report["abstention"]["coverage"].as_f64().unwrap())
    };
    assert_eq!(coverage("1"), (1.0, 0.0));
    let (_, all) = coverage("0");
    assert!(all > 0.7, "{all}");
    for wrong in ["1.01", "-0.1", "NaN", "high"] {
        let ended = place.tradewind(&["evaluate", "set.jsonl", &format!("--threshold={wrong}")]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains("a confidence is a number from 0 to 1"), "{}", ended.stderr);
    }
}

#[test]
fn draws_have_a_fixed_seed() {
    let place = place();
    place.file("set.jsonl", &"{\"question\": \"any\", \"target\": \"small/mini\"}\n".repeat(40));
    let run = || place.tradewind(&["evaluate", "set.jsonl", "--model", "dice", "--json"]).stdout;
    let report: Value = serde_json::from_str(&run()).unwrap();
    let right = report["accuracy"]["by_decision"]["right"].as_u64().unwrap();
    assert!((5..=35).contains(&right), "{right} of 40 draws");
    assert_eq!(run(), run());
}

#[test]
fn nobody_is_called() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let place = place();
    let document = DOCUMENT
        .replace("127.0.0.1:9", &listener.local_addr().unwrap().to_string())
        .replace("score: {", "score: {embedder: far, ")
        .replace("models:", "embedders: [{name: far, type: openai, provider: small, model: vectors}]\nmodels:");
    place.file("tradewind.yaml", &document);
    let ended = place.tradewind(&["evaluate", "set.jsonl"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("nobody is asked here"), "{}", ended.stdout);
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody was called");
}

#[test]
fn each_bad_line_is_told() {
    let place = place();
    place.file(
        "bad.jsonl",
        "{\"question\": \"a\", \"target\": \"small/mini\"}\n\
         {\"question\": \"a\"}\n\
         {\"question\": \"a\", \"target\": \"small/mimi\"}\n\
         {\"question\": \"a\", \"target\": \"dice\"}\n\
         {\"question\": \"a\", \"target\": []}\n\
         {\"question\": \"a\", \"target\": [null]}\n\
         {\"question\": \"\", \"target\": null}\n\
         {\"target\": null}\n\
         {\"question\": \"a\", \"target\": null, \"labels\": 3}\n\
         {\"question\": \"a\", \"target\": null, \"dialect\": \"openai\"}\n\
         {\"question\": \"a\", \"target\": null, \"context\": {\"device\": \"toaster\"}}\n\
         {\"question\": \"a\", \"target\": \"zzz\"\n\
         [1]\n",
    );
    assert_snapshot!(refused(&place, &["evaluate", "bad.jsonl"]), @r#"
    error: bad.jsonl:2:17: missing field `target`
    error: bad.jsonl:3: no model has the target `small/mimi`: did you mean `small/mini`?
    error: bad.jsonl:4: `dice` is a model: name the targets behind it that are right
    error: bad.jsonl:5: `target` has to be "provider/model", a list of these, or null where none is right; the list is empty
    error: bad.jsonl:6: `target` has to be "provider/model", a list of these, or null where none is right
    error: bad.jsonl:7: `question` is empty
    error: bad.jsonl:8: there is neither `question` nor `request`
    error: bad.jsonl:9:42: unknown field `labels`, expected one of `question`, `target`, `request`, `dialect`, `context`
    error: bad.jsonl:10: `dialect` says what `request` is written in, and there is no `request`
    error: bad.jsonl:11:65: unknown variant `toaster`, expected one of `mobile`, `desktop`, `server`, `ci`, `cli`
    error: bad.jsonl:12:33: EOF while parsing an object
    error: bad.jsonl:13: it is no JSON object
    "#);
    place.file("refused.jsonl", "{\"target\": null, \"request\": {\"messages\": 7}}\n");
    assert_snapshot!(refused(&place, &["evaluate", "refused.jsonl"]), @"error: refused.jsonl:1: it would be refused: the field `messages`: has to be a list");
}

#[test]
fn what_cannot_be_evaluated_is_told() {
    let place = place();
    assert_snapshot!(refused(&place, &["evaluate", "nothing.jsonl"]), @"
    error: nothing.jsonl cannot be read: No such file or directory (os error 2)
      = hint: check the path, and whether you may read it
    ");
    assert_snapshot!(refused(&place, &["evaluate", "set.jsonl", "--model", "asistant"]), @"
    error: there is no model `asistant`
      = hint: did you mean `assistant`?
    ");
    place
        .file("two.yaml", &format!("{DOCUMENT}  - {{name: other, strategy: score, targets: [{{use: small/mini}}]}}\n"));
    assert_snapshot!(refused(&place, &["evaluate", "set.jsonl", "-f", "two.yaml"]), @"
    error: which model?
      = hint: name one with --model: `assistant`, `other`
    ");
    place.file(
        "encoder.yaml",
        &DOCUMENT
            .replace("score: {", "score: {embedder: near, ")
            .replace("models:", "embedders: [{name: near, type: universal-sentence-encoder}]\nmodels:"),
    );
    assert_snapshot!(refused(&place, &["evaluate", "set.jsonl", "-f", "encoder.yaml"]), @"error: embedder `near`: its weights are not installed; run `tradewind embedder install`");
    let empty = Place::new();
    empty.file("set.jsonl", SET);
    assert_snapshot!(refused(&empty, &["evaluate", "set.jsonl"]), @"
    error: there is no tradewind.yaml here
      = hint: name the configuration with -f FILE or -d DIR
    ");
    assert_eq!(empty.tradewind(&["evaluate"]).code, Some(2));
}

#[test]
fn answers_are_compared_with_golden_ones() {
    let place = Place::new();
    place.file(
        "golden.jsonl",
        r#"{"answer": "the cat sat on the mat", "golden": ["a cat sat there", "the cat sat on the mat"], "model": "p/a"}
{"answer": "the cat sat on a mat", "golden": "the cat sat on the mat", "model": "p/b"}
{"answer": "something else", "golden": "the cat sat on the mat", "model": "p/b"}
{"answer": "猫坐在垫子上", "golden": "猫坐在垫子上"}
"#,
    );
    let ended = place.tradewind(&["evaluate", "--golden", "golden.jsonl"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(ended.stdout, @"
    MODEL  ANSWERS  BLEU-4    MEAN  IDENTICAL
    -            1   1.000   1.000          1
    p/a          1   1.000   1.000          1
    p/b          2   0.290   0.269          0

    for comparing versions offline: BLEU counts shared runs of words, a good answer in other words scores low; no quality gate
    ");
    let json = place.tradewind(&["evaluate", "--golden", "golden.jsonl", "--json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["models"][1]["model"], &json["models"][1]["bleu4"]), (&"p/a".into(), &1.0.into()));
    assert!(json["note"].as_str().unwrap().contains("no quality gate"));

    place.file("bad.jsonl", "{\"answer\": \"a\"}\n{\"answer\": \"a\", \"golden\": []}\n{\"answer\": 1, \"golden\": \"a\"}\n{\"answer\": \"a\", \"golden\": \" \"}\n");
    assert_snapshot!(refused(&place, &["evaluate", "--golden", "bad.jsonl"]), @"
    error: bad.jsonl:1:15: missing field `golden`
    error: bad.jsonl:2: `golden` has to be a text, or a list of 1 to 16 texts
    error: bad.jsonl:3:12: invalid type: integer `1`, expected a string
    error: bad.jsonl:4: `golden` has to be a text, or a list of 1 to 16 texts that are not empty
    ");
    let both = place.tradewind(&["evaluate", "set.jsonl", "--golden", "golden.jsonl"]);
    assert_eq!(both.code, Some(2));
}

/// That for each of `count` questions the target that stands beside it is chosen.
fn all_are_right(document: &str, questions: &str, count: u64) {
    let place = Place::new();
    place.file("tradewind.yaml", document);
    place.file("set.jsonl", questions);
    let ended = place.tradewind(&["evaluate", "set.jsonl", "--model", "assistant", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let decided = &report["accuracy"]["by_decision"];
    assert_eq!((decided["right"].as_u64(), decided["questions"].as_u64()), (Some(count), Some(count)), "{report:#}");
}

const PROVIDERS: &str = r#"
data-dir: data
providers:
  - {name: small, dialect: openai, base-url: "http://127.0.0.1:9/v1", api-key: k}
  - {name: large, dialect: openai, base-url: "http://127.0.0.1:9/v1", api-key: k}
"#;

#[test]
fn a_model_behind_the_one_that_scores_stands_for_whom_it_would_ask() {
    // The cheapest of all is in `pair`, which asks it second: as in the gateway, `pair` counts as its first.
    let document = |score: &str| {
        format!(
            "{PROVIDERS}models:\n  - name: assistant\n    strategy: score\n    score: {{{score}}}\n    targets:\n      \
             - {{use: pair, good-at: [writing and repairing source code]}}\n      \
             - {{use: small/mid, price: {{input: 1, output: 4}}, good-at: [short questions about capitals]}}\n  \
             - {{name: pair, targets: [{{use: large/dear, price: {{input: 9, output: 90}}}}, \
             {{use: large/cheap, price: {{input: 0.1, output: 0.4}}}}]}}\n"
        )
    };
    let by_cost = r#"{"question": "Write source code", "target": "small/mid"}
{"question": "Which capital has Peru?", "target": "small/mid"}
"#;
    all_are_right(&document("meaning: 0, load: 0, cost: 1"), by_cost, 2);
    let by_meaning = r#"{"question": "Please write and repair source code", "target": "large/dear"}
{"question": "A short question: which capital has Peru?", "target": "small/mid"}
"#;
    all_are_right(&document("meaning: 0.9, load: 0, cost: 0.1"), by_meaning, 2);
    // And where the one that scores stands behind the one that is asked for.
    let around = document("meaning: 0.9, load: 0, cost: 0.1").replace("name: assistant", "name: inner");
    let around = format!("{around}  - {{name: assistant, targets: [{{use: inner}}, {{use: large/last}}]}}\n");
    all_are_right(&around, by_meaning, 2);
}

#[test]
fn a_target_that_cannot_be_asked_is_neither_chosen_nor_what_fits() {
    let document = format!(
        "{PROVIDERS}models:\n  - name: assistant\n    strategy: score\n    \
         score: {{meaning: 1, load: 0, cost: 0, abstain-below: 0.3, default: small/mini}}\n    \
         require: {{region: [eu]}}\n    targets:\n      \
         - {{use: large/coder, region: eu, tools: false, good-at: [writing and repairing source code]}}\n      \
         - {{use: large/other, region: us, good-at: [writing and repairing source code in Rust]}}\n      \
         - {{use: small/mini, region: eu, good-at: [short questions about capitals]}}\n      \
         - {{use: small/poet, region: eu, good-at: [poems, songs, rhymes]}}\n"
    );
    let tools = r#""tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]"#;
    let code = r#""messages": [{"role": "user", "content": "Please write and repair source code"}]"#;
    let set = format!(
        "{{\"target\": \"large/coder\", \"request\": {{{code}}}}}\n{{\"target\": null, \"request\": {{{code}, {tools}}}}}\n\
         {{\"question\": \"Write poems, songs and rhymes\", \"target\": \"small/poet\"}}\n"
    );
    let place = Place::new();
    place.file("tradewind.yaml", &document);
    place.file("set.jsonl", &set);
    let ended = place.tradewind(&["evaluate", "set.jsonl", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let accuracy = &report["accuracy"];
    for (of, questions) in [("by_meaning", 3), ("top1_by_meaning", 2), ("abstained_where_none_fits", 1)] {
        assert_eq!(
            (&accuracy[of]["questions"], &accuracy[of]["right"]),
            (&questions.into(), &questions.into()),
            "{of}"
        );
    }
}
