//! Values of the section that are written in more than one way: `after` of a hedge, and `last-resort`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};
use serde::{Serialize, Serializer};
use tradewind_core::parse_duration;
use tradewind_policy::{Spanned, TimeSpan};

use super::{BUILT_IN_RESPONDER, LastResort};

/// When a hedge is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HedgeAfter {
    /// After the 95th percentile of the target's own time to first token.
    P95,
    /// After this time.
    Time(TimeSpan),
}

impl fmt::Display for HedgeAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P95 => f.write_str("p95"),
            Self::Time(time) => time.fmt(f),
        }
    }
}

impl Serialize for HedgeAfter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HedgeAfter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = HedgeAfter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`p95`, or a time span like 800ms")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<HedgeAfter, E> {
                if text == "p95" {
                    return Ok(HedgeAfter::P95);
                }
                match parse_duration(text) {
                    Ok(time) => Ok(HedgeAfter::Time(TimeSpan(time))),
                    Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<HedgeAfter, E> {
                self.visit_str(&seconds.to_string())
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<HedgeAfter, E> {
                self.visit_str(&seconds.to_string())
            }
        }
        deserializer.deserialize_any(Words)
    }
}

impl JsonSchema for HedgeAfter {
    fn schema_name() -> Cow<'static, str> {
        "HedgeAfter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let time = generator.subschema_for::<TimeSpan>();
        json_schema!({ "anyOf": [{ "const": "p95" }, time] })
    }
}

impl<'de> Deserialize<'de> for LastResort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Either way of writing it, with the place of the whole.
        struct Written(Option<Spanned<String>>);
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`rules`, or `{rules: NAME}` with the name of one of the responders")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
                if text == BUILT_IN_RESPONDER {
                    return Ok(Written(None));
                }
                Err(E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written, A::Error> {
                let mut rules = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key != "rules" {
                        return Err(A::Error::custom("`last-resort` has only the key `rules`"));
                    }
                    rules = Some(map.next_value()?);
                }
                rules.map(|name| Written(Some(name))).ok_or_else(|| A::Error::missing_field("rules"))
            }
        }
        let Written(name) = deserializer.deserialize_any(Words)?;
        Ok(Self { rules: name.unwrap_or_else(|| Spanned::unplaced(BUILT_IN_RESPONDER.to_owned())) })
    }
}

impl JsonSchema for LastResort {
    fn schema_name() -> Cow<'static, str> {
        "LastResort".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Who answers when no target can: `rules` for the built-in responder, or one of `responders`.",
            "anyOf": [
                { "const": BUILT_IN_RESPONDER },
                {
                    "type": "object",
                    "properties": { "rules": { "type": "string" } },
                    "required": ["rules"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
