//! A provider's stream for a caller of another wire format. What has to hold is in `checks/answers.rs`.

#![no_main]

#[path = "../checks/answers.rs"]
mod answers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| answers::translate_stream(bytes));
