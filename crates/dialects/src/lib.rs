//! The wire formats of model APIs (OpenAI chat completions, OpenAI responses, Anthropic messages) and the translation
//! between them: requests, whole answers, streams and errors; and what each of them says in words that no format owns, for
//! those who judge answers ([`view_answer`], [`view_request`], [`StreamView`]). Pure: bytes in, bytes out.
//!
//! Each format is read into one neutral form and written from it. What a format cannot express is an [`Obstacle`] that
//! names the field; nothing is left out silently. `docs/translation.md` has the tables.

mod answer;
mod error_body;
mod request;
mod stream;
mod wire;

pub use answer::{AnswerContext, Untranslatable, translate_answer, view_answer};
pub use error_body::translate_error;
pub use request::{translate_request, view_request, without_unsigned_thinking};
pub use stream::{CallNumbers, StreamTranslator, StreamView};
pub use wire::{Obstacle, RequestOptions, TokenLimit, TranslatedRequest, Wire};
