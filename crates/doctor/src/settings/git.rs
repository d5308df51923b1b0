//! The git that the go command would run, and what its configuration says about the network.

use std::path::PathBuf;

use super::redact::redacted;
use super::{Environment, program};
use crate::System;

/// git, as far as it concerns the way out.
#[derive(Clone, Debug, Default)]
pub struct Git {
    /// The program; `None` when there is none in `PATH`.
    pub path: Option<PathBuf>,
    /// The settings that concern the network, names in lower case but for what stands between the dots, with the file
    /// that each is from. Values may hold secrets.
    settings: Vec<(String, String, String)>,
}

impl Git {
    /// Asks the git in `PATH`.
    #[must_use]
    pub(crate) fn find(environment: &Environment, system: System) -> Self {
        let Some(path) = program::find("git", environment, system) else { return Self::default() };
        let listed = program::output(&path, &["config", "--list", "--show-origin", "-z"], &[]).unwrap_or_default();
        Self { path: Some(path), settings: parse(&listed) }
    }

    /// The value of `name` that counts, the last one. May hold a secret.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|(_, own, _)| own == name).map(|(_, _, value)| value.as_str())
    }

    /// The proxy that git asks for `https://host/…`, and its setting: `http.<url>.proxy` before `http.proxy`.
    #[must_use]
    pub fn proxy_for(&self, host: &str) -> Option<(&str, &str)> {
        let own = |(_, name, value): &'_ &(String, String, String)| {
            let place = name.strip_prefix("http.").and_then(|rest| rest.strip_suffix(".proxy"));
            let of_host = place.and_then(|place| place.split("://").nth(1)).map(|rest| rest.split(['/', ':']).next());
            !value.is_empty() && of_host == Some(Some(host))
        };
        let special = self.settings.iter().rev().find(own);
        let general = || self.settings.iter().rev().find(|(_, name, _)| name == "http.proxy");
        special.or_else(general).map(|(_, name, value)| (name.as_str(), value.as_str()))
    }

    /// What `url` becomes by `url.<base>.insteadOf`: the longest that fits.
    #[must_use]
    pub fn rewritten(&self, url: &str) -> Option<String> {
        let rules = self.settings.iter().filter_map(|(_, name, value)| {
            let base = name.strip_prefix("url.")?.strip_suffix(".insteadof")?;
            Some((base, value.as_str()))
        });
        let best = rules.filter(|(_, instead)| url.starts_with(instead)).max_by_key(|(_, instead)| instead.len());
        best.map(|(base, instead)| format!("{base}{}", &url[instead.len()..]))
    }

    /// The settings without their secrets, as `name=value (file)`.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let told = self.settings.iter().map(|(file, name, value)| {
            let secret = name.contains("extraheader") || name.contains("password");
            let value = if secret { super::redact::HIDDEN.to_owned() } else { redacted(value) };
            format!("{}={value} ({file})", redacted(name))
        });
        told.collect()
    }
}

/// Reads `git config --list --show-origin -z`: the file, a null, the name, a line break, the value, a null.
fn parse(listed: &str) -> Vec<(String, String, String)> {
    let mut settings = Vec::new();
    let mut parts = listed.split('\0');
    while let (Some(file), Some(setting)) = (parts.next(), parts.next()) {
        let (name, value) = setting.split_once('\n').unwrap_or((setting, "true"));
        let concerns = ["http.", "https.", "url.", "credential.", "core.askpass", "core.sshcommand", "core.gitproxy"];
        if concerns.iter().any(|start| name.starts_with(start)) {
            let file = file.strip_prefix("file:").unwrap_or(file);
            settings.push((file.to_owned(), name.to_owned(), value.to_owned()));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_told_without_secrets() {
        let listed = "file:/home/me/.gitconfig\0http.proxy\nhttp://me:secret@proxy:3128\0\
                      file:/home/me/.gitconfig\0http.https://git.example.com.proxy\nhttp://other:1\0\
                      file:/home/me/.gitconfig\0url.ssh://git@github.com/.insteadof\nhttps://github.com/\0\
                      file:/home/me/.gitconfig\0url.https://me:token@github.com/corp/.insteadof\nhttps://github.com/corp/\0\
                      file:/home/me/.gitconfig\0http.extraheader\nAuthorization: Basic c2VjcmV0\0\
                      file:/home/me/.gitconfig\0user.name\nMe\0";
        let git = Git { path: None, settings: parse(listed) };
        assert_eq!(git.proxy_for("github.com"), Some(("http.proxy", "http://me:secret@proxy:3128")));
        assert_eq!(git.proxy_for("git.example.com").map(|(_, value)| value), Some("http://other:1"));
        assert_eq!(git.rewritten("https://github.com/a/b").as_deref(), Some("ssh://git@github.com/a/b"));
        assert_eq!(git.rewritten("https://github.com/corp/b").as_deref(), Some("https://me:token@github.com/corp/b"));
        assert_eq!(git.get("user.name"), None);
        let shown = git.shown().join("\n");
        assert!(!shown.contains("secret") && !shown.contains("token") && !shown.contains("c2Vj"), "{shown}");
    }

    #[test]
    fn a_strange_list_is_no_settings() {
        for listed in ["", "\0", "file:x", "file:x\0", "a\0b\0c"] {
            assert!(parse(listed).is_empty(), "{listed:?}");
        }
    }
}
