//! A checksum database and stores on two sides of an air gap.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tempfile::TempDir;
use tradewind_core::{Clock, Moment, UnixMillis};
use tradewind_ledger::{Level, Tile, Verifier};

use crate::bundle::{Contents, Database, Exported, Imported, Trust, Wanted, export, import, plan};
use crate::hash::H1;
use crate::name::{ModuleVersion, Patterns};
use crate::section::Verify;
use crate::store::{Checked, Limits, Manifest, Store, Tree};
use crate::sumdb::tests::log::{Log, Signer};
use crate::sumdb::{Source, SourceError, Sumdb};
use crate::zip::{ZipLimits, check_zip};

pub(super) const NAME: &str = "sum.example.com/db";
/// A time that is still.
struct Still(AtomicU64);

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment::START
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

/// A checksum database.
pub(super) struct Sums {
    log: Mutex<Log>,
    signer: Signer,
    ids: Mutex<BTreeMap<String, u64>>,
    asked: AtomicU64,
}

impl Sums {
    pub(super) fn new() -> Arc<Self> {
        let mut log = Log::default();
        // More than one tile has room for.
        for number in 0..300 {
            log.add(&format!("example.com/before{number} v1.0.0 h1:x\n"));
        }
        let signer = Signer::new(NAME, [7; 32]);
        Arc::new(Self { log: Mutex::new(log), signer, ids: Mutex::default(), asked: AtomicU64::new(0) })
    }

    pub(super) fn grow(&self, count: u64) {
        for number in 0..count {
            self.log.lock().add(&format!("example.com/between{number} v1.0.0 h1:x\n"));
        }
    }

    pub(super) fn add(&self, manifest: &Manifest) {
        let (of, h1, mod_h1) = (&manifest.of, &manifest.h1, &manifest.mod_h1);
        let (path, version) = (&of.path, &of.version);
        let text = format!("{path} {version} {h1}\n{path} {version}/go.mod {mod_h1}\n");
        let id = self.log.lock().add(&text);
        self.ids.lock().insert(of.escaped(), id);
    }

    pub(super) fn asked(&self) -> u64 {
        self.asked.swap(0, Ordering::Relaxed)
    }

    pub(super) fn size(&self) -> u64 {
        self.log.lock().size()
    }

    pub(super) fn database(self: &Arc<Self>, online: bool) -> Database {
        let source: Option<Arc<dyn Source>> = if online { Some(self.clone()) } else { None };
        Database { verifier: Verifier::parse(&self.signer.verifier()).unwrap(), source }
    }

    pub(super) fn trust(self: &Arc<Self>, online: bool) -> Trust {
        Trust { databases: vec![self.database(online)], ..Trust::default() }
    }

    fn answer(&self, path: &str) -> Option<Vec<u8>> {
        let log = self.log.lock();
        if let Some(of) = path.strip_prefix("/lookup/") {
            return Some(log.answer(&self.signer, log.size(), *self.ids.lock().get(of)?));
        }
        let tile: Tile = path.strip_prefix('/')?.parse().ok()?;
        let Level::Hashes(level) = tile.level else { return None };
        log.tile(tile.height, level, tile.index, tile.width)
    }
}

impl Source for Sums {
    fn get<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Bytes, SourceError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answer(path).map(Bytes::from);
        async move { answer.ok_or_else(|| SourceError::NotThere(format!("{path}: 404"))) }.boxed()
    }
}

/// One side: a store.
pub(super) struct Side {
    pub(super) folder: TempDir,
    pub(super) store: Store,
    pub(super) tree: Tree,
}

impl Side {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Still(AtomicU64::new(1_795_294_621_000)));
        let store = Store::open(&folder.path().join("modules"), Limits::default(), clock).unwrap();
        Self { folder, store, tree: Tree::new("go") }
    }

    /// Has it as the gateway would have it: checked with the database, and stored.
    pub(super) async fn fetch(&self, sums: &Arc<Sums>, of: &str, text: &str) -> Manifest {
        let manifest = self.put(of, text);
        sums.add(&manifest);
        let client = Sumdb::new(sums.database(true).verifier, sums.clone(), Arc::new(self.store.clone()));
        assert_eq!(client.lookup(&manifest.of).await.unwrap().zip, manifest.h1);
        manifest
    }

    /// Stores a version that no database knows.
    pub(super) fn put(&self, of: &str, text: &str) -> Manifest {
        let of = version(of);
        let go_mod = format!("module {}\n", of.path);
        let mut incoming = self.store.incoming().unwrap();
        incoming.write(&zip(&of, &[("go.mod", &go_mod), ("x.go", text)])).unwrap();
        let held = incoming.finish();
        let facts = check_zip(held.file(), &of, &ZipLimits::default()).unwrap();
        let manifest = Manifest {
            info: format!(r#"{{"Version":"{}","Time":"2024-05-06T07:08:09Z"}}"#, of.version).into(),
            mod_h1: H1::of_mod(go_mod.as_bytes()),
            go_mod: go_mod.into(),
            zip: held.blob(),
            h1: facts.h1,
            checked: Checked::Sumdb(NAME.to_owned()),
            fetched: UnixMillis(1_795_294_621_000),
            upstream: "https://proxy.example.com".into(),
            time: UnixMillis::parse_rfc3339("2024-05-06T07:08:09Z"),
            licences: Vec::new(),
            of,
        };
        (*self.store.commit(&self.tree, manifest, held).unwrap()).clone()
    }

    pub(super) async fn export(&self, trust: &Trust, versions: &[&str], name: &str) -> (PathBuf, Exported) {
        let mut wanted = Wanted::default();
        versions.iter().for_each(|of| wanted.add(version(of)));
        let output = self.folder.path().join(name);
        let found = plan(&self.store, std::slice::from_ref(&self.tree), &wanted);
        assert!(found.missing.is_empty() && found.differing.is_empty(), "{found:?}");
        let mut told = (0, 0);
        let mut progress = |done, whole| told = (done, whole);
        let exported = export(&self.store, &found, trust, &output, UnixMillis(5000), &mut progress).await.unwrap();
        assert_eq!(told, (found.bytes(), found.bytes()));
        assert_eq!(exported.bytes, std::fs::metadata(&output).unwrap().len());
        (output, exported)
    }

    pub(super) async fn import(&self, trust: &Trust, place: &Path) -> Imported {
        let contents = Contents::open(place).unwrap();
        import(&self.store, &self.tree, contents, trust, UnixMillis(6000), &mut |_, _| {}).await.unwrap()
    }

    pub(super) fn has(&self, of: &str) -> bool {
        self.store.read(&self.tree, &version(of)).is_some()
    }
}

pub(super) fn private(pattern: &str) -> Trust {
    Trust { private: Patterns::parse([pattern]).unwrap(), ..Trust::default() }
}

pub(super) fn unverified() -> Trust {
    Trust { verify: Verify::Off, ..Trust::default() }
}

/// The zip of a module.
pub(super) fn zip(of: &ModuleVersion, files: &[(&str, &str)]) -> Vec<u8> {
    super::zip::zip(&of.to_string(), files)
}

pub(super) fn version(of: &str) -> ModuleVersion {
    ModuleVersion::parse(of).unwrap()
}

/// The files of a bundle.
pub(super) fn unpacked(bundle: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(std::fs::File::open(bundle).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), bytes)
    });
    entries.collect()
}

/// A tar file with these files at `path`.
pub(super) fn packed(path: &Path, files: &[(&str, &[u8])]) {
    let mut tar = tar::Builder::new(std::fs::File::create(path).unwrap());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        // Written by hand, since the writer refuses names that lead elsewhere.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap().flush().unwrap();
}

/// A folder with these files.
pub(super) fn laid_out(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(path).unwrap().write_all(bytes).unwrap();
    }
}
