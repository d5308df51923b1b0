//! The configuration document: YAML with places, types, problems with a fix, JSON Schema, digest and diff.
//!
//! Pure: text and a look-up function for variables come in, values and problems go out. No file, environment or clock
//! is touched here. This crate owns the shared sections; each door brings its own as a [`SectionInfo`].
//!
//! The way of a document: [`Root::parse`] → [`Shared::decode`] and the doors' decoders → [`Problems::is_empty`].

mod decode;
mod diff;
mod digest;
mod interpolate;
mod limits;
mod node;
mod problem;
mod providers;
mod root;
mod scalar;
mod schema;
mod sensitive;
mod shared;
mod spanned;
mod units;
mod url;
mod yaml;

pub use decode::{NotBuilt, decode, decode_list};
pub use diff::{Change, diff};
pub use digest::digest;
pub use interpolate::Lookup;
pub use limits::{Journal, Limits};
pub use node::{Entry, Node, Place, Value};
pub use problem::{MOST_PROBLEMS, Problem, Problems};
pub use providers::{Auth, Http2, Operation, Provider};
pub use root::{Root, SectionInfo};
pub use schema::schema;
pub use shared::{DataDir, Listen, SHARED_SECTIONS, Shared};
pub use spanned::Spanned;
pub use units::{Amount, ByteSize, TimeSpan};
pub use url::{BaseUrl, BaseUrlError};
pub use yaml::{MOST_BYTES, MOST_DEPTH, MOST_NODES, MOST_TEXT, parse_yaml};
