//! Reads the messages of a request for Anthropic messages, and the content blocks inside.

use std::borrow::Cow;

use super::conversation::{Conversation, RawCall};
use super::json::{Object, Text};
use super::media::{image_at_url, image_of, pdf_of};
use super::path::Path;
use super::question::{Content, Part, Question};
use super::reading::{Reading, boolean, cannot, carried, decoded, each_object, object, text, wrong};
use crate::wire::Obstacle;

type Result<T> = std::result::Result<T, Obstacle>;

/// The instructions: a text or a list of text blocks.
pub(super) fn system<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Vec<Text<'a>>> {
    if let Some(text) = Text::of(value) {
        return Ok(vec![text]);
    }
    let mut texts = Vec::new();
    each_block(at, value, |at, block| {
        texts.push(only_text(reading, at, &block)?);
        Ok(())
    })?;
    Ok(texts)
}

/// Reads the list in `value`, which stands at `at`.
pub(super) fn read<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str, question: &mut Question<'a>) -> Result<()> {
    let mut conversation = Conversation::default();
    let messages = each_object(at, value, |at, message| self::message(reading, at, &message, &mut conversation))?;
    conversation.finish(reading, at, messages, question)
}

fn message<'a>(
    reading: &mut Reading,
    path: Path<'_>,
    object: &Object<'a>,
    conversation: &mut Conversation<'a>,
) -> Result<()> {
    let (mut role, mut content) = (None, None);
    for (key, value) in object.fields() {
        match key {
            "role" => role = Some(decoded(path.key(key), value)?),
            "content" => content = Some(value),
            _ => return Err(reading.inexpressible(path.key(key))),
        }
    }
    let at = path.key("content");
    let content = content.ok_or_else(|| wrong(at, "is missing"))?;
    match role.as_deref() {
        Some("user") => match Text::of(content) {
            Some(text) => conversation.user(reading, path, Content::Plain(text)),
            None => user(reading, path, content, conversation),
        },
        Some("assistant") => {
            conversation.settle()?;
            let content = match Text::of(content) {
                Some(text) => Content::Plain(text),
                None => Content::Parts(assistant(reading, at, content, conversation)?),
            };
            conversation.assistant(reading, content);
            Ok(())
        }
        Some("system") => {
            let texts = system(reading, at, content)?;
            conversation.system(reading, path, texts)
        }
        Some(_) => Err(wrong(path.key("role"), "is no role that messages knows")),
        None => Err(wrong(path.key("role"), "is missing")),
    }
}

fn user<'a>(reading: &mut Reading, path: Path<'_>, value: &'a str, conversation: &mut Conversation<'a>) -> Result<()> {
    let mut parts = Vec::new();
    let blocks = each_block(path.key("content"), value, |at, block| {
        match kind(at, &block)?.as_ref() {
            "tool_result" if parts.is_empty() => tool_result(reading, at, &block, conversation)?,
            "tool_result" => return Err(wrong(at, "comes after other blocks, and results of tools come first")),
            "text" => parts.push(Part::Text(only_text(reading, at, &block)?)),
            "image" => parts.push(image(reading, at, &block)?),
            "document" => parts.push(document(reading, at, &block)?),
            _ => return Err(reading.inexpressible(at.key("type"))),
        }
        Ok(())
    })?;
    if parts.is_empty() && blocks > 0 { Ok(()) } else { conversation.user(reading, path, Content::Parts(parts)) }
}

fn assistant<'a>(
    reading: &mut Reading,
    at: Path<'_>,
    value: &'a str,
    conversation: &mut Conversation<'a>,
) -> Result<Vec<Part<'a>>> {
    let mut parts = Vec::new();
    each_block(at, value, |at, block| {
        match kind(at, &block)?.as_ref() {
            "text" => parts.push(Part::Text(only_text(reading, at, &block)?)),
            "tool_use" => parts.push(tool_use(reading, at, &block, conversation)?),
            // It is signed for the provider that it came from.
            "thinking" | "redacted_thinking" => reading.hint(at)?,
            _ => return Err(reading.inexpressible(at.key("type"))),
        }
        Ok(())
    })?;
    Ok(parts)
}

fn each_block<'a>(at: Path<'_>, value: &'a str, each: impl FnMut(Path<'_>, Object<'a>) -> Result<()>) -> Result<usize> {
    if value.starts_with('[') {
        each_object(at, value, each)
    } else {
        Err(wrong(at, "has to be a text or a list of blocks"))
    }
}

fn kind<'a>(at: Path<'_>, block: &Object<'a>) -> Result<Cow<'a, str>> {
    let kind = block.get("type").ok_or_else(|| wrong(at.key("type"), "is missing"))?;
    decoded(at.key("type"), kind)
}

/// A text block.
fn only_text<'a>(reading: &mut Reading, path: Path<'_>, block: &Object<'a>) -> Result<Text<'a>> {
    if kind(path, block)? != "text" {
        return Err(cannot(path.key("type"), "is no text, and only text can stand here"));
    }
    let mut said = None;
    for (key, value) in block.fields() {
        let at = path.key(key);
        match key {
            "type" => {}
            "text" => said = Some(text(at, value)?),
            "cache_control" => reading.hint(at)?,
            "citations" => reading.only_empty(at, value)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    said.ok_or_else(|| wrong(path.key("text"), "is missing"))
}

fn image<'a>(reading: &mut Reading, path: Path<'_>, block: &Object<'a>) -> Result<Part<'a>> {
    let mut image = None;
    for (key, value) in block.fields() {
        let at = path.key(key);
        match key {
            "type" => {}
            "source" => image = Some(image_source(reading, at, value)?),
            "cache_control" => reading.hint(at)?,
            "transformations" => reading.only(at, value, &["{}", "{\"oversized_image\":\"downsize\"}"])?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    image.ok_or_else(|| wrong(path.key("source"), "is missing"))
}

fn image_source<'a>(reading: &Reading, path: Path<'_>, value: &'a str) -> Result<Part<'a>> {
    let source = Source::read(reading, path, value)?;
    let image = match source.kind.as_ref() {
        "base64" => {
            let media_type = source.media_type.ok_or_else(|| wrong(path.key("media_type"), "is missing"))?;
            let data = source.data.ok_or_else(|| wrong(path.key("data"), "is missing"))?;
            image_of(path.key("data"), &media_type, data)?
        }
        "url" => {
            let at = path.key("url");
            image_at_url(at, source.url.ok_or_else(|| wrong(at, "is missing"))?)?
        }
        _ => return Err(reading.inexpressible(path.key("type"))),
    };
    Ok(Part::Image(image))
}

fn document<'a>(reading: &mut Reading, path: Path<'_>, block: &Object<'a>) -> Result<Part<'a>> {
    let (mut title, mut pdf) = (None, None);
    for (key, value) in block.fields() {
        let at = path.key(key);
        match key {
            "type" => {}
            "title" => title = Some(text(at, value)?),
            "source" => {
                let source = Source::read(reading, at, value)?;
                if source.kind != "base64" || source.media_type.as_deref() != Some("application/pdf") {
                    return Err(cannot(at, "is no PDF document in base64, the only kind that chat completions takes"));
                }
                let data = source.data.ok_or_else(|| wrong(at.key("data"), "is missing"))?;
                pdf = Some(pdf_of(at.key("data"), data)?);
            }
            "cache_control" => reading.hint(at)?,
            "citations" => citations(reading, at, value)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    let data = pdf.ok_or_else(|| wrong(path.key("source"), "is missing"))?;
    Ok(Part::Pdf { title, data })
}

fn citations(reading: &mut Reading, path: Path<'_>, value: &str) -> Result<()> {
    for (key, value) in object(path, value)?.fields() {
        let at = path.key(key);
        match key {
            "enabled" if !boolean(at, value)? => reading.hint(at)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    Ok(())
}

/// Where the bytes of an image or a document are.
struct Source<'a> {
    kind: Cow<'a, str>,
    media_type: Option<Cow<'a, str>>,
    data: Option<Cow<'a, str>>,
    url: Option<&'a str>,
}

impl<'a> Source<'a> {
    fn read(reading: &Reading, path: Path<'_>, value: &'a str) -> Result<Self> {
        let object = object(path, value)?;
        let mut source = Self { kind: kind(path, &object)?, media_type: None, data: None, url: None };
        for (key, value) in object.fields() {
            let at = path.key(key);
            match (source.kind.as_ref(), key) {
                (_, "type") => {}
                ("base64" | "text", "media_type") => source.media_type = Some(decoded(at, value)?),
                ("base64" | "text", "data") => source.data = Some(decoded(at, value)?),
                ("url", "url") => source.url = Some(value),
                _ => return Err(reading.inexpressible(at)),
            }
        }
        Ok(source)
    }
}

fn tool_use<'a>(
    reading: &mut Reading,
    path: Path<'_>,
    block: &Object<'a>,
    conversation: &mut Conversation<'a>,
) -> Result<Part<'a>> {
    let (mut id, mut name, mut input) = (None, None, None);
    for (key, value) in block.fields() {
        let at = path.key(key);
        match key {
            "type" => {}
            "id" => id = Some(value),
            "name" => name = Some(value),
            "input" => input = Some(carried(at, value)?),
            "cache_control" => reading.hint(at)?,
            "caller" => reading.only(at, value, &["{\"type\":\"direct\"}"])?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    let input = Cow::Borrowed(input.ok_or_else(|| wrong(path.key("input"), "is missing"))?);
    conversation.call(reading, path, ["id", "name"], RawCall { id, name, input }).map(Part::Call)
}

fn tool_result<'a>(
    reading: &mut Reading,
    path: Path<'_>,
    block: &Object<'a>,
    conversation: &mut Conversation<'a>,
) -> Result<()> {
    let (mut id, mut content, mut is_error) = (None, Content::Plain(Text("")), false);
    for (key, value) in block.fields() {
        let at = path.key(key);
        match key {
            "type" => {}
            "tool_use_id" => id = Some(value),
            "content" => content = result_content(reading, at, value)?,
            "is_error" => is_error = boolean(at, value)?,
            "cache_control" => reading.hint(at)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    let id_at = path.key("tool_use_id");
    conversation.result(id_at, id.ok_or_else(|| wrong(id_at, "is missing"))?, None, content, is_error)
}

fn result_content<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Content<'a>> {
    if let Some(text) = Text::of(value) {
        return Ok(Content::Plain(text));
    }
    let mut parts = Vec::new();
    each_block(at, value, |at, block| {
        parts.push(match kind(at, &block)?.as_ref() {
            "text" => Part::Text(only_text(reading, at, &block)?),
            "image" => image(reading, at, &block)?,
            "document" => document(reading, at, &block)?,
            _ => return Err(reading.inexpressible(at.key("type"))),
        });
        Ok(())
    })?;
    Ok(Content::Parts(parts))
}
