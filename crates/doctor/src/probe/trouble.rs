//! What goes wrong on the way to an answer, at which piece of the way.

use std::net::SocketAddr;

use rustls_pki_types::CertificateDer;
use tradewind_core::UnixMillis;

use super::http::{NoAnswer, Response};
use super::lookup::NotFound;
use super::tcp::Attempt;
use super::tls::{Distrust, NoTls};
use crate::Url;
use crate::settings::Way;

/// Why there is no answer to a request.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// What was asked first.
    pub(crate) first: Url,
    /// What was asked when it went wrong: another one after redirects.
    pub(crate) url: Url,
    /// The way there.
    pub(crate) way: Way,
    /// What went wrong.
    pub(crate) what: What,
}

/// Whose piece of the way it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The host that was asked.
    Target,
    /// The HTTP proxy in between.
    Proxy,
}

/// A piece of the way that does not work.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Go refuses HTTP_PROXY where REQUEST_METHOD is set.
    ProxyRefused,
    /// The host has no addresses.
    NoHost(Whose, NotFound),
    /// No address takes a connection.
    NoConnection(Whose, Vec<Attempt>),
    /// No TLS comes about.
    NoTls(Whose, NoTls, Option<SocketAddr>),
    /// TLS comes about, and go would not trust the chain.
    Distrusted(Whose, Untrusted),
    /// The HTTP proxy answers CONNECT, and not with 2xx.
    ConnectRefused(Box<Response>),
    /// The HTTP proxy does not answer CONNECT, or a SOCKS proxy does not do what it is asked.
    ConnectBroken(NoAnswer),
    /// No answer comes.
    NoAnswer(NoAnswer),
    /// From https to http.
    InsecureRedirect(Url),
    /// More than ten.
    TooManyRedirects(Vec<Url>),
    /// A redirect that leads nowhere; its Location.
    BadRedirect(String),
}

/// A chain that go would not trust.
#[derive(Clone, Debug)]
pub(crate) struct Untrusted {
    /// As the server showed it, its own certificate first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// Why not.
    pub(crate) why: Distrust,
    /// The time by the server's own clock, where a wrong clock could be the reason.
    pub(crate) server_time: Option<UnixMillis>,
}

impl What {
    /// Whose piece of the way it is.
    pub(crate) fn whose(&self) -> Whose {
        match self {
            Self::NoHost(whose, _)
            | Self::NoConnection(whose, _)
            | Self::NoTls(whose, ..)
            | Self::Distrusted(whose, _) => *whose,
            Self::ConnectBroken(_) => Whose::Proxy,
            _ => Whose::Target,
        }
    }
}

impl Trouble {
    /// The pieces of this way that come after the one that went wrong, and so were not looked at.
    pub(crate) fn left_out(&self) -> Vec<&'static str> {
        let all = [
            ("connection", 1, true),
            ("HTTP proxy", 2, matches!(self.way, Way::Proxy(_))),
            ("TLS", 3, self.url.scheme == "https"),
            ("answer", 4, true),
        ];
        let broken = match &self.what {
            What::NoHost(..) => 0,
            What::NoConnection(..) => 1,
            What::ProxyRefused | What::ConnectRefused(_) | What::ConnectBroken(_) => 2,
            What::NoTls(Whose::Proxy, ..) | What::Distrusted(Whose::Proxy, _) => 2,
            What::NoTls(..) | What::Distrusted(..) => 3,
            _ => 4,
        };
        let left = all.into_iter().filter(|(_, place, is_there)| *is_there && *place > broken);
        left.map(|(name, ..)| name).collect()
    }

    /// The host whose piece of the way it is.
    pub(crate) fn host(&self) -> &str {
        match (&self.way, self.what.whose()) {
            (Way::Proxy(proxy), Whose::Proxy) => &proxy.host,
            _ => &self.url.host,
        }
    }
}
