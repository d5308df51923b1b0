//! Names, found by all of their endings at once.
//!
//! A name is hashed from its end, so that one pass gives the hash of each ending (`com`, `example.com`, …), and every
//! table is asked with the same hashes. A table is a handful of flat arrays: a bucket is a short run of entries, sorted by
//! hash and name, so that names which somebody has chosen to collide cost a binary search and no more. Refused: a map of
//! strings (four times the memory for a hundred thousand names, and a hash for each ending and table), a trie of labels (a
//! cache miss for each label).

use smallvec::SmallVec;

/// A name with the hashes of its endings.
pub(crate) struct Host<'a> {
    pub(crate) name: &'a str,
    /// For each ending, from the shortest: its hash, and where it starts. The last one is the whole name.
    endings: SmallVec<[(u64, u16); 8]>,
}

impl<'a> Host<'a> {
    /// Hashes a name. Of a name beyond 65,535 bytes, which no protocol can carry, only the text is there.
    pub(crate) fn new(name: &'a str) -> Self {
        let mut endings = SmallVec::new();
        if name.len() <= usize::from(u16::MAX) {
            let mut hash = SEED;
            for (place, byte) in name.bytes().enumerate().rev() {
                if byte == b'.' {
                    endings.push((finished(hash), place as u16 + 1));
                }
                hash = stepped(hash, byte);
            }
            endings.push((finished(hash), 0));
        }
        Self { name, endings }
    }

    /// The endings, from the shortest: hash, text, and whether it is the whole name.
    pub(crate) fn endings(&self) -> impl Iterator<Item = (u64, &'a str, bool)> + '_ {
        self.endings.iter().map(|(hash, start)| (*hash, &self.name[usize::from(*start)..], *start == 0))
    }
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// One step of FNV-1a, over the bytes from the last to the first.
fn stepped(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

/// Spreads the bits: the lower ones choose the bucket. The finaliser of SplitMix64.
fn finished(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

fn hashed(name: &str) -> u64 {
    finished(name.bytes().rev().fold(SEED, stepped))
}

/// Names, each with a value.
#[derive(Debug)]
pub(crate) struct DomainTable<V> {
    /// Where each bucket starts in `entries`, and at last where the last one ends. Its length less one is a power of two.
    buckets: Box<[u32]>,
    entries: Box<[Entry<V>]>,
    names: Box<str>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<V> {
    /// The upper bits of the hash.
    hash: u32,
    start: u32,
    length: u16,
    value: V,
}

/// In a bucket of more entries than this the entry is searched for, not looked for.
const LONG_BUCKET: usize = 16;

impl<V: Copy> DomainTable<V> {
    /// The value of a name; `hash` is one of [`Host::endings`].
    pub(crate) fn get(&self, hash: u64, name: &str) -> Option<V> {
        let bucket = (hash as usize) & (self.buckets.len() - 2);
        let bucket = &self.entries[self.buckets[bucket] as usize..self.buckets[bucket + 1] as usize];
        let upper = (hash >> 32) as u32;
        if bucket.len() <= LONG_BUCKET {
            let entry = bucket.iter().find(|entry| entry.hash == upper && self.name(entry) == name);
            return entry.map(|entry| entry.value);
        }
        let found = bucket.binary_search_by(|entry| (entry.hash, self.name(entry)).cmp(&(upper, name)));
        found.ok().map(|place| bucket[place].value)
    }

    fn name(&self, entry: &Entry<V>) -> &str {
        &self.names[entry.start as usize..entry.start as usize + usize::from(entry.length)]
    }

    /// Whether there is no name: nobody needs to be asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<V> Default for DomainTable<V> {
    fn default() -> Self {
        Self { buckets: [0, 0].into(), entries: Box::default(), names: Box::default() }
    }
}

/// Collects names for a table.
#[derive(Debug)]
pub(crate) struct DomainTableBuilder<V> {
    entries: Vec<(u64, u32, u16, V)>,
    names: String,
}

impl<V: Copy> DomainTableBuilder<V> {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), names: String::new() }
    }

    /// Adds a name. One that is too long to be asked for is left out, as is what goes beyond four gigabytes of names.
    pub(crate) fn push(&mut self, name: &str, value: V) {
        let (Ok(length), Ok(start)) = (u16::try_from(name.len()), u32::try_from(self.names.len())) else { return };
        if u32::try_from(self.names.len() + name.len()).is_ok() && self.entries.len() < u32::MAX as usize {
            self.names.push_str(name);
            self.entries.push((hashed(name), start, length, value));
        }
    }

    /// Makes the table; the values of a name that came several times are put together, in the order in which they came.
    pub(crate) fn build(mut self, together: impl Fn(V, V) -> V) -> DomainTable<V> {
        let mask = (self.entries.len().next_power_of_two() - 1) as u64;
        let names = self.names.as_str();
        let name = |entry: &(u64, u32, u16, V)| &names[entry.1 as usize..entry.1 as usize + usize::from(entry.2)];
        let key = |entry: &(u64, u32, u16, V)| (entry.0 & mask, (entry.0 >> 32) as u32);
        self.entries.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| name(a).cmp(name(b))));
        self.entries.dedup_by(|later, first| {
            let is_same = key(later) == key(first) && name(later) == name(first);
            if is_same {
                first.3 = together(first.3, later.3);
            }
            is_same
        });
        let mut buckets = vec![0_u32; mask as usize + 2];
        for entry in &self.entries {
            buckets[(entry.0 & mask) as usize + 1] += 1;
        }
        for bucket in 1..buckets.len() {
            buckets[bucket] += buckets[bucket - 1];
        }
        let packed = |(hash, start, length, value): (u64, u32, u16, V)| Entry {
            hash: (hash >> 32) as u32,
            start,
            length,
            value,
        };
        DomainTable {
            buckets: buckets.into(),
            entries: self.entries.into_iter().map(packed).collect(),
            names: self.names.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ending_of_a_name_is_found() {
        let mut names = DomainTableBuilder::new();
        for (value, name) in ["com", "example.com", "a.example.com", "xample.com", "", "org"].into_iter().enumerate() {
            names.push(name, 1 << value);
        }
        names.push("com", 64);
        let names = names.build(|a, b| a | b);
        assert_eq!(names.entries.len(), 6);
        let found = |host: &str| {
            let host = Host::new(host);
            host.endings().filter_map(|(hash, name, whole)| Some((names.get(hash, name)?, whole))).collect::<Vec<_>>()
        };
        assert_eq!(found("a.example.com"), [(65, false), (2, false), (4, true)]);
        assert_eq!(found("b.a.example.com"), [(65, false), (2, false), (4, false)]);
        assert_eq!(found("org"), [(32, true)]);
        assert_eq!(found("example.net"), []);
        assert_eq!(found(""), [(16, true)]);
        assert_eq!(found("org."), [(16, false)]);
        let empty = DomainTable::<u8>::default();
        assert_eq!(empty.get(Host::new("x").endings[0].0, "x"), None);
        assert!(DomainTableBuilder::<u8>::new().build(|a, _| a).is_empty());
    }

    #[test]
    fn names_that_collide_are_told_apart() {
        // As somebody could make them who knows the hash: all in one bucket, with the same upper bits.
        let mut names = DomainTableBuilder::new();
        for number in 0..5000_u32 {
            names.push(&format!("n{number}.example"), number);
        }
        for entry in &mut names.entries {
            entry.0 = 7;
        }
        let names = names.build(|a, _| a);
        assert_eq!(names.entries.len(), 5000);
        for number in 0..5000 {
            assert_eq!(names.get(7, &format!("n{number}.example")), Some(number));
        }
        assert_eq!(names.get(7, "n5000.example"), None);
        let mut few = DomainTableBuilder::new();
        few.push("a", 1);
        few.push("b", 2);
        few.entries.iter_mut().for_each(|entry| entry.0 = 7);
        let few = few.build(|a, _| a);
        assert_eq!([few.get(7, "a"), few.get(7, "b"), few.get(7, "c")], [Some(1), Some(2), None]);
    }
}
