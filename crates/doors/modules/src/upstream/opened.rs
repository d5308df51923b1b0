//! A body that an upstream has begun to send.
//!
//! One that comes drop by drop would hold its place among those that come in for years without ever pausing for long: so there
//! is a least rate, over the time that was spent waiting for it alone, and a time within which a small answer has to be here.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tradewind_core::{Clock, FaultKind, format_duration};
use tradewind_egress::AnswerBody;

use super::broken;
use super::http::Resume;
use crate::failure::Failure;

/// How long an upstream may pause within a body.
const IDLE: Duration = Duration::from_secs(30);
/// Over so much waiting a body has to come as fast as [`LEAST_RATE`].
const WINDOW: Duration = Duration::from_secs(60);
/// The least bytes in a second.
const LEAST_RATE: u64 = 8 * 1024;
/// How long the whole of a small answer may take from its head on.
const SMALL: Duration = Duration::from_secs(120);
/// How often a body that broke off is asked for again, from where it broke off.
const MOST_RESUMES: u32 = 3;
/// What is read from a file at once.
const READ: usize = 256 * 1024;

/// A body, to be read to its end.
pub(crate) struct Opened {
    /// Who gives it, without secrets.
    pub(crate) from: Arc<str>,
    /// How long it is, when that was said.
    pub(crate) length: Option<u64>,
    body: Body,
    /// How many bytes have come.
    come: u64,
    resumed: u32,
}

enum Body {
    Answer(Box<AnswerBody>, Pace, Option<Resume>),
    File(Option<File>),
    Whole(Bytes),
}

impl Opened {
    /// The body of an answer; `resume` when the rest can be asked for again.
    pub(super) fn answer(
        from: Arc<str>,
        length: Option<u64>,
        body: AnswerBody,
        clock: &Arc<dyn Clock>,
        resume: Option<Resume>,
    ) -> Self {
        let pace = Pace { clock: Arc::clone(clock), waited: Duration::ZERO, come: 0 };
        Self { from, length, body: Body::Answer(Box::new(body), pace, resume), come: 0, resumed: 0 }
    }

    /// A file.
    pub(super) fn file(from: Arc<str>, length: u64, file: File) -> Self {
        Self { from, length: Some(length), body: Body::File(Some(file)), come: 0, resumed: 0 }
    }

    /// What is here already.
    pub(super) fn whole(from: Arc<str>, bytes: Bytes) -> Self {
        Self { from, length: Some(bytes.len() as u64), body: Body::Whole(bytes), come: 0, resumed: 0 }
    }

    /// The next piece; `None` at the end. A body that breaks off is asked for again from there, where that can be done.
    ///
    /// # Errors
    /// When it broke off, stalled, or is longer or shorter than was said.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let failure = match self.read().await {
                Ok(Some(piece)) => {
                    self.come += piece.len() as u64;
                    if self.length.is_some_and(|length| self.come > length) {
                        return Err(broken(&self.from, "the body is longer than was said"));
                    }
                    return Ok(Some(piece));
                }
                Ok(None) => match self.length {
                    Some(length) if self.come < length => Failure::upstream(
                        FaultKind::LengthMismatch,
                        502,
                        format!("{}: the body ended after {} of {length} bytes", self.from, self.come),
                    ),
                    _ => return Ok(None),
                },
                Err(failure) => failure,
            };
            self.resume(failure).await?;
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        match &mut self.body {
            Body::Whole(bytes) => Ok(Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())),
            Body::File(file) => {
                let Some(mut reading) = file.take() else { return Ok(None) };
                let read = tokio::task::spawn_blocking(move || {
                    let mut piece = vec![0; READ];
                    let length = reading.read(&mut piece)?;
                    piece.truncate(length);
                    Ok::<_, std::io::Error>((reading, piece))
                });
                let read = read.await.map_err(|_| Failure::internal("reading the file broke off"))?;
                let (reading, piece) = read.map_err(|error| broken(&self.from, error))?;
                *file = Some(reading);
                Ok((!piece.is_empty()).then(|| piece.into()))
            }
            Body::Answer(body, pace, _) => loop {
                let Some(frame) = pace.wait(body.frame()).await else {
                    body.distrust_connection();
                    let reason = pace.complaint(&self.from);
                    return Err(Failure::upstream(FaultKind::IdleTimeout, 504, reason));
                };
                match frame {
                    None => return Ok(None),
                    Some(Err(fault)) => {
                        return Err(Failure::upstream(fault.kind, 502, &*fault.detail));
                    }
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(piece) if !piece.is_empty() => {
                            pace.come += piece.len() as u64;
                            return Ok(Some(piece));
                        }
                        _ => {}
                    },
                }
            },
        }
    }

    /// Asks for the rest, or gives the failure back.
    async fn resume(&mut self, failure: Failure) -> Result<(), Failure> {
        let Body::Answer(body, pace, Some(resume)) = &mut self.body else { return Err(failure) };
        if self.resumed >= MOST_RESUMES {
            return Err(failure);
        }
        self.resumed += 1;
        match resume.from(self.come).await {
            Some(rest) => {
                **body = rest;
                (pace.waited, pace.come) = (Duration::ZERO, 0);
                Ok(())
            }
            None => Err(failure),
        }
    }

    /// The beginning of it, up to about `most` bytes; the rest is given up.
    ///
    /// # Errors
    /// As [`Self::collect`], but for its length.
    pub(crate) async fn first(mut self, most: usize) -> Result<Bytes, Failure> {
        let from = Arc::clone(&self.from);
        let reading = async {
            let mut begun = BytesMut::new();
            while begun.len() < most {
                let Some(piece) = self.piece().await? else { break };
                begun.extend_from_slice(&piece);
            }
            Ok(begun.freeze())
        };
        in_time(&from, reading).await
    }

    /// All of it, at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Self::piece`], and when it is longer, or is not here within two minutes.
    pub(crate) async fn collect(self, limit: usize) -> Result<Bytes, Failure> {
        let from = Arc::clone(&self.from);
        in_time(&from, self.whole_of(limit)).await
    }

    async fn whole_of(mut self, limit: usize) -> Result<Bytes, Failure> {
        let too_large = |from: &str| {
            let reason = format!("{from}: the answer has more than {limit} bytes");
            Failure::upstream(FaultKind::TooLarge, 502, reason)
        };
        if self.length.is_some_and(|length| length > limit as u64) {
            return Err(too_large(&self.from));
        }
        let mut only: Option<Bytes> = None;
        let mut joined = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if only.as_ref().map_or(0, Bytes::len) + joined.len() + piece.len() > limit {
                return Err(too_large(&self.from));
            }
            match only.take() {
                None if joined.is_empty() => only = Some(piece),
                first => {
                    joined.extend_from_slice(&first.unwrap_or_default());
                    joined.extend_from_slice(&piece);
                }
            }
        }
        Ok(if joined.is_empty() { only.unwrap_or_default() } else { joined.freeze() })
    }
}

/// What `reading` gives, unless it takes too long.
async fn in_time(from: &str, reading: impl Future<Output = Result<Bytes, Failure>>) -> Result<Bytes, Failure> {
    tokio::time::timeout(SMALL, reading).await.unwrap_or_else(|_| {
        let reason = format!("{from}: the answer was not here whole after {}", format_duration(SMALL));
        Err(Failure::upstream(FaultKind::IdleTimeout, 504, reason))
    })
}

/// How fast a body comes. Only the time counts that was spent waiting for it: a slow disk of ours is not its fault.
struct Pace {
    clock: Arc<dyn Clock>,
    /// How long was waited since the window began.
    waited: Duration,
    /// What came since.
    come: u64,
}

impl Pace {
    /// Waits for what comes next; `None` when it does not come, or what comes is too little.
    async fn wait<T>(&mut self, next: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(next);
        loop {
            let left = WINDOW.saturating_sub(self.waited);
            let patience = left.min(IDLE);
            let began = self.clock.now();
            let came = tokio::time::timeout(patience, &mut next).await;
            self.waited += self.clock.now().since(began).min(patience);
            match came {
                Ok(came) => return Some(came),
                Err(_) if patience < left || self.is_too_slow() => return None,
                Err(_) => (self.waited, self.come) = (Duration::ZERO, 0),
            }
        }
    }

    fn is_too_slow(&self) -> bool {
        self.come < LEAST_RATE * WINDOW.as_secs()
    }

    fn complaint(&self, from: &str) -> String {
        if self.waited < WINDOW || self.come == 0 {
            return format!("{from}: nothing came for {}", format_duration(IDLE));
        }
        format!("{from}: less than 8 KiB came in a second, over {}", format_duration(WINDOW))
    }
}
