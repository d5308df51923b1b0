//! Fetches lists: over the one egress, along the way that the list names, following redirects as subscriptions use them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use tradewind_core::Secret;
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

/// What is fetched, and how.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) url: &'a str,
    /// The way to it.
    pub(crate) via: Option<&'a Arc<str>>,
    /// What its server is told.
    pub(crate) headers: &'a [(String, Secret<String>)],
    /// The most bytes that are taken.
    pub(crate) limit: u64,
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

    /// Fetches it.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub(crate) async fn get(&self, wanted: &Wanted<'_>) -> Result<Fetched, String> {
        let fetched = tokio::time::timeout(PATIENCE, self.follow(wanted)).await;
        fetched.unwrap_or_else(|_| Err(format!("{} did not come within {} s", shown(wanted.url), PATIENCE.as_secs())))
    }

    async fn follow(&self, wanted: &Wanted<'_>) -> Result<Fetched, String> {
        let mut url = wanted.url.to_owned();
        let mut headers = wanted.headers;
        for _ in 0..=MOST_REDIRECTS {
            match self.once(&Wanted { url: &url, headers, ..*wanted }).await? {
                Once::Came(fetched) => return Ok(fetched),
                Once::Elsewhere(next) => {
                    let (from, to) = (place(&url), place(&next));
                    if from.0 == "https" && to.0 == "http" {
                        return Err(format!("{} leads to {}, which is not encrypted", shown(&url), shown(&next)));
                    }
                    // What the list's own server is told may be a secret, and is no other server's.
                    if from != to {
                        headers = &[];
                    }
                    url = next;
                }
            }
        }
        Err(format!("{}: more than {MOST_REDIRECTS} redirects", shown(&url)))
    }

    async fn once(&self, wanted: &Wanted<'_>) -> Result<Once, String> {
        let Wanted { url, via, headers, limit } = *wanted;
        let name = shown(url);
        let uri: http::Uri = url.parse().map_err(|_| format!("{name} is no URL"))?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("{name} is no URL of a server"));
        };
        let origin = Origin::parse(url).map_err(|_| format!("{name} is no URL of a server"))?;
        let route = self.egress.route(origin, Http2::Never, &self.roots, "", via);
        let target = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut made = HeaderList::default();
        for (key, value) in headers {
            let key = HeaderName::from_bytes(key.as_bytes()).map_err(|_| format!("`{key}` is no name of a header"))?;
            let value = HeaderValue::from_str(value.expose())
                .map_err(|_| format!("the value of the header `{key}` cannot be sent"))?;
            made.push((key, value));
        }
        let build = || {
            let mut request = Request::new(RequestBody::new(Bytes::new()));
            // Checked above: what was parsed once is parsed again.
            *request.uri_mut() = target.parse().unwrap_or_default();
            request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
            request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("*/*"));
            for (key, value) in &made {
                request.headers_mut().insert(key.clone(), value.clone());
            }
            request
        };
        let answer = route.send(&build, CONNECT, true, 0).await.map_err(|fault| format!("{name}: {fault}"))?;
        let status = answer.head.status;
        let said =
            |name: HeaderName| answer.head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if status.is_redirection()
            && let Some(location) = said(header::LOCATION)
        {
            return elsewhere(scheme, authority.as_str(), &location)
                .map(Once::Elsewhere)
                .ok_or_else(|| format!("{name} leads to what is no URL"));
        }
        if status != StatusCode::OK {
            return Err(format!("{name} answered {status}"));
        }
        let subscription = said(HeaderName::from_static("subscription-userinfo"));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let body = Limited::new(answer.body, limit).collect().await.map_err(|error| format!("{name}: {error}"))?;
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

/// A URL as messages show it: with what stands before or behind its server, anybody may have the subscription.
pub(crate) fn shown(url: &str) -> String {
    let (scheme, authority) = place(url);
    let server = authority.rsplit_once('@').map_or(authority, |(_, server)| server);
    format!("{scheme}://{server}/…")
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
    fn a_message_tells_nobody_the_way_to_a_subscription() {
        for url in ["https://a:8/sub/secret?token=secret", "https://me:secret@a:8#secret", "https://a:8?secret"] {
            assert_eq!(shown(url), "https://a:8/…", "{url}");
        }
    }

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
