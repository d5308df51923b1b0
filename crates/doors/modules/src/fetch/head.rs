//! The small files of a version, checked: its info and its go.mod.

use std::sync::Arc;

use bytes::Bytes;
use tradewind_core::{FaultKind, UnixMillis};

use super::info::{Info, LARGEST, made_up};
use super::mount::{Database, Mount};
use super::stored::KeptFile;
use super::{Counters, Fetcher, May, Taken, flights, stopping};
use crate::failure::Failure;
use crate::hash::H1;
use crate::name::{Asked, ModuleVersion, Query};
use crate::section::{Together, Verify};
use crate::store::{Answer, AnswerKey, Checked, Evidence, Refusal};
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

impl Fetcher {
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
        if let Some(manifest) = self.stored(mount, of, may).await? {
            let bytes = if want_mod { manifest.go_mod.clone() } else { manifest.info.clone() };
            return Ok(Given { bytes, taken: Taken::Stored, from: Arc::clone(&manifest.upstream) });
        }
        mount.rules.judge_name(of).map_err(|refusal| Failure::left_out(refusal.sentence))?;
        if let Some(KeptFile { answer, info }) = self.kept_file(mount, of, want_mod, may).await? {
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
            let _ = self.begin_zip(mount, of, false); // without room for it, it comes when somebody asks for it
        }
    }

    /// Info and go.mod from an upstream, with what the checksum database says of them: once, however many ask.
    pub(super) async fn head(self: &Arc<Self>, mount: &Arc<Mount>, of: &ModuleVersion) -> Result<Arc<Head>, Failure> {
        let key = (mount.id, of.clone());
        let room = || mount.places_of(&of.path).room();
        let mut told = self.heads.join(key, &self.spawner, room, None, |sender| {
            let (this, mount, of) = (Arc::clone(self), Arc::clone(mount), of.clone());
            async move {
                let head = match mount.places_of(&of.path).head().await {
                    Ok(_place) => Ok(Arc::new(this.fetch_head(&mount, &of).await)),
                    Err(failure) => Err(failure),
                };
                sender.send_replace(Some(head));
            }
        })?;
        flights::told(&mut told, Option::clone).await.ok_or_else(stopping)?
    }

    async fn fetch_head(&self, mount: &Mount, of: &ModuleVersion) -> Head {
        let chain = mount.chain_of(&of.path);
        let (asked_info, asked_mod) = (asked_info(of), Asked::Mod(of.clone()));
        // Side by side: each is a round trip over a network that may be far.
        let (info, go_mod, vouched) = tokio::join!(
            chain.get_as(&asked_info, LARGEST, |bytes, from| read_info(of, bytes, from)),
            chain.get(&asked_mod, LARGEST_MOD),
            self.vouched(mount, of),
        );
        let of_mod = go_mod.as_ref().ok().map(|(_, from)| Arc::clone(from));
        let upstream = of_mod.or_else(|| info.as_ref().ok().map(|(_, from)| Arc::clone(from))).unwrap_or_default();
        let info = info.map(|(info, _)| info);
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
            Err(NotVouched { failure, refusal, is_proven }) => {
                let is_there = head.info.is_ok() || head.go_mod.is_ok();
                if let Some(refusal) = refusal.filter(|_| is_there || is_proven) {
                    self.put_aside(mount, of, refusal, is_proven).await;
                }
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
    async fn vouched(&self, mount: &Mount, of: &ModuleVersion) -> Result<(Option<Sums>, Checked), NotVouched> {
        if mount.is_private(&of.path) {
            return Ok((None, Checked::Private));
        }
        let Some(database) = mount.database_of(&of.path) else { return Ok((None, Checked::Off)) };
        match database.client.lookup(of).await {
            Ok(sums) => Ok((Some(sums), Checked::Sumdb(database.name.to_string()))),
            Err(SumdbError::NotThere(_) | SumdbError::Unreachable(_)) if mount.verify == Verify::WhenPossible => {
                Ok((None, Checked::Unreached))
            }
            Err(error) => Err(NotVouched::new(database, of, error)),
        }
    }

    async fn refuse_mod(&self, mount: &Mount, of: &ModuleVersion, go_mod: &Bytes, sums: &Sums, from: &str) -> Failure {
        let reason = mismatch(&format!("{of}/go.mod"), H1::of_mod(go_mod), sums.go_mod, database_name(mount));
        let text = String::from_utf8_lossy(go_mod).into_owned();
        let evidence = vec![Evidence { name: "go.mod".to_owned(), text }];
        let refusal = Refusal { reason: reason.clone(), evidence, upstream: from.to_owned() };
        self.put_aside(mount, of, refusal, true).await;
        Failure::unverified(reason)
    }

    /// Keeps why a version is refused. What proves nothing takes the place of no zip that was put aside earlier.
    pub(super) async fn put_aside(&self, mount: &Mount, of: &ModuleVersion, refusal: Refusal, is_proven: bool) {
        Counters::add(&self.counters.unverified, 1);
        let (tree, of) = (mount.tree.clone(), of.clone());
        let keeping = self.storing(move |store| {
            if !is_proven && store.refused(&tree, &of).is_some_and(|earlier| earlier.zip.is_some()) {
                return Ok(());
            }
            store.quarantine(&tree, &of, refusal, None)
        });
        let _ = keeping.await; // it is refused also when that cannot be kept
    }
}

/// Why the checksum database does not vouch for a version.
pub(super) struct NotVouched {
    pub(super) failure: Failure,
    /// What is kept of it, where it says more than that somebody cannot be asked.
    refusal: Option<Refusal>,
    /// Whether somebody did wrong, whatever there is of the version.
    is_proven: bool,
}

impl NotVouched {
    pub(super) fn new(database: &Database, of: &ModuleVersion, error: SumdbError) -> Self {
        let name = &database.name;
        let said = |text: &str| Evidence { name: format!("what {name} said"), text: text.to_owned() };
        let refusal =
            |reason: String, evidence: Vec<Evidence>| Some(Refusal { reason, evidence, upstream: name.to_string() });
        let cannot = |why: &str| {
            let reason = format!("verifying {of}: the checksum database {name} cannot be asked\n{why}");
            Failure::upstream(FaultKind::ServerError, 502, reason)
        };
        match error {
            SumdbError::NotThere(why) => {
                let reason = format!(
                    "verifying {of}: {name} does not know it, and this proxy gives nothing that is not verified"
                );
                let failure = Failure::unverified(format!("{reason}\n{why}"));
                Self { failure, refusal: refusal(reason, vec![said(&why)]), is_proven: false }
            }
            SumdbError::Misbehaved(misbehaviour) => {
                let reason = format!("verifying {of}: {}", misbehaviour.summary);
                let failure = Failure::unverified(misbehaviour.told());
                Self { failure, refusal: refusal(reason, vec![said(&misbehaviour.text)]), is_proven: true }
            }
            SumdbError::Garbled(answer) => {
                let reason = format!("verifying {of}: what came is no answer of {name}: {}", answer.summary);
                let failure = cannot(&answer.summary);
                Self { failure, refusal: refusal(reason, vec![said(&answer.text)]), is_proven: false }
            }
            SumdbError::Unreachable(why) => Self { failure: cannot(&why), refusal: None, is_proven: false },
            SumdbError::Kept(why) => {
                let reason = format!("verifying {of}: the last tree head of {name} cannot be read or kept: {why}");
                let failure = Failure::new(crate::failure::FailureKind::Storage, 500, reason);
                Self { failure, refusal: None, is_proven: false }
            }
        }
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
