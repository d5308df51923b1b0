//! The section `modules` of the document: its types, and [`Modules::decode`].
//!
//! This is what was written, checked to be whole, with what a mount does not say taken from the section. Nothing is opened
//! here.

mod checks;
mod either;
#[cfg(test)]
mod tests;
mod upstreams;

use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tradewind_core::Secret;
use tradewind_policy::{ByteSize, Listen, Problems, Root, SectionInfo, Shared, Spanned, TimeSpan};

pub use self::either::{Auth, Private};
pub use self::upstreams::{Hop, HopSource, Otherwise, Upstreams};

/// The section `modules`.
pub const MODULES_SECTION: SectionInfo = SectionInfo {
    key: "modules",
    about: "A proxy for Go modules at `/go/`, which checks what it passes on.",
    schema: |generator| generator.subschema_for::<Section>(),
    governed: &["upstream", "sumdb", "verify", "private", "via", "direct", "release", "rules", "mounts"],
    not_built: &[],
};

/// Go's own checksum database, with its key: known by its name alone, as to the go command.
pub(crate) const KNOWN_SUMDB: (&str, &str) =
    ("sum.golang.org", "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8");
/// The same database at another address.
const KNOWN_ALIAS: (&str, &str) = ("sum.golang.google.cn", "https://sum.golang.google.cn");
/// Where modules come from when nothing is said.
const USUAL_UPSTREAM: &str = "https://proxy.golang.org";

/// The section as it is written.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(rename = "Modules")]
struct Section {
    /// An address of its own for the go command, beside `/go/` on the gateway's: `GOPROXY=http://ADDRESS`.
    listen: Option<Spanned<Listen>>,
    /// Where modules come from, as in GOPROXY; `https://proxy.golang.org` when absent. `off` serves what is stored.
    upstream: Option<Upstreams>,
    /// The checksum database: `sum.golang.org` when absent, a verifier key `name+hash+key`, or `off`; behind a space its
    /// URL, when it is not reached through the upstream.
    sumdb: Option<Spanned<String>>,
    /// Whether a version has to be in the checksum database; `required` when absent.
    verify: Option<Verify>,
    /// Modules that no public upstream and no checksum database is asked about.
    private: Option<Private>,
    /// The proxy or group by which upstreams are reached.
    via: Option<Spanned<Arc<str>>>,
    /// How to log in at the upstreams.
    auth: Option<Auth>,
    /// A PEM file with the certificate authorities of the upstreams, in place of the system's.
    tls_roots: Option<String>,
    /// Whether `direct` in a list of upstreams is allowed, and what does it: `git`, the installed program.
    direct: Option<Direct>,
    /// When a zip is given to the first who asks for it; `checked` when absent.
    release: Option<Release>,
    /// Which versions may be had.
    rules: Option<RulesSection>,
    /// What is kept on disk.
    cache: CacheSettings,
    /// Further trees of modules below `/go/`, each with its own upstream; the longest prefix counts.
    mounts: Vec<MountEntry>,
}

/// One entry of `mounts`. What it does not say is as in the section.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct MountEntry {
    /// The path behind `/go/`, such as `internal`.
    #[schemars(with = "String")]
    prefix: Spanned<String>,
    /// Where modules come from.
    #[serde(default)]
    upstream: Option<Upstreams>,
    /// The checksum database.
    #[serde(default)]
    sumdb: Option<Spanned<String>>,
    /// Whether a version has to be in it.
    #[serde(default)]
    verify: Option<Verify>,
    /// Modules that no public upstream and no checksum database is asked about.
    #[serde(default)]
    private: Option<Private>,
    /// The proxy or group by which upstreams are reached.
    #[serde(default)]
    via: Option<Spanned<Arc<str>>>,
    /// How to log in at the upstreams.
    #[serde(default)]
    auth: Option<Auth>,
    /// A PEM file with the certificate authorities of the upstreams.
    #[serde(default)]
    tls_roots: Option<String>,
    /// When a zip is given to the first who asks for it.
    #[serde(default)]
    release: Option<Release>,
    /// Which versions may be had.
    #[serde(default)]
    rules: Option<RulesSection>,
}

/// Whether a version has to be in the checksum database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// What is not in it, or cannot be looked up, is not given.
    #[default]
    Required,
    /// What is in it has to agree. What is not, or cannot be looked up, is given.
    WhenPossible,
    /// It is not asked.
    Off,
}

/// When a zip that comes in is given to the one who asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// When it is here and was checked.
    #[default]
    Checked,
    /// While it comes in, but for its directory and at least the last 64 KiB, without which it is no zip: these follow when it
    /// was checked.
    Streaming,
}

/// What fetches from version control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Direct {
    /// The installed `git`.
    Git,
}

/// Which files of a version are fetched when one is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Together {
    /// All three, so that a version that was asked about is here whole.
    #[default]
    All,
    /// The zip only when it is asked for: less to transfer where many go.mod files are read and few zips.
    Asked,
}

/// What is kept on disk.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CacheSettings {
    /// How many bytes of all that is kept but for quarantine; what was least recently used goes first.
    pub max_size: ByteSize,
    /// Modules, or versions as `path@version`, that never go; patterns as in GOPRIVATE.
    pub pins: Vec<Spanned<String>>,
    /// How long a list of versions, `@latest` or the meaning of a branch is taken to be right.
    pub fresh: TimeSpan,
    /// How long it is remembered that something is not there.
    pub missing: TimeSpan,
    /// Which files of a version are fetched when one is asked for.
    pub fetch: Together,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            max_size: ByteSize(20 << 30),
            pins: Vec::new(),
            fresh: TimeSpan::from_secs(60),
            missing: TimeSpan::from_secs(30),
            fetch: Together::All,
        }
    }
}

/// Which versions may be had.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RulesSection {
    /// Only these modules, or versions as `path@version`; patterns as in GOPRIVATE. All when empty.
    pub allow: Vec<Spanned<String>>,
    /// Not these.
    pub deny: Vec<Spanned<String>>,
    /// How long ago a version has to have been made.
    pub min_age: Option<TimeSpan>,
    /// Licences, by their SPDX names such as `AGPL-3.0`, whose modules are left out.
    pub leave_out_licences: Vec<Spanned<String>>,
}

/// A checksum database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumdbSettings {
    /// `name+hash+key`.
    pub verifier: String,
    /// Where it is, when it is not reached through the upstream.
    pub url: Option<String>,
}

impl SumdbSettings {
    /// The name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        self.verifier.split('+').next().unwrap_or(&self.verifier)
    }
}

/// One tree of modules, with all that holds for it.
#[derive(Clone, Debug, PartialEq)]
pub struct MountSettings {
    /// The path behind `/go/` without slashes around it; empty for the section's own.
    pub prefix: String,
    /// Where modules come from.
    pub upstream: Upstreams,
    /// The checksum database.
    pub sumdb: Option<SumdbSettings>,
    /// Whether a version has to be in it.
    pub verify: Verify,
    /// Modules that are none of the public's business.
    pub private: Option<Private>,
    /// The proxy or group by which upstreams are reached.
    pub via: Option<Arc<str>>,
    /// How to log in at the upstreams.
    pub auth: Option<Auth>,
    /// Trusted authorities.
    pub tls_roots: Option<String>,
    /// Whether version control may be asked.
    pub direct: bool,
    /// When a zip is given to the first who asks for it.
    pub release: Release,
    /// Which versions may be had.
    pub rules: RulesSection,
}

/// The section, decoded and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Modules {
    /// An address of its own.
    pub listen: Option<SocketAddr>,
    /// What is kept on disk.
    pub cache: CacheSettings,
    /// The trees, the longest prefix first; the last one has none.
    pub mounts: Vec<MountSettings>,
}

impl Modules {
    /// Decodes and checks the section; `None` without it. The result may be used only when `problems` is empty in the
    /// end.
    #[must_use]
    pub fn decode(root: &Root, shared: &Shared, problems: &mut Problems) -> Option<Self> {
        let node = root.section(MODULES_SECTION.key)?;
        let section: Section = tradewind_policy::decode(node, MODULES_SECTION.key, &[], problems).unwrap_or_default();
        checks::check(&section, root, shared, problems);
        Some(section.resolved())
    }
}

impl Section {
    /// The trees, with what a mount does not say taken from the section.
    fn resolved(self) -> Modules {
        let own = MountSettings {
            prefix: String::new(),
            upstream: self
                .upstream
                .unwrap_or_else(|| Upstreams::parse(USUAL_UPSTREAM).expect("the usual upstream is a URL")),
            sumdb: self.sumdb.as_ref().map_or_else(usual_sumdb, |text| sumdb_of(text).ok().flatten()),
            verify: self.verify.unwrap_or_default(),
            private: self.private,
            via: self.via.map(|via| via.value),
            auth: self.auth,
            tls_roots: self.tls_roots,
            direct: self.direct.is_some(),
            release: self.release.unwrap_or_default(),
            rules: self.rules.unwrap_or_default(),
        };
        let mut mounts: Vec<MountSettings> = self
            .mounts
            .into_iter()
            .map(|entry| (entry.upstream.is_some(), entry))
            .map(|(has_own, entry)| MountSettings {
                prefix: entry.prefix.value,
                upstream: entry.upstream.unwrap_or_else(|| own.upstream.clone()),
                sumdb: entry.sumdb.map_or_else(|| own.sumdb.clone(), |text| sumdb_of(&text).ok().flatten()),
                verify: entry.verify.unwrap_or(own.verify),
                private: entry.private.or_else(|| own.private.clone()),
                via: entry.via.map(|via| via.value).or_else(|| own.via.clone()),
                // Credentials are for the upstream that they stand beside.
                auth: entry.auth.or_else(|| if has_own { None } else { own.auth.clone() }),
                tls_roots: entry.tls_roots.or_else(|| own.tls_roots.clone()),
                direct: own.direct,
                release: entry.release.unwrap_or(own.release),
                rules: entry.rules.unwrap_or_else(|| own.rules.clone()),
            })
            .collect();
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.prefix.len()));
        mounts.push(own);
        Modules { listen: self.listen.map(|listen| listen.value.0), cache: self.cache, mounts }
    }
}

fn usual_sumdb() -> Option<SumdbSettings> {
    Some(SumdbSettings { verifier: KNOWN_SUMDB.1.to_owned(), url: None })
}

/// What `sumdb` says; `None` for `off`.
///
/// # Errors
/// Why it cannot be a checksum database.
fn sumdb_of(text: &str) -> Result<Option<SumdbSettings>, String> {
    let mut words = text.split_whitespace();
    let (Some(first), url, None) = (words.next(), words.next(), words.next()) else {
        return Err("a verifier key, and behind a space the URL if there is one".to_owned());
    };
    if first == "off" {
        return Ok(None);
    }
    let (verifier, alias) = if first == KNOWN_SUMDB.0 {
        (KNOWN_SUMDB.1, None)
    } else if first == KNOWN_ALIAS.0 {
        (KNOWN_SUMDB.1, Some(KNOWN_ALIAS.1))
    } else {
        (first, None)
    };
    if let Some(url) = url {
        tradewind_policy::BaseUrl::parse(url).map_err(|error| error.to_string())?;
    }
    tradewind_ledger::Verifier::parse(verifier).map_err(|error| error.to_string())?;
    Ok(Some(SumdbSettings { verifier: verifier.to_owned(), url: url.or(alias).map(str::to_owned) }))
}

/// A credential for upstreams.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    /// A user name and a password.
    Basic(String, Secret<String>),
    /// A token.
    Bearer(Secret<String>),
    /// Headers as they are.
    Headers(Vec<(String, Secret<String>)>),
}
