//! Writes a question as a request for Anthropic messages.

use super::json::Text;
use super::media::Image;
use super::question::{CallResult, Content, Effort, Format, Part, Question, Tool, ToolChoice, Turn};
use super::write::Out;
use super::write_chat::NO_PARAMETERS;

/// `most` is the limit of an answer whose caller has set none; messages demands one.
pub(super) fn write(out: &mut Out, question: &Question<'_>, most: u32) {
    out.raw(r#"{"model":"#);
    out.model(question.model.unwrap_or(Text("")));
    out.raw(r#","max_tokens":"#);
    out.number(question.max_tokens.unwrap_or_else(|| u64::from(most)));
    match question.system.as_slice() {
        [] => {}
        [text] => {
            out.raw(r#","system":"#);
            out.text(*text);
        }
        texts => {
            out.raw(r#","system":"#);
            out.list(texts, |out, text| self::text(out, *text));
        }
    }
    out.raw(r#","messages":"#);
    out.list(&question.turns, |out, turn| self::turn(out, turn, question));
    for (field, value) in [(r#","temperature":"#, question.temperature), (r#","top_p":"#, question.top_p)] {
        if let Some(value) = value {
            out.raw(field);
            out.raw(value);
        }
    }
    if !question.stop.is_empty() {
        out.raw(r#","stop_sequences":"#);
        out.list(&question.stop, |out, text| out.text(*text));
    }
    thinking_and_output(out, question);
    if !question.tools.is_empty() {
        out.raw(r#","tools":"#);
        out.list(&question.tools, tool);
        tool_choice(out, &question.tool_choice, question.one_call_only);
    }
    if question.stream {
        out.raw(r#","stream":true"#);
    }
    out.raw("}");
}

fn turn(out: &mut Out, turn: &Turn<'_>, question: &Question<'_>) {
    match turn {
        Turn::User(content) => {
            out.raw(r#"{"role":"user","content":"#);
            self::content(out, content, question);
        }
        Turn::Assistant(content) => {
            out.raw(r#"{"role":"assistant","content":"#);
            self::content(out, content, question);
        }
        // No reader hands such a turn over for this wire.
        Turn::System(texts) => {
            out.raw(r#"{"role":"system","content":"#);
            out.list(texts, |out, text| self::text(out, *text));
        }
        Turn::Results { results, after } => {
            out.raw(r#"{"role":"user","content":["#);
            for (index, result) in results.iter().enumerate() {
                if index > 0 {
                    out.raw(",");
                }
                self::result(out, result, question);
            }
            for part in after {
                out.raw(",");
                self::part(out, part, question);
            }
            out.raw("]");
        }
    }
    out.raw("}");
}

fn content(out: &mut Out, content: &Content<'_>, question: &Question<'_>) {
    match content {
        Content::Plain(text) => out.text(*text),
        Content::Parts(parts) => out.list(parts, |out, part| self::part(out, part, question)),
    }
}

fn text(out: &mut Out, text: Text<'_>) {
    out.raw(r#"{"type":"text","text":"#);
    out.text(text);
    out.raw("}");
}

fn part(out: &mut Out, part: &Part<'_>, question: &Question<'_>) {
    match part {
        Part::Text(text) => return self::text(out, *text),
        Part::Image(Image::Url(url)) => {
            out.raw(r#"{"type":"image","source":{"type":"url","url":"#);
            out.text(*url);
            out.raw("}");
        }
        Part::Image(Image::Base64 { media_type, data }) => {
            out.raw(r#"{"type":"image","source":"#);
            base64(out, media_type, data);
        }
        Part::Pdf { title, data } => {
            out.raw(r#"{"type":"document","source":"#);
            base64(out, "application/pdf", data);
            if let Some(title) = title {
                out.raw(r#","title":"#);
                out.text(*title);
            }
        }
        Part::Thinking { thinking, signature } => {
            out.raw(r#"{"type":"thinking","thinking":"#);
            out.text(*thinking);
            out.raw(r#","signature":"#);
            out.text(*signature);
        }
        Part::RedactedThinking { data } => {
            out.raw(r#"{"type":"redacted_thinking","data":"#);
            out.text(*data);
        }
        Part::Call(call) => {
            out.raw(r#"{"type":"tool_use","id":"#);
            out.string(&question.call_ids[call.id.0]);
            out.raw(r#","name":"#);
            out.string(&call.name);
            out.raw(r#","input":"#);
            out.raw(&call.input);
        }
    }
    out.raw("}");
}

/// Base64 has no characters that JSON would escape; it was checked.
fn base64(out: &mut Out, media_type: &str, data: &str) {
    for piece in [r#"{"type":"base64","media_type":""#, media_type, r#"","data":""#, data, r#""}"#] {
        out.raw(piece);
    }
}

fn result(out: &mut Out, result: &CallResult<'_>, question: &Question<'_>) {
    out.raw(r#"{"type":"tool_result","tool_use_id":"#);
    out.string(&question.call_ids[result.call.0]);
    out.raw(r#","content":"#);
    content(out, &result.content, question);
    out.raw(if result.is_error { r#","is_error":true}"# } else { "}" });
}

fn tool(out: &mut Out, tool: &Tool<'_>) {
    out.raw(r#"{"name":"#);
    out.string(&tool.name);
    if let Some(description) = tool.description {
        out.raw(r#","description":"#);
        out.text(description);
    }
    out.raw(r#","input_schema":"#);
    out.raw(tool.schema.unwrap_or(NO_PARAMETERS));
    if let Some(strict) = tool.strict {
        out.raw(if strict { r#","strict":true"# } else { r#","strict":false"# });
    }
    out.raw("}");
}

fn tool_choice(out: &mut Out, choice: &ToolChoice<'_>, one_call_only: bool) {
    let kind = match choice {
        ToolChoice::Auto if !one_call_only => return,
        ToolChoice::Auto => "auto",
        ToolChoice::None => return out.raw(r#","tool_choice":{"type":"none"}"#),
        ToolChoice::Required => "any",
        ToolChoice::Tool(_) => "tool",
    };
    for piece in [r#","tool_choice":{"type":""#, kind, "\""] {
        out.raw(piece);
    }
    if let ToolChoice::Tool(name) = choice {
        out.raw(r#","name":"#);
        out.string(name);
    }
    out.raw(if one_call_only { r#","disable_parallel_tool_use":true}"# } else { "}" });
}

fn thinking_and_output(out: &mut Out, question: &Question<'_>) {
    let effort = question.effort.filter(|effort| effort.is_anthropic());
    match question.effort {
        Some(Effort::None) => out.raw(r#","thinking":{"type":"disabled"}"#),
        Some(_) => out.raw(r#","thinking":{"type":"adaptive"}"#),
        None => {}
    }
    let schema = match &question.format {
        Some(Format::Schema { schema, .. }) => Some(schema),
        Some(Format::JsonObject) | None => None,
    };
    if effort.is_none() && schema.is_none() {
        return;
    }
    out.raw(r#","output_config":{"#);
    if let Some(effort) = effort {
        out.raw(r#""effort":"#);
        out.string(effort.name());
    }
    if let Some(schema) = schema {
        out.raw(if effort.is_some() { "," } else { "" });
        out.raw(r#""format":{"type":"json_schema","schema":"#);
        out.raw(schema);
        out.raw("}");
    }
    out.raw("}");
}
