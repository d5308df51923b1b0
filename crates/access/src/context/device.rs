//! What kind of program calls, by its `user-agent`: a small table of clients that are certain, and nothing for the rest.
//!
//! A hint and no proof: anybody can write this header. Where one name stands for several kinds (`okhttp` runs on phones
//! and on servers) nothing is said.

use http::HeaderValue;
use tradewind_core::Device;

/// Longer ones are looked at up to here, in bytes.
const LOOKED_AT: usize = 256;

/// Clients by their first product name (RFC 9110 §10.1.5), in lower case.
const PRODUCTS: &[(&str, Device)] = &[
    ("openai", Device::Server),
    ("asyncopenai", Device::Server),
    ("anthropic", Device::Server),
    ("asyncanthropic", Device::Server),
    ("python-httpx", Device::Server),
    ("python-requests", Device::Server),
    ("python-urllib", Device::Server),
    ("python", Device::Server),
    ("aiohttp", Device::Server),
    ("go-http-client", Device::Server),
    ("java-http-client", Device::Server),
    ("apache-httpclient", Device::Server),
    ("node", Device::Server),
    ("node-fetch", Device::Server),
    ("undici", Device::Server),
    ("axios", Device::Server),
    ("deno", Device::Server),
    ("bun", Device::Server),
    ("ruby", Device::Server),
    ("reqwest", Device::Server),
    ("guzzlehttp", Device::Server),
    ("litellm", Device::Server),
    ("langchain", Device::Server),
    ("curl", Device::Cli),
    ("wget", Device::Cli),
    ("httpie", Device::Cli),
    ("claude-cli", Device::Cli),
    ("claude-code", Device::Cli),
    ("codex_cli_rs", Device::Cli),
    ("codex-cli", Device::Cli),
    ("geminicli", Device::Cli),
    ("aider", Device::Cli),
    ("git", Device::Cli),
    ("github-actions", Device::Ci),
    ("actions", Device::Ci),
    ("gitlab-runner", Device::Ci),
    ("jenkins", Device::Ci),
    ("buildkite-agent", Device::Ci),
    ("circleci", Device::Ci),
    ("teamcity", Device::Ci),
    ("drone", Device::Ci),
    ("dalvik", Device::Mobile),
    ("vscode", Device::Desktop),
    ("cursor", Device::Desktop),
    ("zed", Device::Desktop),
    ("postmanruntime", Device::Desktop),
    ("insomnia", Device::Desktop),
];

/// What a browser's user agent has on a phone or tablet.
const MOBILE: [&str; 4] = ["Android", "iPhone", "iPad", "Mobile"];
/// What it has elsewhere.
const DESKTOP: [&str; 4] = ["Windows NT", "Macintosh", "X11", "CrOS"];

/// The kind of program that calls itself so.
pub(super) fn of(agent: &HeaderValue) -> Option<Device> {
    let agent = agent.as_bytes();
    let agent = std::str::from_utf8(&agent[..agent.len().min(LOOKED_AT)]).ok()?;
    let product = &agent[..agent.find(['/', ' ']).unwrap_or(agent.len())];
    if product == "Mozilla" {
        let has = |marks: &[&str]| marks.iter().any(|mark| agent.contains(mark));
        return match (has(&MOBILE), has(&DESKTOP)) {
            (true, _) => Some(Device::Mobile),
            (false, true) => Some(Device::Desktop),
            (false, false) => None,
        };
    }
    PRODUCTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(product)).map(|(_, device)| *device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_apart() {
        for (agent, device) in [
            ("OpenAI/Python 1.51.0", Some(Device::Server)),
            ("AsyncAnthropic/Python 0.39.0", Some(Device::Server)),
            ("Python/3.11 aiohttp/3.9.1", Some(Device::Server)),
            ("node", Some(Device::Server)),
            ("curl/8.5.0", Some(Device::Cli)),
            ("claude-cli/1.0.3 (external, cli)", Some(Device::Cli)),
            ("GitHub-Actions/2.1", Some(Device::Ci)),
            ("Dalvik/2.1.0 (Linux; U; Android 14)", Some(Device::Mobile)),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
                Some(Device::Mobile),
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/129.0.0.0 Mobile Safari/537.36",
                Some(Device::Mobile),
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0", Some(Device::Desktop)),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Electron/30 Safari/537.36", Some(Device::Desktop)),
            ("Mozilla/5.0 (compatible; GPTBot/1.0)", None),
            ("okhttp/4.12.0", None),
            ("curly/1", None),
            ("", None),
            ("/", None),
        ] {
            assert_eq!(of(&HeaderValue::from_str(agent).unwrap()), device, "{agent}");
        }
        let long = format!("curl/{}", "\u{e9}".repeat(200));
        assert_eq!(of(&HeaderValue::from_bytes(long.as_bytes()).unwrap()), None, "cut within a character");
        assert_eq!(of(&HeaderValue::from_bytes(b"curl/8 \xff").unwrap()), None);
    }
}
