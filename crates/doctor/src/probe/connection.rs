//! A connection to where a request is sent: by the way that go would take, piece by piece.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tradewind_core::UnixMillis;

use super::http::{self, NoAnswer, Patience};
use super::lookup;
use super::noting::Stream;
use super::roots::Roots;
use super::tcp::{self, Attempt};
use super::tls::{self, Distrust};
use super::trouble::{Untrusted, What, Whose};
use crate::settings::Way;
use crate::{Limits, Url, World};

/// The most of an answer to CONNECT that is read, in bytes: enough for the page of a proxy.
const MOST_OF_CONNECT: usize = 64 << 10;

/// A way that is open.
pub(crate) struct Connection {
    /// What is written to and read from.
    pub(crate) stream: Box<dyn Stream>,
    /// What came of the addresses of the host that was connected to, the HTTP proxy's where there is one.
    pub(crate) attempts: Vec<Attempt>,
    /// The target's chain, for https.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// Whether requests go to an HTTP proxy as they are, which needs the whole URL in them, and its login.
    pub(crate) through: Option<Url>,
}

/// Opens `way` to `target`.
///
/// # Errors
/// The first piece that does not work.
pub(crate) async fn open(world: &World, roots: &Roots, target: &Url, way: &Way) -> Result<Connection, What> {
    let limits = &world.limits;
    let (mut stream, attempts, mut through) = match way {
        Way::Refused => return Err(What::ProxyRefused),
        Way::Direct(_) => {
            let (stream, attempts) = dial(limits, target, Whose::Target).await?;
            (stream, attempts, None)
        }
        Way::Proxy(proxy) => {
            let (stream, attempts) = dial(limits, proxy, Whose::Proxy).await?;
            (stream, attempts, Some(proxy.clone()))
        }
    };
    let mut address = attempts.iter().find(|attempt| attempt.error.is_none()).map(|attempt| attempt.address);
    if let Some(proxy) = &through {
        if proxy.scheme == "https" {
            (stream, _) = secure(world, roots, stream, proxy, Whose::Proxy, address).await?;
        }
        address = None;
        if proxy.scheme.starts_with("socks5") {
            let asked = tokio::time::timeout(limits.first_byte, socks5(&mut stream, proxy, target)).await;
            asked.unwrap_or(Err(NoAnswer::Silent(limits.first_byte))).map_err(What::ConnectBroken)?;
            through = None;
        } else if target.scheme == "https" {
            connect(&mut *stream, limits, proxy, target).await?;
            through = None;
        }
    }
    let mut chain = Vec::new();
    if target.scheme == "https" {
        (stream, chain) = secure(world, roots, stream, target, Whose::Target, address).await?;
    }
    Ok(Connection { stream, attempts, chain, through })
}

type Dialled = (Box<dyn Stream>, Vec<Attempt>);

async fn dial(limits: &Limits, url: &Url, whose: Whose) -> Result<Dialled, What> {
    let port = url.port_or_default().unwrap_or(80);
    let found = lookup::addresses(&url.host, port, limits.lookup).await;
    let mut addresses = found.map_err(|error| What::NoHost(whose, error))?;
    addresses.truncate(limits.most_tried);
    let connected = tcp::connect(&addresses, limits.connect).await;
    let (stream, attempts) = connected.map_err(|attempts| What::NoConnection(whose, attempts))?;
    Ok((Box::new(stream), attempts))
}

type Secured = (Box<dyn Stream>, Vec<CertificateDer<'static>>);

/// TLS with a chain that go would trust.
async fn secure(
    world: &World,
    roots: &Roots,
    stream: Box<dyn Stream>,
    url: &Url,
    whose: Whose,
    address: Option<SocketAddr>,
) -> Result<Secured, What> {
    let shaken = tls::handshake(stream, &url.host, world.limits.handshake).await;
    let mut shaken = shaken.map_err(|error| What::NoTls(whose, error, address))?;
    match tls::judge(&shaken.chain, &url.host, roots, world.clock.wall()) {
        Ok(()) => Ok((Box::new(shaken.stream), shaken.chain)),
        Err(why) => {
            let server_time = match why {
                Distrust::Expired | Distrust::NotYetValid => time_of(&mut shaken.stream, &world.limits, url).await,
                _ => None,
            };
            Err(What::Distrusted(whose, Untrusted { chain: shaken.chain, why, server_time }))
        }
    }
}

/// The time by the server's clock. Nothing but the host's name is told to a server that is not trusted.
async fn time_of<S: Stream>(stream: &mut S, limits: &Limits, url: &Url) -> Option<UnixMillis> {
    let head = format!("HEAD / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host_header(url));
    let patience = Patience { first_byte: limits.first_byte, body: limits.handshake, most_bytes: 0 };
    let answer = http::ask(stream, &head, &patience, true).await.ok()?;
    time_in(answer.header("date")?)
}

/// A `Date` header as time.
pub(crate) fn time_in(date: &str) -> Option<UnixMillis> {
    let since = httpdate::parse_http_date(date).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(UnixMillis(u64::try_from(since.as_millis()).ok()?))
}

async fn connect(stream: &mut dyn Stream, limits: &Limits, proxy: &Url, target: &Url) -> Result<(), What> {
    let to = target.host_and_port();
    let login = login_of(proxy).map_or_else(String::new, |login| format!("Proxy-Authorization: {login}\r\n"));
    let head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: Go-http-client/1.1\r\n{login}\r\n");
    let patience = Patience { first_byte: limits.first_byte, body: limits.handshake, most_bytes: MOST_OF_CONNECT };
    let answer = http::ask(stream, &head, &patience, true).await.map_err(What::ConnectBroken)?;
    if (200..300).contains(&answer.status) { Ok(()) } else { Err(What::ConnectRefused(Box::new(answer))) }
}

/// The value of a header that logs in as the URL says.
pub(crate) fn login_of(url: &Url) -> Option<String> {
    let user = url.user.as_ref()?;
    let password = user.password.as_ref().map_or("", |password| password.expose().as_str());
    Some(basic(&user.name, password))
}

/// The value of a header that logs in with Basic.
pub(crate) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// The value of `Host`: with the port only when it is not the usual one.
pub(crate) fn host_header(url: &Url) -> String {
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    url.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

/// SOCKS5 (RFC 1928) with a name, and with a password where the proxy wants one (RFC 1929).
async fn socks5(stream: &mut dyn Stream, proxy: &Url, target: &Url) -> Result<(), NoAnswer> {
    let io = |error: std::io::Error| NoAnswer::Other(error.to_string());
    let said = |words: &str| NoAnswer::Other(words.to_owned());
    let methods: &[u8] = if proxy.user.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(methods).await.map_err(io)?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await.map_err(io)?;
    match (answer, &proxy.user) {
        ([5, 0], _) => {}
        ([5, 2], Some(user)) => {
            let password = user.password.as_ref().map_or("", |password| password.expose().as_str());
            let mut login = vec![1];
            for part in [user.name.as_str(), password] {
                login.push(u8::try_from(part.len()).map_err(|_| said("its login is too long for SOCKS5"))?);
                login.extend_from_slice(part.as_bytes());
            }
            stream.write_all(&login).await.map_err(io)?;
            stream.read_exact(&mut answer).await.map_err(io)?;
            if answer[1] != 0 {
                return Err(said("the SOCKS5 proxy does not take the login"));
            }
        }
        ([5, _], _) => return Err(said("the SOCKS5 proxy wants a login that go does not have")),
        (other, _) => return Err(NoAnswer::NotHttp(other.to_vec())),
    }
    let mut request = vec![5, 1, 0, 3];
    request.push(u8::try_from(target.host.len()).map_err(|_| said("the host is too long for SOCKS5"))?);
    request.extend_from_slice(target.host.as_bytes());
    request.extend_from_slice(&target.port_or_default().unwrap_or(80).to_be_bytes());
    stream.write_all(&request).await.map_err(io)?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.map_err(io)?;
    if head[1] != 0 {
        return Err(said(&format!("the SOCKS5 proxy cannot connect: code {}", head[1])));
    }
    let rest = match head[3] {
        1 => 6,
        4 => 18,
        _ => usize::from(stream.read_u8().await.map_err(io)?) + 2,
    };
    let mut bound = vec![0; rest];
    stream.read_exact(&mut bound).await.map_err(io)?;
    Ok(())
}
