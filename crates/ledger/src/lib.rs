//! Transparent logs: signed notes, tree heads, tiles, and what can be proven with them.
//!
//! Pure and sans-I/O: bytes that somebody fetched come in, and what may be believed of them goes out. There is no clock, no
//! file and no network here, and nothing is known of what a log is about: Go's checksum database and a log of our own are
//! checked by the same code.
//!
//! The way of a check: [`open_note`] for the text that a known key signed → [`TreeHead::parse`] → [`tiles_of_record`] or
//! [`tiles_of_prefix`] for the tiles that are needed → [`Tiles::check`] with their bytes → [`Tiles::record_hash`],
//! [`Tiles::prefix_root`]. A [`Tiles`] holds nothing that was not hashed up to the root of a head, so that whatever it
//! answers is proven.
//!
//! The formats are those of C2SP (`signed-note`, `tlog-tiles`) as far as Go's checksum database has them, and the trees are
//! those of RFC 6962, section 2.1. Code of our own and not a crate: `signed_note` and `tlog_tiles` bring a second
//! implementation of Ed25519 and of SHA-256 and read tiles through a trait that waits, where checking is what this gateway
//! exists for.

mod hash;
mod head;
mod note;
mod plan;
mod proof;
mod record;
mod shape;
mod tile;
mod tiles;
mod verifier;

pub use hash::{Hash, HashError};
pub use head::{HeadError, TreeHead};
pub use note::{MAX_NOTE, MAX_SIGNATURES, Note, NoteError, open_note};
pub use plan::{tiles_of_prefix, tiles_of_record};
pub use proof::{ProofError, check_prefix, check_record};
pub use record::{MAX_RECORD, Record, RecordError};
pub use tile::{Level, Tile, TilePathError};
pub use tiles::{TileError, Tiles};
pub use verifier::{Verifier, VerifierError};
