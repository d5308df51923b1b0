//! Fetches lists: over the one egress, along the way that the list names, following redirects as subscriptions use them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use tradewind_egress::{Egress, Http2, Origin, RequestBody, Roots};

/// How long one fetch may take, redirects included.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Redirects that are followed.
const MOST_REDIRECTS: usize = 5;
/// Servers of subscriptions look for this word to know what to send.
const AGENT: &str = concat!("clash.meta tradewind/", env!("CARGO_PKG_VERSION"));

/// Fetches lists.
pub(crate) struct Fetcher {
    egress: Arc<Egress>,
    roots: Roots,
}

/// What came.
pub(crate) struct Fetched {
    pub(crate) body: Vec<u8>,
    /// The header `subscription-userinfo`.
    pub(crate) subscription: Option<String>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetcher")
    }
}

impl Fetcher {
    pub(crate) const fn new(egress: Arc<Egress>, roots: Roots) -> Self {
        Self { egress, roots }
    }

    /// Fetches `url` along `via`, at most `limit` bytes.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub(crate) async fn get(
        &self,
        url: &str,
        via: Option<&Arc<str>>,
        headers: &[(String, String)],
        limit: u64,
    ) -> Result<Fetched, String> {
        let fetching = self.follow(url, via, headers, limit);
        let fetched = tokio::time::timeout(PATIENCE, fetching).await;
        fetched.unwrap_or_else(|_| Err(format!("{url} did not come within {} s", PATIENCE.as_secs())))
    }

    async fn follow(
        &self,
        url: &str,
        via: Option<&Arc<str>>,
        headers: &[(String, String)],
        limit: u64,
    ) -> Result<Fetched, String> {
        let mut url = url.to_owned();
        let mut headers = headers;
        for _ in 0..=MOST_REDIRECTS {
            match self.once(&url, via, headers, limit).await? {
                Once::Came(fetched) => return Ok(fetched),
                Once::Elsewhere(next) => {
                    let (from, to) = (place(&url), place(&next));
                    if from.0 == "https" && to.0 == "http" {
                        return Err(format!("{url} leads to {next}, which is not encrypted"));
                    }
                    // What the list's own server is told may be a secret, and is no other server's.
                    if from != to {
                        headers = &[];
                    }
                    url = next;
                }
            }
        }
        Err(format!("{url}: more than {MOST_REDIRECTS} redirects"))
    }

    async fn once(
        &self,
        url: &str,
        via: Option<&Arc<str>>,
        headers: &[(String, String)],
        limit: u64,
    ) -> Result<Once, String> {
        let uri: http::Uri = url.parse().map_err(|_| format!("{url} is no URL"))?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("{url} is no URL of a server"));
        };
        let origin = Origin::parse(&format!("{scheme}://{authority}")).map_err(|error| error.to_string())?;
        let route = self.egress.route(origin, Http2::Never, &self.roots, "", via);
        let target = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut made = HeaderList::default();
        for (name, value) in headers {
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no name of a header"))?;
            let value =
                HeaderValue::from_str(value).map_err(|_| format!("the value of the header `{name}` cannot be sent"))?;
            made.push((name, value));
        }
        let build = || {
            let mut request = Request::new(RequestBody::new(Bytes::new()));
            // Checked above: what was parsed once is parsed again.
            *request.uri_mut() = target.parse().unwrap_or_default();
            request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
            request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("*/*"));
            for (name, value) in &made {
                request.headers_mut().insert(name.clone(), value.clone());
            }
            request
        };
        let answer = route.send(&build, CONNECT, true, 0).await.map_err(|fault| format!("{url}: {fault}"))?;
        let status = answer.head.status;
        let said =
            |name: HeaderName| answer.head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if status.is_redirection()
            && let Some(location) = said(header::LOCATION)
        {
            return elsewhere(scheme, authority.as_str(), &location)
                .map(Once::Elsewhere)
                .ok_or_else(|| format!("{url} leads to {location}, which is no URL"));
        }
        if status != StatusCode::OK {
            return Err(format!("{url} answered {status}"));
        }
        let subscription = said(HeaderName::from_static("subscription-userinfo"));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let body = Limited::new(answer.body, limit).collect().await.map_err(|error| format!("{url}: {error}"))?;
        Ok(Once::Came(Fetched { body: body.to_bytes().to_vec(), subscription }))
    }
}

type HeaderList = Vec<(HeaderName, HeaderValue)>;

/// What one request led to.
enum Once {
    Came(Fetched),
    Elsewhere(String),
}

/// Scheme and server of a URL.
fn place(url: &str) -> (&str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    (scheme, rest.split(['/', '?', '#']).next().unwrap_or(""))
}

/// Where a redirect leads.
fn elsewhere(scheme: &str, authority: &str, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    location.starts_with('/').then(|| format!("{scheme}://{authority}{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        for (location, expected) in [
            ("https://b/x", Some("https://b/x")),
            ("//b/x", Some("http://b/x")),
            ("/x?y", Some("http://a:8/x?y")),
            ("x", None),
            ("ftp://b", None),
            ("", None),
        ] {
            assert_eq!(elsewhere("http", "a:8", location).as_deref(), expected, "{location}");
        }
    }
}
