//! A list of upstreams, in the words of GOPROXY: `https://a,https://b|file:///c,direct`.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use tradewind_policy::BaseUrl;

/// More entries than this are not taken: each costs a request for everything that is not there.
const MOST_HOPS: usize = 16;

/// Upstreams in the order in which they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstreams(pub Vec<Hop>);

/// One upstream, and when the next one is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// What is asked.
    pub source: HopSource,
    /// When the one behind it is asked.
    pub otherwise: Otherwise,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HopSource {
    /// Another module proxy.
    Http(BaseUrl),
    /// A folder in the layout of a module proxy.
    File(PathBuf),
    /// Version control.
    Direct,
    /// Nothing: what is not stored is not there.
    Off,
}

/// When the next upstream is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// `,`: when this one does not have it (404 or 410).
    Missing,
    /// `|`: when anything goes wrong.
    Anything,
}

/// Why a list cannot be used. Texts of URLs are not shown: they may hold credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUpstreams {
    /// No entry at all.
    #[error("the list is empty; `off` serves what is stored")]
    Empty,
    /// Too many entries.
    #[error("more than {MOST_HOPS} upstreams")]
    TooMany,
    /// A URL that is none.
    #[error("{0}")]
    Url(tradewind_policy::BaseUrlError),
    /// Credentials in a URL.
    #[error("credentials do not belong into the URL: use `auth`")]
    Credentials,
    /// A `file` URL that is not of this machine, or not absolute.
    #[error("a file URL is written file:///absolute/path")]
    File,
    /// What follows `direct` or `off`.
    #[error("what follows `direct` or `off` would never be asked")]
    AfterEnd,
}

impl Upstreams {
    /// Reads a list as GOPROXY has it: entries are trimmed and empty ones skipped, a bare host is reached over https.
    ///
    /// # Errors
    /// When an entry cannot be asked.
    pub fn parse(text: &str) -> Result<Self, BadUpstreams> {
        let mut hops: Vec<Hop> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find([',', '|']).unwrap_or(rest.len());
            let (entry, after) = rest.split_at(end);
            let otherwise = if after.starts_with('|') { Otherwise::Anything } else { Otherwise::Missing };
            rest = after.get(1..).unwrap_or_default();
            let entry = entry.trim();
            if entry.is_empty() {
                continue;
            }
            if hops.last().is_some_and(|hop| matches!(hop.source, HopSource::Direct | HopSource::Off)) {
                return Err(BadUpstreams::AfterEnd);
            }
            if hops.len() >= MOST_HOPS {
                return Err(BadUpstreams::TooMany);
            }
            hops.push(Hop { source: source(entry)?, otherwise });
        }
        if hops.is_empty() { Err(BadUpstreams::Empty) } else { Ok(Self(hops)) }
    }

    /// Whether version control is asked.
    #[must_use]
    pub fn has_direct(&self) -> bool {
        self.0.iter().any(|hop| hop.source == HopSource::Direct)
    }
}

fn source(entry: &str) -> Result<HopSource, BadUpstreams> {
    match entry {
        "direct" => return Ok(HopSource::Direct),
        "off" => return Ok(HopSource::Off),
        _ => {}
    }
    if let Some(path) = entry.strip_prefix("file://") {
        if !path.starts_with('/') {
            return Err(BadUpstreams::File);
        }
        return Ok(HopSource::File(PathBuf::from(tradewind_core::percent_decoded(path))));
    }
    let with_scheme = if entry.contains("://") { Cow::Borrowed(entry) } else { Cow::Owned(format!("https://{entry}")) };
    BaseUrl::parse(&with_scheme).map(HopSource::Http).map_err(|error| match error {
        tradewind_policy::BaseUrlError::Credentials => BadUpstreams::Credentials,
        error => BadUpstreams::Url(error),
    })
}

impl<'de> Deserialize<'de> for Upstreams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Upstreams;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of URLs, or a text as in GOPROXY")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Upstreams, E> {
                Upstreams::parse(text).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Upstreams, A::Error> {
                let mut texts: Vec<String> = Vec::new();
                while let Some(text) = items.next_element::<String>()? {
                    texts.push(text);
                }
                Upstreams::parse(&texts.join(",")).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(Words)
    }
}

impl JsonSchema for Upstreams {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Upstreams".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Upstreams as in GOPROXY: `,` goes on when something is not there, `|` whatever went wrong. Items of a list are joined with commas. `https://`, `http://` and `file:///` URLs, then `direct` or `off`.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}
