//! `external-controller` and what belongs to it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::keys::{Key, Kind};
use super::providers::inside;
use super::reader::{Fields, Reader};
use crate::node::Node;
use crate::ways::{Controller, Cors};

/// Reads the keys that stand at the top of the document; `None` without an address.
pub(super) fn decode(reader: &mut Reader<'_>, top: &Fields<'_>) -> Option<Controller> {
    let secret = reader.secret(top, "secret").filter(|secret| !secret.expose().is_empty());
    let cors = cors(reader, top);
    let ui = reader.text(top, "external-ui").filter(|path| !path.is_empty());
    if ui.as_ref().is_some_and(|path| !inside(path)) {
        let message = "external-ui: path is not subpath of home directory";
        reader.refuse_at(top, "external-ui", message, "a path below the directory of the configuration, without ..");
    }
    let text = reader.text(top, "external-controller").filter(|text| !text.is_empty())?;
    let Some(address) = address(&text) else {
        let found = top.get("external-controller").map(Node::described).unwrap_or_default();
        let message = format!("expected an address and a port, found {found}");
        reader.refuse_at(top, "external-controller", message, "like 127.0.0.1:9090, or :9090 for all addresses");
        return None;
    };
    let is_broken = top.node.get("secret").is_some_and(Node::is_broken);
    if !address.ip().is_loopback() && secret.is_none() && !is_broken {
        let message = "`external-controller` is open to other machines and has no `secret`: anybody there may use it";
        reader.say(top.place("external-controller"), "external-controller", message, None);
    }
    Some(Controller { address, secret, cors, ui: ui.map(|path| path.as_ref().to_owned()) })
}

/// `127.0.0.1:9090`, `localhost:9090`, `[::]:9090`, `:9090`.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    match host {
        // As in Go, an empty host is every address of both families.
        "" => Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        "localhost" => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        _ => text.parse().ok(),
    }
}

fn cors(reader: &mut Reader<'_>, top: &Fields<'_>) -> Cors {
    let default = Cors::default();
    let Some(node) = top.get("external-controller-cors") else { return default };
    let Some(cors) = reader.map(node, "external-controller-cors", CORS_KEYS) else { return default };
    let origins = reader.texts(&cors, "allow-origins");
    Cors {
        origins: match cors.has("allow-origins") {
            true => origins.iter().map(|origin| origin.as_ref().to_owned()).collect(),
            false => default.origins,
        },
        private_network: reader.flag(&cors, "allow-private-network").unwrap_or(default.private_network),
    }
}

/// Keys of `external-controller-cors`.
pub(super) const CORS_KEYS: &[Key] = &[
    Key::new(
        "allow-origins",
        Kind::Texts,
        "Origins of pages that may use the controller; `*` for all, which is the default.",
    ),
    Key::new("allow-private-network", Kind::Flag, "Whether pages of public sites may reach it; true when absent."),
];

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_are_read_as_go_does() {
        for (text, read) in [
            ("127.0.0.1:9090", Some("127.0.0.1:9090")),
            (":9090", Some("[::]:9090")),
            ("localhost:1", Some("127.0.0.1:1")),
            ("[::1]:2", Some("[::1]:2")),
            ("0.0.0.0:0", Some("0.0.0.0:0")),
            ("9090", None),
            ("127.0.0.1", None),
            ("foo:1", None),
            ("127.0.0.1:99999", None),
            (":", None),
        ] {
            assert_eq!(address(text), read.map(|read| read.parse().unwrap()), "{text}");
        }
    }
}
