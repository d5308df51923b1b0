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

use crate::context::{ContextSettings, decode_context};
use crate::guard::{TlsFiles, check_listen, decode_tls};
use crate::keys::{CallerKey, decode_keys};
use crate::limits::{Journal, Limits};
use crate::problem::Problems;
use crate::prometheus::{Prometheus, decode_prometheus};
use crate::providers::{self, Provider, check_ways, decode_providers};
use crate::root::{Root, SectionInfo};
use crate::spanned::Spanned;
use crate::telemetry::{Telemetry, decode_telemetry};
use crate::ways::Ways;

/// The shared sections of a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shared {
    /// Where the gateway listens; loopback, unless there are keys and TLS.
    pub listen: Listen,
    /// TLS on `listen`.
    pub tls: Option<TlsFiles>,
    /// Whether a proxy in front of `listen` does TLS.
    pub behind_tls: bool,
    /// Who may call; empty when everybody on this machine may, unless there are created keys.
    pub keys: Vec<CallerKey>,
    /// What is believed of what callers say about themselves.
    pub context: ContextSettings,
    /// Where it keeps its files, as written: `~` is not expanded.
    pub data_dir: DataDir,
    /// Who answers model calls, in the order of the file.
    pub providers: Vec<Provider>,
    /// Bounds for every call.
    pub limits: Limits,
    /// How much of the decision journal is kept.
    pub journal: Journal,
    /// Export of telemetry.
    pub telemetry: Telemetry,
    /// Who measures targets from outside.
    pub prometheus: Option<Prometheus>,
    /// Ways out of this network, and where callers of the relay come in.
    pub ways: Ways,
}

impl Shared {
    /// Decodes the shared sections. What cannot be used is reported and has its default.
    #[must_use]
    pub fn decode(root: &Root, problems: &mut Problems) -> Self {
        let listen: Spanned<Listen> = root.value("listen", problems);
        let tls = decode_tls(root, problems);
        let behind_tls: bool = root.value("behind-tls", problems);
        let keys = decode_keys(root, problems);
        check_listen(root, &listen, &keys, behind_tls, problems);
        let data_dir: Spanned<DataDir> = root.value("data-dir", problems);
        if data_dir.0.trim().is_empty() {
            problems.push(data_dir.problem(Code::ConfigBadValue, "the directory is empty"));
        }
        let limits: Limits = root.value("limits", problems);
        for key in limits.zeros() {
            let message = format!("`{key}` is zero: nothing could be answered");
            problems.push(root.problem(Code::ConfigBadValue, &format!("limits.{key}"), message));
        }
        let providers = decode_providers(root, problems);
        let ways = Ways::decode(root, problems);
        check_ways(&providers, &ways, root, problems);
        Self {
            listen: listen.value,
            tls,
            behind_tls,
            keys,
            context: decode_context(root, problems),
            data_dir: data_dir.value,
            providers,
            limits,
            journal: root.value("journal", problems),
            telemetry: decode_telemetry(root, problems),
            prometheus: decode_prometheus(root, problems),
            ways,
        }
    }

    /// The provider of this name.
    #[must_use]
    pub fn provider(&self, name: &ProviderName) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name.value == *name)
    }
}

/// The sections that this crate owns, but those about ways out, which every document has as well.
pub const SHARED_SECTIONS: &[SectionInfo] = &[
    SectionInfo {
        key: "listen",
        about: "Where the gateway listens, as IP address and port. What is not loopback needs `keys`, and `tls` or `behind-tls`.",
        schema: |generator| generator.subschema_for::<Listen>(),
        governed: &[],
        not_built: &[],
    },
    SectionInfo {
        key: "tls",
        about: "TLS on `listen`. The files are read again when the configuration is.",
        schema: |generator| generator.subschema_for::<TlsFiles>(),
        governed: &[],
        not_built: &[],
    },
    SectionInfo {
        key: "behind-tls",
        about: "Whether a proxy in front of `listen` does TLS.",
        schema: |generator| generator.subschema_for::<bool>(),
        governed: &[],
        not_built: &[],
    },
    SectionInfo {
        key: "keys",
        about: "Who may call. Without any key, callers on this machine need none.",
        schema: |generator| generator.subschema_for::<Vec<CallerKey>>(),
        governed: &[
            "name", "tenant", "role", "region", "device", "tags", "allow", "budget", "unpriced", "rpm", "tpm",
            "expires",
        ],
        not_built: &[],
    },
    SectionInfo {
        key: "context",
        about: "What is believed of what callers say about themselves in `x-tradewind-context`.",
        schema: |generator| generator.subschema_for::<ContextSettings>(),
        governed: &["max-age", "trust-hints"],
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
            "stream-usage",
            "discover",
            "http2",
            "via",
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
    SectionInfo {
        key: "telemetry",
        about: "Export of telemetry.",
        schema: |generator| generator.subschema_for::<Telemetry>(),
        governed: &[],
        not_built: &[],
    },
    SectionInfo {
        key: "prometheus",
        about: "Who measures targets from outside: a slow hint about their load, asked off the way of any call.",
        schema: |generator| generator.subschema_for::<Prometheus>(),
        governed: &["url", "interval", "timeout"],
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
