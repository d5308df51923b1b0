//! What is said at a start: what the gateway is and has, whom it lets in, what it tells about itself, where it listens.

use tradewind_access::Access;
use tradewind_core::{Clock, UnixMillis};
use tradewind_policy::{LoggedCalls, Telemetry};
use tradewind_runtime::SystemClock;

use crate::commands::counted;
use crate::{Document, Gateway, Source, say};

/// How many models are named.
const MOST_MODELS: usize = 8;

/// Says what the gateway is and has, and last of all where it listens: from then on it answers.
pub(super) fn greet(gateway: &Gateway, source: &Source, document: &Document) {
    let shared = &document.shared;
    let scheme = if shared.tls.is_some() { "https" } else { "http" };
    say::note(format_args!("tradewind {}", env!("CARGO_PKG_VERSION")));
    line("configuration", &format!("{} (policy {})", source.name(), document.policy));
    line("providers", &providers(source, document));
    line("models", &models(document));
    line("callers", &callers(gateway.access(), SystemClock::new().wall()));
    for (takes, address) in gateway.relay_ports() {
        line("relay", &format!("{takes} on {address}"));
    }
    if let Some(address) = gateway.controller_address() {
        line("controller", &format!("http://{address}"));
    }
    if document.modules.is_some() {
        let own = gateway.modules_address().map_or_else(String::new, |address| format!(" and {scheme}://{address}"));
        line("modules", &format!("GOPROXY={scheme}://{}/go{own}", gateway.address));
    }
    line("journal", &gateway.journal_folder.display().to_string());
    if let Some(notice) = &gateway.journal_notice {
        line("note", &notice.to_string());
    }
    let who = if gateway.access().is_open() { "" } else { ", for keys that may use control/read" };
    line("metrics", &format!("/metrics{who}"));
    line("spans", &spans(&shared.telemetry));
    line("log", log(&shared.telemetry));
    say::note(format_args!("listening on {scheme}://{}", gateway.address));
}

fn line(what: &str, said: &str) {
    say::note(format_args!("  {what:<13}  {said}"));
}

fn providers(source: &Source, document: &Document) -> String {
    let providers = &document.shared.providers;
    if providers.is_empty() {
        let none = match source {
            Source::BuiltIn => {
                "none yet: set OPENAI_API_KEY or ANTHROPIC_API_KEY, or start Ollama, llama.cpp, vLLM or LM Studio;\n                 \
                 until then built-in rules answer, and say so"
            }
            Source::File(_) | Source::Directory(_) => "none: the file has no `providers`",
        };
        return none.to_owned();
    }
    let named: Vec<String> =
        providers.iter().map(|provider| format!("{} ({})", provider.name.value, provider.base_url.as_str())).collect();
    named.join(", ")
}

fn models(document: &Document) -> String {
    let names = &document.models.entries;
    let mut models: Vec<&str> = names.iter().take(MOST_MODELS).map(|entry| entry.name.as_str()).collect();
    let more = format!("and {} more", names.len().saturating_sub(MOST_MODELS));
    if names.len() > MOST_MODELS {
        models.push(&more);
    }
    if models.is_empty() { "none by name".to_owned() } else { models.join(", ") }
}

/// Who may call.
fn callers(access: &Access, now: UnixMillis) -> String {
    if access.is_open() {
        return "no keys: callers on this machine need none".to_owned();
    }
    let keys = access.shown(now);
    let valid = keys.iter().filter(|key| !key.revoked && !key.expired).count();
    let over = keys.len() - valid;
    match (valid, over) {
        (0, 0) => "nobody: there is no key; `tradewind key create NAME` makes one".to_owned(),
        (0, over) => {
            let over = counted(over, "key");
            format!("nobody: {over}, revoked or expired; `tradewind key create NAME` makes another one")
        }
        (valid, 0) => counted(valid, "key"),
        (valid, over) => format!("{}; {over} more, revoked or expired", counted(valid, "key")),
    }
}

/// Where spans go.
fn spans(telemetry: &Telemetry) -> String {
    let Some(otlp) = &telemetry.otlp else { return "not exported (`telemetry.otlp` says where to)".to_owned() };
    let base = otlp.endpoint.as_str().trim_end_matches(otlp.endpoint.path());
    let share = if otlp.sample < 1.0 {
        format!(", {} % of the traces that begin here", rounded(otlp.sample * 100.0))
    } else {
        String::new()
    };
    format!("to {base}{}{share}", otlp.traces_path())
}

/// A share in percent without the digits that only binary fractions have.
fn rounded(percent: f64) -> f64 {
    (percent * 1e6).round() / 1e6
}

/// Which calls are logged.
const fn log(telemetry: &Telemetry) -> &'static str {
    match telemetry.logs.calls {
        LoggedCalls::None => "no calls (`telemetry.logs.calls: none`)",
        LoggedCalls::Failed => "calls that were not answered, here",
        LoggedCalls::All => "all calls, here",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_access::{Reach, StoredKey};
    use tradewind_policy::{KeyHash, KeyTerms, Timestamp};

    const NOW: UnixMillis = UnixMillis(1_000);

    fn key(name: &str, revoked: bool) -> StoredKey {
        let mut key = StoredKey::new(name, KeyHash::of(name.as_bytes()), UnixMillis(0), KeyTerms::default());
        key.revoked = revoked.then_some(Timestamp(NOW));
        key
    }

    #[test]
    fn whom_it_lets_in() {
        let said = |reach: Reach, keys: &[StoredKey]| {
            let access = Access::new(reach);
            access.set_created(keys).unwrap();
            callers(&access, NOW)
        };
        assert_eq!(said(Reach::Loopback, &[]), "no keys: callers on this machine need none");
        assert!(said(Reach::Network, &[]).starts_with("nobody: there is no key; "));
        assert_eq!(said(Reach::Loopback, &[key("a", false)]), "1 key");
        assert_eq!(said(Reach::Loopback, &[key("a", false), key("b", true)]), "1 key; 1 more, revoked or expired");
        assert!(said(Reach::Loopback, &[key("a", true)]).starts_with("nobody: 1 key, revoked or expired; "));
    }

    #[test]
    fn where_spans_go() {
        let said = |otlp: &str| spans(&Document::parse(otlp).unwrap().shared.telemetry);
        assert_eq!(said("telemetry: {}"), "not exported (`telemetry.otlp` says where to)");
        let with =
            |more: &str| said(&format!("telemetry: {{otlp: {{endpoint: \"https://otel.example.com/otlp\"{more}}}}}"));
        assert_eq!(with(""), "to https://otel.example.com/otlp/v1/traces");
        assert_eq!(
            with(", sample: 0.07"),
            "to https://otel.example.com/otlp/v1/traces, 7 % of the traces that begin here"
        );
    }
}
