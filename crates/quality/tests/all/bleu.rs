//! BLEU-4 against what sacreBLEU 2 computes, with `tokenize="zh"` and its default smoothing, divided by 100.

use tradewind_quality::{corpus_bleu4, sentence_bleu4};

/// Candidate, references, and sacreBLEU's score with `effective_order=True`.
const SENTENCES: &[(&str, &[&str], f64)] = &[
    ("the cat sat on the mat", &["the cat sat on the mat"], 1.0),
    ("the the the the the the the", &["the cat is on the mat", "there is a cat on the mat"], 0.078_098),
    (
        "It is a guide to action which ensures that the military always obeys the commands of the party.",
        &[
            "It is a guide to action that ensures that the military will forever heed Party commands.",
            "It is the guiding principle which guarantees the military forces always being under the command of the Party.",
        ],
        0.445_735,
    ),
    ("the cat", &["the cat sat on the mat"], 0.135_335),
    ("a completely different sentence here", &["nothing in common with that one"], 0.0),
    (
        "The price is 3,500.50 dollars (about 3-4 % more), isn't it?",
        &["The price is 3,500.50 dollars, about 3-4 % more, is it not?"],
        0.527_124,
    ),
    ("今天天气很好，我们去公园玩。", &["今天天气不错，我们去公园吧。"], 0.544_518),
    ("法国的首都是巴黎", &["法国首都是巴黎。", "巴黎是法国的首都"], 0.945_742),
    ("使用 Python 3.11 的 sorted() 函数", &["可以使用 Python 3.11 中的 sorted() 函数"], 0.582_009),
    ("Hello world.", &["hello world!"], 0.275_161),
    (
        "quick brown fox jumps over the lazy dog near the river bank today",
        &["the quick brown fox jumped over the lazy dog near a river bank"],
        0.435_277,
    ),
    ("東京はとても大きい都市です。", &["東京は大きな都市です。"], 0.368_894),
    ("“Well” — he said… it costs €5.", &["“Well,” he said — it costs €5…"], 0.204_689),
    ("word", &["word"], 1.0),
    ("", &["something"], 0.0),
];

#[test]
fn sentences() {
    for (candidate, references, expected) in SENTENCES {
        let score = sentence_bleu4(candidate, references);
        assert!((score - expected).abs() < 1e-6, "{candidate}: {score} instead of {expected}");
    }
    assert_eq!(sentence_bleu4("words without a reference", &[]), 0.0);
}

#[test]
fn corpora() {
    // Each sentence with its first reference.
    let pairs = SENTENCES.iter().filter(|(candidate, ..)| !candidate.is_empty());
    let score = corpus_bleu4(pairs.map(|(candidate, references, _)| (*candidate, &references[..1])));
    assert!((score - 0.441_988_128).abs() < 1e-6, "{score}");
    // The first three, with one or two references.
    let score = corpus_bleu4(SENTENCES[..3].iter().map(|(candidate, references, _)| (*candidate, *references)));
    assert!((score - 0.458_383_769).abs() < 1e-6, "{score}");
    // Too short for a run of four.
    assert_eq!(corpus_bleu4([("the cat", &["the cat sat"][..])]), 0.0);
    assert_eq!(corpus_bleu4([]), 0.0);
}
