//! Reads a request for Anthropic messages, or for the counting of its tokens (`anthropic/types/message_create_params.py`
//! and `message_count_tokens_params.py` of Anthropic's Python package). What its messages hold is in `message_blocks`.

use super::functions::{ToolNames, check_choice, top_p};
use super::json::{Object, Text, is_empty};
use super::message_blocks;
use super::path::Path;
use super::question::{Effort, Format, Question, Tool, ToolChoice};
use super::reading::{
    Reading, boolean, cannot, carried, count, decoded, each_object, list, number, object, text, wrong,
};
use crate::wire::Obstacle;

type Result<T> = std::result::Result<T, Obstacle>;

/// The most stop sequences that chat completions takes.
const MOST_STOPS: usize = 4;

/// The question in `body`.
pub(super) fn read<'a>(reading: &mut Reading, body: &Object<'a>) -> Result<Question<'a>> {
    let mut question = Question::default();
    let (mut messages, mut choice, mut thinking, mut output) = (None, None, Thinking::Unsaid, None);
    for (key, value) in body.fields() {
        let at = Path::ROOT.key(key);
        match key {
            "model" => question.model = Some(text(at, value)?),
            "messages" => messages = Some(value),
            "system" => question.system = message_blocks::system(reading, at, value)?,
            "max_tokens" if value == "0" => {
                return Err(cannot(at, "asks for no answer, only for its cache to be filled"));
            }
            "max_tokens" => question.max_tokens = Some(count(at, value)?),
            "temperature" => question.temperature = Some(temperature(at, value)?),
            "top_p" => question.top_p = Some(top_p(at, value)?),
            "stop_sequences" => question.stop = stop(at, value)?,
            "stream" => question.stream = boolean(at, value)?,
            "tools" => question.tools = tools(reading, at, value)?,
            "tool_choice" => choice = Some(tool_choice(reading, at, value, &mut question.one_call_only)?),
            "thinking" => thinking = self::thinking(reading, at, value)?,
            "output_config" => output = output_config(reading, at, value, &mut question)?,
            "metadata" => metadata(reading, at, value)?,
            "cache_control" => reading.hint(at)?,
            "context_management" => context_management(reading, at, value)?,
            "service_tier" => reading.hint_unless(at, value, &["\"auto\""])?,
            "speed" => reading.only(at, value, &["\"standard\""])?,
            "diagnostics" => reading.only_empty(at, value)?,
            // Containers, regions, profiles, workspaces, sampling of the top k, and whatever nobody knows.
            _ => return Err(reading.inexpressible(at)),
        }
    }
    question.effort = effort(reading, thinking, output)?;
    question.tool_choice = check_choice(Path::ROOT.key("tool_choice"), choice.unwrap_or_default(), &question.tools)?;
    let at = Path::ROOT.key("messages");
    message_blocks::read(reading, at, messages.ok_or_else(|| wrong(at, "is missing"))?, &mut question)?;
    Ok(question)
}

fn temperature<'a>(at: Path<'_>, value: &'a str) -> Result<&'a str> {
    if (0.0..=1.0).contains(&number(at, value)?) { Ok(value) } else { Err(wrong(at, "has to be from 0 to 1")) }
}

fn stop<'a>(at: Path<'_>, value: &'a str) -> Result<Vec<Text<'a>>> {
    let texts = list(at, value)?;
    if texts.len() > MOST_STOPS {
        return Err(cannot(at, format!("has more than {MOST_STOPS} entries, the most that chat completions takes")));
    }
    texts.into_iter().enumerate().map(|(index, value)| text(at.index(index), value)).collect()
}

fn metadata(reading: &mut Reading, at: Path<'_>, value: &str) -> Result<()> {
    for (key, _) in object(at, value)?.fields() {
        match key {
            "user_id" => reading.hint(at.key(key))?,
            _ => return Err(reading.inexpressible(at.key(key))),
        }
    }
    Ok(())
}

/// What is to be forgotten of earlier turns. Their thinking does not go over anyway; tool results do.
fn context_management(reading: &mut Reading, at: Path<'_>, value: &str) -> Result<()> {
    if value == "null" {
        return Ok(());
    }
    for (key, value) in object(at, value)?.fields() {
        let at = at.key(key);
        if key != "edits" {
            return Err(reading.inexpressible(at));
        }
        each_object(at, value, |at, edit| {
            let kind_at = at.key("type");
            let kind = edit.get("type").ok_or_else(|| wrong(kind_at, "is missing"))?;
            if decoded(kind_at, kind)?.starts_with("clear_thinking_") {
                reading.hint(at)
            } else {
                Err(reading.inexpressible(at))
            }
        })?;
    }
    Ok(())
}

fn tools<'a>(reading: &mut Reading, at: Path<'_>, value: &'a str) -> Result<Vec<Tool<'a>>> {
    let (mut tools, mut names) = (Vec::new(), ToolNames::new());
    each_object(at, value, |at, object| {
        let tool = tool(reading, at, &object)?;
        names.add(at.key("name"), &tool)?;
        tools.push(tool);
        Ok(())
    })?;
    Ok(tools)
}

fn tool<'a>(reading: &mut Reading, path: Path<'_>, object: &Object<'a>) -> Result<Tool<'a>> {
    if let Some(kind) = object.get("type") {
        // Other types are tools that Anthropic defines, and runs or has trained its models on.
        reading.only(path.key("type"), kind, &["\"custom\""])?;
    }
    let (mut name, mut schema, mut description, mut strict) = (None, None, None, None);
    for (key, value) in object.fields() {
        let at = path.key(key);
        match key {
            "type" => {}
            "name" => name = Some(super::functions::tool_name(reading.to, at, value)?),
            "description" => description = Some(text(at, value)?),
            "input_schema" => schema = Some(carried(at, value)?),
            "strict" => strict = Some(boolean(at, value)?),
            "cache_control" | "eager_input_streaming" => reading.hint(at)?,
            "allowed_callers" => reading.only(at, value, &["[\"direct\"]"])?,
            "defer_loading" => reading.only(at, value, &["false"])?,
            "input_examples" => reading.only_empty(at, value)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    let name = name.ok_or_else(|| wrong(path.key("name"), "is missing"))?;
    let schema = schema.ok_or_else(|| wrong(path.key("input_schema"), "is missing"))?;
    Ok(Tool { name, description, schema: Some(schema).filter(|schema| !is_empty(schema)), strict })
}

fn tool_choice<'a>(
    reading: &Reading,
    path: Path<'_>,
    value: &'a str,
    one_call_only: &mut bool,
) -> Result<ToolChoice<'a>> {
    let (mut kind, mut name) = (None, None);
    for (key, value) in object(path, value)?.fields() {
        let at = path.key(key);
        match key {
            "type" => kind = Some(decoded(at, value)?),
            "name" => name = Some(decoded(at, value)?),
            "disable_parallel_tool_use" => *one_call_only = boolean(at, value)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    match (kind.as_deref(), name) {
        (Some("auto"), None) => Ok(ToolChoice::Auto),
        (Some("any"), None) => Ok(ToolChoice::Required),
        (Some("none"), None) => Ok(ToolChoice::None),
        (Some("tool"), Some(name)) => Ok(ToolChoice::Tool(name)),
        (Some("tool"), None) => Err(wrong(path.key("name"), "is missing")),
        (Some("auto" | "any" | "none"), Some(_)) => Err(wrong(path.key("name"), "is only for the type `tool`")),
        (Some(_), _) => Err(reading.inexpressible(path.key("type"))),
        (None, _) => Err(wrong(path.key("type"), "is missing")),
    }
}

/// `thinking`.
enum Thinking {
    Unsaid,
    Disabled,
    Adaptive,
    /// With a budget in tokens.
    Enabled(u64),
}

fn thinking(reading: &mut Reading, path: Path<'_>, value: &str) -> Result<Thinking> {
    let (mut kind, mut budget) = (None, None);
    for (key, value) in object(path, value)?.fields() {
        let at = path.key(key);
        match key {
            "type" => kind = Some(decoded(at, value)?),
            "budget_tokens" => budget = Some(count(at, value)?),
            // How the thinking is shown: chat completions has no word for it.
            "display" => reading.hint(at)?,
            _ => return Err(reading.inexpressible(at)),
        }
    }
    let budget_at = path.key("budget_tokens");
    match (kind.as_deref(), budget) {
        (Some("enabled"), Some(budget)) => {
            reading.hint(budget_at)?;
            Ok(Thinking::Enabled(budget))
        }
        (Some("enabled"), None) => Err(wrong(budget_at, "is missing")),
        (Some("adaptive"), None) => Ok(Thinking::Adaptive),
        (Some("disabled"), None) => Ok(Thinking::Disabled),
        (Some("adaptive" | "disabled"), Some(_)) => Err(wrong(budget_at, "is only for the type `enabled`")),
        (Some(_), _) => Err(reading.inexpressible(path.key("type"))),
        (None, _) => Err(wrong(path.key("type"), "is missing")),
    }
}

/// The effort in `output_config`; the format goes into `question`.
fn output_config<'a>(
    reading: &Reading,
    path: Path<'_>,
    value: &'a str,
    question: &mut Question<'a>,
) -> Result<Option<Effort>> {
    let mut effort = None;
    for (key, value) in object(path, value)?.fields() {
        let at = path.key(key);
        match key {
            "effort" => {
                let named = Effort::named(&decoded(at, value)?).filter(|effort| effort.is_anthropic());
                effort = Some(named.ok_or_else(|| reading.inexpressible(at))?);
            }
            "format" => question.format = Some(format(reading, at, value)?),
            _ => return Err(reading.inexpressible(at)),
        }
    }
    Ok(effort)
}

fn format<'a>(reading: &Reading, path: Path<'_>, value: &'a str) -> Result<Format<'a>> {
    let mut schema = None;
    for (key, value) in object(path, value)?.fields() {
        let at = path.key(key);
        match key {
            "type" => reading.only(at, value, &["\"json_schema\""])?,
            "schema" => schema = Some(carried(at, value)?),
            _ => return Err(reading.inexpressible(at)),
        }
    }
    let schema = schema.ok_or_else(|| wrong(path.key("schema"), "is missing"))?;
    Ok(Format::Schema { schema, name: None, description: None, strict: Some(true) })
}

/// How much to think, in OpenAI's words. A budget becomes the effort that comes nearest; an effort that is said outright
/// wins over it.
fn effort(reading: &mut Reading, thinking: Thinking, said: Option<Effort>) -> Result<Option<Effort>> {
    match (thinking, said) {
        // What is not to think has no effort; chat completions servers that never think refuse the word `none`.
        (Thinking::Disabled, Some(_)) => {
            reading.hint(Path::ROOT.key("output_config").key("effort"))?;
            Ok(None)
        }
        (Thinking::Disabled, None) => Ok(None),
        (_, Some(effort)) => Ok(Some(effort)),
        (Thinking::Enabled(budget), None) => Ok(Some(match budget {
            0..4096 => Effort::Low,
            4096..16384 => Effort::Medium,
            _ => Effort::High,
        })),
        (Thinking::Unsaid | Thinking::Adaptive, None) => Ok(None),
    }
}
