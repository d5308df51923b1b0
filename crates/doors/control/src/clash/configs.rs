//! `/configs`: what of the document a dashboard shows and changes. A change lasts until the next reload.

use std::net::IpAddr;
use std::path::{Component, Path};
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Map, Value};
use tradewind_door::Response;
use tradewind_policy::ways::{Inbound, Mode};

use super::answer::{Wrong, done, json, object, text};
use super::controller::{Inner, NewDocument, is_level};

/// What dashboards look at, in mihomo's order. Its keys for what is not built are left out, but for those that say so.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ConfigsView {
    port: u16,
    socks_port: u16,
    redir_port: u16,
    tproxy_port: u16,
    mixed_port: u16,
    tun: Tun,
    authentication: Option<Vec<String>>,
    skip_auth_prefixes: Option<Vec<String>>,
    lan_allowed_ips: Vec<String>,
    lan_disallowed_ips: Option<Vec<String>>,
    allow_lan: bool,
    bind_address: String,
    inbound_tfo: bool,
    inbound_mptcp: bool,
    mode: &'static str,
    unified_delay: bool,
    log_level: &'static str,
    ipv6: bool,
    interface_name: &'static str,
    routing_mark: u32,
    geo_auto_update: bool,
    geodata_mode: bool,
    tcp_concurrent: bool,
    find_process_mode: &'static str,
    sniffing: bool,
    global_ua: &'static str,
}

#[derive(Serialize)]
struct Tun {
    enable: bool,
    device: &'static str,
}

const GLOBAL_UA: &str = concat!("clash.meta tradewind/", env!("CARGO_PKG_VERSION"));

/// How things are now. Passwords are not shown.
pub(crate) fn show(inner: &Inner) -> Response {
    let inbound = (inner.needs.inbound)();
    let users = inbound.users.iter().map(|user| format!("{}:***", user.name));
    let users: Vec<String> = users.collect();
    let allowed = ranges(&inbound.lan_allowed);
    json(
        200,
        &ConfigsView {
            port: inbound.port.unwrap_or(0),
            socks_port: inbound.socks_port.unwrap_or(0),
            redir_port: 0,
            tproxy_port: 0,
            mixed_port: inbound.mixed_port.unwrap_or(0),
            tun: Tun { enable: false, device: "" },
            authentication: (!users.is_empty()).then_some(users),
            skip_auth_prefixes: ranges(&inbound.skip_auth),
            lan_allowed_ips: allowed.unwrap_or_else(|| vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()]),
            lan_disallowed_ips: ranges(&inbound.lan_disallowed),
            allow_lan: inbound.allow_lan,
            bind_address: inbound.bind_address.map_or_else(|| "*".to_owned(), |address| address.to_string()),
            inbound_tfo: false,
            inbound_mptcp: false,
            mode: mode_name(inner.needs.ways.mode()),
            unified_delay: false,
            log_level: inner.log_level(),
            ipv6: inner.needs.ways.set().spec.dns.ipv6,
            interface_name: "",
            routing_mark: 0,
            geo_auto_update: false,
            geodata_mode: false,
            tcp_concurrent: false,
            find_process_mode: "strict",
            sniffing: false,
            global_ua: GLOBAL_UA,
        },
    )
}

fn ranges(list: &[(IpAddr, u8)]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.iter().map(|(address, length)| format!("{address}/{length}")).collect())
}

const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Rule => "rule",
        Mode::Global => "global",
        Mode::Direct => "direct",
    }
}

/// What `PATCH` asks for, read as a whole before any of it is done.
#[derive(Debug, Default, PartialEq)]
struct Patch {
    mode: Option<Mode>,
    level: Option<String>,
    inbound: Vec<Listen>,
}

/// One thing about the ports of the relay.
#[derive(Clone, Debug, PartialEq)]
enum Listen {
    Port(Option<u16>),
    Socks(Option<u16>),
    Mixed(Option<u16>),
    AllowLan(bool),
    Bind(Option<IpAddr>),
    SkipAuth(Vec<(IpAddr, u8)>),
    Allowed(Vec<(IpAddr, u8)>),
    Disallowed(Vec<(IpAddr, u8)>),
}

impl Patch {
    fn parse(body: &[u8]) -> Result<Self, Wrong> {
        let mut patch = Self::default();
        for (key, value) in object(body)? {
            if value.is_null() {
                continue;
            }
            match key.as_str() {
                "mode" => patch.mode = Some(mode(word(&value)?)?),
                "log-level" => {
                    let level = word(&value)?.to_ascii_lowercase();
                    patch.level = Some(level).filter(|level| is_level(level));
                    patch.level.as_ref().ok_or(Wrong::Body)?;
                }
                "port" => patch.inbound.push(Listen::Port(port(&value)?)),
                "socks-port" => patch.inbound.push(Listen::Socks(port(&value)?)),
                "mixed-port" => patch.inbound.push(Listen::Mixed(port(&value)?)),
                "allow-lan" => patch.inbound.push(Listen::AllowLan(value.as_bool().ok_or(Wrong::Body)?)),
                "bind-address" => {
                    let address = match word(&value)? {
                        "*" | "" => None,
                        text => Some(text.trim_matches(['[', ']']).parse().map_err(|_| Wrong::Body)?),
                    };
                    patch.inbound.push(Listen::Bind(address));
                }
                "skip-auth-prefixes" => patch.inbound.push(Listen::SkipAuth(prefixes(&value)?)),
                "lan-allowed-ips" => patch.inbound.push(Listen::Allowed(prefixes(&value)?)),
                "lan-disallowed-ips" => patch.inbound.push(Listen::Disallowed(prefixes(&value)?)),
                // What is not built, and what nobody knows, changes nothing, as in mihomo.
                _ => {}
            }
        }
        Ok(patch)
    }
}

fn word(value: &Value) -> Result<&str, Wrong> {
    value.as_str().ok_or(Wrong::Body)
}

fn mode(text: &str) -> Result<Mode, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "rule" => Ok(Mode::Rule),
        "global" => Ok(Mode::Global),
        "direct" => Ok(Mode::Direct),
        _ => Err(Wrong::Body),
    }
}

/// A port; 0 closes it.
fn port(value: &Value) -> Result<Option<u16>, Wrong> {
    let port = value.as_u64().and_then(|port| u16::try_from(port).ok()).ok_or(Wrong::Body)?;
    Ok((port > 0).then_some(port))
}

fn prefixes(value: &Value) -> Result<Vec<(IpAddr, u8)>, Wrong> {
    let items = value.as_array().ok_or(Wrong::Body)?;
    items.iter().map(|item| item.as_str().and_then(prefix).ok_or(Wrong::Body)).collect()
}

fn prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let address = IpAddr::from_str(address).ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.parse().ok().filter(|length| *length <= most).map(|length| (address, length))
}

/// Changes what `body` names. A port that cannot be opened is an error here, and nothing has changed; mihomo closes the port
/// before and says nothing.
pub(crate) fn patch(inner: &Inner, body: &[u8]) -> Result<Response, Wrong> {
    let patch = Patch::parse(body)?;
    if !patch.inbound.is_empty() {
        let mut inbound = (inner.needs.inbound)();
        patch.inbound.into_iter().for_each(|change| apply(&mut inbound, change));
        (inner.needs.set_inbound)(inbound).map_err(|error| Wrong::said(400, error))?;
    }
    if let Some(mode) = patch.mode {
        inner.needs.ways.set_mode(mode);
    }
    if let Some(level) = patch.level {
        inner.set_log_level(&level);
    }
    Ok(done())
}

fn apply(inbound: &mut Inbound, change: Listen) {
    match change {
        Listen::Port(port) => inbound.port = port,
        Listen::Socks(port) => inbound.socks_port = port,
        Listen::Mixed(port) => inbound.mixed_port = port,
        Listen::AllowLan(allow) => inbound.allow_lan = allow,
        Listen::Bind(address) => inbound.bind_address = address,
        Listen::SkipAuth(ranges) => inbound.skip_auth = ranges,
        Listen::Allowed(ranges) => inbound.lan_allowed = ranges,
        Listen::Disallowed(ranges) => inbound.lan_disallowed = ranges,
    }
}

/// What `PUT` asks for.
fn asked(home: &Path, body: &Map<String, Value>) -> Result<NewDocument, Wrong> {
    let (payload, path) = (text(body, "payload")?, text(body, "path")?);
    if !payload.is_empty() {
        return Ok(NewDocument::Text(payload.to_owned()));
    }
    if path.is_empty() {
        return Ok(NewDocument::Again);
    }
    let asked = Path::new(path);
    if !asked.is_absolute() {
        return Err(Wrong::said(400, "path is not a absolute path"));
    }
    // A link below the directory that leads out of it is out of it.
    let real = asked.canonicalize().unwrap_or_else(|_| asked.to_owned());
    let home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    if !real.starts_with(&home) || real.components().any(|part| part == Component::ParentDir) {
        let allowed = home.display();
        let message =
            format!("path is not subpath of home directory or SAFE_PATHS: {path} \n allowed paths: [{allowed}]");
        return Err(Wrong::said(400, message));
    }
    Ok(NewDocument::File(real))
}

/// Puts another document in place. Blocks.
pub(crate) fn put(inner: &Inner, body: &[u8]) -> Result<Response, Wrong> {
    let asked = asked(&inner.needs.home, &object(body)?)?;
    (inner.needs.reload)(asked).map(|()| done()).map_err(|error| Wrong::said(400, error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_be_patched() {
        let parsed = |text: &str| Patch::parse(text.as_bytes());
        let patch = parsed(r#"{"mode":"GLOBAL","log-level":"debug","mixed-port":7,"socks-port":0,"zz":1,"tun":null}"#);
        let patch = patch.unwrap();
        assert_eq!((patch.mode, patch.level.as_deref()), (Some(Mode::Global), Some("debug")));
        assert_eq!(patch.inbound, [Listen::Mixed(Some(7)), Listen::Socks(None)]);
        assert_eq!(parsed(r#"{"mode":null}"#).unwrap(), Patch::default());
        assert_eq!(parsed("null").unwrap(), Patch::default());
        let range = parsed(r#"{"lan-allowed-ips":["10.0.0.0/8"],"bind-address":"*","allow-lan":true}"#).unwrap();
        let wanted = Listen::Allowed(vec![("10.0.0.0".parse().unwrap(), 8)]);
        assert!(range.inbound.contains(&wanted) && range.inbound.contains(&Listen::Bind(None)));
        for wrong in [
            "",
            "[]",
            "{",
            r#"{"mode":"zz"}"#,
            r#"{"mode":1}"#,
            r#"{"log-level":"zz"}"#,
            r#"{"mixed-port":"x"}"#,
            r#"{"mixed-port":65536}"#,
            r#"{"mixed-port":-1}"#,
            r#"{"allow-lan":"yes"}"#,
            r#"{"bind-address":"x"}"#,
            r#"{"lan-allowed-ips":["x"]}"#,
            r#"{"lan-allowed-ips":["10.0.0.0/33"]}"#,
        ] {
            assert_eq!(parsed(wrong), Err(Wrong::Body), "{wrong}");
        }
    }

    #[test]
    fn only_files_below_the_configuration_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let inside = home.join("a.yaml");
        std::fs::File::create(&inside).unwrap();
        let outside = folder.path().join("b.yaml");
        std::fs::File::create(&outside).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&outside, home.join("link.yaml")).unwrap();
        let of = |path: &Path| asked(&home, json!({ "path": path }).as_object().unwrap());
        assert_eq!(of(&inside), Ok(NewDocument::File(inside.canonicalize().unwrap())));
        for refused in [&outside, &home.join("link.yaml"), &home.join("../b.yaml"), &home.join("../zz/../b.yaml")] {
            let Err(Wrong::Said(400, message)) = of(refused) else { panic!("{}", refused.display()) };
            assert!(message.contains("not subpath of home directory"), "{message}");
        }
        assert_eq!(of(Path::new("a.yaml")), Err(Wrong::said(400, "path is not a absolute path")));
        assert_eq!(asked(&home, &Map::new()), Ok(NewDocument::Again));
        let text = json!({"payload": "mode: rule", "path": "/x"});
        assert_eq!(asked(&home, text.as_object().unwrap()), Ok(NewDocument::Text("mode: rule".to_owned())));
    }
}
