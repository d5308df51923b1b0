//! A signed note, the tree head in it, and a verifier key. What has to hold is in `checks/ledger.rs`.

#![no_main]

#[path = "../checks/ledger.rs"]
mod ledger;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ledger::note(bytes));
