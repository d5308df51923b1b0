//! Requests to the HTTP API of state, over an engine in memory. What has to hold is in `checks/state_door.rs`.

#![no_main]

#[path = "../checks/state_door.rs"]
mod state_door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| state_door::requests(bytes));
