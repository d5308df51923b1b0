//! The one place that reads the process's environment.

use std::path::PathBuf;

/// The value of an environment variable; `None` when it is unset, empty, or not Unicode.
#[expect(clippy::disallowed_methods, reason = "this is the environment's home")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The user's home directory.
pub fn home_dir() -> Option<PathBuf> {
    environment("HOME").map(PathBuf::from)
}
