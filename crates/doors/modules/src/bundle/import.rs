//! Taking in what a bundle, a download cache or the storage of another proxy has: everything is checked as if it came from
//! an upstream.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use tradewind_core::UnixMillis;
use tradewind_ledger::Tile;

use super::contents::{Contents, Files};
use super::error::BundleError;
use super::source::BundleSource;
use super::trust::Trust;
use crate::fetch::Info;
use crate::hash::{H1, SumOf};
use crate::name::{ModulePath, ModuleVersion};
use crate::section::Verify;
use crate::store::{Answer, AnswerKey, Blob, Checked, Evidence, Held, Manifest, Refusal, Store, StoreError, Tree};
use crate::sumdb::{MAX_ANSWER, Sumdb, SumdbError, Sums};
use crate::zip::{ZipLimits, check_zip};

/// The most bytes of an info.
const LARGEST_INFO: u64 = 1 << 20;
/// The most bytes of a go.mod.
const LARGEST_MOD: u64 = 16 << 20;
/// The most bytes of a list of versions.
const LARGEST_LIST: u64 = 8 << 20;
/// As much is written to the disk at once.
const PIECE: usize = 256 << 10;

/// What came of an import.
#[derive(Debug, Default)]
pub struct Imported {
    /// What is in the store now, and was not before.
    pub stored: Vec<Stored>,
    /// Versions that were there already, and stayed as they were.
    pub present: usize,
    /// Versions that were refused, and why. They are in quarantine.
    pub refused: Vec<(ModuleVersion, String)>,
}

/// A version that came in.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Which one.
    pub of: ModuleVersion,
    /// What it was compared with.
    pub checked: Checked,
    /// Whether its zip came too.
    pub has_zip: bool,
}

/// What one version has to be.
struct Vouched {
    h1: Option<H1>,
    mod_h1: Option<H1>,
    checked: Checked,
}

/// Why a version is not taken.
enum Refuse {
    /// It is not what it has to be.
    Version(String, Option<Held>),
    /// Nothing more can be taken.
    Stop(BundleError),
}

impl<E: Into<BundleError>> From<E> for Refuse {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}

/// Takes all versions into a tree. `progress` is told the bytes of zips that were read, and how many there are. What is
/// refused does not keep the others out.
///
/// # Errors
/// When the contents cannot be read or are damaged, or the store cannot be written.
pub async fn import(
    store: &Store,
    tree: &Tree,
    contents: Contents,
    trust: &Trust,
    now: UnixMillis,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Imported, BundleError> {
    let importing = Importing::new(store, tree, contents, trust, now);
    let contents = &importing.contents;
    let (mut done, whole) = (0, contents.bytes());
    let mut imported = Imported::default();
    progress(done, whole);
    for (of, files) in contents.versions() {
        match importing.version(of, files).await {
            Ok(None) => imported.present += 1,
            Ok(Some(stored)) => imported.stored.push(stored),
            Err(Refuse::Stop(error)) => return Err(error),
            Err(Refuse::Version(reason, zip)) => {
                importing.put_aside(of, &reason, zip)?;
                imported.refused.push((of.clone(), reason));
            }
        }
        done += files.zip.as_ref().map_or(0, |name| contents.size(name));
        progress(done, whole);
    }
    importing.keep_lists(&imported)?;
    importing.keep_tiles().await?;
    Ok(imported)
}

struct Importing<'a> {
    store: &'a Store,
    tree: &'a Tree,
    contents: Arc<Contents>,
    trust: &'a Trust,
    go_sum: BTreeMap<(&'a ModuleVersion, SumOf), &'a H1>,
    databases: Vec<Sumdb>,
    now: UnixMillis,
    /// What stands as the place that the versions came from.
    from: String,
}

impl<'a> Importing<'a> {
    fn new(store: &'a Store, tree: &'a Tree, contents: Contents, trust: &'a Trust, now: UnixMillis) -> Self {
        let name = contents.place().file_name().unwrap_or_else(|| contents.place().as_os_str());
        let from = format!("import of {}", name.to_string_lossy());
        let contents = Arc::new(contents);
        let databases = trust.databases.iter().map(|database| {
            let source = BundleSource {
                contents: Arc::clone(&contents),
                name: database.verifier.name().to_owned(),
                fallback: database.source.clone(),
            };
            Sumdb::new(database.verifier.clone(), Arc::new(source), Arc::new(store.clone()))
        });
        let databases = databases.collect();
        let go_sum = trust.go_sum.lines.iter().map(|line| ((&line.module, line.of), &line.h1)).collect();
        Self { store, tree, contents, trust, go_sum, databases, now, from }
    }

    /// Checks and stores one version; `None` when it is there already.
    async fn version(&self, of: &ModuleVersion, files: &Files) -> Result<Option<Stored>, Refuse> {
        if self.is_there(of, files.zip.is_some()) {
            return Ok(None);
        }
        let go_mod = self.small(files.go_mod.as_deref(), LARGEST_MOD)?.unwrap_or_default();
        let (info, time) = self.info(of, files)?;
        let vouched = self.vouched(of, files.zip.is_some()).await?;
        if vouched.mod_h1.as_ref().is_some_and(|h1| *h1 != H1::of_mod(&go_mod)) {
            return Err(refuse(format!("its go.mod has another hash than {}", by(&vouched.checked))));
        }
        let Some(zip) = &files.zip else {
            self.keep_head(of, info, go_mod, &vouched.checked)?;
            return Ok(Some(Stored { of: of.clone(), checked: vouched.checked, has_zip: false }));
        };
        let zip = self.receive(zip)?;
        let facts = match check_zip(zip.file(), of, &ZipLimits::default()) {
            Ok(facts) => facts,
            Err(bad) => return Err(Refuse::Version(bad.to_string(), Some(zip))),
        };
        if vouched.h1.as_ref().is_some_and(|h1| *h1 != facts.h1) {
            let reason = format!("its zip has another hash than {}", by(&vouched.checked));
            return Err(Refuse::Version(reason, Some(zip)));
        }
        let manifest = Manifest {
            of: of.clone(),
            info,
            mod_h1: H1::of_mod(&go_mod),
            go_mod,
            zip: zip.blob(),
            h1: facts.h1,
            checked: vouched.checked.clone(),
            fetched: self.now,
            upstream: self.from.as_str().into(),
            time,
            licences: facts.licences.iter().map(|licence| licence.name().to_owned()).collect(),
        };
        self.store.commit(self.tree, manifest, zip)?;
        for key in [AnswerKey::Info(of.clone()), AnswerKey::Mod(of.clone())] {
            self.store.forget_answer(self.tree, &key)?;
        }
        Ok(Some(Stored { of: of.clone(), checked: vouched.checked, has_zip: true }))
    }

    /// Whether it is here already, and would be given: what was taken with less than is asked for now is taken anew.
    fn is_there(&self, of: &ModuleVersion, with_zip: bool) -> bool {
        let suffices = |checked: &Checked| self.trust.suffices(of, checked);
        let has = |key| {
            let kept = self.store.answer(self.tree, &key);
            kept.is_some_and(|answer| suffices(answer.checked.as_ref().unwrap_or(&Checked::Off)))
        };
        let stored = self.store.version(self.tree, of).filter(|manifest| suffices(&manifest.checked));
        stored.is_some_and(|manifest| self.store.open_zip(self.tree, &manifest).is_ok())
            || (!with_zip && has(AnswerKey::Info(of.clone())) && has(AnswerKey::Mod(of.clone())))
    }

    fn small(&self, name: Option<&str>, limit: u64) -> Result<Option<Bytes>, BundleError> {
        name.map_or(Ok(None), |name| self.contents.bytes_of(name, limit))
    }

    fn info(&self, of: &ModuleVersion, files: &Files) -> Result<(Bytes, Option<UnixMillis>), Refuse> {
        let Some(bytes) = self.small(files.info.as_deref(), LARGEST_INFO)? else {
            let info = serde_json::json!({ "Version": of.version.as_str() }).to_string();
            return Ok((info.into(), of.version.pseudo_time()));
        };
        let info = Info::parse(&of.path, &bytes).map_err(|why| refuse(format!("its info {why}")))?;
        if info.version != of.version {
            return Err(refuse(format!("its info is about {}", info.version)));
        }
        Ok((bytes, info.time))
    }

    /// What a version is compared with: the user's own lines, then the databases.
    async fn vouched(&self, of: &ModuleVersion, has_zip: bool) -> Result<Vouched, Refuse> {
        let line = |what| self.go_sum.get(&(of, what)).map(|h1| **h1);
        let (h1, mod_h1) = (line(SumOf::Zip), line(SumOf::GoMod));
        let has_line = h1.is_some() || mod_h1.is_some();
        if of.path.is_covered_by(&self.trust.private) || (self.trust.verify == Verify::Off && !has_line) {
            let is_off = self.trust.verify == Verify::Off;
            return Ok(Vouched { h1, mod_h1, checked: if is_off { Checked::Off } else { Checked::Private } });
        }
        let mut why_not = "no checksum database is set".to_owned();
        for database in &self.databases {
            match database.lookup(of).await {
                Ok(Sums { zip, go_mod }) => {
                    let agrees = h1.as_ref().is_none_or(|h1| *h1 == zip)
                        && mod_h1.as_ref().is_none_or(|mod_h1| *mod_h1 == go_mod);
                    if !agrees {
                        return Err(refuse(format!("the go.sum has another hash than {}", database.name())));
                    }
                    let checked = Checked::Sumdb(database.name().to_owned());
                    return Ok(Vouched { h1: Some(zip), mod_h1: Some(go_mod), checked });
                }
                Err(SumdbError::NotThere(why) | SumdbError::Unreachable(why)) => why_not = why,
                Err(error) => return Err(refuse(error.to_string())),
            }
        }
        // A go.sum has the go.mod alone of most modules of a graph: that says nothing about their zips.
        let has_lines = mod_h1.is_some() && (h1.is_some() || !has_zip);
        match self.trust.verify {
            _ if has_lines => Ok(Vouched { h1, mod_h1, checked: Checked::GoSum }),
            Verify::Required => Err(refuse(format!("nobody vouches for it: {why_not}"))),
            Verify::WhenPossible | Verify::Off => Ok(Vouched { h1, mod_h1, checked: Checked::Unreached }),
        }
    }

    fn receive(&self, name: &str) -> Result<Held, Refuse> {
        let mut incoming = self.store.incoming()?;
        let mut reader = self.contents.reader(name)?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = reader.read(&mut piece).map_err(BundleError::at(self.contents.place()))?;
            if read == 0 {
                break;
            }
            match incoming.write(&piece[..read]) {
                Err(error @ StoreError::TooLarge { .. }) => {
                    return Err(refuse(format!("its zip cannot be taken: {error}")));
                }
                other => other?,
            }
        }
        let held = incoming.finish();
        let Blob { sha256, size } = held.blob();
        self.contents.check(name, &Blob { sha256, size })?;
        Ok(held)
    }

    /// Keeps info and go.mod of a version that came without its zip.
    fn keep_head(&self, of: &ModuleVersion, info: Bytes, go_mod: Bytes, checked: &Checked) -> Result<(), StoreError> {
        for (key, body) in [(AnswerKey::Info(of.clone()), info), (AnswerKey::Mod(of.clone()), go_mod)] {
            let upstream = self.from.clone();
            let checked = Some(checked.clone());
            let answer = Answer { body, fetched: self.now, upstream, checked };
            self.store.keep_answer(self.tree, &key, &answer)?;
        }
        Ok(())
    }

    fn put_aside(&self, of: &ModuleVersion, reason: &str, zip: Option<Held>) -> Result<(), StoreError> {
        let evidence = zip.iter().map(|zip| Evidence { name: "zip".to_owned(), text: zip.blob().sha256.to_string() });
        let refusal = Refusal { reason: reason.to_owned(), evidence: evidence.collect(), upstream: self.from.clone() };
        self.store.quarantine(self.tree, of, refusal, zip)
    }

    /// Adds the versions that came in to the last known lists, so that a go command without a network finds them.
    fn keep_lists(&self, imported: &Imported) -> Result<(), BundleError> {
        let modules: std::collections::BTreeSet<&ModulePath> =
            imported.stored.iter().map(|stored| &stored.of.path).collect();
        for path in modules {
            let key = AnswerKey::List(path.clone());
            let last = self.store.answer(self.tree, &key);
            let listed = last.as_ref().map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
            let name = self.contents.name_of(&format!("{}/@v/list", path.escaped()));
            let theirs = self.contents.bytes_of(&name, LARGEST_LIST)?.unwrap_or_default();
            let theirs = String::from_utf8_lossy(&theirs).into_owned();
            let own = imported.stored.iter().filter(|stored| stored.of.path == *path && !stored.of.version.is_pseudo());
            let mut versions: Vec<String> = own.map(|stored| stored.of.version.to_string()).collect();
            versions.extend(listed.iter().flat_map(|list| list.lines()).chain(theirs.lines()).map(str::to_owned));
            versions.retain(|version| !version.trim().is_empty());
            versions.sort_unstable();
            versions.dedup();
            let body: String = versions.iter().map(|version| format!("{version}\n")).collect();
            let answer = Answer {
                body: body.into(),
                // Old where there was none: whoever can ask does so.
                fetched: last.as_ref().map_or(UnixMillis(0), |answer| answer.fetched),
                upstream: last.map_or_else(|| self.from.clone(), |answer| answer.upstream),
                checked: None,
            };
            self.store.keep_answer(self.tree, &key, &answer)?;
        }
        Ok(())
    }

    /// Keeps all tiles, also those that no check here has needed: an earlier bundle may need them, and so may a go command.
    /// Each is checked up to the signed head that came with them; one that does not belong under it is left out.
    async fn keep_tiles(&self) -> Result<(), BundleError> {
        for database in &self.databases {
            let below = format!("sumdb/{}/", database.name());
            let latest = self.contents.name_of(&format!("{below}latest"));
            let head = match self.contents.bytes_of(&latest, MAX_ANSWER as u64)? {
                Some(note) => database.take_in(&note).await,
                // The cache of a go command has none: its tiles are those of the heads in its lookups.
                None => database.head().await,
            };
            // One that does not hold was told with the versions that stand under it.
            let Ok(head) = head else { continue };
            for name in self.contents.below(&format!("{below}tile/")) {
                let Ok(tile) = format!("tile/{name}").parse::<Tile>() else { continue };
                if self.store.kept_tile(database.name(), tile).is_none() {
                    // Reading it keeps it.
                    let _ = database.tile_under(head, tile).await;
                }
            }
        }
        Ok(())
    }
}

fn refuse(reason: String) -> Refuse {
    Refuse::Version(reason, None)
}

/// Who said what a hash has to be.
fn by(checked: &Checked) -> String {
    match checked {
        Checked::Sumdb(name) => format!("{name} has for it"),
        _ => "the go.sum has for it".to_owned(),
    }
}
