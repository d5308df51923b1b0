//! What is said to whoever runs the program: data on stdout, the rest on stderr. A closed pipe is no reason to fail.

use std::fmt::Display;
use std::io::Write;

/// Writes a line of data.
pub(crate) fn data(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes a line for a person.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
