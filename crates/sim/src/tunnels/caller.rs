//! One caller: asks a proxy for a tunnel to the far end, by CONNECT or SOCKS5.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{OPENING, Path};

/// How a proxy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Not at all: the far end is called directly.
    Direct,
    /// `CONNECT` of HTTP/1.1.
    Connect,
    /// SOCKS5 without a password, RFC 1928.
    Socks5,
}

impl FromStr for By {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "direct" => Ok(Self::Direct),
            "connect" => Ok(Self::Connect),
            "socks5" => Ok(Self::Socks5),
            _ => Err("write direct, connect or socks5"),
        }
    }
}

/// Why there is no tunnel, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It took longer than [`OPENING`].
    #[error("not open after {} s", OPENING.as_secs())]
    Slow,
    /// The proxy says no, or nothing that can be understood.
    #[error("the proxy answers {0:?}")]
    Refused(String),
}

/// Opens a tunnel.
pub(super) async fn open(path: &Path) -> Result<TcpStream, TunnelError> {
    tokio::time::timeout(OPENING, ask(path)).await.map_err(|_| TunnelError::Slow)?
}

async fn ask(path: &Path) -> Result<TcpStream, TunnelError> {
    let to = if path.by == By::Direct { path.far } else { path.proxy };
    let mut stream = match path.from {
        None => TcpStream::connect(to).await?,
        Some(from) => {
            let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.bind(SocketAddr::new(from, 0))?;
            socket.connect(to).await?
        }
    };
    stream.set_nodelay(true)?;
    match path.by {
        By::Direct => {}
        By::Connect => connect(&mut stream, path).await?,
        By::Socks5 => socks5(&mut stream, path).await?,
    }
    Ok(stream)
}

async fn connect(stream: &mut TcpStream, path: &Path) -> Result<(), TunnelError> {
    let to = match &path.name {
        Some(name) => format!("{name}:{}", path.far.port()),
        None => path.far.to_string(),
    };
    stream.write_all(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::with_capacity(256);
    // Nothing can come behind the head: the far end waits for its wish.
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > 8192 {
            return Err(TunnelError::Refused(String::from_utf8_lossy(&head).into_owned()));
        }
    }
    match head.get(8..13) {
        Some(b" 200 ") => Ok(()),
        _ => Err(TunnelError::Refused(String::from_utf8_lossy(&head).into_owned())),
    }
}

async fn socks5(stream: &mut TcpStream, path: &Path) -> Result<(), TunnelError> {
    stream.write_all(&[5, 1, 0]).await?;
    let mut method = [0; 2];
    stream.read_exact(&mut method).await?;
    if method != [5, 0] {
        return Err(TunnelError::Refused(format!("{method:?}")));
    }
    let mut request = vec![5, 1, 0];
    match (&path.name, path.far.ip()) {
        (Some(name), _) => {
            request.extend([3, u8::try_from(name.len()).map_err(io::Error::other)?]);
            request.extend(name.as_bytes());
        }
        (None, IpAddr::V4(ip)) => {
            request.push(1);
            request.extend(ip.octets());
        }
        (None, IpAddr::V6(ip)) => {
            request.push(4);
            request.extend(ip.octets());
        }
    }
    request.extend(path.far.port().to_be_bytes());
    stream.write_all(&request).await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    let address = match reply {
        [5, 0, 0, 1] => 4,
        [5, 0, 0, 4] => 16,
        _ => return Err(TunnelError::Refused(format!("{reply:?}"))),
    };
    let mut bound = [0; 18];
    stream.read_exact(&mut bound[..address + 2]).await?;
    Ok(())
}
