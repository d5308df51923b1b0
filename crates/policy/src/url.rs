//! The base URL of a provider.

use std::borrow::Cow;
use std::fmt;

use http::Uri;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

/// Where a provider is: `https://host[:port][/path]`, without credentials, query and fragment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    text: String,
    host: String,
    port: u16,
    is_tls: bool,
    path: String,
}

/// Why a text is no base URL. None of the messages shows the text, which may hold a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// It cannot be read at all.
    #[error("not a URL: write it like https://api.example.com/v1")]
    NotAUrl,
    /// Another scheme, or none.
    #[error("a base-url begins with https:// or http://")]
    Scheme,
    /// A user name or password before the host.
    #[error("a base-url holds no user name or password: use api-key")]
    Credentials,
    /// A `?`.
    #[error("a base-url has no query: use the key `query`")]
    Query,
    /// A `#`.
    #[error("a base-url has no fragment: remove the # and what follows")]
    Fragment,
}

impl BaseUrl {
    /// Reads a base URL; a slash at its end is dropped.
    ///
    /// # Errors
    /// When it is not `http` or `https` with a host, or has credentials, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let scheme_end = text.find("://").ok_or(BaseUrlError::Scheme)?;
        let scheme = text[..scheme_end].to_ascii_lowercase();
        let is_tls = match scheme.as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(BaseUrlError::Scheme),
        };
        let rest = &text[scheme_end + 3..];
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        if authority.contains('@') {
            return Err(BaseUrlError::Credentials);
        }
        if text.contains('#') {
            return Err(BaseUrlError::Fragment);
        }
        if text.contains('?') {
            return Err(BaseUrlError::Query);
        }
        let uri: Uri = text.parse().map_err(|_| BaseUrlError::NotAUrl)?;
        let authority = uri.authority().ok_or(BaseUrlError::NotAUrl)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        // The parser lets `host:` and `host:99999` pass, with no port.
        let after_host = authority.as_str().rsplit(']').next().unwrap_or("");
        if host.is_empty() || (after_host.contains(':') && authority.port_u16().is_none()) {
            return Err(BaseUrlError::NotAUrl);
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        let text = format!("{scheme}://{authority}{path}");
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { text, host, port, is_tls, path })
    }

    /// The whole URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host, in lower case; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, given or usual.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The path, without a slash at its end; empty for none.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What goes into the `Host` header: the host as written, and the port when it was given.
    #[must_use]
    pub fn authority(&self) -> &str {
        let rest = self.text.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or("")
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for BaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for BaseUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BaseUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "uri" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_taken_apart() {
        for (text, host, port, is_tls, path, authority) in [
            ("https://api.openai.com/v1", "api.openai.com", 443, true, "/v1", "api.openai.com"),
            ("https://api.openai.com/v1/", "api.openai.com", 443, true, "/v1", "api.openai.com"),
            ("http://127.0.0.1:8080", "127.0.0.1", 8080, false, "", "127.0.0.1:8080"),
            ("HTTP://Example.COM:80/", "example.com", 80, false, "", "Example.COM:80"),
            ("http://[::1]:9/x", "::1", 9, false, "/x", "[::1]:9"),
            ("http://[::1]", "::1", 80, false, "", "[::1]"),
        ] {
            let url = BaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((url.host(), url.port(), url.is_tls(), url.path()), (host, port, is_tls, path), "{text}");
            assert_eq!(url.authority(), authority, "{text}");
            assert_eq!(BaseUrl::parse(url.as_str()), Ok(url.clone()), "reads back");
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for (text, error) in [
            ("", BaseUrlError::Scheme),
            ("api.openai.com/v1", BaseUrlError::Scheme),
            ("ftp://host", BaseUrlError::Scheme),
            ("https://", BaseUrlError::NotAUrl),
            ("https:///v1", BaseUrlError::NotAUrl),
            ("https://ho st/", BaseUrlError::NotAUrl),
            ("https://host:/", BaseUrlError::NotAUrl),
            ("https://host:99999/", BaseUrlError::NotAUrl),
            ("https://[::1]:99999/", BaseUrlError::NotAUrl),
            ("https://:80/", BaseUrlError::NotAUrl),
            ("https://user:pass@host/", BaseUrlError::Credentials),
            ("https://key@host/", BaseUrlError::Credentials),
            ("https://host/?a=b", BaseUrlError::Query),
            ("https://host/#x", BaseUrlError::Fragment),
        ] {
            assert_eq!(BaseUrl::parse(text), Err(error), "{text}");
        }
    }
}
