//! A log in memory and its signer, written down from the definitions of RFC 6962, section 2.1, and of the C2SP formats, and
//! sharing no code with what it judges.

use std::cell::RefCell;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

pub(crate) type Sha256 = [u8; 32];

/// A key that signs notes.
pub(crate) struct Signer {
    name: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    pub(crate) fn new(name: &str, seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed");
        Self { name: name.to_owned(), pair }
    }

    /// The key to check its notes with.
    pub(crate) fn verifier(&self) -> String {
        let key = [&[1], self.pair.public_key().as_ref()].concat();
        format!("{}+{}+{}", self.name, hex(&self.hash()), STANDARD.encode(key))
    }

    /// A note with this text.
    pub(crate) fn sign(&self, text: &str) -> Vec<u8> {
        format!("{text}\n{}", self.signature(text)).into_bytes()
    }

    /// The line of its signature.
    pub(crate) fn signature(&self, text: &str) -> String {
        let signature = [&self.hash(), self.pair.sign(text.as_bytes()).as_ref()].concat();
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(signature))
    }

    fn hash(&self) -> [u8; 4] {
        let text = [self.name.as_bytes(), b"\n\x01", self.pair.public_key().as_ref()].concat();
        sha256(&[&text])[..4].try_into().expect("four bytes")
    }
}

/// Records and all that can be asked about them.
#[derive(Clone, Default)]
pub(crate) struct Log {
    records: Vec<String>,
    /// Roots of parts, by first record and the one behind the last.
    roots: RefCell<HashMap<(u64, u64), Sha256>>,
}

impl Log {
    /// Adds a record and gives its number.
    pub(crate) fn add(&mut self, text: &str) -> u64 {
        self.records.push(text.to_owned());
        self.size() - 1
    }

    pub(crate) fn size(&self) -> u64 {
        self.records.len() as u64
    }

    pub(crate) fn record(&self, id: u64) -> &str {
        &self.records[index(id)]
    }

    /// The root of the first `size` records.
    pub(crate) fn root(&self, size: u64) -> Sha256 {
        if size == 0 { sha256(&[]) } else { self.hash(0, size) }
    }

    /// MTH of RFC 6962, section 2.1, over the records from `low` to before `high`.
    pub(crate) fn hash(&self, low: u64, high: u64) -> Sha256 {
        if let Some(hash) = self.roots.borrow().get(&(low, high)) {
            return *hash;
        }
        let hash = if high - low == 1 {
            sha256(&[&[0], self.record(low).as_bytes()])
        } else {
            let middle = low + largest_power_below(high - low);
            sha256(&[&[1], &self.hash(low, middle), &self.hash(middle, high)])
        };
        self.roots.borrow_mut().insert((low, high), hash);
        hash
    }

    /// The text of the head of the first `size` records.
    pub(crate) fn head(&self, size: u64) -> String {
        format!("go.sum database tree\n{size}\n{}\n", STANDARD.encode(self.root(size)))
    }

    /// What a database of `size` records says to a lookup of the record.
    pub(crate) fn answer(&self, signer: &Signer, size: u64, id: u64) -> Vec<u8> {
        [format!("{id}\n{}\n", self.record(id)).into_bytes(), signer.sign(&self.head(size))].concat()
    }

    /// The bytes of a tile, as far as this log has it.
    pub(crate) fn tile(&self, height: u8, level: u8, index: u64, width: u32) -> Option<Vec<u8>> {
        let records_of_one = 1_u64.checked_shl(u32::from(height) * u32::from(level))?;
        let first = index.checked_mul(1 << height)?;
        let hashes = (first..first + u64::from(width)).map(|place| {
            let low = place.checked_mul(records_of_one)?;
            let high = low.checked_add(records_of_one).filter(|high| *high <= self.size())?;
            Some(self.hash(low, high))
        });
        hashes.collect::<Option<Vec<Sha256>>>().map(|hashes| hashes.concat())
    }
}

pub(crate) fn sha256(parts: &[&[u8]]) -> Sha256 {
    digest(&SHA256, &parts.concat()).as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

fn largest_power_below(count: u64) -> u64 {
    let mut power = 1;
    while power * 2 < count {
        power *= 2;
    }
    power
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn index(id: u64) -> usize {
    usize::try_from(id).expect("a log in memory")
}
