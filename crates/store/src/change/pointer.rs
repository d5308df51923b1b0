//! JSON Pointers (RFC 6901).

use super::MAX_DEPTH;

/// The names and indices of a pointer, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    text: String,
    tokens: Vec<String>,
}

impl Pointer {
    /// Reads a pointer: empty, or with a `/` before each token; `~0` is `~`, `~1` is `/`.
    pub(super) fn parse(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self { text, tokens: Vec::new() });
        }
        let Some(rest) = text.strip_prefix('/') else { return Err(format!("{text:?} does not begin with `/`")) };
        let mut tokens = Vec::new();
        for token in rest.split('/') {
            let mut parts = token.split('~');
            let mut read = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let (escaped, behind) = match part.as_bytes().first() {
                    Some(b'0') => ('~', &part[1..]),
                    Some(b'1') => ('/', &part[1..]),
                    _ => return Err(format!("{text:?} has a `~` without 0 or 1 behind it")),
                };
                read.push(escaped);
                read.push_str(behind);
            }
            tokens.push(read);
        }
        if tokens.len() > MAX_DEPTH {
            return Err(format!("a pointer has more than {MAX_DEPTH} parts"));
        }
        Ok(Self { text, tokens })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// Whether it leads into what `outer` points to.
    pub(super) fn is_inside(&self, outer: &Self) -> bool {
        self.tokens.len() > outer.tokens.len() && self.tokens.starts_with(&outer.tokens)
    }
}

/// Adds a token to the text of a pointer.
pub(super) fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    for character in token.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// An index without a sign or leading zeros, RFC 6901, section 4.
pub(super) fn index(token: &str) -> Option<usize> {
    let fits = token == "0" || !token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit());
    if fits { token.parse().ok() } else { None }
}
