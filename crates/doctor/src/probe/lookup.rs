//! The addresses of a host, as the system says.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Why a host has no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    /// The system says that there is no such host, or that it cannot find out; its words.
    NoSuchHost(String),
    /// No answer within the limit.
    Silent(Duration),
}

impl std::fmt::Display for NotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchHost(words) => f.write_str(words),
            Self::Silent(limit) => {
                write!(f, "no answer within {}", tradewind_core::format_duration(*limit))
            }
        }
    }
}

/// The addresses of `host` in the order of the system, each once; an address is its own.
///
/// # Errors
/// When there is none, or none within `limit`. The system's look-up itself cannot be stopped: it is left behind.
pub(crate) async fn addresses(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, NotFound> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let looked_up = tokio::time::timeout(limit, tokio::net::lookup_host((host, port))).await;
    let mut found: Vec<SocketAddr> = Vec::new();
    match looked_up {
        Err(_) => return Err(NotFound::Silent(limit)),
        Ok(Err(error)) => return Err(NotFound::NoSuchHost(error.to_string())),
        Ok(Ok(addresses)) => {
            for address in addresses {
                if !found.contains(&address) {
                    found.push(address);
                }
            }
        }
    }
    if found.is_empty() { Err(NotFound::NoSuchHost("it has no addresses".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn addresses_are_their_own_and_names_are_looked_up() {
        let own = addresses("127.0.0.9", 80, LIMIT).await.unwrap();
        assert_eq!(own, ["127.0.0.9:80".parse().unwrap()]);
        let local = addresses("localhost", 81, LIMIT).await.unwrap();
        assert!(local.iter().all(|address| address.ip().is_loopback() && address.port() == 81));
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_is_not_found() {
        // RFC 6761: no name under `invalid` ever resolves.
        let error = addresses("proxy.invalid", 80, LIMIT).await.unwrap_err();
        assert!(!error.to_string().is_empty());
    }
}
