//! SOCKS4 and SOCKS4a as a server: the 1992 memo and its extension for names. The user name is compared with those that are
//! known; there is no password.

use std::net::{IpAddr, Ipv4Addr};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tradewind_egress::{Destination, Host};

use crate::socks5::{SocksError, host};

/// The longest user name or host name.
const LONGEST: usize = 255;

/// Reads a request.
///
/// # Errors
/// When it is not SOCKS4, or a password would be needed, which this protocol has none of.
pub(crate) async fn accept<S>(stream: &mut S, needs_password: bool) -> Result<Destination, SocksError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = [0; 8];
    stream.read_exact(&mut head).await?;
    let [version, command, port @ .., a, b, c, d] = head;
    if version != 4 {
        return Err(SocksError::Malformed("the version is not 4"));
    }
    let _user = until_zero(stream).await?;
    let address = Ipv4Addr::new(a, b, c, d);
    // 0.0.0.x with another x than 0 says that a name follows.
    let is_name = [a, b, c] == [0; 3] && d != 0;
    let to = if is_name { host(&until_zero(stream).await?)? } else { Host::Ip(IpAddr::V4(address)) };
    if needs_password {
        reply(stream, false).await?;
        return Err(SocksError::Unauthorized);
    }
    if command != 1 {
        reply(stream, false).await?;
        return Err(SocksError::NotServed("only CONNECT is served in SOCKS4"));
    }
    Ok(Destination { host: to, port: u16::from_be_bytes(port) })
}

async fn until_zero<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, SocksError> {
    let mut text = Vec::new();
    loop {
        match stream.read_u8().await? {
            0 => return Ok(text),
            byte if text.len() < LONGEST => text.push(byte),
            _ => return Err(SocksError::Malformed("a text is longer than 255 bytes")),
        }
    }
}

/// Says whether the connection stands.
pub(crate) async fn reply<S: AsyncWrite + Unpin>(stream: &mut S, done: bool) -> std::io::Result<()> {
    let status = if done { 90 } else { 91 };
    stream.write_all(&[0, status, 0, 0, 0, 0, 0, 0]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn served(needs_password: bool, said: &[u8]) -> (Vec<u8>, Result<Destination, SocksError>) {
        let (mut caller, mut server) = tokio::io::duplex(4096);
        caller.write_all(said).await.unwrap();
        caller.shutdown().await.unwrap();
        let asked = accept(&mut server, needs_password).await;
        drop(server);
        let mut answered = Vec::new();
        caller.read_to_end(&mut answered).await.unwrap();
        (answered, asked)
    }

    #[tokio::test]
    async fn addresses_and_names() {
        for (said, shown) in [
            (&b"\x04\x01\x00\x50\x7f\x00\x00\x01\0"[..], "127.0.0.1:80"),
            (b"\x04\x01\x00\x50\x7f\x00\x00\x01ann\0", "127.0.0.1:80"),
            (b"\x04\x01\x01\xbb\0\0\0\x07\0a.test\0", "a.test:443"),
            (b"\x04\x01\x01\xbb\0\0\0\0\0", "0.0.0.0:443"),
        ] {
            assert_eq!(served(false, said).await.1.unwrap().to_string(), shown);
        }
    }

    #[tokio::test]
    async fn what_is_refused_is_told() {
        let connect = b"\x04\x01\x00\x50\x7f\x00\x00\x01ann\0";
        let (answered, asked) = served(true, connect).await;
        assert!(answered[1] == 91 && matches!(asked, Err(SocksError::Unauthorized)));
        let (answered, asked) = served(false, b"\x04\x02\x00\x50\x7f\x00\x00\x01\0").await;
        assert!(answered[1] == 91 && matches!(asked, Err(SocksError::NotServed(_))));
    }

    #[tokio::test]
    async fn endless_names_end() {
        let endless = [&b"\x04\x01\x00\x50\x7f\x00\x00\x01"[..], &[b'a'; 300], b"\0"].concat();
        assert!(matches!(served(false, &endless).await.1, Err(SocksError::Malformed(_))));
        assert!(matches!(served(false, &endless[..100]).await.1, Err(SocksError::Io(_))));
    }
}
