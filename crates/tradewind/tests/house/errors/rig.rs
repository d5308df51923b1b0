//! A gateway without keys in front of simulated providers, with a model for each fault.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tradewind::{Document, Gateway};
use tradewind_sim::{RefusedPort, Sim, SimFault, SimOptions, TlsOptions};

use super::example::Neutral;
use crate::wire::{Ask, DIALECTS};

/// A gateway in front of simulated providers, for both dialects.
pub(super) struct Rig {
    gateway: Gateway,
    sims: Vec<Sim>,
    pub(super) neutral: Neutral,
    _refused: RefusedPort,
    _folder: TempDir,
}

impl Rig {
    pub(super) async fn start(limits: &str) -> Self {
        // Events apart from each other: a fault in one piece with the first one would be told as one before the answer.
        let options = SimOptions { tokens_per_second: Some(5.0), answer_tokens: 8, ..SimOptions::named("sim") };
        let sim = Sim::start(options).await.expect("the simulator starts");
        let tls = TlsOptions::default();
        let options =
            SimOptions { tls: Some(tls), fault: Some(SimFault::TlsUntrusted.into()), ..SimOptions::named("tls") };
        let tls = Sim::start(options).await.expect("the simulator starts");
        let refused = RefusedPort::bind().expect("a port is free");
        let folder = TempDir::new().expect("a folder can be made");
        let (plain, secure, nobody) = (sim.address(), tls.address(), refused.address());
        let mut text =
            format!("listen: 127.0.0.1:0\ndata-dir: {}\nlimits: {limits}\nproviders:\n", folder.path().display());
        let mut replace = Vec::new();
        for (name, version) in [("openai", "/v1"), ("anthropic", "")] {
            // The keyed ones stand alone: a key that was refused or limited must not concern the others.
            for (provider, address, more) in [
                (name.to_owned(), format!("http://{plain}"), ""),
                (format!("{name}-one"), format!("http://{plain}"), "api-key: k, "),
                (format!("{name}-two"), format!("http://{plain}"), "api-key: k, "),
                (format!("{name}-tls"), format!("https://{secure}"), ""),
                (format!("{name}-nobody"), format!("http://{nobody}"), ""),
            ] {
                let _ = writeln!(
                    text,
                    "  - {{name: {provider}, dialect: {name}, base-url: \"{address}{version}\", {more}discover: false}}"
                );
            }
            for suffix in ["-one", "-two", "-tls", "-nobody"] {
                replace.push((format!("{name}{suffix}/"), format!("{name}/")));
            }
        }
        replace.push((format!("http://{plain}"), "https://api.example.com".to_owned()));
        replace.push((format!("https://{secure}"), "https://api.example.com".to_owned()));
        replace.push((nobody.to_string(), "192.0.2.7:443".to_owned()));
        text.push_str("models:\n");
        for dialect in DIALECTS {
            for (name, target, more) in MODELS {
                let target = target.replace("@", &dialect.to_lowercase());
                let prefix = &dialect[..1];
                let _ = writeln!(text, "  - {{name: {prefix}-{name}, targets: [{{use: \"{target}\", {more}");
            }
        }
        text.push_str("  - {name: assistant, last-resort: rules}\n");
        let document = Document::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("rig", &text)));
        for (name, ..) in MODELS {
            for dialect in DIALECTS {
                replace.push((format!("`{}-{name}`", &dialect[..1]), "`assistant`".to_owned()));
            }
        }
        let gateway = Gateway::start(document).await.expect("the gateway starts");
        Self { gateway, sims: vec![sim, tls], neutral: Neutral { replace }, _refused: refused, _folder: folder }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.gateway.address
    }

    /// Begins a call in the background and waits until a provider has it.
    pub(super) async fn begin(&self, ask: Ask) -> JoinHandle<String> {
        let before = self.sims[0].stats().requests;
        let address = self.address();
        #[expect(clippy::disallowed_methods, reason = "a test owns its tasks")]
        let task = tokio::spawn(async move { ask.send(address).await });
        let arrived = self.sims[0].wait_until(Duration::from_secs(20), |stats| stats.requests > before).await;
        assert!(arrived, "the call never reached the provider");
        task
    }

    pub(super) async fn stop(self) {
        // Long enough for the calls in flight to have seen that the gateway drains: they must notice its end all the same.
        self.gateway.stop(Duration::from_millis(200)).await;
        for sim in self.sims {
            sim.stop().await;
        }
    }
}

/// The models of the rig: name, target (`@` is the provider of the dialect), and the rest of the entry.
pub(super) const MODELS: [(&str, &str, &str); 18] = [
    ("nobody", "@-nobody/gpt-5-mini", "}], retry: {attempts: 1}}"),
    ("tls", "@-tls/gpt-5-mini", "}], retry: {attempts: 1}}"),
    ("slow", "@/gpt-5-mini!no-headers", "}]}"),
    ("busy", "@/gpt-5-mini!slow-first-token:20s", "max-in-flight: 1, max-queue: 0}]}"),
    ("too-slow", "@/gpt-5-mini!hang-after-headers", "}], timeouts: {first-token: 300ms}, retry: {attempts: 1}}"),
    ("refused-key", "@-one/gpt-5-mini!error-401", "}]}"),
    ("limited", "@-two/gpt-5-mini!rate-limit-seconds:30", "}]}"),
    ("failing", "@/gpt-5-mini!error-500", "}], retry: {attempts: 1}}"),
    ("html", "@/gpt-5-mini!html-200", "}], retry: {attempts: 1}}"),
    ("cut", "@/gpt-5-mini!mid-stream-cut", "}], retry: {attempts: 1}}"),
    ("stalled", "@/gpt-5-mini!stall", "}], timeouts: {idle: 300ms}, retry: {attempts: 1}}"),
    ("error", "@/gpt-5-mini!error-event-later", "}], retry: {attempts: 1}}"),
    ("large", "@/gpt-5-mini!huge-body:3000000", "}], retry: {attempts: 1}}"),
    ("elsewhere", "@/gpt-5-mini!redirect", "}], retry: {attempts: 1}}"),
    ("rejected", "@/gpt-5-mini!context-too-long", "}]}"),
    ("unfit", "@/gpt-5-mini", "}], quality: {length: {max: 10}}}"),
    ("waiting", "@/gpt-5-mini!slow-first-token:25s", "}]}"),
    ("plain", "@/gpt-5-mini", "}]}"),
];
