//! The keys of one provider: which may be used for which target, and whose turn it is.
//!
//! Knows keys by their place only; the secrets stay with the caller.

use std::time::Duration;

use smallvec::SmallVec;
use tradewind_core::{Moment, TargetId};

use crate::backoff;

/// How long a refused key rests before it is tried again.
const REFUSED_FOR: Duration = Duration::from_secs(300);
/// How long a key that was refused before is used by one call alone, to see whether it is accepted now.
const TRIAL_FOR: Duration = Duration::from_secs(10);
/// A rate limit this long after the end of the last one counts as the first again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// Most cooling pairs of key and target that are remembered; beyond that the one that ends first is dropped.
const MOST_COOLING: usize = 4096;

/// What a decision sees of a provider's keys, for one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeysView {
    /// At least one key may be used, or none is needed.
    #[default]
    Ready,
    /// Each key is cooling; the first may be used again at this moment.
    CoolingUntil(Moment),
    /// The provider refuses each key.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    Good,
    Refused { until: Moment },
    Trial { until: Moment },
}

#[derive(Clone, Debug)]
struct Cooling {
    key: usize,
    target: TargetId,
    until: Moment,
    /// Rate limits in a row.
    times: u32,
}

/// The keys of one provider, used in turn.
///
/// A 429 cools one key for one target; a 401 or 403 sets a key aside for five minutes, after which one call tries it.
#[derive(Clone, Debug)]
pub struct KeyRing {
    standings: SmallVec<[Standing; 4]>,
    cooling: Vec<Cooling>,
    next: usize,
}

impl KeyRing {
    /// A ring of `keys` keys. With none, the provider needs no key: the view is always [`KeysView::Ready`].
    #[must_use]
    pub fn new(keys: usize) -> Self {
        Self { standings: SmallVec::from_elem(Standing::Good, keys), cooling: Vec::new(), next: 0 }
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.standings.len()
    }

    /// Whether the provider needs no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.standings.is_empty()
    }

    /// Whether some key may be used for `target` now.
    #[must_use]
    pub fn view(&self, target: &TargetId, now: Moment) -> KeysView {
        if self.is_empty() {
            return KeysView::Ready;
        }
        let mut earliest: Option<Moment> = None;
        for key in 0..self.len() {
            match self.usable_from(key, target, now) {
                Some(from) if from <= now => return KeysView::Ready,
                Some(from) => earliest = Some(earliest.map_or(from, |known| known.min(from))),
                None => {}
            }
        }
        earliest.map_or(KeysView::Refused, KeysView::CoolingUntil)
    }

    /// The place of the next key that may be used for `target`; `None` when there is none, or none is needed.
    pub fn pick(&mut self, target: &TargetId, now: Moment) -> Option<usize> {
        let keys = self.len();
        for step in 0..keys {
            let key = (self.next + step) % keys;
            if self.usable_from(key, target, now).is_some_and(|from| from <= now) {
                self.next = (key + 1) % keys;
                self.standings[key] = match self.standings[key] {
                    Standing::Refused { .. } => Standing::Trial { until: now + TRIAL_FOR },
                    // Nobody complained during its trial, so it is good again.
                    Standing::Trial { .. } | Standing::Good => Standing::Good,
                };
                return Some(key);
            }
        }
        None
    }

    /// Leaves `key` alone for `target` until `until`; a later moment that is known already stays.
    pub fn cool(&mut self, key: usize, target: &TargetId, until: Moment) {
        self.cool_counting(key, target, until, None);
    }

    /// Takes note of a 429: cools for as long as the provider asked, else for an exponential [`backoff`]. Returns the
    /// end of the cooling.
    pub fn rate_limited(
        &mut self,
        key: usize,
        target: &TargetId,
        asked: Option<Duration>,
        now: Moment,
        random: &mut fastrand::Rng,
    ) -> Moment {
        let times = match self.cooling.iter().find(|known| known.key == key && known.target == *target) {
            // A burst of refusals of calls that were under way together is one rate limit.
            Some(known) if now < known.until => known.times,
            Some(known) if now.since(known.until) < FORGOTTEN_AFTER => known.times.saturating_add(1),
            _ => 0,
        };
        let until = now + asked.unwrap_or_else(|| backoff(times, random));
        self.cooling.retain(|known| now.since(known.until) < FORGOTTEN_AFTER);
        self.cool_counting(key, target, until, Some(times))
    }

    /// Sets `key` aside: the provider does not accept it.
    pub fn refuse(&mut self, key: usize, now: Moment) {
        if let Some(standing) = self.standings.get_mut(key) {
            *standing = Standing::Refused { until: now + REFUSED_FOR };
        }
    }

    /// Takes note that the provider accepted `key`, which ends its trial.
    pub fn accept(&mut self, key: usize) {
        if let Some(standing) = self.standings.get_mut(key) {
            *standing = Standing::Good;
        }
    }

    /// From when on `key` may be used for `target`; `None` while it is refused.
    fn usable_from(&self, key: usize, target: &TargetId, now: Moment) -> Option<Moment> {
        let from = match self.standings[key] {
            Standing::Refused { until } if now < until => return None,
            Standing::Trial { until } => until,
            Standing::Refused { .. } | Standing::Good => Moment::START,
        };
        let cooling = self.cooling.iter().find(|known| known.key == key && known.target == *target);
        Some(cooling.map_or(from, |known| known.until.max(from)))
    }

    fn cool_counting(&mut self, key: usize, target: &TargetId, until: Moment, times: Option<u32>) -> Moment {
        if key >= self.len() {
            return until;
        }
        if let Some(known) = self.cooling.iter_mut().find(|known| known.key == key && known.target == *target) {
            known.until = known.until.max(until);
            known.times = times.unwrap_or(known.times);
            return known.until;
        }
        if self.cooling.len() >= MOST_COOLING
            && let Some((first, _)) = self.cooling.iter().enumerate().min_by_key(|(_, known)| known.until)
        {
            self.cooling.swap_remove(first);
        }
        self.cooling.push(Cooling { key, target: target.clone(), until, times: times.unwrap_or(0) });
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    fn target(name: &str) -> TargetId {
        TargetId::new(name)
    }

    #[test]
    fn keys_take_turns_and_a_cooling_one_is_passed_over_for_its_target_only() {
        let (fast, large) = (target("p/fast"), target("p/large"));
        let mut ring = KeyRing::new(3);
        let picks: Vec<_> = (0..4).map(|_| ring.pick(&fast, at(0))).collect();
        assert_eq!(picks, [Some(0), Some(1), Some(2), Some(0)]);
        ring.cool(1, &fast, at(10));
        assert_eq!(ring.pick(&fast, at(9)), Some(2));
        assert_eq!(ring.pick(&fast, at(9)), Some(0));
        assert_eq!(ring.pick(&large, at(9)), Some(1));
        ring.next = 1;
        assert_eq!(ring.pick(&fast, at(10)), Some(1));
    }

    #[test]
    fn the_view_says_when_the_first_key_is_back() {
        let fast = target("p/fast");
        let mut ring = KeyRing::new(2);
        ring.cool(0, &fast, at(10));
        assert_eq!(ring.view(&fast, at(0)), KeysView::Ready);
        ring.cool(1, &fast, at(7));
        ring.cool(1, &fast, at(5));
        assert_eq!(ring.view(&fast, at(0)), KeysView::CoolingUntil(at(7)));
        assert_eq!(ring.pick(&fast, at(0)), None);
        ring.refuse(1, at(0));
        assert_eq!(ring.view(&fast, at(0)), KeysView::CoolingUntil(at(10)));
        ring.refuse(0, at(0));
        assert_eq!(ring.view(&fast, at(0)), KeysView::Refused);
    }

    #[test]
    fn a_refused_key_is_tried_by_one_call_after_five_minutes() {
        let fast = target("p/fast");
        let mut ring = KeyRing::new(1);
        ring.refuse(0, at(0));
        assert_eq!(ring.pick(&fast, at(299)), None);
        assert_eq!(ring.pick(&fast, at(300)), Some(0));
        assert_eq!(ring.pick(&fast, at(300)), None);
        assert_eq!(ring.view(&fast, at(300)), KeysView::CoolingUntil(at(310)));
        ring.refuse(0, at(301));
        assert_eq!(ring.view(&fast, at(301)), KeysView::Refused);
        // A trial that nobody complains about ends by itself, or at once when the key is accepted.
        assert_eq!(ring.pick(&fast, at(601)), Some(0));
        assert_eq!(ring.pick(&fast, at(611)), Some(0));
        assert_eq!(ring.pick(&fast, at(611)), Some(0));
        ring.refuse(0, at(700));
        assert_eq!(ring.pick(&fast, at(1000)), Some(0));
        ring.accept(0);
        assert_eq!(ring.pick(&fast, at(1000)), Some(0));
    }

    #[test]
    fn rate_limits_in_a_row_cool_longer_but_a_burst_is_one() {
        let (fast, mut random) = (target("p/fast"), fastrand::Rng::with_seed(3));
        let mut ring = KeyRing::new(1);
        for _ in 0..100 {
            ring.rate_limited(0, &fast, None, at(0), &mut random);
        }
        assert_eq!(ring.cooling[0].times, 0);
        let end = ring.cooling[0].until;
        ring.rate_limited(0, &fast, None, end, &mut random);
        assert_eq!(ring.cooling[0].times, 1);
        let asked =
            ring.rate_limited(0, &fast, Some(Duration::from_secs(30)), end + Duration::from_secs(30), &mut random);
        assert_eq!(asked, end + Duration::from_secs(60));
        ring.rate_limited(0, &fast, None, at(1000), &mut random);
        assert_eq!(ring.cooling[0].times, 0);
    }

    #[test]
    fn no_keys_and_unknown_keys_are_harmless() {
        let fast = target("p/fast");
        let mut ring = KeyRing::new(0);
        ring.refuse(3, at(0));
        ring.accept(3);
        ring.cool(3, &fast, at(10));
        assert_eq!((ring.view(&fast, at(0)), ring.pick(&fast, at(0))), (KeysView::Ready, None));
    }
}
