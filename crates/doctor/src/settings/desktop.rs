//! The proxy that the desktop or the system's own settings name: browsers use it, the go command does not read it.

use super::{Environment, program};
use crate::System;

/// What the system's settings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Desktop {
    /// A proxy, as `host:port`.
    Proxy {
        /// Where it is.
        address: String,
        /// The command that shows the setting.
        shown_by: &'static str,
    },
    /// A script that says which proxy.
    Script {
        /// Its URL.
        url: String,
        /// The command that shows the setting.
        shown_by: &'static str,
    },
}

const GNOME: &str = "gsettings list-recursively org.gnome.system.proxy";
const MACOS: &str = "scutil --proxy";
/// The keys of Windows that name a proxy, each with the command that shows it: what a group policy says comes before what the
/// user has set.
const WINDOWS: [(&str, &str); 3] = [
    (
        r"HKCU\Software\Policies\Microsoft\Windows\CurrentVersion\Internet Settings",
        r#"reg query "HKCU\Software\Policies\Microsoft\Windows\CurrentVersion\Internet Settings""#,
    ),
    (
        r"HKLM\Software\Policies\Microsoft\Windows\CurrentVersion\Internet Settings",
        r#"reg query "HKLM\Software\Policies\Microsoft\Windows\CurrentVersion\Internet Settings""#,
    ),
    (
        r"HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings",
        r#"reg query "HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings""#,
    ),
];

impl Desktop {
    /// Asks the system's own tool; `None` when there is none, or it names nothing. Those of macOS and Windows are read by
    /// what their tools document and were never tried there.
    #[must_use]
    pub(crate) fn find(environment: &Environment, system: System) -> Option<Self> {
        let ask = |name: &str, args: &[&str]| {
            program::find(name, environment, system).and_then(|program| program::output(&program, args, &[]))
        };
        match system {
            System::Linux => gnome(&ask("gsettings", &["list-recursively", "org.gnome.system.proxy"])?),
            System::MacOs => macos(&ask("scutil", &["--proxy"])?),
            System::Windows => windows(|key| ask("reg", &["query", key])),
        }
    }
}

/// Lines such as `org.gnome.system.proxy.https host 'proxy.example.com'`.
fn gnome(text: &str) -> Option<Desktop> {
    let value = |schema: &str, key: &str| {
        let mut lines = text.lines().filter_map(|line| {
            let mut words = line.splitn(3, ' ');
            (words.next() == Some(schema) && words.next() == Some(key)).then(|| words.next().unwrap_or_default())
        });
        lines.next().map(|value| value.trim().trim_matches('\'').to_owned()).filter(|value| !value.is_empty())
    };
    match value("org.gnome.system.proxy", "mode")?.as_str() {
        "auto" => Some(Desktop::Script { url: value("org.gnome.system.proxy", "autoconfig-url")?, shown_by: GNOME }),
        "manual" => {
            let of = |schema: &str| Some((value(schema, "host")?, value(schema, "port").filter(|port| port != "0")?));
            let (host, port) = of("org.gnome.system.proxy.https").or_else(|| of("org.gnome.system.proxy.http"))?;
            Some(Desktop::Proxy { address: format!("{host}:{port}"), shown_by: GNOME })
        }
        _ => None,
    }
}

/// Lines such as `  HTTPSProxy : proxy.example.com`.
fn macos(text: &str) -> Option<Desktop> {
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(" : "));
        lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
    };
    if value("HTTPSEnable").as_deref() == Some("1") {
        let (host, port) = (value("HTTPSProxy")?, value("HTTPSPort")?);
        return Some(Desktop::Proxy { address: format!("{host}:{port}"), shown_by: MACOS });
    }
    if value("ProxyAutoConfigEnable").as_deref() == Some("1") {
        return Some(Desktop::Script { url: value("ProxyAutoConfigURLString")?, shown_by: MACOS });
    }
    None
}

/// The first key that names one; `query` gives what `reg query KEY` prints.
fn windows(query: impl Fn(&str) -> Option<String>) -> Option<Desktop> {
    WINDOWS.into_iter().find_map(|(key, shown_by)| of_key(&query(key)?, shown_by))
}

/// Lines such as `    ProxyServer    REG_SZ    proxy.example.com:8080`.
fn of_key(text: &str, shown_by: &'static str) -> Option<Desktop> {
    let value = |key: &str| {
        let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.find(|words| words.len() >= 3 && words[0] == key).map(|words| words[2..].join(" "))
    };
    if value("ProxyEnable").as_deref() == Some("0x1") {
        let servers = value("ProxyServer")?;
        let https = servers.split(';').find_map(|part| part.strip_prefix("https="));
        let address = https.unwrap_or_else(|| servers.split(';').next().unwrap_or_default());
        return Some(Desktop::Proxy { address: address.to_owned(), shown_by });
    }
    value("AutoConfigURL").map(|url| Desktop::Script { url, shown_by })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_systems_tool_is_understood() {
        let text = "org.gnome.system.proxy mode 'manual'\norg.gnome.system.proxy autoconfig-url ''\n\
                    org.gnome.system.proxy.https host 'proxy.example.com'\norg.gnome.system.proxy.https port 8080\n";
        let address = |address: &str, shown_by| Some(Desktop::Proxy { address: address.to_owned(), shown_by });
        let script = |url: &str, shown_by| Some(Desktop::Script { url: url.to_owned(), shown_by });
        assert_eq!(gnome(text), address("proxy.example.com:8080", GNOME));
        assert_eq!(gnome(&text.replace("'manual'", "'none'")), None);
        let auto = text.replace("'manual'", "'auto'").replace("url ''", "url 'http://wpad/x.pac'");
        assert_eq!(gnome(&auto), script("http://wpad/x.pac", GNOME));
        let text = "<dictionary> {\n  HTTPSEnable : 1\n  HTTPSPort : 3128\n  HTTPSProxy : proxy.example.com\n}";
        assert_eq!(macos(text), address("proxy.example.com:3128", MACOS));
        assert_eq!(macos(&text.replace("Enable : 1", "Enable : 0")), None);
        assert_eq!((gnome(""), macos("")), (None, None));
    }

    #[test]
    fn a_group_policy_comes_before_the_user_of_windows() {
        let [policy, machine, user] = WINDOWS;
        let of_user = "    ProxyEnable    REG_DWORD    0x1\n    ProxyServer    REG_SZ    http=a:1;https=b:2\n";
        let of_policy = "    AutoConfigURL    REG_SZ    http://wpad/x.pac\n";
        let proxy = Some(Desktop::Proxy { address: "b:2".to_owned(), shown_by: user.1 });
        let script = |shown_by| Some(Desktop::Script { url: "http://wpad/x.pac".to_owned(), shown_by });
        let registry = |texts: &[(&str, &str)]| {
            windows(|key| texts.iter().find(|(own, _)| *own == key).map(|(_, text)| (*text).to_owned()))
        };
        assert_eq!(registry(&[(user.0, of_user)]), proxy);
        assert_eq!(registry(&[(user.0, of_user), (policy.0, of_policy)]), script(policy.1));
        assert_eq!(registry(&[(user.0, of_user), (machine.0, of_policy)]), script(machine.1));
        // A policy about something else says nothing of it.
        assert_eq!(registry(&[(user.0, of_user), (policy.0, "    Autodetect    REG_DWORD    0x0\n")]), proxy);
        assert_eq!(registry(&[(user.0, &of_user.replace("0x1", "0x0"))]), None);
        assert_eq!(registry(&[]), None);
    }
}
