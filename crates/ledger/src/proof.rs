//! Proofs for those who have no tiles (RFC 6962, sections 2.1.1 and 2.1.2): that a record is in a tree, and that one tree is
//! the beginning of another, which is what is shown of a log that has forked.

use thiserror::Error;

use crate::shape::{Node, parts_of};
use crate::{Hash, TileError, Tiles, TreeHead};

/// A proof that proves nothing of these two trees.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("invalid transparency proof")]
pub struct ProofError;

impl Tiles {
    /// The proof that the tree has this record: empty when it is the only one.
    ///
    /// # Errors
    /// Those of [`Tiles::record_hash`]; the same tiles suffice for both.
    pub fn record_proof(&self, id: u64) -> Result<Vec<Hash>, TileError> {
        let size = self.head().size;
        if id >= size {
            return Err(TileError::Beyond { asked: id, size });
        }
        let mut proof = Vec::new();
        let (mut low, mut high) = (0, size);
        while high - low > 1 {
            let middle = low + split(high - low);
            if id < middle {
                proof.push(self.root_between(middle, high)?);
                high = middle;
            } else {
                proof.push(self.root_between(low, middle)?);
                low = middle;
            }
        }
        proof.reverse();
        Ok(proof)
    }

    /// The proof that the tree's first `older` records have the root [`Tiles::prefix_root`]; empty when that is the whole
    /// tree, or nothing at all.
    ///
    /// # Errors
    /// Those of [`Tiles::prefix_root`]; the same tiles suffice for both.
    pub fn prefix_proof(&self, older: u64) -> Result<Vec<Hash>, TileError> {
        let size = self.head().size;
        if older > size {
            return Err(TileError::Beyond { asked: older, size });
        }
        let mut proof = Vec::new();
        if older > 0 {
            self.prove(0, size, older, &mut proof)?;
        }
        Ok(proof)
    }

    /// Adds the proof for the part of the tree from record `low` to before `high`, `older` lying within.
    fn prove(&self, low: u64, high: u64, older: u64, proof: &mut Vec<Hash>) -> Result<(), TileError> {
        if older == high {
            // The verifier has the whole older tree's root already.
            if low > 0 {
                proof.push(self.root_between(low, high)?);
            }
            return Ok(());
        }
        let middle = low + split(high - low);
        if older <= middle {
            self.prove(low, middle, older, proof)?;
            proof.push(self.root_between(middle, high)?);
        } else {
            self.prove(middle, high, older, proof)?;
            proof.push(self.root_between(low, middle)?);
        }
        Ok(())
    }

    /// The root of the part from record `low` to before `high`, where `low` is a multiple of the part's greatest power of two.
    fn root_between(&self, low: u64, high: u64) -> Result<Hash, TileError> {
        let mut root = None;
        for part in parts_of(high - low).rev() {
            let left = self.hash_of(Node { index: part.index + (low >> part.level), ..part })?;
            root = Some(root.map_or(left, |right| Hash::of_node(left, right)));
        }
        Ok(root.expect("a part has at least one record"))
    }
}

/// Whether `proof` shows that record `id` of the tree has this hash.
///
/// # Errors
/// [`ProofError`] when it does not: it says nothing about whether another proof would.
pub fn check_record(proof: &[Hash], head: TreeHead, id: u64, record: Hash) -> Result<(), ProofError> {
    if id >= head.size {
        return Err(ProofError);
    }
    // From the root downwards: on which side of each node the record lies.
    let mut is_left = Vec::new();
    let (mut low, mut high) = (0, head.size);
    while high - low > 1 {
        let middle = low + split(high - low);
        is_left.push(id < middle);
        if id < middle { high = middle } else { low = middle }
    }
    if proof.len() != is_left.len() {
        return Err(ProofError);
    }
    let root = proof.iter().zip(is_left.iter().rev()).fold(record, |hash, (other, is_left)| {
        if *is_left { Hash::of_node(hash, *other) } else { Hash::of_node(*other, hash) }
    });
    if root == head.root { Ok(()) } else { Err(ProofError) }
}

/// Whether `proof` shows that the first records of `newer` are those of `older`.
///
/// # Errors
/// [`ProofError`] when it does not: it says nothing about whether another proof would.
pub fn check_prefix(proof: &[Hash], older: TreeHead, newer: TreeHead) -> Result<(), ProofError> {
    let (older_root, newer_root) = match (older.size, newer.size) {
        (0, _) if proof.is_empty() => (Hash::OF_NOTHING, newer.root),
        (0, _) => return Err(ProofError),
        (small, large) if small > large => return Err(ProofError),
        (small, large) => roots(proof, 0, large, small, older.root).ok_or(ProofError)?,
    };
    if older_root == older.root && newer_root == newer.root { Ok(()) } else { Err(ProofError) }
}

/// The roots that a proof implies for the part from `low` to before `high`: of its records before `older`, and of all.
fn roots(proof: &[Hash], low: u64, high: u64, older: u64, root: Hash) -> Option<(Hash, Hash)> {
    if older == high {
        return match proof {
            [] if low == 0 => Some((root, root)),
            [hash] if low > 0 => Some((*hash, *hash)),
            _ => None,
        };
    }
    let (hash, rest) = proof.split_last()?;
    let middle = low + split(high - low);
    if older <= middle {
        let (small, large) = roots(rest, low, middle, older, root)?;
        Some((small, Hash::of_node(large, *hash)))
    } else {
        let (small, large) = roots(rest, middle, high, older, root)?;
        Some((Hash::of_node(*hash, small), Hash::of_node(*hash, large)))
    }
}

/// Where a tree of `size` ≥ 2 records is divided: the greatest power of two below it.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}
