//! The log of calls: one line for each, as text or as JSON, written by a thread of its own. A reader that is slow or gone
//! costs no call: lines that do not fit the queue are dropped, and the next line that is written says how many.
//!
//! A line holds names, ids, numbers and codes. Faults are named and not described: a provider's own words stay in the
//! record that the line's `decision` leads to.

mod line;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::outbox::{Gone, Outbox};
use crate::record::{Outcome, Record};

/// How many lines may wait; one more is dropped and counted.
const QUEUE: usize = 4096;
/// How many lines are written at once.
const BATCH: usize = 256;
/// The longest that a line waits for others to be written with.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// How long dropping waits for the last lines.
const DROP_WAIT: Duration = Duration::from_secs(2);

/// Which calls have a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogCalls {
    /// None.
    None,
    /// Those that did not end with a whole answer of a target.
    #[default]
    Failed,
    /// All.
    All,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value`, for people.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

/// The log of calls. Dropping it writes what is queued, within two seconds.
#[derive(Debug)]
pub struct Log {
    sender: LogSender,
}

/// Hands records to the log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogSender {
    calls: LogCalls,
    outbox: Arc<Outbox<Arc<Record>>>,
}

impl Log {
    /// Starts the thread that writes to `out`. A line that cannot be written is lost, and counted.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start(out: Box<dyn Write + Send>, calls: LogCalls, format: LogFormat) -> std::io::Result<Self> {
        let outbox = Arc::new(Outbox::new(QUEUE, BATCH));
        let reader = Arc::clone(&outbox);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&reader, out, format))?;
        Ok(Self { sender: LogSender { calls, outbox } })
    }

    /// A sender for whoever ends calls.
    #[must_use]
    pub fn sender(&self) -> LogSender {
        self.sender.clone()
    }

    /// Waits until what is queued was written. False when that takes longer than `limit`.
    pub fn flush(&self, limit: Duration) -> bool {
        self.sender.outbox.flush(limit)
    }

    /// Writes what is queued and ends the thread, or leaves it alone when that takes longer than `limit`. Returns how many
    /// lines are lost by that.
    pub fn close(self, limit: Duration) -> usize {
        self.sender.outbox.close(limit)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.sender.outbox.close(DROP_WAIT);
    }
}

impl LogSender {
    /// Whether this call has a line.
    #[must_use]
    pub fn wants(&self, record: &Record) -> bool {
        match self.calls {
            LogCalls::None => false,
            LogCalls::Failed => record.outcome != Outcome::Ok,
            LogCalls::All => true,
        }
    }

    /// Queues the line of `record`; never waits. False when it is dropped, which is counted.
    pub fn try_send(&self, record: Arc<Record>) -> bool {
        self.outbox.offer(record)
    }

    /// How many lines were lost.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.outbox.dropped()
    }
}

/// The thread.
fn write_lines(outbox: &Outbox<Arc<Record>>, mut out: Box<dyn Write + Send>, format: LogFormat) {
    let _gone = Gone(outbox);
    let mut writer = line::Lines::new(format);
    let mut said = 0;
    while let Some(records) = outbox.take(BATCH_TIME) {
        let dropped = outbox.dropped();
        if dropped > said {
            writer.dropped(dropped - said, records[0].at);
        }
        for record in &records {
            writer.call(record);
        }
        let written = out.write_all(writer.text()).and_then(|()| out.flush());
        match written {
            Ok(()) => said = dropped,
            Err(_) => outbox.count_dropped(records.len()),
        }
        writer.clear();
    }
}

#[cfg(test)]
mod tests;
