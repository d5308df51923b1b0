//! The small files of a version, checked: its info and its go.mod.

use std::sync::Arc;

use bytes::Bytes;
use tradewind_core::{FaultKind, UnixMillis};

use super::info::{Info, LARGEST, made_up};
use super::mount::{Database, Mount};
use super::{Counters, Fetcher, May, Taken, flights, stopping};
use crate::failure::Failure;
use crate::hash::H1;
use crate::name::{Asked, ModuleVersion, Query};
use crate::section::{Together, Verify};
use crate::store::{Answer, AnswerKey, Checked, Evidence, Manifest, Refusal};
use crate::sumdb::{SumdbError, Sums};

/// The most bytes of a go.mod, as for the go command.
const LARGEST_MOD: usize = 16 << 20;

/// What is known of a version before its zip is. Each file has its own failure: a version without the one may have the
/// other.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) info: Result<Bytes, Failure>,
    pub(super) go_mod: Result<Bytes, Failure>,
    pub(super) time: Option<UnixMillis>,
    /// What the database vouches for; `None` where it was not asked, or need not know it.
    pub(super) sums: Option<Sums>,
    pub(super) checked: Checked,
    pub(super) upstream: Arc<str>,
}

/// A file of a version, from wherever it was taken.
pub(crate) struct Given {
    pub(crate) bytes: Bytes,
    pub(crate) taken: Taken,
    /// Where it came from at first.
    pub(crate) from: Arc<str>,
}

/// Whether what was compared in this way may be given: what was taken on trust is fetched and checked anew where the document
/// has come to ask for more.
fn suffices(mount: &Mount, of: &ModuleVersion, checked: &Checked) -> bool {
    match (mount.database_of(&of.path), checked) {
        (Some(database), Checked::Sumdb(name)) => **name == *database.name,
        (Some(_), Checked::GoSum) | (None, _) => true,
        (Some(_), _) => mount.verify != Verify::Required,
    }
}

impl Fetcher {
    /// The stored version, if the rules still let it through, and it was checked as it has to be.
    pub(crate) fn stored(&self, mount: &Mount, of: &ModuleVersion) -> Result<Option<Arc<Manifest>>, Failure> {
        let Some(manifest) = self.store.version(&mount.tree, of) else { return Ok(None) };
        if !suffices(mount, of, &manifest.checked) {
            return Ok(None);
        }
        let licences: Vec<crate::rules::Licence> =
            manifest.licences.iter().filter_map(|name| name.parse().ok()).collect();
        let verdict = mount.rules.judge(of, manifest.time, &licences, self.clock.wall());
        verdict.map_err(|refusal| Failure::left_out(refusal.sentence))?;
        Ok(Some(manifest))
    }

    /// The info or the go.mod of a version.
    ///
    /// # Errors
    /// When it is not there, may not be had, or is not what it has to be. It is fetched as far as it `may` be.
    pub(crate) async fn small(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        of: &ModuleVersion,
        want_mod: bool,
        may: May,
    ) -> Result<Given, Failure> {
        if let Some(manifest) = self.stored(mount, of)? {
            let bytes = if want_mod { manifest.go_mod.clone() } else { manifest.info.clone() };
            return Ok(Given { bytes, taken: Taken::Stored, from: manifest.upstream.as_str().into() });
        }
        mount.rules.judge_name(of).map_err(|refusal| Failure::left_out(refusal.sentence))?;
        let key = if want_mod { AnswerKey::Mod(of.clone()) } else { AnswerKey::Info(of.clone()) };
        let (tree, info_key) = (mount.tree.clone(), AnswerKey::Info(of.clone()));
        let needs_time = mount.rules.need_time();
        let vouching = mount.clone();
        let version = of.clone();
        let kept = self.blocking(move |store| {
            let answer = store.answer(&tree, &key)?;
            if !suffices(&vouching, &version, answer.checked.as_ref().unwrap_or(&Checked::Off)) {
                return None;
            }
            let info = if want_mod && needs_time { store.answer(&tree, &info_key) } else { Some(answer.clone()) };
            Some((answer, info))
        });
        if let Some((answer, info)) = kept.await? {
            let time = info.and_then(|info| Info::parse(&of.path, &info.body).ok()).and_then(|info| info.time);
            self.judge_time(mount, of, time)?;
            self.fetch_ahead(mount, of, may);
            return Ok(Given { bytes: answer.body, taken: Taken::Stored, from: answer.upstream.into() });
        }
        if may == May::Nothing {
            return Err(not_cached());
        }
        let asked = if want_mod { Asked::Mod(of.clone()) } else { asked_info(of) };
        if let Some(failure) = self.negatives.find(&mount.tree, &asked, self.clock.now()) {
            return Err(failure);
        }
        let head = self.head(mount, of).await?;
        let found = if want_mod { &head.go_mod } else { &head.info };
        match found {
            Ok(bytes) => {
                self.judge_time(mount, of, head.time)?;
                if head.info.is_ok() && head.go_mod.is_ok() {
                    self.fetch_ahead(mount, of, may);
                }
                Ok(Given { bytes: bytes.clone(), taken: Taken::Fetched, from: head.upstream.clone() })
            }
            Err(failure) => {
                self.note_failure(mount, &asked, failure);
                Err(failure.clone())
            }
        }
    }

    pub(super) fn judge_time(
        &self,
        mount: &Mount,
        of: &ModuleVersion,
        time: Option<UnixMillis>,
    ) -> Result<(), Failure> {
        let verdict = mount.rules.judge_time(of, time, self.clock.wall());
        verdict.map_err(|refusal| Failure::left_out(refusal.sentence))
    }

    /// Fetches the zip as well, without anybody's waiting for it, so that the version is here whole.
    fn fetch_ahead(self: &Arc<Self>, mount: &Arc<Mount>, of: &ModuleVersion, may: May) {
        let asked = Asked::Zip(of.clone());
        if may == May::Whole
            && mount.together == Together::All
            && self.negatives.find(&mount.tree, &asked, self.clock.now()).is_none()
        {
            self.begin_zip(mount, of, false);
        }
    }

    /// Info and go.mod from an upstream, with what the checksum database says of them: once, however many ask.
    pub(super) async fn head(self: &Arc<Self>, mount: &Arc<Mount>, of: &ModuleVersion) -> Result<Arc<Head>, Failure> {
        let key = (mount.id, of.clone());
        let mut told = self.heads.join(key, &self.spawner, None, |sender| {
            let (this, mount, of) = (Arc::clone(self), Arc::clone(mount), of.clone());
            async move {
                let head = this.fetch_head(&mount, &of).await;
                sender.send_replace(Some(Arc::new(head)));
            }
        });
        flights::told(&mut told, Option::clone).await.ok_or_else(stopping)
    }

    async fn fetch_head(&self, mount: &Mount, of: &ModuleVersion) -> Head {
        let chain = mount.chain_of(&of.path);
        let (asked_info, asked_mod) = (asked_info(of), Asked::Mod(of.clone()));
        // Side by side: each is a round trip over a network that may be far.
        let (info, go_mod, vouched) =
            tokio::join!(chain.get(&asked_info, LARGEST), chain.get(&asked_mod, LARGEST_MOD), self.vouched(mount, of),);
        let upstream = go_mod.as_ref().or(info.as_ref()).map_or_else(|_| Arc::from(""), |(_, from)| Arc::clone(from));
        let info = info.and_then(|(bytes, from)| read_info(of, bytes, &from));
        let time = info.as_ref().ok().and_then(|(_, time)| *time);
        let mut head = Head {
            // An upstream that has the go.mod and no info is like a folder that somebody has laid out by hand.
            info: match info {
                Ok((bytes, _)) => Ok(bytes),
                Err(failure) if failure.is_missing() && go_mod.is_ok() => Ok(made_up(&of.version).into()),
                Err(failure) => Err(failure),
            },
            go_mod: go_mod.map(|(bytes, _)| bytes),
            time,
            sums: None,
            checked: Checked::Off,
            upstream,
        };
        match vouched {
            Ok((sums, checked)) => (head.sums, head.checked) = (sums, checked),
            // That there is no such version is a better answer than that nobody vouches for it.
            Err(failure) => {
                for file in [&mut head.info, &mut head.go_mod] {
                    if file.as_ref().is_ok() {
                        *file = Err(failure.clone());
                    }
                }
                return head;
            }
        }
        if let (Ok(go_mod), Some(sums)) = (&head.go_mod, &head.sums)
            && H1::of_mod(go_mod) != sums.go_mod
        {
            let failure = self.refuse_mod(mount, of, go_mod, sums, &head.upstream).await;
            head.go_mod = Err(failure);
        }
        self.keep_head(mount, of, &head).await;
        head
    }

    /// Keeps both files until the zip is here. What cannot be kept is given all the same.
    async fn keep_head(&self, mount: &Mount, of: &ModuleVersion, head: &Head) {
        let (Ok(info), Ok(go_mod)) = (&head.info, &head.go_mod) else { return };
        let now = self.clock.wall();
        let answer = |body: &Bytes| Answer {
            body: body.clone(),
            fetched: now,
            fresh_until: UnixMillis(u64::MAX >> 12),
            upstream: head.upstream.to_string(),
            checked: Some(head.checked.clone()),
        };
        let files = [(AnswerKey::Info(of.clone()), answer(info)), (AnswerKey::Mod(of.clone()), answer(go_mod))];
        let tree = mount.tree.clone();
        let keeping = self.blocking(move |store| {
            for (key, answer) in &files {
                let _ = store.keep_answer(&tree, key, answer); // a full disk does not keep it from being given
            }
        });
        let _ = keeping.await;
    }

    /// What the checksum database vouches for, and what the version is to be compared with by that.
    async fn vouched(&self, mount: &Mount, of: &ModuleVersion) -> Result<(Option<Sums>, Checked), Failure> {
        if mount.is_private(&of.path) {
            return Ok((None, Checked::Private));
        }
        let Some(database) = mount.database_of(&of.path) else { return Ok((None, Checked::Off)) };
        match database.client.lookup(of).await {
            Ok(sums) => Ok((Some(sums), Checked::Sumdb(database.name.to_string()))),
            Err(SumdbError::NotThere(_) | SumdbError::Unreachable(_)) if mount.verify == Verify::WhenPossible => {
                Ok((None, Checked::Unreached))
            }
            Err(error) => Err(self.not_vouched(mount, database, of, error).await),
        }
    }

    async fn not_vouched(&self, mount: &Mount, database: &Database, of: &ModuleVersion, error: SumdbError) -> Failure {
        let name = &database.name;
        match error {
            SumdbError::NotThere(why) => Failure::unverified(format!(
                "verifying {of}: {name} does not know it, and this proxy gives nothing that is not verified\n{why}"
            )),
            SumdbError::Misbehaved(misbehaviour) => {
                let evidence = Evidence { name: format!("what {name} said"), text: misbehaviour.text.clone() };
                let reason = format!("verifying {of}: {}", misbehaviour.summary);
                let refusal = Refusal { reason, evidence: vec![evidence], upstream: name.to_string() };
                self.put_aside(mount, of, refusal, None).await;
                Failure::unverified(misbehaviour.told())
            }
            SumdbError::Garbled(why) | SumdbError::Unreachable(why) => {
                let reason = format!("verifying {of}: the checksum database {name} cannot be asked\n{why}");
                Failure::upstream(FaultKind::ServerError, 502, reason)
            }
            SumdbError::Kept(why) => {
                let reason = format!("verifying {of}: the last tree head of {name} cannot be read or kept: {why}");
                Failure::new(crate::failure::FailureKind::Storage, 500, reason)
            }
        }
    }

    async fn refuse_mod(&self, mount: &Mount, of: &ModuleVersion, go_mod: &Bytes, sums: &Sums, from: &str) -> Failure {
        let reason = mismatch(&format!("{of}/go.mod"), H1::of_mod(go_mod), sums.go_mod, database_name(mount));
        let text = String::from_utf8_lossy(go_mod).into_owned();
        let evidence = vec![Evidence { name: "go.mod".to_owned(), text }];
        let refusal = Refusal { reason: reason.clone(), evidence, upstream: from.to_owned() };
        self.put_aside(mount, of, refusal, None).await;
        Failure::unverified(reason)
    }

    /// Keeps why a version is refused, and what came of it.
    pub(super) async fn put_aside(
        &self,
        mount: &Mount,
        of: &ModuleVersion,
        refusal: Refusal,
        zip: Option<crate::store::Held>,
    ) {
        Counters::add(&self.counters.unverified, 1);
        let (tree, of) = (mount.tree.clone(), of.clone());
        // It is refused also when that cannot be kept.
        let _ = self.storing(move |store| store.quarantine(&tree, &of, refusal, zip)).await;
    }
}

pub(super) fn database_name(mount: &Mount) -> &str {
    mount.database.as_ref().map_or("the checksum database", |database| &database.name)
}

/// The words of the go command for a hash that is another.
pub(super) fn mismatch(what: &str, downloaded: H1, vouched: H1, by: &str) -> String {
    format!(
        "verifying {what}: checksum mismatch\n\tdownloaded: {downloaded}\n\t{by}: {vouched}\n\
         SECURITY ERROR: this download does NOT match the one reported by the checksum server. The module proxy has put it \
         aside and does not give it out."
    )
}

pub(super) fn asked_info(of: &ModuleVersion) -> Asked {
    Asked::Info(of.path.clone(), Query::Version(of.version.clone()))
}

/// What is said to those who want nothing fetched.
pub(crate) fn not_cached() -> Failure {
    Failure::missing("not in the cache, and fetching was not wanted (Disable-Module-Fetch)")
}

fn read_info(of: &ModuleVersion, bytes: Bytes, from: &str) -> Result<(Bytes, Option<UnixMillis>), Failure> {
    let wrong = |what: String| Failure::upstream(FaultKind::BadShape, 502, format!("{of}: {from} {what}"));
    let info = Info::parse(&of.path, &bytes).map_err(wrong)?;
    if info.version != of.version {
        let reason = format!("returned info for version {} instead of requested version", info.version);
        return Err(Failure::upstream(FaultKind::BadShape, 502, format!("{of}: invalid version: proxy {reason}")));
    }
    Ok((bytes, info.time))
}
