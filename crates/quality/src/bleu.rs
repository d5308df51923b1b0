//! BLEU-4, for comparing answers with golden ones offline (`tradewind evaluate`). Never for judging answers of callers:
//! there is nothing to compare them with, and a good answer in other words scores low.
//!
//! As sacreBLEU computes it (Post, 2018, after Papineni et al., 2002): clipped counts of runs of one to four tokens, their
//! geometric mean, and the brevity penalty `exp(1 - r / c)` by the reference whose length is closest. Tokens are those of
//! its tokenizer `zh`: signs of Chinese one by one, all else as `13a` cuts it. Case counts. Smoothing is its
//! `exp`: the k-th order without a match counts as `1 / (2^k · total)`. Scores are from 0 to 1; sacreBLEU's are 100 times
//! that.

use rustc_hash::FxHashMap;

/// The longest runs that are counted.
const ORDERS: usize = 4;

/// The score of one answer against its references; 0 without any reference or token. Orders for which the answer is too
/// short are left out of the mean (sacreBLEU's `effective_order`).
#[must_use]
pub fn sentence_bleu4(candidate: &str, references: &[&str]) -> f64 {
    let mut counts = Counts::default();
    counts.add(candidate, references);
    counts.score(true)
}

/// The score of many answers, each with its references: their counts are summed first, which is not the mean of their
/// scores.
#[must_use]
pub fn corpus_bleu4<'t>(pairs: impl IntoIterator<Item = (&'t str, &'t [&'t str])>) -> f64 {
    let mut counts = Counts::default();
    for (candidate, references) in pairs {
        counts.add(candidate, references);
    }
    counts.score(false)
}

#[derive(Debug, Default)]
struct Counts {
    matched: [u64; ORDERS],
    total: [u64; ORDERS],
    candidate_length: usize,
    reference_length: usize,
}

impl Counts {
    fn add(&mut self, candidate: &str, references: &[&str]) {
        if references.is_empty() {
            return;
        }
        let candidate = tokens(candidate);
        let references: Vec<Vec<String>> = references.iter().map(|reference| tokens(reference)).collect();
        let distance = |length: usize| length.abs_diff(candidate.len());
        let closest = references.iter().map(Vec::len).min_by_key(|length| (distance(*length), *length));
        self.candidate_length += candidate.len();
        self.reference_length += closest.unwrap_or(0);
        for order in 1..=ORDERS {
            let mut most: FxHashMap<&[String], u64> = FxHashMap::default();
            for reference in &references {
                for (run, count) in runs(reference, order) {
                    let known = most.entry(run).or_default();
                    *known = count.max(*known);
                }
            }
            for (run, count) in runs(&candidate, order) {
                self.matched[order - 1] += count.min(most.get(run).copied().unwrap_or(0));
                self.total[order - 1] += count;
            }
        }
    }

    fn score(&self, effective_order: bool) -> f64 {
        if self.matched == [0; ORDERS] {
            return 0.0;
        }
        let (mut sum, mut orders, mut smoothing) = (0.0, 0u8, 1.0);
        for (matched, total) in self.matched.into_iter().zip(self.total) {
            if total == 0 {
                break;
            }
            orders += 1;
            sum += if matched == 0 {
                smoothing *= 2.0;
                (1.0 / (smoothing * total as f64)).ln()
            } else {
                (matched as f64 / total as f64).ln()
            };
        }
        // Without a run of some length at all, a corpus has no score.
        if usize::from(orders) < ORDERS && !effective_order {
            return 0.0;
        }
        let (candidate, reference) = (self.candidate_length as f64, self.reference_length as f64);
        let brevity = if candidate < reference { (1.0 - reference / candidate).exp() } else { 1.0 };
        brevity * (sum / f64::from(orders)).exp()
    }
}

fn runs(tokens: &[String], order: usize) -> FxHashMap<&[String], u64> {
    let mut counts: FxHashMap<&[String], u64> = FxHashMap::default();
    for run in tokens.windows(order) {
        *counts.entry(run).or_default() += 1;
    }
    counts
}

/// The tokens of sacreBLEU's `zh`.
fn tokens(text: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(text.len() * 2);
    for c in text.trim().chars() {
        if is_sign(c) {
            spaced.extend([' ', c, ' ']);
        } else {
            spaced.push(c);
        }
    }
    let mut out = String::with_capacity(spaced.len() * 2);
    // Punctuation stands alone.
    for c in spaced.chars() {
        match c {
            '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/' => out.extend([' ', c, ' ']),
            _ => out.push(c),
        }
    }
    let out = around_digits(&out);
    out.split_whitespace().map(str::to_owned).collect()
}

/// A full stop or a comma stands alone unless it is between digits, and a dash after a digit does: three replacements, one
/// after the other, as the regular expressions of the original make them.
fn around_digits(text: &str) -> String {
    // `([^0-9])([\.,])` becomes `\1 \2 `
    let mut once = Vec::with_capacity(text.len() * 2);
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        if !chars[at].is_ascii_digit() && matches!(chars.get(at + 1), Some('.' | ',')) {
            once.extend([chars[at], ' ', chars[at + 1], ' ']);
            at += 2;
        } else {
            once.push(chars[at]);
            at += 1;
        }
    }
    // `([\.,])([^0-9])` becomes ` \1 \2`
    let mut twice = Vec::with_capacity(once.len() * 2);
    let mut at = 0;
    while at < once.len() {
        if matches!(once[at], '.' | ',') && once.get(at + 1).is_some_and(|next| !next.is_ascii_digit()) {
            twice.extend([' ', once[at], ' ', once[at + 1]]);
            at += 2;
        } else {
            twice.push(once[at]);
            at += 1;
        }
    }
    // `([0-9])(-)` becomes `\1 \2 `
    let mut last = String::with_capacity(twice.len() * 2);
    let mut at = 0;
    while at < twice.len() {
        last.push(twice[at]);
        if twice[at].is_ascii_digit() && twice.get(at + 1) == Some(&'-') {
            last.push_str(" - ");
            at += 1;
        }
        at += 1;
    }
    last
}

/// Signs of Chinese, as sacreBLEU takes them: with full-width forms and much punctuation (it means U+20000 to U+2A6D6 and
/// U+2F800 to U+2FA1D, and what it compares with is U+2001 to U+2A6D and U+2F81 to U+2FA1), and without kana.
fn is_sign(c: char) -> bool {
    matches!(u32::from(c),
        0x3400..=0x4db5 | 0x4e00..=0x9fa5 | 0x9fa6..=0x9fbb | 0xf900..=0xfa2d | 0xfa30..=0xfa6a | 0xfa70..=0xfad9
        | 0x2001..=0x2a6d | 0x2f81..=0x2fa1 | 0xff00..=0xffef | 0x2e80..=0x2eff | 0x3000..=0x303f | 0x31c0..=0x31ef
        | 0x2f00..=0x2fdf | 0x2ff0..=0x2fff | 0x3100..=0x312f | 0x31a0..=0x31bf | 0xfe10..=0xfe1f | 0xfe30..=0xfe4f
        | 0x3200..=0x32ff | 0x3300..=0x33ff)
}
