//! A SOCKS5 proxy: RFC 1928 with the login of RFC 1929. Names are sent unresolved, and exactly what belongs to the handshake
//! is read, so that what follows is the tunnel's.

mod datagrams;
mod wire;

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tradewind_core::{Fault, FaultKind};
use tradewind_policy::ways::SocksProxy;

use self::wire::{Command, Login, Method};
use super::{Outbound, OutboundError, ProxyTls, sendable};
use crate::datagrams::Datagrams;
use crate::dialing::Way;
use crate::{Destination, Host, Roots, Stream};

pub(crate) use self::datagrams::Association;
pub(crate) use self::wire::{Parsed, parse_address, write_address};
pub use self::wire::{SocksOutline, outline_socks};

/// A proxy of the type `socks5`.
pub(super) struct Socks5 {
    server: Destination,
    tls: Option<ProxyTls>,
    login: Option<Login>,
}

impl Socks5 {
    pub(super) fn new(name: &Arc<str>, spec: &SocksProxy, roots: &Roots) -> Result<Self, OutboundError> {
        let tls = match spec.tls {
            false => None,
            true => Some(ProxyTls::new(name, &spec.server, spec.sni.as_ref(), spec.skip_cert_verify, roots, None)?),
        };
        let login = match &spec.username {
            None => None,
            Some(user) => {
                let password = spec.password.as_ref().map_or("", |password| password.expose().as_str());
                let login = Login::new(user, password);
                Some(login.ok_or_else(|| {
                    OutboundError::Credentials(
                        name.clone(),
                        "SOCKS5 takes 1 to 255 bytes for the name and at most 255 for the password",
                    )
                })?)
            }
        };
        Ok(Self { server: Destination::new(&spec.server, spec.port), tls, login })
    }

    pub(super) const fn server(&self) -> &Destination {
        &self.server
    }

    /// Opens a tunnel to `to`.
    pub(super) async fn connect(&self, own: &Outbound, to: &Destination, way: Way<'_>) -> Result<Stream, Fault> {
        sendable(to)?;
        let mut stream = own.reach(&self.server, self.tls.as_ref(), way).await?;
        self.shake_hands(&mut stream, own, way).await?;
        way.progress.at(FaultKind::ProxyFailed, Some(own.label()), "it did not say whether it could connect");
        self.ask(&mut stream, Command::Connect, to, own).await?;
        Ok(stream)
    }

    /// Opens an association for datagrams; it lasts as long as the stream that it was asked for on.
    pub(super) async fn datagrams(&self, own: &Outbound, way: Way<'_>) -> Result<Datagrams, Fault> {
        let mut stream = own.reach(&self.server, self.tls.as_ref(), way).await?;
        self.shake_hands(&mut stream, own, way).await?;
        way.progress.at(FaultKind::ProxyFailed, Some(own.label()), "it did not say where datagrams may be sent");
        // RFC 1928 §7: zeros, as our address is not known behind a chain or an address translation.
        let nowhere = Destination { host: Host::Ip(std::net::Ipv4Addr::UNSPECIFIED.into()), port: 0 };
        let mut relay = self.ask(&mut stream, Command::Associate, &nowhere, own).await?;
        // A proxy that names no address of its own means the one at which it was asked.
        if relay.host.ip().is_some_and(|address| address.is_unspecified()) {
            relay.host = self.server.host.clone();
        }
        let carrier = own.carrier(&relay, way).await?;
        Ok(Datagrams::socks(Association::new(stream, carrier, own.label().clone())))
    }

    /// Agrees on a method, and logs in with it.
    async fn shake_hands(&self, stream: &mut Stream, own: &Outbound, way: Way<'_>) -> Result<(), Fault> {
        way.progress.at(FaultKind::ProxyFailed, Some(own.label()), "it did not answer the SOCKS5 greeting");
        send(stream, wire::greeting(self.login.is_some()), own).await?;
        let method = receive(stream, wire::parse_method, own).await?;
        match (method, &self.login) {
            (Method::None, _) => Ok(()),
            (Method::Password, Some(login)) => {
                way.progress.at(FaultKind::ProxyFailed, Some(own.label()), "it did not answer the login");
                send(stream, login.request(), own).await?;
                match receive(stream, wire::parse_login, own).await? {
                    true => Ok(()),
                    false => Err(login_fault(own, "it does not accept user name and password")),
                }
            }
            (Method::Password, None) => Err(login_fault(own, "it chose a login that it was not offered")),
            (Method::Refused, Some(_)) => {
                Err(login_fault(own, "it takes neither user name with password nor no login"))
            }
            (Method::Refused, None) => Err(login_fault(own, "it wants a login and none is set")),
            (Method::Other(number), _) => {
                Err(broken(own, &format!("it chose the method {number}, which it was not offered")))
            }
        }
    }

    /// Sends a request; the address that the proxy names.
    async fn ask(
        &self,
        stream: &mut Stream,
        command: Command,
        to: &Destination,
        own: &Outbound,
    ) -> Result<Destination, Fault> {
        send(stream, &wire::request(command, to), own).await?;
        match receive(stream, wire::parse_reply, own).await? {
            Ok(bound) => Ok(bound),
            Err(code) => {
                let what = wire::reply_words(code);
                let asked = match command {
                    Command::Connect => format!("asked for {to}"),
                    Command::Associate => "asked to take datagrams".to_owned(),
                };
                let detail = format!("{}: {asked}, it says: {what} (reply {code})", own.label());
                Err(Fault::new(FaultKind::ProxyFailed, detail).before_sending())
            }
        }
    }
}

async fn send(stream: &mut Stream, bytes: &[u8], own: &Outbound) -> Result<(), Fault> {
    let sent = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    sent.await.map_err(|error| broken(own, &format!("it broke off ({error})")))
}

/// Reads exactly as much as `parse` wants.
async fn receive<T>(
    stream: &mut Stream,
    parse: fn(&[u8]) -> Result<Parsed<T>, &'static str>,
    own: &Outbound,
) -> Result<T, Fault> {
    let mut bytes = [0_u8; wire::LONGEST];
    let mut length = 0;
    loop {
        match parse(&bytes[..length]).map_err(|what| broken(own, what))? {
            Parsed::Done(value, _) => return Ok(value),
            Parsed::Need(total) => {
                let read = stream.read_exact(&mut bytes[length..total]).await;
                read.map_err(|error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => broken(own, "it closed the connection inside the handshake"),
                    _ => broken(own, &format!("it broke off ({error})")),
                })?;
                length = total;
            }
        }
    }
}

fn broken(own: &Outbound, what: &str) -> Fault {
    Fault::new(FaultKind::ProxyFailed, format!("{}: {what}", own.label())).before_sending()
}

fn login_fault(own: &Outbound, what: &str) -> Fault {
    Fault::new(FaultKind::ProxyLogin, format!("{}: {what}", own.label())).before_sending()
}
