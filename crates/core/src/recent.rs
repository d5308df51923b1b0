//! What was used lately, within a bound.
//!
//! Two generations: what is found in the old one moves to the young one, and when that is full, it becomes the old one and
//! what was old is dropped. So all that is used often stays, and nothing has to be put in order at each use. A list by last
//! use was refused: it keeps a little more of what is used seldom, and pays for it at each hit.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// Values with a weight each; the most that all of them weigh together is fixed. `S` hashes the keys.
#[derive(Debug)]
pub struct Recent<K, V, S = RandomState> {
    young: HashMap<K, Held<V>, S>,
    old: HashMap<K, Held<V>, S>,
    /// Of the young generation.
    weight: usize,
    /// That a generation may have.
    most: usize,
}

#[derive(Debug)]
struct Held<V> {
    value: V,
    weight: usize,
}

impl<K: Eq + Hash, V, S: BuildHasher + Default> Recent<K, V, S> {
    /// For values that weigh at most `most` in all.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), weight: 0, most: most / 2 }
    }

    /// A value, which counts as a use of it.
    pub fn get<Q: ?Sized + Eq + Hash>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        V: Clone,
    {
        if let Some(held) = self.young.get(key) {
            return Some(held.value.clone());
        }
        let (key, held) = self.old.remove_entry(key)?;
        let value = held.value.clone();
        self.hold(key, held);
        Some(value)
    }

    /// A value, which is no use of it.
    pub fn peek<Q: ?Sized + Eq + Hash>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.young.get(key).or_else(|| self.old.get(key)).map(|held| &held.value)
    }

    /// Takes the place of what was there under the key. What weighs more than half of all is not kept.
    pub fn insert(&mut self, key: K, value: V, weight: usize) {
        self.remove(&key);
        if weight <= self.most {
            self.hold(key, Held { value, weight });
        }
    }

    /// Takes out what is there under the key.
    pub fn remove<Q: ?Sized + Eq + Hash>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        // Never in both.
        let Some(held) = self.young.remove(key) else { return Some(self.old.remove(key)?.value) };
        self.weight -= held.weight;
        Some(held.value)
    }

    fn hold(&mut self, key: K, held: Held<V>) {
        if self.weight + held.weight > self.most {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += held.weight;
        self.young.insert(key, held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is kept, and what it weighs.
    fn kept(recent: &Recent<u32, u32>) -> (usize, usize) {
        let (young, old) = (recent.young.values(), recent.old.values());
        assert_eq!(young.clone().map(|held| held.weight).sum::<usize>(), recent.weight);
        assert!(recent.young.keys().all(|key| !recent.old.contains_key(key)), "once at most");
        let all: Vec<usize> = young.chain(old).map(|held| held.weight).collect();
        (all.len(), all.iter().sum())
    }

    #[test]
    fn what_is_used_stays_within_the_bound() {
        let mut recent: Recent<u32, u32> = Recent::new(100);
        for key in 0..1000 {
            recent.insert(key, key, 10);
            assert_eq!(recent.get(&0), Some(0), "it is used all the time");
            assert!(kept(&recent).1 <= 100);
        }
        assert!(kept(&recent).0 >= 5, "half of what there is room for");
        assert_eq!((recent.get(&980), recent.get(&999)), (None, Some(999)));
    }

    #[test]
    fn a_look_is_no_use() {
        let mut recent: Recent<u32, u32> = Recent::new(100);
        recent.insert(0, 0, 10);
        for key in 1..=9 {
            recent.insert(key, key, 10);
            assert_eq!(recent.peek(&0), Some(&0));
        }
        recent.insert(10, 10, 10);
        assert_eq!(recent.peek(&0), None);
    }

    #[test]
    fn a_value_is_replaced_whatever_it_weighs() {
        let mut recent: Recent<u32, u32> = Recent::new(100);
        for weight in [10, 50, 1] {
            recent.insert(1, 1, weight);
            assert_eq!(kept(&recent), (1, weight));
        }
        recent.insert(2, 2, 50);
        assert_eq!(kept(&recent), (2, 51), "1 is in the old generation now");
        recent.insert(1, 3, 50);
        assert_eq!((recent.get(&1), kept(&recent)), (Some(3), (2, 100)));
        recent.insert(1, 4, 51);
        assert_eq!((recent.get(&1), kept(&recent)), (None, (1, 50)), "too heavy, and the one before it is none of now");
        recent.remove(&2);
        recent.remove(&2);
        assert_eq!(kept(&recent), (0, 0));
    }
}
