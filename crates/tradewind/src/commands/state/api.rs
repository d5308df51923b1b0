//! The API of state, wherever it is: at a running gateway, or in this process by the same code.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::{Bytes, BytesMut};
use clap::Args;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::BodyDataStream;
use serde_json::Value;
use tradewind_access::Grant;
use tradewind_core::FaultKind;
use tradewind_door_state::{Needs, StateDoor, StateSection};
use tradewind_egress::{RequestBody, Roots};
use tradewind_policy::Listen;
use tradewind_runtime::{Stages, SystemClock};

use crate::commands::client::Client;
use crate::commands::whose::{Found, Whose};
use crate::state;

/// The longest that an answer which is no watch may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which gateway's state it is, and how to ask it.
#[derive(Debug, Default, Args)]
pub(super) struct Where {
    #[command(flatten)]
    pub(super) whose: Whose,
    /// Where the gateway listens [default: what the configuration says]
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    url: Option<String>,
    /// The key to ask with; better kept in the environment than on the command line
    #[arg(long, env = "TRADEWIND_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Who vouches for the gateway's certificate, in PEM, when that is nobody whom the system knows
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// What asks.
pub(super) struct Api {
    runtime: tokio::runtime::Runtime,
    place: Place,
}

enum Place {
    Gateway { client: Client, bearer: Option<HeaderValue> },
    Here(StateDoor),
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The body of an answer, as it comes.
pub(super) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, String>>>>;

/// What was answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) pieces: Pieces,
}

impl Ask {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self { method, path, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(super) fn get(path: String) -> Self {
        Self::new(Method::GET, path)
    }

    /// With a header.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> anyhow::Result<Self> {
        let value = HeaderValue::from_str(value).with_context(|| format!("`{value}` cannot stand in `{name}`"))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// With a header, where there is a value for it.
    pub(super) fn with_some(self, name: HeaderName, value: Option<&str>) -> anyhow::Result<Self> {
        match value {
            Some(value) => self.with(name, value),
            None => Ok(self),
        }
    }

    /// With a body.
    pub(super) fn sending(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    fn request<B>(&self, body: B) -> anyhow::Result<Request<B>> {
        let uri: http::Uri = self.path.parse().context("the path is not a URI")?;
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

impl Answer {
    /// All of the body.
    pub(super) async fn whole(self) -> anyhow::Result<Bytes> {
        let (mut pieces, mut whole) = (self.pieces, BytesMut::new());
        while let Some(piece) = pieces.next().await {
            whole.extend_from_slice(&piece.map_err(|why| anyhow!("the answer broke off: {why}"))?);
        }
        Ok(whole.freeze())
    }
}

impl Api {
    /// The gateway that answers, or the store of the configuration where none does.
    pub(super) fn open(at: Where) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let place = runtime.block_on(find(at))?;
        Ok(Self { runtime, place })
    }

    /// Asks, and waits for all of the answer.
    ///
    /// # Errors
    /// When nobody answers, or with the message of an answer that is an error.
    pub(super) fn ask(&self, ask: &Ask) -> anyhow::Result<(HeaderMap, Bytes)> {
        self.runtime.block_on(async {
            let asking = async {
                let answer = self.begin(ask).await?;
                let headers = answer.headers.clone();
                anyhow::Ok((headers, answer.whole().await?))
            };
            let asked = tokio::time::timeout(PATIENCE, asking).await;
            asked.map_err(|_| anyhow!("there was no whole answer within {} s", PATIENCE.as_secs()))?
        })
    }

    /// The same, for JSON.
    pub(super) fn json(&self, ask: &Ask) -> anyhow::Result<Value> {
        let (_, body) = self.ask(ask)?;
        serde_json::from_slice(&body).context("what answered is not Tradewind: its answer is not JSON")
    }

    /// Runs what needs more than one answer.
    pub(super) fn run<T>(&self, task: impl Future<Output = T>) -> T {
        self.runtime.block_on(task)
    }

    /// Asks, and gives the answer as it begins.
    pub(super) async fn begin(&self, ask: &Ask) -> anyhow::Result<Answer> {
        let answer = match &self.place {
            Place::Gateway { client, bearer } => at_gateway(client, bearer.as_ref(), ask).await?,
            Place::Here(door) => {
                let (head, ()) = ask.request(())?.into_parts();
                let (head, body) = door.answer_here(&head, ask.body.clone(), &Grant::anyone()).await.into_parts();
                let pieces = BodyDataStream::new(body).map(|piece| piece.map_err(|error| error.to_string()));
                Answer { status: head.status.as_u16(), headers: head.headers, pieces: Box::pin(pieces) }
            }
        };
        if answer.status < 400 { Ok(answer) } else { Err(refused(answer).await) }
    }
}

/// What an answer says that is an error.
async fn refused(answer: Answer) -> anyhow::Error {
    let status = answer.status;
    let body = match answer.whole().await {
        Ok(body) => body,
        Err(error) => return error,
    };
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (said["error"]["code"].as_str(), said["error"]["message"].as_str()) {
        (Some(code), Some(message)) => {
            anyhow!("error[{code}]: {message}\n  = hint: docs/errors/{code}.md says what to do")
        }
        _ => anyhow!("what answered is not Tradewind: it answered {status}"),
    }
}

async fn at_gateway(client: &Client, bearer: Option<&HeaderValue>, ask: &Ask) -> anyhow::Result<Answer> {
    ask.request(())?;
    let build = || {
        let body = RequestBody::new(ask.body.clone());
        let mut request = ask.request(body).expect("the same request was made a moment ago");
        if let Some(bearer) = bearer {
            request.headers_mut().insert(header::AUTHORIZATION, bearer.clone());
        }
        request
    };
    let answer = client.send(&build).await.map_err(|fault| anyhow!("the gateway does not answer: {}", fault.detail))?;
    let pieces = BodyDataStream::new(answer.body).map(|piece| piece.map_err(|fault| fault.detail.into_owned()));
    let (status, headers) = (answer.head.status.as_u16(), answer.head.headers);
    Ok(Answer { status, headers, pieces: Box::pin(pieces) })
}

async fn find(at: Where) -> anyhow::Result<Place> {
    let Where { whose, url, key, ca } = at;
    let is_asked_for = url.is_some();
    let found = match url {
        // Where it is said whom to ask, no configuration is needed.
        Some(_) => None,
        None => Some(whose.find()?),
    };
    let url = url.or_else(|| found.as_ref().and_then(listening));
    if let Some(url) = url {
        let roots = ca.as_deref().map_or_else(|| Ok(Roots::system()), Roots::from_file)?;
        let client = Client::new(&url, &roots)?;
        let bearer = key.map(|key| HeaderValue::try_from(format!("Bearer {}", key.trim()))).transpose();
        let bearer = bearer.context("the key cannot stand in a header")?;
        let probe = || {
            let mut request = Request::new(RequestBody::new(Bytes::new()));
            *request.uri_mut() = http::Uri::from_static("/livez");
            request
        };
        match client.send(&probe).await {
            Ok(_) => return Ok(Place::Gateway { client, bearer }),
            Err(fault) if !is_asked_for && matches!(fault.kind, FaultKind::ConnectRefused) => {}
            Err(fault) => bail!(
                "no gateway answers at {url}: {}\n  = hint: start it with `tradewind run`, or say where it listens with --url",
                fault.detail
            ),
        }
    }
    let Some(Found { data_dir, document }) = found else { bail!("no gateway was named") };
    let section = document.map(|(document, _)| document.state).unwrap_or_default();
    here(&section, &data_dir).await.map(Place::Here)
}

/// The door over the store of a configuration.
async fn here(section: &StateSection, data_dir: &std::path::Path) -> anyhow::Result<StateDoor> {
    let clock = Arc::new(SystemClock::new());
    let opened = state::open(section, data_dir, clock.clone()).await.map_err(|error| anyhow!("{error}"))?;
    let needs = Needs { clock, stages: Stages::default(), records: None };
    Ok(StateDoor::new(opened.state(&section.settings), &section.settings, "", needs))
}

/// Where the gateway of a configuration listens, as far as that can be said beforehand.
fn listening(found: &Found) -> Option<String> {
    let document = &found.document.as_ref()?.0;
    let Listen(address) = document.shared.listen;
    if address.port() == 0 {
        return None;
    }
    let scheme = if document.shared.tls.is_some() { "https" } else { "http" };
    let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Some(format!("{scheme}://{host}:{}", address.port()))
}
