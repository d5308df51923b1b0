//! What a closed call goes through: metrics, the spend book, spans, the log, the journal. Its order is a decision: what is
//! only counted comes first and cannot fail; the spend book comes before the journal, so that the journal's batch finds
//! what it books; the journal comes last because it takes the record.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::log::LogSender;
use crate::metrics::Metrics;
use crate::queue::JournalSender;
use crate::record::Record;
use crate::spans::SpanSender;
use crate::spend::Spend;

/// Where the records of closed calls go.
#[derive(Debug)]
pub struct Sinks {
    metrics: Arc<Metrics>,
    spend: Spend,
    spans: ArcSwapOption<SpanSender>,
    log: ArcSwapOption<LogSender>,
    journal: JournalSender,
}

impl Sinks {
    /// The sinks of a gateway; without `spans` and `log` there are none, until they are set.
    #[must_use]
    pub fn new(
        journal: JournalSender,
        metrics: Arc<Metrics>,
        spend: Spend,
        spans: Option<SpanSender>,
        log: Option<LogSender>,
    ) -> Self {
        Self {
            metrics,
            spend,
            spans: ArcSwapOption::from_pointee(spans),
            log: ArcSwapOption::from_pointee(log),
            journal,
        }
    }

    /// A journal alone, with metrics and a spend book that nobody looks at: for tests.
    #[must_use]
    pub fn to_journal(journal: JournalSender) -> Self {
        Self::new(journal, Arc::new(Metrics::new()), Spend::in_memory(), None, None)
    }

    /// Takes the record of a closed call; never waits.
    pub fn finish(&self, record: Box<Record>) {
        self.metrics.observe(&record);
        self.spend.add(&record);
        let spans = self.spans.load();
        let spans = spans.as_deref().filter(|_| record.trace.as_ref().is_some_and(|trace| trace.sampled));
        let log = self.log.load();
        let log = log.as_deref().filter(|log| log.wants(&record));
        if spans.is_some() || log.is_some() {
            // One copy for both; the journal keeps the record itself.
            let shared = Arc::new((*record).clone());
            if let Some(spans) = spans {
                spans.try_send(Arc::clone(&shared));
            }
            if let Some(log) = log {
                log.try_send(shared);
            }
        }
        self.journal.try_send(record);
    }

    /// Sends spans elsewhere, or nowhere, from the next call on.
    pub fn set_spans(&self, spans: Option<SpanSender>) {
        self.spans.store(spans.map(Arc::new));
    }

    /// Logs elsewhere, or nowhere, from the next call on.
    pub fn set_log(&self, log: Option<LogSender>) {
        self.log.store(log.map(Arc::new));
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The spend book.
    #[must_use]
    pub fn spend(&self) -> &Spend {
        &self.spend
    }

    /// The journal's end.
    #[must_use]
    pub fn journal(&self) -> &JournalSender {
        &self.journal
    }
}
