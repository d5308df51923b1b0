//! The process's environment, as far as anything on the way out reads it.

use std::collections::BTreeMap;

use super::GO_SETTINGS;

/// The variables that are looked at beside the settings of the go command. Nothing else of the environment is read.
const NAMES: &[&str] = &[
    "ALL_PROXY",
    "APPDATA",
    "CI",
    "GIT_ASKPASS",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_NO_VERIFY",
    "GIT_TERMINAL_PROMPT",
    "GOENV",
    "GONOSUMCHECK",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "KRB5CCNAME",
    "KRB5_CONFIG",
    "MSYSTEM",
    "NETRC",
    "NO_PROXY",
    "PATH",
    "PATHEXT",
    "PSModulePath",
    "REQUEST_METHOD",
    "SHELL",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "SUDO_USER",
    "TMPDIR",
    "USER",
    "USERPROFILE",
    "WSL_DISTRO_NAME",
    "XDG_CONFIG_HOME",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Variables and their values; one that is empty is one that is not there, as for the go command.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let value = |name: &&str| Some(((*name).to_owned(), tradewind_runtime::environment(name)?));
        Self(GO_SETTINGS.iter().chain(NAMES).filter_map(value).collect())
    }

    /// One that says `values`.
    pub fn of<N: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (N, V)>) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(values.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// This environment with `value` for each of `names`.
    #[must_use]
    pub(crate) fn with(mut self, names: &[&str], value: &str) -> Self {
        self.0.extend(names.iter().map(|name| ((*name).to_owned(), value.to_owned())));
        self
    }

    /// The value of `name`. May hold a secret.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The first of `names` that has a value, and which it is.
    #[must_use]
    pub fn first(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }
}

/// Without the values: some are secret.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
