//! What is looked at in a request's body before it is parsed, in one pass without recursion: how deep it is nested, and
//! whether a field at its top is one of ours in another spelling. Whoever reads the body after us, a provider in whatever
//! language, may be less careful: one that ignores the case of names would read another model than was allowed here.

use tradewind_core::Code;
use tradewind_door::Refusal;

/// The deepest nesting that a request may have: what `serde_json`, and others with it, read by default.
const DEEPEST: usize = 128;
/// The fields that decide who answers and what it may cost.
const OURS: [&str; 9] = [
    "model",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n",
    "best_of",
    "stream_options",
    "previous_response_id",
];

/// Looks at `body`, which should be a JSON object.
///
/// # Errors
/// 400 when it is nested too deep, or has a field of ours in another spelling.
pub(crate) fn check_shape(body: &[u8]) -> Result<(), Refusal> {
    let (mut depth, mut at) = (0_usize, 0);
    let mut key: &[u8] = b"";
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => {
                let end = end_of_text(body, at + 1);
                // At the first level a text is a key or a value; a key comes later than the value before it.
                if depth == 1 {
                    key = &body[at + 1..end.min(body.len())];
                    check_spelling(key, &body[end.min(body.len())..])?;
                }
                at = end;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > DEEPEST {
                    let field = String::from_utf8_lossy(&key[..key.len().min(100)]).into_owned();
                    let message = format!("the field `{field}`: is nested deeper than {DEEPEST} levels");
                    return Err(Refusal::new(Code::BadField, message).in_field(field));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Refuses `text` when it is a key and one of [`OURS`] but for the case of its letters. `after` begins with its closing
/// quote.
fn check_spelling(text: &[u8], after: &[u8]) -> Result<(), Refusal> {
    let of_ours = |name: &&&str| text.eq_ignore_ascii_case(name.as_bytes()) && text != name.as_bytes();
    let decoded;
    let ours = if text.contains(&b'\\') {
        decoded = [b"\"", text, b"\""].concat();
        let name: String = serde_json::from_slice(&decoded).unwrap_or_default();
        OURS.iter().find(|ours| name.eq_ignore_ascii_case(ours) && name != **ours)
    } else {
        OURS.iter().find(of_ours)
    };
    let Some(ours) = ours else { return Ok(()) };
    if after.iter().skip(1).find(|byte| !byte.is_ascii_whitespace()) != Some(&b':') {
        return Ok(());
    }
    let message = format!("the field `{ours}`: is spelled with other letters than these; write it as here");
    Err(Refusal::new(Code::BadField, message).in_field(*ours))
}

/// Where the quote stands that ends the text whose content begins at `from`.
fn end_of_text(body: &[u8], mut from: usize) -> usize {
    while let Some(offset) = body.get(from..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        let found = from + offset;
        if body[found] == b'"' {
            return found;
        }
        from = found + 2;
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_field(body: &str) -> Option<String> {
        check_shape(body.as_bytes()).err().and_then(|refusal| refusal.field).map(|field| field.into_owned())
    }

    #[test]
    fn the_field_that_is_too_deep_is_named() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let body = |levels| format!(r#"{{"model":"a","x":"[[[\"{{","metadata":{{"in":{}}},"z":[]}}"#, nested(levels));
        assert_eq!(wrong_field(&body(126)), None);
        assert_eq!(wrong_field(&body(127)).as_deref(), Some("metadata"));
        assert_eq!(wrong_field(&body(1_000_000)).as_deref(), Some("metadata"));
        let wide = format!("{{\"a\":[{}]}}", "[[]],".repeat(100_000));
        assert_eq!(wrong_field(&wide), None);
        for text in ["", "\"", "\"\\", "{\"", "}}}}]]]]", "{\"a\\\"b\":1}", "{\"model\"", "{\"Model"] {
            assert_eq!(wrong_field(text), None, "{text}");
        }
    }

    #[test]
    fn fields_of_ours_have_one_spelling() {
        for (body, field) in [
            (r#"{"model":"a","Model":"b"}"#, Some("model")),
            (r#"{"MODEL" : "b"}"#, Some("model")),
            (r#"{"M\u006fdel":"b"}"#, Some("model")),
            (r#"{"Max_Tokens":1}"#, Some("max_tokens")),
            (r#"{"model":"Model"}"#, None),
            (r#"{"model":"MODEL","x":"Stream"}"#, None),
            (r#"{"metadata":{"Model":"b"}}"#, None),
            (r#"{"m\u006fdel":"b"}"#, None),
        ] {
            assert_eq!(wrong_field(body).as_deref(), field, "{body}");
        }
    }
}
