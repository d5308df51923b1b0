//! The configuration document: YAML with places, types, problems with a fix, JSON Schema, digest and diff.
//!
//! Pure: text and a look-up function for variables come in, values and problems go out. No file, environment or clock
//! is touched here. This crate owns the shared sections; each door brings its own as a [`SectionInfo`].
//!
//! The way of a document: [`Root::parse`] → [`Shared::decode`] and the doors' decoders → [`Problems::is_empty`].

mod context;
mod decode;
mod diff;
mod digest;
mod guard;
mod interpolate;
mod keys;
mod limits;
mod node;
mod problem;
mod prometheus;
mod providers;
mod root;
mod route;
mod scalar;
mod schema;
mod sensitive;
mod shared;
mod spanned;
mod telemetry;
mod units;
mod url;
pub mod ways;
mod yaml;

pub use context::ContextSettings;
pub use decode::{NotBuilt, decode, decode_list};
pub use diff::{Change, diff};
pub use digest::digest;
pub use guard::{TlsFiles, check_open_listen};
pub use interpolate::Lookup;
pub use keys::{
    BadPattern, BadTerm, Budget, CallerKey, DOORS, KeyHash, KeyTerms, LONGEST_SECRET, MOST_KEYS, MOST_TAGS, Period,
    SHORTEST_SECRET, Unpriced, check_key_name, check_label, check_pattern,
};
pub use limits::{Journal, Limits};
pub use node::{Entry, Node, Place, Value};
pub use problem::{MOST_NOTES, MOST_PROBLEMS, Note, Problem, Problems};
pub use prometheus::{LONGEST_QUERY, MOST_QUERIES, Prometheus, PrometheusQuery};
pub use providers::{Auth, Http2, Operation, Provider, check_via};
pub use root::{Root, SectionInfo};
pub use route::{MOST_RULES, RouteFacts, RouteRule, Routes, RuleTrace, When, Words, check_routes};
pub use schema::schema;
pub use shared::{DataDir, Listen, SHARED_SECTIONS, Shared};
pub use spanned::Spanned;
pub use telemetry::{LogFormat, LoggedCalls, Logs, Otlp, Telemetry};
pub use units::{Amount, ByteSize, TimeSpan, Timestamp};
pub use url::{BaseUrl, BaseUrlError};
pub use yaml::{MOST_BYTES, MOST_DEPTH, MOST_NODES, MOST_TEXT, parse_yaml};
