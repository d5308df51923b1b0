//! Where everything is:
//!
//! ```text
//! store.lock
//! incoming/0123456789abcdef.part                             what is being written
//! blobs/sha256/ab/abcd…                                      zips, by what they hold
//! versions/<tree>/github.com/!azure/x/@v/v1.2.3.json         all that is known of a version; its zip is a blob
//! answers/<tree>/github.com/!azure/x/@v/list.json            the last good lists, latest versions and queries
//! quarantine/<tree>/github.com/!azure/x/@v/v1.2.3.json       what was refused and why; the zip beside it
//! sumdb/<name>/{latest,tile/…,lookup/…,evidence/…}           what is known of checksum databases
//! git/<hash>.git                                             mirrors of repositories, which version control makes
//! ```
//!
//! Nothing else is kept: there is no index that could disagree with the files. When a version was last used is when its
//! file was last changed, in the file system's words.

use std::path::{Path, PathBuf};

use super::blob::Sha256;
use super::tree::Tree;
use crate::name::{ModulePath, ModuleVersion, Version};

/// The folder that holds a module's versions.
pub(super) const VERSIONS: &str = "@v";

#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    pub(super) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    pub(super) fn blob(&self, sha256: &Sha256) -> PathBuf {
        let hex = sha256.hex();
        self.blobs().join(&hex[..2]).join(hex)
    }

    pub(super) fn versions(&self) -> PathBuf {
        self.root.join("versions")
    }

    pub(super) fn version(&self, tree: &Tree, of: &ModuleVersion) -> PathBuf {
        version_file(&self.versions(), tree, of)
    }

    pub(super) fn versions_of(&self, tree: &Tree, path: &ModulePath) -> PathBuf {
        module_folder(&self.versions(), tree, path).join(VERSIONS)
    }

    pub(super) fn answers(&self) -> PathBuf {
        self.root.join("answers")
    }

    pub(super) fn answers_of(&self, tree: &Tree, path: &ModulePath) -> PathBuf {
        module_folder(&self.answers(), tree, path).join(VERSIONS)
    }

    pub(super) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    pub(super) fn quarantined(&self, tree: &Tree, of: &ModuleVersion) -> PathBuf {
        version_file(&self.quarantine(), tree, of)
    }

    pub(super) fn sumdb(&self) -> PathBuf {
        self.root.join("sumdb")
    }

    pub(super) fn mirrors(&self) -> PathBuf {
        self.root.join("git")
    }
}

fn module_folder(root: &Path, tree: &Tree, path: &ModulePath) -> PathBuf {
    let mut folder = root.join(tree.folder());
    folder.extend(path.escaped().split('/'));
    folder
}

fn version_file(root: &Path, tree: &Tree, of: &ModuleVersion) -> PathBuf {
    module_folder(root, tree, &of.path).join(VERSIONS).join(format!("{}.json", of.version.escaped()))
}

/// Undoes [`version_file`] for the components behind the tree's folder; `None` for a file that it never names.
pub(super) fn version_of_file(module: &str, file: &str) -> Option<ModuleVersion> {
    let path = ModulePath::from_escaped(module).ok()?;
    let version = Version::from_escaped(file.strip_suffix(".json")?).ok()?;
    Some(ModuleVersion { path, version })
}
