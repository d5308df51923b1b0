//! A request that is put into another wire format. What has to hold is in `checks/dialects.rs`.

#![no_main]

#[path = "../checks/dialects.rs"]
mod dialects;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dialects::request(bytes));
