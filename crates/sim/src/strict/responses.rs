//! OpenAI's responses.

use serde_json::Value;

use super::{Checked, boolean, list, name, number, one_of, only, string};

const FIELDS: [&str; 33] = [
    "model",
    "input",
    "access_programs",
    "background",
    "context_management",
    "conversation",
    "image",
    "include",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Checks the body of `/v1/responses`.
pub(super) fn check(body: &Value) -> Checked {
    only(body, "", &FIELDS)?;
    number(body, "", "temperature", 0.0, 2.0)?;
    number(body, "", "top_p", 0.0, 1.0)?;
    boolean(body, "", "stream")?;
    boolean(body, "", "store")?;
    one_of(body, "", "truncation", &["auto", "disabled"])?;
    for (index, tool) in body["tools"].as_array().into_iter().flatten().enumerate() {
        let at = format!("tools.{index}");
        if string(tool, &at, "type")? == "function" {
            only(tool, &at, &["type", "name", "description", "parameters", "strict", "defer_loading"])?;
            name(tool, &at, "name", 64)?;
        }
    }
    if body["input"].is_string() {
        return Ok(());
    }
    let items = list(body, "", "input")?;
    let mut open: Vec<&str> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = format!("input.{index}");
        match item["type"].as_str().unwrap_or("message") {
            "message" => message(item, &at)?,
            "function_call" => {
                only(item, &at, &["type", "id", "call_id", "name", "arguments", "status"])?;
                string(item, &at, "arguments")?;
                name(item, &at, "name", 64)?;
                open.push(string(item, &at, "call_id")?);
            }
            "function_call_output" => {
                only(item, &at, &["type", "id", "call_id", "output", "status"])?;
                let id = string(item, &at, "call_id")?;
                match open.iter().position(|open| *open == id) {
                    Some(found) => drop(open.remove(found)),
                    None if !body["previous_response_id"].is_null() => {}
                    None => return Err(format!("No tool call found for function call output with call_id {id}.")),
                }
            }
            "reasoning" => {
                only(item, &at, &["type", "id", "summary", "content", "encrypted_content", "status"])?;
            }
            // Items of tools that the provider runs itself.
            _ => {}
        }
    }
    match open.first() {
        None => Ok(()),
        Some(id) => Err(format!("No tool output found for function call {id}.")),
    }
}

fn message(item: &Value, at: &str) -> Checked {
    only(item, at, &["type", "id", "role", "content", "status", "phase"])?;
    let role = string(item, at, "role")?;
    let types: &[&str] = match role {
        "assistant" => &["output_text", "refusal"],
        "user" | "system" | "developer" => &["input_text", "input_image", "input_file", "input_audio"],
        other => return Err(format!("{at}.role: `{other}` is not a role")),
    };
    if item["content"].is_string() {
        return Ok(());
    }
    for (index, part) in list(item, at, "content")?.iter().enumerate() {
        one_of(part, &format!("{at}.content.{index}"), "type", types)?;
    }
    Ok(())
}
