//! A whole answer of the OpenAI dialect: whether it is one, and what it says about itself.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use tradewind_core::{Fault, FaultKind};
use tradewind_dispatch::Finding;

use super::{Counts, PromptDetails, known_reason, missing};
use crate::ask::Operation;
use crate::json::{Broken, Json, Kind, Text};
use crate::loose::{Count, estimated_tokens, what_is_wrong};
use crate::openai::CompletionDetails;
use crate::tools::check_arguments;

/// Checks a whole answer to `operation`.
pub(crate) fn check_whole(operation: Operation, body: &[u8]) -> Result<Finding, Fault> {
    let text = answer_text(body)?;
    let mut answer = Answer::default();
    let mut json = Json::new(text);
    let read = answer.read(&mut json, operation).and_then(|()| json.end());
    read.map_err(|broken| not_an_answer(text, broken))?;
    if answer.is_error {
        return Err(Fault::new(FaultKind::ErrorEvent, "the answer is an error with the status 200"));
    }
    let usage = answer.usage.as_ref().and_then(Counts::usage);
    let (field, empty) = if operation == Operation::Embeddings {
        ("data", "the answer has no embedding in it")
    } else {
        ("choices", "the answer has no choice in it")
    };
    match answer.parts {
        None => return Err(missing(field)),
        Some(0) => return Err(Fault::new(FaultKind::EmptyAnswer, empty)),
        Some(_) => {}
    }
    if let Some(fault) = answer.fault {
        return Err(fault.with_usage(usage));
    }
    Ok(Finding {
        usage,
        estimated_output: estimated_tokens(answer.bytes as u64),
        ignored: 0,
        finish: answer.finish,
        id: answer.id,
        model: answer.model,
        notes: Vec::new(),
    })
}

/// The text of an answer that has to be JSON.
pub(crate) fn answer_text(body: &[u8]) -> Result<&str, Fault> {
    if body.trim_ascii().is_empty() {
        return Err(Fault::new(FaultKind::EmptyAnswer, "the answer has an empty body"));
    }
    std::str::from_utf8(body).map_err(|_| Fault::new(FaultKind::BadJson, "the answer is not UTF-8"))
}

/// Why a text is not an answer, in words and without a part of it.
fn not_an_answer(text: &str, broken: Broken) -> Fault {
    match broken {
        Broken::Expected(what) => {
            let detail = format!("the answer is not what the dialect says: expected {what} somewhere");
            Fault::new(FaultKind::BadShape, detail)
        }
        Broken::Twice(field) => {
            let detail = format!("the answer is not what the dialect says: duplicate field `{field}`");
            Fault::new(FaultKind::BadShape, detail)
        }
        Broken::Malformed | Broken::TooDeep => {
            // Found once more, by one that says in words what it is.
            let what = serde_json::from_str::<IgnoredAny>(text).err();
            let what = what.map_or_else(|| "half of a surrogate pair".to_owned(), |error| what_is_wrong(&error));
            Fault::new(FaultKind::BadJson, format!("the answer is not JSON, or was cut: {what}"))
        }
    }
}

/// What is looked at.
#[derive(Default)]
struct Answer {
    id: Option<Box<str>>,
    model: Option<Box<str>>,
    /// How many choices or embeddings there are.
    parts: Option<usize>,
    /// How many bytes they say.
    bytes: usize,
    /// Why of the last one.
    finish: Option<Cow<'static, str>>,
    usage: Option<Counts>,
    is_error: bool,
    /// What is wrong with the first choice that is no good.
    fault: Option<Fault>,
}

impl Answer {
    fn read(&mut self, json: &mut Json<'_>, operation: Operation) -> Result<(), Broken> {
        let embeddings = operation == Operation::Embeddings;
        json.object(|json, key| {
            match key.raw {
                "id" => self.id = any_text(json)?,
                "model" => self.model = any_text(json)?,
                "error" => self.is_error = json.skip()? != "null",
                "usage" => set(&mut self.usage, optional(json, Counts::read)?, "usage")?,
                "data" if embeddings => set(&mut self.parts, optional(json, amount)?, "data")?,
                "choices" if !embeddings => {
                    let choices = optional(json, |json| json.list(|json| self.choice(json, operation)))?;
                    set(&mut self.parts, choices, "choices")?;
                }
                _ => drop(json.skip()?),
            }
            Ok(())
        })?;
        Ok(())
    }

    fn choice(&mut self, json: &mut Json<'_>, operation: Operation) -> Result<(), Broken> {
        let (mut message, mut said, mut finish) = (None, None, None);
        json.object(|json, key| {
            match key.raw {
                "message" => set(&mut message, optional(json, Message::read)?, "message")?,
                "text" => set(&mut said, optional(json, amount)?, "text")?,
                "finish_reason" => finish = optional(json, |json| json.text()?.decoded())?,
                _ => drop(json.skip()?),
            }
            Ok(())
        })?;
        let cut = matches!(finish.as_deref(), Some("length" | "content_filter"));
        self.finish = finish.map(known_reason);
        let checked = if operation == Operation::Completions {
            said.ok_or_else(|| missing("choices[].text"))
        } else {
            match message {
                Some(Message { bad_arguments: Some(fault), .. }) if !cut => Err(fault),
                Some(message) => Ok(message.bytes),
                None => Err(missing("choices[].message")),
            }
        };
        match checked {
            Ok(bytes) => self.bytes += bytes,
            Err(fault) => self.fault = self.fault.take().or(Some(fault)),
        }
        Ok(())
    }
}

/// The message of a choice.
#[derive(Default)]
struct Message {
    /// How many bytes it says.
    bytes: usize,
    /// When the arguments of one of its calls are not JSON. They need not be in an answer that was cut.
    bad_arguments: Option<Fault>,
}

impl Message {
    fn read(json: &mut Json<'_>) -> Result<Self, Broken> {
        let mut this = Self::default();
        json.object(|json, key| {
            match key.raw {
                "content" => this.bytes += optional(json, amount)?.unwrap_or(0),
                "tool_calls" => drop(optional(json, |json| json.list(|json| this.call(json)))?),
                "function_call" => drop(optional(json, |json| this.function(json))?),
                _ => drop(json.skip()?),
            }
            Ok(())
        })?;
        Ok(this)
    }

    fn call(&mut self, json: &mut Json<'_>) -> Result<(), Broken> {
        json.object(|json, key| match key.raw {
            "function" => optional(json, |json| self.function(json)).map(drop),
            _ => json.skip().map(drop),
        })?;
        Ok(())
    }

    fn function(&mut self, json: &mut Json<'_>) -> Result<(), Broken> {
        json.object(|json, key| {
            if key.raw != "arguments" {
                return json.skip().map(drop);
            }
            let arguments = optional(json, |json| json.text()?.decoded())?.unwrap_or_default();
            self.bytes += arguments.len();
            if let Err(fault) = check_arguments(&arguments) {
                self.bad_arguments = Some(fault);
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl Counts {
    fn read(json: &mut Json<'_>) -> Result<Self, Broken> {
        let mut this = Self::default();
        json.object(|json, key| {
            match key.raw {
                "prompt_tokens" => this.prompt_tokens = count(json)?,
                "completion_tokens" => this.completion_tokens = count(json)?,
                "prompt_tokens_details" => this.prompt_tokens_details = optional(json, PromptDetails::read)?,
                "completion_tokens_details" => {
                    this.completion_tokens_details = optional(json, CompletionDetails::read)?;
                }
                _ => drop(json.skip()?),
            }
            Ok(())
        })?;
        Ok(this)
    }
}

impl PromptDetails {
    fn read(json: &mut Json<'_>) -> Result<Self, Broken> {
        let mut this = Self { cached_tokens: Count(None), cache_write_tokens: Count(None) };
        json.object(|json, key| {
            match key.raw {
                "cached_tokens" => this.cached_tokens = count(json)?,
                "cache_write_tokens" => this.cache_write_tokens = count(json)?,
                _ => drop(json.skip()?),
            }
            Ok(())
        })?;
        Ok(this)
    }
}

impl CompletionDetails {
    fn read(json: &mut Json<'_>) -> Result<Self, Broken> {
        let mut this = Self { reasoning_tokens: Count(None) };
        json.object(|json, key| {
            match key.raw {
                "reasoning_tokens" => this.reasoning_tokens = count(json)?,
                _ => drop(json.skip()?),
            }
            Ok(())
        })?;
        Ok(this)
    }
}

/// Reads a value that may be null.
fn optional<'a, T>(
    json: &mut Json<'a>,
    read: impl FnOnce(&mut Json<'a>) -> Result<T, Broken>,
) -> Result<Option<T>, Broken> {
    if json.null()? { Ok(None) } else { read(json).map(Some) }
}

/// Puts a value in its place, once.
fn set<T>(place: &mut Option<T>, value: Option<T>, name: &'static str) -> Result<(), Broken> {
    if place.is_some() {
        return Err(Broken::Twice(name));
    }
    *place = value;
    Ok(())
}

/// A text that is kept; anything else is none.
fn any_text(json: &mut Json<'_>) -> Result<Option<Box<str>>, Broken> {
    if json.kind()? != Kind::Text {
        return json.skip().map(|_| None);
    }
    json.text()?.decoded().map(|text| Some(text.into()))
}

/// A number; anything else is none.
fn count(json: &mut Json<'_>) -> Result<Count, Broken> {
    let is_number = json.kind()? == Kind::Number;
    let raw = json.skip()?;
    Ok(Count(if is_number { raw.parse().ok() } else { None }))
}

/// How much is in a value that should be a text: about its length in bytes, 1 for a list or map that has entries.
fn amount(json: &mut Json<'_>) -> Result<usize, Broken> {
    match json.kind()? {
        Kind::Text => json.text().map(Text::len),
        Kind::List => json.list(|json| json.skip().map(drop)).map(|entries| entries.min(1)),
        Kind::Object => json.object(|json, _| json.skip().map(drop)).map(|entries| entries.min(1)),
        Kind::Null | Kind::Bool | Kind::Number => Err(Broken::Expected("a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(operation: Operation, body: &str) -> Result<Finding, FaultKind> {
        check_whole(operation, body.as_bytes()).map_err(|fault| fault.kind)
    }

    #[test]
    fn what_an_answer_says_about_itself_is_found() {
        let body = r#" {"id":"a\u0062","object":"x","created":1,"model":"m","system_fingerprint":null,"choices":[
            {"index":0,"message":{"role":"assistant","content":"hi\n","refusal":null,"tool_calls":[
                {"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":[1]}"}}]},
             "logprobs":{"content":[{"token":"hi","logprob":-0.5}]},"finish_reason":"tool_calls"}],
            "usage":{"prompt_tokens":7,"completion_tokens":3.0,"total_tokens":"x",
                "prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}} "#;
        let found = checked(Operation::Chat, body).unwrap();
        assert_eq!((found.id.as_deref(), found.model.as_deref()), (Some("ab"), Some("m")));
        assert_eq!(found.finish.as_deref(), Some("tool_calls"));
        let usage = found.usage.unwrap();
        assert_eq!((usage.input, usage.output, usage.cached, usage.reasoning), (7, 3, 2, 1));
        assert_eq!(found.estimated_output, estimated_tokens(12));
    }

    #[test]
    fn what_is_no_answer_has_its_kind() {
        use FaultKind as K;
        let call = |finish: &str| {
            format!(
                r#"{{"choices":[{{"finish_reason":"{finish}","message":{{"tool_calls":[{{"function":{{"arguments":"{{"}}}}]}}}}]}}"#
            )
        };
        for (body, kind) in [
            ("", Some(K::EmptyAnswer)),
            (" \n", Some(K::EmptyAnswer)),
            ("{\"choices\":[", Some(K::BadJson)),
            ("{\"choices\":[]}x", Some(K::BadJson)),
            ("<html>", Some(K::BadJson)),
            ("[]", Some(K::BadShape)),
            ("{}", Some(K::BadShape)),
            ("{\"choices\":null}", Some(K::BadShape)),
            ("{\"choices\":7}", Some(K::BadShape)),
            ("{\"choices\":[7]}", Some(K::BadShape)),
            ("{\"choices\":[{}]}", Some(K::BadShape)),
            ("{\"choices\":[{\"message\":{\"content\":7}}]}", Some(K::BadShape)),
            ("{\"choices\":[{\"message\":{}}],\"choices\":[]}", Some(K::BadShape)),
            ("{\"choices\":[]}", Some(K::EmptyAnswer)),
            ("{\"error\":{\"message\":\"no\"}}", Some(K::ErrorEvent)),
            ("{\"error\":null,\"choices\":[{\"message\":{\"content\":[{}]}}]}", None),
            (&call("tool_calls"), Some(K::BadToolCall)),
            (&call("length"), None),
        ] {
            assert_eq!(checked(Operation::Chat, body).err(), kind, "{body}");
        }
        assert_eq!(check_whole(Operation::Chat, b"{\"choices\":\"\xff\"}").unwrap_err().kind, K::BadJson);
        assert_eq!(checked(Operation::Completions, "{\"choices\":[{\"text\":\"a\"}]}").err(), None);
        assert_eq!(checked(Operation::Completions, "{\"choices\":[{}]}").err(), Some(K::BadShape));
        assert_eq!(checked(Operation::Embeddings, "{\"data\":[{}]}").err(), None);
        assert_eq!(checked(Operation::Embeddings, "{\"data\":[]}").err(), Some(K::EmptyAnswer));
        assert_eq!(checked(Operation::Embeddings, "{}").err(), Some(K::BadShape));
    }
}
