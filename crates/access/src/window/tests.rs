//! In virtual time: never over the limit, hardly under it, and exact about when there is room again.

use std::collections::VecDeque;

use super::*;

fn at(millis: u64) -> Moment {
    Moment::from_micros(millis * 1000)
}

/// What got through, and the most of it that any 60 seconds saw.
#[derive(Default)]
struct Seen {
    last: VecDeque<(Moment, u64)>,
    sum: u64,
    total: u64,
    most: u64,
}

impl Seen {
    fn add(&mut self, amount: u64, now: Moment) {
        self.last.push_back((now, amount));
        self.sum += amount;
        self.total += amount;
        while let Some((then, amount)) = self.last.front().copied()
            && now.since(then) >= Duration::from_secs(60)
        {
            self.last.pop_front();
            self.sum -= amount;
        }
        self.most = self.most.max(self.sum);
    }
}

#[test]
fn a_limit_that_is_always_used_up_comes_through_within_one_percent() {
    for (limit, every_millis) in [(60, 100), (600, 7), (10, 250), (6000, 1), (1, 200)] {
        let (mut window, mut seen) = (Window::default(), Seen::default());
        let minutes = 40;
        for step in 0..minutes * 60_000 / every_millis {
            let now = at(step * every_millis + 13);
            if window.take(1, limit, now).is_ok() {
                seen.add(1, now);
            }
        }
        assert!(seen.most <= limit, "{limit} every {every_millis} ms: {} within 60 s", seen.most);
        let share = seen.total as f64 / (limit * minutes) as f64;
        // Begun with a full window: at most one more limit than the minutes allow.
        assert!(share >= 0.99 && share <= 1.0 + 1.0 / minutes as f64, "{limit} every {every_millis} ms: {share}");
    }
}

#[test]
fn bursts_and_pauses_never_go_over_the_limit() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..40 {
        let limit = random.u64(1..5000);
        let (mut window, mut seen, mut now) = (Window::default(), Seen::default(), random.u64(0..1_000_000_000));
        let mut refused = 0;
        for _ in 0..4000 {
            now += match random.u8(0..10) {
                0..6 => 0,
                6..8 => random.u64(0..5_000),
                8 => random.u64(0..2_000_000),
                _ => random.u64(0..90_000_000),
            };
            let (moment, amount) = (Moment::from_micros(now), random.u64(1..=limit.min(200)));
            match window.take(amount, limit, moment) {
                Ok(_) => seen.add(amount, moment),
                Err(_) => refused += 1,
            }
        }
        assert!(seen.most <= limit, "round {round}: {} of {limit}", seen.most);
        assert!(seen.total > 0 && refused > 0, "round {round} tries both");
    }
}

#[test]
fn there_is_room_when_it_says_so_and_not_before() {
    let mut window = Window::default();
    for (millis, amount) in [(0, 30), (10_100, 50), (20_400, 20)] {
        window.take(amount, 100, at(millis)).unwrap();
    }
    for (wanted, room_at) in [(1, 60_250), (30, 60_250), (31, 70_250), (80, 70_250), (81, 80_500), (100, 80_500)] {
        let now = at(30_000);
        let wait = window.take(wanted, 100, now).unwrap_err();
        assert_eq!(wait, Some(Duration::from_millis(room_at - 30_000)), "{wanted}");
    }
    assert_eq!(window.take(101, 100, at(30_000)), Err(None), "never");
    assert!(window.take(30, 100, Moment::from_micros(60_249_999)).is_err());
    assert!(window.take(30, 100, at(60_250)).is_ok());
}

#[test]
fn a_lower_limit_holds_at_once() {
    let mut window = Window::default();
    window.take(90, 100, at(0)).unwrap();
    assert!(window.take(1, 50, at(1000)).is_err());
    assert!(window.take(50, 50, at(60_250)).is_ok());
}

#[test]
fn what_is_given_back_is_there_again_unless_it_is_long_ago() {
    let mut window = Window::default();
    let slot = window.take(100, 100, at(1000)).unwrap();
    assert!(window.take(1, 100, at(2000)).is_err());
    window.give_back(slot, 60);
    window.give_back(slot, 1000); // never more than was taken
    assert_eq!(window.sum, 0);
    let slot = window.take(100, 100, at(2000)).unwrap();
    window.take(40, 100, at(63_000)).unwrap();
    window.give_back(slot, 100);
    assert_eq!(window.sum, 40, "another minute's counts are untouched");
}

#[test]
fn odd_moments_and_amounts_are_no_reason_to_panic() {
    let mut window = Window::default();
    window.add(u64::MAX, at(60_000));
    window.add(u64::MAX, at(61_000));
    assert!(window.take(1, u64::MAX, at(59_000)).is_err(), "an older moment counts as the newest");
    assert!(window.take(1, 5, Moment::from_micros(u64::MAX)).is_ok());
    window.give_back(u64::MAX, 7);
    assert!(window.take(1, 1, Moment::from_micros(u64::MAX)).is_err());
}
