//! The embedder that is always there: counts of hashed character n-grams, without a model and without a download.
//!
//! It knows spelling, not meaning: "car" and "automobile" are strangers to it, and a Chinese question meets an English
//! text only in the names and numbers they share. Used where no other embedder is configured: for the cache by meaning
//! and for the spread of a question.

use crate::embedder::Embedder;
use crate::text_limit::first_bytes;
use crate::vector::Vector;
use crate::words;

/// Bytes of a text that are read; what follows does not change the vector.
pub(crate) const MAX_BYTES: usize = 16 * 1024;

/// Dimensions: two words share one seldom enough, and a vector is 2 KiB, as large as one of the encoder.
const DIMENSIONS: usize = 512;

/// Hashed character n-grams (three and four characters of a word with its edges; one and two of Chinese), each counted as
/// 1 + ln(count), with a sign out of the hash so that collisions cancel instead of adding up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lexical;

impl Embedder for Lexical {
    fn name(&self) -> &str {
        "lexical"
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    /// Reads the first 16 KiB of the text.
    fn embed(&self, text: &str) -> Vector {
        let mut grams = Vec::new();
        words::grams(first_bytes(text, MAX_BYTES), &mut grams);
        grams.sort_unstable();
        let mut values = vec![0.0f32; DIMENSIONS];
        for same in grams.chunk_by(|left, right| left == right) {
            let hash = same[0];
            let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
            values[(hash % DIMENSIONS as u64) as usize] += sign * (1.0 + (same.len() as f32).ln());
        }
        Vector::new(values).expect("sums of finite numbers, and there are dimensions")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(left: &str, right: &str) -> f32 {
        Lexical.embed(left).cosine(&Lexical.embed(right)).unwrap()
    }

    #[test]
    fn same_words_are_near_and_others_are_far() {
        assert!(cosine("Book a flight to Paris", "book flights to paris!") > 0.8);
        assert!(cosine("book a flight", "boook a filght") > 0.2);
        assert!(cosine("book a flight", "weather tomorrow").abs() < 0.15);
        assert!(cosine("明天天气怎么样", "明天的天气") > 0.4);
        assert!(cosine("ＡＢＣ公司", "abc公司") > 0.999);
    }

    #[test]
    fn nothing_to_say_is_the_zero_vector() {
        assert!(Lexical.embed("").is_zero());
        assert!(Lexical.embed("?! …").is_zero());
        assert_eq!(Lexical.embed("x").dimensions(), Lexical.dimensions());
    }

    #[test]
    fn only_the_first_part_of_a_long_text_counts() {
        let long = "word ".repeat(MAX_BYTES / 5 + 1);
        assert_eq!(Lexical.embed(&long), Lexical.embed(&format!("{long} and something else")));
    }
}
