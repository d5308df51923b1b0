//! Where the demo is shown: a terminal whose last lines are drawn anew again and again, or plain lines one after the
//! other. No library for text interfaces: five escape sequences of ECMA-48 and DEC are all that is used.

use std::io::{IsTerminal, Write};

use terminal_size::terminal_size_of;
use tradewind_runtime::environment;

use super::page::{Accent, Line};
use super::state::Mood;

/// The size that is assumed when a terminal does not tell.
const USUAL: (usize, usize) = (80, 24);

/// Whether the lines are drawn anew, and how many there are.
pub(super) struct Screen {
    live: bool,
    drawn: usize,
    /// Columns and lines of the terminal when it was drawn.
    size: (usize, usize),
    /// Whether nobody reads any more.
    closed: bool,
}

impl Screen {
    /// The screen on stdout: live on a terminal, unless NO_COLOR or TERM=dumb ask for plain text.
    pub(super) fn open() -> Self {
        let plain = environment("NO_COLOR").is_some() || environment("TERM").is_none_or(|term| term == "dumb");
        let mut screen =
            Self { live: std::io::stdout().is_terminal() && !plain, drawn: 0, size: size(), closed: false };
        if screen.live {
            // The cursor would dance.
            screen.write("\x1b[?25l");
        }
        screen
    }

    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Whether stdout was closed by whoever read it.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many lines a live table may have.
    pub(super) fn height(&self) -> usize {
        size().1.saturating_sub(1).max(1)
    }

    /// Prints text that stays.
    pub(super) fn print(&mut self, text: &str) {
        self.write(&format!("{text}\n"));
        self.drawn = 0;
    }

    /// Puts `lines` in the place of those drawn before.
    pub(super) fn draw(&mut self, lines: &[Line]) {
        let size = size();
        // A line that is too long would wrap and push the table down.
        let mut frame = "\x1b[?7l".to_owned();
        if size != self.size {
            // The terminal has put the old lines who knows where.
            frame.push_str("\x1b[2J\x1b[H");
            self.size = size;
        } else if self.drawn > 0 {
            frame.push_str(&format!("\x1b[{}A\r", self.drawn));
        }
        for line in lines {
            frame.push_str(&painted(line, size.0));
            frame.push_str("\x1b[K\n");
        }
        // What is left of a longer frame.
        frame.push_str("\x1b[J\x1b[?7h");
        self.write(&frame);
        self.drawn = lines.len();
    }

    fn write(&mut self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        self.closed |= written.is_err();
    }
}

/// However the demo ends, the terminal is left as it was.
impl Drop for Screen {
    fn drop(&mut self) {
        if self.live {
            self.write("\x1b[?25h");
        }
    }
}

fn size() -> (usize, usize) {
    let size = terminal_size_of(std::io::stdout());
    size.map_or(USUAL, |(width, height)| (usize::from(width.0).max(1), usize::from(height.0).max(1)))
}

/// The line, cut to `width` characters, with its accent.
fn painted(line: &Line, width: usize) -> String {
    let characters: Vec<char> = line.text.chars().take(width).collect();
    let (start, length, accent) = line.accent.unwrap_or((0, 0, Accent::Strong));
    let (start, end) = (start.min(characters.len()), (start + length).min(characters.len()));
    let part = |range: std::ops::Range<usize>| characters[range].iter().collect::<String>();
    if start == end {
        return part(0..characters.len());
    }
    format!("{}{}{}\x1b[0m{}", part(0..start), colour(accent), part(start..end), part(end..characters.len()))
}

const fn colour(accent: Accent) -> &'static str {
    match accent {
        Accent::Strong => "\x1b[1m",
        Accent::Mood(Mood::Good) => "\x1b[32m",
        Accent::Mood(Mood::Wary) => "\x1b[33m",
        Accent::Mood(Mood::Bad) => "\x1b[31m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_and_its_colour_always_ends() {
        let line = Line { text: "gale/chat  breaker open".to_owned(), accent: Some((11, 12, Accent::Mood(Mood::Bad))) };
        assert_eq!(painted(&line, 80), "gale/chat  \x1b[31mbreaker open\x1b[0m");
        assert_eq!(painted(&line, 14), "gale/chat  \x1b[31mbre\x1b[0m");
        assert_eq!(painted(&line, 5), "gale/");
        let empty = Line { text: String::new(), accent: Some((0, 0, Accent::Strong)) };
        assert_eq!(painted(&empty, 80), "");
    }
}
