//! A running gateway, for what is not in its folder: versions that have to be fetched, and records and tiles of checksum
//! databases.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, header};
use http_body_util::BodyExt;
use tradewind_core::{Fault, FaultKind};
use tradewind_door_modules::{MAX_ANSWER, ModuleVersion, Source, SourceError};
use tradewind_egress::{RequestBody, Roots};

use crate::commands::client::Client;
use crate::commands::reach::Reach;

/// The most that is shown of a gateway's reason, as much as the go command shows.
const LONGEST_REASON: usize = 648;

/// A gateway that is asked for modules; clones share their connections.
#[derive(Clone)]
pub(super) struct Gateway {
    client: Client,
    /// `/go`, and the prefix of a mount.
    base: Arc<str>,
    bearer: Option<HeaderValue>,
}

/// Why it gave nothing.
#[derive(Debug)]
pub(super) enum Refused {
    /// Nobody answers there.
    Nobody(String),
    /// It says why not, with this status.
    Status(u16, String),
}

impl Gateway {
    /// The gateway behind `reach`, and the mount with this prefix. Connects with the first request.
    pub(super) fn new(reach: &Reach, prefix: &str) -> anyhow::Result<Self> {
        let place = reach.place();
        let roots = place.ca.map_or_else(|| Ok(Roots::system()), Roots::from_file)?;
        let client = Client::new(place.url, &roots)?;
        let bearer = place.key.map(|key| HeaderValue::try_from(format!("Bearer {}", key.trim())));
        let bearer = bearer.transpose().context("the key cannot stand in a header")?;
        let base = if prefix.is_empty() { "/go".to_owned() } else { format!("/go/{prefix}") };
        Ok(Self { client, base: base.into(), bearer })
    }

    /// Has the gateway fetch a version, or its go.mod alone: reads the answer and drops it. How many bytes it had.
    pub(super) async fn warm(&self, of: &ModuleVersion, zip: bool) -> Result<u64, Refused> {
        let kind = if zip { "zip" } else { "mod" };
        let path = format!("/{}/@v/{}.{kind}", of.path.escaped(), of.version.escaped());
        let mut bytes = 0;
        self.get(&path, &mut |piece| {
            bytes += piece.len() as u64;
            true
        })
        .await?;
        Ok(bytes)
    }

    /// Gets a path below the mount; `take` says whether it wants more.
    async fn get(&self, path: &str, take: &mut (dyn FnMut(&Bytes) -> bool + Send)) -> Result<(), Refused> {
        let uri: http::Uri = format!("{}{path}", self.base)
            .parse()
            .map_err(|error: http::uri::InvalidUri| Refused::Status(400, error.to_string()))?;
        let build = || {
            let mut request = Request::new(RequestBody::new(Bytes::new()));
            *request.uri_mut() = uri.clone();
            if let Some(bearer) = &self.bearer {
                request.headers_mut().insert(header::AUTHORIZATION, bearer.clone());
            }
            request
        };
        let answer = self.client.send(&build).await.map_err(Refused::of)?;
        let status = answer.head.status.as_u16();
        let mut body = answer.body;
        let mut reason = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(Refused::of)?.into_data() else { continue };
            if status == 200 {
                if !take(&data) {
                    return Err(Refused::Status(status, "the answer is longer than it can be".to_owned()));
                }
            } else if reason.len() < LONGEST_REASON {
                reason.extend_from_slice(&data);
            }
        }
        if status == 200 {
            return Ok(());
        }
        let reason = String::from_utf8_lossy(&reason[..reason.len().min(LONGEST_REASON)]).trim().to_owned();
        Err(Refused::Status(status, reason))
    }
}

impl Refused {
    fn of(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::ConnectRefused | FaultKind::ConnectTimeout => Self::Nobody(fault.detail.into_owned()),
            _ => Self::Status(0, fault.detail.into_owned()),
        }
    }

    /// In one line.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Nobody(why) => format!("no gateway answers: {why}"),
            Self::Status(0, why) => why.clone(),
            Self::Status(status, why) => format!("{status}: {}", why.lines().next().unwrap_or("no reason was given")),
        }
    }

    pub(super) fn error(&self, url: &str) -> anyhow::Error {
        anyhow!(
            "{} at {url}\n  = hint: start the gateway with `tradewind run`, or say where it listens with --url",
            self.told()
        )
    }
}

/// A checksum database that is asked through a gateway.
pub(super) struct DatabaseThrough {
    pub(super) gateway: Gateway,
    /// Its name.
    pub(super) name: String,
}

impl Source for DatabaseThrough {
    fn get<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Bytes, SourceError>> {
        async move {
            let mut bytes = BytesMut::new();
            let asked = format!("/sumdb/{}{path}", self.name);
            let got = self
                .gateway
                .get(&asked, &mut |piece| {
                    bytes.extend_from_slice(piece);
                    bytes.len() <= MAX_ANSWER
                })
                .await;
            match got {
                Ok(()) => Ok(bytes.freeze()),
                Err(refused @ Refused::Status(404 | 410, _)) => Err(SourceError::NotThere(refused.told())),
                Err(refused) => Err(SourceError::Unreachable(refused.told())),
            }
        }
        .boxed()
    }
}
