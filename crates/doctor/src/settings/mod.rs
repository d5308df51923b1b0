//! Every setting that decides how the go command gets out, with where it came from.
//!
//! Precedence is the go command's: the environment of the process, the file that `go env -w` writes, `go.env` in GOROOT,
//! the default. The go command is not asked for them: it would refuse to answer in the very cases that are looked for, and
//! might download another toolchain first. What a user set in the registry of Windows reaches a process as its environment.

mod desktop;
mod env_file;
mod environment;
mod git;
mod go_mod;
mod go_tool;
mod go_version;
pub mod goproxy;
mod gosumdb;
mod http_proxy;
mod netrc;
mod patterns;
mod program;
mod project;
pub(crate) mod redact;
#[cfg(any(windows, test))]
mod registry;
mod setting;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use desktop::Desktop;
pub use environment::Environment;
pub use git::Git;
pub use go_mod::{GoMod, Replace, Require};
pub use go_tool::GoTool;
pub use go_version::GoVersion;
pub use goproxy::{BadGoproxy, Entry, Source, Then};
pub use gosumdb::{BadGosumdb, Gosumdb};
pub use http_proxy::{HttpProxy, ProxySetting, Way, Why};
pub use netrc::{Login, Netrc};
pub use patterns::{Patterns, covers, is_well_formed};
pub(crate) use program::find as find_program;
pub use project::{Member, Needed, Project, escaped};
pub use setting::{Origin, Setting};

use crate::{System, Url};

/// The settings that `go env` knows and that matter here.
const GO_SETTINGS: [&str; 20] = [
    "GO111MODULE",
    "GOARCH",
    "GOAUTH",
    "GOCACHE",
    "GOFLAGS",
    "GOINSECURE",
    "GOMODCACHE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOOS",
    "GOPATH",
    "GOPRIVATE",
    "GOPROXY",
    "GOROOT",
    "GOSUMDB",
    "GOTMPDIR",
    "GOTOOLCHAIN",
    "GOVCS",
    "GOWORK",
    "GODEBUG",
];

/// Everything that is read before anything is asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The process's environment, as far as it matters.
    pub environment: Environment,
    /// The file that `go env -w` writes; `None` for `GOENV=off`.
    pub env_file: Option<PathBuf>,
    /// Whether GOROOT has its `go.env`.
    pub has_goroot_file: bool,
    values: BTreeMap<&'static str, Setting>,
    /// GOPROXY, split.
    pub goproxy: Result<Vec<Entry>, BadGoproxy>,
    /// GOSUMDB, read.
    pub gosumdb: Result<Gosumdb, BadGosumdb>,
    /// Which modules no proxy is asked for: GONOPROXY, else GOPRIVATE.
    pub no_proxy: Patterns,
    /// Which modules are not looked up in the checksum database: GONOSUMDB, else GOPRIVATE.
    pub no_sumdb: Patterns,
    /// The HTTP proxies of the environment.
    pub http_proxy: HttpProxy,
    /// The proxy of the desktop, which go does not read. Asked for only when the environment names none.
    pub desktop: Option<Desktop>,
    /// The logins of `.netrc`.
    pub netrc: Netrc,
    /// The go command; `None` when there is none in `PATH`.
    pub go: Option<GoTool>,
    /// git.
    pub git: Git,
    /// The module cache; `None` without GOMODCACHE, GOPATH and a home.
    pub mod_cache: Option<PathBuf>,
    /// The folder of what is known of checksum databases: `pkg/sumdb` of GOPATH.
    pub sumdb_folder: Option<PathBuf>,
    /// The module or workspace of the present folder.
    pub project: Option<Project>,
    /// The present folder.
    pub folder: PathBuf,
}

/// What the command line says in place of the settings.
#[derive(Clone, Default)]
pub struct Overrides {
    /// `--proxy`: the HTTP proxy to go out through in place of HTTPS_PROXY and HTTP_PROXY. May hold a secret.
    pub http_proxy: Option<String>,
}

impl Settings {
    /// Reads the settings of a process with `environment` in `folder`. Programs that are asked (git, and a go that is a
    /// script) get ten seconds each.
    #[must_use]
    pub fn read(environment: Environment, folder: &Path, system: System, overrides: &Overrides) -> Self {
        let environment = match &overrides.http_proxy {
            Some(proxy) => environment.with(&["HTTPS_PROXY", "HTTP_PROXY"], proxy),
            None => environment,
        };
        let env_file = env_file::path(&environment, system);
        let user = env_file.as_deref().and_then(env_file::read).unwrap_or_default();
        let set_root = user.get("GOROOT").map(String::as_str).filter(|root| !root.is_empty());
        let set_root = set_root.or_else(|| environment.get("GOROOT")).map(PathBuf::from);
        let go = program::find("go", &environment, system).map(|path| GoTool::at(path, set_root));
        let goroot_file = go.as_ref().and_then(|go| go.root.as_ref()).map(|root| root.join("go.env"));
        let goroot = goroot_file.as_deref().and_then(env_file::read);
        let has_goroot_file = goroot.is_some();
        let goroot = goroot.unwrap_or_default();

        let mut values = BTreeMap::new();
        for name in GO_SETTINGS {
            let mut all = Vec::new();
            if let Some(value) = environment.get(name) {
                all.push((process_origin(name, value), value.to_owned()));
            }
            let both = [(&user, env_file.as_ref()), (&goroot, goroot_file.as_ref())];
            for (place, (lines, file)) in both.into_iter().enumerate() {
                if let (Some(value), Some(file)) = (lines.get(name).filter(|value| !value.is_empty()), file) {
                    let origin = if place == 0 { Origin::EnvFile } else { Origin::GorootFile };
                    all.push((origin(file.clone()), value.clone()));
                }
            }
            // Without any go command the defaults are those of its usual go.env.
            let default = match name {
                "GOPROXY" => Some("https://proxy.golang.org,direct"),
                "GOSUMDB" => Some("sum.golang.org"),
                "GOTOOLCHAIN" => Some("auto"),
                _ => None,
            };
            if let (Some(default), true) = (default, all.is_empty() && go.is_none()) {
                all.push((Origin::Default, default.to_owned()));
            }
            if let Some(setting) = Setting::of(name, all) {
                values.insert(name, setting);
            }
        }
        let text = |name: &str| values.get(name).map_or("", Setting::value);
        let private = |name: &str| Patterns::parse(if text(name).is_empty() { text("GOPRIVATE") } else { text(name) });
        let home = environment.get(if system == System::Windows { "USERPROFILE" } else { "HOME" });
        let gopath = text("GOPATH").split(if system == System::Windows { ';' } else { ':' }).next().unwrap_or_default();
        let gopath = match (gopath, home) {
            ("", None) => None,
            ("", Some(home)) => Some(Path::new(home).join("go")),
            (gopath, _) => Some(PathBuf::from(gopath)),
        };
        let mod_cache = match text("GOMODCACHE") {
            "" => gopath.as_ref().map(|gopath| gopath.join("pkg").join("mod")),
            path => Some(PathBuf::from(path)),
        };
        let http_proxy = HttpProxy::of(&environment);
        let has_proxy = environment.first(&["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]).is_some();
        Self {
            goproxy: goproxy::parse(text("GOPROXY")),
            gosumdb: gosumdb::parse(text("GOSUMDB")),
            no_proxy: private("GONOPROXY"),
            no_sumdb: private("GONOSUMDB"),
            desktop: if has_proxy { None } else { Desktop::find(&environment, system) },
            netrc: Netrc::of(&environment, system),
            git: Git::find(&environment, system),
            sumdb_folder: gopath.map(|gopath| gopath.join("pkg").join("sumdb")),
            project: Project::find(folder, Some(text("GOWORK")).filter(|work| !work.is_empty())),
            folder: folder.to_owned(),
            env_file,
            has_goroot_file,
            http_proxy,
            go,
            mod_cache,
            values,
            environment,
        }
    }

    /// The setting `name` of `go env`; `None` when it has no value anywhere.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.values.get(name)
    }

    /// The value of `name`, empty when it has none. May hold a secret.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.get(name).map_or("", Setting::value)
    }

    /// All settings that have a value, by name.
    pub fn all(&self) -> impl Iterator<Item = &Setting> {
        self.values.values()
    }

    /// The entries of GOPROXY that are asked by HTTP, in order, with what follows each.
    #[must_use]
    pub fn proxies(&self) -> Vec<(&Url, Then)> {
        let entries = self.goproxy.as_deref().unwrap_or_default().iter();
        let asked = entries.filter_map(|entry| match &entry.source {
            Source::Proxy(url) => Some((url, entry.then)),
            Source::Folder(_) | Source::Direct | Source::Off => None,
        });
        asked.collect()
    }

    /// The flag `-name` of GOFLAGS with its value: `mod` of `-mod=vendor` is `vendor`, one without a value is `true`.
    #[must_use]
    pub fn go_flag(&self, name: &str) -> Option<&str> {
        self.text("GOFLAGS").split_whitespace().rev().find_map(|flag| {
            let flag = flag.trim_matches(['"', '\'']);
            let flag = flag.strip_prefix("--").or_else(|| flag.strip_prefix('-'))?;
            let (own, value) = flag.split_once('=').unwrap_or((flag, "true"));
            (own == name).then_some(value)
        })
    }

    /// The file of `needed` in the module cache with this ending: `zip`, `mod`, `info`, `ziphash`.
    #[must_use]
    pub fn cached(&self, needed: &Needed, ending: &str) -> Option<PathBuf> {
        let folder = self.mod_cache.as_ref()?.join("cache").join("download");
        Some(folder.join(format!("{}.{ending}", needed.escaped())))
    }

    /// Whether go would take the project's modules from its vendor folder: with `-mod=vendor`, and by itself since 1.14.
    #[must_use]
    pub fn is_vendored(&self) -> bool {
        let Some(project) = self.project.as_ref().filter(|project| project.vendor.is_some()) else { return false };
        match self.go_flag("mod") {
            Some(flag) => flag == "vendor",
            None => project.go.as_ref().is_some_and(|go| go.language() >= (1, 14)),
        }
    }

    /// The modules of the project that go would have to fetch: needed, and neither in the module cache nor in the vendor
    /// folder.
    #[must_use]
    pub fn missing(&self) -> Vec<Needed> {
        if self.is_vendored() {
            return Vec::new();
        }
        let needed = self.project.as_ref().map(Project::needed).unwrap_or_default();
        let is_there = |needed: &Needed| self.cached(needed, "zip").is_some_and(|file| file.is_file());
        needed.into_iter().filter(|needed| !is_there(needed)).collect()
    }

    /// Every secret that was read, for leaving out of texts.
    #[must_use]
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        let mut of_url = |url: &Url| {
            if let Some(password) = url.user.as_ref().and_then(|user| user.password.as_ref()) {
                secrets.push(password.expose().clone());
                secrets.push(crate::url::encoded(password.expose()));
            } else if let Some(user) = url.user.as_ref().filter(|user| redact::is_token(&user.name)) {
                secrets.push(user.name.clone());
            }
        };
        for (proxy, _) in self.proxies() {
            of_url(proxy);
        }
        for setting in [&self.http_proxy.http, &self.http_proxy.https].into_iter().flatten() {
            if let Ok(url) = &setting.url {
                of_url(url);
            }
        }
        secrets.extend(self.netrc.logins.iter().map(|login| login.password.expose().clone()));
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        secrets
    }
}

/// Where a value in the process's environment comes from: on Windows possibly from the registry.
#[cfg_attr(not(windows), expect(unused_variables, reason = "elsewhere there is no registry"))]
fn process_origin(name: &'static str, value: &str) -> Origin {
    #[cfg(windows)]
    if let Some(key) = registry::key_of(name, value, registry::query) {
        return Origin::Registry(key);
    }
    Origin::Process(name)
}
