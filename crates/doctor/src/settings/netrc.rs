//! The logins of `.netrc`, read as the go command reads them.

use std::path::{Path, PathBuf};

use tradewind_core::Secret;
use tradewind_runtime::files;

use super::Environment;
use crate::System;

/// The largest file that is read.
const MOST_BYTES: u64 = 1 << 20;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Netrc {
    /// Where it is, or would be; `None` without a home.
    pub path: Option<PathBuf>,
    /// Why it cannot be read, when it is there.
    pub unreadable: Option<String>,
    /// Its logins, in its order.
    pub logins: Vec<Login>,
}

/// One login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The host; go also takes `host/path` prefixes.
    pub machine: String,
    /// The user.
    pub login: String,
    /// The password.
    pub password: Secret<String>,
}

impl Netrc {
    /// Reads the file that go would read.
    #[must_use]
    pub fn of(environment: &Environment, system: System) -> Self {
        let Some(path) = path(environment, system) else { return Self::default() };
        match files::read_text(&path, MOST_BYTES) {
            Ok(text) => Self { logins: parse(&text), path: Some(path), unreadable: None },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self { path: Some(path), ..Self::default() },
            Err(error) => Self { path: Some(path), unreadable: Some(error.to_string()), logins: Vec::new() },
        }
    }

    /// The login for a URL on `host` below `path`: the longest machine that is a prefix by whole elements, the first of
    /// several alike.
    #[must_use]
    pub fn login_for(&self, host_and_path: &str) -> Option<&Login> {
        let mut prefix = host_and_path.trim_end_matches('/');
        loop {
            let fits = |login: &&Login| login.machine.trim_start_matches("https://").trim_end_matches('/') == prefix;
            if let Some(login) = self.logins.iter().find(fits) {
                return Some(login);
            }
            prefix = prefix.rsplit_once('/')?.0;
        }
    }
}

fn path(environment: &Environment, system: System) -> Option<PathBuf> {
    if let Some(path) = environment.get("NETRC") {
        return Some(PathBuf::from(path));
    }
    let home = environment.get(if system == System::Windows { "USERPROFILE" } else { "HOME" })?;
    let underscore = Path::new(home).join("_netrc");
    if system == System::Windows && underscore.exists() {
        return Some(underscore);
    }
    Some(Path::new(home).join(".netrc"))
}

/// The logins in `text`. A token and its value have to stand on one line, as in the go command.
fn parse(text: &str) -> Vec<Login> {
    let mut logins = Vec::new();
    let (mut machine, mut login, mut password) = (String::new(), String::new(), String::new());
    let mut in_macro = false;
    for line in text.split('\n') {
        if in_macro {
            in_macro = !line.is_empty();
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.chunks_exact(2) {
            match pair[0] {
                "machine" => {
                    (machine, login, password) = (pair[1].to_owned(), String::new(), String::new());
                }
                "login" => pair[1].clone_into(&mut login),
                "password" => pair[1].clone_into(&mut password),
                "macdef" => in_macro = true,
                _ => {}
            }
            if !machine.is_empty() && !login.is_empty() && !password.is_empty() {
                logins.push(Login {
                    machine: std::mem::take(&mut machine),
                    login: std::mem::take(&mut login),
                    password: Secret::new(std::mem::take(&mut password)),
                });
            }
        }
        if words.len() % 2 == 1 && words.last() == Some(&"default") {
            break;
        }
    }
    logins
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn logins_are_those_that_go_would_use() {
        let text = "machine a.example.com login me password one\n\
                    machine b.example.com/team\n login you\n password two\n\
                    macdef init\nmachine evil login x password y\n\n\
                    machine a.example.com login me password three\n\
                    machine half login only\ndefault login anybody password four\n";
        let netrc = Netrc { logins: parse(text), ..Netrc::default() };
        let found = |place: &str| netrc.login_for(place).map(|login| login.password.expose().as_str());
        assert_eq!(netrc.logins.len(), 3);
        assert_eq!(found("a.example.com/go"), Some("one"));
        assert_eq!(found("b.example.com/team/x"), Some("two"));
        assert_eq!(found("b.example.com"), None);
        assert_eq!(found("evil"), None);
        assert!(!format!("{netrc:?}").contains("three"));
    }

    proptest! {
        #[test]
        fn no_file_is_too_strange(text in "(machine|login|password|default|macdef|[a-z ]{1,4}|\n){0,30}") {
            let _ = Netrc { logins: parse(&text), ..Netrc::default() }.login_for("a/b/c");
        }
    }
}
