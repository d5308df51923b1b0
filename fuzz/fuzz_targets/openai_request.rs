//! A request in the OpenAI dialect. What has to hold is in `checks/models.rs`.

#![no_main]

#[expect(dead_code, reason = "each target has checks of its own")]
#[path = "../checks/models.rs"]
mod models;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| models::openai_request(bytes));
