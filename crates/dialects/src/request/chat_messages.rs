//! Reads the messages of a request for chat completions.

use std::borrow::Cow;

use super::conversation::{Conversation, RawCall};
use super::json::{Object, Text};
use super::media::{image_at_url, pdf_at_url};
use super::path::Path;
use super::question::{Content, ERROR_LINE, Part, Question};
use super::reading::{Reading, cannot, carried, decoded, each_object, object, text, wrong};
use crate::wire::Obstacle;

type Result<T> = std::result::Result<T, Obstacle>;

/// Reads the list in `value`, which stands at `at`.
pub(super) fn read<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str, question: &mut Question<'a>) -> Result<()> {
    let mut conversation = Conversation::default();
    let messages = each_object(at, value, |at, message| {
        Message::read(reading, at, &message)?.join(reading, at, &mut conversation)
    })?;
    conversation.finish(reading, at, messages, question)
}

/// A message, whoever says it.
#[derive(Default)]
struct Message<'a> {
    role: Cow<'a, str>,
    name: Option<&'a str>,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    tool_calls: Option<&'a str>,
    tool_call_id: Option<&'a str>,
    thinking: Option<&'a str>,
}

impl<'a> Message<'a> {
    fn read(reading: &mut Reading, path: Path<'_>, object: &Object<'a>) -> Result<Self> {
        let mut message = Self::default();
        let role = object.get("role").ok_or_else(|| wrong(path.key("role"), "is missing"))?;
        message.role = decoded(path.key("role"), role)?;
        let is_assistant = message.role == "assistant";
        let has_thinking = is_assistant && object.get("thinking_blocks").is_some();
        for (key, value) in object.fields() {
            let at = path.key(key);
            match key {
                "role" => {}
                "content" => message.content = Some(value),
                "name" if message.role == "tool" => message.name = Some(value),
                "tool_call_id" if message.role == "tool" => message.tool_call_id = Some(value),
                "refusal" if is_assistant => message.refusal = Some(value),
                "tool_calls" if is_assistant => message.tool_calls = Some(value),
                "thinking_blocks" if is_assistant => message.thinking = Some(value),
                // The text of the thinking blocks once more.
                "reasoning_content" | "reasoning" if has_thinking => {}
                "reasoning_content" | "reasoning" if is_assistant => reading.hint_unless(at, value, &["\"\""])?,
                // What answers say beside what is said, and clients hand back.
                "annotations" | "provider_specific_fields" | "reasoning_details" if is_assistant => {
                    reading.hint_unless_empty(at, value)?;
                }
                "cache_control" => reading.hint(at)?,
                "prompt_cache_breakpoint" => reading.hint(at)?,
                _ => return Err(reading.inexpressible(at)),
            }
        }
        Ok(message)
    }

    fn join(self, reading: &mut Reading, path: Path<'_>, conversation: &mut Conversation<'a>) -> Result<()> {
        match self.role.as_ref() {
            "system" | "developer" => {
                let texts = self.texts(reading, path, false)?;
                conversation.system(reading, path, texts)
            }
            "user" => {
                let content = self.content(path)?;
                let content = match Text::of(content) {
                    Some(text) => Content::Plain(text),
                    None => Content::Parts(user_parts(reading, path.key("content"), content)?),
                };
                conversation.user(reading, path, content)
            }
            "assistant" => self.assistant(reading, path, conversation),
            "tool" => self.tool(reading, path, conversation),
            "function" => Err(cannot(path.key("role"), "is from before there were tools; use `tool`")),
            _ => Err(wrong(path.key("role"), "is no role that chat completions knows")),
        }
    }

    fn content(&self, path: Path<'_>) -> Result<&'a str> {
        self.content.ok_or_else(|| wrong(path.key("content"), "is missing"))
    }

    /// The content where it can only be text.
    fn texts(&self, reading: &mut Reading, path: Path<'_>, with_refusals: bool) -> Result<Vec<Text<'a>>> {
        let content = self.content(path)?;
        match Text::of(content) {
            Some(text) => Ok(vec![text]),
            None => text_parts(reading, path.key("content"), content, with_refusals),
        }
    }

    fn assistant(self, reading: &mut Reading, path: Path<'_>, conversation: &mut Conversation<'a>) -> Result<()> {
        conversation.settle()?;
        let mut parts = match self.thinking {
            Some(blocks) => thinking(reading, path.key("thinking_blocks"), blocks)?,
            None => Vec::new(),
        };
        if self.content.is_some() {
            parts.extend(self.texts(reading, path, true)?.into_iter().map(Part::Text));
        }
        if let Some(refusal) = self.refusal {
            parts.push(Part::Text(text(path.key("refusal"), refusal)?));
        }
        if let Some(calls) = self.tool_calls {
            let at = path.key("tool_calls");
            each_object(at, calls, |at, call| {
                parts.push(tool_call(reading, at, &call, conversation)?);
                Ok(())
            })?;
        }
        let is_plain = self.content.is_some_and(|content| content.starts_with('"'));
        let content = match parts.as_slice() {
            [Part::Text(text)] if is_plain || self.refusal.is_some() => Content::Plain(*text),
            _ => Content::Parts(parts),
        };
        conversation.assistant(reading, content);
        Ok(())
    }

    fn tool(self, reading: &mut Reading, path: Path<'_>, conversation: &mut Conversation<'a>) -> Result<()> {
        let id_at = path.key("tool_call_id");
        let id = self.tool_call_id.ok_or_else(|| wrong(id_at, "is missing"))?;
        let mut is_error = false;
        let mut without_line = |text: Text<'a>| match text.0.strip_prefix(ERROR_LINE) {
            Some(rest) => {
                is_error = true;
                // Anthropic refuses a failure that says nothing.
                if Text(rest).is_blank() { Text("error") } else { Text(rest) }
            }
            None => text,
        };
        let content = self.content(path)?;
        let content = match Text::of(content) {
            Some(text) => Content::Plain(without_line(text)),
            None => {
                let mut texts = text_parts(reading, path.key("content"), content, false)?;
                if let Some(first) = texts.first_mut() {
                    *first = without_line(*first);
                }
                Content::Parts(texts.into_iter().filter(|text| reading.keeps(*text)).map(Part::Text).collect())
            }
        };
        conversation.result(id_at, id, self.name.map(|name| (path.key("name"), name)), content, is_error)
    }
}

fn text_parts<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str, with_refusals: bool) -> Result<Vec<Text<'a>>> {
    let mut texts = Vec::new();
    each_part(at, value, |at, part| {
        let key = match kind(at, &part)?.as_ref() {
            "text" => "text",
            "refusal" if with_refusals => "refusal",
            _ => return Err(cannot(at.key("type"), "is no text, and only text can stand here")),
        };
        let said = field(reading, at, &part, key)?;
        texts.push(text(at.key(key), said)?);
        Ok(())
    })?;
    Ok(texts)
}

fn user_parts<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Vec<Part<'a>>> {
    let mut read = Vec::new();
    each_part(at, value, |at, part| {
        read.push(match kind(at, &part)?.as_ref() {
            "text" => Part::Text(text(at.key("text"), field(reading, at, &part, "text")?)?),
            "image_url" => {
                let image = field(reading, at, &part, "image_url")?;
                self::image(reading, at.key("image_url"), image)?
            }
            "file" => {
                let file = field(reading, at, &part, "file")?;
                self::file(reading, at.key("file"), file)?
            }
            _ => return Err(reading.inexpressible(at.key("type"))),
        });
        Ok(())
    })?;
    Ok(read)
}

fn each_part<'a>(at: Path<'_>, value: &'a str, each: impl FnMut(Path<'_>, Object<'a>) -> Result<()>) -> Result<usize> {
    if value.starts_with('[') {
        each_object(at, value, each)
    } else {
        Err(wrong(at, "has to be a text or a list of parts"))
    }
}

fn kind<'o>(at: Path<'_>, part: &Object<'o>) -> Result<Cow<'o, str>> {
    let kind = part.get("type").ok_or_else(|| wrong(at.key("type"), "is missing"))?;
    decoded(at.key("type"), kind)
}

/// The value of `wanted`, the one field that this part has beside its type and hints.
fn field<'a>(reading: &mut Reading, at: Path<'_>, part: &Object<'a>, wanted: &str) -> Result<&'a str> {
    let mut found = None;
    for (key, value) in part.fields() {
        match key {
            "type" => {}
            "cache_control" | "prompt_cache_breakpoint" => reading.hint(at.key(key))?,
            _ if key == wanted => found = Some(value),
            _ => return Err(reading.inexpressible(at.key(key))),
        }
    }
    found.ok_or_else(|| wrong(at.key(wanted), "is missing"))
}

fn image<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Part<'a>> {
    let mut url = None;
    for (key, value) in object(at, value)?.fields() {
        match key {
            "url" => url = Some(image_at_url(at.key(key), value)?),
            "detail" => reading.hint_unless(at.key(key), value, &["\"auto\""])?,
            _ => return Err(reading.inexpressible(at.key(key))),
        }
    }
    url.map(Part::Image).ok_or_else(|| wrong(at.key("url"), "is missing"))
}

fn file<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Part<'a>> {
    let (mut title, mut pdf) = (None, None);
    for (key, value) in object(at, value)?.fields() {
        let at = at.key(key);
        match key {
            "filename" => title = Some(text(at, value)?),
            "file_data" => pdf = Some(pdf_at_url(at, value)?),
            _ => return Err(reading.inexpressible(at)),
        }
    }
    let data = pdf.ok_or_else(|| wrong(at.key("file_data"), "is missing"))?;
    Ok(Part::Pdf { title, data })
}

/// Earlier thinking that came with its signatures. Without one it cannot be shown to Anthropic again.
fn thinking<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Vec<Part<'a>>> {
    let mut read = Vec::new();
    each_object(at, value, |at, block| {
        let wanted: &[&str] = match kind(at, &block)?.as_ref() {
            "thinking" => &["thinking", "signature"],
            "redacted_thinking" => &["data"],
            _ => return Err(reading.inexpressible(at.key("type"))),
        };
        let mut found = [None, None];
        for (key, value) in block.fields().filter(|(key, _)| *key != "type") {
            match wanted.iter().position(|wanted| *wanted == key) {
                Some(position) => found[position] = Some(text(at.key(key), value)?),
                None if key == "cache_control" => reading.hint(at.key(key))?,
                // What the official client puts together from a stream keeps the number of the block.
                None if key == "index" => {}
                None => return Err(reading.inexpressible(at.key(key))),
            }
        }
        match (wanted.len(), found) {
            (2, [Some(thinking), Some(signature)]) if !signature.0.is_empty() => {
                read.push(Part::Thinking { thinking, signature });
            }
            (2, [Some(_), _]) => reading.hint(at)?,
            (1, [Some(data), _]) => read.push(Part::RedactedThinking { data }),
            _ => return Err(wrong(at.key(wanted[0]), "is missing")),
        }
        Ok(())
    })?;
    Ok(read)
}

fn tool_call<'a>(
    reading: &mut Reading,
    at: Path<'_>,
    call: &Object<'a>,
    conversation: &mut Conversation<'a>,
) -> Result<Part<'a>> {
    let (mut raw, mut has_function) = (RawCall { id: None, name: None, input: Cow::Borrowed("{}") }, false);
    for (key, value) in call.fields() {
        let at = at.key(key);
        match key {
            "id" => raw.id = Some(value),
            "type" => reading.only(at, value, &["\"function\""])?,
            // Streams number their calls; clients that put a message together leave the number in.
            "index" => {}
            "extra_content" | "provider_specific_fields" => reading.hint_unless_empty(at, value)?,
            "function" => {
                has_function = true;
                for (key, value) in object(at, value)?.fields() {
                    match key {
                        "name" => raw.name = Some(value),
                        "arguments" => raw.input = arguments(at.key(key), value)?,
                        _ => return Err(reading.inexpressible(at.key(key))),
                    }
                }
            }
            "cache_control" => reading.hint(at)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    if !has_function {
        return Err(wrong(at.key("function"), "is missing"));
    }
    conversation.call(reading, at, ["id", "function.name"], raw).map(Part::Call)
}

/// The arguments of a call: a text that is a JSON object. None at all are an empty object.
pub(super) fn arguments<'a>(at: Path<'_>, value: &'a str) -> Result<Cow<'a, str>> {
    let arguments = decoded(at, value)?;
    if arguments.trim().is_empty() {
        return Ok(Cow::Borrowed("{}"));
    }
    let Ok(json) = serde_json::from_str::<&serde_json::value::RawValue>(&arguments) else {
        return Err(wrong(at, "is not valid JSON"));
    };
    carried(at, json.get())?;
    Ok(arguments)
}
