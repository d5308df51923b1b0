//! The challenge of a proxy that wants NTLM. What has to hold is in `checks/logins.rs`.

#![no_main]

#[path = "../checks/logins.rs"]
#[expect(dead_code, reason = "one target uses one check")]
mod logins;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| logins::ntlm_challenge(bytes));
