//! Keeps answers, so that the same question is not asked twice: by the canonical form of a request ([`ExactCache`]) and,
//! where a model opts in, by the meaning of its question ([`MeaningCache`]).
//!
//! A kept answer never crosses from one tenant to another ([`Scope`] is part of every key), is never an error and never a
//! piece of an answer ([`Entry::new`] refuses those), and lives in memory alone: nothing is written to disk, and a restart
//! forgets it. Of callers that ask the same at the same time one asks and the others wait for it ([`Lookup`]).
//!
//! The way of a call: [`Keyer::read`] → [`ExactCache::lookup`] → on a hit the answer, on [`Lookup::Lead`] perhaps
//! [`MeaningCache::find`], else the provider, [`Entry::new`] and [`Leader::complete`].
//!
//! Pure: no clock, no files, no runtime. Times are arguments, vectors are handed in, and waiting is done with plain wakers
//! under any executor. How an answer is replayed (whole, or as a stream) is the door's matter.

mod canonical;
mod entry;
mod exact;
mod fingerprint;
mod flight;
mod meaning;
mod request;
mod scope;
mod settings;
mod shard;
mod wish;

pub use entry::{Answered, Entry, Finish, Form, NotKept};
pub use exact::{ExactCache, ExactStats, LARGEST_ENTRY, Lookup};
pub use flight::{Followed, Follower, Leader, MOST_LEADERS};
pub use meaning::{LONGEST_VECTOR, MeaningCache, MeaningLimits, MeaningStats, Similar};
pub use request::{Asked, Key, Keyed, Keyer, LONGEST_QUESTION, LONGEST_REQUEST, NotCached, Question, Shape};
pub use scope::{Scope, ScopeKind};
pub use settings::{CacheSettings, ExactSettings, Flaw, MeaningSettings};
pub use wish::CallerWish;
