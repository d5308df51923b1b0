//! Writing JSON into a byte buffer.

use std::io::Write;
use std::ops::Range;

/// Appends `text` as a JSON string; returns where what is between its quotes stands.
pub(crate) fn quote(out: &mut Vec<u8>, text: &str) -> Range<usize> {
    let start = out.len();
    serde_json::to_writer(&mut *out, text).expect("a text can always be written to memory");
    start + 1..out.len() - 1
}

/// Appends formatted text.
pub(crate) fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory can always be written to");
}

/// Appends the JSON value `raw` without the white space between its tokens: an event of a stream is one line.
pub(crate) fn compact(out: &mut Vec<u8>, raw: &str) {
    let (mut in_string, mut escaped) = (false, false);
    for byte in raw.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacting_leaves_texts_alone() {
        let mut out = Vec::new();
        compact(&mut out, "{ \"a b\" : [ 1 , \"c \\\" \\\\\" ],\n\t\"d\": null }");
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a b":[1,"c \" \\"],"d":null}"#);
    }

    #[test]
    fn the_inside_of_a_quoted_text_is_found() {
        let mut out = b"x".to_vec();
        let inside = quote(&mut out, "a\"\n\u{1}é");
        assert_eq!(out, "x\"a\\\"\\n\\u0001é\"".as_bytes());
        assert_eq!(&out[inside], "a\\\"\\n\\u0001é".as_bytes());
    }
}
