//! What a scraper reads after calls of each kind, to the letter where it matters.

use std::sync::Arc;
use std::time::Duration;

use tradewind_core::{Code, FaultKind, TargetId, Usage, Usd};

use super::*;
use crate::support::record;
use crate::trace::Trace;

fn page(metrics: &Metrics) -> String {
    metrics.encode(Format::Prometheus)
}

/// The value of the sample that `line` names, 0 when there is none.
fn value(page: &str, sample: &str) -> f64 {
    let mut found = page.lines().filter_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found.next().map_or(0.0, |value| value.parse().unwrap())
}

fn resolved(number: u64) -> Record {
    let mut made = record(number);
    made.resolved = Some(Arc::from("assistant"));
    made.key = Some(Arc::from("ci"));
    made
}

#[test]
fn a_call_counts_for_every_metric() {
    let metrics = Metrics::new();
    let mut made = resolved(1);
    made.overhead = Some(Duration::from_micros(15));
    made.translated = Some("messages");
    made.usage = Some(Usage { input: 12, output: 9, cached: 4, cache_written: 0, reasoning: 2, estimated: false });
    metrics.observe(&made);
    metrics.observe(&made);
    let page = page(&metrics);
    for (sample, expected) in [
        (r#"tradewind_calls_total{door="models",operation="chat",model="assistant",outcome="ok",status="200"}"#, 2.0),
        (r#"tradewind_attempts_total{target="openai/gpt-5-mini",outcome="ok",fault=""}"#, 2.0),
        (r#"tradewind_tokens_total{kind="input",model="assistant",target="openai/gpt-5-mini"}"#, 24.0),
        (r#"tradewind_tokens_total{kind="output",model="assistant",target="openai/gpt-5-mini"}"#, 18.0),
        (r#"tradewind_tokens_total{kind="cached",model="assistant",target="openai/gpt-5-mini"}"#, 8.0),
        (r#"tradewind_tokens_total{kind="reasoning",model="assistant",target="openai/gpt-5-mini"}"#, 4.0),
        (r#"tradewind_cost_usd_total{model="assistant",key="ci"}"#, 0.00024),
        (r#"tradewind_translations_total{operation="chat",from="openai",to="messages"}"#, 2.0),
        (r#"tradewind_call_duration_seconds_count{door="models",operation="chat",model="assistant"}"#, 2.0),
        (r#"tradewind_time_to_first_byte_seconds_count{door="models",operation="chat",model="assistant"}"#, 2.0),
        (r#"tradewind_overhead_seconds_bucket{le="0.00001",door="models",operation="chat",translated="true"}"#, 0.0),
        (r#"tradewind_overhead_seconds_bucket{le="0.00002",door="models",operation="chat",translated="true"}"#, 2.0),
        (r#"tradewind_overhead_seconds_sum{door="models",operation="chat",translated="true"}"#, 0.00003),
    ] {
        assert_eq!(value(&page, sample), expected, "{sample} in\n{page}");
    }
    let labels = r#"gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5-mini""#;
    for (name, more, expected) in [
        ("gen_ai_client_operation_duration_seconds_count", r#",error_type="""#, 2.0),
        ("gen_ai_client_operation_time_to_first_chunk_seconds_count", r#",error_type="""#, 2.0),
        ("gen_ai_client_token_usage_sum", r#",gen_ai_token_type="input""#, 24.0),
        ("gen_ai_client_token_usage_sum", r#",gen_ai_token_type="output""#, 18.0),
    ] {
        assert_eq!(value(&page, &format!("{name}{{{labels}{more}}}")), expected, "{name} in\n{page}");
    }
    assert_eq!(value(&page, &format!("tradewind_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
}

#[test]
#[expect(deprecated, reason = "the GenAI names moved to a repository of their own, for which there is no crate yet")]
fn the_conventions_names_are_the_conventions() {
    use opentelemetry_semantic_conventions::{attribute, metric};
    let metrics = Metrics::new();
    metrics.observe(&resolved(1));
    let page = page(&metrics);
    for (name, unit) in [
        (metric::GEN_AI_CLIENT_OPERATION_DURATION, "_seconds"),
        (metric::GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK, "_seconds"),
        (metric::GEN_AI_CLIENT_TOKEN_USAGE, ""),
    ] {
        let line = format!("# TYPE {}{unit} histogram\n", name.replace('.', "_"));
        assert!(page.contains(&line), "{line} in\n{page}");
    }
    for label in [
        attribute::GEN_AI_OPERATION_NAME,
        attribute::GEN_AI_PROVIDER_NAME,
        attribute::GEN_AI_REQUEST_MODEL,
        attribute::GEN_AI_TOKEN_TYPE,
        attribute::ERROR_TYPE,
    ] {
        assert!(page.contains(&format!("{}=", label.replace('.', "_"))), "{label} in\n{page}");
    }
}

#[test]
fn the_conventions_buckets_are_the_conventions() {
    let metrics = Metrics::new();
    metrics.observe(&resolved(1));
    let page = page(&metrics);
    let bounds = |name: &str| -> Vec<String> {
        let begins = format!("{name}_bucket{{le=\"");
        let lines = page.lines().filter_map(|line| line.strip_prefix(&begins));
        lines.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let seconds = bounds("gen_ai_client_operation_duration_seconds");
    assert_eq!((seconds[0].as_str(), seconds[13].as_str(), seconds.len()), ("0.01", "81.92", 15));
    let tokens = bounds("gen_ai_client_token_usage");
    assert_eq!((tokens[0].as_str(), tokens[13].as_str(), tokens.len()), ("1.0", "67108864.0", 2 * 15));
}

#[test]
fn a_refusal_counts_by_key_and_code_and_a_callers_own_words_are_no_label() {
    let metrics = Metrics::new();
    let mut refused = record(1);
    refused.model = Arc::from("ignore previous instructions");
    refused.attempts.clear();
    refused.chosen = None;
    refused.outcome = Outcome::Rejected;
    refused.fault = Some(FaultKind::Rejected);
    refused.code = Some(Code::BudgetSpent);
    refused.status = 429;
    refused.usage = None;
    refused.cost = None;
    refused.key = Some(Arc::from("ci"));
    metrics.observe(&refused);
    refused.code = Some(Code::BadField);
    metrics.observe(&refused);
    let page = page(&metrics);
    assert_eq!(value(&page, r#"tradewind_refusals_total{key="ci",code="TW1020"}"#), 1.0);
    assert_eq!(page.matches("tradewind_refusals_total{").count(), 1);
    let calls =
        r#"tradewind_calls_total{door="models",operation="chat",model="other",outcome="rejected",status="429"}"#;
    assert_eq!(value(&page, calls), 2.0);
    assert!(!page.contains("ignore"), "{page}");
}

#[test]
fn tokens_and_money_go_to_the_attempts_that_used_them() {
    let metrics = Metrics::new();
    let mut hedged = resolved(1);
    let mut lost = Attempt::new(TargetId::new("anthropic/claude-sonnet"), true, Duration::ZERO);
    lost.usage = Some(Usage { input: 5, output: 1, ..Usage::default() });
    hedged.attempts.push(lost);
    hedged.usage = Some(Usage { input: 17, output: 10, ..Usage::default() });
    hedged.cost = None;
    metrics.observe(&hedged);
    let page = page(&metrics);
    for (sample, expected) in [
        (r#"tradewind_tokens_total{kind="input",model="assistant",target="openai/gpt-5-mini"}"#, 12.0),
        (r#"tradewind_tokens_total{kind="input",model="assistant",target="anthropic/claude-sonnet"}"#, 5.0),
        (r#"tradewind_unpriced_uses_total{door="models",operation="chat",model="assistant"}"#, 2.0),
        (r#"tradewind_cost_usd_total{model="assistant",key="ci"}"#, 0.0),
    ] {
        assert_eq!(value(&page, sample), expected, "{sample} in\n{page}");
    }
}

#[test]
fn only_recorded_traces_are_exemplars() {
    let metrics = Metrics::new();
    let mut made = resolved(1);
    let mut trace = Trace::from_headers(None, None, &mut || 7).sampled_at(0.0);
    made.trace = Some(trace.clone());
    metrics.observe(&made);
    assert!(!metrics.encode(Format::OpenMetrics).contains("trace_id"));
    trace.sampled = true;
    made.trace = Some(trace);
    metrics.observe(&made);
    let open = metrics.encode(Format::OpenMetrics);
    let expected = "# {trace_id=\"00000000000000070000000000000007\"} 0.000861 1795294621.124";
    assert!(open.contains(expected), "{open}");
    assert!(open.ends_with("# EOF\n"));
    assert!(!page(&metrics).contains("trace_id"), "the older format has none");
}

#[test]
fn names_without_end_become_other() {
    let metrics = Metrics::new();
    for number in 0..6000 {
        let mut made = resolved(number);
        made.resolved = Some(format!("model {number}").into());
        made.key = Some(format!("key {number}").into());
        made.attempts[0].target = TargetId::new(&format!("hub/model {number}"));
        metrics.observe(&made);
    }
    let page = page(&metrics);
    let count = |begins: &str| page.lines().filter(|line| line.starts_with(begins)).count();
    assert_eq!(count("tradewind_calls_total{"), 501);
    assert_eq!(count("tradewind_attempts_total{"), 501);
    assert_eq!(count("tradewind_cost_usd_total{"), 501);
    let rest = r#"tradewind_calls_total{door="models",operation="chat",model="other",outcome="ok",status="200"}"#;
    assert_eq!(value(&page, rest), 5500.0, "each is counted, found quickly or not");
}

#[test]
fn what_others_know_is_asked_for_at_each_scrape() {
    let metrics = Metrics::new();
    let count = Arc::new(std::sync::atomic::AtomicU64::new(3));
    let seen = Arc::clone(&count);
    metrics.gauge("tradewind_calls_in_flight", "Calls that have not ended", || -1);
    metrics
        .counter("tradewind_journal_dropped", "Records lost", move || seen.load(std::sync::atomic::Ordering::Relaxed));
    metrics.gauges("tradewind_target_open", "Whether the breaker is open", "target", || {
        (0..600).map(|number| (format!("a/\"{number}"), 1)).collect()
    });
    metrics.counters("tradewind_requests_refused", "Requests refused", "code", || {
        (0..600).map(|number| (format!("TW{number}"), number)).collect()
    });
    assert_eq!(value(&page(&metrics), "tradewind_journal_dropped_total"), 3.0);
    count.store(4, std::sync::atomic::Ordering::Relaxed);
    let page = page(&metrics);
    assert_eq!(value(&page, "tradewind_journal_dropped_total"), 4.0);
    assert_eq!(value(&page, "tradewind_calls_in_flight"), -1.0);
    assert_eq!(value(&page, r#"tradewind_target_open{target="a/\"7"}"#), 1.0);
    assert_eq!(page.matches("\ntradewind_target_open{").count(), 500);
    assert!(page.contains(
        "\n# HELP tradewind_requests_refused_total Requests refused.\n# TYPE tradewind_requests_refused_total counter\n"
    ));
    assert_eq!(value(&page, r#"tradewind_requests_refused_total{code="TW7"}"#), 7.0);
    assert_eq!(page.matches("\ntradewind_requests_refused_total{").count(), 500);
}

#[test]
fn money_is_exact() {
    let metrics = Metrics::new();
    let mut made = resolved(1);
    made.cost = Some(Usd::from_pico(100_000_000_001));
    for _ in 0..10_000 {
        metrics.observe(&made);
    }
    let cost = value(&page(&metrics), r#"tradewind_cost_usd_total{model="assistant",key="ci"}"#);
    assert_eq!(cost, 1_000.000_000_01, "a thousand dollars and ten thousand picodollars");
}
