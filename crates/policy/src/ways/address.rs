//! How addresses are written where networks are told apart: in `networks`, and in what a host says of its interfaces.
//! Both go through here, so that they compare.
//!
//! One canonical form each: hardware addresses as `aa:bb:cc:dd:ee:ff`, addresses without a zone, ranges with the bits
//! behind their length cleared, domains in lower case. An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) stays IPv6.

use std::net::IpAddr;

/// Kinds of interface that there are names for.
pub const IFACE_TYPES: [&str; 7] = ["cellular", "ethernet", "loopback", "other", "vpn", "wifi", "wwan"];

/// Why something is no address; the words go into messages as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not six pairs of hexadecimal digits with one separator.
    #[error("not six pairs of hexadecimal digits, separated by `:`, by `-`, or not at all")]
    Mac,
    /// No IP address.
    #[error("not an IP address")]
    Ip,
    /// `%` without a name behind it.
    #[error("the zone after `%` is empty")]
    EmptyZone,
    /// A range where one address belongs.
    #[error("a range, where a single IP address belongs")]
    Range,
    /// No range.
    #[error("not a range of IP addresses such as 10.0.0.0/24")]
    Prefix,
    /// A zone in a range.
    #[error("a range of IP addresses has no zone")]
    ZoneInPrefix,
}

/// A hardware address in its canonical form.
///
/// # Errors
/// When it is not written with `:`, with `-`, or without separators, the same throughout. The form with dots is refused.
pub fn parse_mac(text: &str) -> Result<String, BadAddress> {
    let bytes = text.as_bytes();
    let step = match (bytes.len(), bytes.get(2)) {
        (12, _) => 2,
        (17, Some(mark @ (b':' | b'-'))) if (2..17).step_by(3).all(|place| bytes[place] == *mark) => 3,
        _ => return Err(BadAddress::Mac),
    };
    let mut canonical = String::with_capacity(17);
    for pair in bytes.chunks(step) {
        if !pair[..2].iter().all(u8::is_ascii_hexdigit) {
            return Err(BadAddress::Mac);
        }
        if !canonical.is_empty() {
            canonical.push(':');
        }
        canonical.extend(pair[..2].iter().map(|digit| char::from(digit.to_ascii_lowercase())));
    }
    Ok(canonical)
}

/// An address; the zone of an IPv6 one (`fe80::1%en0`) is dropped.
///
/// # Errors
/// When it is a range, an empty zone, or no address. Octets with leading zeros and zones of IPv4 are no address.
pub fn parse_ip(text: &str) -> Result<IpAddr, BadAddress> {
    let Some((address, zone)) = text.split_once('%') else {
        let is_range = |_| if parse_prefix(text).is_ok() { BadAddress::Range } else { BadAddress::Ip };
        return text.parse().map_err(is_range);
    };
    match address.parse() {
        Ok(IpAddr::V6(_)) if zone.is_empty() => Err(BadAddress::EmptyZone),
        Ok(IpAddr::V6(address)) => Ok(IpAddr::V6(address)),
        _ => Err(BadAddress::Ip),
    }
}

/// A range and its length in bits, what is behind the length cleared.
///
/// # Errors
/// When the length is missing, too long or written with anything but digits, and when there is a zone.
pub fn parse_prefix(text: &str) -> Result<(IpAddr, u8), BadAddress> {
    let (address, length) = text.rsplit_once('/').ok_or(BadAddress::Prefix)?;
    if address.contains('%') {
        return Err(BadAddress::ZoneInPrefix);
    }
    let address: IpAddr = address.parse().map_err(|_| BadAddress::Prefix)?;
    let is_plain = length.bytes().all(|digit| digit.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    let length = length.parse().ok().filter(|length| is_plain && *length <= bits(address)).ok_or(BadAddress::Prefix)?;
    Ok((masked(address, length), length))
}

/// How many bits an address has: 32 or 128.
#[must_use]
pub const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with all but its first `length` bits cleared.
#[must_use]
pub fn masked(address: IpAddr, length: u8) -> IpAddr {
    let length = u32::from(length);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(length)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(length)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

/// Whether the first `length` bits of two addresses are the same; those of two families never are.
#[must_use]
pub fn same_prefix(one: IpAddr, other: IpAddr, length: u8) -> bool {
    masked(one, length) == masked(other, length)
}

/// Lower case letter by letter, without a look at the neighbours: what a domain is compared by.
///
/// Unicode's simple mapping, as Go's `strings.ToLower` has it: no letter becomes two, and the sigma at the end of a word
/// is like any other.
#[must_use]
pub fn lower(text: &str) -> String {
    text.chars().map(|letter| letter.to_lowercase().next().unwrap_or(letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_have_one_form() {
        for text in ["AA:bb:0C:dd:EE:09", "aa-BB-0c-dd-ee-09", "AABB0CDDEE09"] {
            assert_eq!(parse_mac(text).as_deref(), Ok("aa:bb:0c:dd:ee:09"), "{text}");
        }
        for text in [
            "",
            "aa:bb:cc:dd:ee",
            "aa:bb:cc:dd:ee:ff:00",
            "aa:bb:cc:dd:ee-ff",
            "aa-bb:cc-dd:ee-ff",
            "aabb.ccdd.eeff",
            "aabbcc:ddeeff",
            "ga:bb:cc:dd:ee:ff",
            "a:b:c:d:e:f",
            " aa:bb:cc:dd:ee:ff",
            "aa:bb:cc:dd:ee:ff ",
            "aabbccddeef",
            "aabbccddeeff0",
            "äabbccddeef",
            "aa bb cc dd ee ff",
        ] {
            assert_eq!(parse_mac(text), Err(BadAddress::Mac), "{text}");
        }
    }

    #[test]
    fn addresses_lose_their_zone_and_nothing_else() {
        for (text, canonical) in [
            ("10.0.0.1", "10.0.0.1"),
            ("fe80::1%en0", "fe80::1"),
            ("FE80:0:0:0:0:0:0:1", "fe80::1"),
            ("fe80::1%a%b", "fe80::1"),
            ("::ffff:10.1.1.1", "::ffff:10.1.1.1"),
            ("::FFFF:a01:101", "::ffff:10.1.1.1"),
        ] {
            assert_eq!(parse_ip(text).expect(text).to_string(), canonical);
        }
        for (text, why) in [
            ("", BadAddress::Ip),
            ("10.0.0", BadAddress::Ip),
            ("10.0.0.01", BadAddress::Ip),
            ("10.0.0.1%en0", BadAddress::Ip),
            ("10.0.0.1 ", BadAddress::Ip),
            ("gateway", BadAddress::Ip),
            ("fe80::1%", BadAddress::EmptyZone),
            ("10.0.0.0/24", BadAddress::Range),
            ("[fe80::1]", BadAddress::Ip),
        ] {
            assert_eq!(parse_ip(text), Err(why), "{text}");
        }
    }

    #[test]
    fn ranges_are_masked() {
        for (text, canonical) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3/32", "10.1.2.3/32"),
            ("10.1.2.3/0", "0.0.0.0/0"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("2001:DB8::1/128", "2001:db8::1/128"),
            ("::1/0", "::/0"),
            ("::ffff:10.1.1.1/104", "::ffff:10.0.0.0/104"),
        ] {
            let (address, length) = parse_prefix(text).expect(text);
            assert_eq!(format!("{address}/{length}"), canonical);
        }
        for text in
            ["", "10.0.0.0", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.0/-1"]
                .into_iter()
                .chain(["10.0.0/8", "10.0.0.0/8 ", "10.0.0.0/255.0.0.0", "10.0.0.0/300", "::/00", "10.0.0.0/8/8"])
        {
            assert_eq!(parse_prefix(text), Err(BadAddress::Prefix), "{text}");
        }
        assert_eq!(parse_prefix("fe80::%en0/64"), Err(BadAddress::ZoneInPrefix));
    }

    #[test]
    fn families_never_mix() {
        let ip = |text: &str| parse_ip(text).expect(text);
        assert!(same_prefix(ip("10.1.1.1"), ip("10.2.2.2"), 8) && !same_prefix(ip("10.1.1.1"), ip("11.1.1.1"), 8));
        assert!(!same_prefix(ip("0.0.0.0"), ip("::"), 0));
        assert!(!same_prefix(ip("10.1.1.1"), ip("::ffff:10.1.1.1"), 8));
    }

    #[test]
    fn lower_case_goes_letter_by_letter() {
        assert_eq!(lower("CORP.Example.COM"), "corp.example.com");
        assert_eq!(lower("ÄÖ.ΣΑΣ.İ"), "äö.σασ.i");
    }
}
