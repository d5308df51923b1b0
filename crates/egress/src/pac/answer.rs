//! What a script answers: `PROXY proxy.example:8080; SOCKS5 10.0.0.1; DIRECT`.

use std::fmt;

use crate::{Destination, Host};

/// More ways than this of one answer are not looked at.
const MOST_STEPS: usize = 16;
/// More of an answer is not read.
const LONGEST: usize = 8 * 1024;

/// One of the ways that a script names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PacStep {
    /// `DIRECT`.
    Direct,
    /// `PROXY host:port`, `HTTP host:port`.
    Http(Destination),
    /// `HTTPS host:port`.
    Https(Destination),
    /// `SOCKS host:port`, `SOCKS5 host:port`.
    Socks(Destination),
}

impl PacStep {
    /// The proxy; `None` where there is none.
    #[must_use]
    pub const fn server(&self) -> Option<&Destination> {
        match self {
            Self::Direct => None,
            Self::Http(server) | Self::Https(server) | Self::Socks(server) => Some(server),
        }
    }
}

impl fmt::Display for PacStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("DIRECT"),
            Self::Http(server) => write!(f, "PROXY {server}"),
            Self::Https(server) => write!(f, "HTTPS {server}"),
            Self::Socks(server) => write!(f, "SOCKS5 {server}"),
        }
    }
}

/// The ways of an answer, in order, each once. What cannot be understood, or is not built (SOCKS 4), is left out. An empty
/// answer means no proxy, as Netscape has it; one of which nothing can be understood means nothing: the list is empty.
#[must_use]
pub fn parse_answer(answer: &str) -> Vec<PacStep> {
    if answer.trim().is_empty() {
        return vec![PacStep::Direct];
    }
    let answer = &answer[..answer.floor_char_boundary(LONGEST)];
    let mut steps: Vec<PacStep> = Vec::new();
    for step in answer.split(';').filter_map(step) {
        if steps.len() < MOST_STEPS && !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

fn step(text: &str) -> Option<PacStep> {
    let mut words = text.split_ascii_whitespace();
    let kind = words.next()?.to_ascii_uppercase();
    let server = words.next();
    if words.next().is_some() {
        return None;
    }
    if kind == "DIRECT" {
        return server.is_none().then_some(PacStep::Direct);
    }
    let at = |default| destination(server?, default);
    match &*kind {
        "PROXY" | "HTTP" => at(80).map(PacStep::Http),
        "HTTPS" => at(443).map(PacStep::Https),
        "SOCKS" | "SOCKS5" => at(1080).map(PacStep::Socks),
        _ => None,
    }
}

/// `host`, `host:port`, `[v6]:port`. People write slashes behind it.
fn destination(text: &str, default: u16) -> Option<Destination> {
    let text = text.trim_end_matches('/');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') && (!host.contains(':') || host.ends_with(']')) => {
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            (host, port.parse().ok().filter(|port| is_number && *port != 0)?)
        }
        _ => (text, default),
    };
    let host = Host::parse(host);
    if let Host::Name(name) = &host {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || name.len() > 253 || !name.bytes().all(fits) {
            return None;
        }
    }
    Some(Destination { host, port })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(answer: &str) -> String {
        parse_answer(answer).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn answers_are_read_in_order() {
        for (answer, steps) in [
            ("DIRECT", "DIRECT"),
            ("", "DIRECT"),
            ("  ", "DIRECT"),
            ("PROXY proxy.example:8080", "PROXY proxy.example:8080"),
            ("proxy a:1;proxy b:2 ; direct;", "PROXY a:1; PROXY b:2; DIRECT"),
            ("PROXY a", "PROXY a:80"),
            ("HTTPS a; HTTP b; SOCKS c; SOCKS5 d", "HTTPS a:443; PROXY b:80; SOCKS5 c:1080; SOCKS5 d:1080"),
            ("PROXY [2001:db8::1]:3128; PROXY [2001:db8::2]", "PROXY [2001:db8::1]:3128; PROXY [2001:db8::2]:80"),
            ("PROXY 2001:db8::3", "PROXY [2001:db8::3]:80"),
            ("PROXY 10.0.0.1:8080/", "PROXY 10.0.0.1:8080"),
            ("PROXY\ta:1;\n\tDIRECT", "PROXY a:1; DIRECT"),
            ("PROXY a:1; PROXY a:1; DIRECT; DIRECT", "PROXY a:1; DIRECT"),
            // What is bad is left out, the rest counts.
            ("PROXY; PROXY a:0; PROXY a:99999; PROXY a:+1; PROXY :80; SOCKS4 a:1; QUIC a:1; PROXY b:1", "PROXY b:1"),
            ("PROXY http://a:1; PROXY u:p@a:1; PROXY a b:1; DIRECT x; PROXY ümlaut:1; DIRECT", "DIRECT"),
            ("garbage", ""),
            ("undefined", ""),
            (";;;", ""),
        ] {
            assert_eq!(shown(answer), steps, "{answer:?}");
        }
        let many: String = (1..100).map(|port| format!("PROXY a:{port};")).collect();
        assert_eq!(parse_answer(&many).len(), MOST_STEPS);
    }

    proptest! {
        /// Whatever is answered: no panic, few steps, and each reads back as itself.
        #[test]
        fn any_answer_is_a_list(answer in "(?s)((PROXY|SOCKS|HTTPS|DIRECT|direct)[ \t]?|[a-c.:\\[\\]0-9;é ]{0,6}|.){0,20}") {
            let steps = parse_answer(&answer);
            prop_assert!(steps.len() <= MOST_STEPS);
            for step in steps {
                prop_assert_eq!(parse_answer(&step.to_string()), vec![step]);
            }
        }
    }
}
