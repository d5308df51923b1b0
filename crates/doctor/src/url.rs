//! URLs as the go command reads them.
//!
//! What Go's `net/url` takes for a host, a port or an error decides what the go command does, so its rules are followed
//! here rather than those of RFC 3986 or of browsers: `http://user:pa#ss@host` is the host `user` with port `pa`, which is
//! an error, and `proxy:8080` has the scheme `proxy`. A password cannot be printed.

use std::fmt;
use std::net::IpAddr;

use tradewind_core::{Secret, percent_decoded};

use crate::settings::redact::is_token;

/// A URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// In lower case; empty when there is none.
    pub scheme: String,
    /// Who asks, decoded.
    pub user: Option<User>,
    /// The name or address, without brackets and port, as written; empty when there is none.
    pub host: String,
    /// The port, if one is written.
    pub port: Option<u16>,
    /// The path, still encoded, with its leading `/` if it has one; what follows `scheme:` where no `/` does.
    pub path: String,
    /// What follows `?`.
    pub query: Option<String>,
    /// What follows `#`.
    pub fragment: Option<String>,
}

/// The part before the `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name, decoded.
    pub name: String,
    /// The password, decoded.
    pub password: Option<Secret<String>>,
}

/// Why a text is no URL, in the words of the go command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// A control character anywhere.
    #[error("net/url: invalid control character in URL")]
    Control,
    /// It begins with `:`.
    #[error("missing protocol scheme")]
    MissingScheme,
    /// No scheme, and a colon before the first slash.
    #[error("first path segment in URL cannot contain colon")]
    Colon,
    /// What follows the host's colon is no number.
    #[error("invalid port \"{}\" after host", .0.escape_default())]
    Port(String),
    /// A character before the `@` that has to be encoded.
    #[error("net/url: invalid userinfo")]
    User,
    /// A `%` without two hexadecimal digits.
    #[error("invalid URL escape \"{0}\"")]
    Escape(String),
    /// A character that no host has.
    #[error("invalid character \"{}\" in host name", .0.escape_default())]
    Host(String),
    /// Brackets without an IPv6 address in them.
    #[error("invalid IP-literal")]
    Literal,
}

/// Why a text is no URL, without what it says: texts may hold passwords.
impl BadUrl {
    /// The kind of mistake, without any of the text.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Control => "it has a control character",
            Self::MissingScheme => "it begins with a colon",
            Self::Colon => "its scheme is not one",
            Self::Port(_) => "what follows the host's colon is not a port",
            Self::User => "the part before the @ has a character that has to be percent-encoded",
            Self::Escape(_) => "it has a % that is not followed by two hexadecimal digits",
            Self::Host(_) => "its host has a character that no host has",
            Self::Literal => "what is in brackets is no IPv6 address",
        }
    }
}

impl Url {
    /// Reads `text` as Go's `url.Parse` does.
    ///
    /// # Errors
    /// As there; a port over 65535 as well, which go finds out when it connects.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let (rest, fragment) = cut(text, '#');
        if rest.chars().any(|c| c < ' ' || c == '\u{7f}') {
            return Err(BadUrl::Control);
        }
        let (scheme, rest) = scheme(rest)?;
        let (mut rest, query) = cut(rest, '?');
        let mut url = Self {
            scheme: scheme.to_ascii_lowercase(),
            user: None,
            host: String::new(),
            port: None,
            path: String::new(),
            query: query.map(str::to_owned),
            fragment: fragment.filter(|fragment| !fragment.is_empty()).map(str::to_owned),
        };
        if !rest.starts_with('/') && url.scheme.is_empty() {
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err(BadUrl::Colon);
            }
        } else if let Some(after) = rest.strip_prefix("//")
            && (!url.scheme.is_empty() || !after.starts_with('/'))
        {
            let authority = after.split('/').next().unwrap_or_default();
            rest = &after[authority.len()..];
            url.authority(authority)?;
        }
        check_escapes(rest)?;
        rest.clone_into(&mut url.path);
        Ok(url)
    }

    fn authority(&mut self, authority: &str) -> Result<(), BadUrl> {
        let (user, host) = match authority.rfind('@') {
            Some(at) => (Some(&authority[..at]), &authority[at + 1..]),
            None => (None, authority),
        };
        let (name, port) = host_and_port(&self.scheme, host)?;
        self.host = name;
        self.port = match port {
            "" | ":" => None,
            _ => Some(port[1..].parse().map_err(|_| BadUrl::Port(port.to_owned()))?),
        };
        let Some(user) = user else { return Ok(()) };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
        if !user.chars().all(allowed) {
            return Err(BadUrl::User);
        }
        check_escapes(user)?;
        let (name, password) = cut(user, ':');
        self.user = Some(User {
            name: percent_decoded(name),
            password: password.map(|password| Secret::new(percent_decoded(password))),
        });
        Ok(())
    }

    /// The port that is connected to: the one written, or the usual one of the scheme.
    #[must_use]
    pub fn port_or_default(&self) -> Option<u16> {
        self.port.or(match self.scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            "socks5" | "socks5h" => Some(1080),
            _ => None,
        })
    }

    /// The host as an address, if it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// `host:port` as it is connected to, an IPv6 address in brackets; without the port where none is known.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        let host = self.bracketed();
        self.port_or_default().map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    /// The same URL without user, password, query and fragment: for what is shown and for commands.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self { user: None, path: self.path_without_secret().to_owned(), query: None, fragment: None, ..self.clone() }
    }

    /// This URL with `path` behind its own path, one slash between them. `path` is encoded already.
    #[must_use]
    pub fn join(&self, path: &str) -> Self {
        let path = format!("{}/{}", self.path.trim_end_matches('/'), path.trim_start_matches('/'));
        Self { path, ..self.clone() }
    }

    /// The path, unless an `@` in it shows that it is the rest of a password with a slash in it.
    fn path_without_secret(&self) -> &str {
        let rest_of_user = self.path.split('/').any(|part| part.find('@').is_some_and(|place| place > 0));
        if self.user.is_some() && rest_of_user { "/xxxxx" } else { &self.path }
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// Without the password, as Go's `Redacted` prints it: `http://user:xxxxx@host`.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if !self.host.is_empty() || self.user.is_some() || self.scheme == "file" {
            f.write_str("//")?;
        }
        if let Some(user) = &self.user {
            match user.password {
                Some(_) => write!(f, "{}:xxxxx@", encoded(&user.name))?,
                None if is_token(&user.name) => f.write_str("xxxxx@")?,
                None => write!(f, "{}@", encoded(&user.name))?,
            }
        }
        f.write_str(&self.bracketed())?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(self.path_without_secret())?;
        // A query or fragment may hold a token, or the rest of a password that was not encoded.
        if self.query.is_some() {
            f.write_str("?xxxxx")?;
        }
        if self.fragment.is_some() {
            f.write_str("#xxxxx")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// `text` with everything encoded that means something in the part before the `@`.
#[must_use]
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// The scheme before the first colon, if the letters before it can be one.
fn scheme(text: &str) -> Result<(&str, &str), BadUrl> {
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if place > 0 => {}
            b':' if place == 0 => return Err(BadUrl::MissingScheme),
            b':' => return Ok((&text[..place], &text[place + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

/// The host, decoded and without brackets, and the port with its colon.
fn host_and_port<'a>(scheme: &str, text: &'a str) -> Result<(String, &'a str), BadUrl> {
    if let Some(open) = text.rfind('[') {
        let (Some(close), 0) = (text.rfind(']'), open) else { return Err(BadUrl::Literal) };
        let port = valid_port(&text[close + 1..])?;
        let literal = percent_decoded(&text[1..close]);
        let address = literal.split('%').next().unwrap_or_default();
        if !matches!(address.parse(), Ok(IpAddr::V6(_))) {
            return Err(BadUrl::Literal);
        }
        return Ok((literal, port));
    }
    // Only http and https hosts end at their first colon.
    let colon = if matches!(scheme, "http" | "https") { text.find(':') } else { text.rfind(':') };
    let (host, port) = text.split_at(colon.unwrap_or(text.len()));
    let port = valid_port(port)?;
    check_escapes(host)?;
    let allowed = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!$&'()*+,;=:[]<>\"-_.~%".contains(c);
    if let Some(bad) = host.chars().find(|c| !allowed(*c)) {
        return Err(BadUrl::Host(bad.to_string()));
    }
    // Encoded ASCII is not allowed in a host.
    let bytes = host.as_bytes();
    let ascii = (0..bytes.len()).find(|place| bytes[*place] == b'%' && matches!(bytes[place + 1], b'0'..=b'7'));
    if let Some(place) = ascii {
        return Err(BadUrl::Escape(host[place..place + 3].to_owned()));
    }
    Ok((percent_decoded(host), port))
}

fn valid_port(port: &str) -> Result<&str, BadUrl> {
    let digits = port.strip_prefix(':').unwrap_or(port);
    if (port.is_empty() || port.starts_with(':')) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(port);
    }
    Err(BadUrl::Port(port.to_owned()))
}

/// Every `%` has to be followed by two hexadecimal digits.
fn check_escapes(text: &str) -> Result<(), BadUrl> {
    let mut rest = text;
    while let Some(place) = rest.find('%') {
        let digits = rest.as_bytes().get(place + 1..place + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(BadUrl::Escape(rest[place..].chars().take(3).collect()));
        }
        rest = &rest[place + 3..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        Url::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn parts_are_what_go_takes_them_for() {
        let url = Url::parse("https://me:p%40ss@proxy.example.com:8443/go/?x=1#y").unwrap();
        assert_eq!((url.scheme.as_str(), url.host.as_str(), url.port), ("https", "proxy.example.com", Some(8443)));
        let user = url.user.as_ref().unwrap();
        assert_eq!((user.name.as_str(), user.password.as_ref().unwrap().expose().as_str()), ("me", "p@ss"));
        assert_eq!(url.path, "/go/");
        assert_eq!(url.to_string(), "https://me:xxxxx@proxy.example.com:8443/go/?xxxxx#xxxxx");
        assert_eq!(url.bare().join("a/@v/list").to_string(), "https://proxy.example.com:8443/go/a/@v/list");

        let url = Url::parse("http://[fe80::1%25en0]:80").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("fe80::1%en0", Some(80)));
        assert_eq!(Url::parse("http://user:p@ss@host").unwrap().host, "host");
        assert_eq!(Url::parse("file:///srv/go").unwrap().path, "/srv/go");
        assert_eq!(Url::parse("file:///srv/go").unwrap().to_string(), "file:///srv/go");
        // No scheme that anybody meant.
        let url = Url::parse("proxy.example.com:8080").unwrap();
        assert_eq!((url.scheme.as_str(), url.host.as_str(), url.path.as_str()), ("proxy.example.com", "", "8080"));
        // The password ends the host at `#`.
        let url = Url::parse("http://user:12#34@proxy:3128").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("user", Some(12)));
        assert!(!format!("{url} {url:?}").contains("34"));
    }

    #[test]
    fn errors_are_those_of_the_go_command() {
        assert_eq!(error("'https://proxy.example.com'"), "first path segment in URL cannot contain colon");
        assert_eq!(error("http://127.0.0.1:18090\\proxy"), r#"invalid port ":18090\\proxy" after host"#);
        assert_eq!(error("http://host:99999"), r#"invalid port ":99999" after host"#);
        assert_eq!(error("http://us er@host"), "net/url: invalid userinfo");
        assert_eq!(error("http://user:p%zz@host"), r#"invalid URL escape "%zz""#);
        assert_eq!(error("http://ho st/"), r#"invalid character " " in host name"#);
        assert_eq!(error("http://h%41/"), r#"invalid URL escape "%41""#);
        assert_eq!(error("http://::1/"), r#"invalid port "::1" after host"#);
        assert_eq!(error("http://[1.2.3.4]/"), "invalid IP-literal");
        assert_eq!(error(":80"), "missing protocol scheme");
        assert_eq!(error("http://a\tb/"), "net/url: invalid control character in URL");
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        for text in ["p@ss#w/o?r%d\\:", "ü €", ""] {
            let url = Url::parse(&format!("http://{}:{}@h", encoded("me"), encoded(text))).unwrap();
            assert_eq!(url.user.unwrap().password.unwrap().expose(), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in ".{0,60}", scheme in "(https?|file)://") {
            for text in [text.clone(), format!("{scheme}{text}")] {
                if let Ok(url) = Url::parse(&text) {
                    let _ = (url.to_string(), url.host_and_port(), url.join("x"), url.address());
                }
            }
        }

        #[test]
        fn a_password_is_never_shown(password in "[a-z]{12}", odd in "[#?@/%\\\\:]{0,2}", host in "[a-z.]{1,10}") {
            if let Ok(url) = Url::parse(&format!("http://u:{odd}{password}@{host}:80/"))
                && (url.user.is_some() || url.fragment.is_some() || url.query.is_some())
            {
                prop_assert!(!format!("{url} {}", url.bare()).contains(&password), "{}", url);
            }
        }
    }
}
