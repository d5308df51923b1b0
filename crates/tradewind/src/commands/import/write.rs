//! Writes YAML as a person would: quotes only where they are needed.

use std::fmt::Write as _;

/// A text value.
pub(super) fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b'@'))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    let url = text.starts_with("http")
        && !text.contains([' ', '#', '{', '}', '"', ',', '[', ']', '$', '\\'])
        && !text.ends_with(':');
    if plain || url {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            control if control.is_control() => {
                write!(quoted, "\\u{:04X}", u32::from(control)).expect("a String takes what is written to it");
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A number without an exponent and without noise of its last digits.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A time span of so many seconds.
pub(super) fn seconds(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}s") } else { format!("{}ms", (value * 1000.0).round()) }
}

/// A text of the old file as the new one has to write it: `os.environ/NAME` is a variable there, and a `$` may begin one
/// here.
pub(super) fn interpolated(text: &str) -> String {
    match variable(text) {
        Some(name) => format!("${{{name}}}"),
        None => text.replace('$', "$$"),
    }
}

/// The variable that `os.environ/NAME` stands for.
pub(super) fn variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix("os.environ/")?.trim();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}
