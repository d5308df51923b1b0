//! Who plays in the demo: three simulated providers, the document of the gateway in front of them, and the break.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tradewind_decide::HealthSettings;
use tradewind_sim::{Delay, Injection, Sim, SimError, SimFault, SimOptions};

/// The model that is asked for.
pub(super) const MODEL: &str = "assistant";
/// What the providers call their model.
const UPSTREAM_MODEL: &str = "chat";
/// The key that the simulated providers accept. Not a secret: it opens nothing else.
const KEY: &str = "demo";
/// How long an attempt may take to its first token, or to its head when the answer is whole.
const FIRST_TOKEN: &str = "800ms";

/// One simulated provider.
pub(super) struct Role {
    name: &'static str,
    /// Time to first token.
    median: Duration,
    p99: Duration,
    tokens_per_second: f64,
    /// USD per million tokens in and out.
    price: (f64, f64),
    /// Share of calls that fail before the first token.
    error_rate: f64,
    manners: &'static str,
}

/// The first one breaks in the course of the demo.
pub(super) const ROLES: [Role; 3] = [
    Role {
        name: "gale",
        median: Duration::from_millis(40),
        p99: Duration::from_millis(120),
        tokens_per_second: 900.0,
        price: (3.0, 15.0),
        error_rate: 0.0,
        manners: "never fails, until it breaks in the course of the demo",
    },
    Role {
        name: "breeze",
        median: Duration::from_millis(180),
        p99: Duration::from_millis(320),
        tokens_per_second: 400.0,
        price: (0.8, 4.0),
        error_rate: 0.12,
        manners: "fails one call in eight, in four different ways",
    },
    Role {
        name: "drift",
        median: Duration::from_millis(380),
        p99: Duration::from_millis(560),
        tokens_per_second: 250.0,
        price: (0.15, 0.6),
        error_rate: 0.0,
        manners: "never fails",
    },
];

impl Role {
    /// Its name as a target.
    pub(super) fn target(&self) -> String {
        format!("{}/{UPSTREAM_MODEL}", self.name)
    }

    /// What it is like, in one line.
    pub(super) fn about(&self) -> String {
        let (input, output) = self.price;
        let (target, millis) = (self.target(), self.median.as_millis());
        format!("{target:11}  {millis:>3} ms  {:>12}  {}", format!("${input:.2}/${output:.2}"), self.manners)
    }

    /// Starts it.
    pub(super) async fn start(&self, seed: u64) -> Result<Sim, SimError> {
        let error_faults = [
            SimFault::Error503.injection(),
            SimFault::RateLimitSeconds.injection(),
            SimFault::EmptyChoices.injection(),
            SimFault::ErrorEventFirst.injection(),
        ];
        Sim::start(SimOptions {
            name: self.name.to_owned(),
            seed: seed.wrapping_add(self.name.bytes().map(u64::from).sum()),
            first_token: Delay::LogNormal { median: self.median, p99: self.p99 },
            tokens_per_second: Some(self.tokens_per_second),
            error_rate: self.error_rate,
            error_faults: error_faults.to_vec(),
            keys: Some(vec![KEY.to_owned()]),
            ..SimOptions::default()
        })
        .await
    }
}

/// What the broken provider does: it takes calls and never answers.
pub(super) fn breakage() -> Injection {
    SimFault::NoHeaders.injection()
}

/// The configuration of the gateway in front of `sims`, which are in the order of [`ROLES`].
pub(super) fn document(sims: &[Sim], strategy: &str, data_dir: &Path) -> String {
    let data_dir = serde_json::Value::from(data_dir.display().to_string());
    let mut text =
        format!("listen: 127.0.0.1:0\ndata-dir: {data_dir}\ntelemetry: {{logs: {{calls: none}}}}\nproviders:\n");
    for sim in sims {
        let (name, url) = (sim.name(), sim.base_url());
        let _ = writeln!(text, "  - {{name: {name}, dialect: openai, base-url: \"{url}/v1\", api-key: {KEY}}}");
    }
    let _ = write!(text, "models:\n  - name: {MODEL}\n    strategy: {strategy}\n    targets:\n");
    for role in &ROLES {
        let ((input, output), target) = (role.price, role.target());
        let _ = writeln!(text, "      - {{use: {target}, price: {{input: {input}, output: {output}}}}}");
    }
    let _ = writeln!(
        text,
        "    timeouts: {{connect: 1s, headers: {FIRST_TOKEN}, first-token: {FIRST_TOKEN}, idle: 5s, total: 20s}}"
    );
    text
}

/// What [`health`] does, for a person.
pub(super) const HASTE: &str = "To fit into half a minute, health is judged faster than usual: a breaker opens after 3
failures in a row (usually 5), for 1 s at first (5 s); slow start takes 6 s (30 s).";

/// The gateway's own way of judging health, in a hurry.
pub(super) fn health() -> HealthSettings {
    let usual = HealthSettings::default();
    HealthSettings {
        consecutive_failures: 3,
        open_time: usual.open_time / 5,
        open_time_max: Duration::from_secs(4),
        healthy_after: usual.healthy_after / 5,
        slow_start: usual.slow_start / 5,
        peak_decay: usual.peak_decay / 5,
        mean_decay: usual.mean_decay / 5,
        ejection_time: usual.ejection_time / 5,
        ejection_time_max: usual.ejection_time_max / 5,
        // The three are unlike each other by intent: a slow one is not a sick one.
        outlier_latency_factor: None,
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    #[tokio::test]
    async fn the_document_is_right_with_every_strategy() {
        let mut sims = Vec::new();
        for role in &ROLES {
            sims.push(role.start(1).await.unwrap());
        }
        for strategy in ["select", "fallback", "weighted", "least-latency"] {
            let text = document(&sims, strategy, Path::new("/tmp/a \"b\""));
            let document = Document::parse(&text).map_err(|problems| problems.render("demo", &text)).unwrap();
            assert_eq!(document.models.entry(MODEL).unwrap().targets.len(), 3);
        }
    }
}
