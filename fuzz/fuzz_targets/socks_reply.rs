//! What a SOCKS5 proxy answers in a handshake. What has to hold is in `checks/ways.rs`.

#![no_main]

#[path = "../checks/ways.rs"]
mod ways;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ways::socks_reply(bytes));
