//! A decision record, or the preview of one, as a page for a person: what came of the call in one sentence, why, then
//! candidates and attempts.
//!
//! Works on the JSON of the record, which is what the gateway's API gives; a field that is missing is left out, so that
//! records of other versions can be read too. Plain ASCII, no colours.

use std::fmt::Write as _;

use serde_json::Value;

use super::chosen;

/// How many characters the time line of an attempt takes.
const LINE: usize = 24;

/// The record in words.
pub(in crate::commands) fn explain(record: &Value) -> String {
    let mut out = format!("decision {}  {}\n\n{}\n\n", text(record, "id"), text(record, "at"), headline(record));
    facts(record, &mut out);
    candidates(record, &mut out);
    chosen::scores(record, &mut out);
    attempts(record, &mut out);
    out
}

/// What would be decided, in words: a record of a call that was not made.
pub(in crate::commands) fn preview(preview: &Value) -> String {
    let first = match preview["chosen"].as_str() {
        Some(target) if list(preview, "candidates").iter().any(|one| one["rank"].is_number()) => {
            format!("{target} would be asked first")
        }
        Some(rules) => format!("no target could be asked; {rules} would answer as the last resort"),
        None => "no target could be asked".to_owned(),
    };
    let mut out = format!("preview  {}\n\n{first}; nobody was called\n\n", text(preview, "at"));
    facts(preview, &mut out);
    candidates(preview, &mut out);
    chosen::scores(preview, &mut out);
    out
}

/// What came of it, in one sentence.
fn headline(record: &Value) -> String {
    let elapsed = time(&record["elapsed_ms"]);
    let tried = list(record, "attempts");
    let failed = tried.iter().filter(|one| is_failure(one)).count();
    let target = text(record, "chosen");
    match text(record, "outcome") {
        "ok" if record["choice"]["cache"].is_object() => format!("a kept answer of {target} was given in {elapsed}"),
        "ok" => {
            let mut said = format!("{target} answered in {elapsed}");
            match failed {
                0 => {}
                1 => said.push_str(", after 1 failed attempt"),
                many => {
                    let _ = write!(said, ", after {many} failed attempts");
                }
            }
            let hedge = tried.iter().find(|one| text(one, "outcome") == "ok").is_some_and(|won| won["hedge"] == true);
            let slower: Vec<&str> =
                tried.iter().filter(|one| text(one, "outcome") == "cancelled").map(|one| text(one, "target")).collect();
            match (slower.is_empty(), hedge) {
                (true, _) => {}
                (false, true) => {
                    let _ = write!(said, ", as a hedge: it was faster than {}", slower.join(" and "));
                }
                (false, false) => {
                    let _ = write!(said, ", faster than its hedge at {}", slower.join(" and "));
                }
            }
            said
        }
        "partial" => format!("{target} broke off after {elapsed}: the caller has a part of the answer, then an error"),
        "last_resort" => format!("{target} answered as the last resort: {}", nobody(failed)),
        "rejected" if tried.is_empty() => "the gateway refused the request; no target was asked".to_owned(),
        "rejected" => format!("{} refused the request itself; no other target was asked", last_target(tried)),
        "client_gone" => format!("the caller went away after {elapsed}"),
        "failed" => format!("nobody answered: {}", nobody(failed)),
        other => format!("{target}: {other} after {elapsed}"),
    }
}

fn nobody(failed: usize) -> String {
    match failed {
        0 => "no target could be tried".to_owned(),
        1 => "the attempt failed".to_owned(),
        many => format!("{many} attempts failed"),
    }
}

/// The lines below the headline: what was asked, who came first and why, what went wrong, what it took.
fn facts(record: &Value, out: &mut String) {
    let mut fact = |name: &str, value: std::fmt::Arguments<'_>| {
        let _ = writeln!(out, "  {name:9} {value}");
    };
    let streamed = if record["stream"] == true { ", streamed" } else { "" };
    let (operation, model, dialect) = (text(record, "operation"), text(record, "model"), text(record, "dialect"));
    let model = if model.is_empty() { "no model".to_owned() } else { format!("`{model}`") };
    fact("asked", format_args!("{operation} for {model}, {dialect} dialect{streamed}"));
    if let Some(key) = record["key"].as_str() {
        match record["tenant"].as_str() {
            Some(tenant) => fact("by", format_args!("the key {key} of {tenant}")),
            None => fact("by", format_args!("the key {key}")),
        }
    }
    if let Some(first) = list(record, "candidates").iter().find(|one| one["rank"] == 1) {
        fact("first", format_args!("{}: {}", text(first, "target"), text(first, "reason")));
    }
    chosen::facts(record, &mut |name, value| fact(name, format_args!("{value}")));
    for attempt in list(record, "attempts").iter().filter(|one| is_failure(one)) {
        fact("failed", format_args!("{}", failure(attempt)));
    }
    if let Some(detail) = record["detail"].as_str() {
        let (status, code) = (&record["status"], text(record, "code"));
        let asked_nobody = list(record, "attempts").is_empty();
        match text(record, "outcome") {
            "last_resort" => {}
            "partial" => fact("error", format_args!("{code}, as the last event of the stream: {detail}")),
            "client_gone" => fact("error", format_args!("{detail}")),
            "rejected" if !asked_nobody => fact("error", format_args!("{status}, in the target's own words")),
            // The code of the record is that of the fault; before any attempt the caller was told a closer one.
            _ if asked_nobody => fact("error", format_args!("{status}: {detail}")),
            _ => fact("error", format_args!("{status} {code}: {detail}")),
        }
    }
    if let Some(wire) = record["translated"].as_str() {
        fact("put into", format_args!("{wire}, which is what the target speaks"));
    }
    let dropped: Vec<&str> = list(record, "dropped").iter().filter_map(Value::as_str).collect();
    if !dropped.is_empty() {
        fact("left out", format_args!("{} (`strict: true` would have refused the target)", dropped.join(", ")));
    }
    if let Some(reason) = record["finish"].as_str() {
        fact("ended by", format_args!("{reason}"));
    }
    if let Some(usage) = record["usage"].as_object() {
        let count = |key: &str| usage.get(key).and_then(Value::as_u64).unwrap_or(0);
        let mut said = format!("{} tokens in", count("input"));
        if count("cached") > 0 {
            let _ = write!(said, " ({} from the provider's cache)", count("cached"));
        }
        let _ = write!(said, ", {} out", count("output"));
        if count("reasoning") > 0 {
            let _ = write!(said, " ({} for reasoning)", count("reasoning"));
        }
        if usage.get("estimated") == Some(&Value::Bool(true)) {
            said.push_str(", estimated");
        }
        match record["cost_usd"].as_f64() {
            Some(dollars) => fact("used", format_args!("{said}; {}", money(dollars))),
            None => fact("used", format_args!("{said}; cost unknown, the target has no price")),
        }
    }
    if record["overhead_ms"].is_number() {
        fact("overhead", format_args!("{} of the gateway's own until the first byte", time(&record["overhead_ms"])));
    }
    if let Some(trace) = record["trace_id"].as_str() {
        fact("trace", format_args!("{trace}"));
    }
    for note in list(record, "notes") {
        fact("note", format_args!("{}", note.as_str().unwrap_or_default()));
    }
    fact("policy", format_args!("{}", text(record, "policy")));
}

fn candidates(record: &Value, out: &mut String) {
    let candidates = list(record, "candidates");
    if candidates.is_empty() {
        return;
    }
    out.push_str("\ncandidates, in the order of the decision\n");
    let width = longest(candidates, "target");
    let reasons = longest(candidates, "reason");
    for candidate in candidates {
        let rank = candidate["rank"].as_u64().map_or_else(|| "-".to_owned(), |rank| rank.to_string());
        let line = format!(
            "  {rank:>2}  {:width$}  {:reasons$}  {}",
            text(candidate, "target"),
            text(candidate, "reason"),
            parts(&candidate["parts"])
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    omitted(record, "candidates_omitted", out);
}

/// The numbers behind a candidate's place, those that say something, the most telling first.
fn parts(parts: &Value) -> String {
    let mut said = Vec::new();
    let mut part = |name: &str, dull: f64, say: &dyn Fn(f64) -> String| {
        if let Some(number) = parts[name].as_f64().filter(|number| *number != dull) {
            said.push(say(number));
        }
    };
    // Where candidates are scored, load has its place in the table of scores.
    if !parts["score"].is_object() {
        part("cost", f64::NAN, &|cost| format!("cost {}", short(cost)));
    }
    part("first_token_ms", f64::NAN, &|millis| format!("first token {}", time(&Value::from(millis))));
    part("in_flight", 0.0, &|calls| format!("{} in flight", short(calls)));
    part("error_rate", 0.0, &|rate| format!("{:.0}% errors", rate * 100.0));
    part("slow_start", 1.0, &|share| format!("slow start at {:.0}%", share * 100.0));
    part("weight", 1.0, &|weight| format!("weight {}", short(weight)));
    said.join(", ")
}

/// Each attempt with its place on the time line of the call.
fn attempts(record: &Value, out: &mut String) {
    let attempts = list(record, "attempts");
    if attempts.is_empty() {
        return;
    }
    let whole = record["elapsed_ms"].as_f64().unwrap_or(0.0).max(0.001);
    let width = longest(attempts, "target");
    let elapsed = time(&record["elapsed_ms"]);
    // Everything in front of the first character of a time line.
    let margin = 6 + width + 2 + 11 + 2;
    let _ = writeln!(out, "\n{:margin$}0{elapsed:>rest$}", "attempts", rest = LINE - 1);
    for (number, attempt) in attempts.iter().enumerate() {
        let hedge = if attempt["hedge"] == true { ", a hedge" } else { "" };
        let first_byte = match attempt["first_byte_ms"].as_f64() {
            Some(millis) => format!(", first byte at {}", decimal(millis)),
            None => String::new(),
        };
        let by = attempt["way"].as_str().map(|way| format!(", via {way}")).unwrap_or_default();
        let moment = |key: &str| attempt[key].as_f64().map_or_else(|| "-".to_owned(), decimal);
        let _ = writeln!(
            out,
            "  {:>2}  {:width$}  {:11} |{}| {} to {} ms{first_byte}{by}{hedge}",
            number + 1,
            text(attempt, "target"),
            text(attempt, "outcome"),
            bar(attempt, whole),
            moment("started_ms"),
            moment("ended_ms"),
        );
    }
    omitted(record, "attempts_omitted", out);
    let _ = writeln!(out, "{:margin$}- waiting  = answering  x failed", "");
}

/// The time line of one attempt in a call of `whole` milliseconds: `-` before its first byte, `=` after it, `x` where it
/// failed.
fn bar(attempt: &Value, whole: f64) -> String {
    let place = |key: &str| {
        attempt[key].as_f64().map(|millis| (millis / whole * LINE as f64).round().clamp(0.0, LINE as f64) as usize)
    };
    let start = place("started_ms").unwrap_or(0).min(LINE - 1);
    // Whatever happened has a character, however short it was.
    let end = place("ended_ms").unwrap_or(LINE).max(start + 1);
    let answering = place("first_byte_ms").unwrap_or(end);
    let mut bar: String = (0..LINE)
        .map(|at| match at {
            _ if at < start || at >= end => ' ',
            _ if at < answering => '-',
            _ => '=',
        })
        .collect();
    if is_failure(attempt) {
        bar.replace_range(end - 1..end, "x");
    }
    bar
}

fn is_failure(attempt: &Value) -> bool {
    matches!(text(attempt, "outcome"), "failed" | "partial")
}

/// What went wrong with one attempt. Details often begin with the target's name.
fn failure(attempt: &Value) -> String {
    let (target, fault) = (text(attempt, "target"), text(attempt, "fault"));
    match attempt["detail"].as_str() {
        Some(detail) if detail.starts_with(target) => format!("{detail} ({fault})"),
        Some(detail) => format!("{target}: {detail} ({fault})"),
        None => format!("{target}: {fault}"),
    }
}

fn last_target(attempts: &[Value]) -> &str {
    attempts.last().map_or("a target", |last| text(last, "target"))
}

fn omitted(record: &Value, key: &str, out: &mut String) {
    if let Some(count) = record[key].as_u64() {
        let _ = writeln!(out, "      and {count} more");
    }
}

pub(super) fn list<'a>(record: &'a Value, key: &str) -> &'a [Value] {
    record[key].as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("-")
}

pub(super) fn longest(values: &[Value], key: &str) -> usize {
    values.iter().map(|one| text(one, key).chars().count()).max().unwrap_or(0)
}

/// Milliseconds in the unit that suits them.
pub(in crate::commands) fn time(millis: &Value) -> String {
    match millis.as_f64() {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(millis) if millis < 9.95 => format!("{millis:.1} ms"),
        Some(millis) if millis < 999.5 => format!("{millis:.0} ms"),
        Some(millis) if millis < 100_000.0 => format!("{:.2} s", millis / 1e3),
        Some(millis) => format!("{:.0} s", millis / 1e3),
    }
}

/// Milliseconds with one decimal where it matters.
fn decimal(millis: f64) -> String {
    if millis < 9.95 { format!("{millis:.1}") } else { format!("{millis:.0}") }
}

/// Dollars with as many digits as a single call needs.
pub(in crate::commands) fn money(dollars: f64) -> String {
    match dollars {
        0.0 => "$0".to_owned(),
        small if small < 0.1 => format!("${small:.6}"),
        _ => format!("${dollars:.2}"),
    }
}

/// A number without needless digits.
fn short(number: f64) -> String {
    match number {
        whole if whole.fract() == 0.0 => format!("{whole:.0}"),
        large if large >= 10.0 => format!("{large:.1}"),
        small => format!("{small:.3}"),
    }
}
