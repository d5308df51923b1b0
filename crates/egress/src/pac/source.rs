//! Where a script is from: a file, a URL, or whoever is called `wpad` on this network.
//!
//! Scripts are fetched directly, without a proxy and without redirects, and are at most [`LARGEST`] bytes. WPAD is asked by DNS alone:
//! first in the domains of this machine, and in those above them that still have three labels, so that nobody outside is asked
//! (`wpad.co.uk`); DHCP is not built.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;

use crate::connect::{self, Progress};
use crate::resolve::Resolver;
use crate::{Destination, Host, Http2, Origin, Roots, Stream};

/// The largest script, in bytes.
const LARGEST: usize = 1024 * 1024;
/// For fetching a script, all of it.
const LIMIT: Duration = Duration::from_secs(4);
/// Places that WPAD is looked for.
const WPAD_PLACES: usize = 6;
/// What a Windows machine says that it takes.
const TYPE: &str = "application/x-ns-proxy-autoconfig, */*";

/// Where a script is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    Url(Arc<str>),
    Wpad,
}

/// By what it is seen that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    changed: SystemTime,
    length: u64,
}

/// A script that was had.
pub(super) struct Got {
    pub(super) text: String,
    /// Of a file.
    pub(super) stamp: Option<Stamp>,
}

impl Source {
    /// As the document has it.
    pub(super) fn parse(url: &Arc<str>) -> Self {
        if &**url == "wpad" {
            return Self::Wpad;
        }
        match url.strip_prefix("file://") {
            // A host, which is this one: `file://localhost/etc/proxy.pac`.
            Some(path) => Self::File(unescaped(&path[path.find('/').unwrap_or(path.len())..])),
            None => Self::Url(url.clone()),
        }
    }

    /// Reads the script.
    ///
    /// # Errors
    /// Why it cannot be had, in words.
    pub(super) async fn get(&self, roots: &Roots, resolver: &Resolver) -> Result<Got, String> {
        let of_url = |bytes: Vec<u8>| Got { text: text(&bytes), stamp: None };
        match self {
            Self::File(path) => {
                let path = path.clone();
                blocking(move || read(&path)).await
            }
            Self::Url(url) => fetch(url, roots, resolver).await.map(of_url),
            Self::Wpad => {
                let domains = blocking(|| {
                    let sample = tradewind_host::network::system().and_then(|sampler| sampler.sample());
                    Ok(sample.map(|sample| sample.dns_suffix).unwrap_or_default())
                });
                let mut why = String::new();
                for host in wpad_hosts(&domains.await.unwrap_or_default()) {
                    match fetch(&format!("http://{host}/wpad.dat"), roots, resolver).await {
                        Ok(bytes) => return Ok(of_url(bytes)),
                        Err(reason) => why = reason,
                    }
                }
                Err(why)
            }
        }
    }

    /// Of a file, by what it is seen that it has changed.
    pub(super) async fn stamp(&self) -> Option<Stamp> {
        let Self::File(path) = self else { return None };
        let path = path.clone();
        let stamp = blocking(move || path.metadata().map_err(|error| error.to_string()).and_then(|of| stamp(&of)));
        stamp.await.ok()
    }
}

/// The URL of the document; `WPAD` for what the network says.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file://{}", path.display()),
            Self::Url(url) => f.write_str(url),
            Self::Wpad => f.write_str("of WPAD (http://wpad/wpad.dat)"),
        }
    }
}

/// Calls of the file system that may be under way at once: one that hangs keeps its thread.
static CALLS: Semaphore = Semaphore::const_new(8);

async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let whole = async {
        let permit = CALLS.acquire().await.map_err(|_| "the gateway is stopping")?;
        let called = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            call()
        });
        called.await.unwrap_or_else(|_| Err("reading it broke off".to_owned()))
    };
    tokio::time::timeout(LIMIT, whole).await.unwrap_or_else(|_| Err("the file system does not answer".to_owned()))
}

/// Reads a file, which may be on a disk of the network.
fn read(path: &Path) -> Result<Got, String> {
    let of = path.metadata().map_err(|error| error.to_string())?;
    if !of.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > LARGEST {
        return Err(too_large());
    }
    Ok(Got { text: text(&bytes), stamp: stamp(&of).ok() })
}

fn stamp(of: &std::fs::Metadata) -> Result<Stamp, String> {
    let changed = of.modified().map_err(|error| error.to_string())?;
    Ok(Stamp { changed, length: of.len() })
}

fn too_large() -> String {
    format!("it has more than {} KiB", LARGEST / 1024)
}

/// Scripts say nothing of their character set: what is not UTF-8 is Latin-1.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// The path of a `file:` URL, its `%20` and the like undone.
fn unescaped(path: &str) -> PathBuf {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|_| *first == b'%').and_then(|digits| str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &behind[2..];
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    PathBuf::from(String::from_utf8_lossy(&out).into_owned())
}

/// Who is asked for WPAD.
fn wpad_hosts(domains: &[String]) -> Vec<String> {
    let mut hosts = Vec::new();
    for domain in domains {
        let mut above = Some(domain.as_str());
        let mut is_own = true;
        while let Some(name) = above {
            let labels = name.split('.').count();
            if labels >= 3 || (is_own && labels == 2) {
                let host = format!("wpad.{name}");
                if !hosts.contains(&host) {
                    hosts.push(host);
                }
            }
            is_own = false;
            above = name.split_once('.').map(|(_, rest)| rest);
        }
    }
    hosts.truncate(WPAD_PLACES - 1);
    hosts.push("wpad".to_owned());
    hosts
}

/// Gets a URL, directly.
async fn fetch(url: &str, roots: &Roots, resolver: &Resolver) -> Result<Vec<u8>, String> {
    let within = tradewind_core::format_duration(LIMIT);
    let fetched = tokio::time::timeout(LIMIT, fetch_slowly(url, roots, resolver)).await;
    fetched.unwrap_or_else(|_| Err(format!("{url} was not there within {within}")))
}

async fn fetch_slowly(url: &str, roots: &Roots, resolver: &Resolver) -> Result<Vec<u8>, String> {
    let origin = Origin::parse(url).map_err(|error| error.to_string())?;
    let uri: Uri = url.parse().map_err(|_| format!("{url} is not a URL"))?;
    let to = Destination { host: Host::parse(&origin.host), port: origin.port };
    let progress = Progress::new();
    let said = |fault: tradewind_core::Fault| fault.detail.into_owned();
    let mut stream = Stream::Plain(connect::tcp(&to, resolver, &progress, None).await.map_err(said)?);
    if origin.tls {
        let config = roots.client(Http2::Never);
        stream = connect::tls(stream, &origin.host, &config, &origin).await.map_err(said)?;
    }
    let broken = |error: hyper::Error| format!("{origin} broke off ({error})");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, origin.host_header())
        .header(ACCEPT, TYPE)
        .header(USER_AGENT, concat!("tradewind/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|_| format!("{url} cannot be asked for"))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status() != http::StatusCode::OK {
            return Err(format!("{url} answered with the status {}", response.status().as_u16()));
        }
        match Limited::new(response.into_body(), LARGEST).collect().await {
            Ok(body) => Ok(body.to_bytes().to_vec()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Err(error) => Err(format!("{origin} broke off ({error})")),
        }
    };
    // The connection is driven for as long as the answer is read.
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            got = &mut exchange => return got,
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_a_script_is() {
        for (url, source) in [
            ("wpad", Source::Wpad),
            ("file:///etc/proxy.pac", Source::File("/etc/proxy.pac".into())),
            ("file:///home/a%20b/%70roxy.pac", Source::File("/home/a b/proxy.pac".into())),
            ("file://localhost/x%zz%", Source::File("/x%zz%".into())),
            ("http://pac.example/p.pac", Source::Url("http://pac.example/p.pac".into())),
        ] {
            assert_eq!(Source::parse(&url.into()), source, "{url}");
        }
    }

    #[test]
    fn wpad_is_asked_of_nobody_outside() {
        let hosts =
            |domains: &[&str]| wpad_hosts(&domains.iter().map(ToString::to_string).collect::<Vec<_>>()).join(" ");
        assert_eq!(hosts(&[]), "wpad");
        assert_eq!(hosts(&["corp.co.uk"]), "wpad.corp.co.uk wpad");
        assert_eq!(hosts(&["example.com"]), "wpad.example.com wpad");
        assert_eq!(
            hosts(&["a.b.corp.example.com"]),
            "wpad.a.b.corp.example.com wpad.b.corp.example.com wpad.corp.example.com wpad"
        );
        assert_eq!(hosts(&["corp.example.com", "corp.example.com"]), "wpad.corp.example.com wpad");
        assert_eq!(hosts(&["local", "com"]), "wpad", "nothing is added to a single label");
        assert_eq!(hosts(&["a.b.c.d.e.f.g.h.i.j.k"]).split(' ').count(), WPAD_PLACES);
    }

    #[test]
    fn character_sets_are_guessed() {
        assert_eq!(text(b"\xef\xbb\xbfvar a"), "var a");
        assert_eq!(text("Grüße".as_bytes()), "Grüße");
        assert_eq!(text(b"Gr\xfc\xdfe"), "Grüße");
    }
}
