//! Anthropic's messages.

use std::collections::HashSet;

use serde_json::Value;

use super::{Checked, boolean, list, name, number, once, one_of, only, string};

const FIELDS: [&str; 21] = [
    "model",
    "messages",
    "max_tokens",
    "cache_control",
    "container",
    "diagnostics",
    "inference_geo",
    "metadata",
    "output_config",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
    "user_profile_id",
];
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Checks the body of `/v1/messages`, or of `count_tokens`, which has no limit.
pub(super) fn check(body: &Value, limited: bool) -> Checked {
    only(body, "", &FIELDS)?;
    if limited && body["max_tokens"].as_u64().is_none_or(|most| most == 0) {
        return Err("max_tokens: Input should be greater than or equal to 1".to_owned());
    }
    number(body, "", "temperature", 0.0, 1.0)?;
    number(body, "", "top_p", 0.0, 1.0)?;
    number(body, "", "top_k", 0.0, f64::MAX)?;
    boolean(body, "", "stream")?;
    if !body["metadata"].is_null() {
        only(&body["metadata"], "metadata", &["user_id"])?;
    }
    system(&body["system"])?;
    stop_sequences(&body["stop_sequences"])?;
    thinking(body)?;
    output_config(&body["output_config"])?;
    tools(body)?;
    conversation(list(body, "", "messages")?)
}

fn system(system: &Value) -> Checked {
    match system {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(blocks) => {
            for (at, block) in blocks.iter().enumerate() {
                text_block(block, &format!("system.{at}"))?;
            }
            Ok(())
        }
        _ => Err("system: Input should be a valid string or list".to_owned()),
    }
}

fn stop_sequences(sequences: &Value) -> Checked {
    match sequences {
        Value::Null => Ok(()),
        Value::Array(list) => {
            let blank = |sequence: &Value| sequence.as_str().is_none_or(|text| text.trim().is_empty());
            match list.iter().any(blank) {
                true => Err("stop_sequences: each stop sequence must contain non-whitespace".to_owned()),
                false => Ok(()),
            }
        }
        _ => Err("stop_sequences: Input should be a valid list".to_owned()),
    }
}

fn thinking(body: &Value) -> Checked {
    let thinking = &body["thinking"];
    if thinking.is_null() {
        return Ok(());
    }
    one_of(thinking, "thinking", "type", &["enabled", "disabled", "adaptive", "between_tools"])?;
    if thinking["type"] != "enabled" {
        return only(thinking, "thinking", &["type", "display"]);
    }
    only(thinking, "thinking", &["type", "budget_tokens", "display"])?;
    match (thinking["budget_tokens"].as_u64(), body["max_tokens"].as_u64()) {
        (Some(budget), most) if budget >= 1024 && most.is_none_or(|most| budget < most) => Ok(()),
        _ => Err("thinking.enabled.budget_tokens: at least 1024, and less than max_tokens".to_owned()),
    }
}

fn output_config(config: &Value) -> Checked {
    if config.is_null() {
        return Ok(());
    }
    only(config, "output_config", &["effort", "format"])?;
    one_of(config, "output_config", "effort", &["low", "medium", "high", "xhigh", "max"])?;
    let format = &config["format"];
    if format.is_null() {
        return Ok(());
    }
    let at = "output_config.format";
    only(format, at, &["type", "schema"])?;
    if string(format, at, "type")? != "json_schema" || !format["schema"].is_object() {
        return Err(format!("{at}: Input should be a JSON Schema"));
    }
    Ok(())
}

fn tools(body: &Value) -> Checked {
    let known = ["name", "description", "input_schema", "type", "strict", "cache_control", "input_examples"];
    let mut names = HashSet::new();
    for (index, tool) in body["tools"].as_array().into_iter().flatten().enumerate() {
        let at = format!("tools.{index}");
        only(tool, &at, &known)?;
        name(tool, &at, "name", 128)?;
        once(&mut names, "tools", string(tool, &at, "name")?)?;
        one_of(tool, &at, "type", &["custom"])?;
        boolean(tool, &at, "strict")?;
        if tool["input_schema"]["type"] != "object" {
            return Err(format!("{at}.input_schema.type: Field required"));
        }
    }
    let choice = &body["tool_choice"];
    if choice.is_null() {
        return Ok(());
    }
    if names.is_empty() {
        return Err("tool_choice: may only be specified while providing tools".to_owned());
    }
    let known: &[&str] = match string(choice, "tool_choice", "type")? {
        "auto" | "any" => &["type", "disable_parallel_tool_use"],
        "tool" => &["type", "name", "disable_parallel_tool_use"],
        "none" => &["type"],
        other => return Err(format!("tool_choice.type: `{other}` is not one of auto, any, tool, none")),
    };
    only(choice, "tool_choice", known)?;
    if choice["type"] == "tool" && !names.contains(string(choice, "tool_choice", "name")?) {
        return Err("tool_choice.name: Tool not found in provided tools".to_owned());
    }
    Ok(())
}

/// The messages, and that each tool call has its result at the beginning of the next one.
fn conversation(messages: &[Value]) -> Checked {
    let mut open: Vec<&str> = Vec::new();
    let mut ids = HashSet::new();
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages.{index}");
        only(message, &at, &["role", "content"])?;
        let role = string(message, &at, "role")?;
        if !["user", "assistant"].contains(&role) {
            return Err(format!("{at}.role: Input should be 'user' or 'assistant'"));
        }
        if index == 0 && role != "user" {
            return Err("messages: first message must use the \"user\" role".to_owned());
        }
        let blocks: &[Value] = match &message["content"] {
            Value::String(text) if text.is_empty() => return Err(format!("{at}: must have non-empty content")),
            Value::String(_) => &[],
            _ => list(message, &at, "content")?,
        };
        let mut results = Vec::new();
        let mut leading = true;
        for (block_index, given) in blocks.iter().enumerate() {
            let at = format!("{at}.content.{block_index}");
            block(given, &at, role)?;
            if given["type"] != "tool_result" {
                leading = false;
                continue;
            }
            let id = string(given, &at, "tool_use_id")?;
            if !open.contains(&id) {
                return Err(format!("{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}"));
            }
            if leading {
                results.push(id);
            }
        }
        let missing: Vec<&str> = open.drain(..).filter(|id| !results.contains(id)).collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(format!(
                "{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {missing}"
            ));
        }
        let mut answered = HashSet::new();
        for id in results {
            once(&mut answered, &format!("{at}: each tool_use must have a single result"), id)?;
        }
        for call in blocks.iter().filter(|block| block["type"] == "tool_use") {
            let id = string(call, &at, "id")?;
            once(&mut ids, &format!("{at}: `tool_use` ids"), id)?;
            open.push(id);
        }
    }
    match open.is_empty() {
        true => Ok(()),
        false => Err(format!("`tool_use` ids were found without `tool_result` blocks: {}", open.join(", "))),
    }
}

fn text_block(block: &Value, at: &str) -> Checked {
    only(block, at, &["type", "text", "cache_control", "citations"])?;
    if string(block, at, "text")?.is_empty() {
        return Err(format!("{at}: text content blocks must be non-empty"));
    }
    Ok(())
}

fn block(block: &Value, at: &str, role: &str) -> Checked {
    match (string(block, at, "type")?, role) {
        ("text", _) => text_block(block, at),
        ("image", "user") => {
            only(block, at, &["type", "source", "cache_control"])?;
            source(&block["source"], &format!("{at}.source"), &IMAGES)
        }
        ("document", "user") => {
            only(block, at, &["type", "source", "title", "context", "citations", "cache_control"])?;
            source(&block["source"], &format!("{at}.source"), &["application/pdf"])
        }
        ("tool_result", "user") => {
            only(block, at, &["type", "tool_use_id", "content", "is_error", "cache_control"])?;
            boolean(block, at, "is_error")?;
            let says_nothing = match &block["content"] {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Array(parts) => parts.is_empty(),
                _ => false,
            };
            if block["is_error"] == true && says_nothing {
                return Err(format!("{at}: content cannot be empty if `is_error` is true"));
            }
            match &block["content"] {
                Value::Null | Value::String(_) => Ok(()),
                Value::Array(parts) => {
                    for (index, part) in parts.iter().enumerate() {
                        self::block(part, &format!("{at}.content.{index}"), "user")?;
                    }
                    Ok(())
                }
                _ => Err(format!("{at}.content: Input should be a valid string or list")),
            }
        }
        ("tool_use", "assistant") => {
            only(block, at, &["type", "id", "name", "input", "cache_control"])?;
            name(block, at, "id", 256)?;
            name(block, at, "name", 200)?;
            if block["input"].is_object() { Ok(()) } else { Err(format!("{at}.input: Input should be an object")) }
        }
        ("thinking", "assistant") => {
            only(block, at, &["type", "thinking", "signature"])?;
            string(block, at, "thinking")?;
            // What was not signed by the provider itself is refused.
            if string(block, at, "signature")?.is_empty() {
                return Err(format!("{at}: Invalid `signature` in `thinking` block"));
            }
            Ok(())
        }
        ("redacted_thinking", "assistant") => only(block, at, &["type", "data"]),
        (kind, role) => Err(format!("{at}.type: `{kind}` blocks are not permitted for the role `{role}`")),
    }
}

fn source(source: &Value, at: &str, media_types: &[&str]) -> Checked {
    match string(source, at, "type")? {
        "base64" => {
            only(source, at, &["type", "media_type", "data"])?;
            string(source, at, "media_type")?;
            one_of(source, at, "media_type", media_types)?;
            string(source, at, "data").map(drop)
        }
        "url" => {
            only(source, at, &["type", "url"])?;
            string(source, at, "url").map(drop)
        }
        other => Err(format!("{at}.type: `{other}` is not one of base64, url")),
    }
}
