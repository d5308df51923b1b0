//! The paths of the door. Errors are JSON: `{"error": {"code", "message", "field"}}`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, header, request};
use serde_json::json;
use tradewind_access::Grant;
use tradewind_core::{Clock, Code};
use tradewind_door::{BodyLimits, Door, Refusal, Request, Response, json_response, read_body, text_response};
use tradewind_runtime::{Stage, Stages};
use tradewind_telemetry::{Format, Journal, Spend};
use tradewind_ways::Ways;

use crate::decisions;
use crate::query::{decisions_query, spend_query, way_out_query};
use crate::spend;
use crate::ways;

/// A question for a preview is bounded like this.
const BODY: BodyLimits =
    BodyLimits { size: 32 * 1024 * 1024, idle: Duration::from_secs(15), total: Duration::from_secs(60) };

type Previewing = dyn Fn(&[u8], &Grant) -> Result<String, Refusal> + Send + Sync;
type Selecting = dyn Fn(&str, &str) -> bool + Send + Sync;
type Describing = dyn Fn() -> serde_json::Value + Send + Sync;
/// Which way a URL leaves along a way that is named, or as the document says.
type Leaving = dyn Fn(String, Option<String>) -> Pin<Box<dyn Future<Output = Result<serde_json::Value, Refusal>> + Send>>
    + Send
    + Sync;
type Measuring = dyn Fn(Format) -> String + Send + Sync;

/// What the door shows and moves, handed in by the composition root.
pub struct Controls {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whether the process is stopping.
    pub stages: Stages,
    /// The decision journal.
    pub journal: Arc<Journal>,
    /// What was spent.
    pub spend: Spend,
    /// Decides upon the call in a body of `POST /api/v1/decide` of a caller, and calls nobody. Gives JSON.
    pub preview: Box<Previewing>,
    /// Lets the `select` model of the first name use the target of the second. False when there is none.
    pub select: Box<Selecting>,
    /// What the process is doing, for `GET /api/v1/status`.
    pub status: Box<Describing>,
    /// The targets and their health, for `GET /api/v1/targets`.
    pub targets: Box<Describing>,
    /// The callers' keys and what they have used, for `GET /api/v1/keys`.
    pub keys: Box<Describing>,
    /// Ways out, for `/api/v1/proxies`, `/api/v1/network` and `/api/v1/way-out`.
    pub ways: Ways,
    /// Which way a URL leaves and why, for `GET /api/v1/way-out`.
    pub way_out: Box<Leaving>,
    /// The metrics, for `GET /metrics`.
    pub metrics: Box<Measuring>,
}

/// The control door.
#[derive(Clone)]
pub struct ControlDoor(Arc<Controls>);

impl ControlDoor {
    /// A door over `controls`.
    pub fn new(controls: Controls) -> Self {
        Self(Arc::new(controls))
    }
}

impl Door for ControlDoor {
    fn serves(&self, path: &str) -> bool {
        matches!(path, "/livez" | "/readyz" | "/metrics") || path == "/api/v1" || path.starts_with("/api/v1/")
    }

    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let controls = self.0.clone();
        Box::pin(async move {
            let answered = answer(controls, request).await;
            answered.unwrap_or_else(|refusal| render(&refusal))
        })
    }

    fn refuse(&self, _head: &request::Parts, refusal: &Refusal) -> Response {
        render(refusal)
    }
}

async fn answer(controls: Arc<Controls>, request: Request) -> Result<Response, Refusal> {
    let Request { head, body, grant, .. } = request;
    let path = head.uri.path().to_owned();
    let rest = path.strip_prefix("/api/v1").unwrap_or(&path);
    match (&head.method, rest) {
        (&Method::GET | &Method::HEAD, "/livez") => Ok(text_response(200, "alive\n")),
        (&Method::GET | &Method::HEAD, "/readyz") => Ok(match controls.stages.now() {
            Stage::Running => text_response(200, "ready\n"),
            _ => text_response(503, "stopping\n"),
        }),
        (&Method::GET, "/metrics") => {
            needs(&grant, READ)?;
            let accepts = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
            let format = Format::of_accept(accepts);
            let mut response = text_response(200, (controls.metrics)(format));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
            Ok(response)
        }
        (&Method::GET, "/status") => shown(&grant, &controls.status),
        (&Method::GET, "/targets") => shown(&grant, &controls.targets),
        (&Method::GET, "/keys") => shown(&grant, &controls.keys),
        (&Method::GET, "/proxies") => {
            needs(&grant, READ)?;
            Ok(json_response(200, ways::shown(&controls.ways).to_string()))
        }
        (&Method::GET, "/network/explain") => {
            needs(&grant, READ)?;
            Ok(json_response(200, ways::explained(&controls.ways).to_string()))
        }
        (&Method::GET, "/network/context") => {
            needs(&grant, READ)?;
            ways::context(&controls.ways, &head.method, &[])
        }
        (&Method::PUT | &Method::DELETE, "/network/context") => {
            needs(&grant, WRITE)?;
            let body = read_body(&head, body, BODY).await?;
            ways::context(&controls.ways, &head.method, &body)
        }
        (&Method::GET, "/way-out") => {
            needs(&grant, READ)?;
            let (url, via) = way_out_query(head.uri.query().unwrap_or_default())?;
            (controls.way_out)(url, via).await.map(|answer| json_response(200, answer.to_string()))
        }
        (&Method::GET, "/spend") => {
            let query = spend_query(head.uri.query().unwrap_or_default(), &*controls.clock)?;
            spend::rows(controls.spend.clone(), query, own_only(&grant)).await
        }
        (&Method::GET, "/decisions") => {
            let mut query = decisions_query(head.uri.query().unwrap_or_default(), &*controls.clock)?;
            if let Some(own) = own_only(&grant) {
                query.key = Some(own);
            }
            decisions::many(controls.journal.clone(), query).await
        }
        (&Method::POST, "/decide") => {
            let body = read_body(&head, body, BODY).await?;
            (controls.preview)(&body, &grant).map(|preview| json_response(200, preview))
        }
        (method, rest) => {
            if let Some(id) = rest.strip_prefix("/decisions/") {
                only(method, &Method::GET, &path)?;
                let id = id.parse().map_err(|error| Refusal::new(Code::UnknownDecision, format!("{error}")))?;
                return decisions::one(controls.journal.clone(), id, own_only(&grant)).await;
            }
            if let Some(name) = rest.strip_prefix("/models/").and_then(|rest| rest.strip_suffix("/selected")) {
                only(method, &Method::PUT, &path)?;
                needs(&grant, WRITE)?;
                let body = read_body(&head, body, BODY).await?;
                return select(&controls, name, &body);
            }
            if let Some(name) = rest.strip_prefix("/proxies/").and_then(|rest| rest.strip_suffix("/selected")) {
                only(method, &Method::PUT, &path)?;
                needs(&grant, WRITE)?;
                let body = read_body(&head, body, BODY).await?;
                return ways::select(&controls.ways, name, &body);
            }
            match rest {
                "/livez" | "/readyz" | "/metrics" | "/status" | "/targets" | "/keys" | "/spend" | "/decisions"
                | "/proxies" | "/way-out" | "/network/explain" => Err(not_allowed(&path, &Method::GET)),
                "/decide" => Err(not_allowed(&path, &Method::POST)),
                _ => Err(Refusal::new(
                    Code::UnknownPath,
                    format!(
                        "{path} is not served; served are GET /api/v1/status, /api/v1/targets, /api/v1/keys, \
                         /api/v1/spend, /api/v1/decisions, /api/v1/decisions/ID, /api/v1/proxies, /api/v1/way-out, /api/v1/network/context, /api/v1/network/explain, /metrics, POST /api/v1/decide and PUT /api/v1/models/NAME/selected and /api/v1/proxies/NAME/selected"
                    ),
                )),
            }
        }
    }
}

/// What reading of more than a caller's own needs in its allow-list.
const READ: &str = "control/read";
/// What changes need.
const WRITE: &str = "control/write";

fn needs(grant: &Grant, resource: &str) -> Result<(), Refusal> {
    if grant.allows(resource) {
        return Ok(());
    }
    let name = grant.name().map_or("", |name| name);
    Err(Refusal::new(
        Code::NotAllowed,
        format!("the key `{name}` may not use this: `{resource}` is not in its `allow`"),
    ))
}

/// The name of the key whose own records are all that it may see.
fn own_only(grant: &Grant) -> Option<String> {
    grant.name().filter(|_| !grant.allows(READ)).map(|name| name.to_string())
}

fn shown(grant: &Grant, describe: &Describing) -> Result<Response, Refusal> {
    needs(grant, READ)?;
    Ok(json_response(200, describe().to_string()))
}

fn select(controls: &Controls, name: &str, body: &[u8]) -> Result<Response, Refusal> {
    let asked: serde_json::Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(Code::MalformedJson, format!("the request body is not valid JSON: {error}")))?;
    let Some(target) = asked["selected"].as_str() else {
        let message = "send {\"selected\": \"provider/model\"}";
        return Err(Refusal::new(Code::BadField, message).in_field("selected"));
    };
    let name = tradewind_core::percent_decoded(name);
    if (controls.select)(&name, target) {
        return Ok(json_response(200, json!({"model": name, "selected": target}).to_string()));
    }
    let message = format!("there is no model `{name}` with `strategy: select` and a target `{target}`");
    Err(Refusal::new(Code::UnknownModel, message).in_field("selected"))
}

fn only(method: &Method, wanted: &Method, path: &str) -> Result<(), Refusal> {
    if method == wanted { Ok(()) } else { Err(not_allowed(path, wanted)) }
}

fn not_allowed(path: &str, wanted: &Method) -> Refusal {
    Refusal::new(Code::MethodNotAllowed, format!("{path} takes {wanted} only"))
}

fn render(refusal: &Refusal) -> Response {
    let error = json!({"code": refusal.code.name(), "message": refusal.message, "field": refusal.field});
    let mut response = json_response(refusal.status, json!({ "error": error }).to_string());
    if refusal.close {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
