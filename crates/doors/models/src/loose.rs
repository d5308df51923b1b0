//! Reading numbers and texts of providers in passing, without trusting and without keeping them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tradewind_core::{Fault, FaultKind};

/// A number where one is expected; anything else is `None` instead of an error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Count(pub(crate) Option<f64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Count, E> {
                Ok(Count(Some(value as f64)))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Count, E> {
                Ok(Count(Some(value as f64)))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Count, E> {
                Ok(Count(Some(value)))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }
        }
        deserializer.deserialize_any(Anything)
    }
}

/// How much is in a value that should be a text: its length in bytes, 0 for null, 1 for a list or map that has entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount(pub(crate) usize);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount(text.len()))
            }

            fn visit_unit<E>(self) -> Result<Amount, E> {
                Ok(Amount(0))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Amount, A::Error> {
                let mut entries = 0;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    entries = 1;
                }
                Ok(Amount(entries))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Amount, A::Error> {
                let mut entries = 0;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    entries = 1;
                }
                Ok(Amount(entries))
            }
        }
        deserializer.deserialize_any(Anything)
    }
}

/// Bytes of text for one token, as a rough average over languages and code.
const BYTES_PER_TOKEN: u64 = 4;

/// A rough count of the tokens in `bytes` of text; for load, and marked as estimated wherever it is shown.
pub(crate) const fn estimated_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// What is wrong with a JSON text, without any of the text: serde's own words show the value that it did not expect, which
/// may be a part of a prompt or an answer, and these words go into records.
pub(crate) fn what_is_wrong(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if !error.is_data() || text.starts_with("missing field") || text.starts_with("duplicate field") {
        return text;
    }
    match text.rfind(", expected ") {
        Some(at) => text[at + 2..].to_owned(),
        None => format!("not the right shape at line {} column {}", error.line(), error.column()),
    }
}

/// Parses the data of an event of a stream.
pub(crate) fn parse_event<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T, Fault> {
    let malformed =
        |what: &str| Fault::new(FaultKind::BadEvent, format!("an event of the stream is malformed: {what}"));
    // Once for the whole event is cheaper than for each text in it.
    let text = std::str::from_utf8(data).map_err(|_| malformed("it is not UTF-8"))?;
    serde_json::from_str(text).map_err(|error| malformed(&what_is_wrong(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_without_the_text() {
        let wrong = |text: &str| what_is_wrong(&serde_json::from_str::<Vec<u8>>(text).unwrap_err());
        assert_eq!(wrong("\"a prompt, expected soon\""), "expected a sequence at line 1 column 25");
        assert_eq!(wrong("[\"a prompt\"]"), "expected u8 at line 1 column 11");
        assert_eq!(wrong("[1"), "EOF while parsing a list at line 1 column 2");
    }

    #[test]
    fn anything_may_stand_where_a_number_is_expected() {
        for (text, count) in [
            ("7", Some(7.0)),
            ("-1", Some(-1.0)),
            ("1e300", Some(1e300)),
            ("\"7\"", None),
            ("null", None),
            ("[1]", None),
            ("{\"a\":1}", None),
            ("true", None),
        ] {
            assert_eq!(serde_json::from_str::<Count>(text).unwrap().0, count, "{text}");
        }
        assert!(serde_json::from_str::<Count>("{").is_err());
    }
}
