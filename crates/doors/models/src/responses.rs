//! OpenAI's responses API at a provider that has it: what its answers and stream events mean. Their bytes pass on
//! unchanged but for the ids of responses, in which the gateway notes who minted them.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;
use tradewind_core::{Fault, FaultKind, Usage};
use tradewind_dispatch::Finding;

use crate::loose::{Count, estimated_tokens, parse_event};
use crate::meaning::Meaning;
use crate::openai::{missing, parse_answer};
use crate::tools::{ToolArguments, check_arguments};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    output_index: u64,
    #[serde(default, borrow)]
    delta: Option<&'a RawValue>,
    #[serde(default, borrow)]
    response: Option<Response<'a>>,
}

/// The `response` object of an event, or a whole answer.
#[derive(Deserialize)]
struct Response<'a> {
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    object: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    incomplete_details: Option<Incomplete<'a>>,
    #[serde(default, borrow)]
    output: Option<Vec<Item<'a>>>,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(default, borrow)]
    reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    arguments: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    summary: Option<&'a RawValue>,
}

#[derive(Clone, Copy, Deserialize)]
struct Counts {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Count,
}

#[derive(Clone, Copy, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Count,
}

impl Counts {
    /// The counts, when they make sense.
    fn usage(&self) -> Option<Usage> {
        Some(Usage {
            input: Usage::sane(self.input_tokens.0?)?,
            output: Usage::sane(self.output_tokens.0?)?,
            cached: self.input_tokens_details.and_then(|details| Usage::sane(details.cached_tokens.0?)).unwrap_or(0),
            cache_written: 0,
            reasoning: self
                .output_tokens_details
                .and_then(|details| Usage::sane(details.reasoning_tokens.0?))
                .unwrap_or(0),
            estimated: false,
        })
    }
}

impl Response<'_> {
    /// What is found in the last word of an answer: why it ended, what it used, and whose it is.
    fn finding(self) -> Finding {
        const KNOWN: [&str; 3] = ["completed", "max_output_tokens", "content_filter"];
        let reason = self.incomplete_details.and_then(|details| details.reason).or(self.status);
        let finish = reason.map(|reason| match KNOWN.iter().find(|known| **known == reason) {
            Some(known) => Cow::Borrowed(*known),
            None => Cow::Owned(reason.chars().take(40).collect()),
        });
        Finding {
            finish,
            id: self.id.map(Box::from),
            model: self.model.map(Box::from),
            usage: self.usage.and_then(|counts| counts.usage()),
            ..Finding::default()
        }
    }

    /// The arguments of the calls in a complete answer have to be JSON.
    fn check_calls(&self) -> Result<(), Fault> {
        for item in self.output.iter().flatten().filter(|item| item.kind.as_deref() == Some("function_call")) {
            check_arguments(item.arguments.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Reads the events of a response stream.
#[derive(Debug)]
pub(crate) struct ResponsesStream {
    tools: ToolArguments,
    /// What the last event with a response said.
    found: Finding,
    output_bytes: u64,
}

impl ResponsesStream {
    pub(crate) fn new(limit: usize) -> Self {
        Self { tools: ToolArguments::new(limit), found: Finding::default(), output_bytes: 0 }
    }

    pub(crate) fn event(&mut self, data: &[u8]) -> Result<Meaning, Fault> {
        let event: Event<'_> = parse_event(data)?;
        match &*event.kind {
            "response.completed" | "response.incomplete" => {
                let response = event.response.ok_or_else(|| bad_event("response"))?;
                // Cut at its limit, an answer may end in the middle of a call, and says so itself.
                if &*event.kind == "response.incomplete" {
                    self.tools.forget();
                } else {
                    self.tools.finish_all()?;
                    response.check_calls()?;
                }
                self.found = response.finding();
                Ok(Meaning::End)
            }
            "response.created" => {
                if let Some(response) = event.response {
                    // Nobody has said yet why it ends, nor what it uses: a count that stands here all the same is none.
                    self.found = Finding { finish: None, usage: None, ..response.finding() };
                }
                Ok(Meaning::Preamble)
            }
            "response.failed" | "error" => {
                Err(Fault::new(FaultKind::ErrorEvent, "the provider sent an error inside its stream"))
            }
            "response.function_call_arguments.delta" => {
                let piece = event.delta.and_then(|raw| serde_json::from_str::<Cow<'_, str>>(raw.get()).ok());
                let piece = piece.ok_or_else(|| bad_event("delta"))?;
                self.output_bytes += piece.len() as u64;
                self.tools.add(event.output_index, &piece)?;
                Ok(Meaning::Content)
            }
            kind if kind.ends_with(".delta") => {
                let delta = event.delta.ok_or_else(|| bad_event("delta"))?.get();
                // Without its quotes; escapes count a little too much, which an estimate bears.
                self.output_bytes += delta.len().saturating_sub(2) as u64;
                Ok(Meaning::Content)
            }
            kind if kind.ends_with(".done") => Ok(Meaning::Content),
            // `response.in_progress`, `response.queued`, items and parts that are added, and kinds of
            // events that are new; they are the caller's to understand.
            _ => Ok(Meaning::Preamble),
        }
    }

    pub(crate) fn finding(&self, ignored: u32) -> Finding {
        Finding { estimated_output: estimated_tokens(self.output_bytes), ignored, ..self.found.clone() }
    }
}

fn bad_event(field: &str) -> Fault {
    Fault::new(FaultKind::BadEvent, format!("an event of the stream has no `{field}`"))
}

/// Checks a whole answer.
pub(crate) fn check_whole(body: &[u8]) -> Result<Finding, Fault> {
    let whole: Response<'_> = parse_answer(body)?;
    let status = whole.status.as_deref();
    if status == Some("failed") || whole.error.is_some_and(|error| error.get() != "null") {
        return Err(Fault::new(FaultKind::ErrorEvent, "the answer is an error with the status 200"));
    }
    if whole.object.as_deref() != Some("response") {
        return Err(missing("object"));
    }
    if !matches!(status, Some("completed" | "incomplete")) {
        return Err(Fault::new(FaultKind::BadShape, "the answer is neither completed nor incomplete"));
    }
    let output = whole.output.as_ref().ok_or_else(|| missing("output"))?;
    if status == Some("completed") {
        if output.is_empty() {
            return Err(Fault::new(FaultKind::EmptyAnswer, "the answer has no output in it"));
        }
        whole.check_calls()?;
    }
    let texts = output.iter().flat_map(|item| [item.content, item.summary]).flatten().map(|raw| raw.get().len());
    let arguments = output.iter().flat_map(|item| &item.arguments).map(|arguments| arguments.len());
    let bytes: usize = texts.chain(arguments).sum();
    Ok(Finding { estimated_output: estimated_tokens(bytes as u64), ..whole.finding() })
}

/// Puts what `seal` makes of them in the place of the ids in an event of a stream: `response.id` and `response_id`. Every
/// other byte stays as it is, `previous_response_id` included. `None` when there is no id in it.
pub(crate) fn replace_ids(data: &[u8], seal: &mut dyn FnMut(&str) -> String) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(default, borrow)]
        response: Option<&'a RawValue>,
        #[serde(default, borrow)]
        response_id: Option<&'a RawValue>,
    }
    let envelope: Envelope<'_> = serde_json::from_slice(data).ok()?;
    let mut ids = envelope.response.map(|raw| ids_in(raw.get().as_bytes())).unwrap_or_default();
    ids.extend(envelope.response_id);
    replaced(data, ids, seal)
}

/// The same for a whole answer, whose id stands at its top.
pub(crate) fn replace_id_whole(body: &[u8], seal: &mut dyn FnMut(&str) -> String) -> Option<Vec<u8>> {
    replaced(body, ids_in(body), seal)
}

/// The id of a response and that of the one before it: the caller was given both.
fn ids_in(object: &[u8]) -> Vec<&RawValue> {
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(default, borrow)]
        id: Option<&'a RawValue>,
        #[serde(default, borrow)]
        previous_response_id: Option<&'a RawValue>,
    }
    let Ok(identified) = serde_json::from_slice::<Identified<'_>>(object) else { return Vec::new() };
    identified.id.into_iter().chain(identified.previous_response_id).collect()
}

/// `whole` with another text in the place of each of `ids`, which are slices of it.
fn replaced(whole: &[u8], ids: Vec<&RawValue>, seal: &mut dyn FnMut(&str) -> String) -> Option<Vec<u8>> {
    let mut places: Vec<(Range<usize>, String)> = Vec::new();
    for raw in ids {
        // Not a text: nothing that could be asked for later.
        let Ok(id) = serde_json::from_str::<Cow<'_, str>>(raw.get()) else { continue };
        let start = raw.get().as_ptr() as usize - whole.as_ptr() as usize;
        places.push((start..start + raw.get().len(), seal(&id)));
    }
    if places.is_empty() {
        return None;
    }
    places.sort_by_key(|(place, _)| place.start);
    let mut out = Vec::with_capacity(whole.len() + 128);
    let mut from = 0;
    for (place, id) in places {
        out.extend_from_slice(&whole[from..place.start]);
        out.extend_from_slice(serde_json::Value::from(id).to_string().as_bytes());
        from = place.end;
    }
    out.extend_from_slice(&whole[from..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(events: &[&str]) -> (Vec<Meaning>, Finding, Option<FaultKind>) {
        let mut stream = ResponsesStream::new(1000);
        let mut meanings = Vec::new();
        for event in events {
            match stream.event(event.as_bytes()) {
                Ok(meaning) => meanings.push(meaning),
                Err(fault) => return (meanings, stream.finding(0), Some(fault.kind)),
            }
        }
        (meanings, stream.finding(0), None)
    }

    #[test]
    fn a_stream_is_read() {
        let usage = r#"{"input_tokens":20,"input_tokens_details":{"cached_tokens":5},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":29}"#;
        let last = format!(
            r#"{{"type":"response.completed","response":{{"id":"r","model":"m","status":"completed","output":[],"usage":{usage}}}}}"#
        );
        let (meanings, finding, fault) = read(&[
            r#"{"type":"response.created","response":{"id":"r"}}"#,
            r#"{"type":"response.in_progress","response":{"id":"r"}}"#,
            r#"{"type":"response.output_item.added","item":{"type":"message"}}"#,
            r#"{"type":"response.content_part.added"}"#,
            r#"{"type":"response.output_text.delta","delta":"12345678"}"#,
            r#"{"type":"response.output_text.done","text":"12345678"}"#,
            r#"{"type":"response.output_item.done","item":{}}"#,
            r#"{"type":"response.of_tomorrow"}"#,
            &last,
        ]);
        use Meaning::{Content, End, Preamble};
        let expected = [Preamble, Preamble, Preamble, Preamble, Content, Content, Content, Preamble, End];
        assert_eq!((meanings.as_slice(), fault), (&expected[..], None));
        let usage = Usage { input: 20, output: 9, cached: 5, cache_written: 0, reasoning: 4, estimated: false };
        assert_eq!((finding.usage, finding.estimated_output), (Some(usage), 2));
        assert_eq!(finding.finish.as_deref(), Some("completed"));
        assert_eq!((finding.id.as_deref(), finding.model.as_deref()), (Some("r"), Some("m")));
    }

    #[test]
    fn a_count_at_the_beginning_is_not_that_of_the_answer() {
        let nothing = r#"{"input_tokens":0,"output_tokens":0,"total_tokens":0}"#;
        let created = format!(
            r#"{{"type":"response.created","response":{{"id":"r","model":"m","status":"in_progress","usage":{nothing}}}}}"#
        );
        let delta = r#"{"type":"response.output_text.delta","delta":"12345678"}"#;
        let (_, finding, _) = read(&[&created, delta]);
        assert_eq!((finding.usage, finding.estimated_output, finding.model.as_deref()), (None, 2, Some("m")));
    }

    #[test]
    fn faults_of_a_stream() {
        let piece = r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"a\":"}"#;
        let other = r#"{"type":"response.function_call_arguments.delta","output_index":2,"delta":"{}"}"#;
        let rest = r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"1}"}"#;
        let completed = r#"{"type":"response.completed","response":{"output":[]}}"#;
        let bad_item =
            r#"{"type":"response.completed","response":{"output":[{"type":"function_call","arguments":"{"}]}}"#;
        let incomplete =
            r#"{"type":"response.incomplete","response":{"output":[{"type":"function_call","arguments":"{"}]}}"#;
        for (events, fault) in [
            (&[piece, other, rest, completed][..], None),
            (&[piece, other, completed], Some(FaultKind::BadToolCall)),
            (&[piece, incomplete], None),
            (&[bad_item], Some(FaultKind::BadToolCall)),
            (&[r#"{"type":"response.failed","response":{}}"#], Some(FaultKind::ErrorEvent)),
            (&[r#"{"type":"error","message":"m"}"#], Some(FaultKind::ErrorEvent)),
            (&[r#"{"type":"response.completed"}"#], Some(FaultKind::BadEvent)),
            (&[r#"{"type":"response.output_text.delta"}"#], Some(FaultKind::BadEvent)),
            (&["{}"], Some(FaultKind::BadEvent)),
            (&["{"], Some(FaultKind::BadEvent)),
        ] {
            assert_eq!(read(events).2, fault, "{events:?}");
        }
        let long = format!(r#"{{"type":"response.function_call_arguments.delta","delta":"{}"}}"#, "x".repeat(1001));
        assert_eq!(read(&[&long]).2, Some(FaultKind::TooLarge));
    }

    #[test]
    fn whole_answers_are_checked() {
        let said = r#""object":"response","output":[{"type":"message","content":[]}]"#;
        let call = |arguments: &str| {
            format!(r#""object":"response","output":[{{"type":"function_call","arguments":"{arguments}"}}]"#)
        };
        for (body, fault) in [
            (format!(r#"{{{said},"status":"completed","error":null}}"#), None),
            (format!(r#"{{{said},"status":"incomplete"}}"#), None),
            (format!(r#"{{{},"status":"completed"}}"#, call("{}")), None),
            (format!(r#"{{{},"status":"completed"}}"#, call("{")), Some(FaultKind::BadToolCall)),
            (format!(r#"{{{},"status":"incomplete"}}"#, call("{")), None),
            (format!(r#"{{{said},"status":"failed"}}"#), Some(FaultKind::ErrorEvent)),
            (format!(r#"{{{said},"status":"completed","error":{{}}}}"#), Some(FaultKind::ErrorEvent)),
            (format!(r#"{{{said},"status":"in_progress"}}"#), Some(FaultKind::BadShape)),
            (format!("{{{said}}}"), Some(FaultKind::BadShape)),
            (r#"{"status":"completed","output":[]}"#.to_owned(), Some(FaultKind::BadShape)),
            (r#"{"object":"response","status":"completed"}"#.to_owned(), Some(FaultKind::BadShape)),
            (r#"{"object":"response","status":"completed","output":[]}"#.to_owned(), Some(FaultKind::EmptyAnswer)),
            (r#"{"object":"response","status":"incomplete","output":[]}"#.to_owned(), None),
            ("{".to_owned(), Some(FaultKind::BadJson)),
            (String::new(), Some(FaultKind::EmptyAnswer)),
        ] {
            assert_eq!(check_whole(body.as_bytes()).err().map(|fault| fault.kind), fault, "{body}");
        }
    }

    #[test]
    fn only_ids_of_responses_are_replaced() {
        let mut seal = |id: &str| format!("sealed\"{id}");
        for (data, expected) in [
            (
                r#"{ "response_id" : "a", "item":{"id":"item"}, "response": {"zeta":1.50,"id": "b\u0041" ,"previous_response_id":"c"},"x":[ ]}"#,
                Some(
                    r#"{ "response_id" : "sealed\"a", "item":{"id":"item"}, "response": {"zeta":1.50,"id": "sealed\"bA" ,"previous_response_id":"sealed\"c"},"x":[ ]}"#,
                ),
            ),
            (r#"{"id":"top","response":{"id":7}}"#, None),
            (r#"{"response":null}"#, None),
            (r#"{"response":"text"}"#, None),
            ("[]", None),
            ("{", None),
        ] {
            let replaced = replace_ids(data.as_bytes(), &mut seal);
            assert_eq!(replaced.as_deref(), expected.map(str::as_bytes), "{data}");
        }
        let whole = r#"{"previous_response_id":"p", "id":"a" }"#;
        let expected = r#"{"previous_response_id":"sealed\"p", "id":"sealed\"a" }"#;
        assert_eq!(replace_id_whole(whole.as_bytes(), &mut seal).unwrap(), expected.as_bytes());
        assert_eq!(replace_id_whole(b"{}", &mut seal), None);
    }

    proptest! {
        #[test]
        fn sealing_an_id_with_itself_changes_nothing(id in "[a-z0-9_]{1,20}", text in "\\PC{0,20}") {
            let data = serde_json::json!({"text": text, "response": {"output": [text], "id": id}}).to_string();
            let replaced = replace_ids(data.as_bytes(), &mut |id| id.to_owned()).unwrap();
            prop_assert_eq!(replaced, data.as_bytes());
        }

        #[test]
        fn nothing_panics(bytes in "[\\[\\]{}\":,a-z0-9\\\\]{0,60}") {
            let _ = ResponsesStream::new(10).event(bytes.as_bytes());
            let _ = check_whole(bytes.as_bytes());
            let _ = replace_ids(bytes.as_bytes(), &mut |id| id.to_owned());
            let _ = replace_id_whole(bytes.as_bytes(), &mut |id| id.to_owned());
        }
    }
}
