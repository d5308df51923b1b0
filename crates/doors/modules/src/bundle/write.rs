//! Writing a bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::Path;

use bytes::Bytes;
use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;
use tradewind_core::UnixMillis;

use super::error::BundleError;
use super::export::{Exported, Found, Plan};
use super::manifest::{self, Manifest, Version};
use super::proofs::{self, Proofs};
use super::trust::Trust;
use crate::hash::H1;
use crate::name::{ModulePath, ModuleVersion};
use crate::store::{Blob, Sha256, Store};

/// What is in one file of the bundle.
enum Body<'a> {
    Bytes(Bytes),
    Zip(&'a Found, &'a ModuleVersion),
}

impl Body<'_> {
    fn blob(&self) -> Blob {
        match self {
            Self::Zip(Found::Whole(_, manifest), _) => manifest.zip,
            Self::Zip(Found::Head { .. }, _) => Blob { sha256: Sha256::of(b""), size: 0 },
            Self::Bytes(bytes) => Blob { sha256: Sha256::of(bytes), size: bytes.len() as u64 },
        }
    }
}

/// Writes what was found to a new file at `output`, with the records and tiles of the databases. `progress` is told the
/// bytes of zips that were written, and how many there are. Nothing is at `output` until all of it is.
///
/// # Errors
/// When something cannot be read or written, or is damaged in the store.
pub async fn export(
    store: &Store,
    plan: &Plan,
    trust: &Trust,
    output: &Path,
    made: UnixMillis,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Exported, BundleError> {
    let mut exported = Exported { versions: plan.found.len(), ..Exported::default() };
    let mut files = BTreeMap::new();
    add_versions(plan, &mut files);
    let mut sizes = BTreeMap::new();
    let mut unproven: BTreeSet<&ModuleVersion> =
        plan.found.keys().filter(|of| !of.path.is_covered_by(&trust.private)).collect();
    for database in &trust.databases {
        let name = database.verifier.name();
        let wanted: Vec<&ModuleVersion> = unproven.iter().copied().collect();
        match proofs::assemble(store, database, &wanted, &store.exported_sizes(name)).await {
            Ok(proofs) if proofs.lookups.is_empty() => {}
            Ok(proofs) => {
                unproven.retain(|of| !proofs.lookups.contains_key(of));
                exported.proven += proofs.lookups.len();
                sizes.insert(name.to_owned(), proofs.size);
                add_proofs(name, proofs, &mut files);
            }
            Err(why) => exported.problems.push(why),
        }
    }
    exported.unproven = unproven.into_iter().cloned().collect();
    let manifest = Manifest {
        format: manifest::FORMAT.to_owned(),
        made: made.rfc3339(),
        files: files.iter().map(|(name, body)| (name.clone(), body.blob())).collect(),
        versions: plan.found.iter().map(|(of, found)| described(of, found)).collect(),
        sumdb: sizes.clone(),
    };
    exported.bytes = write(store, plan.bytes(), &manifest, files, output, made, progress)?;
    for (name, size) in sizes {
        store.add_exported_size(&name, size)?;
    }
    Ok(exported)
}

fn add_versions<'a>(plan: &'a Plan, files: &mut BTreeMap<String, Body<'a>>) {
    let mut lists: BTreeMap<&ModulePath, Vec<&ModuleVersion>> = BTreeMap::new();
    for (of, found) in &plan.found {
        let base = format!("cache/download/{}/@v/{}", of.path.escaped(), of.version.escaped());
        let (info, go_mod) = match found {
            Found::Whole(_, manifest) => {
                files.insert(format!("{base}.zip"), Body::Zip(found, of));
                (&manifest.info, &manifest.go_mod)
            }
            Found::Head { info, go_mod, .. } => (info, go_mod),
        };
        files.insert(format!("{base}.info"), Body::Bytes(info.clone()));
        files.insert(format!("{base}.mod"), Body::Bytes(go_mod.clone()));
        let versions = lists.entry(&of.path).or_default();
        if !of.version.is_pseudo() {
            versions.push(of);
        }
    }
    for (path, versions) in lists {
        let list: String = versions.iter().map(|of| format!("{}\n", of.version)).collect();
        files.insert(format!("cache/download/{}/@v/list", path.escaped()), Body::Bytes(list.into()));
    }
}

fn add_proofs(name: &str, proofs: Proofs, files: &mut BTreeMap<String, Body<'_>>) {
    let base = format!("cache/download/sumdb/{name}");
    files.insert(format!("{base}/supported"), Body::Bytes(Bytes::new()));
    files.insert(format!("{base}/latest"), Body::Bytes(proofs.head));
    for (of, answer) in proofs.lookups {
        files.insert(format!("{base}/lookup/{}", of.escaped()), Body::Bytes(answer));
    }
    for (tile, bytes) in proofs.tiles {
        files.insert(format!("{base}/{tile}"), Body::Bytes(bytes));
    }
}

fn described(of: &ModuleVersion, found: &Found) -> Version {
    let (h1, upstream, licences) = match found {
        Found::Whole(_, manifest) => {
            (Some(manifest.h1.to_string()), manifest.upstream.to_string(), manifest.licences.clone())
        }
        Found::Head { upstream, .. } => (None, upstream.clone(), Vec::new()),
    };
    Version {
        path: of.path.as_str().to_owned(),
        version: of.version.as_str().to_owned(),
        h1,
        mod_h1: H1::of_mod(found.go_mod()).to_string(),
        upstream,
        licences,
    }
}

fn write(
    store: &Store,
    whole: u64,
    manifest: &Manifest,
    files: BTreeMap<String, Body<'_>>,
    output: &Path,
    made: UnixMillis,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<u64, BundleError> {
    let at = BundleError::at(output);
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(&at)?;
    let mut tar = Builder::new(io::BufWriter::with_capacity(1 << 20, file.as_file_mut()));
    let json = serde_json::to_vec_pretty(manifest).map_err(|error| at(error.into()))?;
    append(&mut tar, manifest::NAME, made, json.len() as u64, json.as_slice()).map_err(&at)?;
    let mut done = 0;
    progress(done, whole);
    for (name, body) in files {
        match body {
            Body::Bytes(bytes) => append(&mut tar, &name, made, bytes.len() as u64, &bytes[..]).map_err(&at)?,
            Body::Zip(Found::Head { .. }, _) => {}
            Body::Zip(Found::Whole(tree, manifest), of) => {
                let zip = store.open_zip(tree, manifest)?;
                let mut reader = Watched::new(&zip.file, |read| {
                    done += read;
                    progress(done, whole);
                });
                append(&mut tar, &name, made, zip.blob.size, &mut reader).map_err(&at)?;
                // A flipped bit is not carried away.
                if reader.finish() != zip.blob.sha256 {
                    return Err(BundleError::DamagedVersion(of.clone()));
                }
            }
        }
    }
    tar.into_inner().and_then(|mut writer| writer.flush()).map_err(&at)?;
    let bytes = file.as_file().metadata().map_err(&at)?.len();
    file.as_file().sync_all().map_err(&at)?;
    file.persist(output).map_err(|error| at(error.error))?;
    Ok(bytes)
}

fn append(tar: &mut Builder<impl Write>, name: &str, made: UnixMillis, size: u64, body: impl Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_mtime(made.0 / 1000);
    header.set_size(size);
    tar.append_data(&mut header, name, body)
}

/// Hashes and tells what is read through it.
struct Watched<R, F> {
    reader: R,
    context: ring::digest::Context,
    told: F,
}

impl<R: Read, F: FnMut(u64)> Watched<R, F> {
    fn new(reader: R, told: F) -> Self {
        Self { reader, context: ring::digest::Context::new(&ring::digest::SHA256), told }
    }

    fn finish(self) -> Sha256 {
        Sha256::of_digest(&self.context.finish())
    }
}

impl<R: Read, F: FnMut(u64)> Read for Watched<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.context.update(&buffer[..read]);
        (self.told)(read as u64);
        Ok(read)
    }
}
