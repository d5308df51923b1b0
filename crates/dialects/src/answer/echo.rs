//! The `response` object: what was asked, which it repeats, and what was answered.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::json::{compact, quote, write};
use super::usage::Tokens;

/// The settings of a request that its response repeats, and what stands there when the caller said nothing. Settings that
/// were left out as hints (`service_tier`) are not repeated: they had no effect.
const REPEATED: [(&str, &str); 16] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", "{\"effort\":null,\"summary\":null}"),
    ("safety_identifier", "null"),
    ("temperature", "null"),
    ("text", "{\"format\":{\"type\":\"text\"}}"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// The settings that a response repeats, as JSON members on one line, each with a comma before it.
#[derive(Clone, Debug)]
pub(crate) struct Echo(Vec<u8>);

impl Echo {
    /// What `request` says, as far as it can be read.
    pub(crate) fn of(request: Option<&[u8]>) -> Self {
        let said: HashMap<String, &RawValue> =
            request.and_then(|request| serde_json::from_slice(request).ok()).unwrap_or_default();
        let mut members = Vec::with_capacity(512);
        for (name, default) in REPEATED {
            write(&mut members, format_args!(",\"{name}\":"));
            let value = said.get(name).map(|raw| raw.get()).filter(|value| *value != "null");
            compact(&mut members, value.unwrap_or(default));
        }
        // Nothing is kept, and nothing goes on after the answer.
        members.extend_from_slice(b",\"background\":false,\"store\":false");
        Self(members)
    }
}

/// What a `response` object says besides its output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseHead<'a> {
    pub(crate) id: &'a str,
    pub(crate) model: &'a str,
    /// Unix seconds.
    pub(crate) created: u64,
    pub(crate) status: &'static str,
    pub(crate) incomplete: Option<&'static str>,
    pub(crate) usage: Option<Tokens>,
}

/// Appends a `response` object; `output` is the items, without the brackets.
pub(crate) fn write_response(out: &mut Vec<u8>, head: ResponseHead<'_>, output: &[u8], echo: &Echo) {
    out.extend_from_slice(b"{\"id\":");
    quote(out, head.id);
    write(out, format_args!(",\"object\":\"response\",\"created_at\":{},\"status\":\"{}\"", head.created, head.status));
    out.extend_from_slice(b",\"error\":null,\"incomplete_details\":");
    match head.incomplete {
        Some(reason) => write(out, format_args!("{{\"reason\":\"{reason}\"}}")),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"model\":");
    quote(out, head.model);
    out.extend_from_slice(b",\"output\":[");
    out.extend_from_slice(output);
    out.push(b']');
    out.extend_from_slice(&echo.0);
    out.extend_from_slice(b",\"usage\":");
    match head.usage {
        Some(usage) => usage.write_responses(out),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}
