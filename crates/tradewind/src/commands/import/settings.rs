//! `router_settings`, `litellm_settings`, `general_settings` and the rest of the old file.

use tradewind_policy::{Node, Value};

use super::ledger::{Fields, Ledger, number, text};
use super::write::variable;

/// How a model with several deployments picks one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Strategy {
    /// LiteLLM's own default.
    #[default]
    Weighted,
    LeastLatency,
}

/// What holds for all models.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) strategy: Strategy,
    /// Further attempts.
    pub(super) retries: Option<u32>,
    /// Seconds.
    pub(super) timeout: Option<f64>,
    pub(super) stream_timeout: Option<f64>,
    /// For each model those to ask next, with the path where it is said.
    pub(super) fallbacks: Vec<(String, Vec<String>, String)>,
    /// Those to ask next for every model without its own.
    pub(super) default_fallbacks: (Vec<String>, String),
    /// Other names of a model, with the path where each is said.
    pub(super) aliases: Vec<(String, String, String)>,
    /// What stands in the new file as the secret of the only key.
    pub(super) master_key: Option<String>,
}

const MOST_RETRIES: f64 = 9.0;

/// Reads all sections but `model_list`.
pub(super) fn read(root: &Node, ledger: &mut Ledger) -> Settings {
    let mut settings = Settings::default();
    let mut top = Fields::new(root, "");
    let _ = top.take("model_list");
    // Both sections may hold these; LiteLLM lets the router's own win.
    for section in ["router_settings", "litellm_settings"] {
        if let Some(node) = top.take(section) {
            let mut fields = Fields::new(node, section);
            shared(&mut fields, &mut settings, ledger);
            if section == "router_settings" {
                router(&mut fields, &mut settings, ledger);
                fields.leave_rest(ledger, reason_for_router);
            } else {
                fields.leave_rest(ledger, reason_for_litellm);
            }
        }
    }
    if let Some(node) = top.take("general_settings") {
        let mut fields = Fields::new(node, "general_settings");
        settings.master_key = master_key(&mut fields, ledger);
        fields.leave_rest(ledger, reason_for_general);
    }
    top.leave(ledger, "environment_variables", "set them in the environment that the gateway is started in");
    top.leave(ledger, "include", "import each of those files on its own");
    top.leave_rest(ledger, |key| match key {
        "guardrails" => "guardrails are not built",
        "mcp_servers" => "the tools door is not built",
        "callback_settings" => "telemetry is set under `telemetry`",
        _ => "no counterpart",
    });
    settings
}

fn shared(fields: &mut Fields<'_>, settings: &mut Settings, ledger: &mut Ledger) {
    let retries = |node: &Node| number(node).filter(|retries| retries.fract() == 0.0 && *retries <= MOST_RETRIES);
    let seconds = |node: &Node| number(node).filter(|seconds| *seconds > 0.0);
    let found = fields.carry(ledger, "num_retries", "a whole number up to 9", retries);
    first(&mut settings.retries, found.map(|retries| retries as u32), fields, "num_retries", ledger);
    for key in ["timeout", "request_timeout"] {
        let found = fields.carry(ledger, key, "a number of seconds", seconds);
        first(&mut settings.timeout, found, fields, key, ledger);
    }
    let found = fields.carry(ledger, "stream_timeout", "a number of seconds", seconds);
    first(&mut settings.stream_timeout, found, fields, "stream_timeout", ledger);
    if let Some(node) = fields.take("fallbacks") {
        read_fallbacks(node, &fields.path("fallbacks"), settings, ledger);
    }
    let names = |node: &Node| match &node.value {
        Value::List(items) => items.iter().map(text).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let found = fields.carry(ledger, "default_fallbacks", "a list of models", names);
    let path = fields.path("default_fallbacks");
    let mut known = Some(settings.default_fallbacks.clone()).filter(|(names, _)| !names.is_empty());
    first(&mut known, found.map(|names| (names, path)), fields, "default_fallbacks", ledger);
    settings.default_fallbacks = known.unwrap_or_default();
    for key in ["context_window_fallbacks", "content_policy_fallbacks"] {
        let reason = "a fallback for one kind of error is not built: `fallbacks` are for all that may be tried again";
        fields.leave(ledger, key, reason);
    }
}

/// Of two sections that say the same the first one holds, and what the other says is left.
fn first<T: PartialEq>(
    known: &mut Option<T>,
    found: Option<T>,
    fields: &mut Fields<'_>,
    key: &str,
    ledger: &mut Ledger,
) {
    match (&known, found) {
        (None, found) => *known = found,
        (Some(before), Some(found)) if *before != found => {
            fields.leave(ledger, key, "another setting says it differently")
        }
        _ => {}
    }
}

/// A list of maps from a model to those to ask next.
fn read_fallbacks(node: &Node, path: &str, settings: &mut Settings, ledger: &mut Ledger) {
    if node.items().is_empty() && !matches!(&node.value, Value::List(_)) {
        ledger.leave(path, node, "not a list of fallbacks");
        return;
    }
    for (index, item) in node.items().iter().enumerate() {
        let path = format!("{path}[{index}]");
        if item.entries().is_empty() {
            ledger.leave(&path, item, "not a model with those to ask next");
        }
        for entry in item.entries() {
            let path = format!("{path}.{}", entry.key);
            let names: Option<Vec<String>> = entry.value.items().iter().map(text).collect();
            match names {
                Some(names) if !names.is_empty() => {
                    if settings.fallbacks.iter().any(|(model, ..)| **model == *entry.key) {
                        ledger.leave(&path, &entry.value, "the model has fallbacks already");
                    } else {
                        ledger.carry(&path);
                        settings.fallbacks.push((entry.key.to_string(), names, path));
                    }
                }
                _ => ledger.leave(&path, &entry.value, "only names of models can be asked next"),
            }
        }
    }
}

fn router(fields: &mut Fields<'_>, settings: &mut Settings, ledger: &mut Ledger) {
    if let Some(node) = fields.take("routing_strategy") {
        let path = fields.path("routing_strategy");
        let not_built = "choosing by usage or cost is not built: `weighted` instead";
        match node.as_str() {
            Some("simple-shuffle") => ledger.carry(&path),
            Some("latency-based-routing" | "least-busy") => {
                ledger.carry(&path);
                settings.strategy = Strategy::LeastLatency;
            }
            Some("usage-based-routing" | "usage-based-routing-v2" | "cost-based-routing") => {
                ledger.leave(&path, node, not_built)
            }
            _ => ledger.leave(&path, node, "not a known strategy: `weighted` instead"),
        }
    }
    let Some(node) = fields.take("model_group_alias") else { return };
    let path = fields.path("model_group_alias");
    if !matches!(node.value, Value::Map(_)) {
        return ledger.leave(&path, node, "not a map of names");
    }
    for entry in node.entries() {
        let path = format!("{path}.{}", entry.key);
        let mut alias = Fields::new(&entry.value, path.clone());
        let (model, is_map) = match text(&entry.value) {
            Some(model) => (Some(model), false),
            None => (alias.carry(ledger, "model", "the name of a model", text), true),
        };
        match model {
            Some(model) => settings.aliases.push((entry.key.to_string(), model, path.clone())),
            None => ledger.leave(&path, &entry.value, "not the name of a model"),
        }
        if is_map {
            alias.leave_rest(ledger, |_| "every name is listed by /v1/models");
        }
    }
}

/// The master key may do everything, so it becomes a key with all rights. It is never written out.
fn master_key(fields: &mut Fields<'_>, ledger: &mut Ledger) -> Option<String> {
    const OWN: &str = "TRADEWIND_MASTER_KEY";
    let node = fields.take("master_key")?;
    let path = fields.path("master_key");
    let value = text(node)?;
    if let Some(name) = variable(&value) {
        ledger.carry(&path);
        return Some(format!("${{{name}}}"));
    }
    ledger.leave(
        &path,
        node,
        format!("a secret in the file: put it into the variable {OWN}, with at least 16 characters"),
    );
    Some(format!("${{{OWN}}}"))
}

fn reason_for_router(key: &str) -> &'static str {
    match key {
        "allowed_fails" | "cooldown_time" | "allowed_fails_policy" | "disable_cooldowns" => {
            "targets are rested by breakers of their own: five failures in a row, or half of ten, for 5 s and then longer"
        }
        "retry_policy" | "model_group_retry_policy" | "retry_after" => {
            "what may be tried again is fixed for each kind of fault"
        }
        "redis_host" | "redis_port" | "redis_password" | "redis_url" | "redis_db" | "cache_responses"
        | "cache_kwargs" => "state is kept in the process; sharing it between gateways is not built",
        "enable_pre_call_checks" => "whether a target fits a request is always checked",
        "routing_strategy_args" => "the strategy has no settings",
        "enable_tag_filtering" | "tag_filtering_match_any" => "choosing a target by tag is not built",
        "max_fallbacks" => "all fallbacks of a model are asked, within `retry.attempts`",
        "provider_budget_config" => "budgets are set for each key, not for each provider",
        "set_verbose" | "debug_level" => "logging is set under `telemetry`",
        _ => "no counterpart",
    }
}

fn reason_for_litellm(key: &str) -> &'static str {
    match key {
        "drop_params" => {
            "hints that a target has no words for are left out anyway, and a target that cannot do what is asked is not asked"
        }
        "callbacks"
        | "success_callback"
        | "failure_callback"
        | "service_callback"
        | "turn_off_message_logging"
        | "json_logs"
        | "log_raw_request_response"
        | "set_verbose"
        | "langfuse_default_tags"
        | "redact_user_api_key_info" => "telemetry is set under `telemetry`; records never hold the text of calls",
        "cache" | "cache_params" | "enable_preview_features" => "answers are not cached",
        "telemetry" => "nothing is sent home",
        "max_budget"
        | "budget_duration"
        | "default_internal_user_params"
        | "max_internal_user_budget"
        | "upperbound_key_generate_params" => "budgets are set for each key: see `keys`",
        "ssl_verify" | "ssl_certificate" => "certificates are always verified: see `tls-roots` of a provider",
        "guardrails" => "guardrails are not built",
        "modify_params" => "requests pass through unchanged",
        "json_schema_validation" | "enable_json_schema_validation" => "answers are not validated",
        _ => "no counterpart",
    }
}

fn reason_for_general(key: &str) -> &'static str {
    match key {
        "database_url"
        | "store_model_in_db"
        | "store_prompts_in_spend_logs"
        | "database_connection_pool_limit"
        | "proxy_batch_write_at"
        | "disable_spend_logs"
        | "allow_requests_on_db_unavailable" => {
            "no database is needed: keys are made by `tradewind key`, records are kept in `data-dir`"
        }
        "max_parallel_requests" | "global_max_parallel_requests" => "see `limits.concurrent-calls`",
        "alerting" | "alerting_threshold" | "alert_types" | "alerting_args" => {
            "alerts are made from the metrics at /metrics"
        }
        "custom_auth" | "enable_jwt_auth" | "litellm_jwtauth" | "enable_oauth2_auth" => {
            "callers have keys; other ways to sign in are not built"
        }
        "ui_access_mode" | "proxy_admin_email" => "there is no web UI yet",
        "background_health_checks" | "health_check_interval" => "health is known from the calls themselves",
        "pass_through_endpoints" => "see `passthrough` of a provider",
        "max_request_size_mb" => "see `limits.request-body`",
        "max_response_size_mb" => "see `limits`",
        _ => "no counterpart",
    }
}
