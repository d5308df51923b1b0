//! Writes a question as a request for chat completions.

use super::json::Text;
use super::media::Image;
use super::question::{
    Call, CallIndex, CallResult, Content, ERROR_LINE, Format, Part, Question, Tool, ToolChoice, Turn,
};
use super::write::Out;
use crate::wire::TokenLimit;

/// What chat completions takes for a tool without parameters, and messages demands.
pub(super) const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// What a tool message says whose result is nothing but images and documents.
const SHOWN_BELOW: Text<'static> = Text("The result is in the next message.");

/// The name of the answer's format, which chat completions demands and messages does not have.
const FORMAT_NAME: Text<'static> = Text("output");

pub(super) fn write(out: &mut Out, question: &Question<'_>, limit: TokenLimit) {
    out.raw(r#"{"model":"#);
    out.model(question.model.unwrap_or(Text("")));
    out.raw(r#","messages":"#);
    messages(out, question);
    if let Some(tokens) = question.max_tokens {
        out.raw(match limit {
            TokenLimit::MaxTokens => r#","max_tokens":"#,
            TokenLimit::MaxCompletionTokens => r#","max_completion_tokens":"#,
        });
        out.number(tokens);
    }
    for (field, value) in [(r#","temperature":"#, question.temperature), (r#","top_p":"#, question.top_p)] {
        if let Some(value) = value {
            out.raw(field);
            out.raw(value);
        }
    }
    if !question.stop.is_empty() {
        out.raw(r#","stop":"#);
        out.list(&question.stop, |out, text| out.text(*text));
    }
    if let Some(effort) = question.effort {
        out.raw(r#","reasoning_effort":"#);
        out.string(effort.name());
    }
    if let Some(verbosity) = question.verbosity {
        out.raw(r#","verbosity":"#);
        out.text(verbosity);
    }
    if let Some(format) = &question.format {
        out.raw(r#","response_format":"#);
        self::format(out, format);
    }
    if !question.tools.is_empty() {
        out.raw(r#","tools":"#);
        out.list(&question.tools, tool);
        tool_choice(out, &question.tool_choice);
        if question.one_call_only {
            out.raw(r#","parallel_tool_calls":false"#);
        }
    }
    if question.stream {
        // Without it there is no usage at the end, which every other wire has.
        out.raw(r#","stream":true,"stream_options":{"include_usage":true}"#);
    }
    out.raw("}");
}

fn messages(out: &mut Out, question: &Question<'_>) {
    // One message for each text, and one or several for each turn: the comma stands before all but the first.
    let mut first = true;
    let mut begin = |out: &mut Out, role: &str| {
        out.raw(if std::mem::take(&mut first) { "[" } else { "," });
        out.raw(role);
    };
    if !question.system.is_empty() {
        begin(out, r#"{"role":"system","content":"#);
        texts(out, &question.system);
        out.raw("}");
    }
    for turn in &question.turns {
        match turn {
            Turn::System(said) if said.is_empty() => {}
            Turn::System(said) => {
                begin(out, r#"{"role":"system","content":"#);
                texts(out, said);
                out.raw("}");
            }
            Turn::User(content) => {
                begin(out, r#"{"role":"user","content":"#);
                self::content(out, content);
                out.raw("}");
            }
            Turn::Assistant(content) => {
                begin(out, r#"{"role":"assistant","content":"#);
                assistant(out, content, question);
                out.raw("}");
            }
            Turn::Results { results, after } => {
                for result in results {
                    begin(out, r#"{"role":"tool","tool_call_id":"#);
                    self::result(out, result, question);
                    out.raw("}");
                }
                let shown = || results.iter().flat_map(shown);
                if shown().next().is_some() {
                    begin(out, r#"{"role":"user","content":["#);
                    for (index, (call, image)) in shown().enumerate() {
                        out.raw(if index > 0 { "," } else { "" });
                        out.raw(r#"{"type":"text","text":"#);
                        out.string(&format!("From the result of the tool call {}:", question.call_ids[call.0]));
                        out.raw("},");
                        part(out, image);
                    }
                    for said in after {
                        out.raw(",");
                        part(out, said);
                    }
                    out.raw("]}");
                } else if !after.is_empty() {
                    begin(out, r#"{"role":"user","content":"#);
                    parts(out, after);
                    out.raw("}");
                }
            }
        }
    }
    out.raw("]");
}

fn content(out: &mut Out, content: &Content<'_>) {
    match content {
        Content::Plain(text) => out.text(*text),
        Content::Parts(said) => parts(out, said),
    }
}

/// A single text is not put into a list: many servers take nothing but a text.
fn parts(out: &mut Out, said: &[Part<'_>]) {
    match said {
        [Part::Text(text)] => out.text(*text),
        said => out.list(said, part),
    }
}

fn texts(out: &mut Out, said: &[Text<'_>]) {
    match said {
        [text] => out.text(*text),
        said => out.list(said, |out, text| part(out, &Part::Text(*text))),
    }
}

/// What a result shows: a tool message takes nothing but text.
fn shown<'q, 'a>(result: &'q CallResult<'a>) -> impl Iterator<Item = (CallIndex, &'q Part<'a>)> {
    let parts = match &result.content {
        Content::Plain(_) => &[],
        Content::Parts(parts) => parts.as_slice(),
    };
    parts.iter().filter(|part| matches!(part, Part::Image(_) | Part::Pdf { .. })).map(|part| (result.call, part))
}

fn part(out: &mut Out, part: &Part<'_>) {
    match part {
        Part::Text(text) => {
            out.raw(r#"{"type":"text","text":"#);
            out.text(*text);
            out.raw("}");
        }
        Part::Image(image) => {
            out.raw(r#"{"type":"image_url","image_url":{"url":"#);
            match image {
                Image::Url(url) => out.text(*url),
                Image::Base64 { media_type, data } => data_url(out, media_type, data),
            }
            out.raw("}}");
        }
        Part::Pdf { title, data } => {
            out.raw(r#"{"type":"file","file":{"#);
            if let Some(title) = title {
                out.raw(r#""filename":"#);
                out.text(*title);
                out.raw(",");
            }
            out.raw(r#""file_data":"#);
            data_url(out, "application/pdf", data);
            out.raw("}}");
        }
        // Calls have a field of their own, and no reader of another wire hands thinking over.
        Part::Call(_) | Part::Thinking { .. } | Part::RedactedThinking { .. } => {}
    }
}

/// Base64 has no characters that JSON would escape; it was checked.
fn data_url(out: &mut Out, media_type: &str, data: &str) {
    for piece in ["\"data:", media_type, ";base64,", data, "\""] {
        out.raw(piece);
    }
}

fn assistant(out: &mut Out, content: &Content<'_>, question: &Question<'_>) {
    let parts = match content {
        Content::Plain(text) => return out.text(*text),
        Content::Parts(parts) => parts,
    };
    let calls: Vec<&Call<'_>> =
        parts.iter().filter_map(|part| if let Part::Call(call) = part { Some(call) } else { None }).collect();
    let texts = &parts[..parts.len() - calls.len()];
    match texts {
        [] => out.raw("null"),
        texts => self::parts(out, texts),
    }
    if !calls.is_empty() {
        out.raw(r#","tool_calls":"#);
        out.list(calls, |out, call| {
            out.raw(r#"{"id":"#);
            out.string(&question.call_ids[call.id.0]);
            out.raw(r#","type":"function","function":{"name":"#);
            out.string(&call.name);
            out.raw(r#","arguments":"#);
            out.string(&call.input);
            out.raw("}}");
        });
    }
}

fn result(out: &mut Out, result: &CallResult<'_>, question: &Question<'_>) {
    out.string(&question.call_ids[result.call.0]);
    out.raw(r#","content":"#);
    let line = if result.is_error { ERROR_LINE } else { "" };
    let parts = match &result.content {
        Content::Plain(text) => return error_text(out, line, *text),
        Content::Parts(parts) => parts,
    };
    let mut texts = parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(*text) } else { None });
    match (texts.next(), texts.next()) {
        (None, _) => error_text(out, line, if parts.is_empty() { Text("") } else { SHOWN_BELOW }),
        (Some(text), None) => error_text(out, line, text),
        (Some(first), Some(second)) => {
            out.raw(r#"[{"type":"text","text":"#);
            error_text(out, line, first);
            out.raw("}");
            for other in std::iter::once(second).chain(texts) {
                out.raw(",");
                part(out, &Part::Text(other));
            }
            out.raw("]");
        }
    }
}

/// `text` behind the line that says whether it is a failure.
fn error_text(out: &mut Out, line: &str, text: Text<'_>) {
    for piece in ["\"", line, text.0, "\""] {
        out.raw(piece);
    }
}

fn tool(out: &mut Out, tool: &Tool<'_>) {
    out.raw(r#"{"type":"function","function":{"name":"#);
    out.string(&tool.name);
    if let Some(description) = tool.description {
        out.raw(r#","description":"#);
        out.text(description);
    }
    out.raw(r#","parameters":"#);
    out.raw(tool.schema.unwrap_or(NO_PARAMETERS));
    if let Some(strict) = tool.strict {
        out.raw(if strict { r#","strict":true"# } else { r#","strict":false"# });
    }
    out.raw("}}");
}

fn tool_choice(out: &mut Out, choice: &ToolChoice<'_>) {
    match choice {
        ToolChoice::Auto => {}
        ToolChoice::None => out.raw(r#","tool_choice":"none""#),
        ToolChoice::Required => out.raw(r#","tool_choice":"required""#),
        ToolChoice::Tool(name) => {
            out.raw(r#","tool_choice":{"type":"function","function":{"name":"#);
            out.string(name);
            out.raw("}}");
        }
    }
}

fn format(out: &mut Out, format: &Format<'_>) {
    let Format::Schema { schema, name, description, strict } = format else {
        return out.raw(r#"{"type":"json_object"}"#);
    };
    out.raw(r#"{"type":"json_schema","json_schema":{"name":"#);
    out.text(name.unwrap_or(FORMAT_NAME));
    if let Some(description) = description {
        out.raw(r#","description":"#);
        out.text(*description);
    }
    if let Some(strict) = strict {
        out.raw(if *strict { r#","strict":true"# } else { r#","strict":false"# });
    }
    out.raw(r#","schema":"#);
    out.raw(schema);
    out.raw("}}");
}
