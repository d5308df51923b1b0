//! What is kept of checksum databases: the store's side of [`Kept`].
//!
//! The last tree head is on the disk before it counts as kept, and is replaced only while nobody else replaces it, in this
//! process or another. Tiles and lookups are checked again when they are read, so that a power cut may lose them.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tradewind_ledger::Tile;
use tradewind_runtime::files::{self, FileLock};

use super::Store;
use super::blob::Sha256;
use super::disk::if_there;
use super::error::StoreError;
use super::lock::FolderLock;
use super::tree::component;
use super::walk;
use crate::name::ModuleVersion;
use crate::sumdb::Kept;

/// The most bytes of a tile, a lookup or a head that are read.
const MOST_BYTES: u64 = 1 << 20;
/// The most bytes of a piece of evidence.
const MOST_EVIDENCE: usize = 256 << 10;
/// The file with the last tree head.
const LATEST: &str = "latest";
/// The folders with what can be fetched again.
const TILES: &str = "tile";
const LOOKUPS: &str = "lookup";
/// The file with the sizes of the trees that bundles were made with.
const EXPORTED: &str = "exported";
/// How many of them are remembered.
const MOST_EXPORTED: usize = 64;
/// The most pieces of evidence for each database. The first ones stay: they say how it began.
const MOST_PIECES: usize = 1000;

impl Store {
    fn sumdb(&self, name: &str) -> PathBuf {
        self.0.layout.sumdb().join(component(name))
    }

    /// The last tree head of a database; `None` when there never was one.
    pub(crate) fn kept_head(&self, name: &str) -> io::Result<Option<Bytes>> {
        let head = if_there(files::read_bytes(&self.sumdb(name).join(LATEST), MOST_BYTES))?;
        Ok(head.map(Bytes::from))
    }

    fn replace_head(&self, name: &str, last: Option<&Bytes>, next: &[u8]) -> io::Result<bool> {
        let folder = self.sumdb(name);
        super::disk::make_folders(&folder).map_err(of_store)?;
        let _alone = FileLock::take(&folder.join("latest.lock"))?;
        if self.kept_head(name)?.as_ref() != last {
            return Ok(false);
        }
        let _lock = FolderLock::to_add(&self.0.layout.root).map_err(of_store)?;
        self.place(&folder.join(LATEST), next, None).map_err(of_store)?;
        Ok(true)
    }

    fn lookup_path(&self, name: &str, of: &ModuleVersion) -> PathBuf {
        let mut path = self.sumdb(name).join(LOOKUPS);
        path.extend(of.escaped().split('/'));
        path
    }

    /// The answer to a lookup.
    pub(crate) fn kept_lookup(&self, name: &str, of: &ModuleVersion) -> Option<Bytes> {
        self.read_light(&self.lookup_path(name, of), MOST_BYTES).map(Bytes::from)
    }

    /// A tile, which may be the beginning of a wider one at its place.
    pub(crate) fn kept_tile(&self, name: &str, tile: Tile) -> Option<Bytes> {
        let read = |tile| self.read_light(&self.tile_path(name, tile), MOST_BYTES).map(Bytes::from);
        if let Some(bytes) = read(tile) {
            return Some(bytes);
        }
        let length = usize::try_from(tile.bytes()).ok()?;
        let wider = self.kept_tiles_at(name, tile).into_iter().filter(|wider| wider.width > tile.width);
        wider
            .filter_map(|wider| read(wider).filter(|bytes| bytes.len() as u64 == wider.bytes()))
            .next()
            .map(|bytes| bytes.slice(..length))
    }

    /// Keeps a tile that was checked: with it go the narrower ones at its place, which it begins with, and a wider one that
    /// does not begin with it, which is damaged. What cannot be written is fetched again.
    pub(crate) fn put_tile(&self, name: &str, tile: Tile, bytes: &Bytes) {
        let path = self.tile_path(name, tile);
        let mut goes = Vec::new();
        for other in self.kept_tiles_at(name, tile) {
            let place = self.tile_path(name, other);
            if other.width > tile.width {
                let wider = files::read_bytes(&place, MOST_BYTES).unwrap_or_default();
                if wider.len() as u64 == other.bytes() && wider.starts_with(bytes) {
                    return;
                }
            }
            if other.width != tile.width {
                goes.push(place);
            }
        }
        if self.place_light(&path, bytes).is_err() {
            return;
        }
        for place in goes {
            let bytes = std::fs::metadata(&place).map_or(0, |metadata| metadata.len());
            if std::fs::remove_file(&place).is_ok() {
                self.0.count(bytes, 0);
            }
        }
        if tile.is_full() {
            let _ = std::fs::remove_dir(path.with_added_extension("p")); // one that is not there, or not empty, stays
        }
    }

    /// All tiles that are kept at the place of this one, the widest first.
    pub(crate) fn kept_tiles_at(&self, name: &str, tile: Tile) -> Vec<Tile> {
        let full = tile.full();
        let partial = self.tile_path(name, full).with_added_extension("p");
        let entries = walk::entries(&partial).unwrap_or_default();
        let widths = entries.iter().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut tiles: Vec<Tile> = widths.map(|width| Tile { width, ..tile }).collect();
        if self.tile_path(name, full).exists() {
            tiles.push(full);
        }
        tiles.sort_unstable_by_key(|tile| std::cmp::Reverse(tile.width));
        tiles
    }

    /// The sizes of the trees that bundles were made with, the latest last.
    pub(crate) fn exported_sizes(&self, name: &str) -> Vec<u64> {
        let text = files::read_text(&self.sumdb(name).join(EXPORTED), MOST_BYTES).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Notes that a bundle was made with a tree of this size.
    pub(crate) fn add_exported_size(&self, name: &str, size: u64) -> Result<(), StoreError> {
        let mut sizes = self.exported_sizes(name);
        if sizes.contains(&size) {
            return Ok(());
        }
        sizes.push(size);
        let first = sizes.len().saturating_sub(MOST_EXPORTED);
        let text: String = sizes[first..].iter().map(|size| format!("{size}\n")).collect();
        let _lock = FolderLock::to_add(&self.0.layout.root)?;
        self.place(&self.sumdb(name).join(EXPORTED), text.as_bytes(), None)
    }

    fn tile_path(&self, name: &str, tile: Tile) -> PathBuf {
        let mut path = self.sumdb(name);
        path.extend(tile.path().split('/'));
        path
    }

    fn write_evidence(&self, name: &str, text: &str) -> Result<(), StoreError> {
        let text = &text[..text.floor_char_boundary(MOST_EVIDENCE)];
        let folder = self.sumdb(name).join("evidence");
        let path = folder.join(format!("{}.txt", Sha256::of(text.as_bytes())));
        if path.exists() || walk::entries(&folder)?.len() >= MOST_PIECES {
            return Ok(());
        }
        let _lock = FolderLock::to_add(&self.0.layout.root)?;
        self.place(&path, text.as_bytes(), Some(self.0.clock.wall()))
    }

    /// What shows that a database, or somebody in between, did wrong, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn evidence_against(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let mut pieces = Vec::new();
        for entry in walk::entries(&self.sumdb(name).join("evidence"))? {
            let at = entry.metadata().map(|metadata| walk::modified(&metadata)).unwrap_or_default();
            pieces.extend(files::read_text(&entry.path(), MOST_BYTES).ok().map(|text| (at, text)));
        }
        pieces.sort_unstable();
        Ok(pieces.into_iter().map(|(_, text)| text).collect())
    }

    /// Does what blocks where that is allowed, once somebody waits for it.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> BoxFuture<'static, Result<T, io::Error>> {
        let store = self.clone();
        async move { tokio::task::spawn_blocking(move || work(&store)).await.map_err(io::Error::other) }.boxed()
    }
}

impl Kept for Store {
    fn head<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Option<Bytes>>> {
        let name = name.to_owned();
        async move { self.blocking(move |store| store.kept_head(&name)).await? }.boxed()
    }

    fn keep_head<'a>(&'a self, name: &'a str, last: Option<Bytes>, next: Bytes) -> BoxFuture<'a, io::Result<bool>> {
        let name = name.to_owned();
        async move { self.blocking(move |store| store.replace_head(&name, last.as_ref(), &next)).await? }.boxed()
    }

    fn tile<'a>(&'a self, name: &'a str, tile: Tile) -> BoxFuture<'a, Option<Bytes>> {
        let name = name.to_owned();
        self.blocking(move |store| store.kept_tile(&name, tile)).map(|done| done.ok().flatten()).boxed()
    }

    fn keep_tile<'a>(&'a self, name: &'a str, tile: Tile, bytes: Bytes) -> BoxFuture<'a, ()> {
        let name = name.to_owned();
        self.blocking(move |store| store.put_tile(&name, tile, &bytes)).map(drop).boxed()
    }

    fn lookup<'a>(&'a self, name: &'a str, of: &'a ModuleVersion) -> BoxFuture<'a, Option<Bytes>> {
        let (name, of) = (name.to_owned(), of.clone());
        self.blocking(move |store| store.kept_lookup(&name, &of)).map(|done| done.ok().flatten()).boxed()
    }

    fn keep_lookup<'a>(&'a self, name: &'a str, of: &'a ModuleVersion, answer: Bytes) -> BoxFuture<'a, ()> {
        let path = self.lookup_path(name, of);
        // What cannot be written is fetched again.
        self.blocking(move |store| drop(store.place_light(&path, &answer))).map(drop).boxed()
    }

    fn evidence<'a>(&'a self, name: &'a str, text: String) -> BoxFuture<'a, ()> {
        let name = name.to_owned();
        // Without room for it there is none; the call is refused all the same.
        self.blocking(move |store| store.write_evidence(&name, &text)).map(drop).boxed()
    }
}

/// Whether a file below the folder of all databases can be fetched again: no head, no evidence, no sizes of trees.
pub(super) fn can_go(sumdb: &Path, path: &Path) -> bool {
    let below = path.strip_prefix(sumdb).ok().and_then(|path| path.components().nth(1));
    below.is_some_and(|folder| folder.as_os_str() == TILES || folder.as_os_str() == LOOKUPS)
}

fn of_store(error: StoreError) -> io::Error {
    match error {
        StoreError::Full { source, .. } | StoreError::Io { source, .. } => source,
        other => io::Error::other(other),
    }
}
