//! The time that a head may take, measured by one timer for each connection.
//!
//! hyper asks for a timer before each request, and drops it when the head is there. tokio's own would be put among all timers
//! of the thread and taken out again each time, which takes longer than the head itself. Here the timer that was set first
//! stays where it is; when its time has come and more has been given meanwhile, it is set anew.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use parking_lot::Mutex;

/// The timer of one connection. What it is asked for later ends later, too: one limit holds for all heads.
#[derive(Clone, Default)]
pub(crate) struct HeadTimer(Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>);

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Waiting { timer: self.clone(), deadline: deadline.into() })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "hyper wants an instant, and tokio's stands still where tests stop the time"
    )]
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

/// Waits for one head.
struct Waiting {
    timer: HeadTimer,
    deadline: tokio::time::Instant,
}

impl Sleep for Waiting {}

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.0.lock();
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(self.deadline)));
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(self.deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(75);

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "a test measures")]
    async fn each_head_has_the_whole_time() {
        let timer = HeadTimer::default();
        let began = Instant::now();
        timer.sleep(LIMIT).await;
        assert_eq!(began.elapsed().as_secs(), 75);
        let mut first = timer.sleep(LIMIT);
        // Its head comes after a minute.
        assert!(tokio::time::timeout(Duration::from_secs(60), &mut first).await.is_err());
        drop(first);
        let began = Instant::now();
        timer.sleep(LIMIT).await;
        assert_eq!(began.elapsed().as_secs(), 75, "what was begun for the first is not the second one's");
    }
}
