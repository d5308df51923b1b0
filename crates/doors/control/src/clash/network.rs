//! `/network/context` and `/network/explain`: what the network looks like, which one it is, and why.
//!
//! Errors of `PUT` are `{"code", "message"}`, and nowhere else.

use http::StatusCode;
use serde::Serialize;
use tradewind_decide::network::{ContextCode, ErrorAnswer, Explanation};
use tradewind_door::Response;
use tradewind_ways::{Origin, PutError, Ways};

use super::answer::{done, json};

/// Takes what a host says of the network. `body` is nothing when it was too large or did not come whole.
pub(crate) fn put(ways: &Ways, body: Option<&[u8]>) -> Response {
    let Some(body) = body else {
        return if ways.has_networks() {
            let message =
                format!("the body is over {} bytes, or has not come whole", tradewind_decide::network::MOST_BYTES);
            refused(ErrorAnswer { code: ContextCode::MalformedBody, message }, StatusCode::BAD_REQUEST)
        } else {
            no_networks()
        };
    };
    match ways.put_context(body) {
        Ok(answer) => json(200, &answer),
        Err(PutError::NoNetworks) => no_networks(),
        Err(PutError::Context(error)) => {
            let status = match error.code {
                ContextCode::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            };
            refused(error.into(), status)
        }
    }
}

fn no_networks() -> Response {
    let message = PutError::NoNetworks.to_string();
    refused(ErrorAnswer { code: ContextCode::InternalError, message }, StatusCode::SERVICE_UNAVAILABLE)
}

fn refused(answer: ErrorAnswer, status: StatusCode) -> Response {
    json(status.as_u16(), &answer)
}

/// What is known of the network, and how each group stands.
pub(crate) fn get(ways: &Ways) -> Response {
    json(200, &ways.context())
}

/// Forgets what is known.
pub(crate) fn delete(ways: &Ways) -> Response {
    ways.delete_context();
    done()
}

/// Why a network fits, and who says what the network looks like; null when nothing is known.
#[derive(Serialize)]
struct Explained {
    origin: Option<&'static str>,
    #[serde(flatten)]
    explanation: Explanation,
}

/// Why a network fits or none does.
pub(crate) fn explain(ways: &Ways) -> Response {
    let (explanation, origin) = match ways.explain_context() {
        Some((explanation, Origin::Pushed)) => (explanation, Some("pushed")),
        Some((explanation, Origin::Sampled)) => (explanation, Some("sampled")),
        None => (Explanation { matched_network: None, networks: Vec::new(), notes: Vec::new() }, None),
    };
    json(200, &Explained { origin, explanation })
}
