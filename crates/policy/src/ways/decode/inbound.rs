//! Where callers of the relay come in, and who may.

use std::net::IpAddr;
use std::sync::Arc;

use tradewind_core::Secret;

use super::reader::{Fields, Reader};
use crate::node::Node;
use crate::sensitive;
use crate::ways::address::parse_prefix;
use crate::ways::{Inbound, Mode, User};

/// The most users.
const MOST_USERS: usize = 10_000;
/// The longest user name and the longest password of one, in bytes (RFC 1929).
const LONGEST_LOGIN: usize = 255;

/// Reads the keys that stand at the top of the document.
pub(super) fn decode(reader: &mut Reader<'_>, top: &Fields<'_>) -> Inbound {
    let mut port = |key: &str| {
        let port = reader.whole(top, key, 0..=65_535).and_then(|port| u16::try_from(port).ok());
        port.filter(|port| *port != 0)
    };
    let (mixed_port, http_port, socks_port) = (port("mixed-port"), port("port"), port("socks-port"));
    let inbound = Inbound {
        mixed_port,
        port: http_port,
        socks_port,
        allow_lan: reader.flag(top, "allow-lan").unwrap_or(false),
        bind_address: bind_address(reader, top),
        users: users(reader, top),
        skip_auth: prefixes(reader, top, "skip-auth-prefixes"),
        lan_allowed: prefixes(reader, top, "lan-allowed-ips"),
        lan_disallowed: prefixes(reader, top, "lan-disallowed-ips"),
    };
    let is_there = mixed_port.or(http_port).or(socks_port).is_some();
    let is_open = inbound.allow_lan && !inbound.bind_address.is_some_and(|address| address.is_loopback());
    if is_there && is_open && inbound.users.is_empty() && !top.has("authentication") {
        let message =
            "`allow-lan: true` lets other machines in, and there is no `authentication`: anybody there may use it";
        reader.say(top.place("allow-lan"), "allow-lan", message, None);
    }
    inbound
}

/// Whether the rules are asked.
pub(super) fn mode(reader: &mut Reader<'_>, top: &Fields<'_>) -> Mode {
    let Some(node) = top.get("mode") else { return Mode::default() };
    match node.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("rule") => Mode::Rule,
        Some("global") => Mode::Global,
        Some("direct") => Mode::Direct,
        _ => {
            let message = format!("invalid mode: expected one of rule, global, direct, found {}", node.described());
            reader.refuse_at(top, "mode", message, "");
            Mode::default()
        }
    }
}

fn bind_address(reader: &mut Reader<'_>, top: &Fields<'_>) -> Option<IpAddr> {
    let text = reader.text(top, "bind-address")?;
    if text.is_empty() || &*text == "*" {
        return None;
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&text);
    let address = bare.parse().ok();
    if address.is_none() {
        let found = top.get("bind-address").map(Node::described).unwrap_or_default();
        reader.refuse_at(top, "bind-address", format!("expected an IP address, found {found}"), "* for all addresses");
    }
    address
}

/// `authentication`: `name:password` each. What is wrong is said without showing any of it.
fn users(reader: &mut Reader<'_>, top: &Fields<'_>) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for (text, place, path) in reader.placed_texts(top, "authentication") {
        let flaw = match text.split_once(':') {
            None => "a user is written name:password",
            Some(("", _)) => "the user name is empty",
            Some((name, password)) if name.len() > LONGEST_LOGIN || password.len() > LONGEST_LOGIN => {
                "a user name and a password have at most 255 bytes each (RFC 1929)"
            }
            Some((name, _)) if users.iter().any(|user| &*user.name == name) => "this user is there already",
            Some(_) if users.len() == MOST_USERS => "there are more than 10000 users",
            Some((name, password)) => {
                users.push(User { name: Arc::from(name), password: Secret::new(password.to_owned()) });
                continue;
            }
        };
        debug_assert!(sensitive::is_secret_path(&path), "what is shown of a user would not be masked");
        reader.refuse(place, path, flaw, "");
    }
    users
}

fn prefixes(reader: &mut Reader<'_>, top: &Fields<'_>, key: &str) -> Vec<(IpAddr, u8)> {
    let mut prefixes = Vec::new();
    for (text, place, path) in reader.placed_texts(top, key) {
        match parse_prefix(&text) {
            Ok(prefix) => prefixes.push(prefix),
            Err(error) => reader.refuse(place, path, error.to_string(), "write a single address as 192.0.2.1/32"),
        }
    }
    prefixes
}
