//! Rules, a line each. What has to hold is in `checks/rules.rs`.

#![no_main]

#[expect(dead_code, reason = "each target has checks of its own")]
#[path = "../checks/rules.rs"]
mod rules;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rules::lines(bytes));
