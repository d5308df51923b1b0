//! A request whose answer may be kept, in any shape. What has to hold is in `checks/kept.rs`.

#![no_main]

#[path = "../checks/kept.rs"]
mod kept;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kept::request(bytes));
