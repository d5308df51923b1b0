//! What a request asks for: endpoint, model, length, stream, tool. Reads JSON; knows nothing of sockets and faults.

use serde_json::Value;
use tradewind_core::Dialect;

use crate::text;

/// Where the words of a prompt stand.
const PROMPT: [&str; 5] = ["system", "instructions", "messages", "prompt", "input"];

/// Which endpoint a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    ChatCompletions,
    Completions,
    Embeddings,
    Messages,
    CountTokens,
    Responses,
    Models,
    Model(String),
    /// Any other path.
    Echo,
}

impl Endpoint {
    pub(crate) fn of(method: &str, path: &str) -> Self {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        match (method, path) {
            ("POST", "/v1/chat/completions") => Self::ChatCompletions,
            ("POST", "/v1/completions") => Self::Completions,
            ("POST", "/v1/embeddings") => Self::Embeddings,
            ("POST", "/v1/messages") => Self::Messages,
            ("POST", "/v1/messages/count_tokens") => Self::CountTokens,
            ("POST", "/v1/responses") => Self::Responses,
            ("GET", "/v1/models") => Self::Models,
            ("GET", _) => path.strip_prefix("/v1/models/").map_or(Self::Echo, |model| Self::Model(model.to_owned())),
            _ => Self::Echo,
        }
    }

    /// The dialect that its errors are written in.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            _ => Dialect::OpenAi,
        }
    }

    /// Whether its body is JSON with a `model`.
    pub(crate) fn has_model(&self) -> bool {
        matches!(
            self,
            Self::ChatCompletions
                | Self::Completions
                | Self::Embeddings
                | Self::Messages
                | Self::CountTokens
                | Self::Responses
        )
    }
}

/// A tool to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolAsk {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

/// What the body asks for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) endpoint: Endpoint,
    /// Without the `!fault` suffix.
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) most_tokens: Option<u64>,
    pub(crate) prompt_tokens: u64,
    pub(crate) tool: Option<ToolAsk>,
    /// The whole body.
    pub(crate) body: Value,
}

impl Ask {
    /// Reads the body of a model endpoint. Returns the ask, and the text behind `!` in the model's name.
    ///
    /// # Errors
    /// With what a provider would say in its 400.
    pub(crate) fn read(endpoint: Endpoint, body: &[u8]) -> Result<(Self, Option<String>), String> {
        let body: Value =
            serde_json::from_slice(body).map_err(|error| format!("the body is not valid JSON: {error}"))?;
        let model = body["model"].as_str().ok_or("`model` is missing or not a string")?.to_owned();
        let (model, suffix) = match model.split_once('!') {
            Some((model, suffix)) => (model.to_owned(), Some(suffix.to_owned())),
            None => (model, None),
        };
        let needed = match endpoint {
            Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::CountTokens => "messages",
            Endpoint::Completions => "prompt",
            _ => "input",
        };
        if body[needed].is_null() {
            return Err(format!("`{needed}` is missing"));
        }
        if endpoint == Endpoint::Messages && body["max_tokens"].as_u64().is_none() {
            return Err("`max_tokens` is missing or not a number".to_owned());
        }
        let limits = ["max_completion_tokens", "max_tokens", "max_output_tokens"];
        let most_tokens = limits.into_iter().find_map(|limit| body[limit].as_u64());
        let mut prompt_tokens = 0;
        for part in PROMPT {
            prompt_tokens += count_words(&body[part]);
        }
        let ask = Self {
            model,
            stream: body["stream"].as_bool().unwrap_or(false),
            include_usage: body["stream_options"]["include_usage"].as_bool().unwrap_or(false),
            most_tokens,
            prompt_tokens,
            tool: wanted_tool(&endpoint, &body),
            endpoint,
            body,
        };
        Ok((ask, suffix))
    }

    /// A number that is the same for the same request to the same model, whether streamed or not.
    pub(crate) fn seed(&self, seed: u64) -> u64 {
        let mut asked = String::new();
        for part in PROMPT {
            asked.push_str(&self.body[part].to_string());
        }
        text::mix(seed ^ text::hash(asked.as_bytes()) ^ text::hash(self.model.as_bytes()).rotate_left(17))
    }
}

/// Words of all texts in a prompt; roles, types and ids do not count.
fn count_words(value: &Value) -> u64 {
    match value {
        Value::String(text) => text::count(text),
        Value::Array(parts) => parts.iter().map(count_words).sum(),
        Value::Object(fields) => {
            ["content", "text", "input"].iter().filter_map(|name| fields.get(*name)).map(count_words).sum()
        }
        Value::Number(_) => 1,
        _ => 0,
    }
}

/// The tool that the answer should call: a forced one, or the first when the last message is the user's and has the
/// word "tool" in it.
fn wanted_tool(endpoint: &Endpoint, body: &Value) -> Option<ToolAsk> {
    if !matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::Responses) {
        return None;
    }
    let read = |tool| read_tool(tool, endpoint);
    let tools: Vec<ToolAsk> = body["tools"].as_array()?.iter().filter_map(read).collect();
    let choice = &body["tool_choice"];
    let kind = choice.as_str().or_else(|| choice["type"].as_str()).unwrap_or("auto");
    let forced_name = choice["name"].as_str().or_else(|| choice["function"]["name"].as_str());
    let wanted = match kind {
        "none" => return None,
        "required" | "any" | "function" | "tool" => true,
        _ => last_user_text(body).is_some_and(|text| text.to_lowercase().contains("tool")),
    };
    if !wanted {
        return None;
    }
    tools.into_iter().find(|tool| forced_name.is_none_or(|name| name == tool.name))
}

fn read_tool(tool: &Value, endpoint: &Endpoint) -> Option<ToolAsk> {
    let (owner, schema) = match endpoint {
        Endpoint::ChatCompletions => (&tool["function"], "parameters"),
        Endpoint::Responses => (tool, "parameters"),
        _ => (tool, "input_schema"),
    };
    Some(ToolAsk { name: owner["name"].as_str()?.to_owned(), schema: owner[schema].clone() })
}

/// The text of the last message, when it is the user's and not the result of a tool.
fn last_user_text(body: &Value) -> Option<String> {
    if let Value::String(text) = &body["input"] {
        return Some(text.clone());
    }
    let last = body["messages"].as_array().or_else(|| body["input"].as_array())?.last()?;
    if last["role"] != "user" {
        return None;
    }
    match &last["content"] {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) if parts.iter().all(|part| part["type"] != "tool_result") => {
            Some(parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "))
        }
        _ => None,
    }
}

/// Arguments that satisfy a tool's JSON Schema: its required properties, made by type.
pub(crate) fn arguments(schema: &Value, depth: u8) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    if let Some(value) = schema.get("const").or_else(|| schema.get("default")) {
        return value.clone();
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[choice].as_array().and_then(|schemas| schemas.first()) {
            return arguments(first, depth);
        }
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("string") => Value::from("harbour \"ø\" 灯"),
        Some("integer") => Value::from(schema["minimum"].as_i64().unwrap_or(7)),
        Some("number") => Value::from(schema["minimum"].as_f64().unwrap_or(1.5)),
        Some("boolean") => Value::from(true),
        Some("null") => Value::Null,
        Some("array") if depth > 0 => Value::from(vec![arguments(&schema["items"], depth - 1)]),
        Some("array") => Value::from(Vec::<Value>::new()),
        _ if depth > 0 => {
            let required = schema["required"].as_array().map_or(&[] as &[Value], Vec::as_slice);
            let made = required.iter().filter_map(Value::as_str).map(|name| {
                let value = arguments(&schema["properties"][name], depth - 1);
                (name.to_owned(), value)
            });
            Value::Object(made.collect())
        }
        _ => Value::Object(serde_json::Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chat(body: &Value) -> Ask {
        Ask::read(Endpoint::ChatCompletions, body.to_string().as_bytes()).unwrap().0
    }

    #[test]
    fn a_tool_is_called_when_the_user_says_tool_or_the_choice_forces_it() {
        let tools =
            json!([{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "b"}}]);
        let with = |content: &str, choice: Value| {
            let body = json!({"model": "m", "messages": [{"role": "user", "content": content}],
                "tools": tools, "tool_choice": choice});
            chat(&body).tool.map(|tool| tool.name)
        };
        assert_eq!(with("use the tool", Value::Null).as_deref(), Some("a"));
        assert_eq!(with("hello", Value::Null), None);
        assert_eq!(with("hello", json!("required")).as_deref(), Some("a"));
        assert_eq!(with("hello", json!({"type": "function", "function": {"name": "b"}})).as_deref(), Some("b"));
        assert_eq!(with("use the tool", json!("none")), None);
    }

    #[test]
    fn a_tool_result_is_not_answered_with_another_call() {
        let body = json!({"model": "m", "max_tokens": 9, "tools": [{"name": "a", "input_schema": {}}], "messages": [
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": "the tool says 4"}]}]});
        let (ask, _) = Ask::read(Endpoint::Messages, body.to_string().as_bytes()).unwrap();
        assert_eq!(ask.tool, None);
    }

    #[test]
    fn arguments_fit_the_schema() {
        let schema = json!({"type": "object", "required": ["city", "days", "unit", "where"], "properties": {
            "city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}, "unit": {"enum": ["C", "F"]},
            "where": {"type": "object", "required": ["lat"], "properties": {"lat": {"type": "number"}}},
            "unused": {"type": "string"}}});
        let made = arguments(&schema, 8);
        assert_eq!(made, json!({"city": "harbour \"ø\" 灯", "days": 2, "unit": "C", "where": {"lat": 1.5}}));
    }

    #[test]
    fn the_seed_does_not_depend_on_streaming() {
        let plain = chat(&json!({"model": "m", "messages": [{"role": "user", "content": "a"}]}));
        let stream = chat(&json!({"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": true}));
        let other = chat(&json!({"model": "m", "messages": [{"role": "user", "content": "b"}]}));
        assert_eq!(plain.seed(1), stream.seed(1));
        assert_ne!(plain.seed(1), other.seed(1));
        assert_ne!(plain.seed(1), plain.seed(2));
    }

    #[test]
    fn the_fault_suffix_is_cut_off_the_model() {
        let body = json!({"model": "fast!stall:5s", "messages": []});
        let (ask, suffix) = Ask::read(Endpoint::ChatCompletions, body.to_string().as_bytes()).unwrap();
        assert_eq!((ask.model.as_str(), suffix.as_deref()), ("fast", Some("stall:5s")));
    }
}
