//! The answer to a lookup at a checksum database. What has to hold is in `checks/ledger.rs`.

#![no_main]

#[path = "../checks/ledger.rs"]
mod ledger;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ledger::record(bytes));
