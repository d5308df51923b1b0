//! `proxy-providers` and `rule-providers`: lists from elsewhere.

mod keys;
mod place;

use std::sync::Arc;
use std::time::Duration;

use tradewind_core::{Secret, nearest};

use self::keys::{HEALTH_KEYS, OVERRIDE_KEYS};
pub(super) use self::keys::{PROXY_PROVIDER_KEYS, RULE_PROVIDER_KEYS};
pub(super) use self::place::inside;
use super::groups::{TEST_URL, TIMEOUT};
use super::reader::{Fields, Reader};
use super::{patterns, proxies, status};
use crate::node::{Node, Place, Shortened};
use crate::ways::{HealthCheck, Proxy, ProxyProvider, RuleBehavior, RuleFormat, RuleProvider, Vehicle};

/// The most bytes of a list from elsewhere, whatever `size-limit` says.
pub const LARGEST_LIST: u64 = 16 * 1024 * 1024;

/// A provider of proxies with its places.
pub(super) struct PlacedProvider {
    pub(super) provider: ProxyProvider,
    pub(super) dialer: (Place, String),
    pub(super) via: (Place, String),
    /// The `dialer-proxy` of each proxy of an inline payload that has one, with the proxy's name.
    pub(super) inline_dialers: Vec<(Arc<str>, Arc<str>, Place, String)>,
}

/// Reads the provider of proxies `name` at `path`.
pub(super) fn proxy_provider(
    reader: &mut Reader<'_>,
    name: &Arc<str>,
    name_place: Place,
    node: &Node,
    path: &str,
) -> Option<PlacedProvider> {
    if &**name == "default" {
        reader.refuse(name_place, path, "can not defined a provider called `default`", "give it another name");
    }
    let fields = reader.any_map(node, path)?;
    reader.check_keys(&fields, PROXY_PROVIDER_KEYS, Some(name));
    let whose = format!("parse proxy provider {} error", Shortened(name));
    let kind = vehicle_type(reader, &fields, &whose)?;
    let mut inline_dialers = Vec::new();
    let vehicle = match kind {
        "inline" => Some(Vehicle::InlineProxies(inline_proxies(reader, &fields, &whose, &mut inline_dialers))),
        _ => vehicle(reader, &fields, kind, &whose),
    };
    let over = fields.get("override").and_then(|node| reader.map(node, &fields.path_of("override"), OVERRIDE_KEYS));
    let text = |reader: &mut Reader<'_>, key: &str| {
        let text = over.as_ref().and_then(|over| reader.text(over, key));
        text.map_or_else(String::new, |text| text.as_ref().to_owned())
    };
    let (prefix, suffix) = (text(reader, "additional-prefix"), text(reader, "additional-suffix"));
    let own = over.as_ref().filter(|over| over.has("dialer-proxy"));
    let dialer_at = own.unwrap_or(&fields);
    let dialer = reader.text(dialer_at, "dialer-proxy").filter(|name| !name.is_empty());
    let provider = ProxyProvider {
        name: Arc::clone(name),
        health_check: health_check(reader, &fields, &whose),
        filter: patterns::read(reader, &fields, "filter"),
        exclude_filter: patterns::read(reader, &fields, "exclude-filter"),
        exclude_type: patterns::types(reader, &fields),
        prefix,
        suffix,
        dialer,
        udp: over.as_ref().and_then(|over| reader.flag(over, "udp")),
        skip_cert_verify: over.as_ref().and_then(|over| reader.flag(over, "skip-cert-verify")),
        vehicle: vehicle?,
    };
    Some(PlacedProvider {
        provider,
        dialer: (dialer_at.place("dialer-proxy"), dialer_at.path_of("dialer-proxy")),
        via: (fields.place("proxy"), fields.path_of("proxy")),
        inline_dialers,
    })
}

/// Reads the provider of rules `name` at `path`, and where its `proxy` stands.
pub(super) fn rule_provider(
    reader: &mut Reader<'_>,
    name: &Arc<str>,
    node: &Node,
    path: &str,
) -> Option<(RuleProvider, (Place, String))> {
    let fields = reader.any_map(node, path)?;
    reader.check_keys(&fields, RULE_PROVIDER_KEYS, Some(name));
    let whose = format!("parse rule provider {} error", Shortened(name));
    let missing: Vec<&str> = ["behavior", "type"].into_iter().filter(|key| !fields.has(key)).collect();
    if !missing.is_empty() {
        reader.refuse(node.place, path, format!("{whose}: unset fields: {}", missing.join(", ")), "");
        return None;
    }
    let behavior = match reader.word(&fields, "behavior", &["domain", "ipcidr", "classical"]) {
        Some("domain") => Some(RuleBehavior::Domain),
        Some("ipcidr") => Some(RuleBehavior::IpCidr),
        Some(_) => Some(RuleBehavior::Classical),
        None => None,
    };
    let format = match reader.word(&fields, "format", &["yaml", "text", "mrs"]) {
        Some("text") => RuleFormat::Text,
        Some("mrs") => RuleFormat::Mrs,
        _ => RuleFormat::Yaml,
    };
    if format == RuleFormat::Mrs && behavior == Some(RuleBehavior::Classical) {
        let hint = "`mrs` holds domains or ranges of addresses";
        reader.refuse_at(&fields, "format", format!("{whose}: `classical` has no format `mrs`"), hint);
    }
    let kind = vehicle_type(reader, &fields, &whose)?;
    let vehicle = match kind {
        "inline" => {
            let lines = reader.texts(&fields, "payload");
            Some(Vehicle::InlineRules(lines.into_iter().map(|line| line.as_ref().to_owned()).collect()))
        }
        _ => vehicle(reader, &fields, kind, &whose),
    };
    let via = (fields.place("proxy"), fields.path_of("proxy"));
    Some((RuleProvider { name: Arc::clone(name), behavior: behavior?, format, vehicle: vehicle? }, via))
}

fn vehicle_type(reader: &mut Reader<'_>, fields: &Fields<'_>, whose: &str) -> Option<&'static str> {
    const TYPES: [&str; 3] = ["http", "file", "inline"];
    if !fields.has("type") {
        reader.refuse(fields.node.place, &fields.path, format!("{whose}: unset fields: type"), "");
        return None;
    }
    let node = fields.get("type")?;
    let text = node.as_str().unwrap_or_default();
    let found = TYPES.into_iter().find(|known| *known == text);
    if found.is_none() {
        let shown = node.raw.as_deref().unwrap_or(text);
        let hint = match nearest(text, TYPES) {
            Some(right) => format!("did you mean `{right}`?"),
            None => format!("one of {}", TYPES.join(", ")),
        };
        reader.refuse_at(fields, "type", format!("{whose}: unsupport vehicle type: {}", Shortened(shown)), &hint);
    }
    found
}

fn vehicle(reader: &mut Reader<'_>, fields: &Fields<'_>, kind: &str, whose: &str) -> Option<Vehicle> {
    let path = reader.text(fields, "path").filter(|path| !path.is_empty());
    if path.as_ref().is_some_and(|path| !inside(path)) {
        let message = format!("{whose}: path is not subpath of home directory");
        reader.refuse_at(fields, "path", message, "a path below the directory of the configuration, without ..");
        return None;
    }
    let path = path.map(|path| path.as_ref().to_owned());
    if kind == "file" {
        if path.is_none() && !fields.get("path").is_some_and(Node::is_broken) {
            reader.refuse(fields.node.place, &fields.path, format!("{whose}: unset fields: path"), "");
        }
        return Some(Vehicle::File { path: path? });
    }
    if !fields.has("url") {
        reader.refuse(fields.node.place, &fields.path, format!("{whose}: unset fields: url"), "");
    }
    let size_limit = reader.whole(fields, "size-limit", 0..=i64::MAX).and_then(|size| u64::try_from(size).ok());
    Some(Vehicle::Http {
        url: Secret::new(status::url(reader, fields, "url")?),
        path,
        interval: reader.seconds(fields, "interval").unwrap_or(Duration::ZERO),
        via: reader.text(fields, "proxy").filter(|name| !name.is_empty()),
        headers: headers(reader, fields),
        size_limit: size_limit.unwrap_or(0).min(LARGEST_LIST),
    })
}

/// `header`: names with lists of values.
fn headers(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<(String, Secret<String>)> {
    let Some(node) = fields.get("header") else { return Vec::new() };
    let mut headers = Vec::new();
    for (name, place, value, path) in reader.entries(node, &fields.path_of("header")) {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            let message = format!("`{}` is not the name of a header", Shortened(name));
            reader.refuse(place, path, message, "letters, digits and hyphens");
            continue;
        }
        let values = if value.as_str().is_some() { vec![(value, path)] } else { reader.items(value, &path) };
        for (value, path) in values {
            let Some(text) = reader.text_of(value, &path) else { continue };
            if http::HeaderValue::from_str(&text).is_err() {
                let message = format!("the value of the header `{name}` cannot be sent");
                reader.refuse(value.place, path, message, "no line breaks or control characters");
                continue;
            }
            headers.push((name.as_ref().to_owned(), Secret::new(text.as_ref().to_owned())));
        }
    }
    headers
}

fn inline_proxies(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    whose: &str,
    dialers: &mut Vec<(Arc<str>, Arc<str>, Place, String)>,
) -> Vec<Proxy> {
    let payload = fields.get("payload");
    let items = payload.map(|node| reader.items(node, &fields.path_of("payload"))).unwrap_or_default();
    if items.is_empty() && !payload.is_some_and(Node::is_broken) {
        reader.refuse_at(fields, "payload", format!("{whose}: file doesn't have any proxy"), "");
    }
    let mut list = Vec::with_capacity(items.len());
    for (index, (node, path)) in items.into_iter().enumerate() {
        let Some(proxy) = proxies::proxy(reader, node, &path, index) else { continue };
        if let (Some(dialer), Some(at)) = (&proxy.dialer, node.get("dialer-proxy")) {
            dialers.push((Arc::clone(&proxy.name), Arc::clone(dialer), at.place, format!("{path}.dialer-proxy")));
        }
        list.push(proxy);
    }
    list
}

fn health_check(reader: &mut Reader<'_>, fields: &Fields<'_>, whose: &str) -> Option<HealthCheck> {
    let check = reader.map(fields.get("health-check")?, &fields.path_of("health-check"), HEALTH_KEYS)?;
    let interval = reader.seconds(&check, "interval");
    let timeout = reader.millis(&check, "timeout").filter(|timeout| !timeout.is_zero());
    Some(HealthCheck {
        enable: reader.flag(&check, "enable").unwrap_or(false),
        url: status::url(reader, &check, "url").unwrap_or_else(|| TEST_URL.to_owned()),
        // As in mihomo, a check that is on has an interval.
        interval: interval.filter(|interval| !interval.is_zero()).unwrap_or(Duration::from_secs(300)),
        timeout: timeout.unwrap_or(TIMEOUT),
        lazy: reader.flag(&check, "lazy").unwrap_or(true),
        expected_status: status::expected(reader, &check, whose),
    })
}
