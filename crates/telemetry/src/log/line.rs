//! What a line says.

use tradewind_core::{Code, Dialect, FaultKind, TargetId, UnixMillis};

use super::LogFormat;
use crate::json::Renderer;
use crate::record::{Outcome, Record};
use crate::trace::{as_text, hex};

/// The longest text of a field, in bytes.
const TEXT_BYTES: usize = 200;
/// Buffers larger than this are given back.
const KEPT_BYTES: usize = 64 << 10;

/// Renders lines into one buffer.
pub(super) struct Lines {
    format: LogFormat,
    renderer: Renderer,
}

/// A field's value.
enum Field<'a> {
    Text(&'a str),
    Integer(u64),
    Millis(std::time::Duration),
    Bool(bool),
    Dollars(tradewind_core::Usd),
}

impl Lines {
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format, renderer: Renderer::default() }
    }

    /// What was rendered since the last [`Lines::clear`].
    pub(super) fn text(&self) -> &[u8] {
        &self.renderer.lines
    }

    pub(super) fn clear(&mut self) {
        self.renderer.lines.clear();
        self.renderer.lines.shrink_to(KEPT_BYTES);
    }

    /// Adds the line of a call.
    pub(super) fn call(&mut self, record: &Record) {
        self.begin(record.at, level(record), "call");
        let trace = record.trace.as_ref();
        let (id, span) = (trace.map(|trace| hex(&trace.id)), trace.map(|trace| hex(&trace.span)));
        let usage = record.usage;
        let tokens = |tokens: fn(&tradewind_core::Usage) -> u64| usage.as_ref().map(tokens).map(Field::Integer);
        let decision = record.id.letters();
        let fields = [
            ("outcome", text(Some(record.outcome.name()))),
            ("status", Some(Field::Integer(u64::from(record.status)))),
            ("door", text(Some(record.door))),
            ("operation", text(Some(record.operation))),
            ("dialect", text(record.dialect.map(Dialect::name))),
            ("stream", Some(Field::Bool(record.stream))),
            ("key", text(record.key.as_deref())),
            ("tenant", text(record.tenant.as_deref())),
            // What only the caller wrote may be anything: a name that nobody knows is not repeated.
            ("model", text(record.resolved.as_deref())),
            ("target", text(record.chosen.as_ref().map(TargetId::as_str))),
            ("translated", text(record.translated)),
            ("attempts", Some(Field::Integer(record.attempts.len() as u64))),
            ("code", text(record.public_code().map(Code::name))),
            ("fault", text(record.fault.map(FaultKind::name))),
            ("elapsed_ms", Some(Field::Millis(record.elapsed))),
            ("first_byte_ms", record.first_byte.map(Field::Millis)),
            ("overhead_ms", record.overhead.map(Field::Millis)),
            ("input", tokens(|usage| usage.input)),
            ("output", tokens(|usage| usage.output)),
            ("cached", tokens(|usage| usage.cached)),
            ("reasoning", tokens(|usage| usage.reasoning)),
            ("estimated", usage.map(|usage| Field::Bool(usage.estimated))),
            ("cost_usd", record.cost.map(Field::Dollars)),
            ("finish", text(record.finish.as_deref())),
            ("decision", Some(Field::Text(std::str::from_utf8(&decision).expect("the alphabet is ASCII")))),
            ("trace_id", id.as_ref().map(|id| Field::Text(as_text(id)))),
            ("span_id", span.as_ref().map(|span| Field::Text(as_text(span)))),
        ];
        for (name, field) in fields {
            if let Some(field) = field {
                self.field(name, &field);
            }
        }
        self.end();
    }

    /// Adds a line that says that `lines` lines are missing.
    pub(super) fn dropped(&mut self, lines: u64, at: UnixMillis) {
        self.begin(at, "warn", "lines dropped");
        self.field("dropped", &Field::Integer(lines));
        self.end();
    }

    fn begin(&mut self, at: UnixMillis, level: &str, message: &str) {
        match self.format {
            LogFormat::Json => {
                self.renderer.raw("{");
                self.renderer.at(at);
                self.renderer.text(r#","level":"#, level);
                self.renderer.text(r#","message":"#, message);
            }
            LogFormat::Text => {
                self.renderer.raw(&at.rfc3339());
                for part in [" ", level, " ", message] {
                    self.renderer.raw(part);
                }
            }
        }
    }

    fn field(&mut self, name: &str, field: &Field<'_>) {
        let json = self.format == LogFormat::Json;
        for part in if json { [",\"", name, "\":"] } else { [" ", name, "="] } {
            self.renderer.raw(part);
        }
        match field {
            Field::Text(text) if !json && is_plain(text) => self.renderer.raw(text),
            Field::Text(text) => self.renderer.text("", text),
            Field::Integer(number) => self.renderer.integer("", *number),
            Field::Millis(duration) => self.renderer.millis("", Some(*duration)),
            Field::Bool(truth) => self.renderer.raw(if *truth { "true" } else { "false" }),
            Field::Dollars(cost) => self.renderer.dollars(*cost),
        }
    }

    fn end(&mut self) {
        self.renderer.raw(if self.format == LogFormat::Json { "}\n" } else { "\n" });
    }
}

fn text(text: Option<&str>) -> Option<Field<'_>> {
    text.map(|text| Field::Text(&text[..text.floor_char_boundary(TEXT_BYTES)]))
}

/// Whether `text` needs no quotation marks to be one value.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

fn level(record: &Record) -> &'static str {
    match record.outcome {
        Outcome::Ok | Outcome::ClientGone | Outcome::Cancelled => "info",
        Outcome::Rejected | Outcome::LastResort => "warn",
        Outcome::Failed | Outcome::Partial => "error",
    }
}
