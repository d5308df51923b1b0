//! Whether tool calls can be carried out: a tool of the request, with a JSON object that follows the tool's schema.

use serde_json::Value;
use tradewind_core::AnswerView;

use crate::gates::Expected;
use crate::schema::{Mismatch, SchemaCache, parse};
use crate::verdict::{Gate, Verdict};

/// Judges the calls of `answer`; the first one that is wrong is told.
pub(crate) fn judge(expected: &Expected<'_>, answer: &AnswerView<'_>, schemas: &SchemaCache, verdict: &mut Verdict) {
    if answer.tool_calls.is_empty() {
        return;
    }
    if expected.tools.is_empty() {
        verdict.note(Gate::ToolArguments, "the request offers no tools");
        return;
    }
    let count = answer.tool_calls.len();
    let mut note = None;
    for (number, call) in (1..).zip(&answer.tool_calls) {
        let Some(tool) = expected.tools.iter().find(|tool| tool.name == call.name) else {
            if expected.has_other_tools {
                note = note.or(Some("a tool is called that the provider may have"));
                continue;
            }
            verdict.fail(Gate::ToolArguments, format!("call {number} of {count} names no tool of the request"));
            return;
        };
        let result = check(&call.arguments, tool.parameters.as_deref(), schemas);
        match result {
            Ok(()) => {}
            Err(Mismatch::Unjudged(why)) => note = note.or(Some(why)),
            Err(Mismatch::Fails(why)) => {
                verdict.fail(Gate::ToolArguments, format!("the arguments of call {number} of {count}: {why}"));
                return;
            }
        }
    }
    if let Some(why) = note {
        verdict.note(Gate::ToolArguments, why);
    }
}

fn check(arguments: &str, schema: Option<&str>, schemas: &SchemaCache) -> Result<(), Mismatch> {
    // A tool without parameters is called with nothing, or with an empty object; servers differ.
    let value =
        if arguments.trim_ascii().is_empty() { Value::Object(serde_json::Map::new()) } else { parse(arguments)? };
    if !value.is_object() {
        return Err(Mismatch::Fails("is not an object".to_owned()));
    }
    match schema {
        Some(schema) => schemas.get(schema).map_err(Mismatch::Unjudged)?.check(&value),
        None => Ok(()),
    }
}
