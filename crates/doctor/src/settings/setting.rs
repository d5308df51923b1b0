//! One setting: its value, where that came from, and what it hides.

use std::fmt;
use std::path::PathBuf;

use tradewind_core::Secret;

use super::redact::redacted;

/// Where a value comes from. The order is that of precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The environment of this process; the name as it is spelled there.
    Process(&'static str),
    /// The environment of this process, which Windows made out of a registry key (untested).
    Registry(&'static str),
    /// The file that `go env -w` writes.
    EnvFile(PathBuf),
    /// `go.env` in GOROOT.
    GorootFile(PathBuf),
    /// The go command's own default, or another setting that stands in.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(name) => write!(f, "the environment of this process ({name})"),
            Self::Registry(key) => write!(f, "the registry ({key})"),
            Self::EnvFile(path) => write!(f, "the go env file {}", path.display()),
            Self::GorootFile(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A setting with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name, as `go env` prints it.
    pub name: &'static str,
    value: Secret<String>,
    /// Where the value that counts comes from.
    pub origin: Origin,
    /// Values that do not count, since this one does; the next in precedence first.
    hidden: Vec<(Origin, Secret<String>)>,
}

impl Setting {
    /// The first of `values` counts and hides the others; `None` when there is none.
    pub(crate) fn of(name: &'static str, values: Vec<(Origin, String)>) -> Option<Self> {
        let mut values = values.into_iter().map(|(origin, value)| (origin, Secret::new(value)));
        let (origin, value) = values.next()?;
        Some(Self { name, value, origin, hidden: values.collect() })
    }

    /// The value. May hold a secret: for deciding, never for printing.
    #[must_use]
    pub fn value(&self) -> &str {
        self.value.expose()
    }

    /// The value for printing, passwords left out.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.name {
            // Commands to log in may have anything behind their names.
            "GOAUTH" => {
                let names =
                    self.value().split(';').map(|command| command.split_whitespace().next().unwrap_or_default());
                names.collect::<Vec<_>>().join(";")
            }
            // `-ldflags` sets variables of programs.
            "GOFLAGS" if self.value().contains("ldflags") => {
                let names = self.value().split_whitespace().map(|word| word.split('=').next().unwrap_or_default());
                names.collect::<Vec<_>>().join(" ")
            }
            _ => redacted(self.value()),
        }
    }

    /// The next value in precedence that is another one, and where it comes from. May hold a secret.
    #[must_use]
    pub fn hides(&self) -> Option<(&Origin, &str)> {
        let (origin, value) = self.hidden.iter().find(|(_, value)| value.expose() != self.value())?;
        Some((origin, value.expose()))
    }

    /// The value of the same setting in the file that `go env -w` writes, if it has one. May hold a secret.
    #[must_use]
    pub fn in_env_file(&self) -> Option<&str> {
        let both = self.hidden.iter().map(|(origin, value)| (origin, value.expose().as_str()));
        let mut all = std::iter::once((&self.origin, self.value())).chain(both);
        all.find(|(origin, _)| matches!(origin, Origin::EnvFile(_))).map(|(_, value)| value)
    }

    /// `NAME=value, from …`, without secrets.
    #[must_use]
    pub fn told(&self) -> String {
        format!("{}={}, from {}", self.name, self.shown(), self.origin)
    }
}
