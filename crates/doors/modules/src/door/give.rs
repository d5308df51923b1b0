//! What was asked for, as a response.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::stream::unfold;
use http::header::{ACCEPT_RANGES, CONTENT_RANGE};
use http::{HeaderValue, Method, StatusCode, request};
use http_body::Frame;
use http_body_util::StreamBody;
use ring::digest::{SHA256, digest};
use tradewind_core::{FaultKind, to_hex};
use tradewind_door::{Body, Response};

use super::answer::{BYTES, JSON, Keep, TEXT, ZIP, common, failed, response};
use super::body::{ZipBody, read_at, read_now, unread};
use super::conditions::{Wanted, has_already, wanted};
use super::record::{DECISION, Recording};
use crate::failure::Failure;
use crate::fetch::{Changing, Fetcher, May, Mount, Passed, Progress, Taken, Watch};
use crate::name::{Asked, ModuleVersion, Query, SumdbAsked};
use crate::section::Release;
use crate::store::{Manifest, Store, StoreError, Zip, ZipFile};

/// What is held back of a zip until it was checked, beside all from its directory on, without which nothing can be read of it:
/// an upstream may say that it is longer than it is, and end it there.
const HELD_BACK: u64 = 64 * 1024;
/// What is read and sent at once of a zip that is still coming in. hyper takes some such pieces ahead of the socket, for each of
/// those who wait for it.
const STREAMED: usize = 64 * 1024;
/// For how long the answer to a lookup may be kept: the tree head in it grows old, which does no harm.
const LOOKUP: u64 = 3600;

/// One request that is being answered.
pub(super) struct Giving<'a> {
    pub(super) fetcher: &'a Arc<Fetcher>,
    pub(super) mount: &'a Arc<Mount>,
    pub(super) head: &'a request::Parts,
    /// Whether nothing may be fetched.
    pub(super) offline: bool,
}

impl Giving<'_> {
    pub(super) async fn give(self, asked: &Asked, recording: Recording) -> Response {
        let (fetcher, mount) = (self.fetcher, self.mount);
        match asked {
            Asked::Zip(of) => self.zip(of, recording).await,
            Asked::Mod(of) => self.version_file(of, true, recording).await,
            Asked::Info(path, Query::Version(version)) => {
                let of = ModuleVersion { path: path.clone(), version: version.clone() };
                self.version_file(&of, false, recording).await
            }
            Asked::List(_) | Asked::Latest(_) | Asked::Info(..) => {
                let content_type = if matches!(asked, Asked::List(_)) { TEXT } else { JSON };
                match fetcher.answer(mount, asked, self.offline).await {
                    Ok(Changing { body, taken, from, fresh }) => {
                        let keep = if fresh == 0 { Keep::Asking } else { Keep::Seconds(fresh) };
                        small(body, content_type, keep, (taken, &from), self.head, recording)
                    }
                    Err(failure) => failed(&failure, mount, recording),
                }
            }
            Asked::Sumdb(sumdb) => match fetcher.passed(mount, sumdb, self.offline).await {
                Ok(Passed { bytes, taken, is_checked }) => {
                    let (content_type, keep) = match sumdb {
                        // Nobody in between keeps what may be wrong.
                        SumdbAsked::Latest { .. } | SumdbAsked::Lookup { .. } if !is_checked => (TEXT, Keep::Never),
                        SumdbAsked::Tile { .. } if !is_checked => (BYTES, Keep::Never),
                        SumdbAsked::Supported { .. } => (TEXT, Keep::Seconds(300)),
                        SumdbAsked::Latest { .. } => (TEXT, Keep::Asking),
                        SumdbAsked::Lookup { .. } => (TEXT, Keep::Seconds(LOOKUP)),
                        SumdbAsked::Tile { .. } => (BYTES, Keep::ForEver),
                    };
                    small(bytes, content_type, keep, (taken, sumdb.name().as_str()), self.head, recording)
                }
                Err(failure) => failed(&failure, mount, recording),
            },
        }
    }

    /// What may be fetched.
    const fn may(&self) -> May {
        if self.offline { May::Nothing } else { May::Whole }
    }

    async fn version_file(&self, of: &ModuleVersion, is_mod: bool, recording: Recording) -> Response {
        match self.fetcher.small(self.mount, of, is_mod, self.may()).await {
            Ok(given) => {
                let content_type = if is_mod { TEXT } else { JSON };
                small(given.bytes, content_type, Keep::ForEver, (given.taken, &given.from), self.head, recording)
            }
            Err(failure) => failed(&failure, self.mount, recording),
        }
    }

    async fn zip(&self, of: &ModuleVersion, recording: Recording) -> Response {
        // A file that has gone meanwhile is fetched again, once.
        for _ in 0..2 {
            let manifest = match self.fetcher.stored(self.mount, of, self.may()).await {
                Ok(manifest) => manifest,
                Err(failure) => return failed(&failure, self.mount, recording),
            };
            let (manifest, taken) = match manifest {
                Some(manifest) => (manifest, Taken::Stored),
                None if self.offline => return failed(&crate::fetch::not_cached(), self.mount, recording),
                None => match self.arriving(of).await {
                    Ok(Arriving::Stored(manifest)) => (manifest, Taken::Fetched),
                    Ok(Arriving::Coming(coming)) => return self.streamed(coming, recording),
                    Err(failure) => return failed(&failure, self.mount, recording),
                },
            };
            match self.fetcher.open_zip(self.mount, &manifest).await {
                Ok(Some(zip)) => return stored_zip(&self.fetcher.store, self.head, &manifest, zip, taken, recording),
                Ok(None) => {}
                Err(failure) => return failed(&failure, self.mount, recording),
            }
        }
        let failure = Failure::from(StoreError::Gone);
        failed(&failure, self.mount, recording)
    }

    /// Waits until a zip is stored, or, where it is given while it comes in, until it comes.
    async fn arriving(&self, of: &ModuleVersion) -> Result<Arriving, Failure> {
        let mut watch = self.fetcher.zip(self.mount, of)?;
        let streams = self.mount.release == Release::Streaming && self.head.method == Method::GET;
        let found = watch
            .until(|progress| match progress {
                Progress::Waiting => None,
                Progress::Coming { file, length, .. } => {
                    (streams && *length > HELD_BACK).then(|| Ok(Found::Coming(Arc::clone(file), *length)))
                }
                Progress::Over(result) => Some(result.clone().map(Found::Stored)),
            })
            .await??;
        Ok(match found {
            Found::Stored(manifest) => Arriving::Stored(manifest),
            Found::Coming(file, length) => Arriving::Coming(Coming { watch, file, length, at: 0 }),
        })
    }

    /// A zip that is given while it comes in.
    fn streamed(&self, coming: Coming, mut recording: Recording) -> Response {
        recording.answers(200, Some((Taken::Fetched, "an upstream, while it comes in")));
        let (id, length) = (recording.header(), coming.length);
        let pieces = unfold(Some((coming, recording)), |state| async move {
            let (mut coming, recording) = state?;
            match coming.piece().await {
                Ok(piece) if coming.at == coming.length => {
                    recording.whole();
                    Some((Ok(Frame::data(piece)), None))
                }
                Ok(piece) => Some((Ok(Frame::data(piece)), Some((coming, recording)))),
                Err(failure) => {
                    recording.broke_off(&failure);
                    Some((Err(std::io::Error::other(failure)), None))
                }
            }
        });
        let body = Body::stream(StreamBody::new(pieces));
        let mut response = response(StatusCode::OK, ZIP, Keep::ForEver, None, Some(length), body);
        response.headers_mut().extend(id.map(|id| (DECISION, id)));
        response
    }
}

/// Where a zip that was not stored is now.
enum Arriving {
    Stored(Arc<Manifest>),
    Coming(Coming),
}

enum Found {
    Stored(Arc<Manifest>),
    Coming(Arc<std::fs::File>, u64),
}

/// A zip that is being written, and how much of it was given.
struct Coming {
    watch: Watch,
    file: Arc<std::fs::File>,
    length: u64,
    at: u64,
}

impl Coming {
    /// The next piece of what may be given.
    async fn piece(&mut self) -> Result<Bytes, Failure> {
        let (at, length) = (self.at, self.length);
        let until = self
            .watch
            .until(|progress| match progress {
                Progress::Waiting => None,
                // It broke off, and another upstream is asked: what it gives may be packed in another way.
                Progress::Coming { file, .. } if !Arc::ptr_eq(file, &self.file) => {
                    let reason = "the upstream broke off, and another one is asked: try again";
                    Some(Err(Failure::upstream(FaultKind::Cut, 502, reason)))
                }
                Progress::Coming { before, .. } => {
                    let may = (*before).min(length.saturating_sub(HELD_BACK));
                    (may > at).then_some(Ok(may))
                }
                Progress::Over(Ok(manifest)) if manifest.zip.size == length => Some(Ok(length)),
                Progress::Over(Ok(_)) => Some(Err(Failure::internal("the zip has another length than was said"))),
                Progress::Over(Err(failure)) => Some(Err(failure.clone())),
            })
            .await??;
        let file = Arc::clone(&self.file);
        let size = usize::try_from(until - at).map_or(STREAMED, |size| size.min(STREAMED));
        // Made by the thread that sends and drops it, and not by one that reads: what many threads have freed for each other
        // an allocator keeps for long.
        let mut buffer = BytesMut::zeroed(size);
        // What has just been written is still in memory.
        if read_now(&file, &mut buffer, at) == Some(size) {
            self.at += size as u64;
            return Ok(buffer.freeze());
        }
        let reading = tokio::task::spawn_blocking(move || read_at(&file, &mut buffer, at).map(|()| buffer.freeze()));
        let read = reading.await.map_err(|_| Failure::internal("reading the zip broke off"))?;
        let piece = read.map_err(|error| unread(&error))?;
        self.at += piece.len() as u64;
        Ok(piece)
    }
}

/// A zip that is stored; closes the record, at the latest when it has been sent.
pub(super) fn stored_zip(
    store: &Store,
    head: &request::Parts,
    manifest: &Manifest,
    zip: Zip,
    taken: Taken,
    mut recording: Recording,
) -> Response {
    let (etag, size) = (manifest.zip.sha256.quoted(), manifest.zip.size);
    if has_already(&head.headers, &etag) {
        return unchanged(&etag, Keep::ForEver, recording);
    }
    let (status, from, end) = match wanted(&head.headers, &etag, size) {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part(from, end) if head.method == Method::GET => (StatusCode::PARTIAL_CONTENT, from, end),
        Wanted::Part(..) => (StatusCode::OK, 0, size),
        Wanted::Nothing => return not_satisfiable(size, recording),
    };
    recording.answers(status.as_u16(), Some((taken, &manifest.upstream)));
    let id = recording.header();
    let length = end - from;
    let body = if head.method == Method::HEAD || length == 0 {
        recording.whole();
        Body::whole(Bytes::new())
    } else {
        match part(store, zip, from, end) {
            Ok(bytes) => {
                recording.whole();
                Body::whole(bytes)
            }
            Err(file) => Body::stream(ZipBody::new(file, from, end, recording)),
        }
    };
    let mut response = response(status, ZIP, Keep::ForEver, Some(&etag), Some(length), body);
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = HeaderValue::from_str(&format!("bytes {from}-{}/{size}", end - 1));
        headers.extend(range.ok().map(|range| (CONTENT_RANGE, range)));
    }
    if let Some(id) = id {
        headers.insert(DECISION, id);
    }
    response
}

/// The bytes from `from` to before `end`, where they are few and in memory; else the file to read them from.
fn part(store: &Store, zip: Zip, from: u64, end: u64) -> Result<Bytes, ZipFile> {
    let file = match zip {
        Zip::InMemory(mut bytes) => {
            let place = |at| usize::try_from(at).expect("a range of a zip in memory");
            bytes.truncate(place(end));
            bytes.advance(place(from));
            return Ok(bytes);
        }
        Zip::File(file) => file,
    };
    if end - from > Store::SMALL {
        return Err(file);
    }
    let mut buffer = BytesMut::zeroed(usize::try_from(end - from).expect("a small part"));
    if read_now(&file.file, &mut buffer, from) != Some(buffer.len()) {
        return Err(file);
    }
    let bytes = buffer.freeze();
    store.remember_zip(&file.blob, &bytes);
    Ok(bytes)
}

/// A small answer; closes the record.
fn small(
    bytes: Bytes,
    content_type: HeaderValue,
    keep: Keep,
    taken: (Taken, &str),
    head: &request::Parts,
    mut recording: Recording,
) -> Response {
    let etag = ["\"", &to_hex(&digest(&SHA256, &bytes).as_ref()[..16]), "\""].concat();
    if has_already(&head.headers, &etag) {
        return unchanged(&etag, keep, recording);
    }
    recording.answers(200, Some(taken));
    let (id, length) = (recording.header(), bytes.len() as u64);
    recording.whole();
    let body = Body::whole(if head.method == Method::HEAD { Bytes::new() } else { bytes });
    let mut response = response(StatusCode::OK, content_type, keep, Some(&etag), Some(length), body);
    response.headers_mut().extend(id.map(|id| (DECISION, id)));
    response
}

/// The response to a caller who has it already.
fn unchanged(etag: &str, keep: Keep, mut recording: Recording) -> Response {
    let mut response = http::Response::new(Body::whole(Bytes::new()));
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    common(response.headers_mut(), keep, Some(etag));
    response.headers_mut().extend(recording.header().map(|id| (DECISION, id)));
    recording.answers(304, None);
    recording.whole();
    response
}

/// The response to a range that is not there (RFC 9110 §15.5.17).
fn not_satisfiable(size: u64, mut recording: Recording) -> Response {
    let text = Bytes::from(format!("the zip has {size} bytes\n"));
    let length = text.len() as u64;
    let mut response =
        response(StatusCode::RANGE_NOT_SATISFIABLE, TEXT, Keep::Never, None, Some(length), Body::whole(text));
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(&format!("bytes */{size}")).ok().map(|range| (CONTENT_RANGE, range)));
    headers.extend(recording.header().map(|id| (DECISION, id)));
    recording.answers(416, None);
    recording.whole();
    response
}

/// The catalog, or the index; closes the record.
pub(super) fn listed(bytes: Bytes, is_index: bool, head: &request::Parts, recording: Recording) -> Response {
    let content_type = if is_index { HeaderValue::from_static("application/x-ndjson") } else { JSON };
    small(bytes, content_type, Keep::Asking, (Taken::Stored, "the store"), head, recording)
}
