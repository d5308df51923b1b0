//! Reads: values, lists, histories, differences.

use http::header::{
    CACHE_CONTROL, CONTENT_LOCATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use tradewind_core::Code;
use tradewind_door::{Body, Refusal, Response, json_response};
use tradewind_store::state::{At, Value};
use tradewind_store::{Key, Meta, Namespace, StateError};

use crate::door::{Call, Failure, may_use};
use crate::head::{
    EPOCH, EXPIRES, HASH, PREFERENCE_APPLIED, SCHEMA, epoch_value, etag, has_already, hash_value, is_wanted, schema,
    type_value,
};
use crate::shown::{Item, Page, Shown, json};

/// The public code of an answer whose body is a value and not an error.
const CODE: HeaderName = HeaderName::from_static("tradewind-code");

/// The content of a revision.
pub(crate) async fn value(call: &Call<'_>, key: &Key) -> Result<Response, Failure> {
    let at = call.query.rev("rev")?.map_or(At::Head, At::Rev);
    let value = call.state.get(key, at).await?;
    let headers = &call.head.headers;
    known(headers, &value.meta)?;
    if !is_wanted(headers, value.meta.rev) {
        let message = format!("this is revision {}, and not the one of `If-Match`", value.meta.rev);
        return Err(Refusal::new(Code::StateLost, message).into());
    }
    if has_already(headers, value.meta.rev) {
        let mut response = Response::new(Body::whole(""));
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().insert(ETAG, etag(value.meta.rev));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        return Ok(response);
    }
    Ok(content(&value))
}

/// Refuses a value of a schema that its reader, who says which one it knows, does not.
///
/// # Errors
/// 409 for another schema or a newer version. A value whose writer named none is the reader's to judge.
pub(crate) fn known(headers: &HeaderMap, meta: &Meta) -> Result<(), Failure> {
    match (schema(headers)?, &meta.schema) {
        (Some(known), Some(found)) if !found.is_known_by(&known) => {
            Err(StateError::OtherSchema { found: found.clone(), known }.into())
        }
        _ => Ok(()),
    }
}

/// A value as a response.
pub(crate) fn content(value: &Value) -> Response {
    let mut response = Response::new(Body::whole(value.content.clone()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, type_value(&value.meta.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Whoever wrote it chose its type: a page that a browser shows from here must not be one that runs as us.
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    about(headers, &value.meta);
    response
}

/// What a response says of a revision in its headers.
pub(crate) fn about(headers: &mut HeaderMap, meta: &Meta) {
    headers.insert(ETAG, etag(meta.rev));
    headers.insert(EPOCH, epoch_value(meta.epoch));
    headers.insert(HASH, hash_value(&meta.hash));
    let schema = meta.schema.as_ref().and_then(|schema| HeaderValue::try_from(schema.to_string()).ok());
    headers.extend(schema.map(|schema| (SCHEMA, schema)));
    let expires = meta.expires_at.and_then(|at| HeaderValue::try_from(at.rfc3339()).ok());
    headers.extend(expires.map(|expires| (EXPIRES, expires)));
}

/// What is there in place of what a write expected, for those who asked for it with `Prefer: return=representation`
/// (RFC 8144 §3.2).
pub(crate) fn lost(value: &Value, path: &str) -> Response {
    let mut response = content(value);
    *response.status_mut() = StatusCode::PRECONDITION_FAILED;
    let headers = response.headers_mut();
    headers.insert(CODE, HeaderValue::from_static(Code::StateLost.name()));
    headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static("return=representation"));
    headers.extend(HeaderValue::from_str(path).ok().map(|path| (CONTENT_LOCATION, path)));
    response
}

/// The revisions of a key.
pub(crate) async fn history(call: &Call<'_>, key: &Key) -> Result<Response, Failure> {
    let (before, limit) = (call.query.rev("before")?, call.query.limit()?);
    let revisions = call.state.history(key, before, limit).await?;
    let next = if revisions.len() == limit { revisions.last().map(|last| last.meta.rev) } else { None };
    let items: Vec<_> =
        revisions.iter().map(|revision| Shown::new(key, &revision.meta).pinned(revision.pinned)).collect();
    Ok(json_response(200, json(&Page { items, next })))
}

/// So many keys are looked at in one go once the first page was not full of what may be seen.
const STEP: usize = 1000;
/// So many times.
const STEPS: usize = 10;

/// The keys of a namespace that the caller's key may use. A page may be shorter than the limit, or empty, and yet have a next
/// one. What comes next is named by a key that may be used: others' names are not told.
///
/// # Errors
/// 403 when none was found among the many that are looked at: then a prefix leads there.
pub(crate) async fn keys(call: &Call<'_>, namespace: &Namespace) -> Result<Response, Failure> {
    let (prefix, limit) = (call.query.text("prefix").unwrap_or_default(), call.query.limit()?);
    let after = call.query.text("after").filter(|after| !after.is_empty()).map(str::to_owned);
    let (mut seen, mut size, mut next) = (Vec::new(), limit, after);
    for _ in 0..STEPS {
        let found = call.state.list(namespace, prefix, next.as_deref(), size).await?;
        let is_short = found.items.len() < size;
        let mut usable = found.items.into_iter().filter(|(key, _)| may_use(call.grant, key).is_ok());
        seen.extend(usable.by_ref().take(limit - seen.len()));
        if found.next.is_none() && usable.next().is_none() {
            return page(&seen, None);
        }
        if seen.len() == limit {
            break;
        }
        next = found.next;
        // Much of what was looked at is gone: the rest is for another call.
        if is_short
            && let Some(name) = &next
            && Key::new(namespace.clone(), name).is_ok_and(|key| may_use(call.grant, &key).is_ok())
        {
            return page(&seen, Some(name));
        }
        size = STEP;
    }
    match seen.last() {
        Some((last, _)) => page(&seen, Some(last.name())),
        None => {
            let message = "there are too many keys here that yours may not use: name a `prefix` of those that it may";
            Err(Refusal::new(Code::NotAllowed, message).in_field("prefix").into())
        }
    }
}

fn page(seen: &[(Key, Result<Meta, StateError>)], next: Option<&str>) -> Result<Response, Failure> {
    let items = seen.iter().map(|(key, head)| Item::new(key, head)).collect();
    Ok(json_response(200, json(&Page { items, next })))
}

/// Namespaces.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Namespaces<'a> {
    #[schemars(with = "Vec<String>")]
    items: Vec<&'a Namespace>,
}

/// The namespaces of which the caller's key may use everything.
pub(crate) async fn namespaces(call: &Call<'_>) -> Result<Response, Failure> {
    let namespaces = call.state.namespaces().await?;
    let may_use_all = |namespace: &&Namespace| call.grant.allows(&format!("state/{namespace}/"));
    let items = namespaces.iter().filter(|namespace| !namespace.is_reserved()).filter(may_use_all).collect();
    Ok(json_response(200, json(&Namespaces { items })))
}

/// How two revisions differ.
pub(crate) async fn diff(call: &Call<'_>, key: &Key) -> Result<Response, Failure> {
    let Some(from) = call.query.rev("from")? else {
        return Err(Refusal::new(Code::BadField, "`from` is missing").in_field("from").into());
    };
    let to = match call.query.rev("to")? {
        Some(to) => to,
        None => call.state.meta(key, At::Head).await?.rev,
    };
    let patch = call.state.diff(key, from, to).await?;
    Ok(json_response(200, format!("{{\"from\":{from},\"to\":{to},\"patch\":{patch}}}")))
}
