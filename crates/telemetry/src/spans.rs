//! Spans: the calls of sampled traces, told to a collector by OTLP over HTTP with binary protobuf
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//!
//! A call leaves its record in a bounded queue when it is over; a thread of its own makes spans of it, sends them in
//! batches, and tries again what may be tried again. A collector that is dead, slow or hanging fills the queue, and
//! what does not fit is dropped and counted: no call ever waits for it.
//!
//! Refused: OpenTelemetry's SDK with its exporter. Its spans are objects that would be built on a call's way, although
//! the record has it all already; its thread waits for an HTTP client without a limit of its own; and it brings a score of
//! crates for what is one message format, written in `wire` and read back in the tests by OpenTelemetry's own types.

mod encode;
mod export;
mod wire;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use tradewind_core::Clock;

use crate::outbox::Outbox;
use crate::record::Record;
use export::Exporter;

/// How long dropping waits for the last spans.
const DROP_WAIT: Duration = Duration::from_secs(2);

/// The answer to a request, or why there is none.
pub type Posting = Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, String>> + Send>>;

/// Sends a request and reads the whole answer. The future is awaited on a thread without a runtime, and dropped when it
/// takes too long.
pub trait Post: fmt::Debug + Send + Sync {
    /// Sends `request`, whose URI is absolute.
    fn post(&self, request: http::Request<Bytes>) -> Posting;
}

/// Where spans go, and how many may wait.
#[derive(Clone, Debug)]
pub struct SpanSettings {
    /// The whole URL: `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: Uri,
    /// Sent with each request. Mark what is secret as sensitive.
    pub headers: HeaderMap,
    /// The longest that one request may take.
    pub timeout: Duration,
    /// How the spans call this service.
    pub service: String,
    /// How many calls may wait; one more is dropped and counted. Each takes about 1.5 KiB.
    pub queue: usize,
    /// How many calls are sent in one request; a call has two spans and one for each attempt.
    pub batch: usize,
    /// The longest that a call waits for others to be sent with.
    pub batch_time: Duration,
    /// How long is waited before a request is tried again, when the collector does not say; twice as long the next time.
    /// Up to half of it more, so that many gateways do not come back at one moment.
    pub backoff: Duration,
}

impl SpanSettings {
    /// The usual bounds, for a collector at `endpoint`.
    #[must_use]
    pub fn new(endpoint: Uri) -> Self {
        Self {
            endpoint,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(10),
            service: "tradewind".to_owned(),
            queue: 2048,
            batch: 128,
            batch_time: Duration::from_secs(1),
            backoff: Duration::from_secs(1),
        }
    }
}

/// What has become of spans so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanStats {
    /// Calls whose spans the collector has taken.
    pub exported: u64,
    /// Calls whose spans were lost: the queue was full, or the collector did not take them.
    pub dropped: u64,
    /// Requests that failed, those that were tried again included.
    pub failures: u64,
    /// Calls that wait.
    pub queued: usize,
}

#[derive(Debug, Default)]
struct Counts {
    exported: AtomicU64,
    failures: AtomicU64,
}

/// The export of spans. Dropping it sends what is queued, within two seconds.
#[derive(Debug)]
pub struct Spans {
    sender: SpanSender,
}

/// Hands records to the export. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SpanSender {
    outbox: Arc<Outbox<Arc<Record>>>,
    counts: Arc<Counts>,
}

impl Spans {
    /// Starts the thread that exports.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start(settings: SpanSettings, post: Arc<dyn Post>, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let outbox = Arc::new(Outbox::new(settings.queue, settings.batch));
        let counts = Arc::new(Counts::default());
        let exporter = Exporter::new(settings, post, clock, Arc::clone(&outbox), Arc::clone(&counts));
        std::thread::Builder::new().name("spans".to_owned()).spawn(move || exporter.run())?;
        Ok(Self { sender: SpanSender { outbox, counts } })
    }

    /// A sender for whoever ends calls.
    #[must_use]
    pub fn sender(&self) -> SpanSender {
        self.sender.clone()
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> SpanStats {
        self.sender.stats()
    }

    /// Waits until what is queued was sent or given up. False when that takes longer than `limit`.
    pub fn flush(&self, limit: Duration) -> bool {
        self.sender.outbox.flush(limit)
    }

    /// Sends what is queued and ends the thread, or leaves it alone when that takes longer than `limit`. Returns how many
    /// calls are lost by that.
    pub fn close(self, limit: Duration) -> usize {
        self.sender.outbox.close(limit)
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        self.sender.outbox.close(DROP_WAIT);
    }
}

impl SpanSender {
    /// Queues the spans of `record`, which has a trace; never waits. False when they are dropped, which is counted.
    pub fn try_send(&self, record: Arc<Record>) -> bool {
        self.outbox.offer(record)
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> SpanStats {
        SpanStats {
            exported: self.counts.exported.load(Ordering::Relaxed),
            dropped: self.outbox.dropped(),
            failures: self.counts.failures.load(Ordering::Relaxed),
            queued: self.outbox.queued(),
        }
    }
}
