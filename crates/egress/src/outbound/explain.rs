//! Which way a URL would leave, and why: without anybody being called but the source of a script and the resolver.

use std::sync::Arc;

use tradewind_core::Fault;

use super::{Kind, Outbound, not_built};
use crate::system::PickedWay;
use crate::{Destination, Dialing};

/// A way and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The proxy of the document, `DIRECT`, or `system`.
    pub via: Arc<str>,
    /// The hop that is used first: `DIRECT`, `PROXY proxy.example:8080`, `HTTPS …`, `SOCKS5 …`, `SS …`, `REJECT`.
    pub proxy: String,
    /// In words.
    pub why: String,
}

impl Outbound {
    /// How `to` would leave by this way; `tls` is whether the URL is an https one.
    ///
    /// # Errors
    /// The fault that a connection would have for the lack of a way: a script that cannot be had, a type that is not built.
    pub async fn explain(&self, to: &Destination, tls: bool, dialing: &Dialing) -> Result<Explained, Fault> {
        let (proxy, why) = match &self.kind {
            Kind::Pac(script) => {
                let said = script.find(to, tls, dialing).await?;
                // Never empty; the last resort is what is said of nothing.
                let first = said.steps.first().map_or_else(|| "DIRECT".to_owned(), ToString::to_string);
                let login = said.steps.first().and_then(|step| step.server()).and_then(|at| dialing.chooser.at(at));
                let why = match login {
                    Some(known) => {
                        format!("{}; this is `{}` of the document, whose login is used", said.why, known.name())
                    }
                    None => said.why,
                };
                (first, why)
            }
            Kind::System(system) => {
                let picked = system.pick(to, tls, dialing).await?;
                match picked.way {
                    PickedWay::One(way) => (way.hop()?, picked.why),
                    PickedWay::Script(script) => {
                        let said = script.find(to, tls, dialing).await?;
                        let first = said.steps.first().map_or_else(|| "DIRECT".to_owned(), ToString::to_string);
                        (first, format!("{}; {}", picked.why, said.why))
                    }
                }
            }
            Kind::Direct => (self.hop()?, "it goes without a proxy".to_owned()),
            Kind::Reject | Kind::RejectDrop => (self.hop()?, "it is refused".to_owned()),
            _ => {
                let why = match &self.dialer {
                    Some(dialer) => format!("the document says so, and that its server is reached through `{dialer}`"),
                    None => "the document says so".to_owned(),
                };
                (self.hop()?, why)
            }
        };
        Ok(Explained { via: self.name.clone(), proxy, why })
    }

    /// Itself as a hop.
    fn hop(&self) -> Result<String, Fault> {
        Ok(match &self.kind {
            Kind::Direct => "DIRECT".to_owned(),
            Kind::Reject => "REJECT".to_owned(),
            Kind::RejectDrop => "REJECT-DROP".to_owned(),
            Kind::Http(http) if http.is_tls() => format!("HTTPS {}", http.server()),
            Kind::Http(http) => format!("PROXY {}", http.server()),
            Kind::Socks5(socks) => format!("SOCKS5 {}", socks.server()),
            Kind::Shadowsocks(shadowsocks) => format!("SS {}", shadowsocks.server()),
            Kind::Pac(_) | Kind::System(_) => self.name.to_string(),
            Kind::NotBuilt(type_name) => return Err(not_built(&self.name, type_name)),
        })
    }
}
