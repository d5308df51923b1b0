//! The section `store`: one word or a URL.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected};
use tradewind_core::Secret;

/// What keeps state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// A SQLite database in the data directory.
    #[default]
    Sqlite,
    /// All of it in memory, with a log on disk, in the data directory.
    Wal,
    /// A Redis server, by its URL, which may have a password.
    Redis(Secret<String>),
    /// A NATS server with JetStream, by its URL, which may have a password.
    Nats(Secret<String>),
}

/// Which schemes lead to which server.
const REDIS: [&str; 2] = ["redis://", "rediss://"];
const NATS: [&str; 2] = ["nats://", "tls://"];

const EXPECTED: &str = "sqlite, wal, redis://HOST[:PORT][/DB] or nats://HOST[:PORT]";

impl Engine {
    /// Reads what stands in the document, or on a command line.
    ///
    /// # Errors
    /// What could stand there.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_of = |schemes: [&str; 2]| {
            schemes.iter().filter_map(|scheme| text.strip_prefix(scheme)).any(|rest| !rest.is_empty())
        };
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "wal" => Ok(Self::Wal),
            _ if is_of(REDIS) => Ok(Self::Redis(Secret::new(text.to_owned()))),
            _ if is_of(NATS) => Ok(Self::Nats(Secret::new(text.to_owned()))),
            _ => Err(EXPECTED),
        }
    }

    /// Whether it is somewhere else than in the data directory.
    #[must_use]
    pub const fn is_server(&self) -> bool {
        matches!(self, Self::Redis(_) | Self::Nats(_))
    }
}

/// The word, or the scheme: nothing that is secret.
impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Wal => "wal",
            Self::Redis(_) => "redis",
            Self::Nats(_) => "nats",
        })
    }
}

impl<'de> Deserialize<'de> for Engine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|expected| D::Error::invalid_value(Unexpected::Other("another text"), &expected))
    }
}

impl JsonSchema for Engine {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Store".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^(sqlite|wal|rediss?://.+|(nats|tls)://.+)$|\$\{",
            "default": "sqlite",
        })
    }
}
