//! Deterministic text: the same seed and the same request give the same words, hashes and vectors.

/// Words of answers. Some are of several bytes, so that a cut inside UTF-8 happens.
const WORDS: [&str; 24] = [
    "trade",
    "wind",
    "harbour",
    "naïve",
    "sail",
    "灯台",
    "north",
    "crew",
    "\"quoted\"",
    "knot",
    "été",
    "reef",
    "anchor",
    "🚢",
    "tide",
    "line\nbreak",
    "compass",
    "west",
    "back\\slash",
    "rope",
    "Ærø",
    "deck",
    "star",
    "course.",
];

/// Hashes bytes (FNV-1a, 64 bit, finished by [`mix`]).
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(fnv)
}

/// Scatters a number (the finisher of SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let a = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}

/// The tokens of an answer: every fourth is the name of the sim, the others are words. All but the first begin with a
/// blank, so that their concatenation is the text.
pub(crate) fn tokens(name: &str, seed: u64, count: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count)
        .map(|index| {
            let word = if index % 4 == 0 { name } else { WORDS[random.usize(..WORDS.len())] };
            if index == 0 { word.to_owned() } else { format!(" {word}") }
        })
        .collect()
}

/// How many tokens a text counts: its words.
pub(crate) fn count(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// A vector of unit length.
pub(crate) fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let raw: Vec<f32> = (0..dimensions).map(|_| random.f32() - 0.5).collect();
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    raw.into_iter().map(|x| x / length).collect()
}

/// Base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = (0..3).fold(0_u32, |sum, at| (sum << 8) | u32::from(*group.get(at).unwrap_or(&0)));
        for digit in 0..4 {
            let six = (number >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= group.len() { char::from(ALPHABET[six]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn tokens_repeat_by_seed_and_carry_the_name() {
        let text = tokens("alpha", 5, 12).concat();
        assert_eq!(text, tokens("alpha", 5, 12).concat());
        assert_ne!(text, tokens("alpha", 6, 12).concat());
        assert_eq!(text.matches("alpha").count(), 3);
    }

    #[test]
    fn vectors_have_unit_length() {
        let length: f32 = vector(3, 64).iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5);
    }
}
