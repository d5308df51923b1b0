//! What has to hold for any requests at all to the HTTP API of state. A broken rule is a panic.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tradewind_access::Grant;
use tradewind_core::{Clock, Moment, UnixMillis};
use tradewind_door::{Door as _, Response};
use tradewind_door_state::{Needs, StateDoor, openapi};
use tradewind_runtime::Stages;
use tradewind_store::suite::Memory;
use tradewind_store::{Namespace, NamespaceSettings, OnConflict, Settings, State};

/// The most that a value may have, in bytes.
const MAX_VALUE: usize = 300;
/// Requests of one input.
const MOST: usize = 16;
/// Stands in a body for the hand-off token that was given last.
const TOKEN: &str = "$TOKEN";

static DESCRIBED: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(openapi()).expect("it is JSON"));

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment::START + Duration::from_secs(1)
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(1_795_294_621_000)
    }
}

/// Requests with 0x1e between them: `METHOD PATH`, headers, an empty line, and a body.
pub(crate) fn requests(bytes: &[u8]) {
    // Whoever waits for a change gets it at once, or never: no time passes in here.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime starts").block_on(async {
        let merged =
            NamespaceSettings { on_conflict: OnConflict::Merge, keep: Some(3), ..NamespaceSettings::default() };
        let namespaces = [(Namespace::parse("merged").expect("a name"), merged)].into();
        let settings = Settings { namespaces, max_value: MAX_VALUE as u64, ..Settings::default() };
        let clock: Arc<dyn Clock> = Arc::new(Still);
        let state = Arc::new(State::new(Arc::new(Memory::new()), settings.clone(), clock.clone(), None));
        let needs = Needs { clock, stages: Stages::default(), records: None };
        let door = StateDoor::new(state.clone(), &settings, "fuzz", needs);
        let mut token = String::new();
        for request in bytes.split(|byte| *byte == 0x1e).take(MOST) {
            let Some(request) = read(request, &token) else { continue };
            if !door.serves(request.uri().path()) {
                continue;
            }
            let (head, body) = request.into_parts();
            let answer = door.answer_here(&head, body.clone(), &Grant::anyone()).await;
            let operation = operation(&head.method, head.uri.path());
            if operation == "watch" && answer.status() == 200 {
                let mut watch = answer.into_body();
                // It ends when the gateway does: what is there at once is looked at.
                while let Ok(Some(frame)) = tokio::time::timeout(Duration::ZERO, watch.frame()).await {
                    let events = frame.expect("no body breaks").into_data().expect("there are no trailers");
                    assert!(events.ends_with(b"\n\n"), "whole events");
                }
                continue;
            }
            let (answer, content) = whole(answer).await;
            is_described(&operation, &answer, &content);
            let has_condition = head.headers.contains_key(IF_MATCH) || head.headers.contains_key(IF_NONE_MATCH);
            if answer.status.is_success() {
                if ["put", "patch", "delete", "restore"].contains(&&*operation) {
                    assert!(has_condition, "no write without a condition: {head:?}");
                    assert!(answer.headers.contains_key(ETAG));
                }
                if operation == "get" {
                    assert!(content.len() <= MAX_VALUE, "a limit is a limit");
                }
                if operation == "put" {
                    assert!(body.len() <= MAX_VALUE, "a limit is a limit");
                }
            }
            if let Ok(Value::Object(given)) = serde_json::from_slice(&content)
                && operation == "handoff"
                && let Some(text) = given.get("token").and_then(Value::as_str)
            {
                token = text.to_owned();
            }
        }
        let checked = state.check(|_| ()).await.expect("the store is there");
        assert_eq!(checked.damages, []);
    });
}

/// One request; `None` for what no server would pass on.
fn read(bytes: &[u8], token: &str) -> Option<Request<Bytes>> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let head = std::str::from_utf8(&bytes[..end.unwrap_or(bytes.len())]).ok()?;
    let body = end.map_or(&b""[..], |end| &bytes[end + 2..]);
    let body = match std::str::from_utf8(body) {
        Ok(text) if text.contains(TOKEN) => Bytes::from(text.replace(TOKEN, token)),
        _ => Bytes::copy_from_slice(body),
    };
    let mut lines = head.lines();
    let (method, uri) = lines.next()?.split_once(' ')?;
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = uri.parse::<Uri>().ok()?;
    for line in lines.take(32) {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?);
    }
    Some(request)
}

struct Answer {
    status: http::StatusCode,
    headers: http::HeaderMap,
}

async fn whole(answer: Response) -> (Answer, Bytes) {
    let (head, body) = answer.into_parts();
    let content = body.collect().await.expect("no body breaks").to_bytes();
    (Answer { status: head.status, headers: head.headers }, content)
}

/// The operation of the description that a path is, found by its segments; empty where there is none.
fn operation(method: &Method, path: &str) -> String {
    let words = ["history", "diff", "fork", "pin", "prune", "restore", "handoff"];
    let rest = path.strip_prefix("/api/v1/state").map(|rest| rest.strip_prefix('/').unwrap_or(rest));
    let template = match rest.map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
        None => path.to_owned(),
        Some(("", "")) => "/api/v1/state".to_owned(),
        Some((_, "")) => "/api/v1/state/{namespace}".to_owned(),
        Some((_, "watch")) => "/api/v1/state/{namespace}/watch".to_owned(),
        Some((_, key)) => match key.rsplit_once('/').filter(|(_, word)| words.contains(word)) {
            Some((_, word)) => format!("/api/v1/state/{{namespace}}/{{key}}/{word}"),
            None => "/api/v1/state/{namespace}/{key}".to_owned(),
        },
    };
    let method = if method == Method::HEAD { "get".to_owned() } else { method.as_str().to_ascii_lowercase() };
    let found = &DESCRIBED["paths"][&template][method];
    found["operationId"].as_str().unwrap_or_default().to_owned()
}

/// The description knows the status, and the code where it is an error.
fn is_described(operation: &str, answer: &Answer, content: &[u8]) {
    let status = answer.status.as_u16();
    let code = if status < 400 {
        None
    } else if let Some(code) = answer.headers.get("tradewind-code") {
        Some(code.to_str().expect("a code").to_owned())
    } else {
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
        let error: Value = serde_json::from_slice(content).expect("an error is JSON");
        Some(error["error"]["code"].as_str().expect("an error has a code").to_owned())
    };
    if operation.is_empty() {
        // A method that there is not, or a name that is none.
        let code = code.expect("there is no such operation");
        assert!(code == "TW7007" || answer.headers.contains_key(ALLOW), "{status} {code}");
        return;
    }
    let operations = DESCRIBED["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let mut methods = operations.filter_map(Value::as_object).flat_map(|methods| methods.values());
    let described = methods.find(|described| described["operationId"] == operation).expect("it was found there");
    let response = &described["responses"][status.to_string()];
    assert!(response.is_object(), "{operation} answers {status}, which is not described");
    if let Some(code) = code {
        let codes = response["x-tradewind-codes"].as_array().expect("an error has codes");
        assert!(
            codes.contains(&Value::String(code.clone())),
            "{operation} answers {status} {code}, which is not described"
        );
    }
}
