//! Reading all that is kept again, and comparing it with the hashes that it was stored under.

use std::fs::File;

use rustc_hash::FxHashMap;

use super::Store;
use super::blob::{Blob, holds};
use super::disk::if_there;
use super::error::StoreError;
use super::layout::version_of_file;
use super::tree::Tree;
use crate::name::ModuleVersion;

/// What came of reading everything again.
#[derive(Debug, Default)]
pub struct Verified {
    /// Versions that are as they were stored.
    pub good: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// Versions that are not; they are in quarantine now, and fetched anew when they are asked for.
    pub damaged: Vec<Damage>,
    /// Bytes of zips that belong to no version, which `prune` removes.
    pub orphaned: u64,
}

/// A version that is not as it was stored.
#[derive(Clone, Debug)]
pub struct Damage {
    /// In which tree.
    pub tree: Tree,
    /// Which one.
    pub of: ModuleVersion,
    /// What is wrong with it.
    pub reason: String,
}

/// How a zip is found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Bad,
    Missing,
}

impl Store {
    /// Reads every version again. `progress` is told how many bytes of zips were read, and how many there are.
    ///
    /// # Errors
    /// When something cannot be read at all, which says nothing about whether it is damaged.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, StoreError> {
        let survey = self.survey()?;
        let whole = survey.blobs.values().filter(|seen| seen.names > 0).map(|seen| seen.size).sum();
        let mut verified = Verified { orphaned: survey.orphaned, ..Verified::default() };
        let mut known: FxHashMap<Blob, State> = FxHashMap::default();
        for found in &survey.damaged {
            if let Some(of) = version_of_file(&found.module, &found.name) {
                // Reading it says what is wrong with it, and moves it.
                drop(self.read(&found.tree, &of));
                verified.damaged.extend(self.damage(&found.tree, &of));
            }
        }
        progress(0, whole);
        for row in &survey.rows {
            let Some(manifest) = self.read(&row.tree, &row.of) else {
                // Damaged, or gone meanwhile.
                verified.damaged.extend(self.damage(&row.tree, &row.of));
                continue;
            };
            let blob = manifest.zip;
            let state = match known.get(&blob) {
                Some(state) => *state,
                None => {
                    let state = self.state(&blob)?;
                    verified.bytes += blob.size;
                    progress(verified.bytes, whole);
                    *known.entry(blob).or_insert(state)
                }
            };
            let reason = match state {
                State::Good => {
                    verified.good += 1;
                    continue;
                }
                State::Bad => "its zip has another hash than when it was stored",
                State::Missing => "its zip is missing",
            };
            // Somebody may have removed it meanwhile, with its zip.
            if self.read(&row.tree, &row.of).is_some() {
                self.put_aside(&row.tree, &row.of, reason, (state == State::Bad).then_some(&blob));
                verified.damaged.extend(self.damage(&row.tree, &row.of));
            }
        }
        Ok(verified)
    }

    fn state(&self, blob: &Blob) -> Result<State, StoreError> {
        let path = self.0.layout.blob(&blob.sha256);
        let Some(file) = if_there(File::open(&path)).map_err(StoreError::at(&path))? else { return Ok(State::Missing) };
        Ok(if holds(&file, blob).map_err(StoreError::at(&path))? { State::Good } else { State::Bad })
    }

    /// What was found out about a version that is no longer where it was.
    fn damage(&self, tree: &Tree, of: &ModuleVersion) -> Option<Damage> {
        let refused = self.refused(tree, of)?;
        Some(Damage { tree: tree.clone(), of: of.clone(), reason: refused.reason })
    }
}
