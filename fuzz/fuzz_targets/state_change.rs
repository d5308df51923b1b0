//! A kept value, and a patch, an addition or another value. What has to hold is in `checks/changes.rs`.

#![no_main]

#[expect(dead_code, reason = "each target has checks of its own")]
#[path = "../checks/changes.rs"]
mod changes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| changes::change(bytes));
