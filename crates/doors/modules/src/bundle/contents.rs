//! What is in a bundle, in the download cache of a go command, in a folder that is served as a proxy, or in the storage of
//! Athens. Nothing is unpacked: files are found by their names, which are data here and never become paths of ours.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tar::{Archive, EntryType};

use super::error::BundleError;
use super::manifest::{self, Manifest};
use crate::name::{ModulePath, ModuleVersion, Version};
use crate::store::{Blob, Sha256};

/// The most files that are looked at.
const MOST_FILES: usize = 1_000_000;
/// How deep folders are looked into.
const DEEPEST: usize = 64;
/// Where a proxy's files are in a bundle, and in a GOMODCACHE beside the modules that were unpacked there.
const DOWNLOADS: &str = "cache/download/";

/// What is to be imported.
#[derive(Debug)]
pub struct Contents {
    place: PathBuf,
    is_folder: bool,
    files: BTreeMap<String, Place>,
    /// What the files have to hold; empty where there is no manifest.
    hashes: BTreeMap<String, Blob>,
    /// What stands before the names of a proxy's files.
    prefix: &'static str,
    versions: BTreeMap<ModuleVersion, Files>,
}

/// Where a file is: behind so many bytes of the tar file, or on its own.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    size: u64,
}

/// The files of one version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) info: Option<String>,
    pub(crate) go_mod: Option<String>,
    pub(crate) zip: Option<String>,
}

impl Contents {
    /// Opens a bundle, or a folder in the layout of a proxy: a bundle that was unpacked, a folder that `file://` points to,
    /// or a GOMODCACHE.
    ///
    /// # Errors
    /// When it cannot be read, holds names that are none, or has no versions.
    pub fn open(place: &Path) -> Result<Self, BundleError> {
        let mut contents = Self::read(place)?;
        contents.take_manifest()?;
        let has_prefix = contents.files.keys().any(|name| name.starts_with(DOWNLOADS));
        contents.prefix = if has_prefix { DOWNLOADS } else { "" };
        for name in contents.files.keys() {
            let Some((of, kind)) = name.strip_prefix(contents.prefix).and_then(of_proxy) else { continue };
            let files = contents.versions.entry(of).or_default();
            let place = match kind {
                "info" => &mut files.info,
                "mod" => &mut files.go_mod,
                _ => &mut files.zip,
            };
            *place = Some(name.clone());
        }
        contents.versions.retain(|_, files| files.go_mod.is_some());
        if contents.versions.is_empty() {
            return Err(BundleError::damaged(place, "it has no versions of modules"));
        }
        Ok(contents)
    }

    pub(crate) fn of_versions(
        place: &Path,
        find: impl Fn(&str) -> Option<(ModuleVersion, &'static str)>,
    ) -> Result<Self, BundleError> {
        let mut contents = Self::read(place)?;
        for name in contents.files.keys() {
            let Some((of, kind)) = find(name) else { continue };
            let files = contents.versions.entry(of).or_default();
            let place = match kind {
                "info" => &mut files.info,
                "mod" => &mut files.go_mod,
                _ => &mut files.zip,
            };
            *place = Some(name.clone());
        }
        // What has no go.mod here was never whole.
        contents.versions.retain(|_, files| files.go_mod.is_some() && files.zip.is_some());
        Ok(contents)
    }

    /// How many versions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// Bytes of all zips.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let zips = self.versions.values().filter_map(|files| files.zip.as_ref());
        zips.filter_map(|name| self.files.get(name)).map(|place| place.size).sum()
    }

    /// The file or folder.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    pub(super) fn versions(&self) -> &BTreeMap<ModuleVersion, Files> {
        &self.versions
    }

    /// The names below this one of a proxy, such as `sumdb/sum.golang.org/tile/`, without it.
    pub(super) fn below<'a>(&'a self, start: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let start = format!("{}{start}", self.prefix);
        let first = start.clone();
        let names = self.files.range(first..).map(|(name, _)| name);
        names.map_while(move |name| name.strip_prefix(start.as_str()))
    }

    /// The name in here of a proxy's file.
    pub(super) fn name_of(&self, proxied: &str) -> String {
        format!("{}{proxied}", self.prefix)
    }

    pub(super) fn size(&self, name: &str) -> u64 {
        self.files.get(name).map_or(0, |place| place.size)
    }

    /// A file of at most `limit` bytes; `None` where there is none.
    pub(super) fn bytes_of(&self, name: &str, limit: u64) -> Result<Option<Bytes>, BundleError> {
        let Some(place) = self.files.get(name) else { return Ok(None) };
        if place.size > limit {
            return Err(self.wrong(name, &format!("has {} bytes, more than {limit}", place.size)));
        }
        let mut bytes = Vec::new();
        self.reader(name)?.read_to_end(&mut bytes).map_err(BundleError::at(&self.place))?;
        let blob = Blob { sha256: Sha256::of(&bytes), size: bytes.len() as u64 };
        self.check(name, &blob)?;
        Ok(Some(bytes.into()))
    }

    /// What a file holds, from its beginning to its end.
    pub(super) fn reader(&self, name: &str) -> Result<impl Read + use<>, BundleError> {
        let Some(place) = self.files.get(name) else { return Err(self.wrong(name, "is not there")) };
        let path = if self.is_folder { self.place.join(name) } else { self.place.clone() };
        let mut file = File::open(&path).map_err(BundleError::at(&path))?;
        file.seek(SeekFrom::Start(place.offset)).map_err(BundleError::at(&path))?;
        Ok(file.take(place.size))
    }

    /// Compares what was read of a file with what it has to hold.
    pub(super) fn check(&self, name: &str, read: &Blob) -> Result<(), BundleError> {
        let size = self.size(name);
        if read.size != size {
            return Err(self.wrong(name, &format!("ends after {} of {size} bytes", read.size)));
        }
        match self.hashes.get(name) {
            Some(blob) if blob != read => Err(self.wrong(name, "is not what the bundle's manifest says")),
            _ => Ok(()),
        }
    }

    fn wrong(&self, name: &str, why: &str) -> BundleError {
        BundleError::damaged(&self.place, format!("{name} {why}"))
    }

    fn read(place: &Path) -> Result<Self, BundleError> {
        let metadata = std::fs::metadata(place).map_err(BundleError::at(place))?;
        let files = if metadata.is_dir() { of_folder(place)? } else { of_tar(place)? };
        Ok(Self {
            place: place.to_owned(),
            is_folder: metadata.is_dir(),
            files,
            hashes: BTreeMap::new(),
            prefix: "",
            versions: BTreeMap::new(),
        })
    }

    /// Takes in the manifest, if there is one. Then it has to name every file, and every file that it names has to be there.
    fn take_manifest(&mut self) -> Result<(), BundleError> {
        let Some(json) = self.bytes_of(manifest::NAME, manifest::MOST_BYTES)? else { return Ok(()) };
        let manifest: Manifest =
            serde_json::from_slice(&json).map_err(|error| self.wrong(manifest::NAME, &format!("is none: {error}")))?;
        if manifest.format != manifest::FORMAT {
            return Err(
                self.wrong(manifest::NAME, &format!("has the format {:?}, which is not known", manifest.format))
            );
        }
        self.files.remove(manifest::NAME);
        if let Some(missing) = manifest.files.keys().find(|name| !self.files.contains_key(*name)) {
            return Err(self.wrong(missing, "is missing"));
        }
        if let Some(other) = self.files.keys().find(|name| !manifest.files.contains_key(*name)) {
            return Err(self.wrong(other, "is not in the manifest"));
        }
        self.hashes = manifest.files;
        Ok(())
    }
}

/// The version and the kind of a proxy's file, `github.com/!azure/x/@v/v1.2.3.zip`.
fn of_proxy(name: &str) -> Option<(ModuleVersion, &str)> {
    let (module, file) = name.rsplit_once("/@v/")?;
    let (version, kind) = file.rsplit_once('.')?;
    if !matches!(kind, "info" | "mod" | "zip") {
        return None;
    }
    let of = ModuleVersion::new(ModulePath::from_escaped(module).ok()?, Version::from_escaped(version).ok()?).ok()?;
    Some((of, kind))
}

fn of_tar(place: &Path) -> Result<BTreeMap<String, Place>, BundleError> {
    let file = File::open(place).map_err(BundleError::at(place))?;
    let length = file.metadata().map_err(BundleError::at(place))?.len();
    let mut files = BTreeMap::new();
    let mut archive = Archive::new(file);
    for entry in archive.entries_with_seek().map_err(BundleError::at(place))? {
        let entry = entry.map_err(BundleError::at(place))?;
        match entry.header().entry_type() {
            EntryType::Directory => continue,
            EntryType::Regular => {}
            other => return Err(BundleError::damaged(place, format!("an entry of the kind {other:?}"))),
        }
        let name = std::str::from_utf8(&entry.path_bytes()).map(str::to_owned);
        let name = name.map_err(|_| BundleError::damaged(place, "a name that is not UTF-8"))?;
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        let found = Place { offset: entry.raw_file_position(), size: entry.size() };
        if found.offset.checked_add(found.size).is_none_or(|end| end > length) {
            return Err(BundleError::damaged(place, format!("it ends in the middle of {name}")));
        }
        if files.insert(name.clone(), found).is_some() {
            return Err(BundleError::damaged(place, format!("{name} is there twice")));
        }
        if files.len() > MOST_FILES {
            return Err(BundleError::damaged(place, format!("it has more than {MOST_FILES} files")));
        }
    }
    Ok(files)
}

fn of_folder(place: &Path) -> Result<BTreeMap<String, Place>, BundleError> {
    let mut files = BTreeMap::new();
    let downloads = place.join(DOWNLOADS);
    let is_cache = downloads.is_dir() && !place.join(manifest::NAME).exists();
    let start = if is_cache { (downloads, DOWNLOADS.to_owned(), 0) } else { (place.to_owned(), String::new(), 0) };
    let mut folders = vec![start];
    while let Some((folder, before, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(BundleError::at(&folder))? {
            let entry = entry.map_err(BundleError::at(&folder))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Of the entry itself: links are not followed.
            let metadata = entry.metadata().map_err(BundleError::at(&folder))?;
            let name = format!("{before}{name}");
            if metadata.is_dir() && depth < DEEPEST {
                folders.push((entry.path(), format!("{name}/"), depth + 1));
            } else if metadata.is_file() {
                files.insert(name, Place { offset: 0, size: metadata.len() });
            }
        }
        if files.len() > MOST_FILES {
            return Err(BundleError::damaged(place, format!("it has more than {MOST_FILES} files")));
        }
    }
    Ok(files)
}
