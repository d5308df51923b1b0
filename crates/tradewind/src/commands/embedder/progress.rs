//! A bar on stderr that says how far a download has come. Nothing where stderr is no terminal.

use std::io::{IsTerminal, Write};

use tradewind_runtime::environment;

use super::megabytes;

const WIDTH: u64 = 30;

pub(super) struct Progress {
    live: bool,
    /// What is expected, in bytes; 0 when it is not known.
    whole: u64,
    done: u64,
    /// Hundredths that were drawn last.
    drawn: Option<u64>,
}

impl Progress {
    pub(super) fn of(whole: u64) -> Self {
        let live = std::io::stderr().is_terminal() && environment("TERM").is_some_and(|term| term != "dumb");
        Self { live, whole, done: 0, drawn: None }
    }

    /// So many bytes more have come.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.done += bytes as u64;
        let hundredths = line_place(self.done, self.whole);
        if self.live && self.drawn != Some(hundredths) {
            self.drawn = Some(hundredths);
            let mut stderr = std::io::stderr().lock();
            // A terminal that cannot be written to is no reason to stop.
            let _ = write!(stderr, "\r{}", bar(self.done, self.whole)).and_then(|()| stderr.flush());
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

/// Hundredths of the whole, or megabytes where that is not known: what has to change before it is drawn anew.
fn line_place(done: u64, whole: u64) -> u64 {
    (done * 100).checked_div(whole).unwrap_or(done / 1_000_000)
}

pub(super) fn bar(done: u64, whole: u64) -> String {
    if whole == 0 {
        return format!("downloading {}", megabytes(done));
    }
    let full = (done.min(whole) * WIDTH / whole) as usize;
    let rest = WIDTH as usize - full;
    format!("downloading [{}{}] {} of {}", "#".repeat(full), " ".repeat(rest), megabytes(done), megabytes(whole))
}
