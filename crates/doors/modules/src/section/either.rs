//! Values of the section that are written in more than one way: `private` and `auth`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use tradewind_core::Secret;

use super::{Credential, Upstreams};

/// Modules that no public upstream and no checksum database is asked about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Private {
    /// Which: patterns as in GOPRIVATE.
    pub patterns: Vec<String>,
    /// Where they come from; without it from version control, where that is allowed, or from nowhere.
    pub upstream: Option<Upstreams>,
    /// How to log in there.
    pub auth: Option<Auth>,
}

/// How to log in at an upstream.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// With what the netrc file of the gateway's user has for its host.
    Netrc,
    /// With this, whatever its host.
    With(Credential),
}

/// The longer way of writing [`Private`].
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenPrivate {
    patterns: Vec<String>,
    #[serde(default)]
    upstream: Option<Upstreams>,
    #[serde(default)]
    auth: Option<Auth>,
}

impl<'de> Deserialize<'de> for Private {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Private;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of patterns, or `{patterns, upstream, auth}`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Private, E> {
                let patterns = text.split(',').map(str::trim).filter(|one| !one.is_empty());
                Ok(Private { patterns: patterns.map(str::to_owned).collect(), ..Private::default() })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Private, A::Error> {
                let mut patterns = Vec::new();
                while let Some(pattern) = items.next_element()? {
                    patterns.push(pattern);
                }
                Ok(Private { patterns, ..Private::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Private, A::Error> {
                let written = WrittenPrivate::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Private { patterns: written.patterns, upstream: written.upstream, auth: written.auth })
            }
        }
        deserializer.deserialize_any(Words)
    }
}

impl JsonSchema for Private {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Private".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (upstream, auth) = (generator.subschema_for::<Upstreams>(), generator.subschema_for::<Auth>());
        json_schema!({
            "anyOf": [
                { "type": "array", "items": { "type": "string" } },
                { "type": "string" },
                {
                    "type": "object",
                    "properties": {
                        "patterns": { "type": "array", "items": { "type": "string" } },
                        "upstream": upstream,
                        "auth": auth,
                    },
                    "required": ["patterns"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

/// The longer way of writing [`Auth`].
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenAuth {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Secret<String>>,
    #[serde(default)]
    token: Option<Secret<String>>,
    #[serde(default)]
    headers: BTreeMap<String, Secret<String>>,
}

impl WrittenAuth {
    fn read(self) -> Result<Credential, &'static str> {
        match (self.username, self.password, self.token, self.headers.is_empty()) {
            (Some(name), Some(_), None, true) if name.contains(':') => Err("a user name has no colon (RFC 7617)"),
            (Some(name), Some(password), None, true) => Ok(Credential::Basic(name, password)),
            (None, None, Some(token), true) => Ok(Credential::Bearer(token)),
            (None, None, None, false) => Ok(Credential::Headers(self.headers.into_iter().collect())),
            _ => Err("`auth` has either `username` and `password`, or `token`, or `headers`"),
        }
    }
}

impl<'de> Deserialize<'de> for Auth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Auth;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`netrc`, `{username, password}`, `{token}` or `{headers}`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Auth, E> {
                match text {
                    "netrc" => Ok(Auth::Netrc),
                    _ => Err(E::invalid_value(Unexpected::Other("another word"), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Auth, A::Error> {
                let written = WrittenAuth::deserialize(MapAccessDeserializer::new(map))?;
                written.read().map(Auth::With).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(Words)
    }
}

impl JsonSchema for Auth {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ModulesAuth".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "const": "netrc" },
                {
                    "type": "object",
                    "properties": {
                        "username": { "type": "string" },
                        "password": { "type": "string", "writeOnly": true },
                        "token": { "type": "string", "writeOnly": true },
                        "headers": {
                            "type": "object", "additionalProperties": { "type": "string" }, "writeOnly": true,
                        },
                    },
                    "additionalProperties": false,
                },
            ],
        })
    }
}
