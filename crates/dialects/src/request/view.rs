//! What a request asks for, for those who judge its answer: in `core`'s words, borrowed, whatever its wire format.
//!
//! Other than the readers for translation it looks only at what an answer is judged by, and lets everything else pass.

use std::borrow::Cow;

use tradewind_core::{RequestView, ToolView};

use super::json::Object;
use super::not_an_object;
use super::path::Path;
use super::reading::{carried, decoded, each_object, flawed, object};
use crate::wire::{Obstacle, Wire};

type Result<T> = std::result::Result<T, Obstacle>;

/// How many texts the context of a question has at most; when there are more, the first one (the instructions) and the
/// last ones are kept.
const MOST_CONTEXT: usize = 64;

/// Reads what the request `body` of wire format `wire` asks for.
///
/// # Errors
/// When `body` is no JSON object, or one of the fields that are looked at is of another type than the format says.
pub fn view_request(wire: Wire, body: &[u8]) -> Result<RequestView<'_>> {
    let request: Object<'_> = serde_json::from_slice(body).map_err(|error| not_an_object(&error))?;
    if let Some(flaw) = &request.flaw {
        return Err(flawed(Path::ROOT, flaw));
    }
    let mut view = RequestView::default();
    match wire {
        Wire::Chat => {
            field(&request, "messages", &mut |at, value| messages(at, value, &mut view))?;
            field(&request, "tools", &mut |at, value| tools(wire, at, value, &mut view))?;
            field(&request, "functions", &mut |at, value| functions(at, value, &mut view))?;
            field(&request, "response_format", &mut |at, value| format(at, value, &mut view))?;
        }
        Wire::Messages => {
            field(&request, "system", &mut |at, value| context(at, value, &mut view))?;
            field(&request, "messages", &mut |at, value| messages(at, value, &mut view))?;
            field(&request, "tools", &mut |at, value| tools(wire, at, value, &mut view))?;
            // The beta of structured output had the format at the top.
            field(&request, "output_format", &mut |at, value| format(at, value, &mut view))?;
            field(&request, "output_config", &mut |at, value| inner_format(at, value, &mut view))?;
        }
        Wire::Responses => {
            field(&request, "instructions", &mut |at, value| context(at, value, &mut view))?;
            field(&request, "input", &mut |at, value| {
                if value.starts_with('"') {
                    view.question = decoded(at, value)?;
                    return Ok(());
                }
                messages(at, value, &mut view)
            })?;
            field(&request, "tools", &mut |at, value| tools(wire, at, value, &mut view))?;
            field(&request, "text", &mut |at, value| inner_format(at, value, &mut view))?;
        }
    }
    Ok(view)
}

/// Hands the value of a field to `each`, if there is one.
fn field<'a>(object: &Object<'a>, key: &str, each: &mut dyn FnMut(Path<'_>, &'a str) -> Result<()>) -> Result<()> {
    object.get(key).map_or(Ok(()), |value| each(Path::ROOT.key(key), value))
}

/// The messages, or the items of a response's input: what is said by the user and by those who instruct.
fn messages<'a>(at: Path<'_>, value: &'a str, view: &mut RequestView<'a>) -> Result<()> {
    each_object(at, value, |at, message| {
        let Some(role) = message.get("role") else { return Ok(()) };
        let role = decoded(at.key("role"), role)?;
        let at = at.key("content");
        match (&*role, message.get("content")) {
            ("user", Some(content)) => {
                let said = said(at, content)?;
                // A turn that only gives the results of tools asks nothing.
                if !said.is_empty() {
                    let before = std::mem::replace(&mut view.question, said);
                    add_context(view, before);
                }
                Ok(())
            }
            ("system" | "developer", Some(content)) => context(at, content, view),
            _ => Ok(()),
        }
    })?;
    Ok(())
}

fn context<'a>(at: Path<'_>, value: &'a str, view: &mut RequestView<'a>) -> Result<()> {
    let said = said(at, value)?;
    add_context(view, said);
    Ok(())
}

fn add_context<'a>(view: &mut RequestView<'a>, said: Cow<'a, str>) {
    if said.is_empty() {
        return;
    }
    if view.context.len() == MOST_CONTEXT {
        view.context.remove(1);
    }
    view.context.push(said);
}

/// A text, or the text of parts, a line feed between them.
fn said<'a>(at: Path<'_>, value: &'a str) -> Result<Cow<'a, str>> {
    if value.starts_with('"') {
        return decoded(at, value);
    }
    let mut joined = Cow::Borrowed("");
    each_object(at, value, |at, part| {
        let kind = part.get("type").map_or(Ok(Cow::Borrowed("")), |kind| decoded(at.key("type"), kind))?;
        let Some(text) = part.get("text").filter(|_| matches!(&*kind, "" | "text" | "input_text")) else {
            return Ok(());
        };
        let text = decoded(at.key("text"), text)?;
        if joined.is_empty() {
            joined = text;
        } else {
            let joined = joined.to_mut();
            joined.push('\n');
            joined.push_str(&text);
        }
        Ok(())
    })?;
    Ok(joined)
}

fn tools<'a>(wire: Wire, at: Path<'_>, value: &'a str, view: &mut RequestView<'a>) -> Result<()> {
    each_object(at, value, |at, tool| {
        let kind = tool.get("type").map_or(Ok(Cow::Borrowed("")), |kind| decoded(at.key("type"), kind))?;
        match (wire, &*kind) {
            (Wire::Chat, "" | "function") => {
                let Some(function) = tool.get("function") else { return Ok(()) };
                let at = at.key("function");
                add_tool(at, &object(at, function)?, Some("parameters"), view)
            }
            (Wire::Responses, "function") => add_tool(at, &tool, Some("parameters"), view),
            (Wire::Messages, "" | "custom") => add_tool(at, &tool, Some("input_schema"), view),
            // What a provider defines. Some of them (`bash`, the text editor) the caller runs all the same, by their name.
            _ => {
                view.has_other_tools = true;
                add_tool(at, &tool, None, view)
            }
        }
    })?;
    Ok(())
}

/// `functions` of chat completions, from before there were tools.
fn functions<'a>(at: Path<'_>, value: &'a str, view: &mut RequestView<'a>) -> Result<()> {
    each_object(at, value, |at, function| add_tool(at, &function, Some("parameters"), view))?;
    Ok(())
}

fn add_tool<'a>(at: Path<'_>, tool: &Object<'a>, schema: Option<&str>, view: &mut RequestView<'a>) -> Result<()> {
    let Some(name) = tool.get("name") else { return Ok(()) };
    let name = decoded(at.key("name"), name)?;
    let parameters = schema.and_then(|key| tool.get(key).map(|value| carried(at.key(key), value))).transpose()?;
    view.tools.push(ToolView { name, parameters: parameters.map(Cow::Borrowed) });
    Ok(())
}

/// `format` within `text` of responses and `output_config` of messages.
fn inner_format<'a>(at: Path<'_>, value: &'a str, view: &mut RequestView<'a>) -> Result<()> {
    object(at, value)?.get("format").map_or(Ok(()), |value| format(at.key("format"), value, view))
}

/// The shape of the answer: the schema stands beside the type, or in `json_schema` of chat completions.
fn format<'a>(at: Path<'_>, value: &'a str, view: &mut RequestView<'a>) -> Result<()> {
    let format = object(at, value)?;
    let kind = format.get("type").map_or(Ok(Cow::Borrowed("")), |kind| decoded(at.key("type"), kind))?;
    match &*kind {
        "json_object" => view.json_object = true,
        "json_schema" => {
            let nested_at = at.key("json_schema");
            let nested = format.get("json_schema").map(|value| object(nested_at, value)).transpose()?;
            let (at, format) = nested.as_ref().map_or((at, &format), |nested| (nested_at, nested));
            let schema = format.get("schema").map(|schema| carried(at.key("schema"), schema)).transpose()?;
            view.schema = schema.map(Cow::Borrowed);
        }
        _ => {}
    }
    Ok(())
}
