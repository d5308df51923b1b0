//! One entry of `model_list`: a model at a provider, with what it costs and how it is to be called.

use tradewind_policy::Node;

use super::ledger::{Fields, Ledger, count, number, text};
use super::provider::{self, Provider};

/// USD per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Price {
    pub(super) input: f64,
    pub(super) output: f64,
    pub(super) cached: Option<f64>,
    pub(super) reasoning: Option<f64>,
}

/// A deployment that can be carried over.
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    /// What callers ask for. Deployments of one name stand behind it together.
    pub(super) group: String,
    pub(super) provider: Provider,
    /// Its name at the provider; `*` for any.
    pub(super) model: String,
    pub(super) price: Option<Price>,
    /// By what calls may be shared out: `weight`, `rpm`, `tpm`.
    pub(super) shares: [Option<f64>; 3],
    pub(super) max_in_flight: Option<u32>,
    /// Seconds.
    pub(super) timeout: Option<f64>,
    pub(super) stream_timeout: Option<f64>,
    /// Where it stands.
    pub(super) path: String,
}

impl Deployment {
    /// Whether more is said about it than where it is.
    pub(super) fn has_settings(&self) -> bool {
        let numbers = [self.shares[0], self.timeout, self.stream_timeout];
        self.price.is_some() || self.max_in_flight.is_some() || numbers.iter().any(Option::is_some)
    }
}

/// Reads an entry of `model_list`; `None` when it is left out.
pub(super) fn read(node: &Node, path: &str, ledger: &mut Ledger) -> Option<Deployment> {
    let mut entry = Fields::new(node, path);
    let Some(group) = entry.carry(ledger, "model_name", "a name", text) else {
        ledger.leave(path, node, "has no model_name");
        return None;
    };
    let Some(params) = entry.take("litellm_params") else {
        ledger.leave(path, node, "has no litellm_params");
        return None;
    };
    let mut params = Fields::new(params, entry.path("litellm_params"));
    let Some(model) = params.carry(ledger, "model", "a name", text) else {
        ledger.leave(path, node, "litellm_params has no model");
        return None;
    };
    let (provider, model) = match provider::of(&mut params, &model, ledger) {
        Ok(found) => found,
        Err(reason) => {
            ledger.leave(path, node, reason);
            return None;
        }
    };
    let info = entry.take("model_info");
    let mut info = info.map(|info| Fields::new(info, entry.path("model_info")));
    let price = price(&mut params, info.as_mut(), ledger);
    let seconds = |node: &Node| number(node).filter(|seconds| *seconds > 0.0);
    let deployment = Deployment {
        group,
        provider,
        model,
        price,
        shares: shares(&mut params, ledger),
        max_in_flight: params.carry(ledger, "max_parallel_requests", "a whole number from 1 on", count),
        timeout: params.carry(ledger, "timeout", "a number of seconds", seconds),
        stream_timeout: params.carry(ledger, "stream_timeout", "a number of seconds", seconds),
        path: path.to_owned(),
    };
    params.leave_rest(ledger, reason_for_parameter);
    if let Some(mut info) = info {
        // What a deployment is for is known by the path that callers use, and its id is provider/model here.
        let _ = info.carry(ledger, "mode", "text", text);
        let _ = info.carry(ledger, "id", "text", text);
        info.leave_rest(ledger, |_| "says something about the model that the gateway does not need");
    }
    entry.leave_rest(ledger, |_| "no counterpart");
    Some(deployment)
}

/// Prices are given for each token, in either place.
fn price(params: &mut Fields<'_>, mut info: Option<&mut Fields<'_>>, ledger: &mut Ledger) -> Option<Price> {
    let mut per_million = |key: &str| {
        let given = params.carry(ledger, key, "a number", number);
        let also = info.as_mut().and_then(|info| info.carry(ledger, key, "a number", number));
        given.or(also).map(|cost| cost * 1e6)
    };
    let input = per_million("input_cost_per_token");
    let output = per_million("output_cost_per_token");
    let cached = per_million("cache_read_input_token_cost");
    let reasoning = per_million("output_cost_per_reasoning_token");
    if input.is_some() != output.is_some() {
        // With the other taken as nothing, budgets would count too little.
        let (node, path) = params.own();
        ledger.leave(path, node, "a price for one of prompt and answer only: set `price` with both");
    }
    Some(Price { input: input?, output: output?, cached, reasoning })
}

/// LiteLLM shares calls out by `weight`, else by `rpm`, else by `tpm`. As limits those two have no counterpart.
fn shares(params: &mut Fields<'_>, ledger: &mut Ledger) -> [Option<f64>; 3] {
    let weight = params.carry(ledger, "weight", "a number", number);
    let [rpm, tpm] = ["rpm", "tpm"].map(|key| {
        let node = params.take(key)?;
        let reason = "as a limit: targets have none, keys have `rpm` and `tpm`. Calls are shared out by it";
        ledger.leave(&params.path(key), node, reason);
        number(node)
    });
    [weight, rpm, tpm]
}

fn reason_for_parameter(key: &str) -> &'static str {
    match key {
        "max_retries" | "num_retries" => "retries are set for each model: see `retry`",
        "temperature"
        | "top_p"
        | "max_tokens"
        | "max_completion_tokens"
        | "seed"
        | "stop"
        | "presence_penalty"
        | "frequency_penalty"
        | "response_format"
        | "reasoning_effort"
        | "thinking"
        | "extra_body"
        | "stream"
        | "additional_drop_params"
        | "drop_params" => "requests pass through unchanged: the caller sets it",
        "tags" => "choosing a target by tag is not built",
        "max_budget" | "budget_duration" => "budgets are set for each key, not for each target",
        "input_cost_per_second"
        | "output_cost_per_second"
        | "input_cost_per_image"
        | "output_cost_per_image"
        | "cache_creation_input_token_cost"
        | "input_cost_per_audio_token"
        | "input_cost_per_token_above_200k_tokens"
        | "output_cost_per_token_above_200k_tokens" => {
            "prices are for tokens of the prompt, of the answer, cached and of reasoning"
        }
        "aws_access_key_id"
        | "aws_secret_access_key"
        | "aws_region_name"
        | "vertex_project"
        | "vertex_location"
        | "vertex_credentials" => "the protocol that it is for is not built",
        "tenant_id" | "client_id" | "client_secret" | "azure_ad_token" => {
            "signing in to Azure by Entra ID is not built: use an API key"
        }
        "api_type" => "not needed: the provider's dialect says it",
        _ => "no counterpart",
    }
}
