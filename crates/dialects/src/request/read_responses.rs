//! Reads a request for responses (`openai/types/responses/response_create_params.py` of OpenAI's Python package). Its items
//! are in `response_items`.

use super::functions::{
    ToolNames, check_choice, choice_word, effort, function, schema_format, temperature, tool_name, top_p, verbosity,
};
use super::json::{Object, Text};
use super::path::Path;
use super::question::{Effort, Format, Question, Tool, ToolChoice};
use super::reading::{Reading, boolean, cannot, count, decoded, each_object, list, object, text, wrong};
use super::response_items;
use crate::wire::{Obstacle, Wire};

type Result<T> = std::result::Result<T, Obstacle>;

/// The question in `body`.
pub(super) fn read<'a>(reading: &mut Reading, body: &Object<'a>) -> Result<Question<'a>> {
    let mut question = Question::default();
    let (mut input, mut choice) = (None, None);
    for (key, value) in body.fields() {
        let at = Path::ROOT.key(key);
        match key {
            "model" => question.model = Some(text(at, value)?),
            "input" => input = Some(value),
            "instructions" => question.system = instructions(reading, at, value)?,
            "max_output_tokens" => question.max_tokens = Some(count(at, value)?),
            "temperature" => question.temperature = Some(temperature(reading, at, value)?),
            "top_p" => question.top_p = Some(top_p(at, value)?),
            "stream" => question.stream = boolean(at, value)?,
            "stream_options" => stream_options(reading, at, value)?,
            "tools" => question.tools = tools(reading, at, value)?,
            "tool_choice" => choice = Some(tool_choice(reading, at, value)?),
            "parallel_tool_calls" => question.one_call_only = !boolean(at, value)?,
            "text" => self::text_options(reading, at, value, &mut question)?,
            "reasoning" => question.effort = reasoning(reading, at, value)?,
            _ => little(reading, at, key, value)?,
        }
    }
    question.tool_choice = check_choice(Path::ROOT.key("tool_choice"), choice.unwrap_or_default(), &question.tools)?;
    let at = Path::ROOT.key("input");
    response_items::read(reading, at, input.ok_or_else(|| wrong(at, "is missing"))?, &mut question)?;
    Ok(question)
}

/// The fields that are hints, or that may only say what is so in any case.
fn little(reading: &mut Reading, at: Path<'_>, key: &str, value: &str) -> Result<()> {
    match key {
        "user" | "safety_identifier" | "prompt_cache_key" | "prompt_cache_retention" => reading.hint(at),
        "metadata" | "client_metadata" | "prompt_cache_options" => reading.hint_unless_empty(at, value),
        "include" => {
            list(at, value)?;
            reading.hint_unless_empty(at, value)
        }
        "service_tier" => reading.hint_unless(at, value, &["\"auto\"", "\"default\""]),
        "store" if boolean(at, value)? => Err(cannot(at, "asks for a store, which only OpenAI's own responses have")),
        "store" => reading.hint(at),
        "background" => reading.only(at, value, &["false"]),
        "truncation" => reading.only(at, value, &["\"disabled\""]),
        "top_logprobs" => reading.only_zero(at, value),
        "context_management" => reading.only_empty(at, value),
        // Conversations, earlier responses, prompts, image options, moderation, access programs, limits for tools that
        // the provider runs, and whatever nobody knows.
        _ => Err(reading.inexpressible(at)),
    }
}

fn instructions<'a>(reading: &Reading, at: Path<'_>, value: &'a str) -> Result<Vec<Text<'a>>> {
    Ok(vec![text(at, value)?].into_iter().filter(|text| reading.keeps(*text)).collect())
}

fn stream_options(reading: &mut Reading, at: Path<'_>, value: &str) -> Result<()> {
    for (key, _) in object(at, value)?.fields() {
        match key {
            "include_obfuscation" => reading.hint(at.key(key))?,
            _ => return Err(reading.inexpressible(at.key(key))),
        }
    }
    Ok(())
}

fn tools<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Vec<Tool<'a>>> {
    let (mut tools, mut names) = (Vec::new(), ToolNames::new());
    each_object(at, value, |at, object| {
        let kind = object.get("type").ok_or_else(|| wrong(at.key("type"), "is missing"))?;
        reading.only(at.key("type"), kind, &["\"function\""])?;
        let tool = function(reading, at, &object, |reading, at, key, value| match key {
            "type" => Ok(()),
            "allowed_callers" => reading.only(at, value, &["[\"direct\"]"]),
            "defer_loading" => reading.only(at, value, &["false"]),
            _ => Err(reading.inexpressible(at)),
        })?;
        names.add(at.key("name"), &tool)?;
        tools.push(tool);
        Ok(())
    })?;
    Ok(tools)
}

fn tool_choice<'a>(reading: &Reading, at: Path<'_>, value: &'a str) -> Result<ToolChoice<'a>> {
    if value.starts_with('"') {
        return choice_word(reading, at, value);
    }
    let mut name = None;
    for (key, value) in object(at, value)?.fields() {
        let at = at.key(key);
        match key {
            "type" => reading.only(at, value, &["\"function\""])?,
            "name" => name = Some(tool_name(reading.to, at, value)?),
            _ => return Err(reading.inexpressible(at)),
        }
    }
    name.map(ToolChoice::Tool).ok_or_else(|| wrong(at.key("name"), "is missing"))
}

/// `text`: the shape and the length of the answer.
fn text_options<'a>(reading: &mut Reading, path: Path<'_>, value: &'a str, question: &mut Question<'a>) -> Result<()> {
    for (key, value) in object(path, value)?.fields() {
        let at = path.key(key);
        match key {
            "format" => question.format = format(reading, at, value)?,
            "verbosity" => question.verbosity = verbosity(reading, at, value)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    Ok(())
}

fn format<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Option<Format<'a>>> {
    let object = object(at, value)?;
    let kind_at = at.key("type");
    let kind = decoded(kind_at, object.get("type").ok_or_else(|| wrong(kind_at, "is missing"))?)?;
    let plain = match kind.as_ref() {
        "json_schema" => return schema_format(reading, at, &object, true).map(Some),
        "text" => None,
        "json_object" if reading.to == Wire::Chat => Some(Format::JsonObject),
        _ => return Err(reading.inexpressible(kind_at)),
    };
    match object.fields().find(|(key, _)| *key != "type") {
        Some((key, _)) => Err(reading.inexpressible(at.key(key))),
        None => Ok(plain),
    }
}

fn reasoning(reading: &mut Reading, path: Path<'_>, value: &str) -> Result<Option<Effort>> {
    let mut found = None;
    for (key, value) in object(path, value)?.fields() {
        let at = path.key(key);
        match key {
            "effort" => found = Some(effort(reading, at, value)?),
            "summary" | "generate_summary" => reading.hint(at)?,
            "context" => reading.only(at, value, &["\"auto\""])?,
            "mode" => reading.only(at, value, &["\"standard\""])?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    Ok(found)
}
