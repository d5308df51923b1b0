//! What pictures, documents and recordings cost, told from their first bytes alone.
//!
//! Providers count them by size in pixels, pages and seconds, which a gateway would have to decode to know. One usual
//! cost for each kind comes near enough, and calibration corrects it for each model.

/// Tokens of a picture: one of about a megapixel costs 765 at OpenAI and 1,400 at Anthropic.
pub(crate) const PICTURE: u64 = 1_000;
/// Tokens of a page of a document, which is given as text and as a picture.
const PAGE: u64 = 2_000;
/// Base64 bytes of a usual page.
const PAGE_BYTES: u64 = 64 * 1024;
/// Base64 bytes of a tenth of a second of a recording at 128 kbit/s, which is a token.
const SOUND_BYTES: u64 = 2_133;
/// Shorter than this it is not worth telling base64 from words.
const SHORTEST: usize = 64;

/// What a string costs where a picture, a document or a recording may stand, in tokens; `None` when it is plain text.
/// All of it is looked at: words behind something that looks like base64 are words that the model reads.
pub(crate) fn cost(value: &[u8], url: bool) -> Option<u64> {
    if let Some(rest) = value.strip_prefix(b"data:") {
        let comma = rest.iter().take(128).position(|byte| *byte == b',').map_or(rest.len(), |comma| comma + 1);
        let data = &rest[comma..];
        return is_base64(data).then(|| cost_of_base64(data));
    }
    if url {
        return Some(PICTURE);
    }
    (value.len() >= SHORTEST && is_base64(value)).then(|| cost_of_base64(value))
}

/// Whether a string of JSON is base64 throughout. Its slashes may be written as escapes.
fn is_base64(value: &[u8]) -> bool {
    let padding = value.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let mut letters = value[..value.len() - padding].iter();
    while let Some(byte) = letters.next() {
        let is_letter = match byte {
            b'\\' => letters.next() == Some(&b'/'),
            _ => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'),
        };
        if !is_letter {
            return false;
        }
    }
    true
}

/// Tells the kind from the first bytes, which base64 maps to fixed letters.
fn cost_of_base64(base64: &[u8]) -> u64 {
    let length = base64.len() as u64;
    let pictures: [&[u8]; 4] = [b"iVBOR", b"/9j/", b"\\/9j", b"R0lGOD"];
    let webp = base64.starts_with(b"UklGR") && base64.get(11..16) == Some(b"XRUJQ".as_slice());
    if webp || pictures.iter().any(|magic| base64.starts_with(magic)) {
        return PICTURE;
    }
    if base64.starts_with(b"JVBER") {
        return PAGE * length.div_ceil(PAGE_BYTES);
    }
    length / SOUND_BYTES + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_cost() {
        let base64 = |start: &str, length: usize| format!("{start}{}", "A".repeat(length - start.len())).into_bytes();
        for picture in ["iVBORw0K", "/9j/4AAQ", "R0lGODlh", "UklGRhAgMABXRUJQVlA4"] {
            assert_eq!(cost(&base64(picture, 100_000), false), Some(PICTURE), "{picture}");
        }
        assert_eq!(cost(&base64("JVBERi0x", 3 * PAGE_BYTES as usize), false), Some(3 * PAGE));
        // A second of sound in WAV or MP3 is ten tokens.
        assert_eq!(cost(&base64("UklGRhAgMABXQVZFZm10", 21_330), false), Some(11));
        assert_eq!(cost(b"data:application/pdf;base64,JVBERi0x", false), Some(PAGE));
        assert_eq!(cost(b"data:", true), Some(1));
        assert_eq!(cost(b"https://example.com/a.jpg", true), Some(PICTURE));
        assert_eq!(cost(b"A sentence that says what is in the document, in more than sixty-four bytes.", false), None);
        assert_eq!(cost(b"short", false), None);
        assert_eq!(cost(&base64("\\/9j\\/4AAQ", 100_000), false), Some(PICTURE));
        assert_eq!(cost(&[base64("JVBER", 1_000), b"==".to_vec()].concat(), false), Some(PAGE));
    }

    #[test]
    fn words_behind_base64_are_words() {
        let long = "A".repeat(100_000);
        for words in [" the quick brown fox", "\\n", "==A", "===", "-", "é", "\\"] {
            assert_eq!(cost(format!("{long}{words}").as_bytes(), false), None, "{words}");
            assert_eq!(cost(format!("data:text/plain;base64,{long}{words}").as_bytes(), true), None, "{words}");
        }
        assert_eq!(cost(b"data:text/plain,the quick brown fox", true), None);
    }
}
