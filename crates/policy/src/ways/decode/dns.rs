//! `dns` and `hosts`: how names are resolved.

mod keys;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub(super) use self::keys::DNS_KEYS;
use super::keys::{Effect, find};
use super::reader::{Fields, Reader};
use crate::node::{Node, Place, Shortened, Value};
use crate::ways::{Dns, Nameserver};

/// The most servers of one list.
const MOST_SERVERS: usize = 64;
/// The most names of `hosts`.
const MOST_HOSTS: usize = 100_000;
/// The longest name of `hosts`, in bytes (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

/// Reads `dns`, and `ipv6` at the top of the document, which wins when it is false.
pub(super) fn decode(reader: &mut Reader<'_>, top: &Fields<'_>) -> Dns {
    let ipv6 = reader.flag(top, "ipv6").unwrap_or(true);
    let all = Dns::default();
    let Some(node) = top.get("dns") else { return Dns { ipv6, ..all } };
    let Some(dns) = reader.any_map(node, "dns") else { return Dns { ipv6, ..all } };
    let enable = reader.flag(&dns, "enable").unwrap_or(false);
    // What is turned off has no effect in mihomo either.
    let is_idle = |key: &str| find(DNS_KEYS, key).is_some_and(|key| key.effect == Effect::None);
    reader.check_keys_but(&dns, DNS_KEYS, None, &|key| !enable && is_idle(key));
    check_mode(reader, &dns, enable);
    let nameservers = servers(reader, &dns, "nameserver", enable);
    let default_nameservers = servers(reader, &dns, "default-nameserver", enable);
    for (server, place, path) in &default_nameservers {
        if !is_address(server) {
            let message = "default nameserver should be pure IP";
            reader.refuse(*place, path.clone(), message, "it is what the names of other servers are resolved with");
        }
    }
    let bare = |servers: Vec<(Nameserver, Place, String)>| servers.into_iter().map(|(server, ..)| server).collect();
    Dns {
        enable,
        nameservers: bare(nameservers),
        default_nameservers: bare(default_nameservers),
        ipv6: ipv6 && reader.flag(&dns, "ipv6").unwrap_or(all.ipv6),
        use_hosts: reader.flag(&dns, "use-hosts").unwrap_or(all.use_hosts),
    }
}

fn check_mode(reader: &mut Reader<'_>, dns: &Fields<'_>, enable: bool) {
    let Some(node) = dns.get("enhanced-mode") else { return };
    match node.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("fake-ip") if enable => {
            let message = "`enhanced-mode: fake-ip` has no effect: no made-up addresses are given out, so programs that \
                           do not use the proxy by themselves are not captured by name";
            reader.say(dns.place("enhanced-mode"), &dns.path_of("enhanced-mode"), message, None);
        }
        Some("fake-ip" | "normal" | "redir-host") => {}
        _ => {
            let message =
                format!("invalid mode: expected one of normal, redir-host, fake-ip, found {}", node.described());
            reader.refuse_at(dns, "enhanced-mode", message, "");
        }
    }
}

/// The servers of `key` that are built. Those that are not are said.
fn servers(reader: &mut Reader<'_>, dns: &Fields<'_>, key: &str, enable: bool) -> Vec<(Nameserver, Place, String)> {
    let mut servers = Vec::new();
    for (text, place, path) in reader.placed_texts(dns, key) {
        match nameserver(&text) {
            Ok(Read { server, ignored }) => {
                if let Some(ignored) = ignored {
                    let message = "what stands behind `#` at a name server has no effect: it is asked directly";
                    let shown = if reader.is_from_outside(&text) { Arc::clone(&text) } else { Arc::from(ignored) };
                    reader.say(place, &path, message, Some(&shown));
                }
                if servers.len() == MOST_SERVERS {
                    reader.refuse(place, path, format!("there are more than {MOST_SERVERS} name servers"), "");
                } else {
                    servers.push((server, place, path));
                }
            }
            Err(Flaw::NotBuilt(scheme)) if enable => {
                let message = format!("name servers of `{scheme}` are not built: they are not asked");
                reader.say(place, &path, message, None);
            }
            Err(Flaw::NotBuilt(_)) => {}
            Err(Flaw::Scheme(scheme)) => {
                let shown =
                    if reader.is_from_outside(&text) { reader.shown(&text) } else { Shortened(&scheme).to_string() };
                let message = format!("DNS NameServer unsupport scheme: {shown}");
                reader.refuse(place, path, message, "udp://, tcp://, tls://, https://, or system");
            }
            Err(Flaw::Format) => {
                let message = "DNS NameServer format error: this is no server";
                reader.refuse(place, path, message, "an address like 192.0.2.1 or 192.0.2.1:53, or a URL");
            }
        }
    }
    servers
}

struct Read {
    server: Nameserver,
    /// What stands behind `#`.
    ignored: Option<String>,
}

enum Flaw {
    NotBuilt(String),
    Scheme(String),
    Format,
}

/// Reads `192.0.2.1`, `tls://dns.example.com:853`, `https://dns.example.com/dns-query#proxy`.
fn nameserver(text: &str) -> Result<Read, Flaw> {
    let (text, ignored) = match text.split_once('#') {
        Some((text, behind)) => (text, (!behind.is_empty()).then(|| behind.to_owned())),
        None => (text, None),
    };
    let server = |server| Ok(Read { server, ignored });
    if text == "system" {
        return server(Nameserver::System);
    }
    let (scheme, rest) = text.split_once("://").map_or(("udp", text), |(scheme, rest)| (scheme, rest));
    let scheme = scheme.to_ascii_lowercase();
    let authority = || host_and_port(rest.trim_end_matches('/'));
    match scheme.as_str() {
        "system" => server(Nameserver::System),
        "udp" => authority().and_then(|(host, port)| server(Nameserver::Udp(host, port.unwrap_or(53)))),
        "tcp" => authority().and_then(|(host, port)| server(Nameserver::Tcp(host, port.unwrap_or(53)))),
        "tls" => authority().and_then(|(host, port)| server(Nameserver::Tls(host, port.unwrap_or(853)))),
        "https" => {
            let url = format!("https://{rest}");
            let uri: http::Uri = url.parse().map_err(|_| Flaw::Format)?;
            let host = uri.host().filter(|host| !host.is_empty()).ok_or(Flaw::Format)?;
            let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
            let behind = authority.rsplit_once(host).map_or("", |(_, behind)| behind);
            if authority.contains('@') || (behind.contains(':') && uri.port_u16().is_none()) {
                return Err(Flaw::Format);
            }
            server(Nameserver::Https(Arc::from(url)))
        }
        "quic" | "dhcp" | "rcode" | "ts" => Err(Flaw::NotBuilt(scheme)),
        _ => Err(Flaw::Scheme(scheme)),
    }
}

fn host_and_port(text: &str) -> Result<(Arc<str>, Option<u16>), Flaw> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((Arc::from(address.ip().to_string()), Some(address.port())));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok((Arc::from(address.to_string()), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().map_err(|_| Flaw::Format)?)),
        None => (text, None),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if host.is_empty() || host.len() > LONGEST_NAME || !host.bytes().all(is_name) {
        return Err(Flaw::Format);
    }
    Ok((Arc::from(host), port))
}

/// Whether a server is named by its address.
fn is_address(server: &Nameserver) -> bool {
    match server {
        Nameserver::System => true,
        Nameserver::Udp(host, _) | Nameserver::Tcp(host, _) | Nameserver::Tls(host, _) => {
            host.parse::<IpAddr>().is_ok()
        }
        Nameserver::Https(url) => {
            let uri: Option<http::Uri> = url.parse().ok();
            let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
            host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
        }
    }
}

/// Reads `hosts`: names with an address or several. Lower case.
pub(super) fn hosts(reader: &mut Reader<'_>, top: &Fields<'_>) -> Vec<(String, Vec<IpAddr>)> {
    let Some(node) = top.get("hosts") else { return Vec::new() };
    let mut hosts = Vec::new();
    for (name, place, value, path) in reader.entries(node, "hosts") {
        if hosts.len() == MOST_HOSTS {
            reader.refuse(place, path, format!("there are more than {MOST_HOSTS} names"), "");
            break;
        }
        let name = name.to_lowercase();
        if !is_host(&name) {
            reader.refuse(
                place,
                path,
                format!("`{}` is not a name", Shortened(&name)),
                "like example.com, or *.example.com",
            );
            continue;
        }
        if value.is_broken() {
            continue;
        }
        if let Some(addresses) = addresses(reader, value, &path) {
            hosts.push((name, addresses));
        }
    }
    hosts
}

fn is_host(name: &str) -> bool {
    let bare = name.strip_prefix("+.").or_else(|| name.strip_prefix('.')).unwrap_or(name);
    let is_label = |label: &str| !label.is_empty() && !label.chars().any(|one| one.is_whitespace() || one.is_control());
    name.len() <= LONGEST_NAME && bare.split('.').all(is_label)
}

/// The addresses that a name stands for; `None` for a name that stands for another one, which is not built.
fn addresses(reader: &mut Reader<'_>, value: &Node, path: &str) -> Option<Vec<IpAddr>> {
    let items: &[Node] = match &value.value {
        Value::String(_) => std::slice::from_ref(value),
        Value::List(items) => items,
        _ => &[],
    };
    let texts: Vec<&str> = items.iter().filter_map(Node::as_str).collect();
    let addresses: Vec<IpAddr> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    if !items.is_empty() && addresses.len() == items.len() {
        return Some(addresses);
    }
    match texts[..] {
        [other] if items.len() == 1 && addresses.is_empty() && is_host(other) => {
            let message = "names that stand for other names in `hosts` have no effect: they are resolved as usual";
            reader.say(value.place, path, message, Some(&Arc::from(other)));
        }
        _ => {
            let message = format!("expected an IP address, or a list of them, found {}", value.described());
            reader.refuse(value.place, path, message, "");
        }
    }
    None
}

#[cfg(test)]
mod tests;
