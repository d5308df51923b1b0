//! Tests of the client, against a log in memory that tells the truth or does not.

mod attacks;
mod flips;
mod forks;
mod go;
mod honest;
mod keeping;
#[path = "../../../../../ledger/tests/all/log.rs"]
pub(crate) mod log;
mod together;
mod world;

pub(crate) use world::Server;
