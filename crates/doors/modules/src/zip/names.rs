//! The rules for names in a module zip.

use ring::digest::{Context, SHA256};
use rustc_hash::FxHashMap;

use super::fault::ZipFault;
use super::fold::fold;
use super::limits::ZipLimits;
use crate::name::check_file_path;

/// Checks names one after the other, and against each other.
pub(super) struct Names<'a> {
    /// `path@version/`.
    prefix: &'a str,
    limits: &'a ZipLimits,
    /// By the hash of the folded path: what is there under it. A hash and not the path, so that the folders of a deep path
    /// take no memory of their own.
    taken: FxHashMap<[u8; 16], Taken>,
    folders: u64,
}

/// A file or folder that is there.
#[derive(Clone, Copy)]
struct Taken {
    /// The number of the entry that has its path.
    entry: u32,
    /// How much of that entry's name, without the prefix, the path is, in bytes.
    length: u32,
    is_folder: bool,
}

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The folder of the module, or one in it.
    Folder,
    /// The module's go.mod.
    GoMod,
    /// The module's LICENSE.
    License,
    /// Another file at the top.
    Top,
    /// Any other file.
    File,
}

impl<'a> Names<'a> {
    pub(super) fn new(prefix: &'a str, limits: &'a ZipLimits) -> Self {
        Self { prefix, limits, taken: FxHashMap::default(), folders: 0 }
    }

    /// Checks the name of entry `number`; `name_of` gives the names of the ones before.
    pub(super) fn check<'b>(
        &mut self,
        number: u32,
        full: &'b str,
        name_of: impl Fn(u32) -> &'b str,
    ) -> Result<Role, ZipFault> {
        let Some(name) = full.strip_prefix(self.prefix) else { return Err(ZipFault::Prefix(full.to_owned())) };
        if name.is_empty() {
            return Ok(Role::Folder);
        }
        let (path, is_folder) = name.strip_suffix('/').map_or((name, false), |folder| (folder, true));
        if !is_clean(path) {
            return Err(ZipFault::NotClean(full.to_owned()));
        }
        check_file_path(path).map_err(|fault| ZipFault::Name { name: full.to_owned(), fault })?;
        self.take(number, full, path, is_folder, name_of)?;
        if is_folder {
            return Ok(Role::Folder);
        }
        let (folder, base) = path.rsplit_once('/').unwrap_or(("", path));
        if folds_to_go_mod(base) {
            return match (folder, base) {
                ("", "go.mod") => Ok(Role::GoMod),
                ("", _) => Err(ZipFault::GoModCase(full.to_owned())),
                _ => Err(ZipFault::GoModBelow(full.to_owned())),
            };
        }
        Ok(match (folder, base) {
            ("", "LICENSE") => Role::License,
            ("", _) => Role::Top,
            _ => Role::File,
        })
    }

    /// Takes the path and the folders that it is in; fails when one of them is another's in another case, or something else.
    fn take<'b>(
        &mut self,
        number: u32,
        full: &'b str,
        path: &str,
        is_folder: bool,
        name_of: impl Fn(u32) -> &'b str,
    ) -> Result<(), ZipFault> {
        let hashes = hashes_of(path);
        // From the longest to the shortest: a folder that is there already has had its own folders checked.
        for (length, hash) in hashes.into_iter().rev() {
            let is_folder = is_folder || length < path.len();
            let here = &path[..length];
            if let Some(taken) = self.taken.get(&hash) {
                let other = &name_of(taken.entry)[self.prefix.len()..][..taken.length as usize];
                let name = full.to_owned();
                if other != here {
                    return Err(ZipFault::Collision { name, one: other.to_owned(), other: here.to_owned() });
                }
                if taken.is_folder != is_folder {
                    return Err(ZipFault::FileAndFolder { name, what: here.to_owned() });
                }
                if !is_folder {
                    return Err(ZipFault::Twice { name, what: here.to_owned() });
                }
                return Ok(());
            }
            if is_folder {
                self.folders += 1;
                if self.folders > self.limits.entries {
                    return Err(ZipFault::TooMany { what: "folders", limit: self.limits.entries });
                }
            }
            let length = u32::try_from(length).expect("the length of a name in a zip has 16 bits");
            self.taken.insert(hash, Taken { entry: number, length, is_folder });
        }
        Ok(())
    }
}

/// The hash of each folder that a path is in and of itself, folded, with how long it is in bytes; the shortest first.
fn hashes_of(path: &str) -> Vec<(usize, [u8; 16])> {
    let mut hashes = Vec::new();
    let mut context = Context::new(&SHA256);
    let mut buffer = [0; 4];
    for (place, character) in path.char_indices() {
        if character == '/' {
            hashes.push((place, short_hash(context.clone())));
        }
        context.update(fold(character).encode_utf8(&mut buffer).as_bytes());
    }
    hashes.push((path.len(), short_hash(context)));
    hashes
}

fn short_hash(context: Context) -> [u8; 16] {
    let digest = context.finish();
    *digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

/// Whether the name is go.mod in any case.
fn folds_to_go_mod(base: &str) -> bool {
    base.chars().map(fold).eq("go.mod".chars())
}

/// Whether Go's `path.Clean` leaves the path as it is.
fn is_clean(path: &str) -> bool {
    let (body, mut may_go_up) = path.strip_prefix('/').map_or((path, true), |body| (body, false));
    if matches!(path, "/" | ".") {
        return true;
    }
    for element in body.split('/') {
        match element {
            "" | "." => return false,
            ".." if !may_go_up => return false,
            ".." => {}
            _ => may_go_up = false,
        }
    }
    true
}
