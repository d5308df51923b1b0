//! The escape that lets paths and versions live on file systems which do not tell upper case from lower: `!` and the letter
//! in lower case.

use std::borrow::Cow;

/// Escapes upper case of ASCII.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if character.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(character.to_ascii_lowercase());
    }
    Cow::Owned(escaped)
}

/// Undoes the escape. Nothing when there is upper case, a `!` without a lower-case letter behind it, or anything but ASCII.
pub(crate) fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.is_ascii() || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    if !text.contains('!') {
        return Some(Cow::Borrowed(text));
    }
    let mut unescaped = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '!' {
            unescaped.push(character);
            continue;
        }
        let letter = characters.next().filter(char::is_ascii_lowercase)?;
        unescaped.push(letter.to_ascii_uppercase());
    }
    Some(Cow::Owned(unescaped))
}

/// The length of the escaped text in bytes.
pub(crate) fn escaped_length(text: &str) -> usize {
    text.len() + text.bytes().filter(u8::is_ascii_uppercase).count()
}
