//! Shadowsocks: ciphers, and the keys that those of 2022 want.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::reader::{Fields, Reader};
use super::server;
use crate::node::Shortened;
use crate::ways::{ProxyKind, ShadowsocksProxy};

/// The ciphers that are built, and the length of a key in bytes where the password is one (SIP022); the AEAD ciphers
/// of before (SIP004) derive it from any password.
const CIPHERS: [(&str, Option<usize>); 6] = [
    ("aes-128-gcm", None),
    ("aes-256-gcm", None),
    ("chacha20-ietf-poly1305", None),
    ("2022-blake3-aes-128-gcm", Some(16)),
    ("2022-blake3-aes-256-gcm", Some(32)),
    ("2022-blake3-chacha20-poly1305", Some(32)),
];

/// Ciphers that mihomo has beyond those. Without encryption (`none`), without authentication, or hardly used.
const NOT_BUILT: &[&str] = &[
    "none",
    "rc4-md5",
    "aes-128-ctr",
    "aes-192-ctr",
    "aes-256-ctr",
    "aes-128-cfb",
    "aes-192-cfb",
    "aes-256-cfb",
    "chacha20",
    "chacha20-ietf",
    "xchacha20",
    "aes-192-gcm",
    "aes-128-ccm",
    "aes-192-ccm",
    "aes-256-ccm",
    "aes-128-gcm-siv",
    "aes-256-gcm-siv",
    "xchacha20-ietf-poly1305",
    "chacha8-ietf-poly1305",
    "xchacha8-ietf-poly1305",
    "lea-128-gcm",
    "lea-192-gcm",
    "lea-256-gcm",
    "rabbit128-poly1305",
    "aegis-128l",
    "aegis-256",
    "aez-384",
    "deoxys-ii-256-128",
    "ascon128",
    "ascon128a",
    "2022-blake3-chacha8-poly1305",
    "2022-blake3-aes-128-ccm",
    "2022-blake3-aes-256-ccm",
];

/// Reads a Shadowsocks server; with a plugin or a cipher that is not built, it is one that is not built.
pub(super) fn decode(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    name: Option<&Arc<str>>,
    index: usize,
) -> Option<ProxyKind> {
    let (server, port) = (server(reader, fields), reader.port(fields, "port"));
    let password = reader.secret(fields, "password");
    if let Some(plugin) = fields.get("plugin").filter(|node| node.as_str() != Some("")) {
        let shown = plugin.raw.as_deref().or_else(|| plugin.as_str()).unwrap_or("?");
        return Some(not_built(reader, fields, "plugin", &format!("`plugin: {}`", Shortened(shown)), name));
    }
    let cipher = reader.text(fields, "cipher")?;
    if NOT_BUILT.contains(&&*cipher) {
        return Some(not_built(reader, fields, "cipher", &format!("`cipher: {cipher}`"), name));
    }
    let Some((_, key_length)) = CIPHERS.iter().find(|(known, _)| *known == &*cipher) else {
        let shown = fields.get("cipher").and_then(|node| node.raw.as_deref()).unwrap_or(&cipher);
        let message = format!("proxy {index}: unknown method: {}", Shortened(shown));
        let near = tradewind_core::nearest(&cipher, CIPHERS.iter().map(|(name, _)| *name));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the ciphers are {}", CIPHERS.map(|(name, _)| name).join(", ")),
        };
        reader.refuse_at(fields, "cipher", message, &hint);
        return None;
    };
    let (server, port, password) = (server?, port?, password?);
    if password.expose().is_empty() {
        reader.refuse_at(fields, "password", format!("proxy {index}: missing password"), "");
        return None;
    }
    if let Some(length) = key_length
        && let Err(message) = check_keys(password.expose(), *length)
    {
        let hint = format!("`openssl rand -base64 {length}` makes one; several keys are separated by colons");
        reader.refuse_at(fields, "password", format!("proxy {index}: {message}"), &hint);
        return None;
    }
    Some(ProxyKind::Shadowsocks(ShadowsocksProxy { server, port, cipher, password }))
}

/// The keys of SIP022, of which all but the last are those of relays on the way (SIP023).
fn check_keys(password: &str, length: usize) -> Result<(), String> {
    for key in password.split(':') {
        let key = STANDARD.decode(key).map_err(|_| "decode key: illegal base64 data".to_owned())?;
        if key.len() != length {
            return Err(format!("bad key length, required {length}, got {}", key.len()));
        }
    }
    Ok(())
}

fn not_built(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &str,
    what: &str,
    name: Option<&Arc<str>>,
) -> ProxyKind {
    let message = format!(
        "{what} of Shadowsocks is not built: such proxies stay in their groups as not alive, and using one fails"
    );
    reader.say(fields.place(key), &fields.path_of(key), message, name);
    ProxyKind::NotBuilt(Arc::from("ss"))
}
