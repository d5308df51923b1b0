//! Name servers of the document, over UDP, TCP, TLS (RFC 7858) and HTTPS (RFC 8484). All are asked at once; the first that
//! knows addresses is believed.
//!
//! hickory-resolver speaks to them; its cache is off, since ours has the bounds.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use http::Uri;
use tokio::sync::OnceCell;
use tradewind_policy::ways::Nameserver;

use super::FOUND_FOR;
use crate::tls::Verified;
use crate::{Host, Roots};

/// More servers than this are not asked.
const ASKED: usize = 8;
/// For one try at one server.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Addresses, and for how long they may be kept; or why there are none.
type Answer = Result<(Vec<IpAddr>, Duration), String>;
type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Servers that are asked for the same names.
#[derive(Default)]
pub(super) struct Servers(Vec<Server>);

struct Server {
    spec: Nameserver,
    /// For the server's own name.
    default_servers: Vec<Nameserver>,
    roots: Roots,
    /// Made when it is first asked.
    made: OnceCell<TokioResolver>,
}

impl Servers {
    pub(super) fn new(list: &[Nameserver], default_servers: &[Nameserver], roots: &Roots) -> Self {
        // A default server with a name would need itself.
        let addresses = default_servers.iter().filter(|server| matches!(address(server), Some(Host::Ip(_))));
        let default_servers: Vec<Nameserver> = addresses.take(ASKED).cloned().collect();
        let server = |spec: &Nameserver| Server {
            spec: spec.clone(),
            default_servers: default_servers.clone(),
            roots: roots.clone(),
            made: OnceCell::new(),
        };
        Self(list.iter().take(ASKED).map(server).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Asks all of them; the first that knows addresses is believed.
    pub(super) async fn ask(&self, name: &str) -> Answer {
        let mut asking: Vec<Asking<'_>> =
            self.0.iter().map(|server| -> Asking<'_> { Box::pin(server.ask(name)) }).collect();
        let mut why = Vec::new();
        poll_fn(|context| {
            let mut index = 0;
            while index < asking.len() {
                match asking[index].as_mut().poll(context) {
                    Poll::Pending => index += 1,
                    Poll::Ready(Ok(found)) => return Poll::Ready(Ok(found)),
                    Poll::Ready(Err(error)) => {
                        why.push(error);
                        drop(asking.swap_remove(index));
                    }
                }
            }
            if asking.is_empty() { Poll::Ready(Err(std::mem::take(&mut why).join("; "))) } else { Poll::Pending }
        })
        .await
    }
}

impl Server {
    async fn ask(&self, name: &str) -> Answer {
        if self.spec == Nameserver::System {
            return ask_system(name).await.map(|addresses| (addresses, FOUND_FOR));
        }
        let shown = shown(&self.spec);
        let resolver = self.made.get_or_try_init(|| self.make()).await.map_err(|why| format!("{shown}: {why}"))?;
        // Whole names only: nothing is added to what was asked for.
        let found = resolver.lookup_ip(format!("{name}.")).await.map_err(|error| format!("{shown}: {error}"))?;
        let records = found.as_lookup().answers();
        let keep = records.iter().map(|record| record.ttl).min().unwrap_or(0);
        let addresses: Vec<IpAddr> = found.iter().collect();
        if addresses.is_empty() {
            return Err(format!("{shown}: it has no address"));
        }
        Ok((addresses, Duration::from_secs(keep.into())))
    }

    async fn make(&self) -> Result<TokioResolver, String> {
        let host = address(&self.spec).ok_or("it is not a server")?;
        let addresses = match &host {
            Host::Ip(address) => vec![*address],
            Host::Name(name) => self.own_addresses(name).await?,
        };
        let name: Arc<str> = host.to_string().into();
        let connections = match &self.spec {
            Nameserver::System => Vec::new(),
            // What does not fit into a datagram is asked for again over TCP.
            Nameserver::Udp(_, port) => vec![on(ConnectionConfig::udp(), *port), on(ConnectionConfig::tcp(), *port)],
            Nameserver::Tcp(_, port) => vec![on(ConnectionConfig::tcp(), *port)],
            Nameserver::Tls(_, port) => vec![on(ConnectionConfig::tls(name), *port)],
            Nameserver::Https(url) => {
                let url: Uri = url.parse().map_err(|_| format!("`{url}` is not a URL"))?;
                let path = Some(url.path()).filter(|path| *path != "/").map(Arc::from);
                vec![on(ConnectionConfig::https(name, path), url.port_u16().unwrap_or(443))]
            }
        };
        let servers = addresses.into_iter().map(|address| NameServerConfig::new(address, true, connections.clone()));
        make(servers.collect(), &self.roots, matches!(self.spec, Nameserver::Tls(..) | Nameserver::Https(_)))
    }

    /// The addresses of the server itself.
    async fn own_addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        if self.default_servers.is_empty() {
            return ask_system(name).await;
        }
        let mut why = String::new();
        for server in &self.default_servers {
            let Some(Host::Ip(address)) = address(server) else { continue };
            let port = match server {
                Nameserver::Udp(_, port) | Nameserver::Tcp(_, port) => *port,
                _ => 53,
            };
            let connections = vec![on(ConnectionConfig::udp(), port), on(ConnectionConfig::tcp(), port)];
            let resolver = make(vec![NameServerConfig::new(address, true, connections)], &self.roots, false)?;
            match resolver.lookup_ip(format!("{name}.")).await {
                Ok(found) => return Ok(found.iter().collect()),
                Err(error) => why = format!("its name is not known to {}: {error}", shown(server)),
            }
        }
        Err(why)
    }
}

fn make(servers: Vec<NameServerConfig>, roots: &Roots, tls: bool) -> Result<TokioResolver, String> {
    let mut options = ResolverOpts::default();
    options.cache_size = 0;
    // The system's file goes before, as in mihomo; it is read when a server is first asked.
    options.use_hosts_file = ResolveHosts::Always;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.timeout = TIMEOUT;
    options.attempts = 1;
    options.num_concurrent_reqs = servers.len();
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
    let trusted = if tls { roots.clone() } else { Roots::none() };
    builder = builder.with_tls_config(trusted.config(Verified::Yes));
    builder.build().map_err(|error| error.to_string())
}

fn on(mut connection: ConnectionConfig, port: u16) -> ConnectionConfig {
    connection.port = port;
    connection
}

/// Where a server is; `None` for the system.
fn address(server: &Nameserver) -> Option<Host> {
    match server {
        Nameserver::System => None,
        Nameserver::Udp(host, _) | Nameserver::Tcp(host, _) | Nameserver::Tls(host, _) => Some(Host::parse(host)),
        Nameserver::Https(url) => Some(Host::parse(url.parse::<Uri>().ok()?.host()?)),
    }
}

fn shown(server: &Nameserver) -> String {
    match server {
        Nameserver::System => "the system".to_owned(),
        Nameserver::Udp(host, port) => format!("udp://{host}:{port}"),
        Nameserver::Tcp(host, port) => format!("tcp://{host}:{port}"),
        Nameserver::Tls(host, port) => format!("tls://{host}:{port}"),
        Nameserver::Https(url) => url.to_string(),
    }
}

/// The system's resolver.
pub(super) async fn ask_system(name: &str) -> Result<Vec<IpAddr>, String> {
    match tokio::net::lookup_host((name, 0)).await {
        Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
        // What the system says about it is no more than that.
        Err(_) => Err(String::new()),
    }
}
