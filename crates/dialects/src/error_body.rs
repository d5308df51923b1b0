//! What a provider says when it refuses a request, in the caller's dialect: the message is kept, whatever the shape of the
//! body; the type follows from the status.

use serde_json::{Value, json};

use crate::wire::Wire;

/// The longest message that is kept, in bytes.
const LONGEST_MESSAGE: usize = 4096;

/// Puts the body of a provider's refusal with `status` into the dialect of `to`. Understood are OpenAI's, Anthropic's and
/// Google's shapes, those of common servers (`detail`, `message`, `errors`), and plain text; a page of HTML is not
/// repeated. The message is at most 4096 bytes.
#[must_use]
pub fn translate_error(to: Wire, status: u16, body: &[u8]) -> Vec<u8> {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let message = match &value {
        Some(value) => message_in(value, 0),
        None => plain_text(body),
    };
    let message = message.unwrap_or_else(|| format!("the provider refused the request with the status {status}"));
    let message = shortened(&message);
    let text = match to {
        Wire::Messages => json!({
            "type": "error",
            "error": { "type": anthropic_type(status), "message": message },
            "request_id": null,
        }),
        Wire::Chat | Wire::Responses => {
            let member = |name: &str| value.as_ref().and_then(|value| value.get("error")?.get(name)?.as_str());
            let error = json!({
                "message": message,
                "type": openai_type(status),
                "param": member("param"),
                "code": member("code"),
            });
            json!({ "error": error })
        }
    };
    text.to_string().into_bytes()
}

/// The message somewhere in a JSON value, by the names that servers use for it.
fn message_in(value: &Value, depth: usize) -> Option<String> {
    const NAMES: [&str; 8] = ["error", "message", "detail", "msg", "errors", "error_message", "description", "title"];
    match value {
        _ if depth > 4 => None,
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Array(values) => {
            let messages: Vec<String> = values.iter().filter_map(|value| message_in(value, depth + 1)).collect();
            (!messages.is_empty()).then(|| messages.join("; "))
        }
        Value::Object(members) => {
            NAMES.iter().find_map(|name| members.get(*name).and_then(|value| message_in(value, depth + 1)))
        }
        _ => None,
    }
}

fn plain_text(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    (!text.is_empty() && !text.starts_with('<')).then(|| text.to_owned())
}

fn shortened(message: &str) -> &str {
    if message.len() <= LONGEST_MESSAGE {
        return message;
    }
    let end = (0..=LONGEST_MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
    &message[..end]
}

/// The `type` that OpenAI's errors have for a status.
const fn openai_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// The `type` that Anthropic's errors have for a status.
const fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(to: Wire, status: u16, body: &str) -> Value {
        serde_json::from_slice(&translate_error(to, status, body.as_bytes())).unwrap()
    }

    #[test]
    fn the_message_is_found_in_any_shape() {
        for (body, message) in [
            (r#"{"error":{"message":"too long","type":"x","code":null}}"#, "too long"),
            (r#"{"type":"error","error":{"type":"invalid_request_error","message":"bad"}}"#, "bad"),
            (r#"{"error":"no such model"}"#, "no such model"),
            (r#"[{"error":{"code":400,"message":"of Google","status":"X"}}]"#, "of Google"),
            (r#"{"object":"error","message":"of vLLM","code":400}"#, "of vLLM"),
            (r#"{"detail":[{"loc":["body"],"msg":"a"},{"msg":"b"}]}"#, "a; b"),
            (r#"{"detail":"not found"}"#, "not found"),
            (r#"{"errors":[{"message":"é"}]}"#, "é"),
            (" plain words\n", "plain words"),
            ("<html><h1>no</h1></html>", "the provider refused the request with the status 400"),
            ("", "the provider refused the request with the status 400"),
            ("{}", "the provider refused the request with the status 400"),
            ("[[[[[[[\"deep\"]]]]]]]", "the provider refused the request with the status 400"),
        ] {
            for to in [Wire::Chat, Wire::Messages, Wire::Responses] {
                assert_eq!(translated(to, 400, body)["error"]["message"], message, "{body}");
            }
        }
    }

    #[test]
    fn types_follow_the_status_and_codes_are_kept() {
        let body = r#"{"error":{"message":"m","type":"odd","param":"messages","code":"context_length_exceeded"}}"#;
        let openai = translated(Wire::Responses, 400, body);
        let expected = json!({"error": {"message": "m", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}});
        assert_eq!(openai, expected);
        for (status, kind) in [(401, "authentication_error"), (404, "not_found_error"), (413, "request_too_large")] {
            let expected = json!({"type": "error", "error": {"type": kind, "message": "m"}, "request_id": null});
            assert_eq!(translated(Wire::Messages, status, body), expected);
        }
    }

    #[test]
    fn long_messages_are_cut_between_letters() {
        let body = json!({ "message": "é".repeat(5000) }).to_string();
        assert_eq!(translated(Wire::Chat, 400, &body)["error"]["message"], "é".repeat(2048));
    }
}
