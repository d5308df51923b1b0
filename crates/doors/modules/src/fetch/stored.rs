//! What is stored of a version, as far as the document that is in place lets it be given.
//!
//! Where a document is content without the checksum database (`verify: when-possible`), what was taken while it could not say
//! is compared with it as soon as it can: when the version is asked for again, at most every `cache.missing`. It is given in
//! the meantime, so nobody waits long for that. What then turns out to be something else is taken out of the store.

use std::sync::Arc;
use std::time::Duration;

use tradewind_core::UnixMillis;

use super::head::{NotVouched, database_name, mismatch};
use super::mount::{Database, Mount};
use super::{Counters, Fetcher, May, flights, stopping};
use crate::failure::Failure;
use crate::hash::H1;
use crate::name::{Asked, ModuleVersion};
use crate::section::Verify;
use crate::store::{Answer, AnswerKey, Checked, Evidence, Manifest, Refusal, StoreError, Zip};
use crate::sumdb::{SumdbError, Sums};

/// How long whoever may have it without waits for a comparison, which goes on when they do not.
const PATIENCE: Duration = Duration::from_secs(2);

/// What it means that a version was compared in one way, to the document that is in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It may be given.
    Good,
    /// It may be given, and is to be compared where that is possible by now.
    Open,
    /// It may not: it was taken on trust, and the document has come to ask for more. It is fetched and checked anew.
    Bad,
}

fn standing(mount: &Mount, of: &ModuleVersion, checked: &Checked) -> Standing {
    match (mount.database_of(&of.path), checked) {
        (None, _) | (Some(_), Checked::GoSum) => Standing::Good,
        (Some(database), Checked::Sumdb(name)) if **name == *database.name => Standing::Good,
        (Some(_), _) if mount.verify == Verify::Required => Standing::Bad,
        (Some(_), _) => Standing::Open,
    }
}

/// Whether what was compared in this way may be given.
pub(super) fn suffices(mount: &Mount, of: &ModuleVersion, checked: &Checked) -> bool {
    standing(mount, of, checked) != Standing::Bad
}

/// One file of a version that is kept without its zip, and its info, where the rules need the time in it.
pub(super) struct KeptFile {
    pub(super) answer: Answer,
    pub(super) info: Option<Answer>,
}

impl Fetcher {
    /// The stored version, if the rules still let it through, and it was checked as it has to be, for which a database may be
    /// asked where `may` does not forbid it.
    pub(crate) async fn stored(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        of: &ModuleVersion,
        may: May,
    ) -> Result<Option<Arc<Manifest>>, Failure> {
        let Some(mut manifest) = self.found(mount, of).await? else { return Ok(None) };
        match standing(mount, of, &manifest.checked) {
            Standing::Good => {}
            Standing::Bad => return Ok(None),
            Standing::Open if may == May::Nothing => {}
            Standing::Open => {
                self.compare(mount, of).await?;
                let Some(now) = self.found(mount, of).await? else { return Ok(None) };
                manifest = now;
            }
        }
        self.judged(mount, of, &manifest)?;
        Ok(Some(manifest))
    }

    /// [`Self::stored`] and [`Self::open_zip`] of what is in memory, when nobody has to be asked about it; `None` when it may
    /// be otherwise, or is refused.
    pub(crate) fn at_hand(&self, mount: &Mount, of: &ModuleVersion) -> Option<(Arc<Manifest>, Zip)> {
        let manifest = self.store.remembered(&mount.tree, of)?;
        if standing(mount, of, &manifest.checked) != Standing::Good || self.judged(mount, of, &manifest).is_err() {
            return None;
        }
        let zip = self.store.zip_in_memory(&manifest)?;
        Some((manifest, Zip::InMemory(zip)))
    }

    /// Whether the rules let a stored version through.
    fn judged(&self, mount: &Mount, of: &ModuleVersion, manifest: &Manifest) -> Result<(), Failure> {
        let licences = if mount.rules.need_licences() { manifest.known_licences() } else { Vec::new() };
        let now = if mount.rules.need_time() { self.clock.wall() } else { UnixMillis::default() };
        let verdict = mount.rules.judge(of, manifest.time, &licences, now);
        verdict.map_err(|refusal| Failure::left_out(refusal.sentence))
    }

    /// What is stored, from memory or from the disk: a go.mod may have 16 MiB, and one that is damaged is put aside.
    async fn found(&self, mount: &Mount, of: &ModuleVersion) -> Result<Option<Arc<Manifest>>, Failure> {
        if let Some(manifest) = self.store.remembered(&mount.tree, of) {
            return Ok(Some(manifest));
        }
        let (tree, of) = (mount.tree.clone(), of.clone());
        self.blocking(move |store| store.version(&tree, &of)).await
    }

    /// The zip of a stored version; `None` when it is gone or damaged, and the version is there no more.
    pub(crate) async fn open_zip(&self, mount: &Mount, manifest: &Arc<Manifest>) -> Result<Option<Zip>, Failure> {
        if let Some(zip) = self.store.zip(manifest)? {
            return Ok(Some(zip));
        }
        let (tree, manifest) = (mount.tree.clone(), Arc::clone(manifest));
        match self.blocking(move |store| store.open_zip(&tree, &manifest)).await? {
            Ok(zip) => Ok(Some(Zip::File(zip))),
            Err(StoreError::Gone) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// One small file of a version whose zip is not here, if it was checked as it has to be.
    pub(super) async fn kept_file(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        of: &ModuleVersion,
        want_mod: bool,
        may: May,
    ) -> Result<Option<KeptFile>, Failure> {
        let key = if want_mod { AnswerKey::Mod(of.clone()) } else { AnswerKey::Info(of.clone()) };
        let needs_info = want_mod && mount.rules.need_time();
        let read = || {
            let (tree, key, info_key) = (mount.tree.clone(), key.clone(), AnswerKey::Info(of.clone()));
            self.blocking(move |store| {
                let answer = store.answer(&tree, &key)?;
                let info = if needs_info { store.answer(&tree, &info_key) } else { Some(answer.clone()) };
                Some(KeptFile { answer, info })
            })
        };
        let Some(kept) = read().await? else { return Ok(None) };
        match standing(mount, of, kept.answer.checked.as_ref().unwrap_or(&Checked::Off)) {
            Standing::Good => Ok(Some(kept)),
            Standing::Bad => Ok(None),
            Standing::Open if may == May::Nothing => Ok(Some(kept)),
            Standing::Open => {
                self.compare(mount, of).await?;
                read().await
            }
        }
    }

    /// Compares what is kept of a version with what the database says of it by now, where it can be asked: once, however many
    /// ask. What agrees is good from then on; what does not is there no more.
    async fn compare(self: &Arc<Self>, mount: &Arc<Mount>, of: &ModuleVersion) -> Result<(), Failure> {
        let now = self.clock.now();
        let Some(database) = mount.database_of(&of.path) else { return Ok(()) };
        let is_unknown = self.unvouched.find(&mount.tree, &Asked::Zip(of.clone()), now).is_some();
        if is_unknown || database.was_unreached(now, mount.missing) {
            return Ok(());
        }
        let room = || mount.places_of(&of.path).room();
        let told = self.compared.join((mount.id, of.clone()), &self.spawner, room, None, |sender| {
            let (this, mount, of) = (Arc::clone(self), Arc::clone(mount), of.clone());
            async move {
                let compared = match mount.database_of(&of.path) {
                    Some(database) => this.compare_with(&mount, database, &of).await,
                    None => Ok(()),
                };
                sender.send_replace(Some(compared));
            }
        });
        // Without room for it, it is compared another time.
        let Ok(mut told) = told else { return Ok(()) };
        let waited = tokio::time::timeout(PATIENCE, flights::told(&mut told, Option::clone)).await;
        let Ok(told) = waited else {
            database.note_unreached(now);
            return Ok(());
        };
        told.ok_or_else(stopping)?
    }

    async fn compare_with(&self, mount: &Mount, database: &Database, of: &ModuleVersion) -> Result<(), Failure> {
        let sums = match database.client.lookup(of).await {
            Ok(sums) => sums,
            Err(SumdbError::Unreachable(_)) => {
                database.note_unreached(self.clock.now());
                return Ok(());
            }
            Err(SumdbError::NotThere(why)) => {
                let asked = Asked::Zip(of.clone());
                self.unvouched.note(&mount.tree, &asked, &Failure::missing(why), self.clock.now(), mount.missing);
                return Ok(());
            }
            Err(error) => return Err(NotVouched::new(database, of, error).failure),
        };
        let (tree, by, about) = (mount.tree.clone(), database_name(mount).to_owned(), of.clone());
        let wrong = self.storing(move |store| {
            let checked = Checked::Sumdb(by.clone());
            if let Some(manifest) = store.read(&tree, &about) {
                if let Some(reason) = differs(&about, &manifest, &sums, &by) {
                    store.withdraw(&tree, &about, &reason);
                    return Ok(true);
                }
                store.vouch(&tree, &manifest, checked.clone())?;
            }
            let keys = [AnswerKey::Info(about.clone()), AnswerKey::Mod(about.clone())];
            let [info, go_mod] = keys.each_ref().map(|key| store.answer(&tree, key));
            let Some(go_mod) = go_mod else { return Ok(false) };
            let h1 = H1::of_mod(&go_mod.body);
            if h1 != sums.go_mod {
                for key in &keys {
                    store.forget_answer(&tree, key)?;
                }
                let reason = mismatch(&format!("{about}/go.mod"), h1, sums.go_mod, &by);
                let text = String::from_utf8_lossy(&go_mod.body).into_owned();
                let evidence = vec![Evidence { name: "go.mod".to_owned(), text }];
                store.quarantine(&tree, &about, Refusal { reason, evidence, upstream: go_mod.upstream }, None)?;
                return Ok(true);
            }
            for (key, answer) in keys.iter().zip([info, Some(go_mod)]) {
                if let Some(answer) = answer {
                    store.keep_answer(&tree, key, &Answer { checked: Some(checked.clone()), ..answer })?;
                }
            }
            Ok(false)
        });
        if wrong.await? {
            Counters::add(&self.counters.unverified, 1);
        }
        Ok(())
    }
}

/// Why a stored version is not what the database vouches for, if so.
fn differs(of: &ModuleVersion, stored: &Manifest, sums: &Sums, by: &str) -> Option<String> {
    if stored.mod_h1 != sums.go_mod {
        return Some(mismatch(&format!("{of}/go.mod"), stored.mod_h1, sums.go_mod, by));
    }
    (stored.h1 != sums.zip).then(|| mismatch(&of.to_string(), stored.h1, sums.zip, by))
}
