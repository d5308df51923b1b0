//! What is done with revisions and keys besides writing: pins, pruning, hand-off.

use std::time::Duration;

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tradewind_core::{Code, parse_duration};
use tradewind_door::{Body, Refusal, Response, json_response};
use tradewind_store::handoff::{self, MAX_LIFE, MAX_TOKEN};
use tradewind_store::state::{At, Condition, Terms};
use tradewind_store::{Epoch, Key, Rev};

use crate::door::{Call, Failure, may_use};
use crate::head::{epoch, precondition, unconditional};
use crate::read::known;
use crate::shown::json;
use crate::write::{body, redeemed};

/// Pins a revision, or lets go of it.
pub(crate) async fn pin(call: &Call<'_>, key: &Key, is_on: bool) -> Result<Response, Failure> {
    unconditional(&call.head.headers, "`rev` names the revision")?;
    let Some(rev) = call.query.rev("rev")? else {
        return Err(Refusal::new(Code::BadField, "`rev` is missing").in_field("rev").into());
    };
    call.state.pin(key, rev, is_on).await?;
    let mut response = Response::new(Body::whole(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// How many revisions stay.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prune {
    /// The newest so many, at least 1.
    keep: u32,
}

/// How many were removed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Pruned {
    removed: u64,
}

/// Removes old revisions.
pub(crate) async fn prune(call: &Call<'_>, key: &Key) -> Result<Response, Failure> {
    unconditional(&call.head.headers, "it keeps the newest revisions, whatever they are")?;
    let Prune { keep } = body(&call.body, "{\"keep\": 8}")?;
    if keep == 0 {
        return Err(Refusal::new(Code::BadField, "`keep` is at least 1: the newest revision stays")
            .in_field("keep")
            .into());
    }
    let removed = call.state.prune(key, keep).await?;
    Ok(json_response(200, json(&Pruned { removed })))
}

/// How long a token is to be good for.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Handoff {
    /// A time such as `30s`; 60 s at most, and when absent.
    #[serde(default)]
    ttl: Option<String>,
}

/// A hand-off token, and what it says.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Token<'a> {
    /// What is given to whoever is to have the key.
    token: &'a str,
    namespace: &'a str,
    key: &'a str,
    /// The revision that it can be redeemed at.
    #[schemars(with = "u64")]
    rev: Rev,
    /// The epoch now; that of whoever redeems it is the next.
    #[schemars(with = "u64")]
    epoch: Epoch,
    /// RFC 3339.
    expires_at: String,
}

/// Gives out a token.
pub(crate) async fn handoff(call: &Call<'_>, key: &Key) -> Result<Response, Failure> {
    let Handoff { ttl } =
        if call.body.is_empty() { Handoff::default() } else { body(&call.body, "{\"ttl\": \"30s\"}")? };
    let life = match ttl {
        None => MAX_LIFE,
        Some(text) => {
            parse_duration(&text).ok().filter(|life| (Duration::from_secs(1)..=MAX_LIFE).contains(life)).ok_or_else(
                || Refusal::new(Code::BadField, "`ttl` is a time from 1s to 60s, such as \"30s\"").in_field("ttl"),
            )?
        }
    };
    let Condition::At(rev) = precondition(&call.head.headers)? else {
        let message = "what is handed over is named by `If-Match: \"REV\"`";
        return Err(Refusal::new(Code::BadHeader, message).in_field("if-none-match").into());
    };
    let given = call.state.hand_off(key, rev, epoch(&call.head.headers)?, life).await?;
    let answer = Token {
        token: &given.token,
        namespace: key.namespace.as_str(),
        key: key.name(),
        rev: given.rev,
        epoch: given.epoch,
        expires_at: given.expires_at.rfc3339(),
    };
    Ok(json_response(200, json(&answer)))
}

/// A token to be redeemed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redeem {
    token: String,
}

/// Redeems a token. What it is about is known only when its signature has been checked, so the caller's key is asked then;
/// `note` is told as well, whatever comes of it.
pub(crate) async fn redeem(call: &Call<'_>, note: impl FnOnce(&Key)) -> Result<Response, Failure> {
    unconditional(&call.head.headers, "the token says which revision it replaces")?;
    let Redeem { token } = body(&call.body, "{\"token\": \"twh1_…\"}")?;
    if token.len() > MAX_TOKEN {
        return Err(Refusal::new(Code::HandoffForged, "this is longer than any token").into());
    }
    let handoff::Token { key, rev, .. } = call.state.token(&token).await?;
    note(&key);
    may_use(call.grant, &key)?;
    // Before it is redeemed: a token is good once. Where the revision is gone, redeeming it says why it is of no use.
    if let Ok(meta) = call.state.meta(&key, At::Rev(rev)).await {
        known(&call.head.headers, &meta)?;
    }
    let terms = Terms { by: call.grant.name().cloned(), ..Terms::default() };
    let value = call.state.redeem(&token, terms).await?;
    Ok(redeemed(call, &key, &value))
}
