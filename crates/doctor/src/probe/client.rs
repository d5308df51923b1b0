//! Requests as the go command makes them: by its way, with its logins, redirected as it follows.

use rustls_pki_types::CertificateDer;

use super::connection::{self, host_header};
use super::http::{self, Patience, Response};
use super::roots::Roots;
use super::tcp::Attempt;
use super::trouble::{Trouble, What};
use crate::settings::Way;
use crate::{Instead, Url, World};

/// Go stops at the eleventh request.
const MOST_REDIRECTS: usize = 10;

/// Asks as the go command would.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    /// The settings and limits.
    pub(crate) world: &'a World,
    /// The root certificates.
    pub(crate) roots: &'a Roots,
    /// Another way than the settings'.
    pub(crate) instead: Option<&'a Instead>,
    /// The most of a body that is read, in bytes.
    pub(crate) most_bytes: usize,
}

/// An answer, and how it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Who gave it: another one than was asked after redirects.
    pub(crate) url: Url,
    /// The way there.
    pub(crate) way: Way,
    /// What it is.
    pub(crate) response: Response,
    /// What came of the addresses that were connected to.
    pub(crate) attempts: Vec<Attempt>,
    /// The chain of certificates, for https.
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

impl<'a> Client<'a> {
    /// One that takes the ways of the settings.
    pub(crate) fn new(world: &'a World, roots: &'a Roots) -> Self {
        Self { world, roots, instead: None, most_bytes: world.limits.most_bytes }
    }

    /// One that goes another way.
    pub(crate) fn instead(self, instead: &'a Instead) -> Self {
        Self { instead: Some(instead), ..self }
    }

    /// One that reads up to `most_bytes` of a body.
    pub(crate) fn reading(self, most_bytes: usize) -> Self {
        Self { most_bytes, ..self }
    }

    /// The way to `url`.
    pub(crate) fn way_to(&self, url: &Url) -> Way {
        match self.instead {
            Some(Instead::HttpProxy(proxy)) => Way::Proxy(proxy.clone()),
            Some(Instead::NoProxy) => Way::Direct(crate::settings::Why::NotSet),
            Some(Instead::ModuleProxy(_)) | None => self.world.settings.http_proxy.way_to(url),
        }
    }

    /// Asks for `first`, and for what it redirects to.
    ///
    /// # Errors
    /// When no answer comes that is not a redirect.
    pub(crate) async fn get(&self, first: &Url) -> Result<Answer, Trouble> {
        let mut url = first.clone();
        let mut hops = vec![first.clone()];
        loop {
            let way = self.way_to(&url);
            let trouble = |what| Trouble { first: first.clone(), url: url.clone(), way: way.clone(), what };
            let answer = self.once(&url, &way, first).await.map_err(&trouble)?;
            let location = match answer.response.status {
                301 | 302 | 303 | 307 | 308 => answer.response.header("location"),
                _ => None,
            };
            let Some(location) = location else { return Ok(answer) };
            let Some(next) = joined(&url, location) else {
                return Err(trouble(What::BadRedirect(location.chars().take(200).collect())));
            };
            if first.scheme == "https" && next.scheme != "https" {
                return Err(trouble(What::InsecureRedirect(next)));
            }
            if hops.len() > MOST_REDIRECTS {
                return Err(trouble(What::TooManyRedirects(hops)));
            }
            hops.push(next.clone());
            url = next;
        }
    }

    /// Asks for `url` alone, and takes what comes.
    async fn once(&self, url: &Url, way: &Way, first: &Url) -> Result<Answer, What> {
        let limits = &self.world.limits;
        let mut open = connection::open(self.world, self.roots, url, way).await?;
        let host = host_header(url);
        let query = url.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        let path = format!("{}{}", encoded_path(&url.path), encoded_path_only(&query));
        let (target, proxy_login) = match &open.through {
            Some(proxy) => (format!("http://{host}{path}"), connection::login_of(proxy)),
            None => (path, None),
        };
        let mut head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Go-http-client/1.1\r\n");
        if let Some(login) = proxy_login {
            head.push_str(&format!("Proxy-Authorization: {login}\r\n"));
        }
        if let Some(login) = self.login_for(url, first) {
            head.push_str(&format!("Authorization: {login}\r\n"));
        }
        head.push_str("Connection: close\r\n\r\n");
        let patience = Patience { first_byte: limits.first_byte, body: limits.body, most_bytes: self.most_bytes };
        let response = http::ask(&mut *open.stream, &head, &patience, false).await.map_err(What::NoAnswer)?;
        let (attempts, chain) = (open.attempts, open.chain);
        Ok(Answer { url: url.clone(), way: way.clone(), response, attempts, chain })
    }

    /// What go logs in with: the URL's own user, else the login of .netrc; both over https alone, and to no host that the
    /// first only redirects to.
    fn login_for(&self, url: &Url, first: &Url) -> Option<String> {
        if url.scheme != "https" {
            return None;
        }
        let own = url.user.as_ref().and_then(|_| connection::login_of(url));
        let first = || if url.host == first.host { connection::login_of(first) } else { None };
        own.or_else(first).or_else(|| {
            if !takes_netrc(self.world) {
                return None;
            }
            let login = self.world.settings.netrc.login_for(&format!("{}{}", url.host, url.path))?;
            Some(connection::basic(&login.login, login.password.expose()))
        })
    }
}

/// Whether go would look into .netrc: GOAUTH says so, or says nothing.
pub(crate) fn takes_netrc(world: &World) -> bool {
    let goauth = world.settings.text("GOAUTH");
    goauth.trim().is_empty() || goauth.split(';').any(|part| part.trim() == "netrc")
}

/// Where a redirect leads; `None` when that is no URL.
fn joined(base: &Url, location: &str) -> Option<Url> {
    let next = Url::parse(location.trim()).ok()?;
    if !next.scheme.is_empty() {
        return (!next.host.is_empty() && matches!(next.scheme.as_str(), "http" | "https")).then_some(next);
    }
    if !next.host.is_empty() {
        return Some(Url { scheme: base.scheme.clone(), ..next });
    }
    let path = if next.path.starts_with('/') {
        next.path
    } else {
        let folder = base.path.rfind('/').map_or("", |place| &base.path[..place]);
        format!("{folder}/{}", next.path)
    };
    Some(Url { path, query: next.query, fragment: None, ..base.clone() })
}

fn encoded_path(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { encoded_path_only(path) }
}

/// Encodes what may not stand in a request line; what is encoded already stays. `!` is encoded as go does.
fn encoded_path_only(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~$&'()*+,;=:@/?%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let base = Url::parse("https://a.example.com:8443/go/x/@v/list").unwrap();
        for (location, expected) in [
            ("https://b.example.com/y", Some("https://b.example.com/y")),
            ("/y", Some("https://a.example.com:8443/y")),
            ("y", Some("https://a.example.com:8443/go/x/@v/y")),
            ("//b.example.com/y", Some("https://b.example.com/y")),
            ("ftp://b.example.com/y", None),
            ("http://[", None),
        ] {
            let found = joined(&base, location).map(|url| url.to_string());
            assert_eq!(found.as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn paths_are_encoded_as_go_does() {
        assert_eq!(
            encoded_path("/github.com/!azure/x/@v/v1.0.0+incompatible.zip"),
            "/github.com/%21azure/x/@v/v1.0.0+incompatible.zip"
        );
        assert_eq!(encoded_path("/a b%20c\r\nX: y"), "/a%20b%20c%0D%0AX:%20y");
        assert_eq!(encoded_path(""), "/");
    }
}
