//! `quality` of an entry of `models`, as it is written. What the types cannot say is in [`QualitySettings::problems`].

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The least mean probability of an answer's tokens, when none is given.
pub const DEFAULT_CONFIDENCE: f64 = 0.75;
/// How many characters of a stream are held back, when it is not said.
pub const DEFAULT_HOLD: u32 = 256;
/// The most characters of a stream that may be held back.
const MOST_HELD: u32 = 100_000;

/// Which gates judge the answers of a model. A gate that is not named does not judge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct QualitySettings {
    /// The reasons to stop that are fine; any other one fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<Vec<FinishName>>,
    /// Whether structured output has to be JSON and to follow the schema that the request gives.
    pub json_schema: bool,
    /// Whether tool calls have to name a tool of the request, with a JSON object that follows the tool's schema.
    pub tool_arguments: bool,
    /// `same`: the answer has to be in a language of the question. Says nothing where it is not sure: short or code-heavy
    /// texts, translations, languages that it does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<LanguageRule>,
    /// Whether an answer that refuses fails: by what its provider says, or by how it begins.
    pub refusal: bool,
    /// Whether an answer fails that has nothing in it but white space, characters that are not seen, and punctuation.
    pub empty: bool,
    /// Whether an answer fails that says the same over and over.
    pub repetition: bool,
    /// How long an answer's text may be, in characters. Says nothing about answers that only call tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<Length>,
    /// The least mean probability of the answer's tokens, from 0 to 1; `true` for 0.75. Says nothing when the provider gives
    /// no logprobs, which callers have to ask for.
    pub confidence: Confidence,
    /// When streams are judged: `{hold: N}` before their first N characters are passed on, and the rest only for the
    /// record; `whole` before anything is passed on; `advisory` only for the record.
    pub stream: StreamMode,
}

/// A reason to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FinishName {
    /// Everything was said.
    Stop,
    /// A token limit was reached.
    Length,
    /// Tools are called.
    ToolCalls,
    /// The provider or the model refused to go on.
    ContentFilter,
}

impl FinishName {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool-calls",
            Self::ContentFilter => "content-filter",
        }
    }
}

/// Which language an answer has to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LanguageRule {
    /// One of the question's.
    Same,
}

/// How long an answer's text may be, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Length {
    /// At least; 0 when absent.
    pub min: u32,
    /// At most; not limited when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// The least mean probability of an answer's tokens, from 0 to 1; `None` when the gate is off.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Confidence(pub Option<f64>);

/// When streams are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamMode {
    /// Before the first so many characters are passed on; the rest only for the record.
    Hold(u32),
    /// Before anything is passed on.
    Whole,
    /// Only for the record.
    Advisory,
}

impl Default for StreamMode {
    fn default() -> Self {
        Self::Hold(DEFAULT_HOLD)
    }
}

/// What is wrong with settings of the right types.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingProblem {
    /// The key within `quality`, as a path: `length.min`.
    pub key: &'static str,
    /// What is wrong with its value.
    pub message: String,
    /// What to write instead.
    pub hint: &'static str,
}

impl QualitySettings {
    /// Whether any gate judges.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.finish.is_some()
            || self.json_schema
            || self.tool_arguments
            || self.language.is_some()
            || self.refusal
            || self.empty
            || self.repetition
            || self.length.is_some()
            || self.confidence.0.is_some()
    }

    /// What is wrong with them, in the order of the keys; nothing when they can be used.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut problems = Vec::new();
        let mut refuse = |key, message: String, hint| problems.push(SettingProblem { key, message, hint });
        if let Some(finish) = &self.finish {
            let twice = |(at, name): (usize, &FinishName)| finish[..at].contains(name);
            if finish.is_empty() {
                let hint = "name at least `stop`, or leave `finish` out";
                refuse("finish", "no reason to stop would be fine".to_owned(), hint);
            } else if finish.iter().enumerate().any(twice) {
                refuse("finish", "a reason to stop is named twice".to_owned(), "name each reason once");
            }
        }
        if let Some(length) = self.length {
            match length.max {
                Some(0) => {
                    let hint = "write at least 1; `empty` is the gate for answers with nothing in them";
                    refuse("length.max", "no answer is that short".to_owned(), hint);
                }
                Some(max) if length.min > max => {
                    let message = format!("`min` ({}) is more than `max` ({max})", length.min);
                    refuse("length.min", message, "write a `min` of at most `max`");
                }
                None if length.min == 0 => {
                    refuse("length", "has no bound".to_owned(), "give `min`, `max` or both, in characters");
                }
                _ => {}
            }
        }
        if let Some(least) = self.confidence.0
            && !(least > 0.0 && least <= 1.0)
        {
            let hint = "write a number above 0 and up to 1, or `true` for 0.75";
            refuse("confidence", format!("{least} is not a mean probability that can be demanded"), hint);
        }
        if let StreamMode::Hold(characters) = self.stream
            && !(1..=MOST_HELD).contains(&characters)
        {
            let message = format!("{characters} characters cannot be held back");
            refuse("stream.hold", message, "write 1 to 100000 characters, or `whole`, or `advisory`");
        }
        problems
    }
}

impl Serialize for Confidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(least) => serializer.serialize_f64(least),
            None => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for Confidence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Confidence;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 1, or `true` for 0.75")
            }

            fn visit_bool<E>(self, on: bool) -> Result<Confidence, E> {
                Ok(Confidence(on.then_some(DEFAULT_CONFIDENCE)))
            }

            fn visit_f64<E>(self, least: f64) -> Result<Confidence, E> {
                Ok(Confidence(Some(least)))
            }

            fn visit_u64<E>(self, least: u64) -> Result<Confidence, E> {
                Ok(Confidence(Some(least as f64)))
            }

            fn visit_i64<E>(self, least: i64) -> Result<Confidence, E> {
                Ok(Confidence(Some(least as f64)))
            }

            fn visit_unit<E>(self) -> Result<Confidence, E> {
                Ok(Confidence(None))
            }
        }
        deserializer.deserialize_any(Words)
    }
}

impl JsonSchema for Confidence {
    fn schema_name() -> Cow<'static, str> {
        "Confidence".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "number", "exclusiveMinimum": 0, "maximum": 1 }] })
    }
}

impl Serialize for StreamMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hold(characters) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("hold", characters)?;
                map.end()
            }
            Self::Whole => serializer.serialize_str("whole"),
            Self::Advisory => serializer.serialize_str("advisory"),
        }
    }
}

impl<'de> Deserialize<'de> for StreamMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = StreamMode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`whole`, `advisory`, or `{hold: CHARACTERS}`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<StreamMode, E> {
                match text {
                    "whole" => Ok(StreamMode::Whole),
                    "advisory" => Ok(StreamMode::Advisory),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StreamMode, A::Error> {
                let mut characters = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key != "hold" {
                        return Err(A::Error::unknown_field(&key, &["hold"]));
                    }
                    if characters.replace(map.next_value()?).is_some() {
                        return Err(A::Error::duplicate_field("hold"));
                    }
                }
                characters.map(StreamMode::Hold).ok_or_else(|| A::Error::missing_field("hold"))
            }
        }
        deserializer.deserialize_any(Words)
    }
}

impl JsonSchema for StreamMode {
    fn schema_name() -> Cow<'static, str> {
        "StreamMode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "enum": ["whole", "advisory"] },
                {
                    "type": "object",
                    "properties": { "hold": { "type": "integer", "minimum": 1, "maximum": MOST_HELD } },
                    "required": ["hold"],
                    "additionalProperties": false,
                },
            ]
        })
    }
}
