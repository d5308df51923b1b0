//! Domains in which names are looked up: `search` and `domain` of `resolv.conf` (resolv.conf(5)).
//!
//! Of several lines the last one counts. Anything else in the file is passed over, as the C library does; the crates
//! that read it refuse the whole file for one line that they do not know.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::SampleError;

/// The file; macOS keeps it for programs like this one, which do not ask its configuration store.
const FILE: &str = "/etc/resolv.conf";
/// More of the file is not read.
const MOST_BYTES: u64 = 1024 * 1024;

/// The domains of this machine.
pub(super) fn present() -> Result<Vec<String>, SampleError> {
    read(Path::new(FILE)).map_err(|error| SampleError::new("read the domains of /etc/resolv.conf", error))
}

/// The domains of the file; none when it is not there.
fn read(path: &Path) -> io::Result<Vec<String>> {
    let mut content = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(MOST_BYTES).read_to_end(&mut content)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(parse(&String::from_utf8_lossy(&content)))
}

fn parse(content: &str) -> Vec<String> {
    let mut domains = Vec::new();
    for line in content.lines() {
        let mut words = line.split_ascii_whitespace();
        let most = match words.next() {
            Some("search") => usize::MAX,
            Some("domain") => 1,
            _ => continue,
        };
        // The root, and a dot at the end, say where to look, not where one is. What could not be pushed is left out.
        let names = words.take(most).map(|word| word.trim_end_matches('.')).filter(|name| is_domain(name));
        domains = names.map(str::to_owned).collect();
    }
    domains
}

fn is_domain(name: &str) -> bool {
    !name.is_empty() && !name.contains(|letter: char| letter == ',' || letter.is_whitespace() || letter.is_control())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_line_counts() {
        for (content, domains) in [
            ("", &[][..]),
            ("nameserver 10.0.0.1\noptions ndots:5 edns0\n", &[]),
            ("search corp.example.com lan\nnameserver 10.0.0.1", &["corp.example.com", "lan"]),
            ("  search\tcorp.example.com. .\n", &["corp.example.com"]),
            ("search a\ndomain b c\n", &["b"]),
            ("domain a\nsearch b c\n", &["b", "c"]),
            ("search a\nsearch\n", &[]),
            ("# search a\n; search b\nsearching c\n#search d", &[]),
            ("search a,b c \u{7} d\u{a0}e\n", &["c"]),
            ("search Büro.example\r\n", &["Büro.example"]),
        ] {
            assert_eq!(parse(content), domains, "{content}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_says_nothing_and_one_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read(&folder.path().join("none")).expect("no file, no domains"), Vec::<String>::new());
        assert!(read(folder.path()).is_err(), "a folder is no file");
        let file = folder.path().join("resolv.conf");
        let mut made = File::create_new(&file).expect("can be made");
        made.write_all(b"search \xff corp.example.com\n").expect("can be written");
        assert_eq!(read(&file).expect("can be read"), ["\u{fffd}", "corp.example.com"]);
    }
}
