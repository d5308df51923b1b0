//! The paths of the controller.

use tradewind_core::percent_decoded;

/// What a path stands for; names are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Hello,
    Version,
    Traffic,
    Memory,
    Logs,
    /// `/ui` without its slash.
    UiStart,
    /// What stands behind `/ui/`.
    Ui(Vec<String>),
    Configs,
    Geo,
    Proxies,
    Proxy(String),
    ProxyDelay(String),
    Groups,
    Group(String),
    GroupDelay(String),
    Providers,
    Provider(String),
    ProviderCheck(String),
    ProviderProxy(String, String),
    ProviderProxyCheck(String, String),
    RuleProviders,
    RuleProvider(String),
    Rules,
    RulesDisable,
    Connections,
    Connection(String),
    FlushFakeIp,
    FlushDns,
    DnsQuery,
    Storage(String),
    Restart,
    Upgrade,
    UpgradeUi,
    UpgradeGeo,
    Context,
    Explain,
    /// Below the name of something that has no such part; the first is the family.
    NoPart(Family, String),
}

/// What looks up a name before it looks at the rest of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Proxy,
    Group,
    Provider,
}

/// A path that is not percent-encoded properly.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadEncoding;

impl Route {
    /// Reads a path; `Ok(None)` when it stands for nothing.
    pub(crate) fn parse(path: &str) -> Result<Option<Self>, BadEncoding> {
        let Some(path) = path.strip_prefix('/') else { return Ok(None) };
        let segments = path.split('/').map(decoded).collect::<Result<Vec<String>, BadEncoding>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Ok(Self::of(&segments))
    }

    fn of(segments: &[&str]) -> Option<Self> {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        Some(match segments {
            [""] => Self::Hello,
            ["version"] => Self::Version,
            ["traffic"] => Self::Traffic,
            ["memory"] => Self::Memory,
            ["logs"] => Self::Logs,
            ["ui"] => Self::UiStart,
            ["ui", rest @ ..] => Self::Ui(rest.iter().map(|part| (*part).to_owned()).collect()),
            ["configs"] | ["configs", ""] => Self::Configs,
            ["configs", "geo"] => Self::Geo,
            ["proxies"] | ["proxies", ""] => Self::Proxies,
            ["proxies", name] => Self::Proxy(named(name)?),
            ["proxies", name, "delay"] => Self::ProxyDelay(named(name)?),
            ["proxies", name, ..] => Self::NoPart(Family::Proxy, named(name)?),
            ["group"] | ["group", ""] => Self::Groups,
            ["group", name] => Self::Group(named(name)?),
            ["group", name, "delay"] => Self::GroupDelay(named(name)?),
            ["group", name, ..] => Self::NoPart(Family::Group, named(name)?),
            ["providers", "proxies"] | ["providers", "proxies", ""] => Self::Providers,
            ["providers", "proxies", list] | ["providers", "proxies", list, ""] => Self::Provider(named(list)?),
            ["providers", "proxies", list, "healthcheck"] => Self::ProviderCheck(named(list)?),
            ["providers", "proxies", list, name] | ["providers", "proxies", list, name, ""] => {
                Self::ProviderProxy(named(list)?, named(name)?)
            }
            ["providers", "proxies", list, name, "healthcheck"] => Self::ProviderProxyCheck(named(list)?, named(name)?),
            ["providers", "proxies", list, ..] => Self::NoPart(Family::Provider, named(list)?),
            ["providers", "rules"] | ["providers", "rules", ""] => Self::RuleProviders,
            ["providers", "rules", list] => Self::RuleProvider(named(list)?),
            ["rules"] | ["rules", ""] => Self::Rules,
            ["rules", "disable"] => Self::RulesDisable,
            ["connections"] | ["connections", ""] => Self::Connections,
            ["connections", id] => Self::Connection(named(id)?),
            ["cache", "fakeip", "flush"] => Self::FlushFakeIp,
            ["cache", "dns", "flush"] => Self::FlushDns,
            ["dns", "query"] => Self::DnsQuery,
            ["storage", key] => Self::Storage(named(key)?),
            ["restart"] | ["restart", ""] => Self::Restart,
            ["upgrade"] | ["upgrade", ""] => Self::Upgrade,
            ["upgrade", "ui"] => Self::UpgradeUi,
            ["upgrade", "geo"] => Self::UpgradeGeo,
            ["network", "context"] => Self::Context,
            ["network", "explain"] => Self::Explain,
            _ => return None,
        })
    }

    /// The methods that it takes, as in `Allow`.
    pub(crate) const fn methods(&self) -> &'static str {
        match self {
            Self::Configs => "GET, PUT, PATCH",
            Self::Proxy(_) => "GET, PUT, DELETE",
            Self::Provider(_) => "GET, PUT",
            Self::RuleProvider(_) => "PUT",
            Self::RulesDisable => "PATCH",
            Self::Connections => "GET, DELETE",
            Self::Connection(_) => "DELETE",
            Self::Geo
            | Self::FlushFakeIp
            | Self::FlushDns
            | Self::Restart
            | Self::Upgrade
            | Self::UpgradeUi
            | Self::UpgradeGeo => "POST",
            Self::Storage(_) => "GET, PUT, DELETE",
            Self::Context => "GET, PUT, DELETE",
            _ => "GET",
        }
    }

    /// Whether it has no others below it. Of these mihomo says which method they take to those without the secret, too.
    pub(crate) const fn is_alone(&self) -> bool {
        matches!(
            self,
            Self::Hello | Self::Version | Self::Traffic | Self::Memory | Self::Logs | Self::UiStart | Self::Ui(_)
        )
    }

    /// Whether it is shown to anybody: the files of a dashboard hold no secret, and a browser has none to send for them.
    pub(crate) const fn is_public(&self) -> bool {
        matches!(self, Self::UiStart | Self::Ui(_))
    }
}

/// A part of a path without its percent-encoding.
fn decoded(segment: &str) -> Result<String, BadEncoding> {
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = segment.as_bytes();
    let broken = bytes
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'%' && !(is_hex(bytes.get(at + 1)) && is_hex(bytes.get(at + 2))));
    if broken { Err(BadEncoding) } else { Ok(percent_decoded(segment)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_part_by_part() {
        let parsed = |path: &str| Route::parse(path).unwrap();
        assert_eq!(parsed("/proxies/dead%2Fx%20%C3%A9"), Some(Route::Proxy("dead/x é".to_owned())));
        assert_eq!(parsed("/proxies/dead/x"), Some(Route::NoPart(Family::Proxy, "dead".to_owned())));
        assert_eq!(parsed("/proxies/delay/delay"), Some(Route::ProxyDelay("delay".to_owned())));
        assert_eq!(parsed("/proxies/"), Some(Route::Proxies));
        assert_eq!(parsed("/proxies//delay"), None);
        assert_eq!(parsed("/version/"), None);
        assert_eq!(parsed("//version"), None);
        assert_eq!(parsed("/"), Some(Route::Hello));
        assert_eq!(parsed("/ui/a/%2e%2e/b"), Some(Route::Ui(["a", "..", "b"].map(str::to_owned).to_vec())));
        for wrong in ["/proxies/%zz", "/proxies/%", "/proxies/%1", "/%2"] {
            assert_eq!(Route::parse(wrong), Err(BadEncoding), "{wrong}");
        }
        for nothing in ["", "*", "/storage", "/storage/", "/cache", "/providers", "/x/y", "/cache/zz/flush"] {
            assert_eq!(parsed(nothing), None, "{nothing}");
        }
    }
}
