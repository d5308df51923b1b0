//! What is kept of checksum databases: the store's side of [`Kept`].
//!
//! The last tree head is on the disk before it counts as kept, and is replaced only while nobody else replaces it, in this
//! process or another. Tiles and lookups are checked again when they are read, so that a power cut may lose them.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
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
        let head = if_there(files::read_bytes(&self.sumdb(name).join("latest"), MOST_BYTES))?;
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
        self.place(&folder.join("latest"), next, None).map_err(of_store)?;
        Ok(true)
    }

    fn lookup_path(&self, name: &str, of: &ModuleVersion) -> PathBuf {
        let mut path = self.sumdb(name).join("lookup");
        path.extend(of.escaped().split('/'));
        path
    }

    /// The answer to a lookup.
    pub(crate) fn kept_lookup(&self, name: &str, of: &ModuleVersion) -> Option<Bytes> {
        files::read_bytes(&self.lookup_path(name, of), MOST_BYTES).ok().map(Bytes::from)
    }

    /// A tile.
    pub(crate) fn kept_tile(&self, name: &str, tile: Tile) -> Option<Bytes> {
        files::read_bytes(&self.tile_path(name, tile), MOST_BYTES).ok().map(Bytes::from)
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

    /// Writes a file that need not survive a power cut. What cannot be written is fetched again.
    fn write_quietly(&self, path: &Path, bytes: &[u8]) {
        let lock = FolderLock::to_add(&self.0.layout.root);
        let _ = lock.and_then(|_lock| self.place_unsynced(path, bytes));
    }

    /// Does what blocks where that is allowed.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> BoxFuture<'static, Result<T, io::Error>> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store)).map(|done| done.map_err(io::Error::other)).boxed()
    }
}

impl Kept for Store {
    fn head<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Option<Bytes>>> {
        ready(self.kept_head(name)).boxed()
    }

    fn keep_head<'a>(&'a self, name: &'a str, last: Option<Bytes>, next: Bytes) -> BoxFuture<'a, io::Result<bool>> {
        let name = name.to_owned();
        async move { self.blocking(move |store| store.replace_head(&name, last.as_ref(), &next)).await? }.boxed()
    }

    fn tile<'a>(&'a self, name: &'a str, tile: Tile) -> BoxFuture<'a, Option<Bytes>> {
        ready(self.kept_tile(name, tile)).boxed()
    }

    fn keep_tile<'a>(&'a self, name: &'a str, tile: Tile, bytes: Bytes) -> BoxFuture<'a, ()> {
        let path = self.tile_path(name, tile);
        self.blocking(move |store| store.write_quietly(&path, &bytes)).map(drop).boxed()
    }

    fn lookup<'a>(&'a self, name: &'a str, of: &'a ModuleVersion) -> BoxFuture<'a, Option<Bytes>> {
        ready(self.kept_lookup(name, of)).boxed()
    }

    fn keep_lookup<'a>(&'a self, name: &'a str, of: &'a ModuleVersion, answer: Bytes) -> BoxFuture<'a, ()> {
        let path = self.lookup_path(name, of);
        self.blocking(move |store| store.write_quietly(&path, &answer)).map(drop).boxed()
    }

    fn evidence<'a>(&'a self, name: &'a str, text: String) -> BoxFuture<'a, ()> {
        let name = name.to_owned();
        // Without room for it there is none; the call is refused all the same.
        self.blocking(move |store| store.write_evidence(&name, &text)).map(drop).boxed()
    }
}

fn of_store(error: StoreError) -> io::Error {
    match error {
        StoreError::Full { source, .. } | StoreError::Io { source, .. } => source,
        other => io::Error::other(other),
    }
}
