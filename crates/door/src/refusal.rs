//! Why a call is not answered, before a door puts it into its own dialect.

use std::borrow::Cow;
use std::time::Duration;

use tradewind_core::{Code, DecisionId, TargetId};

/// A refusal. Every error that a client sees is one of these, rendered by its door.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The public code.
    pub code: Code,
    /// The HTTP status; the code's own unless a provider's is more telling.
    pub status: u16,
    /// What happened and what to do next, for a person.
    pub message: Cow<'static, str>,
    /// The field of the request that is wrong.
    pub field: Option<Cow<'static, str>>,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// The decision, when one was made.
    pub decision: Option<DecisionId>,
    /// The last target that was tried.
    pub target: Option<TargetId>,
    /// Whether the connection must be closed, because the rest of the request was not read.
    pub close: bool,
}

impl Refusal {
    /// A refusal with `code`'s own status.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            status: code.status(),
            message: message.into(),
            field: None,
            retry_after: None,
            decision: None,
            target: None,
            close: false,
        }
    }

    /// The same, naming the field that is wrong.
    #[must_use]
    pub fn in_field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, with the connection closed after it.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }
}
