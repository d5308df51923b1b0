//! A checksum database in memory, what is kept in memory, and the client between them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tradewind_ledger::{Level, Tile, Verifier};

use super::log::{Log, Signer, sha256};
use crate::hash::H1;
use crate::name::ModuleVersion;
use crate::sumdb::{Kept, Source, SourceError, Sumdb, Sums};

/// The seed of the key that Go's own tests sign with, and their name for the database.
pub(super) const SEED: &str = "e7r6hpVo5i5A4Wt/VXn0krWjBwWUlwfDBccN8MbFI+Q=";
pub(super) const NAME: &str = "localhost.localdev/sumdb";

/// What an answer is turned into before it is sent: nothing stands for 404.
type Change = Box<dyn Fn(&str, Option<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync>;

/// A checksum database.
pub(crate) struct Server {
    log: Mutex<Log>,
    pub(super) signer: Signer,
    /// Records by what is looked up, with the size of the tree that the answer is signed for; the present one if none.
    lookups: Mutex<BTreeMap<String, (u64, Option<u64>)>>,
    change: Mutex<Option<Change>>,
    is_down: Mutex<bool>,
    asked: Mutex<Vec<String>>,
}

impl Server {
    pub(crate) fn new() -> Arc<Self> {
        Self::with(Log::default())
    }

    pub(super) fn with(log: Log) -> Arc<Self> {
        let seed = STANDARD.decode(SEED).unwrap().try_into().unwrap();
        Arc::new(Self {
            log: Mutex::new(log),
            signer: Signer::new(NAME, seed),
            lookups: Mutex::default(),
            change: Mutex::default(),
            is_down: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    /// Adds a module with its two lines.
    pub(super) fn add(&self, of: &str) -> u64 {
        self.add_text(of, &lines(of))
    }

    /// Adds any record under a module.
    pub(crate) fn add_text(&self, of: &str, text: &str) -> u64 {
        let id = self.log.lock().add(text);
        self.lookups.lock().insert(version(of).escaped(), (id, None));
        id
    }

    /// Adds `count` modules that nobody asks for.
    pub(crate) fn grow(&self, count: u64) {
        let mut log = self.log.lock();
        for _ in 0..count {
            let size = log.size();
            log.add(&format!("example.com/filler{size} v1.0.0 h1:x\n"));
        }
    }

    /// Signs the answer for this module for a tree of `size` records, as a cache in between would have it.
    pub(super) fn freeze(&self, of: &str, size: u64) {
        self.lookups.lock().get_mut(&version(of).escaped()).unwrap().1 = Some(size);
    }

    /// A copy that goes its own way from here.
    pub(super) fn fork(&self) -> Arc<Self> {
        let other = Self::with(self.log.lock().clone());
        *other.lookups.lock() = self.lookups.lock().clone();
        other
    }

    /// Changes every answer from now on.
    pub(crate) fn change(&self, change: impl Fn(&str, Option<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync + 'static) {
        *self.change.lock() = Some(Box::new(change));
    }

    /// Sends this for one path.
    pub(super) fn answer_with(&self, path: &str, answer: Option<Vec<u8>>) {
        let path = path.to_owned();
        self.change(move |asked, honest| if asked == path { answer.clone() } else { honest });
    }

    pub(crate) fn be_honest(&self) {
        *self.change.lock() = None;
    }

    pub(super) fn go_down(&self, is_down: bool) {
        *self.is_down.lock() = is_down;
    }

    /// What was asked for since the last time.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock())
    }

    pub(super) fn size(&self) -> u64 {
        self.log.lock().size()
    }

    /// The root of the first `size` records, as notes have it.
    pub(super) fn root(&self, size: u64) -> String {
        STANDARD.encode(self.log.lock().root(size))
    }

    /// The honest answer.
    pub(super) fn honest(&self, path: &str) -> Option<Vec<u8>> {
        let log = self.log.lock();
        if path == "/latest" {
            return Some(self.signer.sign(&log.head(log.size())));
        }
        if let Some(of) = path.strip_prefix("/lookup/") {
            let (id, size) = *self.lookups.lock().get(of)?;
            return Some(log.answer(&self.signer, size.unwrap_or_else(|| log.size()), id));
        }
        let tile: Tile = path.strip_prefix('/')?.parse().ok()?;
        let Level::Hashes(level) = tile.level else { return None };
        log.tile(tile.height, level, tile.index, tile.width)
    }
}

impl Source for Server {
    fn get<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Bytes, SourceError>> {
        async move {
            self.asked.lock().push(path.to_owned());
            // An answer takes a while: others go on meanwhile.
            for _ in 0..path.len() % 3 + 1 {
                tokio::task::yield_now().await;
            }
            if *self.is_down.lock() {
                return Err(SourceError::Unreachable(format!("dial {NAME}: connection refused")));
            }
            let honest = self.honest(path);
            let answer = match &*self.change.lock() {
                Some(change) => change(path, honest),
                None => honest,
            };
            answer.map(Bytes::from).ok_or_else(|| SourceError::NotThere(format!("reading {NAME}{path}: 404 Not Found")))
        }
        .boxed()
    }
}

/// What is kept, in memory.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) head: Mutex<Option<Bytes>>,
    pub(super) tiles: Mutex<BTreeMap<Tile, Bytes>>,
    pub(super) lookups: Mutex<BTreeMap<String, Bytes>>,
    pub(super) evidence: Mutex<Vec<String>>,
    /// What reading and keeping a head fails with.
    pub(super) broken: Mutex<Option<io::ErrorKind>>,
}

impl Memory {
    /// How many records the head has that is kept.
    pub(super) fn size(&self) -> Option<u64> {
        let head = self.head.lock().clone()?;
        let text = String::from_utf8(head.to_vec()).unwrap();
        text.lines().nth(1).map(|size| size.parse().unwrap())
    }

    pub(super) fn evidence(&self) -> Vec<String> {
        self.evidence.lock().clone()
    }

    fn check(&self) -> io::Result<()> {
        self.broken.lock().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl Kept for Memory {
    fn head<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, io::Result<Option<Bytes>>> {
        async move {
            tokio::task::yield_now().await;
            self.check().map(|()| self.head.lock().clone())
        }
        .boxed()
    }

    fn keep_head<'a>(&'a self, _name: &'a str, last: Option<Bytes>, next: Bytes) -> BoxFuture<'a, io::Result<bool>> {
        async move {
            tokio::task::yield_now().await;
            self.check()?;
            let mut head = self.head.lock();
            let is_last = *head == last;
            if is_last {
                *head = Some(next);
            }
            Ok(is_last)
        }
        .boxed()
    }

    fn tile<'a>(&'a self, _name: &'a str, tile: Tile) -> BoxFuture<'a, Option<Bytes>> {
        async move {
            tokio::task::yield_now().await;
            self.tiles.lock().get(&tile).cloned()
        }
        .boxed()
    }

    fn keep_tile<'a>(&'a self, _name: &'a str, tile: Tile, bytes: Bytes) -> BoxFuture<'a, ()> {
        async move {
            tokio::task::yield_now().await;
            self.tiles.lock().insert(tile, bytes);
        }
        .boxed()
    }

    fn lookup<'a>(&'a self, _name: &'a str, of: &'a ModuleVersion) -> BoxFuture<'a, Option<Bytes>> {
        async move { self.lookups.lock().get(&of.to_string()).cloned() }.boxed()
    }

    fn keep_lookup<'a>(&'a self, _name: &'a str, of: &'a ModuleVersion, answer: Bytes) -> BoxFuture<'a, ()> {
        async move {
            self.lookups.lock().insert(of.to_string(), answer);
        }
        .boxed()
    }

    fn evidence<'a>(&'a self, _name: &'a str, text: String) -> BoxFuture<'a, ()> {
        async move { self.evidence.lock().push(text) }.boxed()
    }
}

/// A client of the server that keeps in `kept`: with the same `kept`, one after a restart.
pub(super) fn client(server: &Arc<Server>, kept: &Arc<Memory>) -> Sumdb {
    let verifier = Verifier::parse(&server.signer.verifier()).unwrap();
    Sumdb::new(verifier, server.clone(), kept.clone())
}

pub(super) fn kept() -> Arc<Memory> {
    Arc::new(Memory::default())
}

pub(super) fn version(of: &str) -> ModuleVersion {
    ModuleVersion::parse(of).unwrap()
}

/// The lines that a record of this module has here.
pub(super) fn lines(of: &str) -> String {
    let of = version(of);
    let (path, version) = (&of.path, &of.version);
    format!(
        "{path} {version} {}\n{path} {version}/go.mod {}\n",
        hash(&format!("{path}{version}")),
        hash(&format!("{path}{version}/go.mod"))
    )
}

/// The hashes in those lines.
pub(super) fn sums(of: &str) -> Sums {
    let of = version(of);
    Sums {
        zip: H1::parse(&hash(&format!("{}{}", of.path, of.version))).unwrap(),
        go_mod: H1::parse(&hash(&format!("{}{}/go.mod", of.path, of.version))).unwrap(),
    }
}

fn hash(of: &str) -> String {
    format!("h1:{}", STANDARD.encode(sha256(&[&[0], of.as_bytes()])))
}

/// Looks a module up and expects its hashes.
pub(super) async fn must_have(client: &Sumdb, of: &str) {
    match client.lookup(&version(of)).await {
        Ok(found) => assert_eq!(found, sums(of), "{of}"),
        Err(error) => panic!("{of}: {error}"),
    }
}

/// Looks a module up and expects misbehaviour, whose summary has `words`, and whose text is kept as evidence.
pub(super) async fn must_refuse(client: &Sumdb, kept: &Memory, of: &str, words: &str) -> String {
    let error = client.lookup(&version(of)).await.unwrap_err();
    let Some(misbehaviour) = error.misbehaviour() else { panic!("{of}: {error:?}") };
    assert!(misbehaviour.summary.contains(words), "{words:?} in {}", misbehaviour.summary);
    assert_eq!(misbehaviour.summary.lines().count(), 1, "{}", misbehaviour.summary);
    let evidence = kept.evidence().pop().expect("the evidence is kept");
    assert!(evidence.starts_with(&misbehaviour.text), "{evidence}");
    assert!(
        evidence.len() < 256 * 1024
            && !evidence.contains(|letter: char| letter.is_control() && !"\n\t".contains(letter))
    );
    assert!(!kept.lookups.lock().contains_key(&version(of).to_string()), "what is refused is not kept");
    evidence
}

/// Which of the paths are tiles, each once.
pub(super) fn tiles(asked: &[String]) -> BTreeSet<&str> {
    asked.iter().map(String::as_str).filter(|path| path.starts_with("/tile/")).collect()
}

/// What somebody would send who wants `of` to have other hashes: the record with other ones, everything else as it was.
pub(super) fn forged_answer(server: &Server, of: &str) -> Vec<u8> {
    let path = format!("/lookup/{}", version(of).escaped());
    let honest = String::from_utf8(server.honest(&path).unwrap()).unwrap();
    honest.replace(&lines(of), &forged_lines(of)).into_bytes()
}

pub(super) fn forged_lines(of: &str) -> String {
    lines(of).replace(&sums(of).zip.to_string(), &sums("example.com/evil@v1.6.6").zip.to_string())
}
