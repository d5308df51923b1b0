//! The automaton that counts what a text is made of: one table look-up for the class of a byte, one for the next state.
//!
//! Byte-pair tokenizers first cut a text into words, groups of digits, runs of marks and runs of blanks, then cut each
//! of those into known pieces. The states say where in such a run a byte stands ("fifth letter of a word"), so that a
//! weighted sum of how often each state was reached comes close to what any of them counts. The tables know UTF-8 by
//! its lead bytes alone; bytes that are no UTF-8 are counted like something of the same length.

/// What a byte is. Those from [`STOP`] on end a JSON string or need more than one look.
pub(crate) mod class {
    pub(crate) const LOWER: u8 = 0;
    pub(crate) const UPPER: u8 = 1;
    pub(crate) const DIGIT: u8 = 2;
    pub(crate) const MARK: u8 = 3;
    pub(crate) const SPACE: u8 = 4;
    pub(crate) const NEWLINE: u8 = 5;
    /// Lead byte of a letter of the extended Latin alphabets (U+0080 to U+024F).
    pub(crate) const LATIN: u8 = 6;
    /// Lead byte of another character of two bytes: Greek, Cyrillic, Hebrew, Arabic.
    pub(crate) const TWO: u8 = 7;
    /// Lead byte of Indic, Thai, Georgian and other scripts (U+0800 to U+1FFF).
    pub(crate) const INDIC: u8 = 8;
    /// Lead byte of general punctuation and symbols (U+2000 to U+2FFF).
    pub(crate) const SYMBOL: u8 = 9;
    /// Lead byte of kana, of CJK punctuation and of rare Han characters (U+3000 to U+3FFF).
    pub(crate) const KANA: u8 = 10;
    /// Lead byte of Han characters (U+4000 to U+9FFF).
    pub(crate) const HAN: u8 = 11;
    /// Lead byte of Hangul and its neighbours (U+A000 to U+DFFF).
    pub(crate) const HANGUL: u8 = 12;
    /// Lead byte of full-width forms and their neighbours (U+E000 to U+FFFF).
    pub(crate) const WIDE: u8 = 13;
    /// Lead byte of anything above U+FFFF: mostly emoji.
    pub(crate) const ASTRAL: u8 = 14;
    /// A further byte of a character.
    pub(crate) const TAIL: u8 = 15;
    /// `"` and `\`.
    pub(crate) const STOP: u8 = 16;
}

/// Columns of the table of states, a power of two.
const CLASSES: usize = 16;
/// How many states there are.
pub(crate) const STATES: usize = 41;

/// Where in a run a byte stands.
pub(crate) mod state {
    /// Before anything.
    pub(crate) const START: u8 = 0;
    /// First lower-case letter of a word that begins a line, a text, or follows a blank.
    pub(crate) const WORD: u8 = 1;
    /// Second to eighth letter of a word: `WORD + 1` to `WORD + 7`.
    pub(crate) const LETTER_8: u8 = 8;
    /// Ninth and any further letter.
    pub(crate) const LETTER_9: u8 = 9;
    /// First lower-case letter behind a mark, a digit or a character that is not Latin.
    pub(crate) const GLUED: u8 = 10;
    /// Capital that begins a word.
    pub(crate) const CAPITAL: u8 = 11;
    /// Capital that begins a word behind a mark, a digit or a character that is not Latin.
    pub(crate) const GLUED_CAPITAL: u8 = 12;
    /// Second capital in a row.
    pub(crate) const CAPITAL_2: u8 = 13;
    /// Third and any further capital in a row.
    pub(crate) const CAPITAL_3: u8 = 14;
    /// Capital behind a lower-case letter: `camelCase`.
    pub(crate) const HUMP: u8 = 15;
    /// First digit of a group of three.
    pub(crate) const DIGIT: u8 = 16;
    /// First digit of a number behind a single blank.
    pub(crate) const SPACED_DIGIT: u8 = 17;
    /// Second and third digit of a group.
    pub(crate) const DIGIT_2: u8 = 18;
    pub(crate) const DIGIT_3: u8 = 19;
    /// First mark of a run.
    pub(crate) const MARK: u8 = 20;
    /// Fourth mark of a run; the second and third lie between.
    pub(crate) const MARK_4: u8 = 23;
    /// Fifth and any further mark of a run.
    pub(crate) const MARK_5: u8 = 24;
    /// First blank of a run.
    pub(crate) const SPACE: u8 = 25;
    pub(crate) const SPACE_2: u8 = 26;
    /// Third and any further blank of a run.
    pub(crate) const SPACE_3: u8 = 27;
    /// First newline of a run.
    pub(crate) const NEWLINE: u8 = 28;
    pub(crate) const NEWLINE_2: u8 = 29;
    /// First blank of a line.
    pub(crate) const INDENT: u8 = 30;
    /// Second and any further blank of a line.
    pub(crate) const INDENT_2: u8 = 31;
    pub(crate) const LATIN: u8 = 32;
    pub(crate) const TWO: u8 = 33;
    pub(crate) const INDIC: u8 = 34;
    pub(crate) const SYMBOL: u8 = 35;
    pub(crate) const KANA: u8 = 36;
    pub(crate) const HAN: u8 = 37;
    pub(crate) const HANGUL: u8 = 38;
    pub(crate) const WIDE: u8 = 39;
    pub(crate) const ASTRAL: u8 = 40;
}

/// Rows of the table of states, a power of two: an index that is masked needs no check.
const ROWS: usize = 64;

/// The class of each byte.
static CLASS: [u8; 256] = classes();
/// The next state, shifted so that it is the start of its own row.
static NEXT: [u16; ROWS * CLASSES] = transitions();

/// How often each state was reached; the two halves are added up at the end.
///
/// Counts wrap at four thousand million bytes, which no body comes near.
#[derive(Clone)]
pub(crate) struct Tally([[u32; ROWS]; 2]);

impl Tally {
    pub(crate) const fn new() -> Self {
        Self([[0; ROWS]; 2])
    }

    /// How often each state was reached.
    pub(crate) fn counts(&self) -> [u32; STATES] {
        std::array::from_fn(|state| self.0[0][state].wrapping_add(self.0[1][state]))
    }
}

/// Where the automaton stands.
#[derive(Clone, Copy)]
pub(crate) struct Lexer(u16);

impl Lexer {
    /// At the beginning of a text.
    pub(crate) const START: Self = Self(state::START as u16 * CLASSES as u16);

    /// Takes the bytes up to the first `"` or `\`, which it leaves, and says how many those were.
    #[inline]
    pub(crate) fn run(&mut self, tally: &mut Tally, bytes: &[u8]) -> usize {
        let mut row = self.0;
        // Two halves in turn: adding to one number twice in a row would wait for the first to be stored.
        let [even, odd] = &mut tally.0;
        let mut at = 0;
        let (pairs, rest) = bytes.as_chunks::<2>();
        for &[first, second] in pairs {
            let (first, second) = (CLASS[usize::from(first)], CLASS[usize::from(second)]);
            if first >= class::STOP {
                self.0 = row;
                return at;
            }
            row = NEXT[usize::from(row | u16::from(first)) % (ROWS * CLASSES)];
            let count = &mut even[usize::from(row) / CLASSES % ROWS];
            *count = count.wrapping_add(1);
            if second >= class::STOP {
                self.0 = row;
                return at + 1;
            }
            row = NEXT[usize::from(row | u16::from(second)) % (ROWS * CLASSES)];
            let count = &mut odd[usize::from(row) / CLASSES % ROWS];
            *count = count.wrapping_add(1);
            at += 2;
        }
        self.0 = row;
        if let [last] = rest
            && CLASS[usize::from(*last)] < class::STOP
        {
            self.take(tally, CLASS[usize::from(*last)]);
            at += 1;
        }
        at
    }

    /// Takes one byte of `class`, or a mark for those that have none.
    #[inline]
    pub(crate) fn take(&mut self, tally: &mut Tally, class: u8) {
        let class = if class >= class::STOP { class::MARK } else { class };
        self.0 = NEXT[usize::from(self.0 | u16::from(class)) % (ROWS * CLASSES)];
        let count = &mut tally.0[0][usize::from(self.0) / CLASSES % ROWS];
        *count = count.wrapping_add(1);
    }

    /// Takes one byte, whatever it is.
    #[inline]
    pub(crate) fn take_byte(&mut self, tally: &mut Tally, byte: u8) {
        self.take(tally, CLASS[usize::from(byte)]);
    }

    /// Takes all of a text.
    pub(crate) fn take_text(&mut self, tally: &mut Tally, mut text: &[u8]) {
        loop {
            let taken = self.run(tally, text);
            let Some(stop) = text.get(taken) else { return };
            self.take_byte(tally, *stop);
            text = &text[taken + 1..];
        }
    }

    /// Takes a UTF-16 code unit, as JSON's `\u` gives it. Of a pair only the first half counts.
    pub(crate) fn take_unit(&mut self, tally: &mut Tally, unit: u16) {
        let (class, bytes) = match unit {
            0..0x80 => (CLASS[usize::from(unit)], 1),
            0x80..0x250 => (class::LATIN, 2),
            0x250..0x800 => (class::TWO, 2),
            0x800..0x2000 => (class::INDIC, 3),
            0x2000..0x3000 => (class::SYMBOL, 3),
            0x3000..0x4000 => (class::KANA, 3),
            0x4000..0xa000 => (class::HAN, 3),
            0xa000..0xd800 => (class::HANGUL, 3),
            0xd800..0xdc00 => (class::ASTRAL, 4),
            0xdc00..0xe000 => return,
            0xe000.. => (class::WIDE, 3),
        };
        for _ in 0..bytes {
            self.take(tally, class);
        }
    }
}

const fn classes() -> [u8; 256] {
    let mut table = [class::MARK; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' => class::LOWER,
            b'A'..=b'Z' => class::UPPER,
            b'0'..=b'9' => class::DIGIT,
            b' ' | b'\t' => class::SPACE,
            b'\n' | b'\r' => class::NEWLINE,
            b'"' | b'\\' => class::STOP,
            0x80..=0xbf => class::TAIL,
            0xc0..=0xc9 => class::LATIN,
            0xca..=0xdf => class::TWO,
            0xe0 | 0xe1 => class::INDIC,
            0xe2 => class::SYMBOL,
            0xe3 => class::KANA,
            0xe4..=0xe9 => class::HAN,
            0xea..=0xed => class::HANGUL,
            0xee | 0xef => class::WIDE,
            0xf0..=0xff => class::ASTRAL,
            _ => class::MARK,
        };
        byte += 1;
    }
    table
}

const fn transitions() -> [u16; ROWS * CLASSES] {
    let mut table = [0; ROWS * CLASSES];
    let mut from = 0;
    while from < STATES {
        let mut class = 0;
        while class < CLASSES {
            table[from * CLASSES + class] = step(from as u8, class as u8) as u16 * CLASSES as u16;
            class += 1;
        }
        from += 1;
    }
    table
}

const fn step(from: u8, class: u8) -> u8 {
    let after_blank = from == state::START || (from >= state::SPACE && from <= state::INDENT_2);
    let after_lower = (from >= state::WORD && from <= state::GLUED) || from == state::LATIN;
    match class {
        class::LOWER => match from {
            state::WORD..=state::LETTER_8 => from + 1,
            state::LETTER_9 => state::LETTER_9,
            state::GLUED | state::CAPITAL..=state::HUMP => state::WORD + 1,
            state::LATIN => state::WORD + 4,
            _ if after_blank => state::WORD,
            _ => state::GLUED,
        },
        class::UPPER => match from {
            state::CAPITAL | state::GLUED_CAPITAL | state::HUMP => state::CAPITAL_2,
            state::CAPITAL_2 | state::CAPITAL_3 => state::CAPITAL_3,
            _ if after_lower => state::HUMP,
            _ if after_blank => state::CAPITAL,
            _ => state::GLUED_CAPITAL,
        },
        class::DIGIT => match from {
            state::DIGIT | state::SPACED_DIGIT => state::DIGIT_2,
            state::DIGIT_2 => state::DIGIT_3,
            state::SPACE => state::SPACED_DIGIT,
            _ => state::DIGIT,
        },
        class::MARK => match from {
            state::MARK..=state::MARK_4 => from + 1,
            state::MARK_5 => state::MARK_5,
            _ => state::MARK,
        },
        class::SPACE => match from {
            state::SPACE => state::SPACE_2,
            state::SPACE_2 | state::SPACE_3 => state::SPACE_3,
            state::NEWLINE | state::NEWLINE_2 => state::INDENT,
            state::INDENT | state::INDENT_2 => state::INDENT_2,
            _ => state::SPACE,
        },
        class::NEWLINE => match from {
            state::NEWLINE | state::NEWLINE_2 => state::NEWLINE_2,
            _ => state::NEWLINE,
        },
        class::LATIN => state::LATIN,
        class::TWO => state::TWO,
        class::INDIC => state::INDIC,
        class::SYMBOL => state::SYMBOL,
        class::KANA => state::KANA,
        class::HAN => state::HAN,
        class::HANGUL => state::HANGUL,
        class::WIDE => state::WIDE,
        class::ASTRAL => state::ASTRAL,
        // What is above ASCII is counted in bytes, so that a character counts twice, three or four times.
        _ if from >= state::LATIN => from,
        _ => state::WIDE,
    }
}
