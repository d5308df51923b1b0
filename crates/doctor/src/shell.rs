//! Which system this is, and which shell its user types fixes into.

/// The operating system that go runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Linux and other Unix systems.
    Linux,
    /// macOS: roots come from the keychain, `SSL_CERT_FILE` is not read.
    MacOs,
    /// Windows: settings may come from the registry, roots from the system's store.
    Windows,
}

impl System {
    /// The one that this program was built for.
    #[must_use]
    pub const fn here() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }
}

/// How a command is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// sh, bash, zsh, dash, and Git's and MSYS's bash on Windows.
    Posix,
    /// fish: variables are set by `set -gx`.
    Fish,
    /// `PowerShell`.
    PowerShell,
    /// `cmd.exe`.
    Cmd,
}

impl Shell {
    /// The shell that `environment` speaks of: `SHELL`, on Windows without it `PSModulePath`.
    #[must_use]
    pub fn of(system: System, shell: Option<&str>, powershell: bool) -> Self {
        match (system, shell) {
            (_, Some(path)) if path.rsplit(['/', '\\']).next().is_some_and(|name| name.starts_with("fish")) => {
                Self::Fish
            }
            (System::Windows, None) if powershell => Self::PowerShell,
            (System::Windows, None) => Self::Cmd,
            _ => Self::Posix,
        }
    }

    /// `text` as one word of this shell that means itself.
    #[must_use]
    pub fn quoted(self, text: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@%+=".contains(c);
        if !text.is_empty() && text.chars().all(plain) && !(self == Self::Cmd && text.contains('%')) {
            return text.to_owned();
        }
        match self {
            Self::Posix => format!("'{}'", text.replace('\'', r"'\''")),
            Self::Fish => format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'")),
            Self::PowerShell => format!("'{}'", text.replace('\'', "''")),
            Self::Cmd => format!("\"{}\"", text.replace('"', "\"\"").replace('%', "%%")),
        }
    }

    /// The command that sets the variable `name` in this shell.
    #[must_use]
    pub fn set(self, name: &str, value: &str) -> String {
        match self {
            Self::Posix => format!("export {name}={}", self.quoted(value)),
            Self::Fish => format!("set -gx {name} {}", self.quoted(value)),
            Self::PowerShell => format!("$env:{name} = '{}'", value.replace('\'', "''")),
            Self::Cmd => format!("set \"{name}={value}\""),
        }
    }

    /// The command that removes the variable `name` from this shell.
    #[must_use]
    pub fn unset(self, name: &str) -> String {
        match self {
            Self::Posix => format!("unset {name}"),
            Self::Fish => format!("set -e {name}"),
            Self::PowerShell => format!("Remove-Item Env:{name}"),
            Self::Cmd => format!("set \"{name}=\""),
        }
    }

    /// The value of the variable `name` as a word of a command: the shell reads it, and nothing of it is shown.
    #[must_use]
    pub fn value_of(self, name: &str) -> String {
        match self {
            Self::Posix | Self::Fish => format!("\"${name}\""),
            Self::PowerShell => format!("$env:{name}"),
            Self::Cmd => format!("\"%{name}%\""),
        }
    }

    /// One command line out of several that are run in order, each only when the one before it worked.
    #[must_use]
    pub fn all(self, commands: &[String]) -> String {
        match self {
            Self::Posix | Self::Cmd => commands.join(" && "),
            Self::Fish => commands.join("; and "),
            Self::PowerShell => commands.join("; "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_themselves() {
        assert_eq!(Shell::Posix.quoted("https://proxy.example.com,direct"), "https://proxy.example.com,direct");
        assert_eq!(Shell::Posix.quoted("a|b"), "'a|b'");
        assert_eq!(Shell::Posix.quoted("it's"), r"'it'\''s'");
        assert_eq!(Shell::Posix.quoted(""), "''");
        assert_eq!(Shell::Fish.quoted(r"a\b"), r"'a\\b'");
        assert_eq!(Shell::PowerShell.quoted("it's"), "'it''s'");
        assert_eq!(Shell::Cmd.quoted("100%"), "\"100%%\"");
    }

    #[test]
    fn a_variable_is_read_where_it_is() {
        let all = [Shell::Posix, Shell::Fish, Shell::PowerShell, Shell::Cmd];
        assert_eq!(all.map(|shell| shell.value_of("A_B")), ["\"$A_B\"", "\"$A_B\"", "$env:A_B", "\"%A_B%\""]);
    }

    #[test]
    fn the_shell_is_told_by_its_path() {
        assert_eq!(Shell::of(System::Linux, Some("/usr/bin/fish"), false), Shell::Fish);
        assert_eq!(Shell::of(System::Linux, Some("/bin/zsh"), false), Shell::Posix);
        assert_eq!(Shell::of(System::Linux, None, true), Shell::Posix);
        assert_eq!(Shell::of(System::Windows, None, true), Shell::PowerShell);
        assert_eq!(Shell::of(System::Windows, None, false), Shell::Cmd);
        assert_eq!(Shell::of(System::Windows, Some("/usr/bin/bash"), true), Shell::Posix);
    }
}
