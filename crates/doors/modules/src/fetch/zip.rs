//! The zip of a version: fetched once, checked, stored with the rest of the version.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use tokio::sync::{Notify, watch};

use super::head::{Head, database_name, mismatch};
use super::mount::Mount;
use super::{Counters, Fetcher, flights, stopping};
use crate::failure::Failure;
use crate::name::{Asked, ModuleVersion};
use crate::store::{AnswerKey, Evidence, Held, Incoming, Manifest, Refusal};
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
        /// How many bytes that are.
        come: u64,
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
            None => Ok(self.begin_zip(mount, of, true)),
        }
    }

    pub(super) fn begin_zip(self: &Arc<Self>, mount: &Arc<Mount>, of: &ModuleVersion, is_wanted: bool) -> Watch {
        let key = (mount.id, of.clone());
        let wanted = Arc::new(Wanted::default());
        let first = Telling { progress: Progress::Waiting, wanted: Arc::clone(&wanted) };
        let told = self.zips.join(key, &self.spawner, first, |sender| {
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
        });
        if is_wanted {
            told.borrow().wanted.ring();
        }
        Watch(told)
    }

    async fn fetch_zip(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        of: &ModuleVersion,
        wanted: &Wanted,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Arc<Manifest>, Failure> {
        // Somebody may have finished it between the look into the store and now.
        if let Some(manifest) = self.stored(mount, of)? {
            return Ok(manifest);
        }
        let closed = |_| stopping();
        let _ahead = tokio::select! {
            biased;
            () = wanted.bell.notified() => None,
            permit = self.ahead.acquire() => Some(permit.map_err(closed)?),
        };
        let _place = self.downloads.acquire().await.map_err(closed)?;
        let head = self.head(mount, of).await?;
        let info = head.info.clone()?;
        let go_mod = head.go_mod.clone()?;
        self.judge_time(mount, of, head.time)?;
        let opened = mount.chain_of(&of.path).open(&Asked::Zip(of.clone())).await?;
        let from = Arc::clone(&opened.from);
        let held = self.receive(opened, tell).await?;
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
            upstream: from.to_string(),
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

    /// Writes a body into the store, and tells how far it has come.
    async fn receive(&self, mut opened: Opened, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<Held, Failure> {
        let mut incoming = self.storing(crate::store::Store::incoming).await?;
        let file = match opened.length {
            Some(length) => Some((Arc::new(incoming.reader()?), length)),
            None => None,
        };
        let mut batch = BytesMut::with_capacity(WRITE);
        loop {
            let piece = opened.piece().await?;
            let is_over = piece.is_none();
            if let Some(piece) = piece {
                batch.extend_from_slice(&piece);
            }
            if batch.len() >= WRITE || (is_over && !batch.is_empty()) {
                Counters::add(&self.counters.bytes, batch.len() as u64);
                (incoming, batch) = write(incoming, batch).await?;
                if let Some((file, length)) = &file {
                    let come = incoming.size();
                    tell(Progress::Coming { file: Arc::clone(file), come, length: *length });
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
        self.put_aside(mount, of, refusal, Some(held)).await;
        Err(Failure::unverified(reason))
    }
}

/// Writes where that may block; gives both back, the buffer empty.
async fn write(mut incoming: Incoming, mut batch: BytesMut) -> Result<(Incoming, BytesMut), Failure> {
    let writing = tokio::task::spawn_blocking(move || {
        let written = incoming.write(&batch);
        batch.clear();
        written.map(|()| (incoming, batch))
    });
    let written = writing.await.map_err(|_| Failure::internal("writing to the store broke off"))?;
    Ok(written?)
}
