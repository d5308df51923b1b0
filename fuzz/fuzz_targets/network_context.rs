//! The body of `PUT /network/context`. What has to hold is in `checks/network.rs`.

#![no_main]

#[path = "../checks/network.rs"]
mod network;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| network::context(bytes));
