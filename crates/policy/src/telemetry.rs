//! The section `telemetry`: where spans go, and which calls are logged. It changes no decision.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tradewind_core::{Code, Secret};

use crate::problem::Problems;
use crate::root::Root;
use crate::units::TimeSpan;
use crate::url::BaseUrl;

/// Where OTLP collectors take spans (OTLP specification, "OTLP/HTTP request").
const TRACES_PATH: &str = "/v1/traces";
/// The longest time that one export may take, in seconds.
const LONGEST_EXPORT: u64 = 300;

/// Export of telemetry.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Telemetry {
    /// The collector that spans are sent to; without it none are made.
    pub otlp: Option<Otlp>,
    /// What is logged on stderr.
    pub logs: Logs,
}

/// An OTLP collector, spoken to over HTTP.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Otlp {
    /// Where it is, such as `http://127.0.0.1:4318`; `/v1/traces` is added unless it ends so.
    pub endpoint: BaseUrl,
    /// Headers to send, such as the collector's key.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", extend("writeOnly" = true))]
    pub headers: BTreeMap<String, Secret<String>>,
    /// How long one export may take.
    #[serde(default = "ten_seconds")]
    pub timeout: TimeSpan,
    /// Which share of calls is sent, from 0 to 1. A caller's own decision about its trace comes first.
    #[serde(default = "all")]
    #[schemars(range(min = 0, max = 1))]
    pub sample: f64,
}

const fn ten_seconds() -> TimeSpan {
    TimeSpan::from_secs(10)
}

const fn all() -> f64 {
    1.0
}

impl Otlp {
    /// The path that spans are posted to.
    #[must_use]
    pub fn traces_path(&self) -> String {
        let path = self.endpoint.path();
        if path.ends_with(TRACES_PATH) { path.to_owned() } else { format!("{path}{TRACES_PATH}") }
    }
}

/// What is logged on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Logs {
    /// Which calls have a line.
    pub calls: LoggedCalls,
    /// How a line looks.
    pub format: LogFormat,
}

/// Which calls have a line in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoggedCalls {
    /// None.
    None,
    /// Those that were not answered.
    #[default]
    Failed,
    /// All.
    All,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

pub(crate) fn decode_telemetry(root: &Root, problems: &mut Problems) -> Telemetry {
    let telemetry: Telemetry = root.value("telemetry", problems);
    let Some(otlp) = &telemetry.otlp else { return telemetry };
    let mut refuse = |path: &str, message: String, hint: &str| {
        problems.push(root.problem(Code::ConfigBadValue, path, message).with_hint(hint));
    };
    if !(0.0..=1.0).contains(&otlp.sample) {
        refuse("telemetry.otlp.sample", format!("`sample` is {}", otlp.sample), "a share from 0 to 1, such as 0.1");
    }
    let timeout = otlp.timeout.get();
    if timeout.is_zero() || timeout.as_secs() > LONGEST_EXPORT {
        refuse("telemetry.otlp.timeout", format!("`timeout` is {}", otlp.timeout), "more than nothing, at most 5m");
    }
    for (name, value) in &otlp.headers {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            let message = format!("`{}` is not the name of a header", crate::node::Shortened(name));
            let problem = root.problem_with_key(Code::ConfigBadValue, "telemetry.otlp.headers", name, message);
            problems.push(problem.with_hint("letters, digits and hyphens"));
        } else if http::HeaderValue::from_str(value.expose()).is_err() {
            let path = format!("telemetry.otlp.headers.{name}");
            let message = format!("the value of the header `{name}` cannot be sent");
            problems.push(
                root.problem(Code::ConfigBadValue, &path, message).with_hint("no line breaks or control characters"),
            );
        }
    }
    telemetry
}
