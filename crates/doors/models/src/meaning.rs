//! What one event of a stream means for its relay, whatever the dialect.

/// The meaning of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Belongs to the answer but says nothing yet: the answer has not begun, and another target may still give it.
    Preamble,
    /// A part of the answer.
    Content,
    /// The token counts and nothing else.
    Usage,
    /// The dialect's own end of the stream.
    End,
    /// Not to be passed on: it was there before.
    Duplicate,
}
