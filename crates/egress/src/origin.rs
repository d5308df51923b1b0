//! Where a request goes: scheme, host and port.

use std::fmt;

use http::{HeaderValue, Uri};

/// Whether HTTP/2 is spoken to an origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Http2 {
    /// Over TLS, when the server chooses it by ALPN.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Never,
    /// HTTP/2 from the first byte, also without TLS.
    PriorKnowledge,
}

/// Scheme, host and port of a server, with what is derived from them once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address, without the brackets of IPv6.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Why a URL is not an origin that can be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseOriginError {
    /// Not a URL.
    #[error("`{0}` is not a URL")]
    NotUrl(String),
    /// Neither http nor https.
    #[error("`{0}` is neither http:// nor https://")]
    Scheme(String),
}

impl Origin {
    /// The origin of a URL; its path is left to the caller.
    ///
    /// # Errors
    /// When `url` has no host or a scheme other than `http` and `https`.
    pub fn parse(url: &str) -> Result<Self, ParseOriginError> {
        let uri: Uri = url.parse().map_err(|_| ParseOriginError::NotUrl(url.to_owned()))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(ParseOriginError::Scheme(url.to_owned())),
        };
        let host =
            uri.host().filter(|host| !host.is_empty()).ok_or_else(|| ParseOriginError::NotUrl(url.to_owned()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, host, port })
    }

    /// `host` or `host:port` as it stands in a `Host` header: the port only when it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    /// The authority as a header value.
    pub(crate) fn host_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.authority()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_from_urls() {
        let origin = Origin::parse("https://api.example.com/v1").unwrap();
        assert_eq!((origin.tls, origin.host.as_str(), origin.port), (true, "api.example.com", 443));
        assert_eq!(Origin::parse("http://[::1]:8000/v1").unwrap().authority(), "[::1]:8000");
        assert_eq!(Origin::parse("http://localhost:80").unwrap().to_string(), "http://localhost");
        assert!(Origin::parse("ftp://host").is_err());
        assert!(Origin::parse("/v1").is_err());
    }
}
