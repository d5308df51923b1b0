//! A body that an upstream has begun to send.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tradewind_core::{FaultKind, format_duration};
use tradewind_egress::AnswerBody;

use super::broken;
use super::http::Resume;
use crate::failure::Failure;

/// How long an upstream may pause within a body.
const IDLE: Duration = Duration::from_secs(30);
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
    Answer(Box<AnswerBody>, Option<Resume>),
    File(Option<File>),
    Whole(Bytes),
}

impl Opened {
    /// The body of an answer; `resume` when the rest can be asked for again.
    pub(super) fn answer(from: Arc<str>, length: Option<u64>, body: AnswerBody, resume: Option<Resume>) -> Self {
        Self { from, length, body: Body::Answer(Box::new(body), resume), come: 0, resumed: 0 }
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
            Body::Answer(body, _) => loop {
                let Ok(frame) = tokio::time::timeout(IDLE, body.frame()).await else {
                    body.distrust_connection();
                    let reason = format!("{}: nothing came for {}", self.from, format_duration(IDLE));
                    return Err(Failure::upstream(FaultKind::IdleTimeout, 504, reason));
                };
                match frame {
                    None => return Ok(None),
                    Some(Err(fault)) => {
                        return Err(Failure::upstream(fault.kind, 502, &*fault.detail));
                    }
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(piece) if !piece.is_empty() => return Ok(Some(piece)),
                        _ => {}
                    },
                }
            },
        }
    }

    /// Asks for the rest, or gives the failure back.
    async fn resume(&mut self, failure: Failure) -> Result<(), Failure> {
        let Body::Answer(body, Some(resume)) = &mut self.body else { return Err(failure) };
        if self.resumed >= MOST_RESUMES {
            return Err(failure);
        }
        self.resumed += 1;
        match resume.from(self.come).await {
            Some(rest) => {
                **body = rest;
                Ok(())
            }
            None => Err(failure),
        }
    }

    /// The beginning of it, up to about `most` bytes; the rest is given up.
    ///
    /// # Errors
    /// As [`Self::piece`].
    pub(crate) async fn first(mut self, most: usize) -> Result<Bytes, Failure> {
        let mut begun = BytesMut::new();
        while begun.len() < most {
            let Some(piece) = self.piece().await? else { break };
            begun.extend_from_slice(&piece);
        }
        Ok(begun.freeze())
    }

    /// All of it, at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Self::piece`], and when it is longer.
    pub(crate) async fn collect(mut self, limit: usize) -> Result<Bytes, Failure> {
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
