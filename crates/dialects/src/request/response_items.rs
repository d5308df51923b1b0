//! Reads the input items of a request for responses. Items that the model said one after the other are one turn.

use std::borrow::Cow;

use super::chat_messages::arguments;
use super::conversation::{Conversation, RawCall};
use super::json::{Object, Text};
use super::media::{image_at_url, pdf_at_url};
use super::path::Path;
use super::question::{Content, Part, Question};
use super::reading::{Reading, cannot, decoded, each_object, text, wrong};
use crate::wire::Obstacle;

type Result<T> = std::result::Result<T, Obstacle>;

/// Reads the text or the list in `value`, which stands at `at`.
pub(super) fn read<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str, question: &mut Question<'a>) -> Result<()> {
    let mut conversation = Conversation::default();
    if let Some(text) = Text::of(value) {
        conversation
            .user(reading, Path::ROOT, Content::Plain(text))
            .map_err(|obstacle| Obstacle { field: at.to_string(), ..obstacle })?;
        return conversation.finish(reading, at, 0, question);
    }
    if !value.starts_with('[') {
        return Err(wrong(at, "has to be a text or a list of items"));
    }
    // Whether the turn of the model that is going on ends in a tool call.
    let mut calling = false;
    let items = each_object(at, value, |at, item| {
        let kind = item.get("type").map_or(Ok(Cow::Borrowed("message")), |kind| decoded(at.key("type"), kind))?;
        match kind.as_ref() {
            "message" => message(reading, at, &item, calling, &mut conversation)?,
            "function_call" => call(reading, at, &item, calling, &mut conversation)?,
            "function_call_output" => output(reading, at, &item, &mut conversation)?,
            // It is meant for the provider that it came from.
            "reasoning" => {
                return reading.hint(at);
            }
            "item_reference" => {
                let why =
                    "refers to a stored item, and nothing is stored; with `store: false` clients send items whole";
                return Err(cannot(at.key("type"), why));
            }
            _ => return Err(reading.inexpressible(at.key("type"))),
        }
        // What the model says behind its calls belongs to the same turn.
        calling = kind == "function_call" || (calling && kind == "message");
        Ok(())
    })?;
    conversation.finish(reading, at, items, question)
}

fn message<'a>(
    reading: &mut Reading,
    path: Path<'_>,
    item: &Object<'a>,
    calling: bool,
    conversation: &mut Conversation<'a>,
) -> Result<()> {
    let (mut role, mut content) = (None, None);
    for (key, value) in item.fields() {
        let at = path.key(key);
        match key {
            // What an earlier answer was called, and how far it had come.
            "type" | "id" | "status" => {}
            "role" => role = Some(decoded(at, value)?),
            "content" => content = Some(value),
            "phase" => reading.hint(at)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    let at = path.key("content");
    let content = content.ok_or_else(|| wrong(at, "is missing"))?;
    let is_assistant = role.as_deref() == Some("assistant");
    let content = match Text::of(content) {
        Some(text) => Content::Plain(text),
        None => Content::Parts(parts(reading, at, content, is_assistant)?),
    };
    match role.as_deref() {
        Some("user") => conversation.user(reading, path, content),
        Some("assistant") if calling => {
            conversation.more_of_assistant(reading, content);
            Ok(())
        }
        Some("assistant") => {
            conversation.settle()?;
            conversation.assistant(reading, content);
            Ok(())
        }
        Some("system" | "developer") => {
            let texts = match content {
                Content::Plain(text) => vec![text],
                Content::Parts(parts) => only_texts(at, parts)?,
            };
            conversation.system(reading, path, texts)
        }
        Some(_) => Err(wrong(path.key("role"), "is no role that responses knows")),
        None => Err(wrong(path.key("role"), "is missing")),
    }
}

fn only_texts<'a>(at: Path<'_>, parts: Vec<Part<'a>>) -> Result<Vec<Text<'a>>> {
    let texts = parts.into_iter().enumerate().map(|(index, part)| match part {
        Part::Text(text) => Ok(text),
        _ => Err(cannot(at.index(index), "is no text, and only text can stand here")),
    });
    texts.collect()
}

fn parts<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str, is_assistant: bool) -> Result<Vec<Part<'a>>> {
    if !value.starts_with('[') {
        return Err(wrong(at, "has to be a text or a list of parts"));
    }
    let mut read = Vec::new();
    each_object(at, value, |at, part| {
        let kind_at = at.key("type");
        let kind = decoded(kind_at, part.get("type").ok_or_else(|| wrong(kind_at, "is missing"))?)?;
        read.push(match (kind.as_ref(), is_assistant) {
            ("input_text", false) => Part::Text(said(reading, at, &part, "text")?),
            ("output_text" | "input_text", true) => Part::Text(said(reading, at, &part, "text")?),
            ("refusal", true) => Part::Text(said(reading, at, &part, "refusal")?),
            ("input_image", false) => image(reading, at, &part)?,
            ("input_file", false) => file(reading, at, &part)?,
            _ => return Err(reading.inexpressible(kind_at)),
        });
        Ok(())
    })?;
    Ok(read)
}

fn said<'a>(reading: &mut Reading, path: Path<'_>, part: &Object<'a>, wanted: &str) -> Result<Text<'a>> {
    let mut said = None;
    for (key, value) in part.fields() {
        let at = path.key(key);
        match key {
            "type" => {}
            "prompt_cache_breakpoint" => reading.hint(at)?,
            "annotations" | "logprobs" => reading.hint_unless_empty(at, value)?,
            _ if key == wanted => said = Some(text(at, value)?),
            _ => return Err(reading.inexpressible(at)),
        }
    }
    said.ok_or_else(|| wrong(path.key(wanted), "is missing"))
}

fn image<'a>(reading: &mut Reading, path: Path<'_>, part: &Object<'a>) -> Result<Part<'a>> {
    let mut image = None;
    for (key, value) in part.fields() {
        let at = path.key(key);
        match key {
            "type" => {}
            "image_url" => image = Some(image_at_url(at, value)?),
            "detail" => reading.hint_unless(at, value, &["\"auto\""])?,
            "prompt_cache_breakpoint" => reading.hint(at)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    image.map(Part::Image).ok_or_else(|| wrong(path.key("image_url"), "is missing"))
}

fn file<'a>(reading: &mut Reading, path: Path<'_>, part: &Object<'a>) -> Result<Part<'a>> {
    let (mut title, mut pdf) = (None, None);
    for (key, value) in part.fields() {
        let at = path.key(key);
        match key {
            "type" => {}
            "filename" => title = Some(text(at, value)?),
            "file_data" => pdf = Some(pdf_at_url(at, value)?),
            "detail" => reading.hint_unless(at, value, &["\"auto\""])?,
            "prompt_cache_breakpoint" => reading.hint(at)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    let data = pdf.ok_or_else(|| wrong(path.key("file_data"), "is missing"))?;
    Ok(Part::Pdf { title, data })
}

/// A call, and the execution context that goes with it: only the model itself can have made it.
fn is_direct(reading: &Reading, at: Path<'_>, value: &str) -> Result<()> {
    reading.only(at, value, &["{\"type\":\"direct\"}"])
}

fn call<'a>(
    reading: &mut Reading,
    path: Path<'_>,
    item: &Object<'a>,
    calling: bool,
    conversation: &mut Conversation<'a>,
) -> Result<()> {
    let mut call = RawCall { id: None, name: None, input: Cow::Borrowed("{}") };
    for (key, value) in item.fields() {
        let at = path.key(key);
        match key {
            "type" | "id" | "status" => {}
            "call_id" => call.id = Some(value),
            "name" => call.name = Some(value),
            "arguments" => call.input = arguments(at, value)?,
            "caller" => is_direct(reading, at, value)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    if !calling {
        conversation.settle()?;
    }
    let part = Part::Call(conversation.call(reading, path, ["call_id", "name"], call)?);
    conversation.more_of_assistant(reading, Content::Parts(vec![part]));
    Ok(())
}

fn output<'a>(
    reading: &mut Reading,
    path: Path<'_>,
    item: &Object<'a>,
    conversation: &mut Conversation<'a>,
) -> Result<()> {
    let (mut id, mut name, mut content) = (None, None, None);
    for (key, value) in item.fields() {
        let at = path.key(key);
        match key {
            "type" | "id" | "status" => {}
            "call_id" => id = Some(value),
            "name" => name = Some(value),
            "output" => content = Some(output_content(reading, at, value)?),
            "caller" => is_direct(reading, at, value)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    let id_at = path.key("call_id");
    let id = id.ok_or_else(|| wrong(id_at, "is missing"))?;
    let content = content.ok_or_else(|| wrong(path.key("output"), "is missing"))?;
    conversation.result(id_at, id, name.map(|name| (path.key("name"), name)), content, false)
}

fn output_content<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Content<'a>> {
    if let Some(text) = Text::of(value) {
        return Ok(Content::Plain(text));
    }
    let mut parts = parts(reading, at, value, false)?;
    parts.retain(|part| !matches!(part, Part::Text(text) if !reading.keeps(*text)));
    Ok(Content::Parts(parts))
}
