//! The two files of settings of the go command: the one that `go env -w` writes, and `go.env` in GOROOT.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tradewind_runtime::files;

use super::Environment;
use crate::System;

/// The largest file that is read.
const MOST_BYTES: u64 = 1 << 20;

/// Where `go env -w` writes: GOENV, else a file in the user's configuration folder. `None` for `GOENV=off` and without a
/// home.
#[must_use]
pub(crate) fn path(environment: &Environment, system: System) -> Option<PathBuf> {
    match environment.get("GOENV") {
        Some("off") => return None,
        Some(path) => return Some(PathBuf::from(path)),
        None => {}
    }
    let folder = match system {
        System::Windows => PathBuf::from(environment.get("APPDATA")?),
        System::MacOs => Path::new(environment.get("HOME")?).join("Library/Application Support"),
        System::Linux => match environment.get("XDG_CONFIG_HOME") {
            // Go refuses one that is relative.
            Some(folder) => Some(PathBuf::from(folder)).filter(|folder| folder.is_absolute())?,
            None => Path::new(environment.get("HOME")?).join(".config"),
        },
    };
    Some(folder.join("go").join("env"))
}

/// What a file says; `None` when it is not there or cannot be read, which go passes over in silence.
#[must_use]
pub(crate) fn read(path: &Path) -> Option<BTreeMap<String, String>> {
    files::read_bytes(path, MOST_BYTES).ok().map(|bytes| parse(&String::from_utf8_lossy(&bytes)))
}

/// Lines of `NAME=value`, the last of a name counts; the value is everything behind the `=`, quotes and all.
fn parse(text: &str) -> BTreeMap<String, String> {
    let lines = text.split('\n').filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_and_values() {
        let values =
            parse("# comment=1\nGOPROXY=https://a,direct\nGOFLAGS=\"-mod=mod\"\n=x\ngo=1\nGOPROXY=off\r\nnothing");
        assert_eq!(values.len(), 2);
        assert_eq!(values["GOFLAGS"], "\"-mod=mod\"");
        // A carriage return is part of the value, as for go.
        assert_eq!(values["GOPROXY"], "off\r");
    }

    #[test]
    fn the_file_is_where_go_looks() {
        let path = |values: &[(&'static str, &'static str)], system| {
            path(&Environment::of(values.iter().copied()), system).map(|path| path.display().to_string())
        };
        let home = ("HOME", "/home/me");
        assert_eq!(path(&[home], System::Linux).as_deref(), Some("/home/me/.config/go/env"));
        assert_eq!(path(&[home, ("XDG_CONFIG_HOME", "/x")], System::Linux).as_deref(), Some("/x/go/env"));
        assert_eq!(path(&[home, ("XDG_CONFIG_HOME", "x")], System::Linux), None);
        let macos = path(&[home], System::MacOs);
        assert_eq!(macos.as_deref(), Some("/home/me/Library/Application Support/go/env"));
        assert_eq!(path(&[home, ("GOENV", "off")], System::Linux), None);
        assert_eq!(path(&[("GOENV", "/e")], System::Linux).as_deref(), Some("/e"));
        assert_eq!(path(&[], System::Windows), None);
    }
}
