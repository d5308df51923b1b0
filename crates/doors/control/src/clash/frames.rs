//! What streams tell: one JSON value after the other, over a chunked body (a line each) or a websocket (a message each).
//!
//! Nothing is queued: the next frame is made when the one before has been taken. Whoever reads slowly misses frames.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use serde::Serialize;
use tokio::sync::{broadcast, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tradewind_core::Moment;
use tradewind_door::Body;
use tradewind_ways::{Level, Line, Ways};

use super::answer::Wrong;
use super::connections::ConnectionsView;
use super::controller::is_level;
use super::query::parameter;
use super::resident::resident_bytes;
use super::time::clock_time;

/// How often traffic and memory are told.
const EVERY: Duration = Duration::from_secs(1);
/// How often connections may be asked for, in milliseconds.
const LEAST_INTERVAL: u64 = 100;
const MOST_INTERVAL: u64 = 3_600_000;

/// When a stream has to end.
#[derive(Clone)]
pub(crate) struct Closing {
    /// The server is gone: its sender is dropped.
    pub(crate) closed: watch::Receiver<()>,
    /// The secret has changed.
    pub(crate) locked: watch::Receiver<()>,
}

impl Closing {
    /// Waits for it.
    pub(crate) async fn reached(&mut self) {
        tokio::select! {
            _ = self.closed.changed() => {}
            _ = self.locked.changed() => {}
        }
    }
}

/// A stream.
pub(crate) struct Frames {
    ways: Ways,
    source: Source,
    closing: Closing,
}

enum Source {
    Traffic { ticks: Interval, last: (u64, u64), at: Moment },
    Memory { ticks: Interval, first: bool },
    Connections { ticks: Interval },
    Logs { lines: broadcast::Receiver<Line>, least: Option<Level>, structured: bool },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Traffic {
    up: u64,
    down: u64,
    up_total: u64,
    down_total: u64,
}

#[derive(Serialize)]
struct Memory {
    inuse: u64,
    oslimit: u64,
}

#[derive(Serialize)]
struct PlainLine<'l> {
    #[serde(rename = "type")]
    level: &'static str,
    payload: &'l str,
}

#[derive(Serialize)]
struct StructuredLine<'l> {
    time: String,
    level: &'static str,
    message: &'l str,
    fields: [(); 0],
}

impl Frames {
    fn new(ways: &Ways, closing: Closing, source: Source) -> Self {
        Self { ways: ways.clone(), source, closing }
    }

    /// Bytes in the last second, and since the start.
    pub(crate) fn traffic(ways: &Ways, closing: Closing) -> Self {
        let (last, at) = (ways.connections().totals(), ways.clock().now());
        Self::new(ways, closing, Source::Traffic { ticks: ticks(EVERY, false), last, at })
    }

    /// Memory of the process; the first is 0, so that charts begin there.
    pub(crate) fn memory(ways: &Ways, closing: Closing) -> Self {
        Self::new(ways, closing, Source::Memory { ticks: ticks(EVERY, false), first: true })
    }

    /// All connections, at once and then every `interval` milliseconds. `None` when that is no number; it is kept within
    /// 100 ms and an hour.
    pub(crate) fn connections(ways: &Ways, closing: Closing, query: Option<&str>) -> Option<Self> {
        let every = parameter(query, "interval").filter(|text| !text.is_empty());
        let every = every.map_or(Some(1000), |text| text.parse::<i64>().ok())?;
        let every = u64::try_from(every).unwrap_or(0).clamp(LEAST_INTERVAL, MOST_INTERVAL);
        let ticks = ticks(Duration::from_millis(every), true);
        Some(Self::new(ways, closing, Source::Connections { ticks }))
    }

    /// Lines of the log from now on, of `level` (`info` when nothing is said) and above.
    pub(crate) fn logs(ways: &Ways, closing: Closing, query: Option<&str>) -> Result<Self, Wrong> {
        let level = parameter(query, "level").filter(|level| !level.is_empty());
        let level = level.as_deref().unwrap_or("info");
        if !is_level(level) {
            return Err(Wrong::Body);
        }
        // None for `silent`: nothing is above it.
        let least = Level::from_name(level);
        let structured = parameter(query, "format").as_deref() == Some("structured");
        Ok(Self::new(ways, closing, Source::Logs { lines: ways.logs().watch(), least, structured }))
    }

    /// The next frame; `None` when the stream ends.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let Self { ways, source, closing } = self;
        tokio::select! {
            biased;
            () = closing.reached() => None,
            frame = source.next(ways) => frame,
        }
    }

    /// A body of one frame a line.
    pub(crate) fn into_body(self) -> Body {
        Body::stream(Lines { next: Box::pin(step(self)) })
    }
}

fn ticks(every: Duration, at_once: bool) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if !at_once {
        ticks.reset();
    }
    ticks
}

impl Source {
    async fn next(&mut self, ways: &Ways) -> Option<String> {
        match self {
            Self::Traffic { ticks, last, at } => {
                ticks.tick().await;
                let now = ways.clock().now();
                // More than one when the reader was slow.
                let seconds = (now.since(*at).as_secs_f64().round() as u64).max(1);
                let (up_total, down_total) = ways.connections().totals();
                let up = up_total.saturating_sub(last.0) / seconds;
                let down = down_total.saturating_sub(last.1) / seconds;
                (*last, *at) = ((up_total, down_total), now);
                written(&Traffic { up, down, up_total, down_total })
            }
            Self::Memory { ticks, first } => {
                ticks.tick().await;
                let inuse = if std::mem::take(first) { 0 } else { resident_bytes() };
                written(&Memory { inuse, oslimit: 0 })
            }
            Self::Connections { ticks } => {
                ticks.tick().await;
                written(&ConnectionsView::now(ways))
            }
            Self::Logs { lines, least, structured } => loop {
                let line = match lines.recv().await {
                    Ok(line) => line,
                    Err(broadcast::error::RecvError::Lagged(_)) => continue,
                    Err(broadcast::error::RecvError::Closed) => return None,
                };
                if least.is_none_or(|least| line.level < least) {
                    continue;
                }
                let (level, text) = (line.level.name(), line.text.as_str());
                return if *structured {
                    written(&StructuredLine { time: clock_time(line.at), level, message: text, fields: [] })
                } else {
                    written(&PlainLine { level, payload: text })
                };
            },
        }
    }
}

fn written(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

type Step = Pin<Box<dyn Future<Output = (Option<String>, Frames)> + Send>>;

async fn step(mut frames: Frames) -> (Option<String>, Frames) {
    let frame = frames.next().await;
    (frame, frames)
}

struct Lines {
    next: Step,
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let (frame, frames) = ready!(self.next.as_mut().poll(context));
        self.next = Box::pin(step(frames));
        Poll::Ready(frame.map(|line| Ok(Frame::data(Bytes::from(line + "\n")))))
    }
}
