//! The encoder on invented weights: against a plain computation, and against files that are not what they should be.

mod damage;
mod plain;
mod text;

use fearless_simd::Simd;

use super::{Encoder, sample};
use crate::Embedder;

fn sample_encoder() -> Encoder {
    Encoder::load(&sample::model(), &sample::npz(&sample::arrays())).unwrap()
}

#[test]
fn a_vector_is_that_of_a_plain_computation() {
    let encoder = sample_encoder();
    let arrays = sample::arrays();
    for text in ["the question", "a", "问题 the answering er", "zzz \u{e000}"] {
        let vector = encoder.embed(text);
        assert_eq!(vector.dimensions(), 512);
        let mut working = super::Working::default();
        encoder.normalizer.normalize(text, 1000, &mut working.normal);
        encoder.tokenizer.split(&working.normal, 100, &mut working.lattice);
        let plain = plain::forward(&arrays, &working.lattice.pieces);
        let cosine: f64 = vector.values().iter().zip(&plain).map(|(ours, plain)| f64::from(*ours) * plain).sum();
        assert!(cosine > 0.999_999, "{text}: {cosine}");
    }
}

#[test]
fn every_kind_of_processor_gives_the_same() {
    let encoder = sample_encoder();
    let vector = encoder.embed("the question");
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        let mut slow = encoder;
        let levels = [slow.level.as_sse2().map(|one| one.level()), slow.level.as_avx2().map(|one| one.level())];
        for level in levels.into_iter().flatten() {
            slow.level = level;
            let other = slow.embed("the question");
            assert!(vector.cosine(&other).unwrap() > 0.999_999, "{level:?}");
        }
    }
}

#[test]
fn texts_that_differ_have_vectors_that_differ() {
    let encoder = sample_encoder();
    let [one, same, other] = ["the question", " the\tquestion ", "a question"].map(|text| encoder.embed(text));
    assert!(one == same, "{}", one.cosine(&same).unwrap());
    assert!(one.cosine(&other).unwrap() < 0.999);
}

#[test]
fn white_space_alone_says_nothing() {
    let encoder = sample_encoder();
    for text in ["", " ", "\t \t", "\u{200b}"] {
        assert!(encoder.embed(text).is_zero(), "{text:?}");
    }
    assert!(!encoder.embed("\u{e000}").is_zero());
}

#[test]
fn of_a_long_text_the_beginning_is_read() {
    let encoder = sample_encoder();
    // 512 tokens are the marks, and 510 of these words of one piece.
    let long = "the ".repeat(510);
    let longer = format!("{long}question a question");
    assert_eq!(encoder.embed(&long), encoder.embed(&longer));
    assert!(encoder.reads_all(&long) && !encoder.reads_all(&longer));
    assert!(encoder.reads_all("") && encoder.reads_all("the question") && encoder.reads_all(&"问".repeat(500)));
    assert!(!encoder.reads_all(&"问".repeat(600)) && !encoder.reads_all(&" ".repeat(9000)));
    // 8 KiB end in the middle of a character.
    let characters = format!(" {}", "问".repeat(4000));
    assert!(!encoder.embed(&characters).is_zero());
}

#[test]
fn threads_share_one_encoder() {
    let encoder = sample_encoder();
    let expected = encoder.embed("the question");
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| assert_eq!(encoder.embed("the question"), expected));
        }
    });
    assert!(encoder.spaces.lock().len() <= super::MOST_SPACES);
}
