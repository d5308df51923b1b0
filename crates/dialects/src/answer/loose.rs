//! Reading texts and numbers of providers: what is there is kept, what is missing or null is nothing, and texts are
//! borrowed from the body where they have no escapes.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text where one is expected; anything else is nothing. For what is no part of the answer itself: ids, kinds, reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lenient<'a>(pub(crate) Cow<'a, str>);

/// What was said: a text, null, or a list of text parts. Anything else is an error, so that nothing said is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said<'a>(pub(crate) Cow<'a, str>);

/// The content of a chat message: a text, null, or a list of parts that are text or thinking (Mistral's form of it).
/// Anything else is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) thinking: Cow<'a, str>,
}

/// A count where one is expected; anything else, negative and absurd numbers included, is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) Option<u64>);

/// The largest count that is believed: what a JSON number holds exactly everywhere.
const LARGEST: u64 = 1 << 53;

impl<'de: 'a, 'a> Deserialize<'de> for Lenient<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Texts { strict: false }).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Said<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Texts { strict: true }).map(Self)
    }
}

struct Texts {
    strict: bool,
}

impl Texts {
    fn other<'a, E: Error>(&self) -> Result<Cow<'a, str>, E> {
        if self.strict { Err(E::custom("not a text")) } else { Ok(Cow::Borrowed("")) }
    }
}

impl<'de> Visitor<'de> for Texts {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        self.other()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        self.other()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        self.other()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        self.other()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.other()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        if !self.strict {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return self.other();
        }
        let mut joined = Cow::Borrowed("");
        while let Some(part) = seq.next_element::<TextPart<'de>>()? {
            if !matches!(&*part.kind.0, "" | "text") {
                return Err(A::Error::custom("a part that is not text"));
            }
            append(&mut joined, part.text.0);
        }
        Ok(joined)
    }
}

/// Joins texts, and borrows as long as there is only one.
pub(crate) fn append<'a>(joined: &mut Cow<'a, str>, text: Cow<'a, str>) {
    if joined.is_empty() {
        *joined = text;
    } else {
        joined.to_mut().push_str(&text);
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Contents)
    }
}

struct Contents;

impl<'de> Visitor<'de> for Contents {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or parts that are text or thinking")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Content { text: Cow::Borrowed(text), thinking: Cow::Borrowed("") })
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Content { text: Cow::Owned(text.to_owned()), thinking: Cow::Borrowed("") })
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Content::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut content = Content::default();
        while let Some(part) = seq.next_element::<ContentPart<'de>>()? {
            match &*part.kind.0 {
                "" | "text" => append(&mut content.text, part.text.0),
                "thinking" => append(&mut content.thinking, part.thinking.0),
                _ => return Err(A::Error::custom("a part that is neither text nor thinking")),
            }
        }
        Ok(content)
    }
}

#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Lenient<'a>,
    #[serde(default, borrow)]
    text: Lenient<'a>,
    #[serde(default, borrow)]
    thinking: Said<'a>,
}

#[derive(Deserialize)]
struct TextPart<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Lenient<'a>,
    #[serde(default, borrow)]
    text: Lenient<'a>,
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Numbers)
    }
}

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number((value <= LARGEST).then_some(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
        Ok(Number((value >= 0.0 && value <= LARGEST as f64).then_some(value as u64)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Number, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Number(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Number(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_a_text_or_text_parts() {
        for (json, said) in [
            (r#""hi""#, Some("hi")),
            ("null", Some("")),
            (r#"[{"type":"text","text":"a"},{"text":"b"}]"#, Some("ab")),
            (r#"[{"type":"image_url","image_url":{}}]"#, None),
            ("7", None),
            ("{}", None),
        ] {
            assert_eq!(serde_json::from_str::<Said<'_>>(json).ok().map(|said| said.0).as_deref(), said, "{json}");
        }
    }

    #[test]
    fn content_is_a_text_or_parts_of_text_and_thinking() {
        for (json, said) in [
            (r#""hi""#, Some(("hi", ""))),
            (r#""\u0041""#, Some(("A", ""))),
            ("null", Some(("", ""))),
            ("[]", Some(("", ""))),
            (
                r#"[{"type":"thinking","thinking":[{"type":"text","text":"h"},{"type":"text","text":"m"}]},{"type":"text","text":"a"},{"text":"b"},{"type":"thinking","thinking":"!"}]"#,
                Some(("ab", "hm!")),
            ),
            (r#"[{"type":"thinking","thinking":[{"type":"reference","reference_ids":[1]}]}]"#, None),
            (r#"[{"type":"image_url","image_url":{}}]"#, None),
            ("7", None),
            ("{}", None),
        ] {
            let content = serde_json::from_str::<Content<'_>>(json).ok();
            let said_of = content.as_ref().map(|content| (&*content.text, &*content.thinking));
            assert_eq!(said_of, said, "{json}");
        }
    }

    #[test]
    fn texts_without_escapes_are_borrowed() {
        let borrowed: Said<'_> = serde_json::from_str(r#""plain é""#).unwrap();
        assert!(matches!(borrowed.0, Cow::Borrowed("plain é")));
        let owned: Said<'_> = serde_json::from_str(r#""\ud83d\ude00""#).unwrap();
        assert_eq!(owned.0, "😀");
        assert!(serde_json::from_str::<Said<'_>>(r#""\ud83d""#).is_err());
    }

    #[test]
    fn numbers_that_make_no_sense_are_none() {
        for (json, count) in [
            ("7", Some(7)),
            ("7.0", Some(7)),
            ("-1", None),
            ("1e300", None),
            ("99999999999999999999", None),
            ("\"7\"", None),
            ("[1]", None),
            ("{\"a\":1}", None),
            ("null", None),
        ] {
            assert_eq!(serde_json::from_str::<Number>(json).unwrap().0, count, "{json}");
        }
    }
}
