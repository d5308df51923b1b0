//! Asks providers which models they have. Off the way of any call; what fails is tried again later.

use std::sync::Arc;
use std::time::Duration;

use http::header::ACCEPT_ENCODING;
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use serde::Deserialize;
use tradewind_core::{Fault, FaultKind, TargetId};
use tradewind_egress::{Http2, Origin, RequestBody, Roots};

use crate::door::Needs;
use crate::link::Link;
use crate::snapshot::Snapshot;

/// How long a provider may take to list its models.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest list that is read, in bytes, and the most models of one provider that are kept.
const LONGEST_LIST: usize = 4 * 1024 * 1024;
const MOST_MODELS: usize = 2000;

/// What the providers of a snapshot have told.
#[derive(Debug, Default)]
pub struct Discovered {
    /// Their models.
    pub targets: Vec<TargetId>,
    /// The providers that did not answer, with the reason.
    pub silent: Vec<(String, Fault)>,
}

/// Asks each provider of `snapshot` that may be asked, one after the other.
pub async fn discover(snapshot: &Snapshot, needs: &Needs) -> Discovered {
    let mut discovered = Discovered::default();
    for link in snapshot.links().iter().filter(|link| link.discover) {
        match models_of(link, needs).await {
            Ok(models) => {
                let targets = models.iter().map(|model| TargetId::new(&format!("{}/{model}", link.name)));
                discovered.targets.extend(targets);
            }
            Err(fault) => discovered.silent.push((link.name.to_string(), fault)),
        }
    }
    discovered
}

async fn models_of(link: &Arc<Link>, needs: &Needs) -> Result<Vec<String>, Fault> {
    let now = needs.services.clock.now();
    let any = TargetId::new(&format!("{}/models", link.name));
    let key = link.keys.pick(&any, now);
    let build = || {
        let mut request = Request::new(RequestBody::default());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = link.target(tradewind_policy::Operation::Models, "", None);
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if link.dialect == tradewind_core::Dialect::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        }
        link.dress(headers, key);
        request
    };
    list(&link.route, &build, PATIENCE).await
}

/// Whether a model server answers at `base_url` within `patience`, by its list of models.
///
/// # Errors
/// When nobody answers, or the answer is not a list of models.
pub async fn probe(base_url: &str, needs: &Needs, patience: Duration) -> Result<Vec<String>, Fault> {
    let origin = Origin::parse(base_url).map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))?;
    let route = needs.egress.route(origin, Http2::Never, &Roots::none(), "", None);
    let build = || {
        let mut request = Request::new(RequestBody::default());
        *request.uri_mut() = http::Uri::from_static("/v1/models");
        request
    };
    list(&route, &build, patience).await
}

async fn list(
    route: &Arc<tradewind_egress::Route>,
    build: &(dyn Fn() -> Request<RequestBody> + Send + Sync),
    patience: Duration,
) -> Result<Vec<String>, Fault> {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        id: String,
    }
    let asking = async {
        let answer = route.send(build, patience, true, 0).await?;
        if !answer.head.status.is_success() {
            let detail = format!("{} answered {} to GET models", route.name(), answer.head.status);
            return Err(Fault::new(FaultKind::Rejected, detail));
        }
        let body = http_body_util::Limited::new(answer.body, LONGEST_LIST).collect().await;
        let body = body.map_err(|error| Fault::new(FaultKind::BadShape, error.to_string()))?.to_bytes();
        let list: List = serde_json::from_slice(&body).map_err(|error| {
            Fault::new(FaultKind::BadShape, format!("{}: no list of models: {error}", route.name()))
        })?;
        Ok(list.data.into_iter().take(MOST_MODELS).map(|entry| entry.id).filter(|id| !id.is_empty()).collect())
    };
    tokio::time::timeout(patience, asking).await.unwrap_or_else(|_| {
        Err(Fault::new(FaultKind::TotalTimeout, format!("{} did not list its models in time", route.name())))
    })
}
