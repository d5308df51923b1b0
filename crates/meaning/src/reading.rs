//! A question as the chooser reads it: its terms and n-grams, and what kind of question it is.
//!
//! A question with Chinese in it is read twice: as it stands, and by way of the glossary as English words. Each target
//! is scored by the reading that suits it better, so that one in its own language is not worse off for the other.

use crate::glossary;
use crate::text_limit::first_bytes;
use crate::words::{self, Piece};

/// Bytes of a question that are read; what follows does not change the choice.
pub const MAX_QUESTION_BYTES: usize = 4096;

/// Different terms and n-grams of one reading that are used.
const MAX_TERMS: usize = 512;

/// Where [`Read::specifics`] stops counting.
const MOST_SPECIFIC: usize = 4;

/// Pairs of Chinese characters that count as one English word where lengths are compared. With each pair as a word, the
/// Chinese questions among the pairs for development, `tests/data/dev-*.tsv`, would be 2.7 times as long as the English ones,
/// and so would be the Chinese ones that nothing fits; 3 and 4 did equally well there, 2 less.
const PAIRS_PER_WORD: usize = 3;

/// The terms and n-grams of a text, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) terms: Vec<u64>,
    pub(crate) grams: Vec<u64>,
}

/// What can be said of a question without knowing any target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read {
    /// As it stands.
    pub(crate) native: Reading,
    /// With its Chinese words as English ones, where the glossary knows any.
    pub(crate) bridged: Option<Reading>,
    /// Whether there is any Chinese in it.
    pub(crate) is_chinese: bool,
    /// Its length, to be compared between languages: its terms, of which some that are Chinese count as one.
    pub(crate) length: usize,
    /// Different terms that look like values: numbers, names inside a sentence, quoted words.
    pub(crate) values: usize,
    /// How specific it is, 0 to [`MOST_SPECIFIC`]: a point for each capital inside a sentence, two for any number, one
    /// for any quotation.
    pub(crate) specifics: usize,
}

impl Reading {
    /// Adds a word's term and n-grams, unless it is a stop word or its term is there already.
    fn add_word(&mut self, word: &str) {
        if !words::is_stop_word(word) {
            let term = words::stem_hash(word);
            if self.add_term(term) {
                words::word_grams(word, &mut self.grams);
            }
        }
    }

    /// Adds the terms and n-grams of a run of unspaced characters that are not there already; gives how many terms were
    /// new.
    fn add_run(&mut self, run: &[char]) -> usize {
        let mut new = 0;
        words::run_terms(run, |term| new += usize::from(self.add_term(term)));
        words::run_grams(run, |gram| {
            if !self.grams.contains(&gram) {
                self.grams.push(gram);
            }
        });
        new
    }

    /// Whether the term was new. A question has few terms, so that looking through them costs less than a table or
    /// sorting, and the first ones are those that are kept.
    fn add_term(&mut self, term: u64) -> bool {
        let new = self.terms.len() < MAX_TERMS && !self.terms.contains(&term);
        if new {
            self.terms.push(term);
        }
        new
    }
}

/// Reads the first [`MAX_QUESTION_BYTES`] of `text`.
pub(crate) fn read(text: &str) -> Read {
    let text = first_bytes(text, MAX_QUESTION_BYTES);
    let mut native = Reading { terms: Vec::with_capacity(64), grams: Vec::with_capacity(512) };
    let is_chinese = glossary::is_chinese(text);
    let mut bridged = is_chinese.then(Reading::default);
    let mut glossed = false;
    let mut pairs = 0;
    let mut values = Vec::new();
    let (mut has_number, mut has_quotation, mut capitals) = (false, false, 0);
    let mut quotes = Quotes::default();
    words::pieces(text, |piece, begin| {
        let quoted = quotes.reach(text, begin);
        has_quotation |= quoted;
        match piece {
            Piece::Word(word) => {
                native.add_word(word);
                if let Some(bridged) = &mut bridged {
                    bridged.add_word(word);
                }
                if quoted || is_value(text, begin) {
                    words::piece_terms(piece, &mut values);
                    has_number |= word.starts_with(char::is_numeric);
                    capitals += usize::from(text[begin..].starts_with(char::is_uppercase));
                }
            }
            Piece::Run(run) => {
                pairs += native.add_run(run);
                if quoted {
                    words::piece_terms(piece, &mut values);
                }
                if let Some(bridged) = &mut bridged {
                    glossary::bridge(run, |word| {
                        glossed = true;
                        bridged.add_word(word);
                    });
                }
            }
        }
    });
    values.sort_unstable();
    values.dedup();
    let specifics = capitals + 2 * usize::from(has_number) + usize::from(has_quotation);
    let bridged = bridged.filter(|_| glossed);
    let length = native.terms.len() - pairs + (pairs + PAIRS_PER_WORD / 2) / PAIRS_PER_WORD;
    Read { native, bridged, is_chinese, length, values: values.len(), specifics: specifics.min(MOST_SPECIFIC) }
}

/// Whether the word that begins at `begin` looks like a value: a number, or a capital letter that no sentence begins
/// with, or a part of an address or path.
pub(crate) fn is_value(text: &str, begin: usize) -> bool {
    let Some(first) = text[begin..].chars().next() else { return false };
    if first.is_numeric() {
        return true;
    }
    let before = &text[..begin];
    if before.ends_with(['@', '/', '\\', '=', '#', '$']) {
        return true;
    }
    if !first.is_uppercase() {
        return false;
    }
    // "I" and what is glued to it ("I'm") is no name.
    if first == 'I' && !text[begin + 1..].starts_with(char::is_alphanumeric) {
        return false;
    }
    let before = before.trim_end_matches([' ', '"', '\'', '“', '‘', '(', '\t']);
    !before.is_empty() && !before.ends_with(['.', '!', '?', ':', '\n', '。', '！', '？'])
}

/// Follows quotation marks through a text.
#[derive(Default)]
pub(crate) struct Quotes {
    at: usize,
    closing: Option<char>,
}

impl Quotes {
    /// Whether `to` lies inside quotation marks; must be asked in ascending order.
    pub(crate) fn reach(&mut self, text: &str, to: usize) -> bool {
        let mut previous = text[..self.at].chars().next_back();
        for character in text[self.at..to].chars() {
            match self.closing {
                Some(closing) if character == closing => self.closing = None,
                Some(_) => {}
                // An apostrophe inside a word opens nothing.
                None if previous.is_none_or(|previous| !previous.is_alphanumeric() || !previous.is_ascii()) => {
                    self.closing = closing_of(character);
                }
                None => {}
            }
            previous = Some(character);
        }
        self.at = to;
        self.closing.is_some()
    }
}

fn closing_of(opening: char) -> Option<char> {
    Some(match opening {
        '"' => '"',
        '\'' => '\'',
        '`' => '`',
        '“' => '”',
        '‘' => '’',
        '「' => '」',
        '『' => '』',
        '《' => '》',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_term_once_and_no_stop_words() {
        let read = read("Book a flight, please: the flights to Paris");
        assert_eq!(read.native.terms.len(), 3);
        assert!(read.bridged.is_none());
    }

    #[test]
    fn lengths_can_be_compared_between_languages() {
        let length = |text| read(text).length;
        assert_eq!([length(""), length("好的"), length("好的吗")], [0, 0, 1]);
        assert_eq!(length("Book me a flight to Beijing"), 3);
        assert_eq!(length("帮我订一张飞北京的机票"), 3);
        assert_eq!(length("weather 北京天气"), 2);
        // Stop words alone, and the same pair again and again.
        assert_eq!([length("what is it"), length(&"问".repeat(900))], [0, 0]);
    }

    #[test]
    fn values_are_counted() {
        let values = |text| read(text).values;
        assert_eq!(values("What is the weather?"), 0);
        assert_eq!(values("Weather in Paris on 12 March"), 3);
        assert_eq!(values("I think I'm fine. Yes"), 0);
        assert_eq!(values("play 'yellow submarine' loud"), 2);
        assert_eq!(values("don't open the door, it's cold"), 0);
        assert_eq!(values("mail bob@example"), 1);
        assert_eq!(values("播放《稻香》"), 1);
        assert_eq!(values("查一下SF1029的快递"), 2);
    }

    #[test]
    fn specifics_are_counted() {
        let specifics = |text| read(text).specifics;
        assert_eq!(specifics("what is the weather?"), 0);
        assert_eq!(specifics("weather in Paris"), 1);
        assert_eq!(specifics("weather on 12 march"), 2);
        assert_eq!(specifics("play 'yellow submarine'"), 1);
        assert_eq!(specifics("from Oslo to New York on 12 March and 13 March"), MOST_SPECIFIC);
    }

    #[test]
    fn chinese_is_read_twice() {
        let read = read("今天的天气");
        let bridged = read.bridged.unwrap();
        assert!(bridged.terms.contains(&words::stem_hash("weather")));
        assert!(!read.native.terms.contains(&words::stem_hash("weather")));
        assert!(super::read("呃呃").bridged.is_none());
    }

    #[test]
    fn long_questions_are_cut() {
        let long: String = (0..2000).map(|i| format!("w{i}x ")).collect();
        let read = read(&long);
        assert!(read.native.terms.len() <= MAX_TERMS && read.native.grams.len() <= 2 * MAX_QUESTION_BYTES);
        let same = super::read(&format!("{}{}", &long[..MAX_QUESTION_BYTES], "something else entirely"));
        assert_eq!(read.native.terms, same.native.terms);
    }
}
