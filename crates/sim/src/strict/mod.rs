//! What the real providers refuse in a request, as far as a gateway's translation could get it wrong: the fields of each
//! level, types, and the order of tool calls and their results.
//! Source: the request types of OpenAI's and Anthropic's official packages, and the error messages of their services.
//!
//! Not checked: what depends on a model (which options it takes, how long a prompt may be).

mod chat;
mod messages;
mod responses;

use std::collections::HashSet;

use serde_json::Value;

use crate::ask::{Ask, Endpoint};
use crate::request::Head;

/// What is wrong, as a provider would say it.
type Checked = Result<(), String>;

/// Checks a request to a model.
///
/// # Errors
/// With what a provider would say in its 400.
pub(crate) fn check(head: &Head, ask: &Ask) -> Checked {
    match ask.endpoint {
        Endpoint::ChatCompletions => chat::check(&ask.body),
        Endpoint::Messages | Endpoint::CountTokens => {
            if head.header("anthropic-version").is_none() {
                return Err("anthropic-version: header is required".to_owned());
            }
            messages::check(&ask.body, ask.endpoint == Endpoint::Messages)
        }
        Endpoint::Responses => responses::check(&ask.body),
        _ => Ok(()),
    }
}

/// Refuses fields other than `known`, in an object that has to be one.
fn only(value: &Value, at: &str, known: &[&str]) -> Checked {
    let Some(fields) = value.as_object() else { return Err(format!("{at}: Input should be an object")) };
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("{}: Extra inputs are not permitted", join(at, name))),
        None => Ok(()),
    }
}

/// A field that has to be a string.
fn string<'a>(value: &'a Value, at: &str, name: &str) -> Result<&'a str, String> {
    value[name].as_str().ok_or_else(|| format!("{}: Input should be a valid string", join(at, name)))
}

/// A field that has to be a list with something in it.
fn list<'a>(value: &'a Value, at: &str, name: &str) -> Result<&'a [Value], String> {
    match value[name].as_array() {
        Some(list) if !list.is_empty() => Ok(list),
        _ => Err(format!("{}: Input should be a list that is not empty", join(at, name))),
    }
}

/// A field that, where it is there, has to be one of these.
fn one_of(value: &Value, at: &str, name: &str, allowed: &[&str]) -> Checked {
    match &value[name] {
        Value::Null => Ok(()),
        Value::String(text) if allowed.contains(&text.as_str()) => Ok(()),
        other => Err(format!("{}: {other} is not one of {}", join(at, name), allowed.join(", "))),
    }
}

/// A field that, where it is there, has to be a boolean.
fn boolean(value: &Value, at: &str, name: &str) -> Checked {
    match value.get(name) {
        None | Some(Value::Bool(_) | Value::Null) => Ok(()),
        Some(_) => Err(format!("{}: Input should be a valid boolean", join(at, name))),
    }
}

/// A field that, where it is there, has to be a number in these bounds.
fn number(value: &Value, at: &str, name: &str, least: f64, most: f64) -> Checked {
    match value.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(given) if given.as_f64().is_some_and(|given| (least..=most).contains(&given)) => Ok(()),
        Some(_) => Err(format!("{}: Input should be a number from {least} to {most}", join(at, name))),
    }
}

/// Names of tools, and of formats: letters, digits, `_` and `-`.
fn name(value: &Value, at: &str, field: &str, most: usize) -> Checked {
    let text = string(value, at, field)?;
    let right = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.is_empty() || text.len() > most || !text.chars().all(right) {
        return Err(format!("{}: String should match pattern '^[a-zA-Z0-9_-]{{1,{most}}}$'", join(at, field)));
    }
    Ok(())
}

/// Refuses a second thing of the same name.
fn once<'a>(seen: &mut HashSet<&'a str>, at: &str, name: &'a str) -> Checked {
    if seen.insert(name) { Ok(()) } else { Err(format!("{at}: `{name}` must be unique")) }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Checks a body that has all that its endpoint demands.
    fn checked(endpoint: Endpoint, changes: &Value) -> Checked {
        let mut body = match endpoint {
            Endpoint::Messages => json!({"model": "m", "max_tokens": 2000, "messages": [
                {"role": "user", "content": "hello"}]}),
            Endpoint::Responses => json!({"model": "m", "input": "hello"}),
            _ => json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]}),
        };
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let headers = vec![("anthropic-version".to_owned(), "2023-06-01".to_owned())];
        let head = Head { method: "POST".to_owned(), path: "/".to_owned(), headers, keep_alive: true };
        let (ask, _) = Ask::read(endpoint, body.to_string().as_bytes()).unwrap();
        check(&head, &ask)
    }

    fn refused(endpoint: &Endpoint, changes: Value, said: &str) {
        let error = checked(endpoint.clone(), &changes).expect_err(&changes.to_string());
        assert!(error.contains(said), "{changes}\n{error}");
    }

    fn fine(endpoint: &Endpoint, changes: Value) {
        assert_eq!(checked(endpoint.clone(), &changes), Ok(()), "{changes}");
    }

    #[test]
    fn messages() {
        let wire = &Endpoint::Messages;
        let user = |content: Value| json!({"role": "user", "content": content});
        let assistant = |content: Value| json!({"role": "assistant", "content": content});
        let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {"a": 1}});
        let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "4"});
        let talk = |messages: Value| json!({"messages": messages});
        fine(wire, json!({"system": "s", "top_k": 3, "stop_sequences": ["a"], "metadata": {"user_id": "u"}}));
        fine(wire, talk(json!([user(json!("q")), assistant(json!([call("c")])), user(json!([result("c")]))])));
        fine(wire, json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}));
        fine(wire, json!({"output_config": {"format": {"type": "json_schema", "schema": {}}, "effort": "low"}}));
        refused(wire, json!({"n": 1}), "n: Extra inputs are not permitted");
        refused(wire, json!({"frequency_penalty": 0}), "frequency_penalty");
        refused(wire, json!({"temperature": 1.5}), "temperature");
        refused(wire, json!({"stop_sequences": "a"}), "stop_sequences");
        refused(wire, json!({"system": [{"type": "text", "text": ""}]}), "non-empty");
        refused(wire, json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}), "budget_tokens");
        refused(wire, json!({"tool_choice": {"type": "auto"}}), "tools");
        refused(wire, json!({"tools": [{"name": "f", "parameters": {}}]}), "parameters");
        refused(wire, json!({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}), "pattern");
        refused(wire, json!({"tools": [{"name": "f", "input_schema": {}}]}), "input_schema.type");
        let twice = json!({"name": "f", "input_schema": {"type": "object"}});
        refused(wire, json!({"tools": [twice, twice]}), "unique");
        refused(wire, talk(json!([assistant(json!("a"))])), "first message");
        refused(wire, talk(json!([user(json!(""))])), "non-empty");
        refused(wire, talk(json!([user(json!([{"type": "text", "text": ""}]))])), "non-empty");
        refused(wire, talk(json!([user(json!([{"type": "text", "text": "a", "x": 1}]))])), "messages.0.content.0.x");
        refused(wire, talk(json!([{"role": "tool", "content": "4"}])), "role");
        refused(wire, talk(json!([{"role": "user", "content": "a", "name": "b"}])), "messages.0.name");
        refused(wire, talk(json!([user(json!("q")), user(json!([result("c")]))])), "unexpected `tool_use_id`");
        refused(
            wire,
            talk(json!([user(json!("q")), assistant(json!([call("c")])), user(json!("n"))])),
            "without `tool_r",
        );
        refused(wire, talk(json!([user(json!("q")), assistant(json!([call("c d")]))])), "pattern");
        let exchange = [assistant(json!([call("c")])), user(json!([result("c")]))];
        refused(wire, talk(json!([[user(json!("q"))].as_slice(), &exchange, &exchange].concat())), "unique");
        let failed = |content: Value| {
            let failed = json!({"type": "tool_result", "tool_use_id": "c", "is_error": true, "content": content});
            talk(json!([user(json!("q")), assistant(json!([call("c")])), user(json!([failed]))]))
        };
        fine(wire, failed(json!("error")));
        for nothing in [json!(""), json!([]), Value::Null] {
            refused(wire, failed(nothing), "content cannot be empty");
        }
        let late = user(json!([{"type": "text", "text": "first"}, result("c")]));
        refused(wire, talk(json!([user(json!("q")), assistant(json!([call("c")])), late])), "without `tool_result`");
        let image = |source: Value| talk(json!([user(json!([{"type": "image", "source": source}]))]));
        fine(wire, image(json!({"type": "url", "url": "https://example.com/a.png"})));
        fine(wire, image(json!({"type": "base64", "media_type": "image/png", "data": "iVBO"})));
        refused(wire, image(json!({"type": "base64", "media_type": "image/bmp", "data": "iVBO"})), "media_type");
        refused(wire, image(json!({"type": "url", "url": "https://a", "detail": "low"})), "detail");
    }

    #[test]
    fn chat() {
        let wire = &Endpoint::ChatCompletions;
        let user = json!({"role": "user", "content": "q"});
        let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let calls = |calls: Value| json!({"role": "assistant", "content": null, "tool_calls": calls});
        let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "4"});
        let talk = |messages: Value| json!({"messages": messages});
        let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
        fine(wire, talk(json!([user, calls(json!([call("a"), call("b")])), result("b"), result("a"), user])));
        fine(wire, json!({"tools": [tool], "tool_choice": "required", "parallel_tool_calls": false}));
        fine(wire, json!({"stream": true, "stream_options": {"include_usage": true}, "stop": ["a"], "seed": 1}));
        refused(wire, json!({"system": "s"}), "system: Extra inputs");
        refused(wire, json!({"top_k": 3}), "top_k");
        refused(wire, json!({"stream_options": {"include_usage": true}}), "stream_options");
        refused(wire, json!({"parallel_tool_calls": false}), "tools");
        refused(wire, json!({"tool_choice": "auto"}), "tools");
        refused(wire, json!({"tools": [tool], "tool_choice": {"type": "any"}}), "tool_choice");
        refused(wire, json!({"stop": ["a", "b", "c", "d", "e"]}), "stop");
        refused(wire, json!({"max_tokens": 1, "max_completion_tokens": 1}), "max_tokens");
        refused(wire, talk(json!([user, result("a")])), "must be a response to a preceding");
        refused(wire, talk(json!([user, calls(json!([call("a")])), user])), "did not have response messages: a");
        refused(wire, talk(json!([user, calls(json!([call("a"), call("b")])), result("a")])), "messages: b");
        let spoken = json!([{"id": "a", "type": "function", "function": {"name": "f", "arguments": {}}}]);
        refused(wire, talk(json!([user, calls(spoken)])), "arguments");
        refused(wire, talk(json!([{"role": "user", "content": [{"type": "image", "source": {}}]}])), "type");
        refused(wire, talk(json!([{"role": "user", "content": "a", "cache_control": {}}])), "cache_control");
        refused(wire, talk(json!([{"role": "assistant", "content": null}])), "content");
    }

    #[test]
    fn responses() {
        let wire = &Endpoint::Responses;
        let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
        let output = json!({"type": "function_call_output", "call_id": "c", "output": "4"});
        fine(wire, json!({"input": [{"role": "user", "content": "q"}, call, output], "instructions": "i"}));
        fine(wire, json!({"input": [output], "previous_response_id": "r"}));
        fine(wire, json!({"tools": [{"type": "function", "name": "f", "parameters": {}, "strict": true}]}));
        refused(wire, json!({"messages": []}), "messages");
        refused(wire, json!({"input": [output]}), "No tool call found");
        refused(wire, json!({"input": [call]}), "No tool output found");
        refused(wire, json!({"tools": [{"type": "function", "function": {"name": "f"}}]}), "tools.0.function");
        refused(wire, json!({"input": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}), "type");
    }
}
