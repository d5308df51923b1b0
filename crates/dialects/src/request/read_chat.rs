//! Reads a request for chat completions (`openai/types/chat/completion_create_params.py` of OpenAI's Python package). Its
//! messages are in `chat_messages`.

use super::chat_messages;
use super::functions::{
    ToolNames, check_choice, choice_word, effort, function, schema_format, temperature, tool_name, top_p, verbosity,
};
use super::json::{Object, Text};
use super::path::Path;
use super::question::{Format, Question, Tool, ToolChoice};
use super::reading::{Reading, boolean, cannot, count, decoded, each_object, list, object, text, wrong};
use crate::wire::{Obstacle, Wire};

type Result<T> = std::result::Result<T, Obstacle>;

/// The question in `body`.
pub(super) fn read<'a>(reading: &mut Reading, body: &Object<'a>) -> Result<Question<'a>> {
    let mut question = Question::default();
    let (mut messages, mut choice, mut limits) = (None, None, [None, None]);
    for (key, value) in body.fields() {
        let at = Path::ROOT.key(key);
        match key {
            "model" => question.model = Some(text(at, value)?),
            "messages" => messages = Some(value),
            "max_tokens" => limits[0] = Some(count(at, value)?),
            "max_completion_tokens" => limits[1] = Some(count(at, value)?),
            "temperature" => question.temperature = Some(temperature(reading, at, value)?),
            "top_p" => question.top_p = Some(top_p(at, value)?),
            "stop" => question.stop = stop(reading, at, value)?,
            "stream" => question.stream = boolean(at, value)?,
            "stream_options" => stream_options(reading, at, value)?,
            "tools" => question.tools = tools(reading, at, value)?,
            "tool_choice" => choice = Some(tool_choice(reading, at, value)?),
            "parallel_tool_calls" => question.one_call_only = !boolean(at, value)?,
            "response_format" => question.format = format(reading, at, value)?,
            "reasoning_effort" => question.effort = Some(effort(reading, at, value)?),
            "verbosity" => question.verbosity = verbosity(reading, at, value)?,
            _ => little(reading, at, key, value)?,
        }
    }
    if let [Some(old), Some(new)] = limits
        && old != new
    {
        return Err(wrong(Path::ROOT.key("max_tokens"), "contradicts `max_completion_tokens`"));
    }
    question.max_tokens = limits[1].or(limits[0]);
    question.tool_choice = check_choice(Path::ROOT.key("tool_choice"), choice.unwrap_or_default(), &question.tools)?;
    let at = Path::ROOT.key("messages");
    chat_messages::read(reading, at, messages.ok_or_else(|| wrong(at, "is missing"))?, &mut question)?;
    Ok(question)
}

/// The fields that are hints, or that may only say what is so in any case.
fn little(reading: &mut Reading, at: Path<'_>, key: &str, value: &str) -> Result<()> {
    match key {
        "user" | "safety_identifier" | "prompt_cache_key" | "prompt_cache_retention" | "cache_control" => {
            reading.hint(at)
        }
        "metadata" | "prompt_cache_options" => reading.hint_unless_empty(at, value),
        "service_tier" => reading.hint_unless(at, value, &["\"auto\"", "\"default\""]),
        "store" if boolean(at, value)? => Err(reading.inexpressible(at)),
        "store" => reading.hint(at),
        "n" if count(at, value)? == 1 => Ok(()),
        "n" => Err(cannot(at, "asks for more than one answer")),
        "logprobs" => reading.only(at, value, &["false"]),
        "modalities" => reading.only(at, value, &["[\"text\"]"]),
        "frequency_penalty" | "presence_penalty" | "top_logprobs" => reading.only_zero(at, value),
        "logit_bias" | "functions" => reading.only_empty(at, value),
        // Audio, prediction, moderation, web search, seeds, the calls of functions before there were tools, and whatever
        // nobody knows.
        _ => Err(reading.inexpressible(at)),
    }
}

fn stop<'a>(reading: &Reading, at: Path<'_>, value: &'a str) -> Result<Vec<Text<'a>>> {
    if let Some(text) = Text::of(value) {
        return stop_text(reading, at, text).map(|text| vec![text]);
    }
    let texts = list(at, value)?.into_iter().enumerate();
    texts.map(|(index, value)| stop_text(reading, at.index(index), text(at.index(index), value)?)).collect()
}

fn stop_text<'a>(reading: &Reading, at: Path<'_>, text: Text<'a>) -> Result<Text<'a>> {
    if reading.keeps(text) { Ok(text) } else { Err(cannot(at, "is white space, which messages does not stop at")) }
}

fn stream_options(reading: &mut Reading, at: Path<'_>, value: &str) -> Result<()> {
    for (key, value) in object(at, value)?.fields() {
        let at = at.key(key);
        match key {
            // The writer of the answer sees to it.
            "include_usage" => _ = boolean(at, value)?,
            "include_obfuscation" => reading.hint(at)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    Ok(())
}

fn tools<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Vec<Tool<'a>>> {
    let (mut tools, mut names) = (Vec::new(), ToolNames::new());
    each_object(at, value, |at, object| {
        let mut definition = None;
        for (key, value) in object.fields() {
            let at = at.key(key);
            match key {
                "type" => reading.only(at, value, &["\"function\""])?,
                "function" => definition = Some(value),
                "cache_control" => reading.hint(at)?,
                _ => return Err(reading.inexpressible(at)),
            }
        }
        let at = at.key("function");
        let definition = super::reading::object(at, definition.ok_or_else(|| wrong(at, "is missing"))?)?;
        let tool = function(reading, at, &definition, |reading, at, _, _| Err(reading.inexpressible(at)))?;
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
            "function" => {
                for (key, value) in object(at, value)?.fields() {
                    match key {
                        "name" => name = Some(tool_name(reading.to, at.key(key), value)?),
                        _ => return Err(reading.inexpressible(at.key(key))),
                    }
                }
            }
            _ => return Err(reading.inexpressible(at)),
        }
    }
    name.map(ToolChoice::Tool).ok_or_else(|| wrong(at, "names no function"))
}

fn format<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Option<Format<'a>>> {
    let object_here = object(at, value)?;
    let kind_at = at.key("type");
    let kind = decoded(kind_at, object_here.get("type").ok_or_else(|| wrong(kind_at, "is missing"))?)?;
    let mut schema = None;
    for (key, value) in object_here.fields() {
        match key {
            "type" => {}
            "json_schema" if kind == "json_schema" => schema = Some(value),
            _ => return Err(reading.inexpressible(at.key(key))),
        }
    }
    match (kind.as_ref(), schema) {
        ("text", _) => Ok(None),
        ("json_object", _) if reading.to == Wire::Chat => Ok(Some(Format::JsonObject)),
        ("json_schema", Some(schema)) => {
            let at = at.key("json_schema");
            schema_format(reading, at, &object(at, schema)?, false).map(Some)
        }
        ("json_schema", None) => Err(wrong(at.key("json_schema"), "is missing")),
        _ => Err(reading.inexpressible(kind_at)),
    }
}
