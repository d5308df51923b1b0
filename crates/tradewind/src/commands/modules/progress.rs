//! A bar on stderr that says how far long work has come. Nothing where stderr is no terminal.

use std::io::{IsTerminal, Write};

use tradewind_runtime::environment;

use super::size;

const WIDTH: u64 = 30;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    Versions,
}

pub(super) struct Progress {
    /// What is being done, such as `verifying`.
    doing: &'static str,
    unit: Unit,
    live: bool,
    /// Hundredths that were drawn last.
    drawn: Option<u64>,
}

impl Progress {
    pub(super) fn of(doing: &'static str, unit: Unit) -> Self {
        let live = std::io::stderr().is_terminal() && environment("TERM").is_some_and(|term| term != "dumb");
        Self { doing, unit, live, drawn: None }
    }

    /// So much of it is done.
    pub(super) fn at(&mut self, done: u64, whole: u64) {
        let hundredths = (done * 100).checked_div(whole).unwrap_or(100);
        if self.live && self.drawn != Some(hundredths) {
            self.drawn = Some(hundredths);
            let mut stderr = std::io::stderr().lock();
            // A terminal that cannot be written to is no reason to stop.
            let _ = write!(stderr, "\r{}\x1b[K", bar(self.doing, self.unit, done, whole)).and_then(|()| stderr.flush());
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

pub(super) fn bar(doing: &str, unit: Unit, done: u64, whole: u64) -> String {
    let full = (done.min(whole) * WIDTH).checked_div(whole).unwrap_or(WIDTH) as usize;
    let rest = WIDTH as usize - full;
    let count = match unit {
        Unit::Bytes => format!("{} of {}", size(done), size(whole)),
        Unit::Versions => format!("{done} of {whole}"),
    };
    format!("{doing} [{}{}] {count}", "#".repeat(full), " ".repeat(rest))
}
