//! Versions and small zips that were asked for lately, in memory, so that a warm hit reads no file.
//!
//! Two halves: what is found in the older one moves to the younger one, and when that is full, it becomes the older one
//! and the older one is dropped. So all that is used often stays, within the bound, and nothing has to be put in order at
//! each hit.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Values with a weight each, the most of all together being fixed.
#[derive(Debug)]
pub(super) struct Memory<K, V> {
    young: FxHashMap<K, (V, usize)>,
    old: FxHashMap<K, (V, usize)>,
    /// Of the young.
    weight: usize,
    /// Of each half.
    most: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Memory<K, V> {
    /// For values of `most` bytes in all.
    pub(super) fn new(most: usize) -> Self {
        Self { young: FxHashMap::default(), old: FxHashMap::default(), weight: 0, most: most / 2 }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (value, weight) = self.old.remove(key)?;
        self.insert(key.clone(), value.clone(), weight);
        Some(value)
    }

    /// A value that weighs more than a half is not kept.
    pub(super) fn insert(&mut self, key: K, value: V, weight: usize) {
        self.remove(&key);
        if weight > self.most {
            return;
        }
        if self.weight + weight > self.most {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        self.young.insert(key, (value, weight));
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some((_, weight)) = self.young.remove(key) {
            self.weight -= weight;
        }
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_within_the_bound() {
        let mut memory = Memory::new(100);
        for key in 0..1000u32 {
            memory.insert(key, key, 10);
            assert_eq!(memory.get(&0), Some(0), "it is used all the time");
            let weight = |half: &FxHashMap<u32, (u32, usize)>| half.values().map(|(_, weight)| weight).sum::<usize>();
            assert!(weight(&memory.young) == memory.weight && memory.weight <= 50 && weight(&memory.old) <= 50);
        }
        assert_eq!(memory.get(&990), None);
        assert_eq!(memory.get(&999), Some(999));
        memory.remove(&999);
        assert_eq!(memory.get(&999), None);
        memory.insert(7, 7, 51);
        assert_eq!(memory.get(&7), None, "too heavy");
        memory.insert(8, 1, 10);
        memory.insert(8, 2, 20);
        assert_eq!(memory.get(&8), Some(2));
    }
}
