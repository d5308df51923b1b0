//! How far a walk through a store has come, on stderr. Nothing where that is no terminal.

use std::io::{IsTerminal, Write};

use tradewind_runtime::environment;

const WIDTH: u64 = 30;

/// A line that is drawn again and again.
pub(super) struct Progress {
    live: bool,
    drawn: bool,
    /// What was drawn last, in units that are worth drawing.
    last: u64,
}

impl Progress {
    pub(super) fn new() -> Self {
        let live = std::io::stderr().is_terminal() && environment("TERM").is_some_and(|term| term != "dumb");
        Self { live, drawn: false, last: 0 }
    }

    /// Shows `text` once `unit`, which grows, has become another one.
    pub(super) fn at(&mut self, unit: u64, text: impl FnOnce() -> String) {
        if !self.live || (self.drawn && unit == self.last) {
            return;
        }
        (self.drawn, self.last) = (true, unit);
        let mut stderr = std::io::stderr().lock();
        // A terminal that cannot be written to is no reason to stop.
        let _ = write!(stderr, "\r{}\x1b[K", text()).and_then(|()| stderr.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// A bar: so much of the whole.
pub(super) fn bar(doing: &str, done: u64, whole: u64, what: &str) -> String {
    let full = (done.min(whole) * WIDTH).checked_div(whole).unwrap_or(WIDTH) as usize;
    let rest = WIDTH as usize - full;
    format!("{doing} [{}{}] {done} of {whole} {what}", "#".repeat(full), " ".repeat(rest))
}
