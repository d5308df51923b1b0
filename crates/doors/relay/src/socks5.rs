//! SOCKS5 as a server (RFC 1928), with user names and passwords (RFC 1929).
//!
//! Reading takes no byte more than the message has: what follows belongs to the tunnel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tradewind_egress::{Destination, Host};

use crate::user::{Users, Who};

const VERSION: u8 = 5;
/// Without a password.
const OPEN: u8 = 0;
/// With user name and password.
const PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// A connection.
    Connect,
    /// A way for datagrams.
    Associate,
}

/// A reply, RFC 1928 §6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Done = 0,
    Failed = 1,
    NotAllowed = 2,
    HostUnreachable = 4,
    Refused = 5,
    CommandUnknown = 7,
    AddressUnknown = 8,
}

/// Why a caller is not served. It has been told what can be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocksError {
    /// It went away, or the connection broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Not what the protocol says.
    #[error("not SOCKS: {0}")]
    Malformed(&'static str),
    /// It has no password, or a wrong one.
    #[error("no user name and password that are known")]
    Unauthorized,
    /// It asks for something that is not served.
    #[error("{0}")]
    NotServed(&'static str),
}

/// What was asked for, and by whom.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) command: Command,
    pub(crate) to: Destination,
    pub(crate) who: Who,
}

/// Reads greeting, password and request.
///
/// # Errors
/// When it is not SOCKS5, the password is wrong, or what is asked for is not served.
pub(crate) async fn accept<S>(stream: &mut S, users: &Users, from: SocketAddr) -> Result<Asked, SocksError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // With the first method: most callers offer one, and are read at once.
    let ([version, count, first], read) = read_up_to(stream, 2).await?;
    if version != VERSION {
        return Err(SocksError::Malformed("the version is not 5"));
    }
    let mut methods = [0; 255];
    let methods = &mut methods[..usize::from(count)];
    let (there, missing) = methods.split_at_mut(methods.len().min(read - 2));
    there.fill(first);
    stream.read_exact(missing).await?;
    let who = if users.needed(from.ip()) {
        if !methods.contains(&PASSWORD) {
            stream.write_all(&[VERSION, NONE_ACCEPTABLE]).await?;
            return Err(SocksError::Unauthorized);
        }
        stream.write_all(&[VERSION, PASSWORD]).await?;
        password(stream, users).await?
    } else if methods.contains(&OPEN) {
        stream.write_all(&[VERSION, OPEN]).await?;
        Who::default()
    } else if methods.contains(&PASSWORD) {
        // Some clients send a password whether it is asked for or not.
        stream.write_all(&[VERSION, PASSWORD]).await?;
        password(stream, users).await?
    } else {
        stream.write_all(&[VERSION, NONE_ACCEPTABLE]).await?;
        return Err(SocksError::NotServed("the caller offers no way to log in that is known"));
    };
    // With the first byte of the address: it says how long a name is.
    let ([version, command, _, kind, first], read) = read_up_to(stream, 4).await?;
    if version != VERSION {
        return Err(SocksError::Malformed("the version of the request is not 5"));
    }
    let to = match address(stream, kind, (read == 5).then_some(first)).await {
        Ok(to) => to,
        Err(SocksError::NotServed(why)) => {
            reply(stream, Reply::AddressUnknown, None).await?;
            return Err(SocksError::NotServed(why));
        }
        Err(error) => return Err(error),
    };
    let command = match command {
        1 => Command::Connect,
        3 => Command::Associate,
        _ => {
            reply(stream, Reply::CommandUnknown, None).await?;
            return Err(SocksError::NotServed("only CONNECT and UDP ASSOCIATE are served"));
        }
    };
    Ok(Asked { command, to, who })
}

/// Reads user name and password, and says whether they are right (RFC 1929).
async fn password<S>(stream: &mut S, users: &Users) -> Result<Who, SocksError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let [version, length] = read_array(stream).await?;
    if version != 1 {
        return Err(SocksError::Malformed("the version of the password is not 1"));
    }
    let name = read_text(stream, length).await?;
    let [length] = read_array(stream).await?;
    let word = read_text(stream, length).await?;
    let who = users.check(&name, &word);
    stream.write_all(&[1, u8::from(who.is_none())]).await?;
    who.ok_or(SocksError::Unauthorized)
}

/// Reads an address and a port, RFC 1928 §5; the first byte may have been read.
async fn address<S>(stream: &mut S, kind: u8, first: Option<u8>) -> Result<Destination, SocksError>
where
    S: AsyncRead + Unpin,
{
    if !matches!(kind, 1 | 3 | 4) {
        return Err(SocksError::NotServed("the kind of address is not known"));
    }
    let first = match first {
        Some(first) => first,
        None => stream.read_u8().await?,
    };
    let (host, port) = match kind {
        1 => {
            let [b, c, d, port @ ..] = read_array::<5, S>(stream).await?;
            (Host::Ip(Ipv4Addr::new(first, b, c, d).into()), port)
        }
        4 => {
            let rest = read_array::<17, S>(stream).await?;
            let mut octets = [first; 16];
            octets[1..].copy_from_slice(&rest[..15]);
            (Host::Ip(Ipv6Addr::from(octets).into()), [rest[15], rest[16]])
        }
        _ => {
            // With the port behind it.
            let mut name = [0; 257];
            let name = &mut name[..usize::from(first) + 2];
            stream.read_exact(name).await?;
            let (name, port) = name.split_at(usize::from(first));
            (host(name)?, [port[0], port[1]])
        }
    };
    Ok(Destination { host, port: u16::from_be_bytes(port) })
}

/// A name as bytes: an address in text is an address.
pub(crate) fn host(name: &[u8]) -> Result<Host, SocksError> {
    let text = std::str::from_utf8(name).map_err(|_| SocksError::Malformed("the name is not UTF-8"))?;
    if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(SocksError::Malformed("the name has characters that no name has"));
    }
    Ok(Host::parse(text))
}

/// Sends a reply; `bound` is the address that is told.
pub(crate) async fn reply<S>(stream: &mut S, reply: Reply, bound: Option<SocketAddr>) -> std::io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    let mut message = vec![VERSION, reply as u8, 0];
    push_address(&mut message, bound.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))));
    stream.write_all(&message).await
}

/// Writes an address and a port, RFC 1928 §5.
pub(crate) fn push_address(message: &mut Vec<u8>, address: SocketAddr) {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            message.push(1);
            message.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            message.push(4);
            message.extend(ip.octets());
        }
    }
    message.extend(address.port().to_be_bytes());
}

/// Reads at least `least` bytes, and as many more as have come, up to `N`; says how many.
async fn read_up_to<const N: usize, S: AsyncRead + Unpin>(
    stream: &mut S,
    least: usize,
) -> std::io::Result<([u8; N], usize)> {
    let (mut bytes, mut read) = ([0; N], 0);
    while read < least {
        match stream.read(&mut bytes[read..]).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => read += count,
        }
    }
    Ok((bytes, read))
}

async fn read_array<const N: usize, S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn read_text<S: AsyncRead + Unpin>(stream: &mut S, length: u8) -> std::io::Result<Vec<u8>> {
    let mut text = vec![0; usize::from(length)];
    stream.read_exact(&mut text).await?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

    /// What is answered to `said`, and what comes of it.
    async fn served(users: &Users, said: &[u8]) -> (Vec<u8>, Result<Asked, SocksError>) {
        let (mut caller, mut server) = tokio::io::duplex(4096);
        caller.write_all(said).await.unwrap();
        caller.shutdown().await.unwrap();
        let asked = accept(&mut server, users, FROM).await;
        drop(server);
        let mut answered = Vec::new();
        caller.read_to_end(&mut answered).await.unwrap();
        (answered, asked)
    }

    #[tokio::test]
    async fn names_and_addresses() {
        for (request, shown) in [
            (&b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"[..], "127.0.0.1:80"),
            (b"\x05\x01\x00\x03\x06a.test\x01\xbb", "a.test:443"),
            (b"\x05\x01\x00\x03\x0910.0.0.12\x01\xbb", "10.0.0.12:443"),
            (b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50", "[::1]:80"),
        ] {
            let said = [b"\x05\x02\x00\x02", request].concat();
            let (answered, asked) = served(&Users::default(), &said).await;
            assert_eq!(answered, b"\x05\x00");
            assert_eq!(asked.unwrap().to.to_string(), shown);
        }
    }

    #[tokio::test]
    async fn what_follows_the_request_is_left_for_the_tunnel() {
        let users = Users::default();
        for (request, shown) in [
            (&b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"[..], "127.0.0.1:80"),
            (b"\x05\x01\x00\x03\x01a\x01\xbb", "a:443"),
            (b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50", "[2001:db8::1]:80"),
        ] {
            let said = [b"\x05\x01\x00", request, b"early"].concat();
            // All at once, and a byte at a time.
            for room in [4096, 1] {
                let (mut caller, mut server) = tokio::io::duplex(room);
                let saying = async {
                    let (mut hears, mut says) = tokio::io::split(&mut caller);
                    let mut answered = [0; 2];
                    let (said, heard) = tokio::join!(says.write_all(&said), hears.read_exact(&mut answered));
                    said.unwrap();
                    heard.unwrap();
                    answered
                };
                let serving = async {
                    let asked = accept(&mut server, &users, FROM).await.unwrap();
                    let mut early = [0; 5];
                    server.read_exact(&mut early).await.unwrap();
                    (asked, early)
                };
                let (answered, (asked, early)) = tokio::join!(saying, serving);
                assert_eq!((answered, &early), ([5, 0], b"early"), "{shown}, {room}");
                assert_eq!(asked.to.to_string(), shown);
            }
        }
    }

    #[tokio::test]
    async fn passwords() {
        let users = Users::of(&[("ann", "secret")]);
        let request = b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50";
        let right = [&b"\x05\x01\x02\x01\x03ann\x06secret"[..], request].concat();
        let (answered, asked) = served(&users, &right).await;
        assert_eq!(answered, b"\x05\x02\x01\x00");
        assert_eq!(asked.unwrap().who.name.as_deref(), Some("ann"));
        for (said, expected) in [
            (&b"\x05\x01\x02\x01\x03ann\x06secreT"[..], &b"\x05\x02\x01\x01"[..]),
            (b"\x05\x01\x02\x01\x00\x00", b"\x05\x02\x01\x01"),
            (b"\x05\x01\x00", b"\x05\xff"),
            (b"\x05\x00", b"\x05\xff"),
        ] {
            let (answered, asked) = served(&users, said).await;
            assert_eq!(answered, expected);
            assert!(matches!(asked, Err(SocksError::Unauthorized)));
        }
    }

    #[tokio::test]
    async fn what_is_not_served_is_told() {
        for (request, told) in [(&b"\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50"[..], 7), (b"\x05\x01\x00\x02", 8)] {
            let (answered, asked) = served(&Users::default(), &[b"\x05\x01\x00", request].concat()).await;
            assert_eq!(answered[..4], [5, 0, 5, told]);
            assert!(matches!(asked, Err(SocksError::NotServed(_))));
        }
    }

    #[tokio::test]
    async fn anything_else_ends_without_a_panic() {
        for length in 0..12 {
            for first in [4, 5, 6] {
                let mut said: Vec<u8> = (0..length).map(|at: u8| at.wrapping_mul(37)).collect();
                if let Some(byte) = said.first_mut() {
                    *byte = first;
                }
                assert!(served(&Users::default(), &said).await.1.is_err());
            }
        }
        let name = b"\x05\x01\x00\x05\x01\x00\x03\x03a b\x00\x50";
        assert!(matches!(served(&Users::default(), name).await.1, Err(SocksError::Malformed(_))));
    }
}
