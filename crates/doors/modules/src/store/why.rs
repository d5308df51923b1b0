//! What is known of one version in all trees.

use super::Store;
use super::error::StoreError;
use super::manifest::Manifest;
use super::quarantine::Refused;
use super::tree::Tree;
use super::walk;
use crate::name::ModuleVersion;

/// What is known of a version in one tree.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The tree.
    pub tree: Tree,
    /// What is kept of it, if anything is.
    pub kept: Option<Manifest>,
    /// Why it was refused the last time, if it was: before or after what is kept came here, as the times say.
    pub refused: Option<Refused>,
}

impl Store {
    /// What is known of a version, by tree; empty when it never came here.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn why(&self, of: &ModuleVersion) -> Result<Vec<Trace>, StoreError> {
        let mut trees = Vec::new();
        for folder in [self.0.layout.versions(), self.0.layout.quarantine()] {
            for entry in walk::entries(&folder)? {
                trees.extend(entry.file_name().to_str().and_then(Tree::of_folder));
            }
        }
        trees.sort_unstable();
        trees.dedup();
        let traces = trees.into_iter().map(|tree| {
            let (kept, refused) = (self.read(&tree, of), self.refused(&tree, of));
            Trace { tree, kept, refused }
        });
        Ok(traces.filter(|trace| trace.kept.is_some() || trace.refused.is_some()).collect())
    }
}
