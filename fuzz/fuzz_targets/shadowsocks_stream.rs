//! What a Shadowsocks server answers, by each kind of framing. What has to hold is in `checks/ways.rs`.

#![no_main]

#[path = "../checks/ways.rs"]
mod ways;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ways::shadowsocks_stream(bytes));
