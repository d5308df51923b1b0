//! What a caller says to a port of the relay before its bytes are passed on. What has to hold is in `checks/relay.rs`.

#![no_main]

#[path = "../checks/relay.rs"]
mod relay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| relay::greeting(bytes));
