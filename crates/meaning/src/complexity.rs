//! How complex a question is, from signs that one cheap pass finds.
//!
//! Not a judgement of how hard it is: nobody knows that before the answer. It is the reason for giving meaning more
//! weight: a short plain question is answered well by any target, so load and cost may decide; a long one with several
//! topics, names, code and conditions is worth the target that fits it best.

use std::iter;

use crate::described::sentences;
use crate::embedder::Embedder;
use crate::reading::{Quotes, is_value};
use crate::text_limit::first_bytes;
use crate::vector::{Vector, dot};
use crate::words::{self, Piece};

/// Bytes of a question that are looked at.
pub const MAX_COMPLEXITY_BYTES: usize = 8192;

/// Sentences that are embedded for the spread, and bytes of each: at most as much work as embedding one question of
/// this length.
const MAX_SPREAD_SENTENCES: usize = 6;
const MAX_SPREAD_BYTES: usize = 240;

// Where each part reaches one half. Judgement, not measurement: no public data says which questions are complex. A
// question of a sentence or two stays below one half in every part, a task of a paragraph with conditions goes above.
const HALF_LENGTH: f32 = 60.0;
const HALF_VARIETY: f32 = 30.0;
const HALF_ENTITIES: f32 = 6.0;
const HALF_CONSTRAINTS: f32 = 3.0;

// What each part counts; together 1.
const LENGTH: f32 = 0.3;
const SPREAD: f32 = 0.2;
const ENTITIES: f32 = 0.15;
const CODE: f32 = 0.15;
const CONSTRAINTS: f32 = 0.2;

/// Words that put a condition on the answer, sorted.
const CONDITIONS: &[&str] = &[
    "always",
    "at",
    "avoid",
    "before",
    "between",
    "both",
    "cannot",
    "compare",
    "each",
    "ensure",
    "every",
    "exactly",
    "except",
    "format",
    "if",
    "instead",
    "json",
    "least",
    "limit",
    "maximum",
    "minimum",
    "most",
    "must",
    "never",
    "only",
    "or",
    "otherwise",
    "schema",
    "should",
    "step",
    "steps",
    "table",
    "unless",
    "until",
    "while",
    "within",
    "without",
];

/// The same in Chinese.
const CHINESE_CONDITIONS: &[&str] = &[
    "必须",
    "不要",
    "不能",
    "不得",
    "不超过",
    "只能",
    "只用",
    "至少",
    "最多",
    "除了",
    "除非",
    "如果",
    "否则",
    "之前",
    "之后",
    "之间",
    "按照",
    "格式",
    "分别",
    "要求",
    "以内",
    "步骤",
    "每个",
    "确保",
    "避免",
    "比较",
    "表格",
];

/// Chinese characters that names of places, organisations and people end with.
const CHINESE_NAME_ENDS: &[&str] =
    &["省", "市", "县", "区", "路", "公司", "大学", "医院", "银行", "先生", "女士", "老师", "经理"];

/// How complex a question is, and the parts of that; all 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Complexity {
    /// The weighted mean of the parts.
    pub value: f32,
    /// How long it is; a Chinese character counts half a word.
    pub length: f32,
    /// How far its sentences lie apart by the embedder; without one, how many different words it has.
    pub spread: f32,
    /// Names, numbers and quoted words.
    pub entities: f32,
    /// Whether it has program code in it, and how much.
    pub code: f32,
    /// Conditions put on the answer.
    pub constraints: f32,
}

impl Complexity {
    /// Looks at the first [`MAX_COMPLEXITY_BYTES`] of `question`. `spread` is what [`Complexity::spread_of`] gave for it,
    /// where there is an embedder.
    pub fn of(question: &str, spread: Option<f32>) -> Self {
        let text = first_bytes(question, MAX_COMPLEXITY_BYTES);
        let counts = Counts::of(text);
        let mut complexity = Self {
            value: 0.0,
            length: saturated(counts.words, HALF_LENGTH),
            spread: spread.unwrap_or_else(|| saturated(counts.different, HALF_VARIETY)),
            entities: saturated(counts.entities, HALF_ENTITIES),
            code: code(text),
            constraints: saturated(counts.conditions, HALF_CONSTRAINTS),
        };
        complexity.value = complexity.length * LENGTH
            + complexity.spread * SPREAD
            + complexity.entities * ENTITIES
            + complexity.code * CODE
            + complexity.constraints * CONSTRAINTS;
        complexity
    }

    /// How far the sentences of `question` lie apart, 0 to 1: one less the length of the mean of their vectors, 0 when all
    /// say the same, near 1 when they have nothing in common. Up to six are embedded, which is by far the most work here:
    /// keep it where a question may come again. Nothing when there are fewer than two sentences: one has no spread to
    /// see, its words have.
    pub fn spread_of(question: &str, embedder: &dyn Embedder) -> Option<f32> {
        let text = first_bytes(question, MAX_COMPLEXITY_BYTES);
        let mut sentences = sentences(text).peekable();
        let first = sentences.next()?;
        // Before anything is embedded: most questions have one sentence.
        sentences.peek()?;
        let vectors: Vec<Vector> = iter::once(first)
            .chain(sentences)
            .take(MAX_SPREAD_SENTENCES)
            .map(|sentence| embedder.embed(first_bytes(sentence, MAX_SPREAD_BYTES)))
            .filter(|vector| !vector.is_zero())
            .collect();
        if vectors.len() < 2 {
            return None;
        }
        let mut mean = vec![0.0f32; vectors[0].dimensions()];
        for vector in &vectors {
            for (sum, value) in mean.iter_mut().zip(vector.values()) {
                *sum += value / vectors.len() as f32;
            }
        }
        Some((1.0 - dot(&mean, &mean).sqrt()).clamp(0.0, 1.0))
    }

    /// What the weight of meaning, 0 to 1 out of weights that sum to 1, becomes for this question: it rises by its
    /// distance from both ends times the complexity, so that 0 stays 0 and 1 stays 1. At 0.6, the weight is 0.6 for the
    /// plainest question and 0.84 for the most complex one. The other weights share what is left in their proportion.
    pub fn weight_of_meaning(&self, weight: f32) -> f32 {
        let weight = weight.clamp(0.0, 1.0);
        weight + weight * (1.0 - weight) * self.value.clamp(0.0, 1.0)
    }
}

/// 0 for nothing, one half at `half`, towards 1 beyond.
fn saturated(count: f32, half: f32) -> f32 {
    count / (count + half)
}

struct Counts {
    words: f32,
    different: f32,
    entities: f32,
    conditions: f32,
}

impl Counts {
    fn of(text: &str) -> Self {
        let mut terms = Vec::new();
        let mut values = Vec::new();
        let (mut words, mut conditions, mut names) = (0.0, 0, 0);
        let mut quotes = Quotes::default();
        let mut chinese = false;
        words::pieces(text, |piece, begin| {
            let first = terms.len();
            words::piece_terms(piece, &mut terms);
            let quoted = quotes.reach(text, begin);
            match piece {
                Piece::Word(word) => {
                    words += 1.0;
                    conditions += usize::from(CONDITIONS.binary_search(&word).is_ok());
                    if quoted || is_value(text, begin) {
                        values.extend_from_slice(&terms[first..]);
                    }
                }
                Piece::Run(run) => {
                    chinese = true;
                    words += run.len() as f32 / 2.0;
                    names += usize::from(quoted);
                }
            }
        });
        if chinese {
            let count = |cues: &[&str]| cues.iter().map(|cue| text.matches(cue).count()).sum::<usize>();
            conditions += count(CHINESE_CONDITIONS);
            names += count(CHINESE_NAME_ENDS);
        }
        terms.sort_unstable();
        terms.dedup();
        values.sort_unstable();
        values.dedup();
        Self {
            words,
            different: terms.len() as f32,
            entities: (values.len() + names) as f32,
            conditions: conditions as f32,
        }
    }
}

/// Share of the lines that look like code, at least one half where there is a fence.
fn code(text: &str) -> f32 {
    let (mut lines, mut code) = (0.0, 0.0);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        lines += 1.0;
        if looks_like_code(line) || line.trim_end().ends_with([';', '{', '}']) {
            code += 1.0;
        }
    }
    let share = if lines > 0.0 { code / lines } else { 0.0 };
    if text.contains("```") { f32::max(share, 0.5) } else { share }
}

/// Two marks of programs next to each other, or a fence. Prose has a closing bracket and a semicolon side by side now
/// and then, so this is a hint, not a finding.
fn looks_like_code(text: &str) -> bool {
    let is_mark = |byte: u8| matches!(byte, b'{' | b'}' | b';' | b'=' | b'<' | b'>' | b'(' | b')' | b'[' | b']');
    text.contains("```") || text.as_bytes().windows(2).any(|pair| is_mark(pair[0]) && is_mark(pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexical::Lexical;

    fn of(text: &str) -> Complexity {
        Complexity::of(text, None)
    }

    const PLAIN: &str = "What is the capital of France?";
    const TASK: &str = "Write a Python function that reads 'orders.csv', keeps only rows between 2024-01-01 and 2024-03-31, \
        and returns JSON with at most 10 customers. It must not use pandas. Without the header the file is invalid: raise \
        ValueError.\n```python\ndef top(path):\n    return []\n```";

    #[test]
    fn lists_of_words_are_sorted() {
        assert!(CONDITIONS.is_sorted());
        assert!((LENGTH + SPREAD + ENTITIES + CODE + CONSTRAINTS - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_task_is_more_complex_than_a_plain_question() {
        let (plain, task) = (of(PLAIN), of(TASK));
        assert!(plain.value < 0.15, "{plain:?}");
        assert!(task.value > 0.4, "{task:?}");
        let parts = |c: &Complexity| [c.length, c.spread, c.entities, c.code, c.constraints];
        assert!(parts(&task).iter().zip(parts(&plain)).all(|(task, plain)| *task > plain), "{task:?} {plain:?}");
    }

    #[test]
    fn chinese_counts_too() {
        let plain = of("今天天气怎么样？");
        let task = of(
            "请写一份项目报告，必须分三部分，不超过五百字，不要出现《内部资料》，分别说明北京市和上海市的销售情况，如果数据不全，按照表格的格式列出缺项。",
        );
        assert!(plain.value < 0.15, "{plain:?}");
        assert!(task.value > plain.value + 0.2 && task.constraints > 0.5 && task.entities > 0.2, "{task:?}");
    }

    #[test]
    fn nothing_is_not_complex() {
        assert_eq!(of(""), Complexity::default());
        assert_eq!(of(" \n?!"), Complexity::default());
    }

    #[test]
    fn code_is_seen() {
        assert!(looks_like_code("fn main() { }"));
        assert!(looks_like_code("see\n```\nx\n```"));
        assert!(!looks_like_code("What is it (the thing), and why?"));
    }

    #[test]
    fn sentences_far_apart_spread() {
        let spread = |text| Complexity::of(text, Complexity::spread_of(text, &Lexical)).spread;
        let near = spread("Book a flight to Paris. Book the flight to Paris! Booking flights to Paris.");
        let far = spread("Book a flight to Paris. Who wrote Hamlet? Sort these numbers.");
        assert!(far > near + 0.2, "{far} {near}");
        assert_eq!(spread(PLAIN), of(PLAIN).spread);
    }

    #[test]
    fn one_sentence_is_not_embedded_for_its_spread() {
        struct Never;
        impl Embedder for Never {
            fn name(&self) -> &str {
                "never"
            }
            fn dimensions(&self) -> usize {
                1
            }
            fn embed(&self, text: &str) -> Vector {
                panic!("{text} was embedded")
            }
        }
        for text in ["", PLAIN, "word ".repeat(2000).as_str()] {
            assert_eq!(Complexity::spread_of(text, &Never), None);
        }
    }

    #[test]
    fn only_the_first_part_of_a_long_text_counts() {
        let long = "word ".repeat(MAX_COMPLEXITY_BYTES / 5 + 1);
        assert_eq!(of(&long), of(&format!("{long} must `x` {{}};")));
        assert!(of(&long).value <= 1.0);
    }

    #[test]
    fn the_weight_of_meaning_rises_with_complexity() {
        let at = |value| Complexity { value, ..Complexity::default() };
        for weight in [0.0, 0.2, 0.6, 1.0] {
            let rising: Vec<f32> =
                [0.0, 0.3, 0.7, 1.0].iter().map(|value| at(*value).weight_of_meaning(weight)).collect();
            assert!(rising.is_sorted() && rising.iter().all(|weight| (0.0..=1.0).contains(weight)), "{rising:?}");
            assert_eq!(rising[0], weight);
        }
        assert!((at(1.0).weight_of_meaning(0.6) - 0.84).abs() < 1e-6);
        assert_eq!(at(1.0).weight_of_meaning(0.0), 0.0);
    }
}
