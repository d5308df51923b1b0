//! TCP connections to the addresses of a host, side by side, each told apart.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;

/// How long the other addresses may still take when one is connected: long enough to tell a family that does not work.
const STRAGGLERS: Duration = Duration::from_millis(1000);

/// Why an address takes no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotConnected {
    /// It says no.
    Refused,
    /// It says nothing within the limit.
    Silent,
    /// There is no way there; the system's words.
    Unreachable(String),
}

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Silent => f.write_str("no answer"),
            Self::Unreachable(words) => f.write_str(words),
        }
    }
}

/// An address, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The address.
    pub(crate) address: SocketAddr,
    /// Why it did not work; `None` when it did.
    pub(crate) error: Option<NotConnected>,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "{}: {error}", self.address),
            None => write!(f, "{}: connected", self.address),
        }
    }
}

/// A connection, to the first of the addresses in their order that takes one, and what came of all.
///
/// # Errors
/// When no address takes one within `limit`.
pub(crate) async fn connect(
    addresses: &[SocketAddr],
    limit: Duration,
) -> Result<(TcpStream, Vec<Attempt>), Vec<Attempt>> {
    let mut running: FuturesUnordered<_> = addresses
        .iter()
        .enumerate()
        .map(|(place, address)| async move {
            let stream = tokio::time::timeout(limit, TcpStream::connect(*address)).await;
            (place, stream.map_or(Err(NotConnected::Silent), |stream| stream.map_err(|error| kind(&error))))
        })
        .collect();
    let mut streams: Vec<Option<TcpStream>> = addresses.iter().map(|_| None).collect();
    let silent = |address: &SocketAddr| Attempt { address: *address, error: Some(NotConnected::Silent) };
    let mut attempts: Vec<Attempt> = addresses.iter().map(silent).collect();
    loop {
        let patience = if streams.iter().any(Option::is_some) { STRAGGLERS } else { limit + STRAGGLERS };
        let Ok(Some((place, result))) = tokio::time::timeout(patience, running.next()).await else { break };
        match result {
            Ok(stream) => {
                attempts[place].error = None;
                streams[place] = Some(stream);
            }
            Err(error) => attempts[place].error = Some(error),
        }
    }
    match streams.into_iter().flatten().next() {
        Some(stream) => Ok((stream, attempts)),
        None => Err(attempts),
    }
}

fn kind(error: &io::Error) -> NotConnected {
    match error.kind() {
        // A reset in place of an answer to the first packet is what some firewalls send for "no".
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => NotConnected::Refused,
        io::ErrorKind::TimedOut => NotConnected::Silent,
        _ => NotConnected::Unreachable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_address_is_told_apart_and_the_first_that_works_counts() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = SocketAddr::new([127, 0, 0, 2].into(), open.port());
        let (stream, attempts) = connect(&[closed, open], Duration::from_secs(5)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert_eq!(attempts[0].error, Some(NotConnected::Refused));
        assert_eq!(attempts[1].error, None);
        let attempts = connect(&[closed], Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(attempts[0].to_string(), format!("{closed}: connection refused"));
    }
}
