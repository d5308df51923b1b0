//! A proxy script that stands where a proxy belongs (28): reads it, and names the proxy if it can only answer with one.
//!
//! The script is not run: `tradewind run` does that for `type: pac`. Most scripts of networks have one proxy, by its name.

use super::settings::{script_as_proxy, variables};
use crate::probe::Client;
use crate::probe::roots::Roots;
use crate::{Cause, Instead, Outcome, World, set_process};

/// The most of a script that is read, in bytes.
const MOST_BYTES: usize = 256 << 10;

/// Looks at the proxy variables, and into a script that is found there.
pub(super) async fn look(world: &World) -> Outcome {
    let mut outcome = variables(world);
    let Some((name, url)) = script_as_proxy(world) else { return outcome };
    let Some(finding) = outcome.findings.iter_mut().find(|finding| finding.cause == Cause::PacAsProxy) else {
        return outcome;
    };
    let roots = Roots::of(&world.settings.environment);
    let client = Client::new(world, &roots).instead(&Instead::NoProxy).reading(MOST_BYTES);
    let Ok(answer) = client.get(&url.bare()).await else { return outcome };
    let text = String::from_utf8_lossy(&answer.response.body).into_owned();
    if !text.contains("FindProxyForURL") {
        return outcome;
    }
    let proxies = proxies_in(&text);
    if let [proxy] = proxies.as_slice() {
        finding.fix = set_process(world, name, proxy);
    }
    if !proxies.is_empty() {
        finding.evidence.push(format!("the script answers with {}", proxies.join(" or ")));
    }
    outcome
}

/// The proxies that a script names in its answers (`PROXY host:port`, `SOCKS5 host:port`), each once, as URLs.
fn proxies_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '`' | '(' | ')' | ',')).collect();
    for pair in words.iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().windows(2) {
        let scheme = match *pair[0] {
            "PROXY" | "HTTP" => "http",
            "HTTPS" => "https",
            "SOCKS5" | "SOCKS" => "socks5",
            _ => continue,
        };
        let is_place = pair[1].rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._[]:".contains(c))
                && port.parse::<u16>().is_ok()
        });
        let url = format!("{scheme}://{}", pair[1]);
        if is_place && !found.contains(&url) {
            found.push(url);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_found_in_scripts() {
        let script = "function FindProxyForURL(url, host) {\n  if (isPlainHostName(host)) return \"DIRECT\";\n  \
                      return \"PROXY proxy.example.com:8080; DIRECT\"; // PROXY as above\n}";
        assert_eq!(proxies_in(script), ["http://proxy.example.com:8080"]);
        let two = "return 'PROXY a:1; SOCKS5 b:2; PROXY a:1';";
        assert_eq!(proxies_in(two), ["http://a:1", "socks5://b:2"]);
        for nothing in ["", "PROXY", "return 'PROXY ' + host", "PROXY $(x):1", "DIRECT"] {
            assert!(proxies_in(nothing).is_empty(), "{nothing}");
        }
    }
}
