//! The record of a data key, and a sealed body. What has to hold is in `checks/changes.rs`.

#![no_main]

#[expect(dead_code, reason = "each target has checks of its own")]
#[path = "../checks/changes.rs"]
mod changes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| changes::sealed(bytes));
