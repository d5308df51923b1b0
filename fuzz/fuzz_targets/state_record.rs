//! A record of the store, as an engine reads it back. What has to hold is in `checks/records.rs`.

#![no_main]

#[path = "../checks/records.rs"]
mod records;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| records::record(bytes));
