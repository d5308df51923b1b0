//! The fields of a request that the gateway reads, found in one pass. Everything else is the provider's business and
//! passes unread.
//!
//! Whoever reads the body after us, a provider in whatever language, may be less careful: one that ignores the case of
//! names, or takes the first of two fields of one name, would read another model than was allowed here. Such requests are
//! refused.

use serde::de::IgnoredAny;
use tradewind_core::Code;
use tradewind_door::Refusal;

use crate::json::{Broken, DEEPEST, Json};
use crate::loose::what_is_wrong;

/// A field that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Model,
    Stream,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
    N,
    BestOf,
    StreamOptions,
    PreviousResponseId,
    Messages,
    Prompt,
    Input,
    Tools,
    Store,
    WebSearchOptions,
    Background,
    Conversation,
    User,
    Metadata,
    ResponseFormat,
    Text,
    OutputFormat,
    OutputConfig,
    Functions,
    McpServers,
}

/// Their names, in the order of [`Field`].
const NAMES: [&str; 25] = [
    "model",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n",
    "best_of",
    "stream_options",
    "previous_response_id",
    "messages",
    "prompt",
    "input",
    "tools",
    "store",
    "web_search_options",
    "background",
    "conversation",
    "user",
    "metadata",
    "response_format",
    "text",
    "output_format",
    "output_config",
    "functions",
    "mcp_servers",
];
/// The first of them decide who answers and what it may cost: they have one spelling.
const ONE_SPELLING: usize = 9;

/// The fields of a request, as they are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a>([Option<&'a str>; NAMES.len()]);

impl<'a> Envelope<'a> {
    /// Finds the fields of `body`.
    ///
    /// # Errors
    /// 400 when it is not one JSON object, is nested too deep, or has a field of ours twice or in another spelling.
    pub(crate) fn read(body: &'a str) -> Result<Self, Refusal> {
        let mut this = Self([None; NAMES.len()]);
        let mut last = "";
        let mut misspelt = None;
        let mut json = Json::new(body);
        let read = json.object(|json, key| {
            last = key.raw;
            let name = key.decoded()?;
            let Some(field) = NAMES.iter().position(|known| *known == name) else {
                let ours = || NAMES[..ONE_SPELLING].iter().find(|ours| name.eq_ignore_ascii_case(ours));
                misspelt = misspelt.or_else(ours);
                return json.skip().map(drop);
            };
            if this.0[field].replace(json.skip()?).is_some() {
                return Err(Broken::Twice(NAMES[field]));
            }
            Ok(())
        });
        let read = read.and_then(|_| json.end()).map_err(|broken| match broken {
            // What is no object may be no JSON either, and then that is said.
            Broken::Expected(what) => whole(body).err().unwrap_or(Broken::Expected(what)),
            other => other,
        });
        if let Some(ours) = misspelt {
            return Err(refusal(ours, "is spelled with other letters than these; write it as here"));
        }
        match read {
            Ok(()) => Ok(this),
            Err(Broken::TooDeep) => {
                let field: String = last.chars().take(100).collect();
                let message = format!("the field `{field}`: is nested deeper than {DEEPEST} levels");
                Err(Refusal::new(Code::BadField, message).in_field(field))
            }
            Err(Broken::Twice(field)) => Err(refusal(field, "is there twice")),
            Err(Broken::Expected(_)) => Err(Refusal::new(Code::BadField, "the request body has to be one JSON object")),
            Err(Broken::Malformed) => {
                // Found once more, by one that says in words what it is.
                let what = serde_json::from_str::<IgnoredAny>(body).err();
                let what =
                    what.map_or_else(|| "half of a surrogate pair in a key".to_owned(), |error| what_is_wrong(&error));
                Err(Refusal::new(Code::MalformedJson, format!("the request body is not valid JSON: {what}")))
            }
        }
    }

    /// A field that is there and not null.
    pub(crate) fn get(&self, field: Field) -> Option<&'a str> {
        self.even_null(field).filter(|value| *value != "null")
    }

    /// A field that is there.
    pub(crate) const fn even_null(&self, field: Field) -> Option<&'a str> {
        self.0[field as usize]
    }

    /// Whether a field is true.
    pub(crate) fn is_true(&self, field: Field) -> bool {
        self.get(field) == Some("true")
    }

    /// Whether a field is there, and neither null nor a list without anything in it.
    pub(crate) fn is_filled(&self, field: Field) -> bool {
        let is_empty = |list: &str| list.trim_start_matches('[').trim_ascii_start() == "]";
        self.get(field).is_some_and(|value| !value.starts_with('[') || !is_empty(value))
    }

    /// Whether a field is there, and neither null nor false.
    pub(crate) fn is_given(&self, field: Field) -> bool {
        self.get(field).is_some_and(|value| value != "false")
    }
}

/// Whether `text` is JSON, whatever it is.
fn whole(text: &str) -> Result<(), Broken> {
    let mut json = Json::new(text);
    json.skip()?;
    json.end()
}

fn refusal(field: &'static str, what: &str) -> Refusal {
    Refusal::new(Code::BadField, format!("the field `{field}`: {what}")).in_field(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_field(body: &str) -> Option<String> {
        Envelope::read(body).err().and_then(|refusal| refusal.field).map(|field| field.into_owned())
    }

    #[test]
    fn each_field_is_found_as_it_is_written() {
        for (place, name) in NAMES.iter().enumerate() {
            let body = format!(" {{\"x\":[1,2], \"{name}\" : {{\"model\": 1 }} ,\"y\":null}} ");
            let envelope = Envelope::read(&body).unwrap();
            assert_eq!(envelope.0[place], Some("{\"model\": 1 }"), "{name}");
            assert_eq!(envelope.0.iter().flatten().count(), 1);
        }
        let envelope = Envelope::read(r#"{"m\u006fdel":"a","stream":null,"stream_options":null,"n":2}"#).unwrap();
        assert_eq!(envelope.get(Field::Model), Some("\"a\""));
        assert_eq!(envelope.get(Field::N), Some("2"));
        assert_eq!(envelope.get(Field::Stream), None);
        assert_eq!(envelope.even_null(Field::StreamOptions), Some("null"));
        assert_eq!(NAMES[Field::Conversation as usize], "conversation");
        assert_eq!(NAMES[Field::PreviousResponseId as usize], NAMES[ONE_SPELLING - 1]);
    }

    #[test]
    fn the_field_that_is_too_deep_is_named() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let body = |levels| format!(r#"{{"model":"a","x":"[[[\"{{","metadata":{{"in":{}}},"z":[]}}"#, nested(levels));
        assert_eq!(wrong_field(&body(126)), None);
        assert_eq!(wrong_field(&body(127)).as_deref(), Some("metadata"));
        assert_eq!(wrong_field(&body(1_000_000)).as_deref(), Some("metadata"));
        let wide = format!("{{\"a\":[{}1]}}", "[[]],".repeat(100_000));
        assert_eq!(wrong_field(&wide), None);
    }

    #[test]
    fn what_is_no_object_is_said() {
        let message = |body| Envelope::read(body).unwrap_err().message;
        assert_eq!(message("[]"), "the request body has to be one JSON object");
        assert_eq!(message("7"), "the request body has to be one JSON object");
        assert_eq!(message("not json"), "the request body is not valid JSON: expected ident at line 1 column 2");
        assert_eq!(message(""), "the request body is not valid JSON: EOF while parsing a value at line 1 column 0");
        assert_eq!(
            message("{\"a\":1"),
            "the request body is not valid JSON: EOF while parsing an object at line 1 column 6"
        );
        assert_eq!(message(r#"{"\ud800":1}"#), "the request body is not valid JSON: half of a surrogate pair in a key");
    }

    #[test]
    fn fields_of_ours_have_one_spelling_and_one_place() {
        for (body, field) in [
            (r#"{"model":"a","Model":"b"}"#, Some("model")),
            (r#"{"MODEL" : "b"}"#, Some("model")),
            (r#"{"M\u006fdel":"b"}"#, Some("model")),
            (r#"{"Max_Tokens":1}"#, Some("max_tokens")),
            (r#"{"model":"a","m\u006fdel":"b"}"#, Some("model")),
            (r#"{"tools":[],"tools":[]}"#, Some("tools")),
            (r#"{"model":"Model"}"#, None),
            (r#"{"model":"MODEL","x":"Stream"}"#, None),
            (r#"{"metadata":{"Model":"b"}}"#, None),
            (r#"{"Tools":[],"tools":[]}"#, None),
        ] {
            assert_eq!(wrong_field(body).as_deref(), field, "{body}");
        }
    }
}
