//! Files with a JSON object on each line (JSON Lines): read whole, and whatever is wrong in them told with its line.
//!
//! Bounds: 256 MiB a file, 1 MiB a line, 100,000 lines, the first 20 problems. Empty lines are passed over.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{anyhow, bail};
use serde::de::DeserializeOwned;
use tradewind_runtime::files;

/// The largest file, in bytes.
const LARGEST: u64 = 256 << 20;
/// The longest line, in bytes.
const LONGEST: usize = 1 << 20;
/// The most lines that are not empty.
const MOST: usize = 100_000;
/// Problems that are told.
const MOST_TOLD: usize = 20;

/// What is wrong in a file.
#[derive(Debug)]
pub(super) struct Problems {
    file: String,
    told: String,
    count: usize,
}

impl Problems {
    pub(super) fn in_file(path: &Path) -> Self {
        Self { file: path.display().to_string(), told: String::new(), count: 0 }
    }

    /// Notes what is wrong in a line, counted from 1.
    pub(super) fn add(&mut self, line: usize, column: Option<usize>, what: impl AsRef<str>) {
        self.count += 1;
        if self.count <= MOST_TOLD {
            let column = column.map_or_else(String::new, |column| format!(":{column}"));
            let separator = if self.told.is_empty() { "" } else { "\n" };
            let _ = write!(self.told, "{separator}error: {}:{line}{column}: {}", self.file, what.as_ref());
        }
    }

    /// An error with all of them, if there are any.
    pub(super) fn end(self) -> anyhow::Result<()> {
        match self.count {
            0 => Ok(()),
            count if count > MOST_TOLD => bail!("{}\n  and {} more", self.told, count - MOST_TOLD),
            _ => bail!("{}", self.told),
        }
    }
}

/// Reads the file at `path`. Each line is decoded as an `L` and made into a `T` by `make`, which says what is wrong.
///
/// # Errors
/// When it cannot be read, is over a bound, or has no line; and with everything that is wrong in its lines.
pub(super) fn read<L: DeserializeOwned, T>(
    path: &Path,
    make: impl Fn(usize, L) -> Result<T, String>,
) -> anyhow::Result<Vec<T>> {
    read_within(path, LARGEST, make)
}

fn read_within<L: DeserializeOwned, T>(
    path: &Path,
    largest: u64,
    make: impl Fn(usize, L) -> Result<T, String>,
) -> anyhow::Result<Vec<T>> {
    let bytes = files::read_bytes(path, largest).map_err(|error| {
        anyhow!("{} cannot be read: {error}\n  = hint: check the path, and whether you may read it", path.display())
    })?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut problems = Problems::in_file(path);
    let (mut items, mut count) = (Vec::new(), 0);
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        count += 1;
        if count > MOST {
            problems.add(number, None, format!("there are more than {MOST} lines; split the file"));
            break;
        }
        if line.len() > LONGEST {
            problems.add(number, None, format!("the line has {} bytes, the most is {LONGEST}", line.len()));
            continue;
        }
        // A list would be read as an object without keys.
        if !line.trim_ascii_start().starts_with(b"{") {
            problems.add(number, None, "it is no JSON object");
            continue;
        }
        match serde_json::from_slice::<L>(line) {
            Ok(decoded) => match make(number, decoded) {
                Ok(item) => items.push(item),
                Err(what) => problems.add(number, None, what),
            },
            Err(error) => {
                let text = error.to_string();
                // A line of a file has one line.
                let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
                problems.add(number, Some(error.column()), what);
            }
        }
    }
    problems.end()?;
    if items.is_empty() {
        bail!("{} has no lines\n  = hint: it has a JSON object on each line", path.display());
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Line {
        n: u32,
    }

    fn read_text(text: &[u8]) -> Result<Vec<(usize, u32)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        files::write_private(&path, text).unwrap();
        let number = |number, line: Line| if line.n == 13 { Err("unlucky".to_owned()) } else { Ok((number, line.n)) };
        let read = read_within(&path, 4 << 20, number);
        read.map_err(|error| error.to_string().replace(&folder.path().display().to_string(), ""))
    }

    #[test]
    fn empty_lines_a_mark_and_other_ends_of_lines_are_read() {
        assert_eq!(read_text(b"\xef\xbb\xbf{\"n\": 1}\r\n\n  \n {\"n\": 2}").unwrap(), [(1, 1), (4, 2)]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = b"{\"n\": 1}\n{\"n\": 13}\n{\n{\"n\": \"\xff\"}\n{\"n\": \"x\"}\n[1]\n{\"n\": 2}";
        let told = read_text(wrong).unwrap_err();
        assert_eq!(
            told,
            "error: /lines:2: unlucky\n\
             error: /lines:3:1: EOF while parsing an object\n\
             error: /lines:4:8: invalid unicode code point\n\
             error: /lines:5:9: invalid type: string \"x\", expected u32\n\
             error: /lines:6: it is no JSON object"
        );
        let many = read_text("x\n".repeat(25).as_bytes()).unwrap_err();
        assert_eq!(many.lines().count(), 21);
        assert!(many.ends_with("\n  and 5 more"), "{many}");
    }

    #[test]
    fn the_bounds_hold() {
        assert_eq!(read_text(b" \n").unwrap_err(), "/lines has no lines\n  = hint: it has a JSON object on each line");
        assert_eq!(read_text("{\"n\":1}\n".repeat(MOST).as_bytes()).unwrap().len(), MOST);
        let told = read_text("{\"n\":1}\n".repeat(MOST + 1).as_bytes()).unwrap_err();
        assert_eq!(told, "error: /lines:100001: there are more than 100000 lines; split the file");
        let long = |length: usize| [b"{\"n\":1}".as_slice(), &b" ".repeat(length - 7)].concat();
        assert!(read_text(&long(LONGEST)).is_ok());
        let told = read_text(&long(LONGEST + 1)).unwrap_err();
        assert_eq!(told, "error: /lines:1: the line has 1048577 bytes, the most is 1048576");
        let told = read_text(&b"\n".repeat((4 << 20) + 1)).unwrap_err();
        assert!(told.starts_with("/lines cannot be read: 4194305 bytes are more than the 4194304"), "{told}");
    }
}
