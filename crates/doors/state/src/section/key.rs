//! Where a key that seals comes from.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use tradewind_core::Secret;

/// What helps with a key that cannot be used.
pub(super) const HINT: &str =
    "`\"${TRADEWIND_STATE_KEY}\"`, `{file: state.key}` or `{command: [pass, show, tradewind]}`";
/// More words of a command than this are not taken.
const MOST_WORDS: usize = 64;

/// A key that seals, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealingKey {
    /// What it is called in what it seals.
    pub id: Arc<str>,
    /// Where it comes from.
    pub source: KeySource,
}

/// Where a key comes from: 32 bytes, written in base64 or as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// It stands in the document, mostly by way of a variable of the environment.
    Text(Secret<String>),
    /// It stands in a file.
    File(String),
    /// A command prints it: the program and its arguments, without a shell.
    Command(Vec<String>),
}

impl KeySource {
    /// Why nothing can come from there, if so.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        match self {
            Self::Text(text) if text.expose().trim().is_empty() => Some("the key is empty"),
            Self::File(path) if path.trim().is_empty() => Some("the path of the key is empty"),
            Self::Command(words) if words.first().is_none_or(|program| program.is_empty()) => {
                Some("the command of the key has no program")
            }
            Self::Command(words) if words.len() > MOST_WORDS => Some("the command of the key has more than 64 words"),
            _ => None,
        }
    }
}

/// The longer way of writing [`KeySource`].
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    command: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for KeySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = KeySource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the key as text, `{file}` or `{command}`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<KeySource, E> {
                Ok(KeySource::Text(Secret::new(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeySource, A::Error> {
                match Written::deserialize(MapAccessDeserializer::new(map))? {
                    Written { file: Some(path), command: None } => Ok(KeySource::File(path)),
                    Written { file: None, command: Some(words) } => Ok(KeySource::Command(words)),
                    _ => Err(A::Error::custom("a key has either `file` or `command`")),
                }
            }
        }
        deserializer.deserialize_any(Words)
    }
}

impl JsonSchema for KeySource {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "StateKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "writeOnly": true },
                {
                    "type": "object",
                    "properties": { "file": { "type": "string" } },
                    "required": ["file"],
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "properties": { "command": { "type": "array", "items": { "type": "string" }, "maxItems": 64 } },
                    "required": ["command"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
