//! Writes: put, patch, append, delete, restore, fork.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tradewind_core::Code;
use tradewind_door::{Body, Refusal, Response, json_response};
use tradewind_store::state::{At, Condition, New, Terms, Value};
use tradewind_store::{Key, Meta, Rev};

use crate::door::{Call, Failure, may_use};
use crate::failure::bad_name;
use crate::head::{
    PREFERENCE_APPLIED, Return, SCHEMA, append, content_type, epoch, precondition, preferred, schema, ttl,
    unconditional,
};
use crate::read::{about, content};
use crate::shown::{Shown, json};

/// The type of a JSON Patch (RFC 6902 §6).
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";

/// What a write says besides its content.
fn terms(call: &Call<'_>) -> Result<Terms, Refusal> {
    let headers = &call.head.headers;
    Ok(Terms { ttl: ttl(headers)?, epoch: epoch(headers)?, by: call.grant.name().cloned() })
}

/// A value in place of another, or of none.
pub(crate) async fn put(call: Call<'_>, key: &Key) -> Result<Response, Failure> {
    let headers = &call.head.headers;
    let condition = precondition(headers)?;
    let new = new(&call, call.body.clone())?;
    let meta = call.state.put(key, condition, new).await?;
    Ok(written(&call, key, &meta, condition == Condition::Absent).await)
}

fn new(call: &Call<'_>, content: Bytes) -> Result<New, Refusal> {
    let headers = &call.head.headers;
    Ok(New { content, content_type: shared(content_type(headers)?), schema: schema(headers)?, terms: terms(call)? })
}

/// Most values are JSON: their type is one text.
fn shared(content_type: &str) -> Arc<str> {
    Arc::from(content_type)
}

/// A change of a value: a JSON Patch, or something that is appended.
pub(crate) async fn patch(call: Call<'_>, key: &Key) -> Result<Response, Failure> {
    let headers = &call.head.headers;
    let condition = precondition(headers)?;
    let is_appended = append(headers)?;
    if !is_appended && !is_json_patch(headers)? {
        let message =
            format!("send a JSON Patch as `{JSON_PATCH}`, or what is to be appended with `Tradewind-Append: true`");
        return Err(Refusal::new(Code::UnsupportedMedia, message).into());
    }
    let (rev, terms) = match condition {
        // The first part of something that will grow.
        Condition::Absent if is_appended => {
            let new = new(&call, call.body.clone())?;
            let meta = call.state.put(key, condition, new).await?;
            return Ok(written(&call, key, &meta, true).await);
        }
        Condition::Absent => {
            let message = "a JSON Patch changes what is there: send `If-Match: \"REV\"`";
            return Err(Refusal::new(Code::BadHeader, message).in_field("if-none-match").into());
        }
        Condition::At(rev) => (rev, terms(&call)?),
    };
    if headers.contains_key(SCHEMA) {
        let message = "a change leaves the schema as it is; send `tradewind-schema` with `PUT`";
        return Err(Refusal::new(Code::BadHeader, message).in_field("tradewind-schema").into());
    }
    let meta = if is_appended {
        call.state.append(key, rev, call.body.clone(), terms).await?
    } else {
        call.state.patch(key, rev, &call.body, terms).await?
    };
    Ok(written(&call, key, &meta, false).await)
}

fn is_json_patch(headers: &HeaderMap) -> Result<bool, Refusal> {
    let essence = content_type(headers)?.split(';').next().unwrap_or_default().trim();
    Ok(essence.eq_ignore_ascii_case(JSON_PATCH))
}

/// A tombstone in place of a value.
pub(crate) async fn delete(call: &Call<'_>, key: &Key) -> Result<Response, Failure> {
    let headers = &call.head.headers;
    let Condition::At(rev) = precondition(headers)? else {
        let message = "what is deleted is named by `If-Match: \"REV\"`";
        return Err(Refusal::new(Code::BadHeader, message).in_field("if-none-match").into());
    };
    let terms = Terms { ttl: None, epoch: epoch(headers)?, by: call.grant.name().cloned() };
    let meta = call.state.delete(key, rev, terms).await?;
    Ok(answer(200, key, &meta, preferred(headers) == Return::Minimal))
}

/// What is restored.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    /// The earlier revision.
    rev: u64,
}

/// The content of an earlier revision as a new one.
pub(crate) async fn restore(call: &Call<'_>, key: &Key) -> Result<Response, Failure> {
    let condition = precondition(&call.head.headers)?;
    let Restore { rev } = body(&call.body, "{\"rev\": 7}")?;
    let meta = call.state.restore(key, number("rev", rev)?, condition, terms(call)?).await?;
    Ok(written(call, key, &meta, condition == Condition::Absent).await)
}

/// What is copied, and where to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fork {
    /// The namespace of the copy; that of the source when absent.
    #[serde(default)]
    namespace: Option<String>,
    /// The key of the copy.
    key: String,
    /// The revision; the newest when absent.
    #[serde(default)]
    rev: Option<u64>,
}

/// The content of a revision under another key.
pub(crate) async fn fork(call: &Call<'_>, key: &Key) -> Result<Response, Failure> {
    unconditional(&call.head.headers, "`rev` of the body names the revision, and there must be no value at its copy")?;
    let Fork { namespace, key: name, rev } = body(&call.body, "{\"key\": \"another\"}")?;
    let namespace = namespace.as_deref().unwrap_or(key.namespace.as_str());
    let to = Key::parse(namespace, &name).map_err(|error| bad_name("key", &error))?;
    may_use(call.grant, &to)?;
    let at = rev.map(|rev| number("rev", rev)).transpose()?.map_or(At::Head, At::Rev);
    let meta = call.state.fork(key, at, &to, terms(call)?).await?;
    Ok(written(call, &to, &meta, true).await)
}

/// The answer to a write, with as much of it as the caller would like to have. It has happened, whatever comes of a look at
/// it: where the content cannot be had, the answer is the usual one, as RFC 7240 §2 lets it be.
async fn written(call: &Call<'_>, key: &Key, meta: &Meta, is_new: bool) -> Response {
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let preferred = preferred(&call.head.headers);
    if preferred == Return::Representation
        // What was written a moment ago may have been replaced, but its revision is there.
        && let Ok(value) = call.state.get(key, At::Rev(meta.rev)).await
    {
        return represented(status, &value);
    }
    answer(status.as_u16(), key, meta, preferred == Return::Minimal)
}

/// The answer to a redeemed token, whose content is here already.
pub(crate) fn redeemed(call: &Call<'_>, key: &Key, value: &Value) -> Response {
    match preferred(&call.head.headers) {
        Return::Representation => represented(StatusCode::OK, value),
        preferred => answer(200, key, &value.meta, preferred == Return::Minimal),
    }
}

fn represented(status: StatusCode, value: &Value) -> Response {
    let mut response = content(value);
    *response.status_mut() = status;
    response.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static("return=representation"));
    response
}

/// A revision as an answer: in the headers, and in a body unless none is wanted.
fn answer(status: u16, key: &Key, meta: &Meta, is_minimal: bool) -> Response {
    let mut response =
        if is_minimal { Response::new(Body::whole("")) } else { json_response(status, json(&Shown::new(key, meta))) };
    let headers = response.headers_mut();
    about(headers, meta);
    if is_minimal {
        headers.remove(CONTENT_TYPE);
        headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static("return=minimal"));
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

/// Reads a body of JSON that is no value.
pub(crate) fn body<T: DeserializeOwned>(bytes: &[u8], example: &str) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        let code = if error.is_data() { Code::BadField } else { Code::MalformedJson };
        Refusal::new(code, format!("send {example}: {error}"))
    })
}

/// A revision in a body.
pub(crate) fn number(field: &'static str, rev: u64) -> Result<Rev, Refusal> {
    Rev::new(rev).ok_or_else(|| {
        Refusal::new(Code::BadField, format!("`{field}` is a revision: a number from 1 on")).in_field(field)
    })
}
