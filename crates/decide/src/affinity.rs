//! Affinity: calls with one key go to one member, as long as that does not overload it.
//!
//! Rendezvous hashing: each member has a rank for each key that depends on nothing but the two, so that instances agree
//! without talking, and a member that comes or goes moves only its own keys. With bounded loads (Mirrokni, Thorup and
//! Zadimoghaddam 2018, <https://arxiv.org/abs/1608.01350>): a member that has more than 1.25 times its share of the calls
//! under way is passed over for the next in rank, so that one busy session or one common prompt cannot drown it.
//!
//! Refused: a table of sessions, which has to be bounded, aged and shared.

/// The most that a member may have under way, in its shares of what all have.
pub(crate) const BOUND: f64 = 1.25;

/// The key that keeps calls together: of a session, or of the beginning of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// Any number; equal for calls that belong together.
    pub key: u64,
}

impl Affinity {
    /// The key of a text, the same in every process: a session's name, or the part of a prompt that a provider caches.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        Self { key: identity(text) }
    }
}

/// One that may be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    /// The hash of its name.
    pub(crate) identity: u64,
    /// Above 0.
    pub(crate) weight: u32,
    pub(crate) in_flight: u32,
}

/// The place of the one that `affinity` leads to; `None` when there is nobody.
pub(crate) fn chosen(affinity: Affinity, contenders: &[Contender]) -> Option<usize> {
    let (mut calls, mut weights) = (1.0, 0.0);
    for contender in contenders {
        calls += f64::from(contender.in_flight);
        weights += f64::from(contender.weight);
    }
    let mut best: Option<(f64, usize)> = None;
    for (place, contender) in contenders.iter().enumerate() {
        // The call to come counts on both sides, so that somebody always has room.
        let room = (BOUND * calls * f64::from(contender.weight) / weights).ceil();
        if f64::from(contender.in_flight) + 1.0 > room {
            continue;
        }
        let rank = rank(affinity.key, contender);
        if best.is_none_or(|(known, _)| rank > known) {
            best = Some((rank, place));
        }
    }
    best.map(|(_, place)| place)
}

/// Weighted rendezvous hashing: the chance to have the highest rank for a key is the share of the weight (Schindelhauer
/// and Schomaker 2005).
fn rank(key: u64, contender: &Contender) -> f64 {
    // 53 bits, moved by half a step, so that it is neither 0 nor 1.
    let unit = ((mixed(key ^ contender.identity) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    f64::from(contender.weight) / -unit.ln()
}

/// FNV-1a, then mixed: the same in every version and on every machine, which the standard library's hashes do not promise.
pub(crate) fn identity(text: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mixed(hash)
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn idle(names: &[u32]) -> Vec<Contender> {
        let contender = |name: &u32| Contender { identity: identity(&name.to_le_bytes()), weight: 1, in_flight: 0 };
        names.iter().map(contender).collect()
    }

    fn name(names: &[u32], contenders: &[Contender], key: u64) -> u32 {
        names[chosen(Affinity { key }, contenders).unwrap()]
    }

    #[test]
    fn shares_follow_the_weights() {
        let mut contenders = idle(&[1, 2, 3]);
        contenders[2].weight = 2;
        let mut counts = [0.0_f64; 3];
        for key in 0..40_000 {
            counts[chosen(Affinity { key }, &contenders).unwrap()] += 1.0 / 40_000.0;
        }
        for (share, wanted) in counts.iter().zip([0.25, 0.25, 0.5]) {
            assert!((share - wanted).abs() < 0.01, "{counts:?}");
        }
    }

    #[test]
    fn one_key_alone_cannot_drown_a_member() {
        let mut contenders = idle(&[1, 2, 3, 4, 5]);
        for calls in 1..=500_u32 {
            let place = chosen(Affinity::of(b"everybody"), &contenders).unwrap();
            contenders[place].in_flight += 1;
            let most = contenders.iter().map(|contender| contender.in_flight).max().unwrap();
            assert!(f64::from(most) <= (BOUND * f64::from(calls) / 5.0).ceil(), "{calls}: {contenders:?}");
        }
    }

    #[test]
    fn keys_of_texts_are_the_same_for_ever() {
        // Instances of different versions have to agree.
        assert_eq!(Affinity::of(b"").key, 0xf52a_15e9_a9b5_e89b);
        assert_eq!(Affinity::of(b"session-1").key, mixed(fnv(b"session-1")));
        assert_eq!(chosen(Affinity { key: 1 }, &[]), None);
    }

    fn fnv(text: &[u8]) -> u64 {
        text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_member_that_comes_or_goes_moves_only_its_own_keys(
            names in proptest::collection::btree_set(any::<u32>(), 2..12),
            gone in any::<proptest::sample::Index>(),
            keys in proptest::collection::vec(any::<u64>(), 100),
        ) {
            let before: Vec<u32> = names.into_iter().collect();
            let mut after = before.clone();
            let gone = after.remove(gone.index(before.len()));
            let (with, without) = (idle(&before), idle(&after));
            for key in keys {
                let known = name(&before, &with, key);
                let later = name(&after, &without, key);
                prop_assert!(later == known || known == gone);
            }
        }

        #[test]
        fn nobody_gets_beyond_the_bound(
            loads in proptest::collection::vec((0..1000_u32, 1..5_u32), 1..12),
            key in any::<u64>(),
        ) {
            let mut contenders = idle(&(0..loads.len() as u32).collect::<Vec<_>>());
            for (contender, (in_flight, weight)) in contenders.iter_mut().zip(&loads) {
                (contender.in_flight, contender.weight) = (*in_flight, *weight);
            }
            let calls = 1.0 + loads.iter().map(|(calls, _)| f64::from(*calls)).sum::<f64>();
            let weights = loads.iter().map(|(_, weight)| f64::from(*weight)).sum::<f64>();
            let place = chosen(Affinity { key }, &contenders);
            prop_assert!(place.is_some(), "somebody always has room");
            let taken = contenders[place.unwrap()];
            let share = f64::from(taken.weight) / weights;
            prop_assert!(f64::from(taken.in_flight) < (BOUND * calls * share).ceil());
        }
    }
}
