//! The tables of the glossary, made from its files when they are wanted first.
//!
//! `words.tsv` has Chinese words (in simplified characters) and their English ones, `kin.tsv` further words that people
//! say for an English one, `traditional.txt` pairs of a simplified character and its traditional form. All three were
//! written for Tradewind and copied from no dictionary; a list of frequent words (that of jieba) was read to see which of
//! them were missing.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::words::stem_hash;

/// One line each: Chinese words, a tabulator, English words; all separated by spaces.
pub(super) const WORDS: &str = include_str!("words.tsv");

/// One line each: an English word of the glossary, a tabulator, others that are said for it.
pub(super) const KIN: &str = include_str!("kin.tsv");

/// Pairs of characters: the simplified one, the traditional one.
pub(super) const TRADITIONAL: &str = include_str!("traditional.txt");

/// Kin of one Chinese word that are used, all its English words together. One or two did equally well on the pairs for
/// development.
const MOST_KIN: usize = 1;

/// Chinese words for one English word that are used.
const MOST_CHINESE: usize = 2;

/// English words for a Chinese one.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Its translations.
    pub(super) english: Vec<&'static str>,
    /// Words that are said for those.
    pub(super) kin: Vec<&'static str>,
}

/// A Chinese word for an English one, and how bad a choice it is: lower is better.
type Candidate = ((bool, usize, bool), &'static str);

pub(super) struct Tables {
    entries: FxHashMap<Vec<char>, Entry>,
    /// Characters of the longest word that begins with this one.
    longest: FxHashMap<char, usize>,
    simplified: FxHashMap<char, char>,
    /// Chinese words by the hashed stem of an English one.
    chinese: FxHashMap<u64, Vec<&'static str>>,
    /// A Chinese word by two English ones that it means together.
    pairs: FxHashMap<(u64, u64), &'static str>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);

pub(super) fn tables() -> &'static Tables {
    &TABLES
}

/// Both columns of each line.
pub(super) fn lines(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    file.lines().filter_map(|line| line.split_once('\t'))
}

impl Tables {
    fn new() -> Self {
        let mut entries: FxHashMap<Vec<char>, Entry> = FxHashMap::default();
        let mut longest: FxHashMap<char, usize> = FxHashMap::default();
        for (chinese, english) in lines(WORDS) {
            for word in chinese.split(' ') {
                let word: Vec<char> = word.chars().collect();
                if let Some(first) = word.first() {
                    let most = longest.entry(*first).or_default();
                    *most = word.len().max(*most);
                }
                entries.entry(word).or_default().english.extend(english.split(' '));
            }
        }
        let kin: FxHashMap<&str, &'static str> = lines(KIN).collect();
        for entry in entries.values_mut() {
            let Entry { english, kin: found } = entry;
            for word in english.iter().filter_map(|word| kin.get(word)).flat_map(|kin| kin.split(' ')) {
                if found.len() < MOST_KIN && !english.contains(&word) && !found.contains(&word) {
                    found.push(word);
                }
            }
        }
        let mut simplified = FxHashMap::default();
        let mut characters = TRADITIONAL.chars().filter(|character| !character.is_whitespace());
        while let (Some(simple), Some(traditional)) = (characters.next(), characters.next()) {
            simplified.insert(traditional, simple);
        }
        Self { entries, longest, simplified, chinese: reversed(), pairs: pairs() }
    }

    pub(super) fn simplified(&self, character: char) -> char {
        self.simplified.get(&character).copied().unwrap_or(character)
    }

    /// The longest word that `rest` begins with, and its length in characters.
    pub(super) fn longest(&self, rest: &[char]) -> Option<(usize, &Entry)> {
        let most = *self.longest.get(rest.first()?)?;
        (1..=most.min(rest.len())).rev().find_map(|length| Some((length, self.entries.get(&rest[..length])?)))
    }

    /// Chinese words for an English one, by its hashed stem.
    pub(super) fn chinese(&self, stem: u64) -> &[&'static str] {
        self.chinese.get(&stem).map(Vec::as_slice).unwrap_or_default()
    }

    /// The Chinese word for two English ones.
    pub(super) fn pair(&self, stems: (u64, u64)) -> Option<&'static str> {
        self.pairs.get(&stems).copied()
    }
}

/// The glossary the other way round. Of several Chinese words those come first that have the English one as their first
/// translation, then those with few translations, then those of more than one character, which are less ambiguous.
fn reversed() -> FxHashMap<u64, Vec<&'static str>> {
    let mut candidates: FxHashMap<u64, Vec<Candidate>> = FxHashMap::default();
    for (chinese, english) in lines(WORDS) {
        let Some(word) = chinese.split(' ').next() else { continue };
        let count = english.split(' ').count();
        for (place, translation) in english.split(' ').enumerate() {
            let rank = (place > 0, count, word.chars().nth(1).is_none());
            candidates.entry(stem_hash(translation)).or_default().push((rank, word));
        }
    }
    let best = |mut found: Vec<Candidate>| {
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, word)| word).take(MOST_CHINESE).collect()
    };
    candidates.into_iter().map(|(stem, found)| (stem, best(found))).collect()
}

/// Chinese words whose translation is two English words, which mean it together or one by one.
fn pairs() -> FxHashMap<(u64, u64), &'static str> {
    let mut pairs = FxHashMap::default();
    for (chinese, english) in lines(WORDS) {
        if let (Some(word), [one, other]) =
            (chinese.split(' ').next(), english.split(' ').collect::<Vec<_>>().as_slice())
        {
            pairs.entry((stem_hash(one), stem_hash(other))).or_insert(word);
        }
    }
    pairs
}
