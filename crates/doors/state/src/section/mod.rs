//! The sections `store` and `state` of the document: which engine keeps state, and by which rules.
//!
//! What was written, checked to be whole. Nothing is opened and no key is fetched here.

mod engine;
mod key;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tradewind_core::Code;
use tradewind_policy::{ByteSize, Problems, Root, SectionInfo, Spanned, TimeSpan};
use tradewind_store::seal::MAX_MASTER_ID;
use tradewind_store::{MAX_KEEP, MAX_VALUE, Namespace, NamespaceSettings, OnConflict, Settings};

pub use self::engine::Engine;
pub use self::key::{KeySource, SealingKey};

/// The section `store`.
pub const STORE_SECTION: SectionInfo = SectionInfo {
    key: "store",
    about: "What keeps state: `sqlite` or `wal` in the data directory, `redis://HOST` or `nats://HOST`.",
    schema: |generator| generator.subschema_for::<Engine>(),
    governed: &[],
    not_built: &[],
};

/// The section `state`.
pub const STATE_SECTION: SectionInfo = SectionInfo {
    key: "state",
    about: "How agents' long-lived state is kept, at `/api/v1/state/`.",
    schema: |generator| generator.subschema_for::<Section>(),
    governed: &[],
    not_built: &[],
};

/// More namespaces with settings of their own than this are not taken.
const MOST_NAMESPACES: usize = 1000;
/// More earlier keys than this are not taken.
const MOST_PREVIOUS: usize = 16;

/// The section as it is written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(rename = "State")]
struct Section {
    /// What an acknowledged write survives; `fsync` when absent. With `sqlite` and `wal` only: servers are set up elsewhere.
    durability: Option<Spanned<Durability>>,
    /// On how many servers NATS keeps everything, 1 to 5. With `nats` only.
    replicas: Option<Spanned<u8>>,
    /// How many revisions of each key are kept; pinned ones stay beside them.
    keep: u32,
    /// The most that a value can be; at most 16MiB.
    max_value: ByteSize,
    /// What values are sealed with where they lie.
    encryption: Option<WrittenEncryption>,
    /// Namespaces with rules of their own.
    namespaces: Vec<NamespaceEntry>,
}

impl Default for Section {
    fn default() -> Self {
        let Settings { keep, max_value, .. } = Settings::default();
        Self {
            durability: None,
            replicas: None,
            keep,
            max_value: ByteSize(max_value),
            encryption: None,
            namespaces: Vec::new(),
        }
    }
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Loss of power: it is on disk.
    #[default]
    Fsync,
    /// The end of the process, but not of the machine: it is in the operating system's buffers.
    Os,
}

/// What values are sealed with.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Encryption")]
struct WrittenEncryption {
    /// The key: 32 bytes in base64 or hexadecimal digits, as text, or `{file}` or `{command}` to read it from.
    #[schemars(with = "KeySource")]
    key: Spanned<KeySource>,
    /// What the key is called in what it seals; another key needs another id.
    #[schemars(with = "String")]
    id: Spanned<String>,
    /// Earlier keys, which still open what they sealed.
    #[serde(default)]
    previous: Vec<PreviousKey>,
}

/// An earlier key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PreviousKey {
    /// The key.
    #[schemars(with = "KeySource")]
    key: Spanned<KeySource>,
    /// What it is called.
    #[schemars(with = "String")]
    id: Spanned<String>,
}

/// What becomes of a write that lost a race.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Conflict {
    /// It is refused.
    #[default]
    Refuse,
    /// It is merged where both changed different parts of a JSON value.
    Merge,
}

/// One entry of `namespaces`. What it does not say is as in the section.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct NamespaceEntry {
    /// The namespace.
    #[schemars(with = "String")]
    name: Spanned<String>,
    /// How many revisions of each key are kept.
    #[serde(default)]
    keep: Option<u32>,
    /// How long a value lives whose writer does not say.
    #[serde(default)]
    ttl: Option<TimeSpan>,
    /// Whether that time begins again with each read.
    #[serde(default)]
    sliding: bool,
    /// What becomes of a write that lost a race; `refuse` when absent.
    #[serde(default)]
    on_conflict: Conflict,
    /// The most that a value can be.
    #[serde(default)]
    max_value: Option<ByteSize>,
}

/// What values are sealed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// The key that seals.
    pub key: SealingKey,
    /// Keys that still open.
    pub previous: Vec<SealingKey>,
}

/// Both sections, decoded and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSection {
    /// What keeps state.
    pub engine: Engine,
    /// What an acknowledged write survives, with an engine on this machine.
    pub durability: Durability,
    /// On how many servers NATS keeps everything.
    pub replicas: usize,
    /// What values are sealed with.
    pub encryption: Option<Encryption>,
    /// The rules.
    pub settings: Settings,
}

impl Default for StateSection {
    fn default() -> Self {
        Self {
            engine: Engine::default(),
            durability: Durability::default(),
            replicas: 1,
            encryption: None,
            settings: Settings::default(),
        }
    }
}

impl StateSection {
    /// Decodes and checks the sections; their defaults where they are absent. The result may be used only when `problems`
    /// is empty in the end.
    #[must_use]
    pub fn decode(root: &Root, problems: &mut Problems) -> Self {
        let engine: Spanned<Engine> = root.value(STORE_SECTION.key, problems);
        let section: Section = root.value(STATE_SECTION.key, problems);
        let mut check = Check { root, problems };
        check.durability(&engine, section.durability.as_ref());
        check.replicas(&engine, section.replicas.as_ref());
        check.keep("state.keep", section.keep);
        check.max_value("state.max-value", section.max_value);
        let namespaces = check.namespaces(section.namespaces);
        let encryption = section.encryption.map(|written| check.encryption(written));
        Self {
            engine: engine.value,
            durability: section.durability.map_or_else(Durability::default, |durability| durability.value),
            replicas: section.replicas.map_or(1, |replicas| usize::from(replicas.value)),
            encryption,
            settings: Settings { keep: section.keep, max_value: section.max_value.0, namespaces },
        }
    }
}

struct Check<'a> {
    root: &'a Root,
    problems: &'a mut Problems,
}

impl Check<'_> {
    fn bad(&mut self, path: &str, message: String, hint: &str) {
        self.problems.push(self.root.problem(Code::ConfigBadValue, path, message).with_hint(hint));
    }

    fn durability(&mut self, engine: &Engine, durability: Option<&Spanned<Durability>>) {
        if let Some(durability) = durability
            && engine.is_server()
        {
            let message = "`durability` is the server's own matter here";
            let hint = "remove it, and set `appendfsync` of Redis or `sync_interval` of NATS";
            self.problems.push(durability.problem(Code::ConfigBadValue, message).with_hint(hint));
        }
    }

    fn replicas(&mut self, engine: &Engine, replicas: Option<&Spanned<u8>>) {
        let Some(replicas) = replicas else { return };
        if !matches!(engine, Engine::Nats(_)) {
            let message = format!("`replicas` has no meaning with `{engine}`");
            let hint = "remove it: only NATS is told on how many servers it keeps everything";
            self.problems.push(replicas.problem(Code::ConfigBadValue, message).with_hint(hint));
        } else if !(1..=5).contains(&replicas.value) {
            let problem = replicas.problem(Code::ConfigBadValue, format!("`replicas` is {}", replicas.value));
            self.problems.push(problem.with_hint("1, or an odd number up to 5; there have to be as many servers"));
        }
    }

    fn keep(&mut self, path: &str, keep: u32) {
        if !(1..=MAX_KEEP).contains(&keep) {
            self.bad(
                path,
                format!("`keep` is {keep}"),
                &format!("a number from 1 to {MAX_KEEP}; the newest is kept always"),
            );
        }
    }

    fn max_value(&mut self, path: &str, size: ByteSize) {
        if !(1..=MAX_VALUE).contains(&size.0) {
            self.bad(path, format!("`max-value` is {size}"), "from 1B to 16MiB");
        }
    }

    fn namespaces(&mut self, entries: Vec<NamespaceEntry>) -> BTreeMap<Namespace, NamespaceSettings> {
        if entries.len() > MOST_NAMESPACES {
            let message = format!("more than {MOST_NAMESPACES} namespaces");
            self.bad("state.namespaces", message, "those without rules of their own need no entry");
        }
        let mut namespaces = BTreeMap::new();
        for (number, entry) in entries.into_iter().enumerate() {
            let place = format!("state.namespaces[{number}]");
            if let Some(keep) = entry.keep {
                self.keep(&format!("{place}.keep"), keep);
            }
            if let Some(size) = entry.max_value {
                self.max_value(&format!("{place}.max-value"), size);
            }
            if entry.ttl.is_some_and(|ttl| ttl < TimeSpan::from_secs(1)) {
                self.bad(&format!("{place}.ttl"), "`ttl` is under a second".to_owned(), "from 1s to 365d");
            }
            if entry.sliding && entry.ttl.is_none() {
                self.bad(&format!("{place}.sliding"), "`sliding` needs a `ttl`".to_owned(), "such as `ttl: 30d`");
            }
            let name = match Namespace::parse(&entry.name) {
                Ok(name) => name,
                Err(error) => {
                    self.problems.push(entry.name.problem(Code::ConfigBadValue, error.to_string()));
                    continue;
                }
            };
            let settings = NamespaceSettings {
                keep: entry.keep,
                ttl: entry.ttl.map(TimeSpan::get),
                sliding: entry.sliding,
                on_conflict: match entry.on_conflict {
                    Conflict::Refuse => OnConflict::Refuse,
                    Conflict::Merge => OnConflict::Merge,
                },
                max_value: entry.max_value.map(|size| size.0),
            };
            if namespaces.insert(name, settings).is_some() {
                let message = format!("there is an entry for `{}` already", entry.name.shown());
                self.problems.push(entry.name.problem(Code::ConfigBadValue, message));
            }
        }
        namespaces
    }

    fn encryption(&mut self, written: WrittenEncryption) -> Encryption {
        if written.previous.len() > MOST_PREVIOUS {
            let message = format!("more than {MOST_PREVIOUS} earlier keys");
            self.bad("state.encryption.previous", message, "those that seal nothing any more can go");
        }
        let key = self.sealing_key(written.key, &written.id, &[]);
        let mut previous: Vec<SealingKey> = Vec::new();
        for earlier in written.previous {
            let known: Vec<&str> = previous.iter().map(|one| &*one.id).chain([&*key.id]).collect();
            let earlier = self.sealing_key(earlier.key, &earlier.id, &known);
            previous.push(earlier);
        }
        Encryption { key, previous }
    }

    fn sealing_key(&mut self, source: Spanned<KeySource>, id: &Spanned<String>, known: &[&str]) -> SealingKey {
        let fits = (1..=MAX_MASTER_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !fits {
            let hint = format!("1 to {MAX_MASTER_ID} characters a-z, A-Z, 0-9, `.`, `_`, `-`, such as `2026-11`");
            let message = format!("`{}` cannot be the id of a key", id.shown());
            self.problems.push(id.problem(Code::ConfigBadValue, message).with_hint(hint));
        }
        if known.contains(&id.as_str()) {
            let message = format!("the id `{}` is taken by another key", id.shown());
            self.problems.push(id.problem(Code::ConfigBadValue, message));
        }
        if let Some(flaw) = source.value.flaw() {
            self.problems.push(source.problem(Code::ConfigBadValue, flaw).with_hint(key::HINT));
        }
        SealingKey { id: id.value.as_str().into(), source: source.value }
    }
}
