//! Whether an answer is in a language of its question: by script, and within the Latin script by the small words.
//!
//! It fails an answer only when both texts are clear and have no language in common. Everything else is left alone: short
//! texts, lists of names, code, JSON, languages that it does not know, and questions that speak of a language or of
//! translating. Scripts that several languages share (Cyrillic, Arabic) count as one language.
//!
//! Refused: `whatlang` and other trigram models, which have no "do not know" for code and names, and cost more than the
//! rest of the gates together.

mod words;

use crate::prose::{Line, lines};

/// The longest piece of a text that is looked at, in bytes: some 350 words.
const LOOKED_AT: usize = 2400;
/// The fewest letters, by [`Profile::weight`], of an answer that is judged.
const FEWEST_LETTERS: u32 = 30;
/// The fewest words in the Latin script of an answer that is judged.
const FEWEST_WORDS: u32 = 8;
/// A sign of Chinese, Japanese or Korean says as much as so many letters.
const SIGN: u32 = 3;

/// A set of languages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Languages(u32);

impl Languages {
    pub(crate) const CHINESE: Self = Self(1);
    pub(crate) const JAPANESE: Self = Self(1 << 1);
    pub(crate) const KOREAN: Self = Self(1 << 2);
    pub(crate) const CYRILLIC: Self = Self(1 << 3);
    pub(crate) const ARABIC: Self = Self(1 << 4);
    pub(crate) const OTHER_SCRIPTS: [(Self, u32, u32); 5] = [
        (Self(1 << 5), 0x0370, 0x03ff),
        (Self(1 << 6), 0x0590, 0x05ff),
        (Self(1 << 7), 0x0e00, 0x0e7f),
        (Self(1 << 8), 0x0900, 0x097f),
        (Self(1 << 9), 0x0980, 0x0dff),
    ];
    pub(crate) const ENGLISH: Self = Self(1 << 16);
    pub(crate) const FRENCH: Self = Self(1 << 17);
    pub(crate) const GERMAN: Self = Self(1 << 18);
    pub(crate) const SPANISH: Self = Self(1 << 19);
    pub(crate) const PORTUGUESE: Self = Self(1 << 20);
    pub(crate) const ITALIAN: Self = Self(1 << 21);
    pub(crate) const DUTCH: Self = Self(1 << 22);
    pub(crate) const POLISH: Self = Self(1 << 23);
    pub(crate) const TURKISH: Self = Self(1 << 24);
    const LATIN_FIRST: u32 = 16;
    const LATIN_COUNT: usize = 9;

    const NONE: Self = Self(0);

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What of a text was seen.
#[derive(Debug, Default)]
struct Profile {
    han: u32,
    kana: u32,
    hangul: u32,
    cyrillic: u32,
    arabic: u32,
    /// Of [`Languages::OTHER_SCRIPTS`].
    others: [u32; 5],
    latin: u32,
    /// Words in the Latin script.
    words: u32,
    /// Of these, small words of each language.
    hits: [u32; Languages::LATIN_COUNT],
    /// Bytes of lines that are code, and of all.
    code: usize,
    bytes: usize,
}

impl Profile {
    fn of(text: &str) -> Self {
        let mut profile = Self::default();
        let cut = text.floor_char_boundary(LOOKED_AT);
        for line in lines(&text[..cut]) {
            match line {
                Line::Prose(line) => {
                    profile.bytes += line.len();
                    profile.prose(line);
                }
                Line::Code(line) => {
                    profile.bytes += line.len();
                    profile.code += line.len();
                }
                Line::Other => {}
            }
        }
        profile
    }

    fn prose(&mut self, line: &str) {
        for (number, piece) in line.split('`').enumerate() {
            // Between two backticks is code.
            if number % 2 == 1 {
                continue;
            }
            for word in piece.split_whitespace() {
                // Addresses, paths and mails are no words.
                if !word.contains("://") && !word.contains('@') {
                    self.run(word);
                }
            }
        }
    }

    /// What stands between white space: words and signs.
    fn run(&mut self, run: &str) {
        let mut start = None;
        for (at, c) in run.char_indices() {
            let is_latin = is_latin(c) || (start.is_some() && matches!(c, '\'' | '’'));
            match start {
                None if is_latin => start = Some(at),
                Some(from) if !is_latin => {
                    self.word(&run[from..at]);
                    start = None;
                }
                _ => {}
            }
            if !is_latin {
                self.sign(c);
            }
        }
        if let Some(from) = start {
            self.word(&run[from..]);
        }
    }

    fn word(&mut self, word: &str) {
        self.words += 1;
        self.latin += u32::try_from(word.len()).unwrap_or(u32::MAX);
        // The longest of the small words is shorter.
        const LONGEST: usize = 16;
        let mut buffer = [0u8; LONGEST];
        let mut length = 0;
        for c in word.chars().flat_map(char::to_lowercase) {
            let c = if c == '’' { '\'' } else { c };
            if length + c.len_utf8() > LONGEST {
                return;
            }
            length += c.encode_utf8(&mut buffer[length..]).len();
        }
        let Ok(lower) = std::str::from_utf8(&buffer[..length]) else { return };
        let languages = words::languages_of(lower);
        for (language, hits) in self.hits.iter_mut().enumerate() {
            *hits += languages.0 >> (Languages::LATIN_FIRST as usize + language) & 1;
        }
    }

    fn sign(&mut self, c: char) {
        match u32::from(c) {
            0..0x0370 => {}
            0x4e00..=0x9fff | 0x3400..=0x4dbf | 0x2_0000..=0x2_ebef => self.han += 1,
            0x3041..=0x30ff | 0x31f0..=0x31ff | 0xff66..=0xff9d => self.kana += 1,
            0xac00..=0xd7a3 | 0x1100..=0x11ff | 0x3130..=0x318f => self.hangul += 1,
            0x0400..=0x052f => self.cyrillic += 1,
            0x0600..=0x06ff | 0x0750..=0x077f => self.arabic += 1,
            code => {
                let script =
                    Languages::OTHER_SCRIPTS.iter().position(|(_, first, last)| (*first..=*last).contains(&code));
                if let Some(script) = script {
                    self.others[script] += 1;
                }
            }
        }
    }

    /// Letters, a sign counted as several.
    fn weight(&self) -> u32 {
        (self.han + self.kana + self.hangul) * SIGN
            + self.cyrillic
            + self.arabic
            + self.others.iter().sum::<u32>()
            + self.latin
    }

    /// The languages with their weights, but for the Latin script.
    fn scripts(&self) -> impl Iterator<Item = (Languages, u32)> {
        // Chinese has no kana; Japanese has, if it is more than a heading.
        let (chinese, japanese) = match (self.han, self.kana) {
            (han, 0) if han < 10 => (han, han),
            (han, 0) => (han, 0),
            (han, kana) if kana * 25 < han => (han, 0),
            (han, kana) if kana * 8 < han => (han, han + kana),
            (han, kana) => (0, han + kana),
        };
        let others = Languages::OTHER_SCRIPTS.iter().zip(self.others).map(|((language, ..), count)| (*language, count));
        [
            (Languages::CHINESE, chinese * SIGN),
            (Languages::JAPANESE, japanese * SIGN),
            (Languages::KOREAN, self.hangul * SIGN),
            (Languages::CYRILLIC, self.cyrillic),
            (Languages::ARABIC, self.arabic),
        ]
        .into_iter()
        .chain(others)
    }

    /// The languages in the Latin script that have at least `share` (in percent) small words among all, and nearly as many
    /// as the one with most.
    fn latin_languages(&self, share: u32) -> Languages {
        let most = self.hits.iter().copied().max().unwrap_or(0);
        let mut found = Languages::NONE;
        if most < 2 || most * 100 < self.words * share {
            return found;
        }
        for (language, hits) in self.hits.iter().enumerate() {
            if hits * 10 >= most * 7 {
                found = found.with(Languages(1 << (Languages::LATIN_FIRST as usize + language)));
            }
        }
        found
    }
}

/// Letters of the Latin script.
fn is_latin(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}') && !matches!(c, '×' | '÷')
}

/// The languages that a question has in it, as a set of bits that means nothing outside of this process; 0 when that is
/// not clear. For telling apart questions that mean the same in two languages.
#[must_use]
pub fn languages_of(question: &str) -> u32 {
    of_question(question).0
}

/// The languages that a question has in it; empty when that is not clear.
///
/// Besides the whole, its parts between line ends and colons are looked at: "Summarize this:" before a page in Chinese
/// asks in English.
pub(crate) fn of_question(question: &str) -> Languages {
    // A long question ends with what is asked as often as it begins with it.
    let tail = question.ceil_char_boundary(question.len().saturating_sub(LOOKED_AT).max(LOOKED_AT.min(question.len())));
    let mut found = Languages::NONE;
    for piece in [question, &question[tail..]] {
        if !piece.is_empty() {
            match of_piece(&Profile::of(piece)) {
                Some(languages) => found = found.with(languages),
                None => return Languages::NONE,
            }
        }
    }
    if found.is_empty() {
        return found;
    }
    let mut parts = question.split(['\n', ':', '：']).map(str::trim).filter(|part| !part.is_empty());
    let ends = [parts.next(), parts.next_back()];
    for (number, part) in ends.into_iter().flatten().enumerate() {
        let profile = Profile::of(part);
        let is_latin = profile.latin * 2 > profile.weight();
        match profile.latin_languages(25) {
            // One word may be of any language.
            languages if languages.is_empty() && is_latin && (number == 0 || profile.words > 2) => {
                return Languages::NONE;
            }
            languages if is_latin => found = found.with(languages),
            _ => {}
        }
    }
    found
}

/// `None` when there are words of a language that is not known.
fn of_piece(profile: &Profile) -> Option<Languages> {
    let weight = profile.weight();
    let mut found = Languages::NONE;
    for (language, letters) in profile.scripts() {
        if letters >= 4 && letters * 20 >= weight {
            found = found.with(language);
        }
    }
    let latin = profile.latin_languages(if profile.words < 12 { 25 } else { 15 });
    if !latin.is_empty() && (profile.latin * 4 >= weight || profile.hits.iter().any(|hits| *hits >= 5)) {
        found = found.with(latin);
    } else if profile.latin * 2 > weight {
        return None;
    }
    Some(found)
}

/// The languages that an answer may be in; empty when it is not clear that it is in one of them, or is not to be judged.
pub(crate) fn of_answer(answer: &str) -> Languages {
    if answer.trim_start().starts_with(['{', '[']) {
        return Languages::NONE;
    }
    let profile = Profile::of(answer);
    let weight = profile.weight();
    if weight < FEWEST_LETTERS || profile.code * 2 >= profile.bytes {
        return Languages::NONE;
    }
    if profile.latin * 10 >= weight * 8 {
        return if profile.words < FEWEST_WORDS { Languages::NONE } else { profile.latin_languages(30) };
    }
    let mut found = Languages::NONE;
    for (language, letters) in profile.scripts() {
        if letters * 10 >= weight * 6 {
            found = found.with(language);
        }
    }
    found
}

/// Whether an answer that may be in `answer` is clearly in none of the languages of its question.
pub(crate) const fn differ(question: Languages, answer: Languages) -> bool {
    !question.is_empty() && !answer.is_empty() && !question.meets(answer)
}

/// Whether one of the texts speaks of a language, or of translating. Looked at only when an answer would fail.
pub(crate) fn speaks_of_language<'t>(texts: impl IntoIterator<Item = &'t str>) -> bool {
    texts.into_iter().any(|text| {
        let lower = text.to_lowercase();
        words::ASKS_FOR_LANGUAGE.iter().any(|word| lower.contains(word))
    })
}
