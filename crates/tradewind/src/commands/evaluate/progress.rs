//! A count on stderr of the questions that are done. Nothing where stderr is no terminal.

use std::io::{IsTerminal, Write};

use tradewind_runtime::environment;

pub(super) struct Progress {
    live: bool,
    whole: usize,
    done: usize,
    /// Hundredths that were drawn last.
    drawn: Option<usize>,
}

impl Progress {
    pub(super) fn over(whole: usize) -> Self {
        let live = std::io::stderr().is_terminal() && environment("TERM").is_some_and(|term| term != "dumb");
        Self { live, whole: whole.max(1), done: 0, drawn: None }
    }

    /// One more is done.
    pub(super) fn advance(&mut self) {
        self.done += 1;
        let hundredths = self.done * 100 / self.whole;
        if self.live && self.drawn != Some(hundredths) {
            self.drawn = Some(hundredths);
            let mut stderr = std::io::stderr().lock();
            // A terminal that cannot be written to is no reason to stop.
            let _ = write!(stderr, "\r{} of {} questions", self.done, self.whole).and_then(|()| stderr.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = writeln!(std::io::stderr());
        }
    }
}
