//! Hosts that are not reached: names (1, 2), connections (3, 4), silence (5, 69), resets (11), and ports that speak something
//! else (12, 13).

use std::net::{IpAddr, SocketAddr};

use super::{Context, curl, hosts_file};
use crate::fixes::sudo;
use crate::probe::http::{self, Patience};
use crate::probe::lookup::{self, NotFound};
use crate::probe::tcp::{self, Attempt, NotConnected};
use crate::probe::tls::{self, NoTls};
use crate::probe::{Client, NoAnswer, Trouble, What, dns};
use crate::settings::{Setting, Way};
use crate::{Cause, Finding, Fix, Shell, System, Url, World, about, set_go};

/// Hosts that everybody knows to be public.
const PUBLIC: [&str; 10] = [
    "golang.org",
    "go.dev",
    "golang.google.cn",
    "googleapis.com",
    "goproxy.io",
    "goproxy.cn",
    "github.com",
    "gitlab.com",
    "bitbucket.org",
    "gopkg.in",
];

/// What it is called that the target is not reached.
pub(super) async fn finding(context: Context<'_>, trouble: &Trouble) -> Finding {
    match &trouble.what {
        What::NoHost(_, error) => no_host(context, trouble, error).await,
        What::NoConnection(_, attempts) => no_connection(context, trouble, attempts).await,
        What::NoTls(_, error, address) => no_tls(context, trouble, error, *address).await,
        What::NoAnswer(error) => no_answer(context, trouble, error).await,
        _ => Finding::new(Cause::Other, curl(&trouble.url), Fix::by_hand("look at the evidence")),
    }
}

/// The same for what may never answer: curl itself waits for minutes.
fn curl_with_limit(url: &Url) -> String {
    format!("curl -v -m 20 -o /dev/null {}", url.bare())
}

fn by_hand(cause: Cause) -> Fix {
    Fix::by_hand(about(cause).helps)
}

/// What each name server of this machine says.
async fn asked_servers(context: Context<'_>, host: &str) -> Vec<(IpAddr, dns::Said)> {
    let servers = dns::servers();
    let asked = servers.iter().map(|server| dns::ask(*server, host, context.world.limits.lookup));
    let said = futures_util::future::join_all(asked).await;
    servers.iter().copied().zip(said).collect()
}

async fn no_host(context: Context<'_>, trouble: &Trouble, error: &NotFound) -> Finding {
    let host = &trouble.url.host;
    let mut finding = Finding::new(Cause::HostNotFound, curl(&trouble.url), by_hand(Cause::HostNotFound))
        .seen(format!("the system finds no address of {host}: {error}"));
    for (server, said) in asked_servers(context, host).await {
        finding = finding.seen(format!("asked for {host}, the name server {server} says: {said}"));
    }
    finding
}

fn is_public(host: &str) -> bool {
    PUBLIC.iter().any(|own| host == *own || host.strip_suffix(own).is_some_and(|rest| rest.ends_with('.')))
}

/// Whether a host of this name cannot be at `address`.
pub(crate) fn cannot_be_at(host: &str, address: IpAddr) -> bool {
    address.is_unspecified() || (is_public(host) && is_inside(address))
}

/// An address that no public host has: of this machine, of nobody, of a private network.
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_unspecified() || address.is_link_local()
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unspecified() || address.is_unique_local(),
    }
}

async fn no_connection(context: Context<'_>, trouble: &Trouble, attempts: &[Attempt]) -> Finding {
    let host = &trouble.url.host;
    let told: Vec<String> = attempts.iter().map(ToString::to_string).collect();
    let told = format!("{host} takes no connection at {}", told.join("; "));
    if let Some(finding) = misled(context, trouble, attempts).await {
        return finding.seen(told);
    }
    let refused = attempts.iter().any(|attempt| attempt.error == Some(NotConnected::Refused));
    let cause = if refused { Cause::ConnectionRefused } else { Cause::SilentDrop };
    let mut finding = Finding::new(cause, curl_with_limit(&trouble.url), by_hand(cause)).seen(told);
    if cause == Cause::SilentDrop {
        let limit = tradewind_core::format_duration(context.world.limits.connect);
        finding = finding.seen(format!("waited {limit} for each address"));
    }
    finding
}

/// The name leads somewhere else than it should.
async fn misled(context: Context<'_>, trouble: &Trouble, attempts: &[Attempt]) -> Option<Finding> {
    let host = &trouble.url.host;
    let inside = |attempt: &Attempt| is_inside(attempt.address.ip());
    if trouble.url.address().is_some() || host == "localhost" || attempts.is_empty() || !attempts.iter().all(inside) {
        return None;
    }
    let nobody = attempts.iter().all(|attempt| attempt.address.ip().is_unspecified());
    let said = asked_servers(context, host).await;
    let outside = said.iter().find(|(_, said)| match said {
        dns::Said::Addresses(addresses) => !addresses.iter().copied().any(is_inside),
        _ => false,
    });
    // The same from a name server: it is the server that misleads, and not a line of the hosts file that somebody meant.
    let by_server = said.iter().any(|(_, said)| match said {
        dns::Said::Addresses(addresses) => addresses.iter().copied().any(is_inside),
        _ => false,
    });
    if !nobody && outside.is_none() && !(is_public(host) && by_server) {
        return None;
    }
    let addresses: Vec<String> = attempts.iter().map(|attempt| attempt.address.ip().to_string()).collect();
    // Once the file says nothing of it, the name server is asked.
    let fix = if outside.is_some() { hosts_file::without(context.world, host, &addresses) } else { None };
    let by_file = fix.is_some();
    let fix = fix.unwrap_or_else(|| by_hand(Cause::SplitDns));
    let mut finding = Finding::new(Cause::SplitDns, curl(&trouble.url), fix)
        .seen(format!("{host} resolves to {}, where no public host is", addresses.join(", ")));
    if by_file {
        finding = finding.seen(format!("{} says so, and the name server does not", hosts_file::PLACE));
    }
    for (server, said) in &said {
        finding = finding.seen(format!("asked for {host}, the name server {server} says: {said}"));
    }
    Some(finding)
}

async fn no_tls(context: Context<'_>, trouble: &Trouble, error: &NoTls, address: Option<SocketAddr>) -> Finding {
    let url = &trouble.url;
    let port = url.host_and_port();
    let told = format!("no TLS with {port}: {error}");
    match error {
        NoTls::Plain(_) => http_port(context, trouble).await.seen(told),
        NoTls::Reset | NoTls::Closed => {
            let finding = |evidence: String| {
                Finding::new(Cause::ResetInHello, curl(url), by_hand(Cause::ResetInHello))
                    .seen(told.clone())
                    .seen(evidence)
            };
            // Only where the address is known can it be asked by another name.
            let Some(address) = address else {
                return finding(
                    "the HTTP proxy has made the connection, and it ends with the first message".to_owned(),
                );
            };
            if nameless(context, address).await {
                return finding(format!("{address} shakes hands when no host is named"));
            }
            if answers_plainly(context, url, address).await {
                return http_port(context, trouble).await.seen(told);
            }
            finding(format!("{address} takes the connection, and ends it with the first message"))
        }
        NoTls::Silent => {
            let limit = tradewind_core::format_duration(context.world.limits.handshake);
            let told = format!("{port} takes the connection, and says nothing to the first message of TLS for {limit}");
            if let Some(finding) = only_by_ipv6(context, url, address).await {
                return finding.seen(told);
            }
            let small = match address {
                Some(address) => plainly(context, url, address).await,
                None => None,
            };
            match small {
                // Servers of plain HTTP may wait for the end of a line, which TLS does not have.
                Some(Ok(answer)) if answer.status != 400 => return http_port(context, trouble).await.seen(told),
                None | Some(Err(NoAnswer::Silent(_))) => {}
                // An answer, an alert, an end: somebody is there.
                Some(_) => {
                    return Finding::new(Cause::PathMtu, curl_with_limit(url), by_hand(Cause::PathMtu))
                        .seen(told)
                        .seen("a small message is answered: large packets get lost on the way");
                }
            }
            Finding::new(Cause::SlowAnswer, curl_with_limit(url), by_hand(Cause::SlowAnswer)).seen(told)
        }
        NoTls::Other(_) => Finding::new(
            Cause::Other,
            curl(url),
            Fix::by_hand("have the server's TLS looked at: go needs TLS 1.2 or newer"),
        )
        .titled("no TLS comes about with the server")
        .seen(told),
    }
}

/// IPv6 addresses take connections that then hang, and IPv4 ones of the same host do not: go stays with the first that
/// connects.
async fn only_by_ipv6(context: Context<'_>, url: &Url, address: Option<SocketAddr>) -> Option<Finding> {
    let limits = &context.world.limits;
    let hangs = address.filter(SocketAddr::is_ipv6)?;
    let others = lookup::addresses(&url.host, hangs.port(), limits.lookup).await.ok()?;
    let others: Vec<SocketAddr> = others.into_iter().filter(SocketAddr::is_ipv4).collect();
    let (stream, _) = tcp::connect(&others, limits.connect).await.ok()?;
    let shaken = stream.peer_addr().ok()?;
    tls::handshake(stream, &url.host, limits.handshake).await.ok()?;
    let fix = match context.world.system {
        System::Linux => Fix::command(format!("{}sysctl -w net.ipv6.conf.all.disable_ipv6=1", sudo())),
        System::MacOs => Fix::by_hand("switch IPv6 off: networksetup -setv6off, and the name of the network service"),
        System::Windows => Fix::by_hand("switch IPv6 off for the network adapter"),
    };
    let finding = Finding::new(Cause::PathMtu, curl_with_limit(url), fix)
        .seen(format!("{hangs} takes the connection and hangs, {shaken} shakes hands for TLS"));
    Some(finding)
}

/// Whether `address` shakes hands with somebody who names no host.
async fn nameless(context: Context<'_>, address: SocketAddr) -> bool {
    let limits = &context.world.limits;
    let Ok((stream, _)) = tcp::connect(&[address], limits.connect).await else { return false };
    match tls::handshake(stream, &address.ip().to_string(), limits.handshake).await {
        // "No" in the words of TLS comes from a server as well.
        Ok(_) | Err(NoTls::Other(_)) => true,
        Err(_) => false,
    }
}

fn plain_request(url: &Url) -> String {
    format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", url.host)
}

/// What a plain request gets at `address`.
async fn plainly(context: Context<'_>, url: &Url, address: SocketAddr) -> Option<Result<http::Response, NoAnswer>> {
    let limits = &context.world.limits;
    let (mut stream, _) = tcp::connect(&[address], limits.connect).await.ok()?;
    let patience = Patience { first_byte: limits.handshake, body: limits.handshake, most_bytes: 4096 };
    Some(http::ask(&mut stream, &plain_request(url), &patience, false).await)
}

async fn answers_plainly(context: Context<'_>, url: &Url, address: SocketAddr) -> bool {
    // A server of TLS says in plain HTTP that it is one.
    matches!(plainly(context, url, address).await, Some(Ok(answer)) if answer.status != 400)
}

/// https in GOPROXY, and plain HTTP at the port.
async fn http_port(context: Context<'_>, trouble: &Trouble) -> Finding {
    let plain = Url { scheme: "http".to_owned(), port: trouble.url.port_or_default(), ..trouble.url.clone() };
    let fix = with_scheme(context.world, &trouble.first, &plain, "http");
    Finding::new(Cause::HttpsToHttpPort, curl(&trouble.url), fix.unwrap_or_else(|| by_hand(Cause::HttpsToHttpPort)))
}

/// The entry of GOPROXY that `asked` belongs to, with another scheme.
fn with_scheme(world: &World, asked: &Url, other: &Url, scheme: &str) -> Option<Fix> {
    let of_same = |url: &&Url| url.scheme == asked.scheme && url.host_and_port() == asked.host_and_port();
    let entry = world.settings.proxies().into_iter().map(|(url, _)| url).find(of_same)?;
    // A login must not get out over http.
    if entry.user.is_some() {
        return None;
    }
    // The port that was usual for the old scheme is not for the new one.
    let port = if entry.port.is_none() { other.port } else { entry.port };
    let new = Url { scheme: scheme.to_owned(), port, ..entry.clone() };
    replaced_entry(world, entry, Some(&new.to_string()))
}

/// GOPROXY with another text in place of the entry `old`, or without it; a fix that shows no password.
pub(super) fn replaced_entry(world: &World, old: &Url, new: Option<&str>) -> Option<Fix> {
    let setting = world.settings.get("GOPROXY")?;
    if setting.shown() != setting.value() {
        return None;
    }
    let mut out = String::new();
    for part in setting.value().split_inclusive([',', '|']) {
        let entry = part.trim_end_matches([',', '|']);
        let separator = &part[entry.len()..];
        let is_old = entry_url(entry.trim()).is_some_and(|url| url == *old);
        match (is_old, new) {
            (true, Some(new)) => out.push_str(&format!("{new}{separator}")),
            (true, None) => {}
            (false, _) => out.push_str(part),
        }
    }
    let out = out.trim_matches([',', '|']).to_owned();
    (!out.is_empty() && out != setting.value()).then(|| set_go(world, "GOPROXY", &out))
}

fn entry_url(entry: &str) -> Option<Url> {
    match crate::settings::goproxy::parse(entry).ok()?.pop()?.source {
        crate::settings::Source::Proxy(url) => Some(url),
        _ => None,
    }
}

async fn no_answer(context: Context<'_>, trouble: &Trouble, error: &NoAnswer) -> Finding {
    let url = &trouble.url;
    let told = format!("{}: {error}", url.host_and_port());
    let speaks_tls =
        matches!(error, NoAnswer::NotHttp(bytes) if bytes.first().is_some_and(|byte| matches!(byte, 20..=23)));
    if url.scheme == "http"
        && matches!(trouble.way, Way::Direct(_))
        && (speaks_tls || matches!(error, NoAnswer::Reset | NoAnswer::Closed | NoAnswer::Silent(_)))
        && let Some(finding) = https_port(context, trouble).await
    {
        return finding.seen(told);
    }
    match error {
        NoAnswer::Silent(_) => {
            Finding::new(Cause::SlowAnswer, curl_with_limit(url), by_hand(Cause::SlowAnswer)).seen(told)
        }
        NoAnswer::Reset => Finding::new(Cause::ResetInHello, curl(url), by_hand(Cause::ResetInHello))
            .titled("the connection is reset in place of an answer")
            .seen(told),
        NoAnswer::Closed => Finding::new(Cause::TruncatedTransfer, curl(url), by_hand(Cause::TruncatedTransfer))
            .titled("the connection is closed in place of an answer")
            .seen(told),
        NoAnswer::NotHttp(_) | NoAnswer::Other(_) => {
            Finding::new(Cause::Other, curl(url), Fix::by_hand("correct the host and port in GOPROXY"))
                .titled("what listens at the port does not speak HTTP")
                .seen(told)
        }
    }
}

/// http in GOPROXY, and TLS at the port.
pub(super) async fn https_port(context: Context<'_>, trouble: &Trouble) -> Option<Finding> {
    let secure = Url { scheme: "https".to_owned(), port: trouble.url.port_or_default(), ..trouble.url.clone() };
    let client = Client::new(context.world, context.roots);
    let (speaks, evidence) = match client.get(&secure).await {
        Ok(answer) => (true, format!("asked by https, it answers {}", answer.response.line())),
        Err(Trouble { what: What::Distrusted(..), .. }) => (true, "it shakes hands for TLS".to_owned()),
        Err(Trouble { what: What::NoAnswer(_), .. }) => (true, "it shakes hands for TLS".to_owned()),
        Err(_) => (false, String::new()),
    };
    if !speaks {
        return None;
    }
    let fix = with_scheme(context.world, &trouble.first, &secure, "https");
    let fix = fix.or_else(|| secured_in_shell(context.world));
    let fix = fix.unwrap_or_else(|| by_hand(Cause::HttpToHttpsPort));
    Some(Finding::new(Cause::HttpToHttpsPort, curl(&secure), fix).seen(evidence))
}

/// The same for a GOPROXY that shows a password: the shell changes it where it is.
fn secured_in_shell(world: &World) -> Option<Fix> {
    let setting: &Setting = world.settings.get("GOPROXY")?;
    let script = "sed -E 's#http://([^/@,|]*@)#https://\\1#g'";
    match (&setting.origin, world.shell) {
        (crate::settings::Origin::Process(name), Shell::Posix) if setting.shown() != setting.value() => {
            Some(Fix::in_shell(format!("export {name}=\"$(printf %s \"${name}\" | {script})\"")))
        }
        _ => None,
    }
}
