//! What each revision of a key is, by the key and its number alone: whoever comes next, another process too, goes on where
//! the last one was killed, and whoever looks knows what has to be there.

use tradewind_store::{Hash, Key};

/// What makes a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Where there is nothing, or a tombstone.
    Create,
    /// A content that differs a little from the one before it.
    Put,
    /// The content before it, and some more.
    Append,
    /// The content before it, in the next epoch.
    HandOver,
    Delete,
}

/// Keys of this kind grow; the others are put.
fn grows(key: &Key) -> bool {
    key.name().starts_with("long/")
}

/// How many revisions a life has; the last is its tombstone.
fn life(key: &Key) -> u64 {
    if grows(key) { 31 } else { 23 }
}

pub(crate) fn deed(key: &Key, number: u64) -> Deed {
    match number % life(key) {
        0 => Deed::Delete,
        1 => Deed::Create,
        turn if turn % 7 == 0 => Deed::HandOver,
        _ if grows(key) => Deed::Append,
        _ => Deed::Put,
    }
}

/// The epoch that a revision is in.
pub(crate) fn epoch(key: &Key, number: u64) -> u64 {
    (1..=number).filter(|number| deed(key, *number) == Deed::HandOver).count() as u64
}

/// Whether a revision is pinned, some time after it was made; and which one is let go of then.
pub(crate) fn pin(key: &Key, number: u64) -> Option<(u64, Option<u64>)> {
    const EACH: u64 = 9;
    // Not for keys that several write: one could let go of what another pins just then.
    let pinned = |number: u64| number > 0 && number.is_multiple_of(EACH) && deed(key, number) != Deed::Delete;
    let before = number.checked_sub(EACH).filter(|before| pinned(*before));
    (pinned(number) && !key.name().starts_with("shared/")).then_some((number, before))
}

/// Its content; nothing for a tombstone.
pub(crate) fn content(key: &Key, number: u64) -> Option<Vec<u8>> {
    match deed(key, number) {
        Deed::Delete => None,
        Deed::HandOver => content(key, number - 1),
        Deed::Create | Deed::Put if grows(key) => Some(addition(key, number)),
        Deed::Create | Deed::Put => Some(edited(key, number)),
        Deed::Append => {
            let mut content = content(key, number - 1).expect("only a value grows");
            content.extend_from_slice(&addition(key, number));
            Some(content)
        }
    }
}

/// What is added with a revision: after half a dozen of them a content is long.
pub(crate) fn addition(key: &Key, number: u64) -> Vec<u8> {
    text(&format!("{key} {number}"), 9_000 + number as usize * 2_311 % 9_000)
}

/// 4 to 64 KiB, by the key, and in them some lines of the revision's own.
fn edited(key: &Key, number: u64) -> Vec<u8> {
    let seed = Hash::of(key.to_string().as_bytes()).0;
    let size = (4 << 10) + usize::from(u16::from_le_bytes([seed[0], seed[1]])) * 60 / 64;
    let mut content = text(&key.to_string(), size);
    for line in 0..3 {
        let own = text(&format!("{key} {number} {line}"), 128);
        let at = (number as usize * 977 + line * size / 3) % (size - own.len());
        content[at..at + own.len()].copy_from_slice(&own);
    }
    content
}

/// Bytes that tell what they were made from, and can be packed to some half.
fn text(from: &str, length: usize) -> Vec<u8> {
    let seed = Hash::of(from.as_bytes()).0;
    let seed = u64::from_le_bytes(seed[..8].try_into().expect("eight bytes"));
    let mut out = vec![b' '; length];
    let mut random = fastrand::Rng::with_seed(seed);
    out.chunks_exact_mut(128).for_each(|chunk| random.fill(&mut chunk[..64]));
    out
}
