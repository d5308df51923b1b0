//! What could not be done, as a refusal with its public code; and how a refusal looks.
//!
//! One form for all of them: JSON with `code`, `message` and, where one is to blame, `field`. Where the operating system or a
//! server has words of its own, they go into the decision record and not to the caller: a message must not tell where the
//! store lies.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderValue;
use http::header::{ALLOW, CONNECTION, RETRY_AFTER};
use serde_json::json;
use tradewind_core::Code;
use tradewind_door::{Refusal, Response, json_response};
use tradewind_store::{NameError, StateError, TokenRefusal};

use crate::route;

/// When it is worth trying again what could not be done just now.
const AGAIN: Duration = Duration::from_secs(1);

/// The public code of an error.
pub(crate) const fn code(error: &StateError) -> Code {
    match error {
        StateError::NotFound => Code::StateMissing,
        StateError::Gone => Code::StateGone,
        StateError::Lost { .. } => Code::StateLost,
        StateError::Fenced { .. } => Code::StateFenced,
        StateError::TooLarge { .. } => Code::StateTooLarge,
        StateError::OtherSchema { .. } => Code::StateSchema,
        StateError::Name(_) => Code::StateName,
        StateError::Meta(_) => Code::BadHeader,
        StateError::NotJson(_) => Code::MalformedJson,
        StateError::BadPatch(_) => Code::StateBadPatch,
        StateError::Token(TokenRefusal::Forged) => Code::HandoffForged,
        // Either way the token is not of this minute, and another one is asked for; the message says which it is.
        StateError::Token(TokenRefusal::Early | TokenRefusal::Late) => Code::HandoffLate,
        StateError::Token(TokenRefusal::Redeemed) => Code::HandoffRedeemed,
        StateError::Token(TokenRefusal::Replayed) => Code::HandoffReplayed,
        StateError::Token(TokenRefusal::Stale) => Code::HandoffStale,
        StateError::CursorGone => Code::StateWatchGone,
        StateError::Damaged { .. } => Code::StateDamaged,
        StateError::NoKey(_) => Code::StateSealed,
        StateError::Unknown(_) => Code::StateUnknown,
        StateError::Unavailable(_) => Code::StateUnavailable,
        StateError::Full(_) => Code::StateFull,
        StateError::Busy => Code::StateBusy,
    }
}

/// What a caller is told of an error.
pub(crate) fn refusal(error: &StateError) -> Refusal {
    let code = code(error);
    let message: Cow<'static, str> = match error {
        StateError::Damaged { .. } => {
            "what is stored is not what was written, and is not given; `tradewind state check` says what else is damaged"
                .into()
        }
        StateError::NoKey(_) => "the value is sealed with a key that this gateway does not have".into(),
        StateError::Unknown(_) => {
            "no answer came after the write was sent: it may have happened, or may yet; read the state before you write again"
                .into()
        }
        StateError::Unavailable(_) => "the store cannot be used now; a write has not happened".into(),
        StateError::Full(_) => "the store is full; nothing was written, and reads go on".into(),
        StateError::Busy => "too much waits to be written; nothing of this was".into(),
        StateError::Lost { head: Some(head) } => {
            format!("{error}: it is revision {} now", head.rev).into()
        }
        StateError::Lost { head: None } => format!("{error}: there is no value now").into(),
        error => error.to_string().into(),
    };
    let mut refusal = Refusal::new(code, message);
    if matches!(error, StateError::Unavailable(_) | StateError::Busy) {
        refusal.retry_after = Some(AGAIN);
    }
    refusal
}

/// What the administrator finds in the record where the caller is told less.
pub(crate) fn detail(error: &StateError) -> String {
    error.to_string()
}

/// Whether the store is to blame, and not what was asked of it.
pub(crate) const fn is_of_store(error: &StateError) -> bool {
    matches!(
        error,
        StateError::Damaged { .. }
            | StateError::NoKey(_)
            | StateError::Unknown(_)
            | StateError::Unavailable(_)
            | StateError::Full(_)
            | StateError::Busy
    )
}

/// A name that cannot be one.
pub(crate) fn bad_name(field: &'static str, error: &NameError) -> Refusal {
    Refusal::new(Code::StateName, error.to_string()).in_field(field)
}

/// A refusal as a response.
pub(crate) fn rendered(refusal: &Refusal, path: &str) -> Response {
    let error = json!({"code": refusal.code.name(), "message": refusal.message, "field": refusal.field});
    let mut response = json_response(refusal.status, json!({ "error": error }).to_string());
    let headers = response.headers_mut();
    if let Some(after) = refusal.retry_after {
        headers.insert(RETRY_AFTER, after.as_secs().max(1).into());
    }
    if refusal.code == Code::MethodNotAllowed
        && let Some(methods) = route::allowed(path)
        && let Ok(methods) = HeaderValue::try_from(methods)
    {
        headers.insert(ALLOW, methods);
    }
    if refusal.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
