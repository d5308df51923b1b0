//! The rules of the house, checked: which crate may use which, how long files are, that each error code has its page, that
//! the references are what the code says, that the examples in the documents work, and that the invariants of
//! ARCHITECTURE.md name tests that exist.
//!
//! Nothing here tests the gateway's behaviour. `UPDATE_DOCS=1 cargo nextest run -p tradewind --test house` writes the
//! generated references anew.

#[path = "house/arrows.rs"]
mod arrows;
#[path = "house/documents.rs"]
mod documents;
#[path = "house/errors.rs"]
mod errors;
#[path = "house/invariants.rs"]
mod invariants;
#[path = "house/licences.rs"]
mod licences;
#[path = "house/metrics.rs"]
mod metrics;
#[path = "house/references.rs"]
mod references;
#[path = "house/sizes.rs"]
mod sizes;
#[path = "house/tree.rs"]
mod tree;
#[path = "house/wire.rs"]
mod wire;
