//! The one way in which long texts are cut.

/// The first `bytes` bytes of a text, or fewer where a character would be cut.
pub(crate) fn first_bytes(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stay_whole() {
        assert_eq!(first_bytes("天气", 4), "天");
        assert_eq!(first_bytes("天气", 6), "天气");
        assert_eq!(first_bytes("ab", 100), "ab");
        assert_eq!(first_bytes("天", 2), "");
    }
}
