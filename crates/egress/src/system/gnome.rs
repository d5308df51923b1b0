//! GNOME's proxy settings, as its program `gsettings` prints them.

use std::collections::HashMap;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tradewind_core::Secret;
use tradewind_policy::ways::{HttpProxy, ProxyAuth, ProxyKind};

use super::bypass::Bypass;
use super::environment::{Named, named};

/// What is asked.
const SCHEMA: &str = "org.gnome.system.proxy";
/// The most that is read of the answer.
const LARGEST: u64 = 256 * 1024;

/// What the desktop says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Desktop {
    /// There are no settings, or they say that there is no proxy: which, in words.
    None(&'static str),
    /// Proxies by name.
    Manual(Box<Manual>),
    /// A script: its URL, `wpad` where none is given.
    Script(Arc<str>),
}

/// Proxies by what they are for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Manual {
    pub(super) http: Option<Named>,
    pub(super) https: Option<Named>,
    pub(super) socks: Option<Named>,
    pub(super) bypass: Bypass,
}

/// Asks the desktop. Blocks for some milliseconds, until the program has ended.
pub(super) fn ask() -> Desktop {
    let started = Command::new("gsettings")
        .args(["list-recursively", SCHEMA])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else { return Desktop::None("there are no desktop settings that could be read") };
    let mut bytes = Vec::new();
    let read = child.stdout.take().map(|out| out.take(LARGEST).read_to_end(&mut bytes));
    // Closed by now: the program ends, or is ended by writing on.
    let ended = child.wait();
    if !matches!(read, Some(Ok(_))) || !ended.is_ok_and(|status| status.success()) {
        return Desktop::None("the desktop has no proxy settings");
    }
    parse(&String::from_utf8_lossy(&bytes))
}

/// Reads lines of `schema key value`; a value is a GVariant in its text form.
pub(super) fn parse(text: &str) -> Desktop {
    let mut values: HashMap<(&str, &str), &str> = HashMap::new();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        if let (Some(schema), Some(key), Some(value)) = (words.next(), words.next(), words.next()) {
            let schema = schema.strip_prefix(SCHEMA).unwrap_or(schema).trim_start_matches('.');
            values.insert((schema, key), value.trim());
        }
    }
    let string = |schema, key| {
        values.get(&(schema, key)).and_then(|value| strings(value).into_iter().next()).unwrap_or_default()
    };
    match &*string("", "mode") {
        "manual" => {}
        "auto" => {
            let url = string("", "autoconfig-url");
            return Desktop::Script(if url.is_empty() { "wpad".into() } else { url.into() });
        }
        "none" => return Desktop::None("the desktop's settings say that there is no proxy"),
        _ => return Desktop::None("the desktop has no proxy settings"),
    }
    let proxy = |schema: &'static str, scheme: &str| {
        let (host, port) = (string(schema, "host"), values.get(&(schema, "port")).copied().unwrap_or_default());
        if host.is_empty() || port == "0" || port.is_empty() {
            return None;
        }
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        named(&format!("{scheme}://{host}:{port}")).ok()
    };
    let mut http = proxy("http", "http");
    if values.get(&("http", "use-authentication")) == Some(&"true")
        && let Some(Named { kind: ProxyKind::Http(HttpProxy { username, password, auth, .. }), has_login, .. }) =
            &mut http
    {
        let user = string("http", "authentication-user");
        if !user.is_empty() {
            *username = Some(user.into());
            *password = Some(Secret::new(string("http", "authentication-password")));
            *auth = vec![ProxyAuth::Basic];
            *has_login = true;
        }
    }
    let ignored = values.get(&("", "ignore-hosts")).map(|value| strings(value)).unwrap_or_default();
    Desktop::Manual(Box::new(Manual {
        http,
        https: proxy("https", "http"),
        socks: proxy("socks", "socks5"),
        bypass: Bypass::of_gnome(&ignored),
    }))
}

/// The strings of a value: `'one'`, `['one', "it's"]`, `@as []`.
fn strings(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut letters = value.chars();
    while let Some(quote) = letters.by_ref().find(|letter| matches!(letter, '\'' | '"')) {
        let mut text = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => text.extend(letters.next()),
                letter if letter == quote => break,
                letter => text.push(letter),
            }
        }
        found.push(text);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Destination;

    /// As the program prints it.
    fn settings(mode: &str, more: &str) -> String {
        format!(
            "org.gnome.system.proxy autoconfig-url ''\norg.gnome.system.proxy ignore-hosts ['localhost', '127.0.0.0/8', '::1']\n\
             org.gnome.system.proxy mode '{mode}'\norg.gnome.system.proxy use-same-proxy true\n\
             org.gnome.system.proxy.ftp host ''\norg.gnome.system.proxy.ftp port 0\n\
             org.gnome.system.proxy.http authentication-password ''\norg.gnome.system.proxy.http authentication-user ''\n\
             org.gnome.system.proxy.http enabled false\norg.gnome.system.proxy.http use-authentication false\n{more}"
        )
    }

    #[test]
    fn the_mode_says_what_counts() {
        assert!(matches!(parse(""), Desktop::None(_)));
        assert!(matches!(parse("no such schema"), Desktop::None(_)));
        assert!(matches!(parse(&settings("none", "")), Desktop::None(why) if why.contains("no proxy")));
        assert_eq!(parse(&settings("auto", "")), Desktop::Script("wpad".into()));
        let url = "org.gnome.system.proxy autoconfig-url 'http://pac.example/p.pac'\n";
        assert_eq!(parse(&settings("auto", url)), Desktop::Script("http://pac.example/p.pac".into()));
    }

    #[test]
    fn proxies_are_read_with_their_exceptions() {
        let more = "org.gnome.system.proxy.http host 'proxy.example'\norg.gnome.system.proxy.http port 8080\n\
                    org.gnome.system.proxy.http use-authentication true\norg.gnome.system.proxy.http authentication-user \"o'hara\"\n\
                    org.gnome.system.proxy.http authentication-password 'it\\'s'\n\
                    org.gnome.system.proxy.https host '2001:db8::1'\norg.gnome.system.proxy.https port 3128\n\
                    org.gnome.system.proxy.socks host ''\norg.gnome.system.proxy.socks port 1080\n\
                    org.gnome.system.proxy ignore-hosts ['*.corp.example', \"x\"]\n";
        let Desktop::Manual(manual) = parse(&settings("manual", more)) else { panic!("it is manual") };
        let http = manual.http.unwrap();
        assert_eq!((http.server.to_string().as_str(), http.has_login), ("proxy.example:8080", true));
        let ProxyKind::Http(HttpProxy { username, password, auth, .. }) = http.kind else { panic!("an HTTP proxy") };
        assert_eq!((username.as_deref(), password.unwrap().expose().as_str()), (Some("o'hara"), "it's"));
        assert_eq!(auth, [ProxyAuth::Basic]);
        assert_eq!(manual.https.unwrap().server.to_string(), "[2001:db8::1]:3128");
        assert_eq!(manual.socks, None);
        assert!(
            manual.bypass.has(&Destination::new("a.corp.example", 1)) && !manual.bypass.has(&Destination::new("y", 1))
        );
    }

    #[test]
    fn values_are_strings_and_lists_of_them() {
        assert_eq!(strings("'a'"), ["a"]);
        assert_eq!(strings("['a', \"b'c\", 'd\\'e']"), ["a", "b'c", "d'e"]);
        assert!(strings("@as []").is_empty() && strings("0").is_empty());
        assert_eq!(strings("'open"), ["open"]);
    }
}
