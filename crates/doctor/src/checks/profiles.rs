//! Settings in the files that shells read when they start, which a process that was started otherwise (sudo, a service, an
//! editor) does not have. The files are read, never run.

use std::path::{Path, PathBuf};

use tradewind_runtime::files;

use crate::World;
use crate::settings::Environment;

/// The largest file that is read.
const MOST_BYTES: u64 = 256 << 10;

/// A variable that a file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The file.
    pub(crate) file: PathBuf,
    /// The line in it, from 1.
    pub(crate) number: usize,
    /// The value, without quotes. May hold a secret.
    pub(crate) value: String,
}

/// Where `name` is set for the user's shells, the file that is read last first.
#[must_use]
pub(crate) fn setting_of(world: &World, name: &str) -> Option<Line> {
    files_of(&world.settings.environment).into_iter().rev().find_map(|file| {
        let text = files::read_text(&file, MOST_BYTES).ok()?;
        let (number, value) = value_in(&text, name)?;
        Some(Line { file, number, value })
    })
}

fn files_of(environment: &Environment) -> Vec<PathBuf> {
    let mut all = vec![PathBuf::from("/etc/environment"), PathBuf::from("/etc/profile")];
    if let Ok(folder) = Path::new("/etc/profile.d").read_dir() {
        let mut scripts: Vec<PathBuf> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
        scripts.retain(|path| path.extension().is_some_and(|ending| ending == "sh"));
        scripts.sort();
        all.extend(scripts);
    }
    if let Some(home) = environment.get("HOME") {
        let own =
            [".profile", ".bash_profile", ".bashrc", ".zprofile", ".zshenv", ".zshrc", ".config/fish/config.fish"];
        all.extend(own.iter().map(|name| Path::new(home).join(name)));
    }
    all
}

/// The last line of `text` that sets `name` to a plain value: `export NAME=value`, `NAME=value`, `set -gx NAME value`.
fn value_in(text: &str, name: &str) -> Option<(usize, String)> {
    let lines = text.lines().enumerate().filter_map(|(index, line)| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let fish = ["set -gx ", "set -Ux ", "set -x "].iter().find_map(|start| line.strip_prefix(start));
        let value = match fish {
            Some(rest) => rest.trim_start().strip_prefix(name)?.strip_prefix(' ')?,
            None => line.strip_prefix(name)?.strip_prefix('=')?,
        };
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find(|quote| value.starts_with(*quote));
        let value = match quoted {
            Some(quote) => value[1..].split(quote).next().unwrap_or_default(),
            None => value.split([' ', ';', '\t']).next().unwrap_or_default(),
        };
        // What a shell would have to work out is not known here.
        (!value.is_empty() && !value.contains(['$', '`'])).then(|| (index + 1, value.to_owned()))
    });
    lines.last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_are_found_and_others_left() {
        let value = |text: &str| value_in(text, "HTTPS_PROXY").map(|(line, value)| format!("{line} {value}"));
        assert_eq!(value("a\nexport HTTPS_PROXY=http://p:1 # x\n").as_deref(), Some("2 http://p:1"));
        assert_eq!(value("HTTPS_PROXY=\"http://p:1\"\nHTTPS_PROXY='http://q:2'").as_deref(), Some("2 http://q:2"));
        assert_eq!(value("set -gx HTTPS_PROXY http://p:1").as_deref(), Some("1 http://p:1"));
        assert_eq!(value("  export   HTTPS_PROXY=http://p:1;x").as_deref(), Some("1 http://p:1"));
        for text in ["", "#HTTPS_PROXY=x", "MY_HTTPS_PROXY=x", "HTTPS_PROXY=$P", "HTTPS_PROXY=", "unset HTTPS_PROXY"] {
            assert_eq!(value(text), None, "{text}");
        }
    }
}
