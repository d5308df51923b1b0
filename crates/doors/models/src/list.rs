//! `GET /v1/models` and `/v1/models/ID`, in the shape that the caller's dialect has.

use http::request;
use serde_json::{Value, json};
use tradewind_access::Grant;
use tradewind_core::{Code, Dialect, TargetId, percent_decoded};
use tradewind_door::{Refusal, Response, json_response};

use crate::failure::render;
use crate::snapshot::{Snapshot, resource};

/// The dialect of a caller that has sent no body to tell it by.
pub(crate) fn dialect_of(head: &request::Parts) -> Dialect {
    if head.headers.contains_key("anthropic-version") { Dialect::Anthropic } else { Dialect::OpenAi }
}

/// Answers `GET /v1/models…` with what `grant` may use; `None` when the path is another one.
pub(crate) fn list(head: &request::Parts, snapshot: &Snapshot, grant: &Grant) -> Option<Response> {
    let dialect = dialect_of(head);
    let rest = head.uri.path().strip_prefix("/v1/models")?;
    if rest.is_empty() || rest == "/" {
        return Some(json_response(200, all(dialect, &snapshot.listed(grant)).to_string()));
    }
    let id = percent_decoded(rest.strip_prefix('/')?);
    let may = |name: &str| grant.allows(&resource(name));
    let is_it = |target: &TargetId| (target.as_str() == id || target.model() == id) && may(target.as_str());
    let named = snapshot.model(&id).is_some() && may(&id);
    if named || snapshot.discovered().iter().any(is_it) {
        return Some(json_response(200, one(dialect, &id).to_string()));
    }
    let message = "there is no model of this name; GET /v1/models lists what there is";
    Some(render(dialect, &Refusal::new(Code::UnknownModel, message).in_field("model")))
}

fn all(dialect: Dialect, ids: &[String]) -> Value {
    let data: Vec<Value> = ids.iter().map(|id| one(dialect, id)).collect();
    match dialect {
        Dialect::OpenAi => json!({"object": "list", "data": data}),
        Dialect::Anthropic => {
            json!({"data": data, "has_more": false, "first_id": ids.first(), "last_id": ids.last()})
        }
    }
}

/// One model. When a model was made is not known: the epoch says so in both dialects, which require a time.
fn one(dialect: Dialect, id: &str) -> Value {
    match dialect {
        Dialect::OpenAi => json!({"id": id, "object": "model", "created": 0, "owned_by": "tradewind"}),
        Dialect::Anthropic => {
            json!({"type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z"})
        }
    }
}
