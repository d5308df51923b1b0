//! A text as words: case and width folded, identifiers split, English lightly stemmed, Chinese as single characters and
//! pairs.
//!
//! One tokenizer for questions, descriptions and names of tools, so that both sides of a comparison are cut the same
//! way. There is no dictionary of Chinese words: pairs of characters find most of them without one.

pub(crate) use crate::stem::is_stop_word;
use crate::stem::stem;

/// Longest word in characters that is looked at; the rest of a longer one is dropped.
pub(crate) const MAX_WORD_CHARS: usize = 32;

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A run of letters or of digits, folded; never empty.
    Word(&'a str),
    /// A run of Chinese characters, Japanese kana or Korean syllables, which are written without spaces; never empty.
    Run(&'a [char]),
}

/// Calls `visit` with each piece of `text`, in order, and with the byte at which it begins.
pub(crate) fn pieces(text: &str, mut visit: impl FnMut(Piece<'_>, usize)) {
    let mut word = String::with_capacity(MAX_WORD_CHARS);
    let mut word_chars = 0;
    let mut run: Vec<char> = Vec::new();
    let mut begin = 0;
    let mut previous = Kind::Other;
    let mut characters = text.char_indices().peekable();
    while let Some((at, raw)) = characters.next() {
        let character = narrow(raw);
        let kind = Kind::of(character);
        let next = characters.peek().map_or(Kind::Other, |(_, next)| Kind::of(narrow(*next)));
        if boundary(previous, kind, next) {
            flush(&mut word, &mut run, begin, &mut visit);
            word_chars = 0;
            begin = at;
        }
        match kind {
            Kind::Other => {}
            Kind::Unspaced => {
                run.push(character);
                // A run has no natural end; a long one is handed over in parts that share no pair.
                if run.len() == MAX_WORD_CHARS {
                    flush(&mut word, &mut run, begin, &mut visit);
                    begin = at;
                }
            }
            Kind::Lower | Kind::Upper | Kind::Digit if word_chars < MAX_WORD_CHARS => {
                word.extend(character.to_lowercase());
                word_chars += 1;
            }
            Kind::Lower | Kind::Upper | Kind::Digit => {}
        }
        previous = kind;
    }
    flush(&mut word, &mut run, begin, &mut visit);
}

fn flush(word: &mut String, run: &mut Vec<char>, begin: usize, visit: &mut impl FnMut(Piece<'_>, usize)) {
    if !word.is_empty() {
        visit(Piece::Word(word), begin);
        word.clear();
    }
    if !run.is_empty() {
        visit(Piece::Run(run), begin);
        run.clear();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lower,
    Upper,
    Digit,
    Unspaced,
    Other,
}

impl Kind {
    fn of(character: char) -> Self {
        match character {
            'a'..='z' => Self::Lower,
            'A'..='Z' => Self::Upper,
            '0'..='9' => Self::Digit,
            _ if character.is_ascii() => Self::Other,
            _ if is_unspaced(character) => Self::Unspaced,
            _ if character.is_uppercase() => Self::Upper,
            _ if character.is_alphabetic() => Self::Lower,
            _ if character.is_numeric() => Self::Digit,
            _ => Self::Other,
        }
    }
}

/// Whether a new piece begins between `previous` and `kind`: `fooBar` is `foo bar`, `HTTPServer` is `http server`.
fn boundary(previous: Kind, kind: Kind, next: Kind) -> bool {
    match (previous, kind) {
        (Kind::Lower, Kind::Lower) | (Kind::Digit, Kind::Digit) | (Kind::Unspaced, Kind::Unspaced) => false,
        (Kind::Upper, Kind::Upper) => next == Kind::Lower,
        (Kind::Upper, Kind::Lower) => false,
        (Kind::Other, Kind::Other) => false,
        _ => true,
    }
}

/// Chinese characters, kana and Korean syllables.
pub(crate) fn is_unspaced(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3134f}' | '\u{3040}'..='\u{30ff}' | '\u{ac00}'..='\u{d7af}')
}

/// A full-width letter, digit or mark as its ordinary one.
pub(crate) fn narrow(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(character as u32 - 0xfee0).unwrap_or(character),
        '\u{3000}' => ' ',
        _ => character,
    }
}

/// Adds a hash for each term of a piece: the stem of a word that is no stop word, or pairs of unspaced characters (a
/// single one where it stands alone).
pub(crate) fn piece_terms(piece: Piece<'_>, out: &mut Vec<u64>) {
    match piece {
        Piece::Word(word) => {
            if !is_stop_word(word) {
                out.push(stem_hash(word));
            }
        }
        Piece::Run(run) => run_terms(run, |term| out.push(term)),
    }
}

/// Pairs of a run's characters, or its only one.
pub(crate) fn run_terms(run: &[char], visit: impl FnMut(u64)) {
    match run {
        [single] => std::iter::once(hash(&[*single])).for_each(visit),
        _ => run.windows(2).map(hash).for_each(visit),
    }
}

/// One and two of a run's characters.
pub(crate) fn run_grams(run: &[char], mut visit: impl FnMut(u64)) {
    run.iter().for_each(|character| visit(hash(&[*character])));
    run.windows(2).for_each(|pair| visit(hash(pair)));
}

/// The term of a word that is known to be none of the stop words.
pub(crate) fn stem_hash(word: &str) -> u64 {
    let (head, tail) = stem(word);
    let mut hasher = Hash::new();
    head.chars().for_each(|character| hasher.add(character));
    tail.into_iter().for_each(|character| hasher.add(character));
    hasher.finish()
}

/// Adds a hash for each n-gram of `text`: three and four characters of every word with its edges, stop words left out;
/// one and two of unspaced characters.
pub(crate) fn grams(text: &str, out: &mut Vec<u64>) {
    pieces(text, |piece, _| piece_grams(piece, out));
}

/// The n-grams of one piece.
pub(crate) fn piece_grams(piece: Piece<'_>, out: &mut Vec<u64>) {
    match piece {
        Piece::Word(word) => {
            if !is_stop_word(word) {
                word_grams(word, out);
            }
        }
        Piece::Run(run) => run_grams(run, |gram| out.push(gram)),
    }
}

/// Three and four characters of one word, its edges marked.
pub(crate) fn word_grams(word: &str, out: &mut Vec<u64>) {
    let mut edged = [' '; MAX_WORD_CHARS * 2];
    let mut length = 1;
    // Lowercase of one character may be up to three, so the buffer is checked although a word is short.
    for character in word.chars().take(edged.len() - 2) {
        edged[length] = character;
        length += 1;
    }
    let edged = &edged[..=length];
    out.extend(edged.windows(3).map(hash));
    out.extend(edged.windows(4).map(hash));
}

/// Hash of characters that is the same on every machine and in every version, so that hashed vectors may be kept.
fn hash(characters: &[char]) -> u64 {
    let mut hasher = Hash::new();
    characters.iter().for_each(|character| hasher.add(*character));
    hasher.finish()
}

/// FNV-1a over characters instead of bytes, with the finaliser of SplitMix64, because FNV's high bits mix poorly on
/// short input.
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, character: char) {
        self.0 = (self.0 ^ u64::from(u32::from(character))).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn finish(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        pieces(text, |piece, _| {
            found.push(match piece {
                Piece::Word(word) => word.to_owned(),
                Piece::Run(run) => run.iter().collect(),
            });
        });
        found
    }

    #[test]
    fn identifiers_are_split() {
        assert_eq!(words("Weather_1_GetWeather"), ["weather", "1", "get", "weather"]);
        assert_eq!(words("HTTPServer.startNow"), ["http", "server", "start", "now"]);
        assert_eq!(words("mp3-file"), ["mp", "3", "file"]);
    }

    #[test]
    fn width_and_case_are_folded() {
        assert_eq!(words("ＡＢＣ　１２"), ["abc", "12"]);
        assert_eq!(words("ÉCOLE Straße"), ["école", "straße"]);
    }

    #[test]
    fn chinese_is_a_run_between_words() {
        assert_eq!(words("用Python写脚本，快！"), ["用", "python", "写脚本", "快"]);
    }

    #[test]
    fn pieces_say_where_they_begin() {
        let mut begins = Vec::new();
        pieces("ab 明天cD", |_, begin| begins.push(begin));
        assert_eq!(begins, [0, 3, 9, 10]);
    }

    #[test]
    fn long_words_and_runs_are_cut() {
        assert_eq!(words(&"a".repeat(100)), ["a".repeat(MAX_WORD_CHARS)]);
        let runs = words(&"天".repeat(70));
        assert_eq!(runs.iter().map(|run| run.chars().count()).collect::<Vec<_>>(), [32, 32, 6]);
        // 'İ' becomes two characters.
        let mut grams = Vec::new();
        word_grams(&"İ".repeat(MAX_WORD_CHARS).to_lowercase(), &mut grams);
        assert!(!grams.is_empty());
    }

    fn terms_of(text: &str) -> Vec<u64> {
        let mut out = Vec::new();
        pieces(text, |piece, _| piece_terms(piece, &mut out));
        out
    }

    #[test]
    fn terms_ignore_inflection_and_stop_words() {
        assert_eq!(terms_of("please book the flights"), terms_of("Booking a flight"));
        assert_eq!(terms_of("the of and"), Vec::<u64>::new());
        assert_eq!(terms_of("天气预报").len(), 3);
        assert_eq!(terms_of("天").len(), 1);
    }

    #[test]
    fn a_typo_keeps_most_grams() {
        let (mut right, mut wrong) = (Vec::new(), Vec::new());
        grams("translation", &mut right);
        grams("translatoin", &mut wrong);
        let shared = right.iter().filter(|gram| wrong.contains(gram)).count();
        assert!(shared * 2 > right.len(), "{shared} of {}", right.len());
    }

    #[test]
    fn hashes_never_change() {
        assert_eq!(terms_of("weather"), [3_443_284_045_714_524_202]);
    }
}
