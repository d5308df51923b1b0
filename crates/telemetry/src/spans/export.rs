//! The thread that sends spans: batches, limits of time, and trying again.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use tradewind_core::Clock;

use super::{Counts, Post, SpanSettings, encode};
use crate::outbox::{Gone, Outbox};
use crate::record::Record;

/// How often one batch is sent at most.
const TRIES: u32 = 3;
/// The longest wait that a collector may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long a request may still take once the export is closed.
const LAST_TIMEOUT: Duration = Duration::from_millis(1500);

pub(super) struct Exporter {
    settings: SpanSettings,
    post: Arc<dyn Post>,
    clock: Arc<dyn Clock>,
    outbox: Arc<Outbox<Arc<Record>>>,
    counts: Arc<Counts>,
}

/// Why a batch was not taken.
enum Refused {
    /// It may be sent again, after this time if the collector named one.
    Later(Option<Duration>),
    /// It would be refused again.
    Never,
}

impl Exporter {
    pub(super) fn new(
        settings: SpanSettings,
        post: Arc<dyn Post>,
        clock: Arc<dyn Clock>,
        outbox: Arc<Outbox<Arc<Record>>>,
        counts: Arc<Counts>,
    ) -> Self {
        Self { settings, post, clock, outbox, counts }
    }

    /// Runs until the outbox is closed and empty, or abandoned.
    pub(super) fn run(self) {
        let _gone = Gone(&*self.outbox);
        while let Some(records) = self.outbox.take(self.settings.batch_time) {
            let body = encode::request(&self.settings.service, records.iter().map(Arc::as_ref));
            let count = records.len();
            // Not held while the collector takes its time.
            drop(records);
            if self.send(Bytes::from(body)) {
                self.counts.exported.fetch_add(count as u64, Ordering::Relaxed);
            } else {
                self.outbox.count_dropped(count);
            }
        }
    }

    fn send(&self, body: Bytes) -> bool {
        let mut backoff = self.settings.backoff;
        for attempt in 1..=TRIES {
            let Err(refused) = self.try_once(body.clone()) else { return true };
            self.counts.failures.fetch_add(1, Ordering::Relaxed);
            let Refused::Later(asked) = refused else { return false };
            if attempt == TRIES || self.outbox.is_closing() {
                return false;
            }
            let spread = f64::from(self.clock.now().micros() as u16) / f64::from(u16::MAX);
            let own = backoff.mul_f64(1.0 + spread / 2.0);
            self.outbox.pause(asked.map_or(own, |asked| asked.min(LONGEST_WAIT)));
            backoff *= 2;
        }
        false
    }

    fn try_once(&self, body: Bytes) -> Result<(), Refused> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.settings.endpoint.clone();
        *request.headers_mut() = self.settings.headers.clone();
        let kind = HeaderValue::from_static("application/x-protobuf");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        let answer = self.wait_for(self.post.post(request));
        let Some(Ok(answer)) = answer else { return Err(Refused::Later(None)) };
        match answer.status() {
            status if status.is_success() => Ok(()),
            // Section "Retryable response codes" of OTLP.
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let seconds = answer.headers().get(header::RETRY_AFTER).and_then(|wait| wait.to_str().ok());
                Err(Refused::Later(seconds.and_then(|wait| wait.parse().ok()).map(Duration::from_secs)))
            }
            _ => Err(Refused::Never),
        }
    }

    /// Awaits `future` on this thread. `None`, and the future dropped, when it takes longer than the timeout, or the
    /// export was closed and does not want to wait any longer.
    fn wait_for<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut deadline = self.clock.now() + self.settings.timeout;
        let mut closing = false;
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Some(output);
            }
            let now = self.clock.now();
            if !closing && self.outbox.is_closing() {
                closing = true;
                deadline = deadline.min(now + LAST_TIMEOUT);
            }
            if now >= deadline || self.outbox.is_abandoned() {
                return None;
            }
            // In steps, to notice that the export is closed.
            thread::park_timeout(deadline.since(now).min(Duration::from_millis(100)));
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
