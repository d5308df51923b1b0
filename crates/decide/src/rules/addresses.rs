//! Addresses, found among ranges.
//!
//! Both tables here cut the whole line of addresses into pieces at the borders of the ranges, so that a question is one
//! binary search, whatever the lengths of the prefixes. Refused: a table for each length (a look-up for each, up to 129), a
//! trie of bits (a cache miss for each level).

use std::cmp::Reverse;
use std::net::IpAddr;

use tradewind_policy::ways::Cidr;

/// A set of addresses.
#[derive(Debug, Default)]
pub(crate) struct AddressSet {
    four: Box<[(u32, u32)]>,
    six: Box<[(u128, u128)]>,
}

impl AddressSet {
    /// The addresses in these ranges, each from its first to its last address, both of one family; others are left out.
    pub(crate) fn new(ranges: impl IntoIterator<Item = (IpAddr, IpAddr)>) -> Self {
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for range in ranges {
            match range {
                (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => four.push((first.to_bits(), last.to_bits())),
                (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => six.push((first.to_bits(), last.to_bits())),
                _ => {}
            }
        }
        Self { four: merged(four, |last| last.checked_add(1)), six: merged(six, |last| last.checked_add(1)) }
    }

    /// The addresses in these ranges.
    pub(crate) fn of(ranges: impl IntoIterator<Item = Cidr>) -> Self {
        Self::new(ranges.into_iter().map(|range| (range.address(), last_of(range))))
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(four) => within(&self.four, four.to_bits()),
            IpAddr::V6(six) => within(&self.six, six.to_bits()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.four.is_empty() && self.six.is_empty()
    }
}

/// The last address of a range.
fn last_of(range: Cidr) -> IpAddr {
    match range.address() {
        IpAddr::V4(four) => {
            let rest = u32::MAX.checked_shr(range.length().into()).unwrap_or(0);
            IpAddr::V4((four.to_bits() | rest).into())
        }
        IpAddr::V6(six) => {
            let rest = u128::MAX.checked_shr(range.length().into()).unwrap_or(0);
            IpAddr::V6((six.to_bits() | rest).into())
        }
    }
}

fn merged<B: Ord + Copy>(mut ranges: Vec<(B, B)>, next: impl Fn(B) -> Option<B>) -> Box<[(B, B)]> {
    ranges.sort_unstable();
    let mut merged: Vec<(B, B)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if next(before.1).is_none_or(|next| first <= next) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged.into()
}

fn within<B: Ord + Copy>(ranges: &[(B, B)], address: B) -> bool {
    let after = ranges.partition_point(|range| range.0 <= address);
    after > 0 && address <= ranges[after - 1].1
}

/// Ranges, each with the places of the rules that have it.
#[derive(Debug, Default)]
pub(crate) struct AddressPlaces {
    four: Pieces<u32>,
    six: Pieces<u128>,
}

impl AddressPlaces {
    /// Takes ranges with the place of their rule.
    pub(crate) fn new(ranges: &[(Cidr, u32)]) -> Self {
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for (range, place) in ranges {
            match (range.address(), last_of(*range)) {
                (IpAddr::V4(first), IpAddr::V4(last)) => four.push((first.to_bits(), last.to_bits(), *place)),
                (IpAddr::V6(first), IpAddr::V6(last)) => six.push((first.to_bits(), last.to_bits(), *place)),
                _ => {}
            }
        }
        Self { four: Pieces::new(four, |last| last.checked_add(1)), six: Pieces::new(six, |last| last.checked_add(1)) }
    }

    /// The smallest place of a range that the address is in, for which `counts` is true.
    pub(crate) fn first(&self, address: IpAddr, counts: impl Fn(u32) -> bool) -> Option<u32> {
        match address {
            IpAddr::V4(four) => self.four.first(four.to_bits(), counts),
            IpAddr::V6(six) => self.six.first(six.to_bits(), counts),
        }
    }
}

/// The line of addresses in pieces; in each the same ranges are on.
#[derive(Debug)]
struct Pieces<B> {
    /// Where each piece starts, and the innermost range that is on, [`NOBODY`] for none.
    starts: Box<[(B, u32)]>,
    ranges: Box<[Enclosed]>,
    places: Box<[u32]>,
}

#[derive(Debug)]
struct Enclosed {
    /// The next larger range around this one, [`NOBODY`] for none.
    parent: u32,
    /// The smallest place of this range and of all around it.
    smallest: u32,
    /// The places of this range, in order: from and until, in `places`.
    own: (u32, u32),
}

const NOBODY: u32 = u32::MAX;

impl<B> Default for Pieces<B> {
    fn default() -> Self {
        Self { starts: Box::default(), ranges: Box::default(), places: Box::default() }
    }
}

impl<B: Ord + Copy> Pieces<B> {
    /// Cuts at the borders of ranges that are prefixes, so that two of them are apart or one is within the other.
    fn new(mut all: Vec<(B, B, u32)>, next: impl Fn(B) -> Option<B>) -> Self {
        // A range comes before those within it.
        all.sort_unstable_by_key(|range| (range.0, Reverse(range.1), range.2));
        let mut starts: Vec<(B, u32)> = Vec::with_capacity(2 * all.len());
        let mut ranges: Vec<Enclosed> = Vec::with_capacity(all.len());
        let mut places = Vec::with_capacity(all.len());
        // The ranges that are on, from the outermost: last address and number.
        let mut open: Vec<(B, u32)> = Vec::new();
        let mut cut = |start: B, number: u32| match starts.last_mut() {
            Some(last) if last.0 == start => last.1 = number,
            _ => starts.push((start, number)),
        };
        let mut rest = all.as_slice();
        while let Some(&(first, last, _)) = rest.first() {
            let same = rest.iter().take_while(|other| (other.0, other.1) == (first, last)).count();
            while let Some(&(ended, _)) = open.last().filter(|(ended, _)| *ended < first) {
                open.pop();
                if let Some(after) = next(ended) {
                    cut(after, open.last().map_or(NOBODY, |around| around.1));
                }
            }
            let number = ranges.len() as u32;
            let parent = open.last().map_or(NOBODY, |around| around.1);
            let around = ranges.get(parent as usize).map_or(NOBODY, |around: &Enclosed| around.smallest);
            let from = places.len() as u32;
            places.extend(rest[..same].iter().map(|range| range.2));
            ranges.push(Enclosed { parent, smallest: around.min(rest[0].2), own: (from, places.len() as u32) });
            cut(first, number);
            open.push((last, number));
            rest = &rest[same..];
        }
        while let Some((ended, _)) = open.pop() {
            if let Some(after) = next(ended) {
                cut(after, open.last().map_or(NOBODY, |around| around.1));
            }
        }
        Self { starts: starts.into(), ranges: ranges.into(), places: places.into() }
    }

    fn first(&self, address: B, counts: impl Fn(u32) -> bool) -> Option<u32> {
        let after = self.starts.partition_point(|piece| piece.0 <= address);
        let mut number = self.starts.get(after.checked_sub(1)?)?.1;
        let smallest = self.ranges.get(number as usize)?.smallest;
        if counts(smallest) {
            return Some(smallest);
        }
        let mut found = None;
        while let Some(range) = self.ranges.get(number as usize) {
            let own = &self.places[range.own.0 as usize..range.own.1 as usize];
            let first = own.iter().copied().find(|place| counts(*place));
            found = [found, first].into_iter().flatten().min();
            number = range.parent;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ranges that lie in and beside each other, of both families.
    fn ranges() -> impl Strategy<Value = Vec<(Cidr, u32)>> {
        let four = (0_u8..=255, 0_u8..=255, 0_u8..=32)
            .prop_map(|(a, b, length)| Cidr::new(IpAddr::from([a & 3, b, 7, 0]), length).unwrap());
        let six = (0_u16..=3, any::<u16>(), 0_u8..=128)
            .prop_map(|(a, b, length)| Cidr::new(IpAddr::from([a, b, 0, 0, 0, 0, 0, 0]), length).unwrap());
        prop::collection::vec((prop_oneof![four, six], 0_u32..50), 0..60)
    }

    fn addresses() -> impl Strategy<Value = IpAddr> {
        let four = (0_u8..=4, any::<u8>(), 6_u8..8, any::<u8>()).prop_map(|(a, b, c, d)| IpAddr::from([a, b, c, d]));
        let six = (0_u16..=4, any::<u16>()).prop_map(|(a, b)| IpAddr::from([a, b, 0, 0, 0, 0, 0, 0]));
        prop_oneof![
            four,
            six,
            Just(IpAddr::from([255; 4])),
            Just(IpAddr::from([0; 4])),
            Just(IpAddr::from([0xffff_u16; 8]))
        ]
    }

    proptest! {
        #[test]
        fn the_smallest_place_is_that_of_looking_at_all(
            ranges in ranges(), addresses in prop::collection::vec(addresses(), 20), from in 0_u32..50,
        ) {
            let places = AddressPlaces::new(&ranges);
            let set = AddressSet::of(ranges.iter().map(|range| range.0));
            for address in addresses {
                let all = ranges.iter().filter(|(range, place)| range.contains(address) && *place >= from);
                prop_assert_eq!(places.first(address, |place| place >= from), all.map(|range| range.1).min());
                let contains = ranges.iter().any(|(range, _)| range.contains(address));
                prop_assert_eq!(set.contains(address), contains);
            }
        }
    }

    #[test]
    fn borders_belong_to_their_range() {
        let range: Cidr = "255.255.255.0/24".parse().unwrap();
        let places = AddressPlaces::new(&[(range, 3), ("0.0.0.0/0".parse().unwrap(), 9)]);
        for (address, place) in [("255.255.255.255", 3), ("255.255.255.0", 3), ("255.255.254.255", 9), ("0.0.0.0", 9)] {
            assert_eq!(places.first(address.parse().unwrap(), |_| true), Some(place), "{address}");
        }
        assert_eq!(places.first("::1".parse().unwrap(), |_| true), None);
    }
}
