//! Ranges of addresses, and endings of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A range of addresses, RFC 4632: the first bits are these. An IPv4 range written as IPv6 (`::ffff:10.0.0.0/104`) is the
/// IPv4 range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

/// It is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it is no range of addresses such as 10.0.0.0/8")]
pub struct ParseCidrError;

impl Cidr {
    /// The range of this length that the address is in; `None` when the length is more than the address has bits.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let (address, length) = match address {
            IpAddr::V6(six) if length >= 96 => match six.to_ipv4_mapped() {
                Some(four) => (IpAddr::V4(four), length - 96),
                None => (address, length),
            },
            _ => (address, length),
        };
        let address = match address {
            IpAddr::V4(four) => {
                let mask = u32::MAX.checked_shl(32_u8.checked_sub(length)?.into()).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(four.to_bits() & mask))
            }
            IpAddr::V6(six) => {
                let mask = u128::MAX.checked_shl(128_u8.checked_sub(length)?.into()).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & mask))
            }
        };
        Some(Self { address, length })
    }

    /// The first address of the range.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits all of its addresses share.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether the address is in it. Families never mix.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.length.into()
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.length.into()
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = ParseCidrError;

    fn from_str(text: &str) -> Result<Self, ParseCidrError> {
        let (address, length) = split(text).ok_or(ParseCidrError)?;
        Self::new(address, length).ok_or(ParseCidrError)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// The last bits of an address: `8.8.8.8/24` fits every address that ends in `.8.8.8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressSuffix {
    address: IpAddr,
    length: u8,
}

impl AddressSuffix {
    /// Whether the address ends in these bits. Families never mix.
    #[must_use]
    pub fn fits(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).trailing_zeros() >= self.length.into()
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).trailing_zeros() >= self.length.into()
            }
            _ => false,
        }
    }
}

impl FromStr for AddressSuffix {
    type Err = ParseCidrError;

    fn from_str(text: &str) -> Result<Self, ParseCidrError> {
        let (address, length) = split(text).ok_or(ParseCidrError)?;
        Cidr::new(address, length).map(|_| Self { address, length }).ok_or(ParseCidrError)
    }
}

/// Address and length, which has no sign and no leading zero.
fn split(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let is_plain = length.bytes().all(|byte| byte.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    let length = if is_plain { length.parse().ok()? } else { return None };
    Some((address.parse().ok()?, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_range_of_its_family() {
        let fits = |range: &str, address: &str| range.parse::<Cidr>().unwrap().contains(address.parse().unwrap());
        for (range, address, expected) in [
            ("10.1.2.3/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "1.1.1.1", false),
            ("1.1.1.1/32", "1.1.1.1", true),
            ("1.1.1.1/32", "1.1.1.0", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1/128", "::1", true),
            ("::ffff:10.0.0.0/104", "10.2.3.4", true),
        ] {
            assert_eq!(fits(range, address), expected, "{address} in {range}");
        }
        assert_eq!("10.1.2.3/8".parse::<Cidr>().unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in
            ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "010.0.0.0/8", "fe80::1%eth0/64", "x", "::/129", "1.1.1.1/+8", "/8"]
        {
            assert_eq!(text.parse::<Cidr>(), Err(ParseCidrError), "{text}");
            assert_eq!(text.parse::<AddressSuffix>(), Err(ParseCidrError), "{text}");
        }
        assert_eq!("1.1.1.1/08".parse::<Cidr>(), Err(ParseCidrError));
    }

    #[test]
    fn the_last_bits_of_an_address_are_compared() {
        let fits =
            |suffix: &str, address: &str| suffix.parse::<AddressSuffix>().unwrap().fits(address.parse().unwrap());
        for (suffix, address, expected) in [
            ("8.8.8.8/24", "1.8.8.8", true),
            ("8.8.8.8/24", "8.9.8.8", false),
            ("8.8.8.8/0", "1.2.3.4", true),
            ("8.8.8.8/32", "8.8.8.8", true),
            ("8.8.8.8/32", "9.8.8.8", false),
            ("::1/64", "2001:db8::1", true),
            ("::1/64", "1.1.1.1", false),
        ] {
            assert_eq!(fits(suffix, address), expected, "{address} with {suffix}");
        }
    }
}
