//! Requests, from one wire format into another: a reader for each format that callers speak, a writer for each that
//! providers do, and between them the neutral form in `question`.
//!
//! A reader knows for which wire it reads, and refuses what that one cannot express; a writer then cannot fail. What came
//! is never parsed into values and printed again: texts, numbers, schemas and arguments are carried over as bytes.

mod calls;
mod chat_messages;
mod conversation;
mod functions;
mod json;
mod media;
mod message_blocks;
mod path;
mod question;
mod read_chat;
mod read_messages;
mod read_responses;
mod reading;
mod response_items;
mod unsigned;
mod view;
mod write;
mod write_chat;
mod write_messages;

use bytes::Bytes;

pub use self::unsigned::without_unsigned_thinking;
pub use self::view::view_request;

use self::json::Object;
use self::path::Path;
use self::reading::{Reading, cannot, decoded, flawed, wrong};
use self::write::Out;
use crate::wire::{Obstacle, RequestOptions, TranslatedRequest, Wire};

/// Puts a request into another wire format.
///
/// There are translations from chat completions and responses to messages, and from messages and responses to chat
/// completions. Within one format the body stays as it is; `model` is looked for, and nothing may be there twice. A request whose tokens are to be
/// counted (messages without `max_tokens`) is a request like any other.
///
/// # Errors
/// When a field of the request is wrong, or the other format cannot express it. The obstacle names the first such field; it
/// is empty when the request as a whole is meant.
pub fn translate_request(
    from: Wire,
    to: Wire,
    body: &[u8],
    options: &RequestOptions,
) -> Result<TranslatedRequest, Obstacle> {
    let object: Object<'_> = serde_json::from_slice(body).map_err(|error| not_an_object(&error))?;
    if let Some(flaw) = &object.flaw {
        return Err(flawed(Path::ROOT, flaw));
    }
    let model_at = Path::ROOT.key("model");
    let model = object.get("model").ok_or_else(|| wrong(model_at, "is missing"))?;
    if decoded(model_at, model)?.is_empty() {
        return Err(wrong(model_at, "is empty"));
    }
    if from == to {
        let start = model.as_ptr() as usize - body.as_ptr() as usize;
        let body = Bytes::copy_from_slice(body);
        return Ok(TranslatedRequest { body, model_at: start..start + model.len(), dropped: Vec::new() });
    }
    let mut reading = Reading::new(to, options.strict);
    let question = match (from, to) {
        (Wire::Chat, Wire::Messages) => read_chat::read(&mut reading, &object)?,
        (Wire::Messages, Wire::Chat) => read_messages::read(&mut reading, &object)?,
        (Wire::Responses, Wire::Chat | Wire::Messages) => read_responses::read(&mut reading, &object)?,
        (_, Wire::Responses) | (Wire::Chat, Wire::Chat) | (Wire::Messages, Wire::Messages) => {
            return Err(cannot(Path::ROOT, "requests are not translated into the responses format"));
        }
    };
    // The same content is about as long in any format; what is longer grows the buffer once.
    let mut out = Out::with_capacity(body.len() + body.len() / 8 + 256);
    match to {
        Wire::Messages => write_messages::write(&mut out, &question, options.max_tokens),
        Wire::Chat | Wire::Responses => write_chat::write(&mut out, &question, options.token_limit),
    }
    let (body, model_at) = out.finish();
    Ok(TranslatedRequest { body, model_at, dropped: reading.dropped })
}

/// What is wrong with a body that is no JSON object, without any of its text.
fn not_an_object(error: &serde_json::Error) -> Obstacle {
    if error.is_data() {
        return wrong(Path::ROOT, "has to be one JSON object");
    }
    wrong(Path::ROOT, format!("is not valid JSON at line {} column {}", error.line(), error.column()))
}
