//! The neutral form of a request: what both sides mean, in neither's words. Texts, schemas and numbers are the caller's
//! bytes.

use std::borrow::Cow;

use super::json::Text;
use super::media::Image;

/// A request for one answer.
#[derive(Default)]
pub(super) struct Question<'a> {
    pub(super) model: Option<Text<'a>>,
    pub(super) system: Vec<Text<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
    /// The id of each tool call, as it is to be written.
    pub(super) call_ids: Vec<Cow<'a, str>>,
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) tool_choice: ToolChoice<'a>,
    /// Whether the model may call at most one tool in an answer.
    pub(super) one_call_only: bool,
    pub(super) max_tokens: Option<u64>,
    /// A number, as it was written.
    pub(super) temperature: Option<&'a str>,
    /// A number, as it was written.
    pub(super) top_p: Option<&'a str>,
    pub(super) stop: Vec<Text<'a>>,
    pub(super) stream: bool,
    pub(super) format: Option<Format<'a>>,
    pub(super) effort: Option<Effort>,
    pub(super) verbosity: Option<Text<'a>>,
}

/// A message, or several that belong together.
pub(super) enum Turn<'a> {
    /// Instructions in the middle of a conversation; only for chat completions.
    System(Vec<Text<'a>>),
    User(Content<'a>),
    Assistant(Content<'a>),
    /// Results of tool calls, and what the user says after them.
    Results {
        results: Vec<CallResult<'a>>,
        after: Vec<Part<'a>>,
    },
}

/// What is said: one text, or parts. Which of the two is kept, since either means the same on both wires.
pub(super) enum Content<'a> {
    Plain(Text<'a>),
    Parts(Vec<Part<'a>>),
}

/// A part of what is said.
pub(super) enum Part<'a> {
    Text(Text<'a>),
    Image(Image<'a>),
    Pdf { title: Option<Text<'a>>, data: Cow<'a, str> },
    Thinking { thinking: Text<'a>, signature: Text<'a> },
    RedactedThinking { data: Text<'a> },
    Call(Call<'a>),
}

/// Which call of the request: an index into `call_ids`.
#[derive(Clone, Copy)]
pub(super) struct CallIndex(pub(super) usize);

/// A tool call of an earlier answer.
pub(super) struct Call<'a> {
    pub(super) id: CallIndex,
    pub(super) name: Cow<'a, str>,
    /// A JSON object, byte for byte as the model wrote it.
    pub(super) input: Cow<'a, str>,
}

/// What came of a tool call.
pub(super) struct CallResult<'a> {
    pub(super) call: CallIndex,
    pub(super) content: Content<'a>,
    pub(super) is_error: bool,
}

/// A tool that the caller runs.
pub(super) struct Tool<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) description: Option<Text<'a>>,
    /// A JSON Schema; `None` for a tool without parameters.
    pub(super) schema: Option<&'a str>,
    pub(super) strict: Option<bool>,
}

#[derive(Default)]
pub(super) enum ToolChoice<'a> {
    #[default]
    Auto,
    None,
    Required,
    Tool(Cow<'a, str>),
}

/// The shape that the answer has to have.
pub(super) enum Format<'a> {
    JsonObject,
    Schema { schema: &'a str, name: Option<Text<'a>>, description: Option<Text<'a>>, strict: Option<bool> },
}

/// How much the model is to think.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    const ALL: [Self; 7] = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Whether Anthropic has a word for it.
    pub(super) const fn is_anthropic(self) -> bool {
        !matches!(self, Self::None | Self::Minimal)
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.name() == name)
    }
}

/// The line that a failed tool's result begins with on wires that have no word for failure, as JSON text.
pub(super) const ERROR_LINE: &str = "[tool error]\\n";
