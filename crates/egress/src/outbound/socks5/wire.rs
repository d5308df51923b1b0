//! The bytes of SOCKS5, without a connection: what is sent, and how far what came can be read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tradewind_core::Secret;

use crate::{Destination, Host};

const VERSION: u8 = 5;
/// The longest answer: version, reply, reserved, and the longest address.
pub(super) const LONGEST: usize = 4 + 1 + 255 + 2;

/// How far something could be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<T> {
    /// Whole; it took so many bytes.
    Done(T, usize),
    /// So many bytes are needed in all before more can be said. Never more than [`LONGEST`].
    Need(usize),
}

/// What the proxy is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Connect,
    Associate,
}

/// The method that the proxy chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    None,
    Password,
    Refused,
    Other(u8),
}

/// User name and password as RFC 1929 has them on the wire.
pub(super) struct Login(Secret<Vec<u8>>);

impl Login {
    /// `None` when they are too long, or there is no name.
    pub(super) fn new(user: &str, password: &str) -> Option<Self> {
        if user.is_empty() {
            return None;
        }
        let mut request = vec![1, u8::try_from(user.len()).ok()?];
        request.extend_from_slice(user.as_bytes());
        request.push(u8::try_from(password.len()).ok()?);
        request.extend_from_slice(password.as_bytes());
        Some(Self(Secret::new(request)))
    }

    pub(super) fn request(&self) -> &[u8] {
        self.0.expose()
    }
}

/// The methods that are offered: no login, and user name with password where there are any.
pub(super) const fn greeting(has_login: bool) -> &'static [u8] {
    if has_login { &[VERSION, 2, 0, 2] } else { &[VERSION, 1, 0] }
}

pub(super) fn parse_method(bytes: &[u8]) -> Result<Parsed<Method>, &'static str> {
    match *bytes {
        [VERSION, method, ..] => Ok(Parsed::Done(
            match method {
                0 => Method::None,
                2 => Method::Password,
                0xff => Method::Refused,
                other => Method::Other(other),
            },
            2,
        )),
        [] | [VERSION] => Ok(Parsed::Need(2)),
        _ => Err("what it answered is not SOCKS5"),
    }
}

/// Whether the login is accepted.
pub(super) fn parse_login(bytes: &[u8]) -> Result<Parsed<bool>, &'static str> {
    match *bytes {
        // RFC 1929 has version 1; some proxies answer with SOCKS' own.
        [1 | VERSION, status, ..] => Ok(Parsed::Done(status == 0, 2)),
        [] | [1 | VERSION] => Ok(Parsed::Need(2)),
        _ => Err("its answer to the login is not of RFC 1929"),
    }
}

pub(super) fn request(command: Command, to: &Destination) -> Vec<u8> {
    let command = match command {
        Command::Connect => 1,
        Command::Associate => 3,
    };
    let mut out = vec![VERSION, command, 0];
    write_address(to, &mut out);
    out
}

/// The address that the proxy names, or the code by which it refuses.
pub(super) fn parse_reply(bytes: &[u8]) -> Result<Parsed<Result<Destination, u8>>, &'static str> {
    match *bytes {
        // A refusal ends here for us: what address comes with it is of no use.
        [VERSION, code, ..] if code != 0 => Ok(Parsed::Done(Err(code), 2)),
        [VERSION, _, _, ..] => Ok(match parse_address(&bytes[3..])? {
            Parsed::Done(bound, length) => Parsed::Done(Ok(bound), 3 + length),
            Parsed::Need(total) => Parsed::Need(3 + total),
        }),
        [] | [VERSION] | [VERSION, _] => Ok(Parsed::Need(if bytes.len() < 2 { 2 } else { 4 })),
        _ => Err("what it answered is not SOCKS5"),
    }
}

/// The reply codes of RFC 1928 §6 in words.
pub(super) const fn reply_words(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "its rules do not allow this",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "nobody listens there",
        6 => "the packet's time to live ran out on the way",
        7 => "it does not support this command",
        8 => "it does not support this type of address",
        _ => "an error that RFC 1928 does not have",
    }
}

/// Writes an address as SOCKS5 and Shadowsocks have it: type, address, port. Names of up to 255 bytes only.
pub(crate) fn write_address(to: &Destination, out: &mut Vec<u8>) {
    match &to.host {
        Host::Ip(IpAddr::V4(address)) => {
            out.push(1);
            out.extend_from_slice(&address.octets());
        }
        Host::Ip(IpAddr::V6(address)) => {
            out.push(4);
            out.extend_from_slice(&address.octets());
        }
        Host::Name(name) => {
            let name = &name.as_bytes()[..name.len().min(255)];
            out.push(3);
            out.push(name.len() as u8);
            out.extend_from_slice(name);
        }
    }
    out.extend_from_slice(&to.port.to_be_bytes());
}

/// Reads an address.
///
/// # Errors
/// When it is of no known type, or its name is no text.
pub(crate) fn parse_address(bytes: &[u8]) -> Result<Parsed<Destination>, &'static str> {
    let length = match *bytes {
        [] => return Ok(Parsed::Need(1)),
        [1, ..] => 1 + 4 + 2,
        [4, ..] => 1 + 16 + 2,
        [3] => return Ok(Parsed::Need(2)),
        [3, 0, ..] => return Err("it names an address without a name"),
        [3, length, ..] => 2 + usize::from(length) + 2,
        _ => return Err("it names an address of an unknown type"),
    };
    let Some(address) = bytes.get(1..length) else { return Ok(Parsed::Need(length)) };
    let (address, port) = address.split_at(address.len() - 2);
    let host = match bytes[0] {
        3 => {
            let name = std::str::from_utf8(&address[1..]).map_err(|_| "it names a host that is no text")?;
            Host::parse(name)
        }
        1 => Host::Ip(Ipv4Addr::from(<[u8; 4]>::try_from(address).map_err(|_| "a short address")?).into()),
        _ => Host::Ip(Ipv6Addr::from(<[u8; 16]>::try_from(address).map_err(|_| "a short address")?).into()),
    };
    Ok(Parsed::Done(Destination { host, port: u16::from_be_bytes([port[0], port[1]]) }, length))
}

/// What was read of a proxy's side of a handshake, for the fuzz target and the replay of its seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocksOutline {
    /// The address that it named, once it has.
    pub bound: Option<Destination>,
    /// The code by which it refused.
    pub code: Option<u8>,
    /// How many bytes of all were the handshake's.
    pub used: usize,
    /// Whether something was wrong.
    pub refused: bool,
}

/// Reads a proxy's side of a handshake with login: method, login, reply. Not for use outside tests.
#[must_use]
pub fn outline_socks(bytes: &[u8]) -> SocksOutline {
    let mut outline = SocksOutline::default();
    let read = |outline: &mut SocksOutline| -> Result<(), &'static str> {
        let Some(method) = fed(bytes, &mut outline.used, parse_method)? else { return Ok(()) };
        match method {
            Method::None => {}
            Method::Password => match fed(bytes, &mut outline.used, parse_login)? {
                Some(true) => {}
                Some(false) => return Err("it does not accept the login"),
                None => return Ok(()),
            },
            Method::Refused | Method::Other(_) => return Err("it takes no method"),
        }
        match fed(bytes, &mut outline.used, parse_reply)? {
            None => {}
            Some(Ok(bound)) => outline.bound = Some(bound),
            Some(Err(code)) => outline.code = Some(code),
        }
        Ok(())
    };
    outline.refused = read(&mut outline).is_err();
    outline
}

/// Gives `parse` as much as it asks for, as a connection would.
fn fed<T>(
    bytes: &[u8],
    used: &mut usize,
    parse: fn(&[u8]) -> Result<Parsed<T>, &'static str>,
) -> Result<Option<T>, &'static str> {
    let mut length = 0;
    loop {
        match parse(&bytes[*used..*used + length])? {
            Parsed::Done(value, taken) => {
                assert!(taken == length, "exactly what was asked for is taken");
                *used += taken;
                return Ok(Some(value));
            }
            Parsed::Need(total) => {
                assert!(total > length && total <= LONGEST, "each step asks for more, and never for too much");
                if *used + total > bytes.len() {
                    return Ok(None);
                }
                length = total;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_read_back_as_they_are_written() {
        for host in ["192.0.2.7", "2001:db8::7", "example.com", &"x".repeat(255)] {
            let to = Destination::new(host, 65_000);
            let mut out = Vec::new();
            write_address(&to, &mut out);
            let length = out.len();
            out.extend_from_slice(b"rest");
            assert_eq!(parse_address(&out), Ok(Parsed::Done(to, length)));
            for cut in 0..length {
                assert!(matches!(parse_address(&out[..cut]), Ok(Parsed::Need(need)) if need > cut && need <= length));
            }
        }
        assert!(parse_address(&[3, 0, 1, 2]).is_err());
        assert!(parse_address(&[9]).is_err());
        assert!(parse_address(&[3, 1, 0xff, 0, 1]).is_err());
    }

    #[test]
    fn handshakes_are_read_step_by_step() {
        /// Bytes, address, code, how many are the handshake's, whether it is refused.
        type Row<'a> = (&'a [u8], Option<&'a str>, Option<u8>, usize, bool);
        let table: [Row<'_>; 9] = [
            (&[5, 0, 5, 0, 0, 1, 192, 0, 2, 7, 0, 80, 99], Some("192.0.2.7:80"), None, 12, false),
            (&[5, 2, 1, 0, 5, 0, 0, 3, 1, b'x', 0, 80], Some("x:80"), None, 12, false),
            (&[5, 2, 1, 1, 5, 0], None, None, 4, true),
            (&[5, 0, 5, 4, 0, 1], None, Some(4), 4, false),
            (&[5, 0xff], None, None, 2, true),
            (&[4, 0], None, None, 0, true),
            (b"HTTP/1.1 400 Bad Request", None, None, 0, true),
            (&[5, 0, 5, 0, 0, 7], None, None, 2, true),
            (&[], None, None, 0, false),
        ];
        for (bytes, bound, code, used, refused) in table {
            let outline = outline_socks(bytes);
            let shown = outline.bound.as_ref().map(ToString::to_string);
            assert_eq!((shown.as_deref(), outline.code, outline.used, outline.refused), (bound, code, used, refused));
        }
    }

    #[test]
    fn each_reply_code_has_words_of_its_own() {
        let words: std::collections::BTreeSet<_> = (1..=9).map(reply_words).collect();
        assert_eq!(words.len(), 9);
    }

    #[test]
    fn logins_that_fit_no_byte_are_refused() {
        assert!(Login::new("", "x").is_none());
        assert!(Login::new(&"x".repeat(256), "").is_none());
        assert!(Login::new("x", &"x".repeat(256)).is_none());
        assert_eq!(Login::new("ab", "c").unwrap().request(), [1, 2, b'a', b'b', 1, b'c']);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let outline = outline_socks(&bytes);
            prop_assert!(outline.used <= bytes.len());
        }
    }
}
