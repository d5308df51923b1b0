//! What a proxy script answers. What has to hold is in `checks/logins.rs`.

#![no_main]

#[path = "../checks/logins.rs"]
#[expect(dead_code, reason = "one target uses one check")]
mod logins;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| logins::pac_answer(bytes));
