//! The body that a caller reads while the provider is still writing it.
//!
//! It is polled by the caller's own connection: a caller that does not read stops the provider (back-pressure), a caller
//! that goes away drops it, and that closes the connection to the provider. Nothing is buffered but one chunk.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::Sleep;
use tradewind_core::{Fault, FaultKind, Moment, Price, format_duration};
use tradewind_runtime::Stage;
use tradewind_telemetry::Outcome;

use crate::attempt::{Held, Streaming, is_time_out};
use crate::{Ending, Finding, Open, Phase, Protocol, Services, StreamReader};

/// A stream on its way to the caller.
pub struct Relay<P: Protocol> {
    streaming: Box<Streaming<P>>,
    services: Arc<Services>,
    estimated_input: u64,
    price: Option<Price>,
    number: usize,
    idle: Duration,
    deadline: Deadline,
    /// Since when the provider has been silent while the caller wanted more.
    silent_since: Option<Moment>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Set when the stream broke off and its protocol has no words for that.
    broken: Option<io::Error>,
    /// Set when the protocol's own end has come.
    finished: bool,
    /// Taken when the call is closed.
    call: Option<(Open, Held)>,
}

/// When a call has to be over, and whose wish that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: Moment,
    pub(crate) by_caller: bool,
}

impl Deadline {
    pub(crate) fn fault(self) -> Fault {
        if self.by_caller {
            Fault::new(FaultKind::Deadline, "the time that the caller set in x-tradewind-timeout was used up")
        } else {
            Fault::new(FaultKind::TotalTimeout, "the model's total time was used up")
        }
    }
}

pub(crate) struct RelayParts<P: Protocol> {
    pub(crate) streaming: Box<Streaming<P>>,
    pub(crate) services: Arc<Services>,
    pub(crate) estimated_input: u64,
    pub(crate) price: Option<Price>,
    pub(crate) number: usize,
    pub(crate) idle: Duration,
    pub(crate) deadline: Deadline,
    pub(crate) open: Open,
    pub(crate) held: Held,
}

impl<P: Protocol> Relay<P> {
    pub(crate) fn new(parts: RelayParts<P>) -> Self {
        Self {
            streaming: parts.streaming,
            services: parts.services,
            estimated_input: parts.estimated_input,
            price: parts.price,
            number: parts.number,
            idle: parts.idle,
            deadline: parts.deadline,
            silent_since: None,
            timer: None,
            broken: None,
            finished: false,
            call: Some((parts.open, parts.held)),
        }
    }

    /// What was found in a stream that has come to its own end; `None` before, and when it broke off.
    #[must_use]
    pub fn finding_at_end(&self) -> Option<Finding> {
        self.finished.then(|| self.streaming.reader.finding())
    }

    /// The next piece from the provider, or its end.
    fn poll_provider(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if let Some(fault) = self.over() {
            return Poll::Ready(Err(fault));
        }
        let streaming = &mut self.streaming;
        let Some(body) = &mut streaming.body else {
            return Poll::Ready(Err(Fault::new(FaultKind::Internal, "a stream was read beyond its end")));
        };
        let frame = match Pin::new(body).poll_frame(context) {
            Poll::Pending => return self.poll_limits(context).map(Err),
            Poll::Ready(frame) => frame,
        };
        self.silent_since = None;
        Poll::Ready(match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(chunk) => {
                    streaming.decoder.push(chunk).and_then(|chunk| streaming.reader.push(chunk, &mut streaming.out))
                }
                Err(_trailers) => Ok(()),
            },
            Some(Err(fault)) => Err(fault),
            None => streaming
                .decoder
                .end()
                .and_then(|rest| streaming.reader.push(rest, &mut streaming.out))
                .and_then(|()| streaming.reader.end(&mut streaming.out)),
        })
    }

    /// Whether the call's time is over, or the process's. Asked before each piece: a provider that always has one ready
    /// would never be asked otherwise.
    fn over(&self) -> Option<Fault> {
        if self.services.stages.now() == Stage::Over {
            return Some(Fault::new(FaultKind::Draining, "the gateway stopped before the stream had ended"));
        }
        if self.call.as_ref().is_some_and(|(open, _)| open.grant().is_revoked()) {
            return Some(Fault::new(FaultKind::KeyRevoked, "the key was revoked while this stream was running"));
        }
        (self.services.clock.now() >= self.deadline.at).then(|| self.deadline.fault())
    }

    /// Waits for a time limit while the provider is silent.
    fn poll_limits(&mut self, context: &mut Context<'_>) -> Poll<Fault> {
        let now = self.services.clock.now();
        let silent_since = *self.silent_since.get_or_insert(now);
        loop {
            let idle_at = silent_since + self.idle;
            if now >= self.deadline.at {
                return Poll::Ready(self.deadline.fault());
            }
            if now >= idle_at {
                let detail = format!("the provider sent nothing for {}", format_duration(self.idle));
                return Poll::Ready(Fault::new(FaultKind::IdleTimeout, detail));
            }
            // The timer is set once and set again only when it rings: a chunk costs no timer operation.
            let timer = self.timer.get_or_insert_with(|| {
                let wait = idle_at.min(self.deadline.at).since(now);
                Box::pin(tokio::time::sleep(wait))
            });
            match timer.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => self.timer = None,
            }
            if self.services.clock.now() > now {
                return self.poll_limits(context);
            }
        }
    }

    /// The protocol's own end has come.
    fn finish(&mut self, context: &mut Context<'_>) {
        // Mostly the end of the body is there already, and the connection can be kept at no cost.
        if let Some(mut body) = self.streaming.body.take()
            && Pin::new(&mut body).poll_frame(context).is_pending()
        {
            body.finish_in_background();
        }
        let Some((mut open, held)) = self.call.take() else { return };
        self.finished = true;
        let now = self.services.clock.now();
        held.succeed(now);
        open.account(self.number, &self.streaming.reader.finding(), self.estimated_input, self.price.as_ref());
        open.end_attempt(self.number, Outcome::Ok, None, now);
        let status = open.look().status;
        open.close(Ending { outcome: Outcome::Ok, status, fault: None, code: None });
    }

    /// A fault after the first event: the caller is told inside the stream.
    fn fail(&mut self, fault: Fault) {
        let Some((mut open, held)) = self.call.take() else { return };
        // Dropped now and not when the caller has read the rest: the provider is to stop working.
        if let Some(body) = self.streaming.body.take()
            && is_time_out(fault.kind)
        {
            body.distrust_connection();
        }
        held.fail(fault.kind);
        open.account(self.number, &self.streaming.reader.finding(), self.estimated_input, self.price.as_ref());
        open.end_attempt(self.number, Outcome::Partial, Some(&fault), self.services.clock.now());
        let event = self.streaming.reader.error_event(&fault, open.id());
        if event.is_empty() {
            self.broken = Some(io::Error::other(fault.clone()));
        }
        self.streaming.out.push(event);
        let status = open.look().status;
        open.close(Ending { outcome: Outcome::Partial, status, fault: Some(fault), code: None });
    }
}

impl<P: Protocol> Body for Relay<P> {
    type Data = Bytes;
    /// A stream of a protocol without error events broke off: the connection has to break off too.
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        loop {
            if this.call.is_some() && this.streaming.reader.phase() == Phase::Done {
                this.finish(context);
            }
            if let Some(piece) = this.streaming.out.pop() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if this.call.is_none() {
                return Poll::Ready(this.broken.take().map(Err));
            }
            match this.poll_provider(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(fault)) => this.fail(fault),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.call.is_none() && self.broken.is_none() && self.streaming.out.is_empty()
    }
}

impl<P: Protocol> Drop for Relay<P> {
    fn drop(&mut self) {
        // The caller went away: what was used until now is still accounted.
        if let Some((open, _)) = &mut self.call {
            let finding = self.streaming.reader.finding();
            open.account(self.number, &finding, self.estimated_input, self.price.as_ref());
        }
    }
}
