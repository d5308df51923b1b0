//! Which protocol a caller speaks, by its first byte.

use std::io;

use tokio::net::TcpStream;

/// What a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// RFC 1928.
    Socks5,
    /// SOCKS4 and SOCKS4a.
    Socks4,
    /// Anything else, which has to turn out to be HTTP.
    Http,
}

/// What a port takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// `mixed-port`: everything.
    All,
    /// `port`: HTTP alone.
    Http,
    /// `socks-port`: SOCKS alone.
    Socks,
}

impl Takes {
    /// The key of the document.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::All => "mixed-port",
            Self::Http => "port",
            Self::Socks => "socks-port",
        }
    }

    /// What it takes, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "HTTP and SOCKS",
            Self::Http => "HTTP",
            Self::Socks => "SOCKS",
        }
    }

    fn takes(self, spoken: Spoken) -> bool {
        match self {
            Self::All => true,
            Self::Http => spoken == Spoken::Http,
            Self::Socks => spoken != Spoken::Http,
        }
    }
}

/// Looks at the first byte without taking it. `None` when the caller has gone, or speaks what the port does not take.
pub(crate) async fn spoken(stream: &TcpStream, takes: Takes) -> io::Result<Option<Spoken>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    Ok(of_byte(first[0]).filter(|spoken| takes.takes(*spoken)))
}

/// A request line begins with a letter; whoever begins with another byte speaks something else.
pub(crate) fn of_byte(byte: u8) -> Option<Spoken> {
    match byte {
        5 => Some(Spoken::Socks5),
        4 => Some(Spoken::Socks4),
        b'A'..=b'Z' | b'a'..=b'z' => Some(Spoken::Http),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_told_apart_by_their_first_byte() {
        assert_eq!(of_byte(5), Some(Spoken::Socks5));
        assert_eq!(of_byte(4), Some(Spoken::Socks4));
        for byte in *b"CGPOhd" {
            assert_eq!(of_byte(byte), Some(Spoken::Http));
        }
        for byte in [0, 1, 3, 6, 0x16, b' ', b'\r', b'\n', b'/', b'{', 0x80, 0xff] {
            assert_eq!(of_byte(byte), None, "{byte:#x}");
        }
    }
}
