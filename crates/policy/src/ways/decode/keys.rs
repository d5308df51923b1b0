//! Tables of the keys that a section has: what the decoder reads, what the JSON Schema says, and which of mihomo's keys
//! have no effect here, from one place.

use schemars::Schema;
use serde_json::{Map, Value, json};

/// One key of a map.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it is for; of a key without effect: what is therefore not done.
    pub(super) about: &'static str,
    pub(super) effect: Effect,
}

/// Whether a key is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is.
    Read,
    /// It is mihomo's, and not read, which is said.
    None,
    /// Nor is this, but what it would do is said of another key.
    Covered,
}

/// What may stand at a key.
pub(super) enum Kind {
    /// Text; a number will do.
    Text,
    /// Text that is never shown.
    Secret,
    /// A whole number from 0 to this.
    Whole(u64),
    /// True or false.
    Flag,
    /// A list of texts.
    Texts,
    /// A text, or several.
    OneOrMore,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One or several of these words.
    Words(&'static [&'static str]),
    /// Any keys, with texts.
    TextMap,
    /// Any keys, with lists of texts that are never shown.
    HeaderMap,
    /// These keys.
    Keys(&'static [Key]),
    /// A list of maps with these keys.
    List(&'static [Key]),
    /// Any keys, with maps of these keys.
    MapOf(&'static [Key]),
    /// Any keys, with lists of texts.
    ListMap,
    /// Any keys, with a text or several.
    OneOrMoreMap,
    /// A map of its own kind.
    AnyMap,
    /// A list of such maps.
    Maps,
    /// Whatever.
    Any,
}

impl Key {
    pub(super) const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, about, effect: Effect::Read }
    }

    /// A key of mihomo's that is not read; `about` says what is therefore not done.
    pub(super) const fn idle(name: &'static str, about: &'static str) -> Self {
        Self { name, kind: Kind::Any, about, effect: Effect::None }
    }

    /// A key of mihomo's that is not read, about which there is nothing to say that is not said of another key.
    pub(super) const fn covered(name: &'static str) -> Self {
        Self { name, kind: Kind::Any, about: "", effect: Effect::Covered }
    }
}

/// The key of this name.
pub(super) fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name)
}

impl Kind {
    /// The JSON Schema of such a value.
    pub(super) fn schema(&self) -> Value {
        match self {
            Self::Text => json!({ "type": ["string", "integer"] }),
            Self::Secret => json!({ "type": ["string", "integer"], "writeOnly": true }),
            Self::Whole(most) => json!({ "type": "integer", "minimum": 0, "maximum": most }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Self::OneOrMore => {
                json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
            }
            Self::Word(words) => json!({ "type": "string", "enum": words }),
            Self::Words(words) => json!({ "anyOf": [
                { "type": "string", "enum": words },
                { "type": "array", "items": { "type": "string", "enum": words } },
            ] }),
            Self::TextMap => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            Self::HeaderMap => json!({
                "type": "object",
                "writeOnly": true,
                "additionalProperties": { "anyOf": [
                    { "type": "string" },
                    { "type": "array", "items": { "type": "string" } },
                ] },
            }),
            Self::Keys(keys) => map_of(keys),
            Self::List(keys) => json!({ "type": "array", "items": map_of(keys) }),
            Self::MapOf(keys) => json!({ "type": "object", "additionalProperties": map_of(keys) }),
            Self::ListMap => json!({
                "type": "object",
                "additionalProperties": { "type": "array", "items": { "type": "string" } },
            }),
            Self::OneOrMoreMap => json!({ "type": "object", "additionalProperties": Self::OneOrMore.schema() }),
            Self::AnyMap => json!({ "type": "object" }),
            Self::Maps => json!({ "type": "array", "items": { "type": "object" } }),
            Self::Any => json!({}),
        }
    }

    /// The schema for a section.
    pub(super) fn section(&self) -> Schema {
        match self.schema() {
            Value::Object(schema) => Schema::from(schema),
            _ => Schema::default(),
        }
    }
}

/// A map with these keys. Others are known too, without effect, so nothing is said about them.
fn map_of(keys: &[Key]) -> Value {
    let mut properties = Map::new();
    for key in keys.iter().filter(|key| key.effect == Effect::Read) {
        let mut schema = key.kind.schema();
        schema["description"] = key.about.into();
        properties.insert(key.name.to_owned(), schema);
    }
    json!({ "type": "object", "properties": properties })
}
