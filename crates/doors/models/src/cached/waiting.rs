//! How long a call waits for the answer that another one is asking for: never beyond its own time, nor beyond that of the
//! process. Whatever becomes of the other call, this one goes on.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tradewind_answers::{Followed, Follower};
use tradewind_core::{Fault, FaultKind, Moment};
use tradewind_dispatch::Services;
use tradewind_runtime::Stage;

/// The time that a call has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// When it has to be over.
    pub(crate) until: Moment,
    /// Whether the caller set that.
    pub(crate) by_caller: bool,
    /// How long a stream waits for another one.
    pub(crate) first_token: Duration,
}

impl Patience {
    /// Waits for what becomes of the other call. A stream that has waited long enough goes on alone.
    ///
    /// # Errors
    /// When the call's time is over, or the process stops.
    pub(super) async fn wait(self, follower: Follower, stream: bool, services: &Services) -> Result<Followed, Fault> {
        let left = self.until.since(services.clock.now());
        let goes_alone = stream && self.first_token < left;
        let limit = if goes_alone { self.first_token } else { left };
        let mut waiting = pin!(tokio::time::timeout(limit, follower));
        // The caller's connection is woken when the process stops, so looking at each poll is enough.
        poll_fn(|context| match waiting.as_mut().poll(context) {
            Poll::Ready(Ok(followed)) => Poll::Ready(Ok(followed)),
            Poll::Ready(Err(_)) if goes_alone => Poll::Ready(Ok(Followed::Alone)),
            Poll::Ready(Err(_)) => Poll::Ready(Err(self.over())),
            Poll::Pending if services.stages.now() == Stage::Over => {
                Poll::Ready(Err(Fault::new(FaultKind::Draining, "the gateway stopped before an answer had come")))
            }
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    fn over(self) -> Fault {
        let behind = "while another call was asking the same";
        if self.by_caller {
            let detail = format!("the time that the caller set in x-tradewind-timeout was used up {behind}");
            return Fault::new(FaultKind::Deadline, detail);
        }
        Fault::new(FaultKind::TotalTimeout, format!("the model's total time was used up {behind}"))
    }
}
