//! Names on the command line, and as paths of the API.

use std::fmt::Write as _;

use anyhow::{anyhow, bail};
use tradewind_store::{Key, Namespace};

/// The path of the API.
const STATE: &str = "/api/v1/state";

/// Reads `NAMESPACE/KEY`.
pub(super) fn key(text: &str) -> anyhow::Result<Key> {
    let Some((namespace, name)) = text.split_once('/') else {
        bail!("`{text}` names no key\n  = hint: write NAMESPACE/KEY; `tradewind state ls {text}` lists the keys");
    };
    Key::parse(namespace, name).map_err(|error| anyhow!("`{text}`: {error}"))
}

/// Reads `NAMESPACE` or `NAMESPACE/PREFIX`.
pub(super) fn part(text: &str) -> anyhow::Result<(Namespace, &str)> {
    let (namespace, prefix) = text.split_once('/').unwrap_or((text, ""));
    let namespace = Namespace::parse(namespace).map_err(|error| anyhow!("`{text}`: {error}"))?;
    Ok((namespace, prefix))
}

/// The path of a key, with a word behind it where there is one.
pub(super) fn path(key: &Key, word: &str) -> String {
    format!("{STATE}/{}/{}{word}", key.namespace, escaped(key.name()))
}

/// The path of all namespaces, or of one.
pub(super) fn path_of(namespace: Option<&Namespace>, query: &str) -> String {
    match namespace {
        Some(namespace) => format!("{STATE}/{namespace}{query}"),
        None => format!("{STATE}{query}"),
    }
}

/// A text as one segment of a path, or a value of a query: everything but letters and digits percent-encoded, slashes too, so
/// that no word in a key is taken for one of the API. A name that is such a word is escaped whole.
pub(super) fn escaped(text: &str) -> String {
    let is_word = text == "watch";
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if !is_word && (byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
