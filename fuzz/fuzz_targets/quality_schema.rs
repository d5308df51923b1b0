//! A caller's JSON Schema, and an answer that is to follow it. What has to hold is in `checks/quality.rs`.

#![no_main]

#[path = "../checks/quality.rs"]
mod quality;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quality::schema(bytes));
