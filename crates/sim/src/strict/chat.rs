//! OpenAI's chat completions.

use std::collections::HashSet;

use serde_json::Value;

use super::{Checked, boolean, list, name, number, once, one_of, only, string};

const FIELDS: [&str; 37] = [
    "model",
    "messages",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

/// Checks the body of `/v1/chat/completions`.
pub(super) fn check(body: &Value) -> Checked {
    only(body, "", &FIELDS)?;
    number(body, "", "temperature", 0.0, 2.0)?;
    number(body, "", "top_p", 0.0, 1.0)?;
    number(body, "", "frequency_penalty", -2.0, 2.0)?;
    number(body, "", "presence_penalty", -2.0, 2.0)?;
    boolean(body, "", "stream")?;
    one_of(body, "", "reasoning_effort", &["none", "minimal", "low", "medium", "high", "xhigh", "max"])?;
    if !body["max_tokens"].is_null() && !body["max_completion_tokens"].is_null() {
        return Err("max_tokens: not together with max_completion_tokens".to_owned());
    }
    if !body["stream_options"].is_null() {
        if body["stream"] != true {
            return Err("stream_options: only allowed when `stream` is enabled".to_owned());
        }
        only(&body["stream_options"], "stream_options", &["include_usage", "include_obfuscation"])?;
    }
    match &body["stop"] {
        Value::Null | Value::String(_) => {}
        Value::Array(stops) if (1..=4).contains(&stops.len()) && stops.iter().all(Value::is_string) => {}
        _ => return Err("stop: Input should be a string or a list of 1 to 4 strings".to_owned()),
    }
    response_format(&body["response_format"])?;
    tools(body)?;
    conversation(list(body, "", "messages")?)
}

fn response_format(format: &Value) -> Checked {
    if format.is_null() {
        return Ok(());
    }
    let at = "response_format";
    if string(format, at, "type")? != "json_schema" {
        one_of(format, at, "type", &["text", "json_object"])?;
        return only(format, at, &["type"]);
    }
    only(format, at, &["type", "json_schema"])?;
    let schema = &format["json_schema"];
    let at = "response_format.json_schema";
    only(schema, at, &["name", "description", "schema", "strict"])?;
    name(schema, at, "name", 64)?;
    boolean(schema, at, "strict")
}

fn tools(body: &Value) -> Checked {
    let mut names = HashSet::new();
    for (index, tool) in body["tools"].as_array().into_iter().flatten().enumerate() {
        let at = format!("tools.{index}");
        if string(tool, &at, "type")? != "function" {
            continue;
        }
        only(tool, &at, &["type", "function"])?;
        let (function, at) = (&tool["function"], format!("{at}.function"));
        only(function, &at, &["name", "description", "parameters", "strict"])?;
        name(function, &at, "name", 64)?;
        boolean(function, &at, "strict")?;
        names.insert(string(function, &at, "name")?);
        if !function["parameters"].is_null() && !function["parameters"].is_object() {
            return Err(format!("{at}.parameters: Input should be an object"));
        }
    }
    for needs_tools in ["tool_choice", "parallel_tool_calls"] {
        if !body[needs_tools].is_null() && body["tools"].as_array().is_none_or(Vec::is_empty) {
            return Err(format!("{needs_tools}: only allowed when `tools` are specified"));
        }
    }
    match &body["tool_choice"] {
        Value::Object(choice) if choice.get("type").is_some_and(|kind| kind == "function") => {
            let function = &body["tool_choice"]["function"];
            only(&body["tool_choice"], "tool_choice", &["type", "function"])?;
            only(function, "tool_choice.function", &["name"])?;
            match names.contains(string(function, "tool_choice.function", "name")?) {
                true => Ok(()),
                false => Err("tool_choice.function.name: no tool has this name".to_owned()),
            }
        }
        Value::Object(choice) if choice.get("type").is_some_and(|kind| kind == "allowed_tools") => Ok(()),
        Value::Object(_) => Err("tool_choice.type: not one of function, allowed_tools".to_owned()),
        _ => one_of(body, "", "tool_choice", &["none", "auto", "required"]),
    }
}

/// The messages, and that each call is followed by its result before anything else is said.
fn conversation(messages: &[Value]) -> Checked {
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages.{index}");
        let role = string(message, &at, "role")?;
        if role == "tool" {
            only(message, &at, &["role", "content", "tool_call_id"])?;
            content(message, &at, &["text"])?;
            let id = string(message, &at, "tool_call_id")?;
            let Some(found) = open.iter().position(|open| *open == id) else {
                return Err(format!(
                    "{at}.role: messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
                ));
            };
            open.remove(found);
            continue;
        }
        all_answered(&at, &open)?;
        match role {
            "system" | "developer" => {
                only(message, &at, &["role", "content", "name"])?;
                content(message, &at, &["text"])?;
            }
            "user" => {
                only(message, &at, &["role", "content", "name"])?;
                content(message, &at, &["text", "image_url", "input_audio", "file"])?;
            }
            "assistant" => {
                only(message, &at, &["role", "content", "name", "refusal", "tool_calls", "audio", "function_call"])?;
                open = calls(message, &at)?;
                let said = ["refusal", "audio", "function_call"].iter().any(|name| !message[*name].is_null());
                if !(message["content"].is_null() && (said || !open.is_empty())) {
                    content(message, &at, &["text", "refusal"])?;
                }
            }
            other => return Err(format!("{at}.role: `{other}` is not a role")),
        }
    }
    all_answered("messages", &open)
}

fn all_answered(at: &str, open: &[&str]) -> Checked {
    if open.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{at}: An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
         The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    ))
}

/// The ids of a message's calls.
fn calls<'a>(message: &'a Value, at: &str) -> Result<Vec<&'a str>, String> {
    if message["tool_calls"].is_null() {
        return Ok(Vec::new());
    }
    let mut ids = HashSet::new();
    let mut open = Vec::new();
    for (index, call) in list(message, at, "tool_calls")?.iter().enumerate() {
        let at = format!("{at}.tool_calls.{index}");
        only(call, &at, &["id", "type", "function"])?;
        if string(call, &at, "type")? != "function" {
            return Err(format!("{at}.type: `function` is expected"));
        }
        let (function, inner) = (&call["function"], format!("{at}.function"));
        only(function, &inner, &["name", "arguments"])?;
        name(function, &inner, "name", 64)?;
        string(function, &inner, "arguments")?;
        let id = string(call, &at, "id")?;
        once(&mut ids, &at, id)?;
        open.push(id);
    }
    Ok(open)
}

/// A text, or parts of these types.
fn content(message: &Value, at: &str, types: &[&str]) -> Checked {
    if message["content"].is_string() {
        return Ok(());
    }
    for (index, part) in list(message, at, "content")?.iter().enumerate() {
        let at = format!("{at}.content.{index}");
        let kind = string(part, &at, "type")?;
        if !types.contains(&kind) {
            return Err(format!("{at}.type: `{kind}` is not one of {}", types.join(", ")));
        }
        only(part, &at, &["type", kind, "prompt_cache_breakpoint"])?;
        let inner = format!("{at}.{kind}");
        match kind {
            "image_url" => {
                only(&part[kind], &inner, &["url", "detail"])?;
                string(&part[kind], &inner, "url")?;
                one_of(&part[kind], &inner, "detail", &["auto", "low", "high", "original"])?;
            }
            "file" => only(&part[kind], &inner, &["file_data", "file_id", "filename"])?,
            "input_audio" => only(&part[kind], &inner, &["data", "format"])?,
            _ => drop(string(part, &at, kind)?),
        }
    }
    Ok(())
}
