//! Who may come in.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;
use tradewind_policy::ways::Inbound;

/// A caller that has been let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    /// The name that it logged in with.
    pub(crate) name: Option<Arc<str>>,
}

/// Who may come in, and from where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Users {
    /// Name and password.
    known: Vec<(Arc<str>, String)>,
    /// Addresses that need no password.
    free: Vec<(IpAddr, u8)>,
    allowed: Vec<(IpAddr, u8)>,
    refused: Vec<(IpAddr, u8)>,
}

impl Users {
    /// As the document says.
    pub(crate) fn new(inbound: &Inbound) -> Self {
        let known = inbound.users.iter().map(|user| (user.name.clone(), user.password.expose().clone()));
        Self {
            known: known.collect(),
            free: inbound.skip_auth.clone(),
            allowed: inbound.lan_allowed.clone(),
            refused: inbound.lan_disallowed.clone(),
        }
    }

    /// Those with these names and passwords, and no other rule.
    pub(crate) fn of(known: &[(&str, &str)]) -> Self {
        let known = known.iter().map(|(name, word)| (Arc::from(*name), (*word).to_owned())).collect();
        Self { known, ..Self::default() }
    }

    /// Whether anybody may come from `address`; this machine always may.
    pub(crate) fn may_come(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback()
            || (!within(&self.refused, address) && (self.allowed.is_empty() || within(&self.allowed, address)))
    }

    /// Whether a caller from `address` needs a password.
    pub(crate) fn needed(&self, address: IpAddr) -> bool {
        !self.known.is_empty() && !within(&self.free, address.to_canonical())
    }

    /// Who has this name and password. All that are known are compared, so that time tells nothing; without any, whoever
    /// says a name is nobody in particular.
    pub(crate) fn check(&self, name: &[u8], word: &[u8]) -> Option<Who> {
        if self.known.is_empty() {
            return Some(Who::default());
        }
        let mut found = None;
        for (known, secret) in &self.known {
            let same = known.as_bytes().ct_eq(name) & secret.as_bytes().ct_eq(word);
            if bool::from(same) {
                found = Some(Who { name: Some(known.clone()) });
            }
        }
        found
    }

    /// Who a `Proxy-Authorization` header says that it is (RFC 7617).
    pub(crate) fn check_header(&self, value: &[u8]) -> Option<Who> {
        let value = std::str::from_utf8(value).ok()?;
        let (scheme, rest) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = STANDARD.decode(rest.trim()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        self.check(&decoded[..colon], &decoded[colon + 1..])
    }
}

/// Whether `address` is in one of `ranges`; families never mix.
fn within(ranges: &[(IpAddr, u8)], address: IpAddr) -> bool {
    ranges.iter().any(|(range, length)| match (range, address) {
        (IpAddr::V4(range), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(*length))).unwrap_or(0);
            (range.to_bits() ^ address.to_bits()) & mask == 0
        }
        (IpAddr::V6(range), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(*length))).unwrap_or(0);
            (range.to_bits() ^ address.to_bits()) & mask == 0
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn passwords_come_in_headers() {
        let users = Users::of(&[("ann", "se:cret"), ("bob", "")]);
        let header = |text: &str| users.check_header(format!("Basic {}", STANDARD.encode(text)).as_bytes());
        assert_eq!(header("ann:se:cret").unwrap().name.as_deref(), Some("ann"));
        assert_eq!(header("bob:").unwrap().name.as_deref(), Some("bob"));
        for wrong in ["ann:secret", "ann", "", ":", "ANN:se:cret", "bob:x"] {
            assert_eq!(header(wrong), None, "{wrong}");
        }
        for wrong in [&b"Basic"[..], b"Basic !!", b"Bearer YW5uOnNlOmNyZXQ=", b"\xff"] {
            assert_eq!(users.check_header(wrong), None);
        }
    }

    #[test]
    fn some_addresses_need_no_password_and_some_may_not_come() {
        let users = Users {
            free: vec![(ip("10.0.0.0"), 8), (ip("fd00::"), 8)],
            allowed: vec![(ip("10.0.0.0"), 8), (ip("192.168.0.0"), 16)],
            refused: vec![(ip("10.9.0.0"), 16)],
            ..Users::of(&[("ann", "x")])
        };
        assert!(!users.needed(ip("10.1.2.3")) && !users.needed(ip("::ffff:10.1.2.3")) && !users.needed(ip("fd12::1")));
        assert!(users.needed(ip("192.168.1.1")) && users.needed(ip("127.0.0.1")));
        assert!(users.may_come(ip("10.1.2.3")) && users.may_come(ip("127.0.0.1")) && users.may_come(ip("::1")));
        assert!(!users.may_come(ip("10.9.2.3")) && !users.may_come(ip("8.8.8.8")));
        assert!(Users::default().may_come(ip("8.8.8.8")) && !Users::default().needed(ip("8.8.8.8")));
        let all = Users { free: vec![(ip("0.0.0.0"), 0)], ..users };
        assert!(!all.needed(ip("8.8.8.8")) && all.needed(ip("2001:db8::1")), "families never mix");
    }
}
