//! `proxies`, and the same in providers of them.

mod keys;
mod shadowsocks;

use std::sync::Arc;

use tradewind_core::nearest;

pub(super) use self::keys::PROXY_KEYS;
use self::keys::{BUILT_TYPES, HTTP_KEYS, NAMES_OF_OTHERS, NOT_BUILT_TYPES, PAC_KEYS, PLAIN_KEYS, SOCKS_KEYS, SS_KEYS};
use super::keys::Key;
use super::reader::{Fields, Reader};
use crate::node::{Node, Shortened};
use crate::ways::{HttpProxy, PacProxy, Proxy, ProxyAuth, ProxyKind, SocksProxy, Unreachable};

/// The longest name of a proxy or group, in bytes.
pub(super) const LONGEST_NAME: usize = 256;

/// Reads the proxy at `path`, the one with this `index` in its list.
pub(super) fn proxy(reader: &mut Reader<'_>, node: &Node, path: &str, index: usize) -> Option<Proxy> {
    let fields = reader.any_map(node, path)?;
    let kind = type_of(reader, &fields, index)?;
    let name = name(reader, &fields, &format!("proxy {index}"));
    let required: &[&str] = match kind {
        "http" | "socks5" => &["server", "port"],
        "ss" => &["server", "port", "cipher", "password"],
        "pac" => &["url"],
        _ => &[],
    };
    let missing: Vec<&str> = required.iter().copied().filter(|key| !fields.has(key)).collect();
    if !missing.is_empty() {
        let message = format!("proxy {index}: unset fields: {}", missing.join(", "));
        reader.refuse(node.place, path, message, "");
    }
    let keys = match kind {
        "http" => HTTP_KEYS,
        "socks5" => SOCKS_KEYS,
        "ss" => SS_KEYS,
        "pac" => PAC_KEYS,
        "direct" | "reject" => PLAIN_KEYS,
        // What is not built is not looked at: its keys are many, and nothing would follow from them.
        _ => &[],
    };
    if !keys.is_empty() {
        check_keys(reader, &fields, keys, name.as_ref());
    }
    let dialer = reader.text(&fields, "dialer-proxy").filter(|name| !name.is_empty());
    let udp = reader.flag(&fields, "udp");
    let made = match kind {
        "http" => http(reader, &fields, name.as_ref()).map(ProxyKind::Http),
        "socks5" => socks(reader, &fields).map(ProxyKind::Socks5),
        "ss" => shadowsocks::decode(reader, &fields, name.as_ref(), index),
        "pac" => pac(reader, &fields, dialer.is_some()).map(ProxyKind::Pac),
        "direct" => Some(direct(reader, &fields, name.as_ref())),
        "reject" => Some(ProxyKind::Reject),
        other => {
            let message = format!(
                "proxies of type `{other}` are not built: they stay in their groups as not alive, and using one fails"
            );
            reader.say(fields.place("type"), &fields.path_of("type"), message, name.as_ref());
            Some(ProxyKind::NotBuilt(Arc::from(other)))
        }
    };
    // Whether datagrams may go: of itself only without a proxy.
    let udp = udp.unwrap_or(matches!(made, Some(ProxyKind::Direct)));
    Some(Proxy { name: name?, kind: made?, dialer, udp })
}

/// The type, if there is one of that name.
fn type_of(reader: &mut Reader<'_>, fields: &Fields<'_>, index: usize) -> Option<&'static str> {
    let Some(written) = fields.get("type").and_then(Node::as_str) else {
        if !fields.node.get("type").is_some_and(Node::is_broken) {
            reader.refuse(fields.place("type"), &fields.path, format!("proxy {index}: missing type"), "");
        }
        return None;
    };
    let types = || BUILT_TYPES.iter().chain(NOT_BUILT_TYPES).copied();
    if let Some(known) = types().find(|known| *known == written) {
        return Some(known);
    }
    let raw = fields.get("type").and_then(|node| node.raw.as_deref()).unwrap_or(written);
    let hint = match nearest(written, types()) {
        Some(right) => format!("did you mean `{right}`?"),
        None => format!("the types are {}", BUILT_TYPES.join(", ")),
    };
    let message = format!("proxy {index}: unsupport proxy type: {}", Shortened(raw));
    reader.refuse_at(fields, "type", message, &hint);
    None
}

/// The name of a proxy or group; `whose` begins the message.
pub(super) fn name(reader: &mut Reader<'_>, fields: &Fields<'_>, whose: &str) -> Option<Arc<str>> {
    if !fields.has("name") {
        reader.refuse(fields.node.place, &fields.path, format!("{whose}: missing name"), "");
        return None;
    }
    let name = reader.text(fields, "name")?;
    if name.trim().is_empty() {
        reader.refuse_at(fields, "name", format!("{whose}: the name is empty"), "");
        return None;
    }
    if name.len() > LONGEST_NAME {
        let message = format!("{whose}: a name has at most {LONGEST_NAME} bytes");
        reader.refuse_at(fields, "name", message, "");
        return None;
    }
    if name.chars().any(char::is_control) {
        reader.refuse_at(fields, "name", format!("{whose}: a name has no line breaks or control characters"), "");
        return None;
    }
    Some(name)
}

/// As [`Reader::check_keys`], where keys of other types are known, too: lists of nodes are made by programs that do not
/// take them out.
fn check_keys(reader: &mut Reader<'_>, fields: &Fields<'_>, keys: &'static [Key], name: Option<&Arc<str>>) {
    let is_foreign = |key: &str| NAMES_OF_OTHERS.contains(&key) && super::keys::find(keys, key).is_none();
    for entry in fields.node.entries().iter().filter(|entry| is_foreign(&entry.key)) {
        let message = format!("`{}` has no effect: it belongs to another type of proxy", entry.key);
        reader.say(entry.key_place, &fields.path_of(&entry.key), message, name);
    }
    reader.check_keys_but(fields, keys, name, &is_foreign);
}

fn server(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Arc<str>> {
    let server = reader.text(fields, "server")?;
    let bare = server.trim_start_matches('[').trim_end_matches(']');
    if bare.is_empty() {
        reader.refuse_at(fields, "server", "the server is empty", "a host name or an IP address");
        return None;
    }
    let is_name =
        |character: char| !character.is_whitespace() && !character.is_control() && !"/?#@".contains(character);
    if !bare.chars().all(is_name) {
        let message = "a server is a host name or an IP address";
        reader.refuse_at(
            fields,
            "server",
            message,
            "without scheme, user name and path; the port has a key of its own",
        );
        return None;
    }
    Some(Arc::from(bare))
}

fn http(reader: &mut Reader<'_>, fields: &Fields<'_>, name: Option<&Arc<str>>) -> Option<HttpProxy> {
    let (server, port) = (server(reader, fields), reader.port(fields, "port"));
    let username = reader.text(fields, "username").filter(|name| !name.is_empty());
    let password = reader.secret(fields, "password");
    let auth = auth(reader, fields, username.is_some());
    let needs_name = |scheme: &ProxyAuth| matches!(scheme, ProxyAuth::Basic | ProxyAuth::Ntlm);
    if let (Some(scheme), None) = (auth.iter().find(|scheme| needs_name(scheme)), &username) {
        let scheme = if *scheme == ProxyAuth::Basic { "basic" } else { "ntlm" };
        if !fields.has("username") {
            reader.refuse_at(fields, "auth", format!("`auth: {scheme}` needs `username` and `password`"), "");
        }
    }
    if auth.contains(&ProxyAuth::Basic) && username.as_ref().is_some_and(|name| name.contains(':')) {
        let message =
            "a user name with a colon: an HTTP proxy takes what follows the colon for the password (RFC 7617)";
        reader.say(fields.place("username"), &fields.path_of("username"), message, name);
    }
    Some(HttpProxy {
        server: server?,
        port: port?,
        username,
        password,
        auth,
        spn: reader.text(fields, "spn"),
        tls: reader.flag(fields, "tls").unwrap_or(false),
        sni: reader.text(fields, "sni").filter(|name| !name.is_empty()),
        skip_cert_verify: reader.flag(fields, "skip-cert-verify").unwrap_or(false),
        headers: headers(reader, fields),
    })
}

/// The schemes to log in with, in order.
fn auth(reader: &mut Reader<'_>, fields: &Fields<'_>, has_user: bool) -> Vec<ProxyAuth> {
    let Some(node) = fields.get("auth") else {
        return if has_user && !fields.has("auth") { vec![ProxyAuth::Basic] } else { Vec::new() };
    };
    let path = fields.path_of("auth");
    let written = if node.as_str().is_some() { vec![(node, path)] } else { reader.items(node, &path) };
    let mut schemes = Vec::with_capacity(written.len());
    for (node, path) in written {
        let scheme = match node.as_str() {
            Some("basic") => ProxyAuth::Basic,
            Some("ntlm") => ProxyAuth::Ntlm,
            Some("negotiate") => ProxyAuth::Negotiate,
            _ => {
                if !node.is_broken() {
                    let message = format!("expected one of basic, ntlm, negotiate, found {}", node.described());
                    reader.refuse(node.place, path, message, "a list is the order in which they are tried");
                }
                continue;
            }
        };
        if schemes.contains(&scheme) {
            reader.refuse(node.place, path, "a scheme stands twice", "a list is the order in which they are tried");
        } else {
            schemes.push(scheme);
        }
    }
    schemes
}

fn headers(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<(Arc<str>, Arc<str>)> {
    let Some(node) = fields.get("headers") else { return Vec::new() };
    let mut headers = Vec::with_capacity(node.entries().len());
    for (name, place, value, path) in reader.entries(node, &fields.path_of("headers")) {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            let message = format!("`{}` is not the name of a header", Shortened(name));
            reader.refuse(place, path, message, "letters, digits and hyphens");
            continue;
        }
        let Some(text) = reader.text_of(value, &path) else { continue };
        if http::HeaderValue::from_str(&text).is_err() {
            let message = format!("the value of the header `{name}` cannot be sent");
            reader.refuse(value.place, path, message, "no line breaks or control characters");
            continue;
        }
        headers.push((Arc::clone(name), text));
    }
    headers
}

fn socks(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<SocksProxy> {
    let (server, port) = (server(reader, fields), reader.port(fields, "port"));
    let username = reader.text(fields, "username").filter(|name| !name.is_empty());
    let password = reader.secret(fields, "password");
    // RFC 1929: one byte of length each.
    if username.as_ref().is_some_and(|name| name.len() > 255) {
        reader.refuse_at(fields, "username", "a user name for SOCKS5 has at most 255 bytes (RFC 1929)", "");
    }
    if password.as_ref().is_some_and(|password| password.expose().len() > 255) {
        reader.refuse_at(fields, "password", "a password for SOCKS5 has at most 255 bytes (RFC 1929)", "");
    }
    Some(SocksProxy {
        server: server?,
        port: port?,
        username,
        password,
        tls: reader.flag(fields, "tls").unwrap_or(false),
        sni: reader.text(fields, "sni").filter(|name| !name.is_empty()),
        skip_cert_verify: reader.flag(fields, "skip-cert-verify").unwrap_or(false),
    })
}

fn pac(reader: &mut Reader<'_>, fields: &Fields<'_>, has_dialer: bool) -> Option<PacProxy> {
    if has_dialer {
        let message = "`dialer-proxy` cannot be put before a script: what the script names is reached directly";
        reader.refuse_at(fields, "dialer-proxy", message, "remove it");
    }
    let url = reader.text(fields, "url")?;
    let is_url = &*url == "wpad" || ["file:///", "http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    if !is_url || url.contains(char::is_whitespace) {
        let hint = "file:///…, http://…, https://…, or wpad for what the network says";
        reader.refuse_at(fields, "url", "this is not where a script can be", hint);
        return None;
    }
    let unreachable = match reader.word(fields, "unreachable", &["fail", "direct"]) {
        Some("direct") => Unreachable::Direct,
        _ => Unreachable::Fail,
    };
    Some(PacProxy { url, unreachable })
}

/// `direct`. Where it is bound to an interface, that is the whole point of it: without, it would be another way out.
fn direct(reader: &mut Reader<'_>, fields: &Fields<'_>, name: Option<&Arc<str>>) -> ProxyKind {
    for key in ["interface-name", "routing-mark"] {
        let is_set = fields.get(key).is_some_and(|node| node.as_str() != Some(""));
        if is_set {
            let message = format!(
                "`{key}` of a `direct` proxy is not built: such a proxy stays in its groups as not alive, and using it fails"
            );
            reader.say(fields.place(key), &fields.path_of(key), message, name);
            return ProxyKind::NotBuilt(Arc::from("direct"));
        }
    }
    ProxyKind::Direct
}
