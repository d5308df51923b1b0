//! The caller's JSON, split one level at a time and otherwise left as it is: texts, schemas and numbers are carried over
//! as the bytes that came, so that nothing about them can change.
//!
//! serde_json does the parsing. A tree of values was refused: it would round numbers, forget the order of keys, and cost
//! more than the whole translation.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

/// The most fields that an object may have where the gateway looks at each of them; the largest request has about 40.
/// More are unknown ones in any case, and looking for duplicates among thousands would be slow.
pub(super) const MOST_FIELDS: usize = 64;

/// How deep a JSON text may be nested that is carried over unread: what serde_json allows where it reads.
pub(super) const DEEPEST: usize = 128;

/// A JSON object: its fields in order, their values as JSON texts.
pub(super) struct Object<'a> {
    fields: SmallVec<[(Cow<'a, str>, &'a str); 6]>,
    pub(super) flaw: Option<Flaw<'a>>,
}

/// What is wrong with an object that is valid JSON.
#[derive(Clone)]
pub(super) enum Flaw<'a> {
    Duplicate(Cow<'a, str>),
    TooManyFields,
}

impl<'a> Object<'a> {
    /// The fields that say something: null is the same as none, on each of the wires.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.fields.iter().filter(|(_, value)| *value != "null").map(|(key, value)| (key.as_ref(), *value))
    }

    /// The value of `key`; null is the same as none.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.fields().find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = Object { fields: SmallVec::new(), flaw: None };
                while let Some(Key(key)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    if object.flaw.is_some() {
                        continue;
                    }
                    if object.fields.len() == MOST_FIELDS {
                        object.flaw = Some(Flaw::TooManyFields);
                    } else if object.fields.iter().any(|(known, _)| *known == key) {
                        object.flaw = Some(Flaw::Duplicate(key));
                    } else {
                        object.fields.push((key, value.get()));
                    }
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A JSON string as it stands in the caller's request: between its quotes, escapes untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl<'a> Text<'a> {
    /// `value` without its quotes, if it is a JSON string.
    pub(super) fn of(value: &'a str) -> Option<Self> {
        value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(Self)
    }

    /// Whether there is nothing in it but white space.
    pub(super) fn is_blank(self) -> bool {
        let mut rest = self.0.trim_start_matches(' ');
        while let Some(next) = ["\\n", "\\t", "\\r"].iter().find_map(|escape| rest.strip_prefix(escape)) {
            rest = next.trim_start_matches(' ');
        }
        rest.is_empty()
    }
}

/// Whether a list or an object has nothing in it.
pub(super) fn is_empty(value: &str) -> bool {
    let inside = value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inside = inside.or_else(|| value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')));
    inside.is_some_and(|inside| inside.bytes().all(|byte| byte.is_ascii_whitespace()))
}

/// Whether valid JSON is nested deeper than [`DEEPEST`].
pub(super) fn is_too_deep(json: &str) -> bool {
    // Most texts have fewer brackets than that, and counting them is fast.
    if json.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count() <= DEEPEST {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_split_and_left_alone() {
        let object: Object<'_> = serde_json::from_str(r#" {"a" : 1e400, "b\u0063":[ {} ],"n":null} "#).unwrap();
        assert_eq!(object.fields().collect::<Vec<_>>(), [("a", "1e400"), ("bc", "[ {} ]")]);
        assert_eq!((object.get("bc"), object.get("n"), object.get("z")), (Some("[ {} ]"), None, None));
        let twice: Object<'_> = serde_json::from_str(r#"{"a":1,"\u0061":2}"#).unwrap();
        assert!(matches!(twice.flaw, Some(Flaw::Duplicate(key)) if key == "a"));
        let many: String = (0..=MOST_FIELDS).map(|n| format!("\"{n}\":0,")).collect();
        let many = format!("{{{}}}", many.trim_end_matches(','));
        assert!(matches!(serde_json::from_str::<Object<'_>>(&many).unwrap().flaw, Some(Flaw::TooManyFields)));
        assert!(serde_json::from_str::<Object<'_>>("[1]").is_err());
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_too_deep(&nested(DEEPEST)) && is_too_deep(&nested(DEEPEST + 1)));
        assert!(!is_too_deep(&format!("[\"{}\\\"[\"]", "[".repeat(1000))));
        assert!(!is_too_deep(&format!("[{}]", "[],".repeat(1000))));
        assert!(is_too_deep(&nested(1_000_000)));
    }

    #[test]
    fn blank_and_empty() {
        for (text, blank) in [("", true), (" \\n\\t \\r", true), (" a", false), ("\\\\n", false), ("\\u0041", false)] {
            assert_eq!(Text(text).is_blank(), blank, "{text}");
        }
        for (value, empty) in [("{}", true), ("[ \n]", true), ("[1]", false), ("\"\"", false), ("{\"a\":{}}", false)] {
            assert_eq!(is_empty(value), empty, "{value}");
        }
    }
}
