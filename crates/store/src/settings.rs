//! How long, how much and how: for all namespaces, and for one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::name::Namespace;

/// How many revisions a key keeps when nothing is said.
pub const DEFAULT_KEEP: u32 = 32;
/// The most revisions that a key keeps, besides pinned ones, whatever is said.
pub const MAX_KEEP: u32 = 10_000;
/// The most that a value can be, in bytes, whatever is said: 16 MiB.
pub const MAX_VALUE: u64 = 16 << 20;
/// How long a tombstone is kept at least, so that a number of a revision does not come twice to those who still hold one.
pub const TOMBSTONE_KEPT: Duration = Duration::from_secs(24 * 3600);

/// What becomes of a write whose condition does not hold any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// It is refused, and its writer told what is there.
    #[default]
    Refuse,
    /// It is merged where both writers changed different parts of a JSON value, and refused otherwise.
    Merge,
}

/// The settings of one namespace; `None` is what [`Settings`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceSettings {
    /// Revisions that a key keeps, at least 1.
    pub keep: Option<u32>,
    /// Time to live of a value whose writer gives none.
    pub ttl: Option<Duration>,
    /// Whether a read lets the time to live begin again.
    pub sliding: bool,
    /// What becomes of a lost race.
    pub on_conflict: OnConflict,
    /// The most that a value can be, in bytes.
    pub max_value: Option<u64>,
}

/// The settings of a [`State`](crate::State).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Revisions that a key keeps, at least 1.
    pub keep: u32,
    /// The most that a value can be, in bytes; at most [`MAX_VALUE`].
    pub max_value: u64,
    /// Namespaces with settings of their own.
    pub namespaces: BTreeMap<Namespace, NamespaceSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep: DEFAULT_KEEP, max_value: MAX_VALUE, namespaces: BTreeMap::new() }
    }
}

impl Settings {
    /// What holds for keys of `namespace`.
    #[must_use]
    pub(crate) fn of(&self, namespace: &Namespace) -> Rules {
        let own = self.namespaces.get(namespace);
        Rules {
            keep: own.and_then(|own| own.keep).unwrap_or(self.keep).max(1),
            ttl: own.and_then(|own| own.ttl),
            sliding: own.is_some_and(|own| own.sliding),
            on_conflict: own.map_or_else(OnConflict::default, |own| own.on_conflict),
            max_value: own.and_then(|own| own.max_value).unwrap_or(self.max_value).min(MAX_VALUE),
        }
    }
}

/// What holds for the keys of one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) keep: u32,
    pub(crate) ttl: Option<Duration>,
    pub(crate) sliding: bool,
    pub(crate) on_conflict: OnConflict,
    pub(crate) max_value: u64,
}
