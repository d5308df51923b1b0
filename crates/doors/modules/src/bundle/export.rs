//! Finding in the store what goes into a bundle.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::wanted::{Need, Wanted};
use crate::hash::H1;
use crate::name::ModuleVersion;
use crate::store::{AnswerKey, Manifest, Store, Tree};

/// What of the wanted is in the store.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) found: BTreeMap<ModuleVersion, Found>,
    /// What is not.
    pub missing: Vec<ModuleVersion>,
    /// What is, with another hash than the go.sum names.
    pub differing: Vec<ModuleVersion>,
}

/// One version in the store.
#[derive(Debug)]
pub(super) enum Found {
    Whole(Tree, Box<Manifest>),
    /// Info and go.mod, where no more is needed.
    Head {
        info: Bytes,
        go_mod: Bytes,
        upstream: String,
    },
}

/// What came of an export.
#[derive(Debug, Default)]
pub struct Exported {
    /// Versions.
    pub versions: usize,
    /// Bytes of the bundle.
    pub bytes: u64,
    /// Versions whose record in a checksum database is in it.
    pub proven: usize,
    /// Versions without, though they are not private: a go command with GOSUMDB on takes them by its go.sum only.
    pub unproven: Vec<ModuleVersion>,
    /// Why, where it is not that no database has them.
    pub problems: Vec<String>,
}

impl Plan {
    /// Versions that are there.
    #[must_use]
    pub fn found(&self) -> usize {
        self.found.len()
    }

    /// Bytes of the zips that are there.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.found.values().map(Found::zip_bytes).sum()
    }
}

impl Found {
    pub(super) fn zip_bytes(&self) -> u64 {
        match self {
            Self::Whole(_, manifest) => manifest.zip.size,
            Self::Head { .. } => 0,
        }
    }

    pub(super) fn go_mod(&self) -> &Bytes {
        match self {
            Self::Whole(_, manifest) => &manifest.go_mod,
            Self::Head { go_mod, .. } => go_mod,
        }
    }
}

/// Looks for what is wanted in the trees, in their order.
#[must_use]
pub fn plan(store: &Store, trees: &[Tree], wanted: &Wanted) -> Plan {
    let mut plan = Plan::default();
    for (of, need) in &wanted.0 {
        match trees.iter().find_map(|tree| find(store, tree, of, need)) {
            None => plan.missing.push(of.clone()),
            Some(found) if differs(&found, need) => plan.differing.push(of.clone()),
            Some(found) => _ = plan.found.insert(of.clone(), found),
        }
    }
    plan
}

fn find(store: &Store, tree: &Tree, of: &ModuleVersion, need: &Need) -> Option<Found> {
    if let Some(manifest) = store.read(tree, of) {
        return Some(Found::Whole(tree.clone(), Box::new(manifest)));
    }
    if need.zip {
        return None;
    }
    let info = store.answer(tree, &AnswerKey::Info(of.clone()))?;
    let go_mod = store.answer(tree, &AnswerKey::Mod(of.clone()))?;
    Some(Found::Head { info: info.body, go_mod: go_mod.body, upstream: go_mod.upstream })
}

fn differs(found: &Found, need: &Need) -> bool {
    let other_zip = match found {
        Found::Whole(_, manifest) => need.h1.as_ref().is_some_and(|h1| *h1 != manifest.h1),
        Found::Head { .. } => false,
    };
    other_zip || need.mod_h1.as_ref().is_some_and(|h1| *h1 != H1::of_mod(found.go_mod()))
}
