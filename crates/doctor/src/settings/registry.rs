//! Where Windows takes the environment of a new process from. Never tried on Windows.
//!
//! Variables that a group policy sets are written into the same two keys, so that a value that comes back after it was
//! deleted is the policy's.

use std::process::Command;

/// The keys that hold environment variables: the user's, which counts, and the machine's.
const KEYS: [&str; 2] = [r"HKCU\Environment", r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"];

/// The key that has a value for the variable `name`.
#[must_use]
pub(super) fn key_of(name: &str) -> Option<&'static str> {
    KEYS.into_iter().find(|key| {
        let output = Command::new("reg").args(["query", key, "/v", name]).output();
        output.is_ok_and(|output| output.status.success())
    })
}
