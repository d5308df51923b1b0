//! A zip of a module. What has to hold is in `checks/modules.rs`.

#![no_main]

#[expect(dead_code, reason = "each target has checks of its own")]
#[path = "../checks/modules.rs"]
mod modules;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| modules::zip(bytes));
