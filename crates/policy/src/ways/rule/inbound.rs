//! The kinds of listeners of `IN-TYPE`.

use std::sync::Arc;

use super::RuleError;

/// How a caller came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InboundKind {
    /// HTTP, the absolute form.
    Http,
    /// HTTP, CONNECT.
    Https,
    /// SOCKS4 and 4a.
    Socks4,
    /// SOCKS5.
    Socks5,
    /// From this program itself.
    Inner,
}

impl InboundKind {
    /// The name of `metadata.type` in the controller API, `Socks5`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Socks4 => "Socks4",
            Self::Socks5 => "Socks5",
            Self::Inner => "Inner",
        }
    }

    /// Reads the spelling of `IN-TYPE`.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "HTTP" => Some(Self::Http),
            "HTTPS" => Some(Self::Https),
            "SOCKS4" => Some(Self::Socks4),
            "SOCKS5" => Some(Self::Socks5),
            "INNER" => Some(Self::Inner),
            _ => None,
        }
    }
}

/// Kinds of mihomo's that no caller of ours comes by: known, and never there.
const ELSEWHERE: [&str; 15] = [
    "TUN",
    "REDIR",
    "TPROXY",
    "SHADOWSOCKS",
    "SNELL",
    "VMESS",
    "VLESS",
    "TROJAN",
    "TUNNEL",
    "TUIC",
    "HYSTERIA2",
    "ANYTLS",
    "MIERU",
    "SUDOKU",
    "TRUSTTUNNEL",
];

/// A set of kinds of listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundKinds(u8);

impl InboundKinds {
    /// Reads `SOCKS/HTTP`, in any case, and gives back the text in upper case. `SOCKS` is both of its versions.
    ///
    /// # Errors
    /// [`RuleError::InboundType`] for a kind that nobody knows, [`RuleError::EmptyName`].
    pub fn parse(text: &str) -> Result<(Self, Arc<str>), RuleError> {
        let upper = text.to_ascii_uppercase();
        let mut kinds = 0;
        for kind in upper.split('/').map(|kind| kind.trim_matches(' ')) {
            match (kind, InboundKind::parse(kind)) {
                ("", _) => return Err(RuleError::EmptyName("in type")),
                ("SOCKS", _) => kinds |= Self::bit(InboundKind::Socks4) | Self::bit(InboundKind::Socks5),
                (_, Some(kind)) => kinds |= Self::bit(kind),
                _ if ELSEWHERE.contains(&kind) => {}
                _ => return Err(RuleError::InboundType(kind.into())),
            }
        }
        Ok((Self(kinds), upper.into()))
    }

    /// Whether a kind is among them.
    #[must_use]
    pub fn contains(self, kind: InboundKind) -> bool {
        self.0 & Self::bit(kind) > 0
    }

    fn bit(kind: InboundKind) -> u8 {
        1 << kind as u8
    }
}
