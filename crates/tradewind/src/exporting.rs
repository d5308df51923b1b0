//! What telemetry sends out of the process, spans and log lines, started and changed as the document says.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use parking_lot::Mutex;
use tradewind_dispatch::Services;
use tradewind_egress::{Egress, Roots};
use tradewind_policy::{LogFormat, LoggedCalls, Logs, Otlp, Telemetry};
use tradewind_runtime::Supervisor;
use tradewind_telemetry as telemetry;
use tradewind_telemetry::{Log, SpanSettings, SpanStats, Spans};

use crate::collector::Collector;

/// How long the last spans and lines may take when the gateway stops, each.
const LAST: Duration = Duration::from_secs(2);

/// The exports that run. Clones are the same.
#[derive(Clone)]
pub(crate) struct Exporting(Arc<Inner>);

struct Inner {
    services: Arc<Services>,
    egress: Arc<Egress>,
    roots: Roots,
    supervisor: Supervisor,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    otlp: Option<Otlp>,
    spans: Option<Spans>,
    logs: Option<Logs>,
    log: Option<Log>,
    /// Lost by exports that have ended.
    lost_spans: u64,
    lost_lines: u64,
}

/// Exports that have been started for other settings. They end when this is dropped.
#[must_use = "exports that are only prepared get nothing to send"]
pub(crate) struct Prepared {
    /// Where they differ from those that run.
    otlp: Option<(Option<Otlp>, Option<Spans>)>,
    logs: Option<(Logs, Option<Log>)>,
}

impl Exporting {
    /// No exports yet.
    pub(crate) fn new(services: Arc<Services>, egress: Arc<Egress>, roots: Roots, supervisor: Supervisor) -> Self {
        Self(Arc::new(Inner { services, egress, roots, supervisor, running: Mutex::default() }))
    }

    /// A way back to the exports for those that they hold themselves, such as metrics.
    pub(crate) fn weak(&self) -> impl Fn() -> Option<Self> + Send + Sync + 'static {
        let inner = Arc::downgrade(&self.0);
        move || inner.upgrade().map(Self)
    }

    /// Does what `settings` say from the next call on. What did not change goes on.
    ///
    /// # Errors
    /// As [`Self::prepare`]; then the exports of before go on.
    pub(crate) fn apply(&self, settings: &Telemetry) -> Result<(), String> {
        self.put_in_place(self.prepare(settings)?);
        Ok(())
    }

    /// Starts what `settings` say and what does not run already. Nothing is sent to it yet.
    ///
    /// # Errors
    /// When a thread cannot be started or the collector's URL is none.
    pub(crate) fn prepare(&self, settings: &Telemetry) -> Result<Prepared, String> {
        let running = self.0.running.lock();
        let mut prepared = Prepared { otlp: None, logs: None };
        if running.otlp != settings.otlp {
            let spans = settings.otlp.as_ref().map(|otlp| self.start_spans(otlp)).transpose()?;
            prepared.otlp = Some((settings.otlp.clone(), spans));
        }
        if running.logs != Some(settings.logs) {
            prepared.logs = Some((settings.logs, start_log(settings.logs)?));
        }
        Ok(prepared)
    }

    /// Lets `prepared` take the place of what runs.
    pub(crate) fn put_in_place(&self, prepared: Prepared) {
        let mut running = self.0.running.lock();
        let services = &self.0.services;
        if let Some((otlp, spans)) = prepared.otlp {
            services.sinks.set_spans(spans.as_ref().map(Spans::sender));
            services.sampling.set(otlp.as_ref().map(|otlp| otlp.sample));
            running.otlp = otlp;
            if let Some(before) = std::mem::replace(&mut running.spans, spans) {
                running.lost_spans += before.stats().dropped;
                // Its last spans may take as long as a collector that hangs: not on the thread that reloads.
                let _ = std::thread::Builder::new().name("last-spans".to_owned()).spawn(move || before.close(LAST));
            }
        }
        if let Some((logs, log)) = prepared.logs {
            services.sinks.set_log(log.as_ref().map(Log::sender));
            running.logs = Some(logs);
            if let Some(before) = std::mem::replace(&mut running.log, log) {
                running.lost_lines += before.sender().dropped();
                let _ = std::thread::Builder::new().name("last-lines".to_owned()).spawn(move || before.close(LAST));
            }
        }
    }

    fn start_spans(&self, otlp: &Otlp) -> Result<Spans, String> {
        let inner = &self.0;
        let base = otlp.endpoint.as_str();
        let host = &base[..base.len() - otlp.endpoint.path().len()];
        let endpoint: Uri = format!("{host}{}", otlp.traces_path())
            .parse()
            .map_err(|error| format!("telemetry.otlp.endpoint cannot be used: {error}"))?;
        let collector = Collector::new(&endpoint, &inner.egress, &inner.roots, &inner.supervisor)?;
        let mut settings = SpanSettings::new(endpoint);
        settings.timeout = otlp.timeout.get();
        settings.headers = headers(otlp);
        let clock = inner.services.clock.clone();
        Spans::start(settings, Arc::new(collector), clock).map_err(|error| format!("spans cannot be exported: {error}"))
    }

    /// What has become of spans.
    pub(crate) fn span_stats(&self) -> SpanStats {
        let running = self.0.running.lock();
        let mut stats = running.spans.as_ref().map(Spans::stats).unwrap_or_default();
        stats.dropped += running.lost_spans;
        stats
    }

    /// Lines of the log that were lost.
    pub(crate) fn lost_lines(&self) -> u64 {
        let running = self.0.running.lock();
        running.lost_lines + running.log.as_ref().map_or(0, |log| log.sender().dropped())
    }

    /// Sends what is left, within a few seconds. Blocks.
    pub(crate) fn close(&self) {
        let running = std::mem::take(&mut *self.0.running.lock());
        self.0.services.sinks.set_spans(None);
        self.0.services.sinks.set_log(None);
        if let Some(spans) = running.spans {
            spans.close(LAST);
        }
        if let Some(log) = running.log {
            log.close(LAST);
        }
    }
}

/// The headers of the document, which has been checked.
fn headers(otlp: &Otlp) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &otlp.headers {
        if let (Ok(name), Ok(mut value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value.expose()))
        {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers
}

fn start_log(logs: Logs) -> Result<Option<Log>, String> {
    let calls = match logs.calls {
        LoggedCalls::None => return Ok(None),
        LoggedCalls::Failed => telemetry::LogCalls::Failed,
        LoggedCalls::All => telemetry::LogCalls::All,
    };
    let format = match logs.format {
        LogFormat::Text => telemetry::LogFormat::Text,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    let log = Log::start(Box::new(std::io::stderr()), calls, format);
    log.map(Some).map_err(|error| format!("calls cannot be logged: {error}"))
}
