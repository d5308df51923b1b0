//! Regular expressions over names: `filter` and `exclude-filter`, several separated by backticks; and `exclude-type`.

use fancy_regex::{Regex, RegexBuilder};

use super::reader::{Fields, Reader};
use crate::node::Shortened;

/// The longest regular expression over names, in bytes.
pub const LONGEST_PATTERN: usize = 4096;
/// How many steps back one match may take before it is given up as not fitting.
const MOST_STEPS_BACK: usize = 10_000;
/// The largest program that a regular expression may become, in bytes.
const LARGEST_PROGRAM: usize = 1024 * 1024;

/// A regular expression over names as mihomo has them, look-around included, bounded in size and steps.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn name_pattern(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST_PATTERN {
        return Err(format!("a regular expression has at most {LONGEST_PATTERN} bytes"));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.backtrack_limit(MOST_STEPS_BACK).delegate_size_limit(LARGEST_PROGRAM);
    builder.build().map_err(|error| format!("invalid filter regex: {}", Shortened(&error.to_string())))
}

/// The patterns of `key`.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Vec<String> {
    let Some(text) = reader.text(fields, key) else { return Vec::new() };
    let mut patterns = Vec::new();
    for pattern in text.split('`').filter(|pattern| !pattern.is_empty()) {
        match name_pattern(pattern) {
            Ok(_) => patterns.push(pattern.to_owned()),
            Err(message) => {
                let shown = fields.get(key).is_some_and(|node| node.raw.is_some());
                let message = if shown { "invalid filter regex".to_owned() } else { message };
                reader.refuse_at(fields, key, message, "several are separated by backticks");
            }
        }
    }
    patterns
}

/// `exclude-type`: types, in lower case.
pub(super) fn types(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<String> {
    let Some(text) = reader.text(fields, "exclude-type") else { return Vec::new() };
    text.split('|').map(|kind| kind.trim().to_lowercase()).filter(|kind| !kind.is_empty()).collect()
}
