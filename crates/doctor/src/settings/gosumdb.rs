//! GOSUMDB: which checksum database, with which key, reached how.

use tradewind_ledger::{Verifier, VerifierError};

use crate::Url;

/// The key of the Go project's own database.
const SUM_GOLANG_ORG: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

/// What GOSUMDB says.
#[derive(Clone, Debug)]
pub enum Gosumdb {
    /// Nothing is checked.
    Off,
    /// This database.
    Database {
        /// Its name, a host with an optional path.
        name: String,
        /// Who signs it.
        verifier: Verifier,
        /// Where it is asked directly, without the module proxies, when that is set.
        url: Option<Box<Url>>,
    },
}

/// Why the go command refuses the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGosumdb {
    /// No value, and none by default.
    #[error("missing GOSUMDB")]
    Missing,
    /// More than a key and a URL.
    #[error("invalid GOSUMDB: too many fields")]
    TooManyFields,
    /// The first field is neither a known database nor a key.
    #[error("invalid GOSUMDB: {0}")]
    Key(#[from] VerifierError),
    /// The name in the key is no host.
    #[error("invalid sumdb name (must be host[/path]): {0}")]
    Name(String),
    /// The second field is no URL.
    #[error("invalid GOSUMDB URL: {0}")]
    Url(String),
}

/// Reads a value of GOSUMDB.
///
/// # Errors
/// When the go command would refuse it.
pub(super) fn parse(value: &str) -> Result<Gosumdb, BadGosumdb> {
    let value = if value == "sum.golang.google.cn" { "sum.golang.org https://sum.golang.google.cn" } else { value };
    if value == "off" {
        return Ok(Gosumdb::Off);
    }
    let fields: Vec<&str> = value.split_whitespace().collect();
    let (key, url) = match fields[..] {
        [] => return Err(BadGosumdb::Missing),
        [key] => (key, None),
        [key, url] => (key, Some(url)),
        _ => return Err(BadGosumdb::TooManyFields),
    };
    let key = if key == "sum.golang.org" { SUM_GOLANG_ORG } else { key };
    let verifier = Verifier::parse(key)?;
    let name = verifier.name().to_owned();
    let direct = Url::parse(&format!("https://{name}")).ok();
    let is_name = direct
        .is_some_and(|url| !url.host.is_empty() && url.user.is_none() && url.query.is_none() && url.fragment.is_none());
    if !is_name || name.ends_with('/') {
        return Err(BadGosumdb::Name(name));
    }
    let url = url.map(Url::parse).transpose().map_err(|error| BadGosumdb::Url(error.to_string()))?.map(Box::new);
    Ok(Gosumdb::Database { name, verifier, url })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: &str) -> String {
        match parse(value) {
            Ok(Gosumdb::Off) => "off".to_owned(),
            Ok(Gosumdb::Database { name, url, .. }) => {
                format!("{name} at {}", url.map_or_else(|| "itself".to_owned(), |url| url.to_string()))
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn values_mean_what_they_mean_to_go() {
        for (value, expected) in [
            ("sum.golang.org", "sum.golang.org at itself"),
            ("sum.golang.google.cn", "sum.golang.org at https://sum.golang.google.cn"),
            ("off", "off"),
            ("sum.golang.org https://mirror.example.com/sumdb", "sum.golang.org at https://mirror.example.com/sumdb"),
            (
                "localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6",
                "localhost.localdev/sumdb at itself",
            ),
            ("on", "invalid GOSUMDB: malformed verifier id"),
            ("https://sum.golang.org", "invalid GOSUMDB: malformed verifier id"),
            ("sum.golang.org a b", "invalid GOSUMDB: too many fields"),
            (" ", "missing GOSUMDB"),
        ] {
            assert_eq!(told(value), expected, "{value}");
        }
    }
}
