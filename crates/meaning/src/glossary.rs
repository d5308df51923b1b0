//! Chinese words that tools and models are asked about, with English ones for each.
//!
//! Not a dictionary: a few hundred everyday and technical words, written for this purpose, so that a Chinese question
//! and an English description (or the other way round) share terms. An embedder that knows both languages does most of
//! this work; this makes it surer, and does a part of it where there is none.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::words::{self, Piece};

/// One line each: Chinese words, a tabulator, English words; all separated by spaces.
const GLOSSARY: &str = include_str!("glossary.tsv");

/// Characters of the longest Chinese word in the glossary.
const LONGEST: usize = 4;

static WORDS: LazyLock<FxHashMap<Vec<char>, Vec<&'static str>>> = LazyLock::new(|| {
    let mut words: FxHashMap<Vec<char>, Vec<&'static str>> = FxHashMap::default();
    for line in GLOSSARY.lines() {
        if let Some((chinese, english)) = line.split_once('\t') {
            for word in chinese.split(' ') {
                words.entry(word.chars().collect()).or_default().extend(english.split(' '));
            }
        }
    }
    words
});

/// Calls `visit` with the English words of all glossary words in a run of characters, the longest at each place.
pub(crate) fn bridge(run: &[char], mut visit: impl FnMut(&'static str)) {
    let words = &*WORDS;
    let mut at = 0;
    while at < run.len() {
        let rest = &run[at..];
        let found = (1..=LONGEST.min(rest.len())).rev().find_map(|length| Some((length, words.get(&rest[..length])?)));
        at += match found {
            Some((length, english)) => {
                english.iter().for_each(|word| visit(word));
                length
            }
            None => 1,
        };
    }
}

/// The English words for the Chinese ones of a text, at most `limit` of them, each once; empty where there are none.
pub(crate) fn gloss(text: &str, limit: usize) -> String {
    let mut found: Vec<&str> = Vec::new();
    words::pieces(text, |piece, _| {
        if let Piece::Run(run) = piece {
            bridge(run, |word| {
                if found.len() < limit && !found.contains(&word) {
                    found.push(word);
                }
            });
        }
    });
    found.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stem::is_stop_word;
    use crate::words::is_unspaced;

    fn bridged(text: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        bridge(&text.chars().collect::<Vec<_>>(), |word| found.push(word));
        found
    }

    #[test]
    fn the_longest_word_is_taken() {
        assert_eq!(bridged("查天气预报吗"), ["look", "query", "weather", "forecast"]);
        assert_eq!(bridged("呃"), Vec::<&str>::new());
    }

    #[test]
    fn every_line_is_well_formed() {
        for (number, line) in GLOSSARY.lines().enumerate() {
            let number = number + 1;
            let (chinese, english) = line.split_once('\t').unwrap_or_else(|| panic!("line {number}: no tabulator"));
            for word in chinese.split(' ') {
                assert!((1..=LONGEST).contains(&word.chars().count()), "line {number}: {word}");
                assert!(word.chars().all(is_unspaced), "line {number}: {word}");
            }
            for word in english.split(' ') {
                assert!(!word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()), "line {number}: {word}");
                assert!(!is_stop_word(word), "line {number}: {word} is a stop word");
            }
        }
    }
}
