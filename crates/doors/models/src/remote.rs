//! An embedder behind a provider's `/v1/embeddings`: asked with a time limit of its own, beside the call that needs it.
//!
//! What it says is a help and never a condition: a call waits for it no longer than the embedder's `timeout`, and goes on
//! without a vector otherwise. One that fails [`MOST_FAILURES`] times in a row is left alone for [`REST`]; then a single
//! call tries it. What it says about a text that it was sent (400, 413, 422) is no such failure: otherwise one caller could
//! take it from all others. No call waits for another call's question. What the provider charges for vectors is on no caller's
//! bill.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use parking_lot::Mutex;
use tradewind_core::{Clock, Moment, TargetId, format_duration};
use tradewind_decide::retry_after;
use tradewind_egress::RequestBody;
use tradewind_meaning::{LONGEST_REMOTE_ANSWER, MAX_QUESTION_BYTES, RemoteEmbedder, Vector};
use tradewind_policy::Operation;

use crate::embedding::Embedders;
use crate::link::Link;

/// After so many failures in a row it is left alone.
const MOST_FAILURES: u32 = 3;
/// For how long.
const REST: Duration = Duration::from_secs(10);
/// The most texts that are sent in one request.
const TEXTS_AT_ONCE: usize = 64;
/// What an answer may have for each text, in bytes: 16,384 numbers of 16 characters.
const ANSWER_PER_TEXT: usize = LONGEST_REMOTE_ANSWER / TEXTS_AT_ONCE;

/// A provider that gives vectors.
pub(crate) struct Remote {
    link: Arc<Link>,
    embedder: RemoteEmbedder,
    /// How long a call waits.
    timeout: Duration,
    /// What is asked, as the provider's keys know it.
    target: TargetId,
    /// Tells its vectors apart from those of others: the name of an embedder may stand for another one after a reload.
    identity: Arc<str>,
    resting: Mutex<Resting>,
}

/// Why there are no vectors.
#[derive(Debug)]
pub(crate) struct NoVectors {
    /// In words.
    pub(crate) why: String,
    /// Whether that is about the texts that were sent, and says nothing about others.
    pub(crate) of_texts: bool,
}

impl From<String> for NoVectors {
    fn from(why: String) -> Self {
        Self { why, of_texts: false }
    }
}

/// Whether it is left alone.
#[derive(Debug, Default)]
struct Resting {
    failures: u32,
    until: Moment,
}

impl Remote {
    /// A way to ask `link` for vectors of `embedder`.
    pub(crate) fn new(link: Arc<Link>, embedder: RemoteEmbedder, timeout: Duration) -> Self {
        let RemoteEmbedder { model, dimensions } = &embedder;
        let identity = format!("{} {} {model} {dimensions:?}", link.name, link.server);
        Self {
            target: TargetId::new(&format!("{}/{model}", link.name)),
            identity: identity.into(),
            link,
            embedder,
            timeout,
            resting: Mutex::default(),
        }
    }

    /// Under which name its vectors are kept.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// Asks for the vector of `text` and keeps it with `embedders`: within its time limit and `patience`, and not at all
    /// while it is left alone.
    pub(crate) async fn learn(&self, text: &str, embedders: &Embedders, patience: Option<Duration>, clock: &dyn Clock) {
        if !self.resting.lock().may_ask(clock.now()) {
            return;
        }
        let limit = patience.map_or(self.timeout, |patience| patience.min(self.timeout));
        let read = &text[..text.floor_char_boundary(MAX_QUESTION_BYTES)];
        let asked = self.embed(&[read], limit, clock).await;
        let of_texts = asked.as_ref().is_err_and(|none| none.of_texts);
        // A caller who is in a greater hurry says nothing about the provider.
        if asked.is_ok() || (limit == self.timeout && !of_texts) {
            self.resting.lock().note(asked.is_ok(), clock.now());
        }
        if let Some(vector) = asked.ok().and_then(|mut vectors| vectors.pop()) {
            embedders.cache.put(&self.identity, text, Arc::new(vector));
        }
    }

    /// The vectors of any number of `texts`, in their order; `limit` is for each of as many requests as it takes. An empty
    /// text has the zero vector.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) async fn embed_all(
        &self,
        texts: &[String],
        limit: Duration,
        clock: &dyn Clock,
    ) -> Result<Vec<Vector>, NoVectors> {
        let asked: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.trim().is_empty()).collect();
        let mut vectors = Vec::with_capacity(asked.len());
        for some in asked.chunks(TEXTS_AT_ONCE) {
            vectors.extend(self.embed(some, limit, clock).await?);
        }
        let dimensions = vectors.first().map_or(1, Vector::dimensions);
        let mut vectors = vectors.into_iter();
        let of_text = |text: &String| {
            if text.trim().is_empty() { Vector::new(vec![0.0; dimensions]).ok() } else { vectors.next() }
        };
        texts.iter().map(of_text).collect::<Option<_>>().ok_or_else(|| "it left out texts".to_owned().into())
    }

    /// The vectors of `texts`, in their order.
    ///
    /// # Errors
    /// Why there are none within `limit`.
    async fn embed(&self, texts: &[&str], limit: Duration, clock: &dyn Clock) -> Result<Vec<Vector>, NoVectors> {
        let request = self.embedder.request(texts);
        let body = Bytes::from(request.map_err(|error| NoVectors { why: error.to_string(), of_texts: true })?);
        let link = &self.link;
        let keys = &link.keys;
        let Some(key) = keys.pick(&self.target, clock.now()) else {
            return Err(format!("every key for {} rests after a rate limit or was refused", self.target).into());
        };
        let build = || {
            let mut request = Request::new(RequestBody::new(body.clone()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = link.target(Operation::Embeddings, &self.embedder.model, None);
            let headers = request.headers_mut();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            link.dress(headers, Some(key));
            request
        };
        let asking = async {
            let answer = link
                .route
                .send(&build, limit, true, 0)
                .await
                .map_err(|fault| NoVectors::from(fault.detail.into_owned()))?;
            let status = answer.head.status;
            if status == 429 {
                let header = |name: &str| answer.head.headers.get(name).and_then(|value| value.to_str().ok());
                keys.cool(key, &self.target, clock.now(), retry_after(header, clock.wall()));
            }
            if !status.is_success() {
                let of_texts = matches!(status.as_u16(), 400 | 413 | 422);
                return Err(NoVectors { why: format!("{} answered {status}", link.route.name()), of_texts });
            }
            keys.accept(key);
            let longest = ANSWER_PER_TEXT * texts.len();
            match Limited::new(answer.body, longest).collect().await {
                Ok(body) => {
                    self.embedder.answer(texts.len(), &body.to_bytes()).map_err(|error| error.to_string().into())
                }
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(format!("{} sent more than {longest} bytes", link.route.name()).into())
                }
                Err(error) => Err(error.to_string().into()),
            }
        };
        tokio::time::timeout(limit, asking).await.unwrap_or_else(|_| {
            Err(format!("{} did not give vectors within {}", link.route.name(), format_duration(limit)).into())
        })
    }
}

impl Resting {
    /// Whether it may be asked. When it has rested, the one who asks first tries it, and it goes on resting for the others.
    fn may_ask(&mut self, now: Moment) -> bool {
        if self.failures < MOST_FAILURES {
            return true;
        }
        let rested = now >= self.until;
        if rested {
            self.until = now + REST;
        }
        rested
    }

    fn note(&mut self, answered: bool, now: Moment) {
        if answered {
            self.failures = 0;
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.until = now + REST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_keeps_failing_is_left_alone_and_then_tried_once() {
        let mut resting = Resting::default();
        let at = |seconds: u64| Moment::START + Duration::from_secs(seconds);
        for _ in 0..MOST_FAILURES {
            assert!(resting.may_ask(at(1)));
            resting.note(false, at(1));
        }
        assert!(!resting.may_ask(at(1)));
        assert!(!resting.may_ask(at(10)));
        assert!(resting.may_ask(at(11)), "it has rested");
        assert!(!resting.may_ask(at(11)), "one of the calls tries it, the others go on");
        resting.note(false, at(12));
        assert!(!resting.may_ask(at(21)));
        assert!(resting.may_ask(at(22)));
        resting.note(true, at(22));
        assert!(resting.may_ask(at(22)) && resting.may_ask(at(22)), "an answer ends it");
        resting.note(false, at(23));
        resting.note(true, at(23));
        resting.note(false, at(23));
        resting.note(false, at(23));
        assert!(resting.may_ask(at(23)), "only failures in a row count");
    }
}
