//! `tradewind select`

use clap::Args;
use http::Method;
use serde_json::json;

use super::reach::Reach;
use crate::say;

/// Choose the member that a group uses, by hand
///
/// A group that follows the network keeps a choice made by hand until the network really changes. In a group that picks by
/// itself (url-test, fallback) the member is used as long as it lives.
#[derive(Debug, Args)]
pub(super) struct Select {
    /// The group; models/NAME for a group of model targets
    group: String,
    /// The member
    name: String,
    #[command(flatten)]
    reach: Reach,
}

impl Select {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let path = match self.group.strip_prefix("models/") {
            Some(model) => format!("/api/v1/models/{}/selected", encoded(model)),
            None => format!("/api/v1/proxies/{}/selected", encoded(&self.group)),
        };
        let body = json!({"selected": self.name}).to_string();
        self.reach.send(Method::PUT, &path, body.into_bytes())?;
        say::data(format_args!("{} uses {} now", self.group, self.name));
        Ok(())
    }
}

/// A name as one segment of a path (RFC 3986 §2.1).
pub(super) fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_segment() {
        assert_eq!(encoded("way-out"), "way-out");
        assert_eq!(encoded("🇭🇰 a/b"), "%F0%9F%87%AD%F0%9F%87%B0%20a%2Fb");
    }
}
