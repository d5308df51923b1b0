//! The shared sections, typed: what the gateway as a whole needs, whichever doors it has.
//!
//! Files and directories are kept as text: who reads them expands `~` and knows what a relative path is relative to.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected};
use serde::{Serialize, Serializer};
use tradewind_core::{Code, ProviderName};

use crate::limits::{Journal, Limits};
use crate::problem::Problems;
use crate::providers::{self, Provider, decode_providers};
use crate::root::{Root, SectionInfo};
use crate::spanned::Spanned;

/// The shared sections of a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shared {
    /// Where the gateway listens; loopback, since nothing guards it otherwise.
    pub listen: Listen,
    /// Where it keeps its files, as written: `~` is not expanded.
    pub data_dir: DataDir,
    /// Who answers model calls, in the order of the file.
    pub providers: Vec<Provider>,
    /// Bounds for every call.
    pub limits: Limits,
    /// How much of the decision journal is kept.
    pub journal: Journal,
}

impl Shared {
    /// Decodes the shared sections. What cannot be used is reported and has its default.
    #[must_use]
    pub fn decode(root: &Root, problems: &mut Problems) -> Self {
        let listen: Spanned<Listen> = root.value("listen", problems);
        if !listen.0.ip().is_loopback() {
            let message = format!("`{}` is open to other machines, and nothing guards it", listen.shown());
            let hint = format!("listen on 127.0.0.1:{}: caller keys and TLS are not built yet", listen.0.port());
            problems.push(listen.problem(Code::ConfigOpenListen, message).with_hint(hint));
        }
        let data_dir: Spanned<DataDir> = root.value("data-dir", problems);
        if data_dir.0.trim().is_empty() {
            problems.push(data_dir.problem(Code::ConfigBadValue, "the directory is empty"));
        }
        let limits: Limits = root.value("limits", problems);
        for key in limits.zeros() {
            let message = format!("`{key}` is zero: nothing could be answered");
            problems.push(root.problem(Code::ConfigBadValue, &format!("limits.{key}"), message));
        }
        Self {
            listen: listen.value,
            data_dir: data_dir.value,
            providers: decode_providers(root, problems),
            limits,
            journal: root.value("journal", problems),
        }
    }

    /// The provider of this name.
    #[must_use]
    pub fn provider(&self, name: &ProviderName) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name.value == *name)
    }
}

/// The sections that this crate owns.
pub const SHARED_SECTIONS: &[SectionInfo] = &[
    SectionInfo {
        key: "listen",
        about: "Where the gateway listens, as IP address and port.",
        schema: |generator| generator.subschema_for::<Listen>(),
        governed: &[],
        not_built: &[],
    },
    SectionInfo {
        key: "data-dir",
        about: "Where the gateway keeps its files. `~` is the home directory.",
        schema: |generator| generator.subschema_for::<DataDir>(),
        governed: &[],
        not_built: &[],
    },
    SectionInfo {
        key: "providers",
        about: "Who answers model calls.",
        schema: |generator| generator.subschema_for::<Vec<Provider>>(),
        governed: &[
            "name",
            "dialect",
            "base-url",
            "auth",
            "headers",
            "query",
            "path",
            "passthrough",
            "discover",
            "http2",
        ],
        not_built: providers::NOT_BUILT,
    },
    SectionInfo {
        key: "limits",
        about: "Bounds that hold for every call.",
        schema: |generator| generator.subschema_for::<Limits>(),
        governed: &["*"],
        not_built: &[],
    },
    SectionInfo {
        key: "journal",
        about: "How much of the decision journal is kept.",
        schema: |generator| generator.subschema_for::<Journal>(),
        governed: &[],
        not_built: &[],
    },
];

/// An address to listen on, `127.0.0.1:7080`; `localhost` stands for 127.0.0.1. Port 0 takes any free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listen(pub SocketAddr);

impl Default for Listen {
    fn default() -> Self {
        Self(SocketAddr::from(([127, 0, 0, 1], 7080)))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        numeric.as_deref().unwrap_or(&text).parse().map(Self).map_err(|_| {
            D::Error::invalid_value(Unexpected::Str(&text), &"an IP address and a port, like 127.0.0.1:7080")
        })
    }
}

impl JsonSchema for Listen {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Listen".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "default": Self::default() })
    }
}

/// A directory as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct DataDir(pub String);

impl Default for DataDir {
    fn default() -> Self {
        Self("~/.local/share/tradewind".to_owned())
    }
}

impl fmt::Display for DataDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for DataDir {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "DataDir".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "default": Self::default() })
    }
}
