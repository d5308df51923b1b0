//! What is kept of a group across restarts.
//!
//! `{"schema_version":1,"source":"auto","last_matched_network":"office"}`. A record that cannot be meant is refused, and
//! whoever keeps it is to delete it: the group then starts without one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::machine::{LastMatch, Source};

/// Stands for "no network fitted" in records; no network may have this name.
pub const NOTHING_MATCHED: &str = "<none>";

/// What is kept of a group: who selected its member, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    source: Source,
    last: Option<LastMatch>,
}

/// Why a record is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// Not JSON, or not of the shape.
    #[error("not a record: {0}")]
    Shape(String),
    /// Of another version.
    #[error("schema version {0} is not known")]
    Version(i64),
    /// Neither `auto` nor `manual`.
    #[error("unknown source")]
    Source,
    /// `auto` without what it was for.
    #[error("selected by the policy, but for nothing")]
    AutoForNothing,
    /// A name that no network can have.
    #[error("not the name of a network")]
    Name,
}

/// What a record may say; what it does not say is zero, empty or null.
#[derive(Serialize, Deserialize)]
struct Raw<'a> {
    #[serde(default)]
    schema_version: i64,
    #[serde(default)]
    source: std::borrow::Cow<'a, str>,
    #[serde(default)]
    last_matched_network: Option<std::borrow::Cow<'a, str>>,
}

impl Record {
    /// What is kept of a group; `None` for one that nobody has selected in, and for what would be refused again.
    pub(super) fn new(source: Source, last: Option<LastMatch>) -> Option<Self> {
        let is_meant = match source {
            Source::Unknown => false,
            Source::Auto => last.is_some(),
            Source::Manual => true,
        };
        is_meant.then_some(Self { source, last })
    }

    /// Who selected.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// What for.
    #[must_use]
    pub const fn last(&self) -> Option<&LastMatch> {
        self.last.as_ref()
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it cannot be meant; it is to be deleted then.
    pub fn parse(json: &[u8]) -> Result<Self, BadRecord> {
        // Through a map, since derived code would take a list for a record too.
        let raw: Raw<'_> = serde_json::from_slice::<serde_json::Map<String, Value>>(json)
            .and_then(|map| serde_json::from_value(Value::Object(map)))
            .map_err(|error| BadRecord::Shape(error.to_string()))?;
        if raw.schema_version != 1 {
            return Err(BadRecord::Version(raw.schema_version));
        }
        let source = match &*raw.source {
            "auto" => Source::Auto,
            "manual" => Source::Manual,
            _ => return Err(BadRecord::Source),
        };
        let last = match raw.last_matched_network.as_deref() {
            None if source == Source::Auto => return Err(BadRecord::AutoForNothing),
            None => None,
            Some("" | "default") => return Err(BadRecord::Name),
            Some(NOTHING_MATCHED) => Some(LastMatch::Nothing),
            Some(name) => Some(LastMatch::Network(Arc::from(name))),
        };
        Ok(Self { source, last })
    }

    /// The record as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let last = self.last.as_ref().map(|last| match last {
            LastMatch::Nothing => NOTHING_MATCHED,
            LastMatch::Network(name) => name,
        });
        let source = if self.source == Source::Auto { "auto" } else { "manual" };
        let raw = Raw { schema_version: 1, source: source.into(), last_matched_network: last.map(Into::into) };
        serde_json::to_string(&raw).expect("texts and a number can be written as JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(Source, Option<LastMatch>), BadRecord> {
        Record::parse(json.as_bytes()).map(|record| (record.source, record.last))
    }

    #[test]
    fn records_are_read() {
        let office = Some(LastMatch::Network(Arc::from("office")));
        for (json, expected) in [
            (r#"{"schema_version":1,"source":"auto","last_matched_network":"office"}"#, (Source::Auto, office.clone())),
            (r#"{"schema_version":1,"source":"manual","last_matched_network":"office"}"#, (Source::Manual, office)),
            (r#"{"schema_version":1,"source":"manual","last_matched_network":null}"#, (Source::Manual, None)),
            (r#"{"schema_version":1,"source":"manual"}"#, (Source::Manual, None)),
            (
                "{\"schema_version\":1,\"source\":\"auto\",\"last_matched_network\":\"\\u003cnone\\u003e\"}",
                (Source::Auto, Some(LastMatch::Nothing)),
            ),
            (
                r#"{"source":"auto","more":[1],"last_matched_network":"<none>","schema_version":1}"#,
                (Source::Auto, Some(LastMatch::Nothing)),
            ),
        ] {
            assert_eq!(read(json), Ok(expected), "{json}");
        }
    }

    #[test]
    fn records_that_cannot_be_meant_are_refused() {
        for (json, why) in [
            (r#"{"schema_version":2,"source":"auto","last_matched_network":"office"}"#, BadRecord::Version(2)),
            (r#"{"source":"auto","last_matched_network":"office"}"#, BadRecord::Version(0)),
            (r#"{"schema_version":1,"source":"unknown","last_matched_network":"office"}"#, BadRecord::Source),
            (r#"{"schema_version":1,"source":"Auto","last_matched_network":"office"}"#, BadRecord::Source),
            (r#"{"schema_version":1,"last_matched_network":"office"}"#, BadRecord::Source),
            (r#"{"schema_version":1,"source":"auto","last_matched_network":null}"#, BadRecord::AutoForNothing),
            (r#"{"schema_version":1,"source":"auto"}"#, BadRecord::AutoForNothing),
            (r#"{"schema_version":1,"source":"manual","last_matched_network":""}"#, BadRecord::Name),
            (r#"{"schema_version":1,"source":"auto","last_matched_network":"default"}"#, BadRecord::Name),
        ] {
            assert_eq!(read(json), Err(why), "{json}");
        }
        for json in [
            "",
            "null",
            "[]",
            r#"[1,"auto","office"]"#,
            "{",
            r#"{"schema_version":"1"}"#,
            r#"{"schema_version":1,"source":null}"#,
        ] {
            assert!(matches!(read(json), Err(BadRecord::Shape(_))), "{json}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for last in [None, Some(LastMatch::Nothing), Some(LastMatch::Network(Arc::from("bü\"ro")))] {
            for source in [Source::Unknown, Source::Auto, Source::Manual] {
                match Record::new(source, last.clone()) {
                    Some(record) => assert_eq!(Record::parse(record.to_json().as_bytes()), Ok(record)),
                    None => assert!(source == Source::Unknown || (source == Source::Auto && last.is_none())),
                }
            }
        }
        let record = Record::new(Source::Auto, Some(LastMatch::Nothing)).expect("may be kept");
        assert_eq!(record.to_json(), r#"{"schema_version":1,"source":"auto","last_matched_network":"<none>"}"#);
    }
}
