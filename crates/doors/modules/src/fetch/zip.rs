//! The zip of a version: fetched once, checked, stored with the rest of the version.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use tokio::sync::{Notify, watch};
use tradewind_policy::ByteSize;

use super::head::{Head, database_name, mismatch};
use super::mount::Mount;
use super::{Counters, Fetcher, May, flights, stopping};
use crate::failure::Failure;
use crate::name::{Asked, ModuleVersion};
use crate::store::{AnswerKey, Evidence, Held, Incoming, Manifest, Refusal, StoreError};
use crate::upstream::Opened;
use crate::zip::{ZipLimits, check_zip};

/// As much is written to the disk at once.
const WRITE: usize = 512 * 1024;

/// How far a zip has come.
#[derive(Clone, Debug)]
pub(crate) enum Progress {
    /// Nothing of it is here.
    Waiting,
    /// It comes in.
    Coming {
        /// What is here of it, to be read from its beginning.
        file: Arc<File>,
        /// How many bytes that are, up to where its directory may begin.
        before: u64,
        /// How many it will be.
        length: u64,
    },
    /// It is here and stored, or will not come.
    Over(Result<Arc<Manifest>, Failure>),
}

/// What is told of a zip, and a bell for who wants it now.
pub(super) struct Telling {
    progress: Progress,
    wanted: Arc<Wanted>,
}

/// Whether somebody waits for it.
#[derive(Default)]
struct Wanted {
    is: AtomicBool,
    bell: Notify,
}

impl Wanted {
    fn ring(&self) {
        if !self.is.swap(true, Ordering::Relaxed) {
            self.bell.notify_one();
        }
    }
}

/// One zip on its way, for whoever waits for it.
pub(crate) struct Watch(watch::Receiver<Telling>);

impl Watch {
    /// Waits until `look` sees what it wants; a failure when the process ends before.
    pub(crate) async fn until<T>(&mut self, look: impl Fn(&Progress) -> Option<T>) -> Result<T, Failure> {
        flights::told(&mut self.0, |telling| look(&telling.progress)).await.ok_or_else(stopping)
    }
}

impl Fetcher {
    /// Begins to fetch the zip of a version, or joins those who wait for it already.
    ///
    /// # Errors
    /// When it is known that it cannot be had.
    pub(crate) fn zip(self: &Arc<Self>, mount: &Arc<Mount>, of: &ModuleVersion) -> Result<Watch, Failure> {
        mount.rules.judge_name(of).map_err(|refusal| Failure::left_out(refusal.sentence))?;
        match self.negatives.find(&mount.tree, &Asked::Zip(of.clone()), self.clock.now()) {
            Some(failure) => Err(failure),
            None => self.begin_zip(mount, of, true),
        }
    }

    pub(super) fn begin_zip(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        of: &ModuleVersion,
        is_wanted: bool,
    ) -> Result<Watch, Failure> {
        let key = (mount.id, of.clone());
        let wanted = Arc::new(Wanted::default());
        let first = Telling { progress: Progress::Waiting, wanted: Arc::clone(&wanted) };
        let places = mount.places_of(&of.path);
        let room = || if is_wanted { places.room() } else { places.room_ahead() };
        let told = self.zips.join(key, &self.spawner, room, first, |sender| {
            let (this, mount, of) = (Arc::clone(self), Arc::clone(mount), of.clone());
            async move {
                let tell = |progress| {
                    sender.send_modify(|telling| telling.progress = progress);
                };
                let result = this.fetch_zip(&mount, &of, &wanted, &tell).await;
                if let Err(failure) = &result {
                    this.note_failure(&mount, &Asked::Zip(of.clone()), failure);
                }
                tell(Progress::Over(result));
            }
        })?;
        if is_wanted {
            told.borrow().wanted.ring();
        }
        Ok(Watch(told))
    }

    async fn fetch_zip(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        of: &ModuleVersion,
        wanted: &Wanted,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Arc<Manifest>, Failure> {
        // Somebody may have finished it between the look into the store and now.
        if let Some(manifest) = self.stored(mount, of, May::Whole).await? {
            return Ok(manifest);
        }
        let places = mount.places_of(&of.path);
        let _ahead = tokio::select! {
            biased;
            () = wanted.bell.notified() => None,
            place = places.ahead() => Some(place?),
        };
        let head = self.head(mount, of).await?;
        let info = head.info.clone()?;
        let go_mod = head.go_mod.clone()?;
        self.judge_time(mount, of, head.time)?;
        let _place = places.zip().await?;
        let (held, from) = self.receive_from_any(mount, of, tell).await?;
        let (held, facts) = self.check(mount, of, held, &head, &from).await?;
        let verdict = mount.rules.judge_licences(of, &facts.licences);
        let manifest = Manifest {
            of: of.clone(),
            info,
            mod_h1: crate::hash::H1::of_mod(&go_mod),
            go_mod,
            zip: held.blob(),
            h1: facts.h1,
            checked: head.checked.clone(),
            fetched: self.clock.wall(),
            upstream: from,
            time: head.time,
            licences: facts.licences.iter().map(|licence| licence.name().to_owned()).collect(),
        };
        Counters::add(&self.counters.zips, 1);
        // What the rules leave out is stored all the same, so that it is not fetched again to find out.
        let tree = mount.tree.clone();
        let of_kept = of.clone();
        let manifest = self
            .storing(move |store| {
                let manifest = store.commit(&tree, manifest, held)?;
                for key in [AnswerKey::Info(of_kept.clone()), AnswerKey::Mod(of_kept)] {
                    let _ = store.forget_answer(&tree, &key); // the version has both from now on
                }
                Ok(manifest)
            })
            .await?;
        verdict.map_err(|refusal| Failure::left_out(refusal.sentence))?;
        Ok(manifest)
    }

    /// The zip from the first upstream that gives it whole, and who that is.
    async fn receive_from_any(
        &self,
        mount: &Mount,
        of: &ModuleVersion,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(Held, Arc<str>), Failure> {
        let asked = Asked::Zip(of.clone());
        let mut walk = mount.chain_of(&of.path).walk();
        loop {
            let opened = walk.open(&asked).await?;
            let from = Arc::clone(&opened.from);
            match self.receive(opened, tell).await {
                Ok(held) => return Ok((held, from)),
                Err(Broken::Off(failure)) if failure.is_upstreams() => walk.failed(failure)?,
                Err(Broken::Off(failure)) => return Err(failure),
                Err(Broken::TooLarge { limit, announced }) => {
                    let limit = ByteSize(limit);
                    let reason = format!("verifying {of}: the zip is not acceptable: it is larger than {limit}");
                    let said = announced.map(|length| format!("content-length: {length}"));
                    let said = said.map(|text| Evidence { name: "what the upstream said".to_owned(), text });
                    let evidence = said.into_iter().collect();
                    let refusal = Refusal { reason: reason.clone(), evidence, upstream: from.to_string() };
                    self.put_aside(mount, of, refusal, false).await;
                    return Err(Failure::unverified(reason));
                }
            }
        }
    }

    /// Writes a body into the store, and tells how far it has come.
    async fn receive(&self, mut opened: Opened, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<Held, Broken> {
        let limit = ZipLimits::default().archive;
        if let Some(announced) = opened.length.filter(|length| *length > limit) {
            return Err(Broken::TooLarge { limit, announced: Some(announced) });
        }
        let mut incoming = self.storing(crate::store::Store::incoming).await?;
        let file = match opened.length {
            Some(length) => Some((Arc::new(incoming.reader().map_err(Failure::from)?), length)),
            None => None,
        };
        let mut batch = BytesMut::with_capacity(WRITE);
        let mut directory = Directory::default();
        loop {
            let piece = opened.piece().await?;
            let is_over = piece.is_none();
            if let Some(piece) = piece {
                batch.extend_from_slice(&piece);
            }
            if batch.len() >= WRITE || (is_over && !batch.is_empty()) {
                Counters::add(&self.counters.bytes, batch.len() as u64);
                let before = directory.look(&batch);
                (incoming, batch) = write(incoming, batch).await?;
                if let Some((file, length)) = &file {
                    tell(Progress::Coming { file: Arc::clone(file), before, length: *length });
                }
            }
            if is_over {
                return Ok(incoming.finish());
            }
        }
    }

    /// Checks a zip by the rules of zips, and against what the database vouches for. One that fails is put aside.
    async fn check(
        &self,
        mount: &Mount,
        of: &ModuleVersion,
        held: Held,
        head: &Head,
        from: &str,
    ) -> Result<(Held, crate::zip::ZipFacts), Failure> {
        let about = of.clone();
        let checking = self.blocking(move |_| {
            let facts = check_zip(held.file(), &about, &ZipLimits::default());
            (held, facts)
        });
        let (held, facts) = checking.await?;
        let reason = match facts {
            Ok(facts) => match &head.sums {
                Some(sums) if sums.zip != facts.h1 => {
                    mismatch(&of.to_string(), facts.h1, sums.zip, database_name(mount))
                }
                _ => return Ok((held, facts)),
            },
            Err(bad) if bad.is_unread() => {
                let reason = format!("the store of the module proxy cannot be read: {bad}");
                return Err(Failure::new(crate::failure::FailureKind::Storage, 500, reason));
            }
            Err(bad) => format!("verifying {of}: {bad}"),
        };
        let evidence = vec![Evidence { name: "zip".to_owned(), text: held.blob().sha256.to_string() }];
        let refusal = Refusal { reason: reason.clone(), evidence, upstream: from.to_owned() };
        Counters::add(&self.counters.unverified, 1);
        let (tree, about) = (mount.tree.clone(), of.clone());
        // It is refused also when that cannot be kept.
        let _ = self.storing(move |store| store.quarantine(&tree, &about, refusal, Some(held))).await;
        Err(Failure::unverified(reason))
    }
}

/// Why a body did not come whole.
enum Broken {
    Off(Failure),
    /// It is larger than `limit`, or will be.
    TooLarge {
        limit: u64,
        announced: Option<u64>,
    },
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Off(failure)
    }
}

/// Looks for where the directory of a zip begins: no reader finds a file in one that ends before it, whatever its announced
/// length. What looks like it may stand within a file as well, which then waits for the check.
#[derive(Default)]
struct Directory {
    /// Bytes that were looked at.
    come: u64,
    /// Where it begins, once that is seen.
    begins: Option<u64>,
    /// The last bytes, which may be the beginning of a mark.
    last: Vec<u8>,
}

impl Directory {
    /// Takes in the next bytes; how many there are before the directory as far as can be told by now.
    fn look(&mut self, bytes: &[u8]) -> u64 {
        // An entry of the directory, and its end.
        const MARKS: [[u8; 4]; 2] = [*b"PK\x01\x02", *b"PK\x05\x06"];
        const KEPT: usize = 3;
        let start = self.come - self.last.len() as u64;
        self.come += bytes.len() as u64;
        if self.begins.is_none() {
            let mut across = std::mem::take(&mut self.last);
            let overlap = across.len();
            across.extend_from_slice(&bytes[..bytes.len().min(KEPT)]);
            let find = |bytes: &[u8]| MARKS.iter().filter_map(|mark| memchr::memmem::find(bytes, mark)).min();
            let found = find(&across).or_else(|| find(bytes).map(|at| at + overlap));
            self.begins = found.map(|at| start + at as u64);
            let end = if bytes.len() >= KEPT { bytes } else { &across };
            self.last = end[end.len().saturating_sub(KEPT)..].to_vec();
        }
        self.begins.unwrap_or(self.come - self.last.len() as u64)
    }
}

/// Writes where that may block; gives both back, the buffer empty.
async fn write(mut incoming: Incoming, mut batch: BytesMut) -> Result<(Incoming, BytesMut), Broken> {
    let writing = tokio::task::spawn_blocking(move || {
        let written = incoming.write(&batch);
        batch.clear();
        written.map(|()| (incoming, batch))
    });
    match writing.await.map_err(|_| Failure::internal("writing to the store broke off"))? {
        Err(StoreError::TooLarge { limit }) => Err(Broken::TooLarge { limit, announced: None }),
        written => Ok(written.map_err(Failure::from)?),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_directory_is_seen_wherever_it_is_cut(
            before in "[ PK\x01\x05a]{0,20}",
            mark in prop_oneof![Just("PK\x01\x02"), Just("PK\x05\x06")],
            after in "[ PK]{0,9}",
            cuts in proptest::collection::vec(0usize..40, 0..8),
        ) {
            let bytes = format!("{before}{mark}{after}").into_bytes();
            let first = bytes.windows(4).position(|four| four == b"PK\x01\x02" || four == b"PK\x05\x06").unwrap();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let mut directory = Directory::default();
            for pair in cuts.windows(2) {
                let before = directory.look(&bytes[pair[0]..pair[1]]);
                prop_assert!(before <= first as u64, "{} of {}", before, first);
                prop_assert!(before + 3 >= pair[1].min(first) as u64, "{} of {}", before, pair[1]);
            }
            prop_assert_eq!(directory.look(b""), first as u64);
        }
    }
}
