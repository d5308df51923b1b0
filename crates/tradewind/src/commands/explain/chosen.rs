//! How the model was chosen, for a person: the lines about caller, rule, meaning and complexity, and the table of scores.
//! Works on the JSON of a record, like `print`.

use std::fmt::Write as _;

use serde_json::Value;

use super::print::{list, longest, money, text, time};

/// Gives `fact` a name and a value for each thing that is known of how the model was chosen.
pub(super) fn facts(record: &Value, fact: &mut dyn FnMut(&str, String)) {
    let choice = &record["choice"];
    if choice["context"].is_object() {
        fact("caller", caller(&choice["context"]));
    }
    if let Some(number) = choice["rule"]["number"].as_u64() {
        fact("led on", format!("to `{}`, by the rule route[{number}] of its entry", text(&choice["rule"], "use")));
    }
    let meaning = &choice["meaning"];
    if meaning.is_object() {
        let verdict = if meaning["abstained"] == true { "none is said to fit" } else { "compared" };
        let (basis, embedder) = (text(meaning, "basis"), text(meaning, "embedder"));
        let (confidence, margin) = (number(&meaning["confidence"]), number(&meaning["margin"]));
        fact("meaning", format!("{verdict}, by {basis} ({embedder}): confidence {confidence}, margin {margin}"));
    }
    let complexity = &choice["complexity"];
    if complexity.is_object() {
        let parts = ["length", "spread", "entities", "code", "constraints"];
        let parts: Vec<String> = parts.iter().map(|part| format!("{part} {}", number(&complexity[*part]))).collect();
        fact("complex", format!("{} of 1 ({})", number(&complexity["value"]), parts.join(", ")));
    }
    if let Some((set, used)) = changed_weights(record) {
        let why = if meaning["abstained"] == true { "since none fits" } else { "by the complexity" };
        let change = format!("from {} to {}", number(&set["meaning"]), number(&used["meaning"]));
        fact("weights", format!("that of meaning goes {change} {why}"));
    }
    match choice["affinity"].as_str() {
        Some("session") => fact("together", "with the other calls of its session".to_owned()),
        Some("prompt-cache") => fact("together", "with calls that begin alike".to_owned()),
        _ => {}
    }
    let kept = &choice["cache"];
    if kept.is_object() {
        let what = match kept["similarity"].as_f64() {
            Some(cosine) => format!("a question that means the same (cosine {cosine:.3})"),
            None => "the same request".to_owned(),
        };
        let age = time(&kept["age_ms"]);
        fact("kept", format!("the answer to {what}, {age} old, from the decision {}", text(kept, "decision")));
    }
}

/// Who calls, and who said so where that is not the key.
fn caller(context: &Value) -> String {
    let mut said = Vec::new();
    for part in ["role", "tenant", "region", "device"] {
        if let Some(value) = context[part].as_str() {
            let by = match context["said_by"][part].as_str() {
                Some("signature") => " (signed)",
                Some("hint") => " (a hint)",
                Some("user_agent") => " (by its user agent)",
                _ => "",
            };
            said.push(format!("{part} {value}{by}"));
        }
    }
    let tags: Vec<&str> = list(context, "tags").iter().filter_map(Value::as_str).collect();
    if !tags.is_empty() {
        said.push(format!("tags {}", tags.join(" ")));
    }
    let mut said = said.join(", ");
    let overruled: Vec<&str> = list(context, "overruled").iter().filter_map(Value::as_str).collect();
    if !overruled.is_empty() {
        let _ = write!(said, "; a header said another {}", overruled.join(" and "));
    }
    said
}

/// The weights of the file and those in effect, where they differ.
fn changed_weights(record: &Value) -> Option<(&Value, &Value)> {
    let scored = list(record, "candidates").iter().map(|candidate| &candidate["parts"]["score"]);
    scored.map(|score| (&score["set_weights"], &score["weights"])).find(|(set, _)| set.is_object())
}

/// The scores of the candidates, each with what it was made of.
pub(super) fn scores(record: &Value, out: &mut String) {
    let scored = || list(record, "candidates").iter().filter(|one| one["parts"]["score"].is_object());
    if scored().next().is_none() {
        return;
    }
    let width = longest(list(record, "candidates"), "target").max("the weights of this call".len() - 4);
    let _ =
        writeln!(out, "\n{:<rest$}  total  meaning   load   cost  expected", "scores, from 0 to 1", rest = width + 6);
    let mut weights = &Value::Null;
    let mut is_assumed = false;
    for candidate in scored() {
        let score = &candidate["parts"]["score"];
        // Groups within groups have weights of their own.
        if *weights != score["weights"] {
            weights = &score["weights"];
            let of = |part: &str| number(&weights[part]);
            let (meaning, load, cost) = (of("meaning"), of("load"), of("cost"));
            let name = "the weights of this call";
            let _ = writeln!(out, "  {name:rest$}         {meaning:>7}  {load:>5}  {cost:>5}", rest = width + 4);
        }
        let rank = candidate["rank"].as_u64().map_or_else(|| "-".to_owned(), |rank| rank.to_string());
        let part = |key: &str, assumed: &str| {
            let mark = if score[assumed] == true { "~" } else { "" };
            format!("{mark}{}", number(&score[key]))
        };
        is_assumed |= score["meaning_assumed"] == true || score["cost_assumed"] == true;
        let line = format!(
            "  {rank:>2}  {:width$}  {:>5}  {:>7}  {:>5}  {:>5}  {:8}  {}",
            text(candidate, "target"),
            number(&score["total"]),
            part("meaning", "meaning_assumed"),
            part("load", ""),
            part("cost", "cost_assumed"),
            score["price_usd"].as_f64().map_or_else(|| "-".to_owned(), money),
            outside(score),
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if is_assumed {
        out.push_str("      ~ not known, so it counts as neither good nor bad\n");
    }
}

/// What others say of a target's load.
fn outside(score: &Value) -> String {
    let mut said = Vec::new();
    if let Some(prior) = score["prior"].as_f64() {
        said.push(format!("Prometheus x{prior:.2}"));
    }
    if let Some(left) = score["quota_left"].as_f64().filter(|left| *left < 1.0) {
        let mut limits = format!("{:.0}% of its limits left", left * 100.0);
        if let Some(seconds) = score["quota_resets_s"].as_f64().filter(|seconds| *seconds > 0.0) {
            let _ = write!(limits, ", all of them in {}", time(&Value::from(seconds * 1e3)));
        }
        said.push(limits);
    }
    said.join(", ")
}

/// Two decimal places; what is not a number is a dash.
fn number(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"))
}
