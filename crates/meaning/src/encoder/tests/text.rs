//! Normaliser and tokenizer.

use crate::encoder::model;
use crate::encoder::normalizer::Normalizer;
use crate::encoder::sample::{self, PIECES};
use crate::encoder::tokenizer::{Lattice, Tokenizer};

fn normal(normalizer: &Normalizer, text: &str) -> String {
    let mut normal = Vec::new();
    normalizer.normalize(text, 1000, &mut normal);
    String::from_utf8(normal).unwrap()
}

#[test]
fn text_is_normalised_as_sentencepiece_does() {
    let normalizer = Normalizer::new(&sample::replacement_table(&sample::REPLACEMENTS)).unwrap();
    for (text, expected) in [
        ("", ""),
        ("   ", ""),
        ("a", "▁a"),
        ("  two   words  ", "▁two▁words"),
        ("tab\tand \t more", "▁tab▁and▁more"),
        ("Ａ ﬁne café", "▁a▁fine▁café"),
        ("cafe\u{301} e\u{300}", "▁café▁e\u{300}"),
        ("no\u{200b}thing \u{200b} here", "▁nothing▁here"),
        ("\u{200b} a", "▁a"),
        ("问题 🎉", "▁问题▁🎉"),
        ("▁ ▁", ""),
        ("a▁ ▁ b", "▁a▁▁▁▁b"),
    ] {
        assert_eq!(normal(&normalizer, text), expected, "{text:?}");
    }
}

#[test]
fn without_a_table_only_spaces_change() {
    let normalizer = Normalizer::new(&[]).unwrap();
    assert_eq!(normal(&normalizer, " Ａ\u{301}  ﬁ "), "▁Ａ\u{301}▁ﬁ");
}

#[test]
fn normalising_stops_at_its_limit() {
    let normalizer = Normalizer::new(&[]).unwrap();
    let mut text = Vec::new();
    normalizer.normalize(&"问".repeat(100), 30, &mut text);
    assert_eq!(String::from_utf8(text).unwrap(), format!("▁{}", "问".repeat(9)));
}

/// The pieces of a normalised text, without the marks.
fn split(tokenizer: &Tokenizer, text: &str, limit: usize) -> Vec<u32> {
    let mut lattice = Lattice::default();
    tokenizer.split(text.as_bytes(), limit, &mut lattice);
    let (first, rest) = lattice.pieces.split_first().unwrap();
    let (last, inner) = rest.split_last().unwrap();
    assert_eq!((*first, *last), (1, 2));
    inner.to_vec()
}

fn tokenizer() -> Tokenizer {
    let bytes = sample::model();
    Tokenizer::new(&model::read(&bytes, 100).unwrap().pieces).unwrap()
}

fn id(piece: &str) -> u32 {
    PIECES.iter().position(|(text, _)| *text == piece).unwrap() as u32 + 3
}

#[test]
fn the_best_pieces_are_found() {
    let tokenizer = tokenizer();
    for (text, expected) in [
        ("▁the", vec!["▁the"]),
        ("▁then", vec!["▁the", "n"]),
        ("▁thing", vec!["▁", "t", "h", "ing"]),
        ("▁a问题", vec!["▁a", "问题"]),
        ("▁题问", vec!["▁", "题", "问"]),
        ("▁questioner", vec!["▁question", "er"]),
    ] {
        let expected: Vec<u32> = expected.into_iter().map(id).collect();
        assert_eq!(split(&tokenizer, text, 100), expected, "{text}");
    }
}

#[test]
fn what_no_piece_has_is_unknown() {
    let tokenizer = tokenizer();
    assert_eq!(split(&tokenizer, "▁🎉a", 100), [id("▁"), 0, id("a")]);
    assert_eq!(split(&tokenizer, "", 100), [0]);
    // Marks in a text are characters.
    assert_eq!(split(&tokenizer, "<s>", 100), [0, id("s"), 0]);
}

#[test]
fn a_long_text_is_cut_before_its_end_mark() {
    assert_eq!(split(&tokenizer(), "▁aaaaaaaaaa", 5), [id("▁a"), id("a"), id("a")]);
}

#[test]
fn every_split_is_as_good_as_trying_all() {
    // All ways to split, each as its score.
    fn best(text: &str, known: &mut Vec<Option<f64>>) -> f64 {
        if text.is_empty() {
            return 0.0;
        }
        if let Some(score) = known[text.len()] {
            return score;
        }
        let unknown = f64::from(-7.0f32 - 10.0);
        let one = text.chars().next().unwrap().len_utf8();
        let mut score = if PIECES.iter().any(|(piece, _)| *piece == &text[..one]) {
            f64::NEG_INFINITY
        } else {
            unknown + best(&text[one..], known)
        };
        for (piece, own) in PIECES {
            if let Some(rest) = text.strip_prefix(piece) {
                score = score.max(f64::from(own) + best(rest, known));
            }
        }
        known[text.len()] = Some(score);
        score
    }
    let tokenizer = tokenizer();
    let mut random = fastrand::Rng::with_seed(1);
    let parts = ["▁", "the", "a", "question", "ing", "er", "问", "题", ".", "q", "X", "🎉"];
    for _ in 0..500 {
        let text: String = (0..random.usize(1..12)).map(|_| parts[random.usize(..parts.len())]).collect();
        let pieces = split(&tokenizer, &text, 1000);
        let score: f64 =
            pieces.iter().map(|id| if *id == 0 { -17.0 } else { f64::from(PIECES[*id as usize - 3].1) }).sum();
        let expected = best(&text, &mut vec![None; text.len() + 1]);
        assert!((score - expected).abs() < 1e-9, "{text}: {score} is not {expected}");
    }
}
