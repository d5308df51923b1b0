//! The netrc file: names and passwords by host, as ftp, curl, git and the go command share them.

use std::path::PathBuf;

use tradewind_core::Secret;
use tradewind_runtime::{environment, files, home_dir};

use super::UpstreamError;

/// The largest file that is read.
const LARGEST: u64 = 1 << 20;

/// Names and passwords by host.
#[derive(Debug, Default)]
pub(crate) struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// `None` for `default`.
    host: Option<String>,
    login: String,
    password: Secret<String>,
}

impl Netrc {
    /// Reads the file that `NETRC` names, or the usual one; a file that is not there has nothing.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub(crate) fn read() -> Result<Self, UpstreamError> {
        let usual = if cfg!(windows) { "_netrc" } else { ".netrc" };
        let Some(path) = environment("NETRC").map(PathBuf::from).or_else(|| Some(home_dir()?.join(usual))) else {
            return Ok(Self::default());
        };
        match files::read_text(&path, LARGEST) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(UpstreamError::Netrc(path.display().to_string(), error)),
        }
    }

    /// Reads the text of a file. What is not understood is passed over, and so is an entry without name and password.
    pub(crate) fn parse(text: &str) -> Self {
        let mut netrc = Self::default();
        let mut entry: Option<(Option<String>, Option<String>, Option<String>)> = None;
        let mut in_macro = false;
        for line in text.lines() {
            // A macro ends with an empty line.
            if in_macro {
                in_macro = !line.trim().is_empty();
                continue;
            }
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                match word {
                    "machine" => {
                        netrc.keep(entry.take());
                        entry = words.next().map(|host| (Some(host.to_ascii_lowercase()), None, None));
                    }
                    "default" => {
                        netrc.keep(entry.take());
                        entry = Some((None, None, None));
                    }
                    "login" | "password" => {
                        let value = words.next().map(str::to_owned);
                        if let Some((_, login, password)) = &mut entry {
                            *(if word == "login" { login } else { password }) = value;
                        }
                    }
                    "account" => drop(words.next()),
                    "macdef" => {
                        in_macro = true;
                        break;
                    }
                    comment if comment.starts_with('#') => break,
                    _ => {}
                }
            }
        }
        netrc.keep(entry);
        netrc
    }

    fn keep(&mut self, entry: Option<(Option<String>, Option<String>, Option<String>)>) {
        if let Some((host, Some(login), Some(password))) = entry {
            self.entries.push(Entry { host, login, password: Secret::new(password) });
        }
    }

    /// Name and password for a host; the first entry counts, and `default` for hosts that have none.
    pub(crate) fn find(&self, host: &str) -> Option<(&str, &Secret<String>)> {
        let own = self.entries.iter().find(|entry| entry.host.as_deref() == Some(&host.to_ascii_lowercase()));
        let found = own.or_else(|| self.entries.iter().find(|entry| entry.host.is_none()));
        found.map(|entry| (entry.login.as_str(), &entry.password))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_are_read_as_they_are_written() {
        let netrc = Netrc::parse(
            "# comment machine x login y password z\nmachine A.example\n  login me\n  account a\n  password it # p\n\
             macdef init\nmachine no.example login a password b\n\nmachine b.example login l password #p\n\
             machine a.example login second password no\nmachine c.example login only\n",
        );
        let found = |host: &str| netrc.find(host).map(|(login, password)| (login, password.expose().as_str()));
        assert_eq!(found("a.example"), Some(("me", "it")));
        assert_eq!(found("b.example"), Some(("l", "#p")));
        for host in ["x", "no.example", "c.example", "d.example"] {
            assert_eq!(found(host), None, "{host}");
        }
        let netrc = Netrc::parse("machine a login l password p default login d password q");
        assert_eq!(netrc.find("other").map(|(login, _)| login), Some("d"));
        assert_eq!(netrc.find("a").map(|(login, _)| login), Some("l"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z#\\n ]{0,200}", words in "(machine|login|password|default|macdef|[a-z]| |\\n){0,40}") {
            let _ = Netrc::parse(&text);
            let _ = Netrc::parse(&words);
        }
    }
}
