//! What an HTTP proxy answers to CONNECT. What has to hold is in `checks/ways.rs`.

#![no_main]

#[path = "../checks/ways.rs"]
mod ways;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ways::connect_answer(bytes));
