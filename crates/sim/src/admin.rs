//! The sim's own paths, below `/sim/`: how a test in another process sees what a test in Rust sees through [`crate::Sim`].

use serde_json::{Value, json};

use crate::script::Reply;
use crate::shared::Shared;
use crate::{ScriptedAnswer, request};

/// What there is, for whoever asks for something else.
const PATHS: &str = "the sim has: GET stats, GET requests[?model=NAME], POST fault, PUT and DELETE answers/MODEL";
/// How many requests `stats` shows.
const LAST: usize = 100;

/// Answers a request to `path`, without the `/sim/` before it.
pub(crate) fn answer(shared: &Shared, method: &str, path: &str, body: &[u8]) -> Reply {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if let Some(model) = path.strip_prefix("answers/") {
        return answers(shared, method, &request::percent_decoded(model), body);
    }
    match (method, path) {
        ("GET", "stats") => {
            let mut requests = shared.recorder.requests();
            let older = requests.len().saturating_sub(LAST);
            Reply::json(200, &json!({"stats": shared.recorder.stats(), "last": requests.split_off(older)}))
        }
        ("GET", "requests") => {
            let model = query.strip_prefix("model=").map(request::percent_decoded);
            let mut requests = shared.recorder.requests();
            if let Some(model) = &model {
                requests.retain(|request| request.model.as_ref() == Some(model));
            }
            Reply::json(200, &json!(requests))
        }
        ("POST", "fault") => match shared.set_fault_text(body) {
            Ok(fault) => Reply::json(200, &json!({"fault": fault})),
            Err(error) => refused(400, &error),
        },
        (_, "redirected") => {
            shared.recorder.count(|stats| stats.followed_redirects += 1);
            Reply::json(200, &json!({"redirected": true}))
        }
        _ => refused(404, PATHS),
    }
}

/// Registers or takes away what a model answers.
fn answers(shared: &Shared, method: &str, model: &str, body: &[u8]) -> Reply {
    match method {
        "PUT" => match serde_json::from_slice::<ScriptedAnswer>(body) {
            Ok(answer) => match shared.script(model, Some(answer)) {
                Ok(()) => Reply::json(200, &json!({"model": model})),
                Err(error) => refused(507, &error.to_string()),
            },
            Err(error) => refused(400, &error.to_string()),
        },
        "DELETE" => match shared.script(model, None) {
            Ok(()) => Reply::json(200, &json!({"model": model})),
            Err(error) => refused(507, &error.to_string()),
        },
        _ => refused(405, PATHS),
    }
}

fn refused(status: u16, error: &str) -> Reply {
    Reply::json(status, &json!({"error": Value::from(error)}))
}
