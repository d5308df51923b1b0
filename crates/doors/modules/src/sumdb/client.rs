//! Looks up what a checksum database says of a module.

use std::sync::Arc;

use bytes::Bytes;
use tradewind_ledger::{Record, Tile, Verifier, tiles_of_record};

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
    async fn refuse(&self, problem: &Problem, of: &ModuleVersion, answer: Option<&Bytes>) -> SumdbError {
        let (error, evidence) = problem.tell(&self.name, of, answer);
        if let Some(evidence) = evidence {
            self.kept.evidence(&self.name, evidence).await;
        }
        error
    }
}
