//! Walking over what is kept in all trees.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tradewind_core::UnixMillis;

use super::disk::if_there;
use super::error::StoreError;
use super::layout::VERSIONS;
use super::tree::Tree;

/// How deep a module path goes at most: 1024 bytes of one letter and one slash each.
const DEEPEST: usize = 520;

/// A file `<tree>/<module>/@v/<name>`.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) tree: Tree,
    /// The module, escaped.
    pub(super) module: String,
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// When it was last changed, which is when what it stands for was last used.
    pub(super) modified: UnixMillis,
}

/// Calls `each` for every such file below `root`, in no order. What goes away meanwhile is passed over, and so is what has
/// no business there.
pub(super) fn files(root: &Path, each: &mut dyn FnMut(Found)) -> Result<(), StoreError> {
    for (name, path) in folders(root)? {
        if let Some(tree) = Tree::of_folder(&name) {
            modules(&tree, &path, "", 0, each)?;
        }
    }
    Ok(())
}

/// A file somewhere below a folder.
#[derive(Debug)]
pub(super) struct Loose {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) modified: UnixMillis,
}

/// Calls `each` for every file below `root`, whatever its name.
pub(super) fn all(root: &Path, each: &mut dyn FnMut(Loose)) -> Result<(), StoreError> {
    // A list and not the stack: nobody says how deep it goes.
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            let Ok(Some(metadata)) = if_there(entry.metadata()) else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.is_file() {
                each(Loose { path: entry.path(), bytes: metadata.len(), modified: modified(&metadata) });
            }
        }
    }
    Ok(())
}

fn modules(
    tree: &Tree,
    folder: &Path,
    module: &str,
    depth: usize,
    each: &mut dyn FnMut(Found),
) -> Result<(), StoreError> {
    if depth > DEEPEST {
        return Ok(());
    }
    for (name, path) in folders(folder)? {
        if name == VERSIONS {
            versions(tree, &path, module, each)?;
        } else {
            let below = if module.is_empty() { name } else { format!("{module}/{name}") };
            modules(tree, &path, &below, depth + 1, each)?;
        }
    }
    Ok(())
}

fn versions(tree: &Tree, folder: &Path, module: &str, each: &mut dyn FnMut(Found)) -> Result<(), StoreError> {
    for entry in entries(folder)? {
        let Ok(Some(metadata)) = if_there(entry.metadata()) else { continue };
        let Ok(name) = entry.file_name().into_string() else { continue };
        if metadata.is_file() {
            each(Found {
                tree: tree.clone(),
                module: module.to_owned(),
                name,
                path: entry.path(),
                bytes: metadata.len(),
                modified: modified(&metadata),
            });
        }
    }
    Ok(())
}

fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let mut folders = Vec::new();
    for entry in entries(folder)? {
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Ok(name) = entry.file_name().into_string()
        {
            folders.push((name, entry.path()));
        }
    }
    Ok(folders)
}

/// What is in `folder`; nothing where there is none.
pub(super) fn entries(folder: &Path) -> Result<Vec<std::fs::DirEntry>, StoreError> {
    let Some(entries) = if_there(std::fs::read_dir(folder)).map_err(StoreError::at(folder))? else {
        return Ok(Vec::new());
    };
    entries.collect::<io::Result<_>>().map_err(StoreError::at(folder))
}

pub(super) fn modified(metadata: &std::fs::Metadata) -> UnixMillis {
    let since = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
