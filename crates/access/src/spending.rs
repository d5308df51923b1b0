//! What a key has spent, by UTC day, to the picodollar.
//!
//! A cost belongs to the day on which it was reserved, whenever it is settled: no jump of the clock between the two moves
//! it into another period. A call that costs more than was held back for it takes the period over its budget. Days are kept by their date and not by their age, so a
//! clock that jumps ahead and back finds what was spent before.

use std::collections::BTreeMap;
use std::ops::Range;

use tradewind_core::Usd;

/// The most days that are kept one by one: the longest period has 31, and a clock may be wrong for a while.
const MOST_DAYS: usize = 400;

/// What was spent and what is reserved, in picodollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) spent: u64,
    pub(crate) reserved: u64,
}

impl Sum {
    const fn plus(self, other: Self) -> Self {
        Self { spent: self.spent.saturating_add(other.spent), reserved: self.reserved.saturating_add(other.reserved) }
    }
}

/// The spending of one key.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    days: BTreeMap<u32, Sum>,
    /// What became of the earliest days when there were too many. Counted to each period that reaches back to them:
    /// rather too much than a second budget.
    earlier: Option<(u32, Sum)>,
}

impl Spending {
    /// The sum over `days`; `None` is all of them.
    pub(crate) fn sum(&self, days: Option<&Range<u32>>) -> Sum {
        let earlier = self.earlier.filter(|(last, _)| days.is_none_or(|days| days.start <= *last));
        let first = earlier.map_or_else(Sum::default, |(_, sum)| sum);
        match days {
            Some(days) => self.days.range(days.clone()).fold(first, |sum, (_, day)| sum.plus(*day)),
            None => self.days.values().fold(first, |sum, day| sum.plus(*day)),
        }
    }

    /// Reserves `cost` on `day`.
    pub(crate) fn reserve(&mut self, day: u32, cost: u64) {
        let entry = self.entry(day);
        entry.reserved = entry.reserved.saturating_add(cost);
    }

    /// Ends a reservation of `day` with what it really cost.
    pub(crate) fn settle(&mut self, day: u32, reserved: u64, cost: u64) {
        let entry = self.entry(day);
        entry.reserved = entry.reserved.saturating_sub(reserved);
        entry.spent = entry.spent.saturating_add(cost);
    }

    /// Learns what was spent on `day` before the process began.
    pub(crate) fn restore(&mut self, day: u32, spent: Usd) {
        let entry = self.entry(day);
        entry.spent = entry.spent.max(spent.pico());
    }

    fn entry(&mut self, day: u32) -> &mut Sum {
        if let Some((last, _)) = self.earlier
            && day <= last
        {
            return self.earlier.as_mut().map(|(_, sum)| sum).expect("it is there");
        }
        if self.days.len() >= MOST_DAYS
            && !self.days.contains_key(&day)
            && let Some((first, sum)) = self.days.pop_first()
        {
            let before = self.earlier.map_or_else(Sum::default, |(_, sum)| sum);
            self.earlier = Some((first, before.plus(sum)));
            return self.entry(day);
        }
        self.days.entry(day).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_however_far_the_clock_jumps() {
        let mut spending = Spending::default();
        let days: Vec<u32> = (0..2000_u32).map(|number| number.wrapping_mul(2_654_435_761) % 100_000).collect();
        for day in &days {
            spending.reserve(*day, 10);
        }
        assert_eq!(spending.sum(None), Sum { spent: 0, reserved: 20_000 });
        for day in &days {
            spending.settle(*day, 10, 3);
        }
        assert_eq!(spending.sum(None), Sum { spent: 6000, reserved: 0 });
        assert!(spending.days.len() <= MOST_DAYS);
    }

    #[test]
    fn a_period_that_reaches_back_to_forgotten_days_counts_all_of_them() {
        let mut spending = Spending::default();
        spending.restore(100, Usd::from_pico(7));
        for day in 1000..1000 + MOST_DAYS as u32 {
            spending.restore(day, Usd::from_pico(1));
        }
        assert_eq!(spending.sum(Some(&(100..101))).spent, 7, "the day itself");
        assert_eq!(spending.sum(Some(&(90..97))).spent, 7, "one before, which may have been forgotten as well");
        assert_eq!(spending.sum(Some(&(101..131))).spent, 0);
        assert_eq!(spending.sum(Some(&(1000..1002))).spent, 2);
        spending.settle(50, 0, 5);
        assert_eq!(spending.sum(None).spent, 12 + MOST_DAYS as u64);
    }

    #[test]
    fn what_was_spent_before_is_learned_once() {
        let mut spending = Spending::default();
        spending.restore(5, Usd::from_pico(9));
        spending.restore(5, Usd::from_pico(9));
        assert_eq!(spending.sum(Some(&(5..6))).spent, 9);
    }
}
