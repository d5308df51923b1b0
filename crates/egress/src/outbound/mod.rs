//! A way out of this network: none, a proxy, a proxy behind another one, or a refusal.
//!
//! What is not built fails with its own code; nothing here ever goes direct in place of something else. Names are given to
//! proxies unresolved, and credentials to nobody but the proxy that they belong to.

mod answer;
mod explain;
mod http;
mod pac;
mod reject;
mod shadowsocks;
mod socks5;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::ClientConfig;
use tradewind_core::{Fault, FaultKind};
use tradewind_policy::ways::{Proxy, ProxyKind};

use self::http::Http;
use self::pac::Wanted;
use self::shadowsocks::Shadowsocks;
use self::socks5::Socks5;
use crate::connect::{self, Progress, bounded, on_the_way};
use crate::datagrams::{Carrier, Datagrams};
use crate::dialing::{Link, Way};
use crate::pac::Pac;
use crate::system::{self, System};
use crate::tls::Verified;
use crate::{Destination, Dialing, Host, Roots, Stream};

pub use self::answer::{ConnectOutline, outline_connect};
pub use self::explain::Explained;
pub use self::http::{HttpHop, ProxyHeaders};
pub(crate) use self::shadowsocks::Session;
pub use self::shadowsocks::{SecretError, StreamOutline, outline_stream};
pub(crate) use self::socks5::Association;
pub use self::socks5::{SocksOutline, outline_socks};

/// Ids begin here; 0 stands for no way at all.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Why a way out cannot be made of what the document says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// A name that no certificate can be for.
    #[error("proxy `{0}`: `{1}` is not a name that TLS can verify")]
    ServerName(Arc<str>, Arc<str>),
    /// A header of `headers`.
    #[error("proxy `{0}`: `{1}` cannot be sent as an HTTP header")]
    Header(Arc<str>, Arc<str>),
    /// A user name with a colon, or a user name or a password with a control character or of more than 255 bytes.
    #[error("proxy `{0}`: user name or password cannot be sent: {1}")]
    Credentials(Arc<str>, &'static str),
    /// Shadowsocks.
    #[error("proxy `{0}`: {1}")]
    Secret(Arc<str>, SecretError),
}

/// A way out.
pub struct Outbound {
    name: Arc<str>,
    /// The same in each message: "the proxy `corp` (proxy.example:8080)".
    label: Arc<str>,
    id: u64,
    kind: Kind,
    dialer: Option<Arc<str>>,
    udp: bool,
}

enum Kind {
    Direct,
    Reject,
    RejectDrop,
    Http(Box<Http>),
    Socks5(Box<Socks5>),
    Shadowsocks(Box<Shadowsocks>),
    Pac(Box<Pac>),
    System(Box<System>),
    /// mihomo's name of the type, `vmess`.
    NotBuilt(Arc<str>),
}

/// TLS to a proxy itself.
struct ProxyTls {
    config: Arc<ClientConfig>,
    name: Arc<str>,
}

impl ProxyTls {
    /// For `server`, or the name `sni` in its place; without `verified` any certificate will do.
    fn new(
        proxy: &Arc<str>,
        server: &Arc<str>,
        sni: Option<&Arc<str>>,
        skip_verify: bool,
        roots: &Roots,
        protocol: Option<&[u8]>,
    ) -> Result<Self, OutboundError> {
        let name = sni.unwrap_or(server);
        if rustls_pki_types::ServerName::try_from(&**name).is_err() {
            return Err(OutboundError::ServerName(proxy.clone(), name.clone()));
        }
        let verified = if skip_verify { Verified::No } else { Verified::Yes };
        Ok(Self { config: roots.proxy_client(protocol, verified), name: name.clone() })
    }
}

/// A future that a chain can hold of itself.
type Dialled<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

impl Outbound {
    /// A way out as the document has it. `roots` are trusted for TLS to the proxy itself.
    ///
    /// # Errors
    /// When it could never work: an [`OutboundError`] that names the proxy and the value.
    pub fn new(spec: &Proxy, roots: &Roots) -> Result<Self, OutboundError> {
        let (kind, server) = match &spec.kind {
            ProxyKind::Direct => (Kind::Direct, None),
            ProxyKind::Reject => (Kind::Reject, None),
            ProxyKind::RejectDrop => (Kind::RejectDrop, None),
            ProxyKind::NotBuilt(type_name) => (Kind::NotBuilt(type_name.clone()), None),
            ProxyKind::Http(http) => {
                let http = Http::new(&spec.name, http, roots)?;
                let server = http.server().clone();
                (Kind::Http(Box::new(http)), Some(server))
            }
            ProxyKind::Socks5(socks) => {
                let socks = Socks5::new(&spec.name, socks, roots)?;
                let server = socks.server().clone();
                (Kind::Socks5(Box::new(socks)), Some(server))
            }
            ProxyKind::Shadowsocks(shadowsocks) => {
                let shadowsocks = Shadowsocks::new(&spec.name, shadowsocks)?;
                let server = shadowsocks.server().clone();
                (Kind::Shadowsocks(Box::new(shadowsocks)), Some(server))
            }
            ProxyKind::Pac(pac) => (Kind::Pac(Box::new(Pac::new(pac, roots))), None),
        };
        let label = match server {
            None => format!("the proxy `{}`", spec.name),
            Some(server) => format!("the proxy `{}` ({server})", spec.name),
        };
        Ok(Self {
            name: spec.name.clone(),
            label: label.into(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            kind,
            dialer: spec.dialer.clone(),
            udp: spec.udp,
        })
    }

    /// The way that the system's proxy settings name, for `via: system`. `variable` reads the environment.
    #[must_use]
    pub fn system(variable: &dyn Fn(&str) -> Option<String>, roots: &Roots) -> Self {
        Self {
            name: system::NAME.into(),
            label: "the system's proxy settings".into(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            kind: Kind::System(Box::new(System::new(variable, roots))),
            dialer: None,
            udp: false,
        }
    }

    /// Forgets scripts, what they answered, and what the desktop said: the network is another one.
    pub fn network_changed(&self) {
        match &self.kind {
            Kind::Pac(script) => script.forget(),
            Kind::System(system) => system.forget(),
            _ => {}
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Unique in the process; another one after a reload.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The type as mihomo's API calls it: `Direct`, `Http`, `Socks5`, `Shadowsocks`, `Reject`, `RejectDrop`, our own `Pac`, and
    /// the name of what is not built with a capital letter.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match &self.kind {
            Kind::Direct => "Direct",
            Kind::Reject => "Reject",
            Kind::RejectDrop => "RejectDrop",
            Kind::Http(_) => "Http",
            Kind::Socks5(_) => "Socks5",
            Kind::Shadowsocks(_) => "Shadowsocks",
            Kind::Pac(_) => "Pac",
            Kind::System(_) => "System",
            Kind::NotBuilt(type_name) => not_built_name(type_name),
        }
    }

    /// Whether it can be used at all.
    #[must_use]
    pub const fn is_built(&self) -> bool {
        !matches!(self.kind, Kind::NotBuilt(_))
    }

    /// Whether it carries datagrams.
    #[must_use]
    pub const fn has_udp(&self) -> bool {
        match self.kind {
            Kind::Direct | Kind::Reject | Kind::RejectDrop => true,
            Kind::Socks5(_) | Kind::Shadowsocks(_) => self.udp,
            Kind::Http(_) | Kind::Pac(_) | Kind::System(_) | Kind::NotBuilt(_) => false,
        }
    }

    /// The proxy or group through which its server is reached.
    #[must_use]
    pub const fn dialer(&self) -> Option<&Arc<str>> {
        self.dialer.as_ref()
    }

    /// Where its server is.
    #[must_use]
    pub fn server(&self) -> Option<&Destination> {
        match &self.kind {
            Kind::Http(http) => Some(http.server()),
            Kind::Socks5(socks) => Some(socks.server()),
            Kind::Shadowsocks(shadowsocks) => Some(shadowsocks.server()),
            _ => None,
        }
    }

    /// Whether a connection may be used by the caller alone for whom it was opened: NTLM and Negotiate log in a connection,
    /// not a request. What a chain or a script leads through is known only when it is used, so they count as well.
    #[must_use]
    pub fn is_login_bound(&self) -> bool {
        self.dialer.is_some()
            || match &self.kind {
                Kind::Http(http) => http.is_login_bound(),
                Kind::Pac(_) | Kind::System(_) => true,
                _ => false,
            }
    }

    /// Opens a stream to `to` along this way.
    ///
    /// # Errors
    /// A [`Fault`] that says at which proxy and step it broke, also when `dialing.limit` is over; `never_sent` is set.
    pub async fn connect(&self, to: &Destination, dialing: &Dialing) -> Result<Stream, Fault> {
        let progress = Progress::new();
        let way = Way { dialing, progress: &progress, proxy: None, links: None };
        bounded(dialing.limit, to, &progress, self.dial(to, way)).await
    }

    /// Opens a way for a plain HTTP request to `to`: a stream to the origin, or one to an HTTP proxy, which is asked with the
    /// absolute form.
    ///
    /// # Errors
    /// Like [`Self::connect`].
    pub async fn connect_http(&self, to: &Destination, dialing: &Dialing) -> Result<HttpHop, Fault> {
        let progress = Progress::new();
        let way = Way { dialing, progress: &progress, proxy: None, links: None };
        bounded(dialing.limit, to, &progress, self.dial_http(to, way)).await
    }

    /// Opens a way for datagrams. It is closed when it is dropped.
    ///
    /// # Errors
    /// Like [`Self::connect`], and [`FaultKind::WayRejected`] where this way has none.
    pub async fn datagrams(&self, dialing: &Dialing) -> Result<Datagrams, Fault> {
        let progress = Progress::new();
        let way = Way { dialing, progress: &progress, proxy: None, links: None };
        bounded(dialing.limit, &self.label, &progress, self.dial_datagrams(way)).await
    }

    pub(crate) fn dial<'a>(&'a self, to: &'a Destination, way: Way<'a>) -> Dialled<'a, Stream> {
        Box::pin(async move {
            way.may_pass(self)?;
            match &self.kind {
                Kind::Direct if self.dialer.is_some() => self.reach(to, None, way).await,
                Kind::Direct => {
                    let socket = connect::direct(to, way).await?;
                    Ok(Stream::Plain(socket))
                }
                Kind::Reject => Err(reject::refused(&self.name, to)),
                Kind::RejectDrop => Err(reject::held(&self.name, to, way).await),
                Kind::Http(http) => http.tunnel(self, to, way).await,
                Kind::Socks5(socks) => socks.connect(self, to, way).await,
                Kind::Shadowsocks(shadowsocks) => shadowsocks.connect(self, to, way).await,
                Kind::Pac(script) => pac::connect(script, self, to, Wanted::Stream, way).await.map(pac::stream),
                Kind::System(system) => pac::follow(system, self, to, Wanted::Stream, way).await.map(pac::stream),
                Kind::NotBuilt(type_name) => Err(not_built(&self.name, type_name)),
            }
        })
    }

    pub(crate) fn dial_http<'a>(&'a self, to: &'a Destination, way: Way<'a>) -> Dialled<'a, HttpHop> {
        Box::pin(async move {
            match &self.kind {
                Kind::Http(http) => {
                    way.may_pass(self)?;
                    http.absolute(self, to, way).await
                }
                Kind::Pac(script) => {
                    way.may_pass(self)?;
                    pac::connect(script, self, to, Wanted::Http, way).await
                }
                Kind::System(system) => {
                    way.may_pass(self)?;
                    pac::follow(system, self, to, Wanted::Http, way).await
                }
                _ => self.dial(to, way).await.map(HttpHop::Origin),
            }
        })
    }

    fn dial_datagrams<'a>(&'a self, way: Way<'a>) -> Dialled<'a, Datagrams> {
        Box::pin(async move {
            way.may_pass(self)?;
            match &self.kind {
                Kind::Direct if self.dialer.is_some() => {
                    Err(reject::no_datagrams(&self.name, "it goes through another proxy, for connections alone"))
                }
                Kind::Direct => {
                    let forbid = way.dialing.forbid.filter(|_| way.proxy.is_none());
                    Datagrams::direct(way.dialing.resolver.clone(), forbid).await
                }
                Kind::Socks5(socks) if self.udp => socks.datagrams(self, way).await,
                Kind::Shadowsocks(shadowsocks) if self.udp => shadowsocks.datagrams(self, way).await,
                Kind::NotBuilt(type_name) => Err(not_built(&self.name, type_name)),
                Kind::Reject | Kind::RejectDrop => Err(reject::no_datagrams(&self.name, "which refuses everything")),
                Kind::Http(_) => Err(reject::no_datagrams(&self.name, "an HTTP proxy carries none")),
                Kind::Pac(_) => Err(reject::no_datagrams(&self.name, "a script says nothing about them")),
                Kind::System(_) => {
                    Err(reject::no_datagrams(&self.name, "the system's settings say nothing about them"))
                }
                Kind::Socks5(_) | Kind::Shadowsocks(_) => {
                    Err(reject::no_datagrams(&self.name, "it does not have `udp: true`"))
                }
            }
        })
    }

    /// Opens a stream to the server of this proxy: through its dialer, where it has one. TLS to the proxy is part of it.
    async fn reach(&self, server: &Destination, tls: Option<&ProxyTls>, way: Way<'_>) -> Result<Stream, Fault> {
        let stream = match &self.dialer {
            None => {
                let socket = connect::tcp(server, &way.dialing.resolver, way.progress, Some(&self.label)).await?;
                Stream::Plain(socket)
            }
            Some(dialer) => {
                let chosen = way.dialing.chooser.choose(dialer, server).map_err(Fault::before_sending)?;
                let link = Link { way: self, before: way.links };
                let way = Way { proxy: Some(&self.label), links: Some(&link), ..way };
                chosen.outbound.dial(server, way).await?
            }
        };
        let Some(tls) = tls else { return Ok(stream) };
        way.progress.at(FaultKind::ProxyUnreachable, Some(&self.label), "the TLS handshake did not end");
        let secured = connect::tls(stream, &tls.name, &tls.config, server).await;
        secured.map_err(|fault| on_the_way(fault, Some(&self.label)))
    }

    /// A way for datagrams to `server`, which belongs to this proxy: through its dialer, where it has one.
    async fn carrier(&self, server: &Destination, way: Way<'_>) -> Result<Carrier, Fault> {
        let Some(dialer) = &self.dialer else {
            way.progress.at(FaultKind::ProxyUnreachable, Some(&self.label), "the host name was not resolved");
            let carrier = Carrier::open(server, &way.dialing.resolver).await;
            return carrier.map_err(|fault| on_the_way(fault, Some(&self.label)));
        };
        let chosen = way.dialing.chooser.choose(dialer, server).map_err(Fault::before_sending)?;
        let link = Link { way: self, before: way.links };
        let way = Way { proxy: Some(&self.label), links: Some(&link), ..way };
        let datagrams = chosen.outbound.dial_datagrams(way).await?;
        Ok(Carrier::over(datagrams, server.clone()))
    }

    /// What messages call it.
    fn label(&self) -> &Arc<str> {
        &self.label
    }
}

/// The types that mihomo has and that are not built, as its API calls them.
fn not_built_name(type_name: &str) -> &str {
    const NAMES: [&str; 16] = [
        "ShadowsocksR",
        "Snell",
        "Vmess",
        "Vless",
        "Trojan",
        "Hysteria",
        "Hysteria2",
        "WireGuard",
        "Tuic",
        "Ssh",
        "Mieru",
        "AnyTLS",
        "Sudoku",
        "Masque",
        "Dns",
        "Relay",
    ];
    match type_name {
        "ssr" => "ShadowsocksR",
        _ => NAMES.into_iter().find(|name| name.eq_ignore_ascii_case(type_name)).unwrap_or(type_name),
    }
}

fn not_built(name: &str, type_name: &str) -> Fault {
    let detail = format!("`{name}` is of type {type_name}, which is not built: nothing is sent, also not directly");
    Fault::new(FaultKind::WayNotBuilt, detail).before_sending()
}

/// Whether the name can be put into a proxy's protocol: visible ASCII, at most 255 bytes, and none of what separates in a URL.
///
/// # Errors
/// When it cannot: such a name does not exist in DNS either.
fn sendable(to: &Destination) -> Result<(), Fault> {
    let Host::Name(name) = &to.host else { return Ok(()) };
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"/\\@?#[]:\"<>^`{|}%".contains(&byte);
    if !name.is_empty() && name.len() <= 255 && name.bytes().all(fits) {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Dns, format!("{:?} is no host name", shortened(name))).before_sending())
}

/// The beginning of something from outside, for a message.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(64);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
