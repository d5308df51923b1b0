//! Chinese words that tools and models are asked about, with English ones for each.
//!
//! Not a dictionary: some thousands of everyday and technical words, written for this purpose, so that a Chinese question
//! and an English description (or the other way round) share terms. An embedder that knows both languages does most of
//! this work; this makes it surer, and does a part of it where there is none.

mod table;

use crate::words::{self, MAX_WORD_CHARS, Piece};

use self::table::{Entry, tables};

/// Calls `visit` with the English words of all glossary words in a run of characters, the longest at each place, and with
/// what else is said for those.
pub(crate) fn bridge(run: &[char], mut visit: impl FnMut(&'static str)) {
    entries(run, |entry| entry.english.iter().chain(&entry.kin).for_each(|word| visit(word)));
}

fn entries(run: &[char], mut visit: impl FnMut(&'static Entry)) {
    let tables = tables();
    for part in run.chunks(MAX_WORD_CHARS) {
        let mut folded = ['\0'; MAX_WORD_CHARS];
        for (folded, character) in folded.iter_mut().zip(part) {
            *folded = tables.simplified(*character);
        }
        let mut rest = &folded[..part.len()];
        while !rest.is_empty() {
            let length = match tables.longest(rest) {
                Some((length, entry)) => {
                    visit(entry);
                    length
                }
                None => 1,
            };
            rest = &rest[length..];
        }
    }
}

/// Words of the other language for those of a text, at most `limit` of them, each once: English ones where there is any
/// Chinese in it, and Chinese ones otherwise. Empty where none is known.
pub(crate) fn gloss(text: &str, limit: usize) -> String {
    let mut found: Vec<&str> = Vec::new();
    let mut add = |word| {
        if found.len() < limit && !found.contains(&word) {
            found.push(word);
        }
    };
    if is_chinese(text) {
        words::pieces(text, |piece, _| {
            if let Piece::Run(run) = piece {
                entries(run, |entry| entry.english.iter().for_each(|word| add(word)));
            }
        });
    } else {
        chinese(text, add);
    }
    found.join(" ")
}

/// Whether there is any Chinese, Japanese or Korean in a text.
pub(crate) fn is_chinese(text: &str) -> bool {
    text.chars().any(words::is_unspaced)
}

/// Calls `visit` with Chinese words for the English ones of a text, two that stand together being looked up together.
fn chinese(text: &str, mut visit: impl FnMut(&'static str)) {
    let tables = tables();
    let mut stems = Vec::new();
    words::pieces(text, |piece, _| words::piece_terms(piece, &mut stems));
    let mut at = 0;
    while let Some(stem) = stems.get(at) {
        let pair = stems.get(at + 1).and_then(|next| tables.pair((*stem, *next)));
        at += match pair {
            Some(word) => {
                visit(word);
                2
            }
            None => {
                tables.chinese(*stem).iter().for_each(|word| visit(word));
                1
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::table::{KIN, TRADITIONAL, WORDS, lines};
    use super::*;
    use crate::stem::is_stop_word;
    use crate::words::is_unspaced;

    /// Characters of the longest word.
    const LONGEST: usize = 6;

    fn bridged(text: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        bridge(&text.chars().collect::<Vec<_>>(), |word| found.push(word));
        found
    }

    #[test]
    fn the_longest_word_is_taken() {
        assert_eq!(bridged("天气预报呃"), ["weather", "forecast", "temperature"]);
        assert_eq!(bridged("呃"), Vec::<&str>::new());
    }

    #[test]
    fn traditional_characters_are_known() {
        assert_eq!(bridged("訂機票"), bridged("订机票"));
        assert_eq!(gloss("資料庫", 9), "database");
    }

    #[test]
    fn runs_of_any_length_are_read() {
        assert_eq!(bridged(&"呃".repeat(100)), Vec::<&str>::new());
        assert_eq!(bridged(&"雨".repeat(100)).len(), 100 * bridged("雨").len());
    }

    #[test]
    fn a_gloss_is_in_the_other_language() {
        assert_eq!(gloss("查天气", 9), "look query weather");
        assert_eq!(gloss("the exchange rate", 9), "汇率");
        assert!(gloss("Book a flight.", 9).contains("航班"));
        assert_eq!(gloss("xyzzy", 9), "");
        assert_eq!(gloss("weather, hotel, flight, music", 2).split(' ').count(), 2);
    }

    fn is_english(word: &str) -> bool {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()) && !is_stop_word(word)
    }

    #[test]
    fn every_line_is_well_formed() {
        let mut seen = HashSet::new();
        for (number, line) in WORDS.lines().enumerate() {
            let number = number + 1;
            let (chinese, english) = line.split_once('\t').unwrap_or_else(|| panic!("line {number}: no tabulator"));
            for word in chinese.split(' ') {
                assert!((1..=LONGEST).contains(&word.chars().count()), "line {number}: {word}");
                assert!(word.chars().all(is_unspaced), "line {number}: {word}");
                assert!(word.chars().all(|c| tables().simplified(c) == c), "line {number}: {word} is not simplified");
                assert!(seen.insert(word), "line {number}: {word} again");
            }
            assert!(english.split(' ').all(is_english), "line {number}: {english}");
        }
    }

    #[test]
    fn every_line_of_kin_is_well_formed() {
        let known: HashSet<&str> = lines(WORDS).flat_map(|(_, english)| english.split(' ')).collect();
        assert_eq!(lines(KIN).count(), KIN.lines().count());
        let mut seen = HashSet::new();
        for (word, kin) in lines(KIN) {
            assert!(known.contains(word) && seen.insert(word), "{word}");
            assert!(kin.split(' ').all(|kin| is_english(kin) && kin != word), "{word}: {kin}");
        }
    }

    #[test]
    fn traditional_characters_come_in_pairs() {
        let characters: Vec<char> = TRADITIONAL.chars().filter(|c| !c.is_whitespace()).collect();
        let mut seen = HashSet::new();
        for pair in characters.chunks(2) {
            let [simple, traditional] = pair else { panic!("{pair:?}") };
            assert!(simple != traditional && seen.insert(traditional), "{simple} {traditional}");
        }
    }
}
