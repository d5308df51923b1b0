//! The path of a tile, and tiles of a tree of any size. What has to hold is in `checks/ledger.rs`.

#![no_main]

#[path = "../checks/ledger.rs"]
mod ledger;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ledger::tile(bytes));
