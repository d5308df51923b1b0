//! The providers, models, keys and questions with which spending is tested: what each provider charges is written down
//! beforehand, and the providers keep exact totals of it.

use std::time::Duration;

use serde_json::{Value, json};
use tradewind_core::{Price, Usd};
use tradewind_decide::HealthSettings;
use tradewind_sim::{Charges, Delay, Injection, ScriptedAnswer, ScriptedUsage, Sim, SimOptions};

use crate::support::Bench;

/// The key that may look at everything.
pub(super) const READER: &str = "reader";
/// Keys whose callers read to the end, and whose providers fail only with a status.
pub(super) const EXACT: [&str; 2] = ["exact-one", "exact-two"];
/// The same, with a budget that is used up on the way.
pub(super) const TIGHT: &str = "tight";
/// Keys whose callers leave whenever they like, and whose providers fail in every way.
pub(super) const ROUGH: [&str; 2] = ["rough-one", "rough-two"];

/// The models of the exact keys, in whatever dialect they are asked.
pub(super) const EXACT_MODELS: [&str; 3] = ["fallen-back", "from-cache", "thinking"];
/// The models of the rough keys.
pub(super) const ROUGH_MODELS: [&str; 3] = ["rough", "hedged", "from-cache"];

/// The most tokens that a question asks for.
const MOST: u64 = 200;

/// One target: what it counts for each question, and what it asks for that.
pub(super) struct Priced {
    pub(super) provider: &'static str,
    pub(super) model: &'static str,
    usage: ScriptedUsage,
    pub(super) price: Price,
}

const fn priced(provider: &'static str, model: &'static str, usage: ScriptedUsage, price: Price) -> Priced {
    Priced { provider, model, usage, price }
}

const fn usage(input: u64, output: u64, cached: u64, cache_creation: u64, reasoning: u64) -> ScriptedUsage {
    ScriptedUsage { input, output, cached, cache_creation, reasoning }
}

const fn price(input: f64, output: f64) -> Price {
    Price { input, output, cached: None, cache_write: None, reasoning: None }
}

/// Every target.
pub(super) const TARGETS: [Priced; 6] = [
    priced("refusing", "small", usage(420, 60, 128, 0, 0), Price { cached: Some(0.075), ..price(0.15, 0.6) }),
    priced("solid", "large", usage(420, 64, 0, 0, 0), price(2.5, 10.0)),
    priced("solid", "thinker", usage(421, 160, 0, 0, 100), Price { reasoning: Some(3.3), ..price(1.1, 4.4) }),
    priced(
        "claude",
        "sonnet",
        usage(450, 56, 100, 40, 0),
        Price { cached: Some(0.3), cache_write: Some(3.75), ..price(3.0, 15.0) },
    ),
    priced("flaky", "small", usage(419, 60, 0, 0, 0), price(0.15, 0.6)),
    priced("slow", "small", usage(420, 60, 0, 0, 0), price(0.5, 1.5)),
];

impl Priced {
    /// `provider/model`.
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }

    /// What the provider's own counts cost: worked out here, and not by the gateway's arithmetic.
    pub(super) fn cost(&self, charges: &Charges) -> Usd {
        let Charges { input, cached, cache_creation, output, reasoning, .. } = *charges;
        // A dollar for a million tokens is a million picodollars for one.
        let pico = |tokens: u64, price: f64| tokens * (price * 1e6).round() as u64;
        let price = self.price;
        Usd::from_pico(
            pico(input - cached - cache_creation, price.input)
                + pico(cached, price.cached.unwrap_or(price.input))
                + pico(cache_creation, price.cache_write.unwrap_or(price.input))
                + pico(output - reasoning, price.output)
                + pico(reasoning, price.reasoning.unwrap_or(price.output)),
        )
    }

    fn in_yaml(&self) -> String {
        let Price { input, output, cached, cache_write, reasoning } = self.price;
        let mut fields = format!("input: {input}, output: {output}");
        for (name, amount) in [("cached", cached), ("cache-write", cache_write), ("reasoning", reasoning)] {
            if let Some(amount) = amount {
                fields.push_str(&format!(", {name}: {amount}"));
            }
        }
        format!("{{use: {}, price: {{{fields}}}}}", self.id())
    }
}

/// The target `id`.
pub(super) fn target(id: &str) -> &'static Priced {
    TARGETS.iter().find(|target| target.id() == id).unwrap_or_else(|| panic!("no target {id}"))
}

/// A gateway and its providers.
pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) sims: Vec<Sim>,
}

/// Errors with a status cost nothing; a provider that has begun to answer charges for it, however it goes on. An error
/// event in place of an answer is left out: whether that is charged differs between providers.
fn faults(of: &str) -> (f64, Vec<Injection>) {
    let (share, names): (f64, &[&str]) = match of {
        "refusing" => (0.15, &["error-503", "error-502", "error-529", "fast-fail", "close-before-response"]),
        "flaky" => (
            0.3,
            &[
                "error-503",
                "mid-stream-cut:0",
                "mid-stream-cut:3",
                "mid-stream-reset:3",
                "malformed-event:0",
                "malformed-event:4",
                "truncated-json",
                "usage-missing",
                "usage-negative",
                "hang-after-headers",
                "stall:@3",
            ],
        ),
        _ => (0.0, &[]),
    };
    (share, names.iter().map(|name| name.parse().unwrap()).collect())
}

impl World {
    /// A world whose tight key may spend `tight`.
    pub(super) async fn start(tight: Usd) -> Self {
        let mut sims = Vec::new();
        for name in ["refusing", "solid", "claude", "flaky", "slow"] {
            let (error_rate, error_faults) = faults(name);
            let first_token = match name {
                "slow" => Delay::Uniform(Duration::from_millis(5), Duration::from_millis(80)),
                _ => Delay::Uniform(Duration::ZERO, Duration::from_millis(10)),
            };
            // Slow enough that a provider has not sent everything before its caller can leave.
            let tokens_per_second = Some(2000.0);
            let options =
                SimOptions { first_token, tokens_per_second, error_rate, error_faults, ..SimOptions::named(name) };
            let sim = Sim::start(options).await.unwrap();
            for target in TARGETS.iter().filter(|target| target.provider == name) {
                // A token is about four letters; what was only thought is not said.
                let said = target.usage.output - target.usage.reasoning;
                let text: String = "wind sail tide knot ".chars().cycle().take(said as usize * 4).collect();
                let answer = ScriptedAnswer { piece: 20, usage: target.usage, ..ScriptedAnswer::text(&text) };
                sim.script(target.model, answer).unwrap();
            }
            sims.push(sim);
        }
        // Targets that fail stay in the choice: they are there to fail.
        let never = u32::MAX;
        let health = HealthSettings {
            consecutive_failures: never,
            window_attempts: never,
            outlier_attempts: never,
            ..HealthSettings::default()
        };
        let bench = Bench::start_judging(&document(&sims, tight), health).await;
        Self { bench, sims }
    }

    pub(super) fn sims(&self) -> Vec<&Sim> {
        self.sims.iter().collect()
    }
}

fn document(sims: &[Sim], tight: Usd) -> String {
    let mut yaml = "providers:\n".to_owned();
    for sim in sims {
        let (name, url) = (sim.name(), sim.base_url());
        let (dialect, url) = if name == "claude" { ("anthropic", url) } else { ("openai", format!("{url}/v1")) };
        yaml.push_str(&format!(
            "  - {{name: {name}, dialect: {dialect}, base-url: \"{url}\", api-key: k, discover: false}}\n"
        ));
    }
    yaml.push_str("telemetry: {logs: {calls: none}}\nmodels:\n");
    let patient = "timeouts: {first-token: 20s, idle: 20s, total: 60s}";
    let hasty = "timeouts: {first-token: 400ms, idle: 300ms, total: 1s}";
    for (name, targets, terms) in [
        ("fallen-back", &["refusing/small", "solid/large"][..], patient),
        ("from-cache", &["claude/sonnet"], patient),
        ("thinking", &["solid/thinker"], patient),
        ("rough", &["flaky/small", "claude/sonnet", "solid/large"], hasty),
        ("hedged", &["slow/small", "solid/large"], "hedge: {after: 30ms, at-most: 1}, timeouts: {total: 10s}"),
    ] {
        let targets: Vec<String> = targets.iter().map(|id| target(id).in_yaml()).collect();
        yaml.push_str(&format!("  - {{name: {name}, {terms}, targets: [{}]}}\n", targets.join(", ")));
    }
    yaml.push_str(&format!("keys:\n  - {{name: {READER}, secret: {}, allow: [control/read]}}\n", secret(READER)));
    for name in EXACT.into_iter().chain(ROUGH) {
        let secret = secret(name);
        yaml.push_str(&format!("  - {{name: {name}, secret: {secret}, budget: {{usd: 1000, per: total}}}}\n"));
    }
    let budget = tight.dollars();
    yaml.push_str(&format!(
        "  - {{name: {TIGHT}, secret: {}, budget: {{usd: {budget}, per: total}}}}\n",
        secret(TIGHT)
    ));
    yaml
}

fn secret(key: &str) -> String {
    format!("secret-of-{key}-0123456789")
}

pub(super) fn bearer(key: &str) -> String {
    format!("authorization: Bearer {}\r\n", secret(key))
}

/// In which words a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Chat,
    Responses,
    Messages,
}

impl Wire {
    pub(super) const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }

    /// What the last event of a stream holds.
    pub(super) fn end(self) -> &'static str {
        match self {
            Self::Chat => "[DONE]",
            Self::Responses => "response.completed",
            Self::Messages => "message_stop",
        }
    }

    /// A question of some 420 tokens.
    pub(super) fn question(self, model: &str, stream: bool) -> Value {
        let text = "The wind goes toward the south, and turns about to the north; ".repeat(28);
        let said = json!([{"role": "user", "content": text}]);
        match self {
            Self::Chat => json!({"model": model, "stream": stream, "messages": said, "max_completion_tokens": MOST}),
            Self::Responses => {
                json!({"model": model, "stream": stream, "input": said, "max_output_tokens": MOST, "store": false})
            }
            Self::Messages => json!({"model": model, "stream": stream, "messages": said, "max_tokens": MOST}),
        }
    }
}
