//! What OpenAI's two wires have in common: function tools, the choice among them, formats, efforts.

use std::borrow::Cow;
use std::collections::HashSet;

use super::json::{Object, Text, is_empty};
use super::path::Path;
use super::question::{Effort, Format, Tool, ToolChoice};
use super::reading::{Reading, boolean, cannot, carried, decoded, number, text, wrong};
use crate::wire::{Obstacle, Wire};

type Result<T> = std::result::Result<T, Obstacle>;

/// A function's definition. `more` decides about the fields that only one wire has.
pub(super) fn function<'a>(
    reading: &mut Reading,
    path: Path<'_>,
    object: &Object<'a>,
    more: impl Fn(&mut Reading, Path<'_>, &str, &str) -> Result<()>,
) -> Result<Tool<'a>> {
    let (mut name, mut description, mut schema, mut strict) = (None, None, None, None);
    for (key, value) in object.fields() {
        let at = path.key(key);
        match key {
            "name" => name = Some(tool_name(reading.to, at, value)?),
            "description" => description = Some(text(at, value)?),
            "parameters" => schema = Some(carried(at, value)?).filter(|schema| !is_empty(schema)),
            "strict" => strict = Some(boolean(at, value)?),
            "cache_control" => reading.hint(at)?,
            _ => more(reading, at, key, value)?,
        }
    }
    let name = name.ok_or_else(|| wrong(path.key("name"), "is missing"))?;
    Ok(Tool { name, description, schema, strict })
}

/// The name of a tool. Anthropic takes letters, digits, `_` and `-`, and at most 128 of them. OpenAI takes at most 64 characters;
/// which ones is left to the provider, since others than OpenAI take more.
pub(super) fn tool_name<'a>(to: Wire, path: Path<'_>, value: &'a str) -> Result<Cow<'a, str>> {
    let name = decoded(path, value)?;
    if name.is_empty() {
        return Err(wrong(path, "is empty"));
    }
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if to == Wire::Messages && (name.len() > 128 || !name.bytes().all(is_fit)) {
        return Err(cannot(path, "is a name that messages refuses: letters, digits, _ and -, at most 128"));
    }
    if to == Wire::Chat && name.chars().count() > 64 {
        return Err(cannot(path, "is longer than 64 characters, the most that chat completions takes"));
    }
    Ok(name)
}

/// The names so far: they are unique, or nobody knows which tool is called.
pub(super) struct ToolNames<'a>(HashSet<Cow<'a, str>>);

impl<'a> ToolNames<'a> {
    pub(super) fn new() -> Self {
        Self(HashSet::new())
    }

    pub(super) fn add(&mut self, path: Path<'_>, tool: &Tool<'a>) -> Result<()> {
        if self.0.insert(tool.name.clone()) { Ok(()) } else { Err(wrong(path, "is the name of an earlier tool, too")) }
    }
}

/// A choice in one word.
pub(super) fn choice_word(reading: &Reading, path: Path<'_>, value: &str) -> Result<ToolChoice<'static>> {
    match decoded(path, value)?.as_ref() {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => Err(reading.inexpressible(path)),
    }
}

/// Makes sure that a choice of tools has tools to choose from.
pub(super) fn check_choice<'a>(path: Path<'_>, choice: ToolChoice<'a>, tools: &[Tool<'a>]) -> Result<ToolChoice<'a>> {
    match choice {
        ToolChoice::Required if tools.is_empty() => Err(wrong(path, "demands a tool, and there is none")),
        ToolChoice::Tool(ref name) if tools.iter().all(|tool| tool.name != *name) => {
            Err(wrong(path, "names a tool that is not there"))
        }
        choice => Ok(choice),
    }
}

/// A JSON Schema for the answer. `flat` says that the type stands beside the schema.
pub(super) fn schema_format<'a>(
    reading: &mut Reading,
    path: Path<'_>,
    object: &Object<'a>,
    flat: bool,
) -> Result<Format<'a>> {
    let (mut schema, mut name, mut description, mut strict) = (None, None, None, None);
    for (key, value) in object.fields() {
        let at = path.key(key);
        match key {
            "type" if flat => {}
            "schema" => schema = Some(carried(at, value)?),
            "name" => name = Some(text(at, value)?),
            "description" if reading.to == Wire::Messages => reading.hint(at)?,
            "description" => description = Some(text(at, value)?),
            "strict" => strict = Some(boolean(at, value)?),
            _ => return Err(reading.inexpressible(at)),
        }
    }
    let Some(schema) = schema else {
        return Err(cannot(path.key("schema"), "is missing, and there is no such format without it"));
    };
    Ok(Format::Schema { schema, name, description, strict })
}

/// How much to think.
pub(super) fn effort(reading: &Reading, path: Path<'_>, value: &str) -> Result<Effort> {
    let effort = Effort::named(&decoded(path, value)?).ok_or_else(|| reading.inexpressible(path))?;
    if reading.to == Wire::Messages && effort == Effort::Minimal {
        return Err(reading.inexpressible(path));
    }
    Ok(effort)
}

/// A temperature: up to 2 at OpenAI, up to 1 at Anthropic.
pub(super) fn temperature<'a>(reading: &Reading, path: Path<'_>, value: &'a str) -> Result<&'a str> {
    let degree = number(path, value)?;
    if !(0.0..=2.0).contains(&degree) {
        return Err(wrong(path, "has to be from 0 to 2"));
    }
    if reading.to == Wire::Messages && degree > 1.0 {
        return Err(cannot(path, "is over 1, the most that messages takes"));
    }
    Ok(value)
}

/// A share of the probability: from 0 to 1.
pub(super) fn top_p<'a>(path: Path<'_>, value: &'a str) -> Result<&'a str> {
    if (0.0..=1.0).contains(&number(path, value)?) { Ok(value) } else { Err(wrong(path, "has to be from 0 to 1")) }
}

/// `verbosity`: a wish for chat completions and a hint for messages, where medium is what there is without it.
pub(super) fn verbosity<'a>(reading: &mut Reading, path: Path<'_>, value: &'a str) -> Result<Option<Text<'a>>> {
    if reading.to == Wire::Messages {
        text(path, value)?;
        reading.hint_unless(path, value, &["\"medium\""])?;
        return Ok(None);
    }
    text(path, value).map(Some)
}
