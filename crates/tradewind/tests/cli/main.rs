//! The command line as its users meet it: the real binary, its exit codes, what is on stdout and what on stderr.

#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]
#![expect(clippy::disallowed_methods, reason = "a test lays out its own files")]

mod check;
mod clash;
mod cost;
mod demo;
mod doctor;
mod embedder;
mod evaluate;
mod explain;
mod import;
mod key;
mod life;
mod modules;
mod over_tls;
mod packaging;
mod preview;
mod program;
mod run;
mod schema;
mod state;
