//! Sends what telemetry exports, over the same egress as everything else.
//!
//! The thread that exports has no runtime; it hands its requests to a task here, one at a time, and waits for the answer.
//! Dropping the wait drops the request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Limited};
use tokio::sync::{mpsc, oneshot};
use tradewind_egress::{Egress, Http2, Origin, RequestBody, Roots, Route};
use tradewind_runtime::{Kind, Supervisor};
use tradewind_telemetry::{Post, Posting};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The most that is read of an answer.
const ANSWER: usize = 64 * 1024;

/// A way to one collector.
pub(crate) struct Collector {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    request: Request<Bytes>,
    answer: oneshot::Sender<Result<Response<Bytes>, String>>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

impl Collector {
    /// A way to the collector at `endpoint`, whose task ends when the collector is dropped.
    ///
    /// # Errors
    /// When `endpoint` is no URL of a server.
    pub(crate) fn new(
        endpoint: &Uri,
        egress: &Arc<Egress>,
        roots: &Roots,
        supervisor: &Supervisor,
    ) -> Result<Self, String> {
        let base = format!(
            "{}://{}",
            endpoint.scheme_str().unwrap_or("http"),
            endpoint.authority().map_or("", |authority| authority.as_str())
        );
        let origin = Origin::parse(&base).map_err(|error| error.to_string())?;
        let route = egress.route(origin, Http2::Never, roots, "", None);
        let (jobs, mut waiting) = mpsc::channel::<Job>(1);
        supervisor.spawn(Kind::Upkeep, async move {
            while let Some(Job { request, mut answer }) = waiting.recv().await {
                tokio::select! {
                    sent = send(&route, &request) => {
                        let _ = answer.send(sent); // nobody waits any more: it took too long
                    }
                    () = answer.closed() => {}
                }
            }
        });
        Ok(Self { jobs })
    }
}

impl Post for Collector {
    fn post(&self, request: Request<Bytes>) -> Posting {
        let jobs = self.jobs.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let stopped = || "the gateway is stopping".to_owned();
            jobs.send(Job { request, answer }).await.map_err(|_| stopped())?;
            answered.await.map_err(|_| stopped())?
        })
    }
}

async fn send(route: &Arc<Route>, request: &Request<Bytes>) -> Result<Response<Bytes>, String> {
    let build = || {
        let mut built = Request::new(RequestBody::new(request.body().clone()));
        *built.method_mut() = request.method().clone();
        *built.uri_mut() = request.uri().path_and_query().map_or_else(Uri::default, |path| Uri::from(path.clone()));
        *built.headers_mut() = request.headers().clone();
        built.headers_mut().remove(header::HOST);
        built
    };
    let answer = route.send(&build, CONNECT, true, 0).await.map_err(|fault| fault.detail.into_owned())?;
    let body = Limited::new(answer.body, ANSWER).collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(Response::from_parts(answer.head, body))
}
