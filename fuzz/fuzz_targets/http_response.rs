//! A response of a provider over HTTP/1.1. What has to hold is in `checks/egress.rs`.

#![no_main]

#[path = "../checks/egress.rs"]
mod egress;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| egress::response(bytes));
