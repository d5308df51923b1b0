//! Looks up what a checksum database says of a module.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use tradewind_ledger::{Level, Record, Tile, TreeHead, Verifier, tiles_of_record};

use super::evidence::Problem;
use super::reader::Reader;
use super::timeline::Timeline;
use super::{Kept, Source, SourceError, SumdbError, Sums, lines};
use crate::name::ModuleVersion;

/// Bytes of the longest answer that is looked at: a lookup has some 500, a tile 8,192.
pub const MAX_ANSWER: usize = 64 * 1024;

/// The client of one checksum database. Lookups may run side by side: they share tiles that are being fetched, and one
/// timeline of tree heads.
pub struct Sumdb {
    name: Arc<str>,
    source: Arc<dyn Source>,
    kept: Arc<dyn Kept>,
    reader: Reader,
    timeline: Timeline,
}

impl Sumdb {
    /// The client of the database that signs with this key.
    #[must_use]
    pub fn new(verifier: Verifier, source: Arc<dyn Source>, kept: Arc<dyn Kept>) -> Self {
        let name: Arc<str> = verifier.name().into();
        let reader = Reader::new(name.clone(), source.clone(), kept.clone());
        let timeline = Timeline::new(verifier, kept.clone());
        Self { name, source, kept, reader, timeline }
    }

    /// The name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hashes of a module's zip and go.mod.
    ///
    /// # Errors
    /// [`SumdbError`] says why the database does not vouch for it. The evidence of misbehaviour is kept by then.
    pub async fn lookup(&self, of: &ModuleVersion) -> Result<Sums, SumdbError> {
        self.answer(of).await.map(|(sums, _)| sums)
    }

    /// The hashes, and the answer that they stand in: it holds nothing but an authenticated record and a signed tree head, and
    /// may be passed on also to a client that does not check it as it should.
    ///
    /// # Errors
    /// Those of [`Sumdb::lookup`].
    pub async fn answer(&self, of: &ModuleVersion) -> Result<(Sums, Bytes), SumdbError> {
        if let Some(answer) = self.kept.lookup(&self.name, of).await {
            match self.check(&answer, of).await {
                Ok(sums) => return Ok((sums, answer)),
                // What was kept is no longer what was checked then: the database is asked again.
                Err(problem) if problem.is_of_one_answer() => {}
                Err(problem) => return Err(self.refuse(&problem, of, Some(&answer)).await),
            }
        }
        let answer = match self.source.get(&format!("/lookup/{}", of.escaped())).await {
            Ok(answer) => answer,
            Err(SourceError::NotThere(why)) => return Err(self.refuse(&Problem::NotThere(why), of, None).await),
            Err(SourceError::Unreachable(why)) => return Err(self.refuse(&Problem::Unreachable(why), of, None).await),
        };
        match self.check(&answer, of).await {
            Ok(sums) => {
                self.kept.keep_lookup(&self.name, of, answer.clone()).await;
                Ok((sums, answer))
            }
            Err(problem) => Err(self.refuse(&problem, of, Some(&answer)).await),
        }
    }

    /// The latest tree head as it was signed, once it was shown to continue the last one.
    ///
    /// # Errors
    /// [`SumdbError`] says why there is none that can be believed. The evidence of misbehaviour is kept by then.
    pub async fn latest(&self) -> Result<Bytes, SumdbError> {
        let about = "the latest tree head";
        let note = match self.source.get("/latest").await {
            Ok(note) => note,
            Err(SourceError::NotThere(why)) => return Err(self.refuse(&Problem::NotThere(why), &about, None).await),
            Err(SourceError::Unreachable(why)) => {
                return Err(self.refuse(&Problem::Unreachable(why), &about, None).await);
            }
        };
        self.take_in(&note).await.map(|_| note)
    }

    /// Takes in a tree head that was signed, and gives it. Its signature is checked, and that it lies on the one timeline.
    ///
    /// # Errors
    /// As [`Self::latest`].
    pub(crate) async fn take_in(&self, note: &Bytes) -> Result<TreeHead, SumdbError> {
        // What is no note at all is somebody else's page.
        let is_note = note.len() <= MAX_ANSWER && note.windows(2).any(|two| two == b"\n\n");
        let merged = match is_note {
            false => Err(Problem::Garbled(format!("what came as the tree head of {} is none", self.name))),
            true => match self.timeline.open(note.clone()) {
                Ok(signed) => self.timeline.merge(note.clone(), &self.reader).await.map(|_| signed.head),
                Err(problem) => Err(problem),
            },
        };
        match merged {
            Ok(head) => Ok(head),
            Err(problem) => Err(self.refuse(&problem, &"the latest tree head", Some(note)).await),
        }
    }

    /// The last tree head that was seen.
    ///
    /// # Errors
    /// When the one that is kept cannot be read.
    pub(crate) async fn head(&self) -> Result<TreeHead, SumdbError> {
        match self.timeline.head().await {
            Ok(head) => Ok(head),
            Err(problem) => Err(self.refuse(&problem, &"the last tree head", None).await),
        }
    }

    /// A tile of hashes, checked up to a signed head, and kept. `None` where no head is known that it belongs to: a tile of
    /// records, of another height, or beyond the latest tree.
    ///
    /// # Errors
    /// As [`Self::latest`].
    pub async fn tile(&self, tile: Tile) -> Result<Option<Bytes>, SumdbError> {
        let head = self.head().await?;
        if let Some(found) = self.tile_under(head, tile).await? {
            return Ok(Some(found));
        }
        if first_record(tile).is_none() {
            return Ok(None);
        }
        // Whoever asks may have seen a later head.
        let note = self.latest().await?;
        let head = self.take_in(&note).await?;
        self.tile_under(head, tile).await
    }

    /// A tile of the tree of this head; `None` when the tree has no such tile.
    ///
    /// # Errors
    /// As [`Self::latest`].
    pub(crate) async fn tile_under(&self, head: TreeHead, tile: Tile) -> Result<Option<Bytes>, SumdbError> {
        let Some(first) = first_record(tile).filter(|first| *first < head.size) else { return Ok(None) };
        let proving = tiles_of_record(Tile::HEIGHT, head.size, first);
        let is_its_place = |whole: &Tile| (whole.level, whole.index) == (tile.level, tile.index);
        if !proving.iter().any(|whole| is_its_place(whole) && whole.width >= tile.width) {
            return Ok(None);
        }
        match self.reader.read(head, &proving).await {
            Ok(tiles) => Ok(tiles.bytes_of(tile)),
            Err(problem) => Err(self.refuse(&problem, &tile, None).await),
        }
    }

    /// Checks an answer: the head in it, then the record against the last head, then the lines of the record.
    async fn check(&self, answer: &Bytes, of: &ModuleVersion) -> Result<Sums, Problem> {
        if answer.len() > MAX_ANSWER {
            return Err(Problem::Garbled(format!("the answer of {} has more than {MAX_ANSWER} bytes", self.name)));
        }
        let record = Record::parse(answer).map_err(|error| Problem::Garbled(error.to_string()))?;
        let head = self.timeline.merge(answer.slice_ref(record.note), &self.reader).await?;
        let forged = |why: String| Problem::Forged { why, head: Some(head), tiles: Vec::new() };
        if record.id >= head.size {
            return Err(forged(format!("cannot validate record {} in tree of size {}", record.id, head.size)));
        }
        let tiles = self.reader.read(head, &tiles_of_record(Tile::HEIGHT, head.size, record.id)).await?;
        if tiles.record_hash(record.id) != Ok(record.hash()) {
            return Err(forged("cannot authenticate record data in server response".to_owned()));
        }
        lines::read(record.text, of).map_err(Problem::NoLine)
    }

    /// The error for a problem, after its evidence was kept.
    async fn refuse(&self, problem: &Problem, of: &(dyn Display + Sync), answer: Option<&Bytes>) -> SumdbError {
        let (error, evidence) = problem.tell(&self.name, of, answer);
        if let Some(evidence) = evidence {
            self.kept.evidence(&self.name, evidence).await;
        }
        error
    }
}

/// The first record that a tile of hashes stands for; `None` for tiles that the go command does not ask for.
fn first_record(tile: Tile) -> Option<u64> {
    let Level::Hashes(level) = tile.level else { return None };
    let height = u32::from(Tile::HEIGHT);
    let shift = height.checked_mul(u32::from(level) + 1).filter(|shift| *shift < u64::BITS)?;
    (tile.height == Tile::HEIGHT).then(|| tile.index.checked_mul(1 << shift)).flatten()
}
