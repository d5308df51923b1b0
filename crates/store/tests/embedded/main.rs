//! The engines inside this process: what the shared suite does not see, because it looks at files, or ends processes.

#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

#[path = "../copies/mod.rs"]
mod copies;
mod copy;
mod damage;
#[path = "../disk/mod.rs"]
mod disk;
mod full;
mod kill;
mod kill_state;
mod pieces;
mod races;
mod reopen;
mod rings;
mod room;
mod suite;
mod support;
#[path = "../writers/mod.rs"]
mod writers;
