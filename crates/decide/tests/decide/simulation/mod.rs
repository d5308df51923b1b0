//! The decision core in virtual time: does it do over minutes what each decision promises?
//!
//! Each test prints its table (`--no-capture` shows it). All is seeded: each run gives the same numbers.

mod fleet;
mod gateway;
mod report;
mod scraped;
mod world;

use std::time::Duration;

use gateway::{Gateway, Picker};
use report::Report;
use tradewind_core::Moment;
use tradewind_decide::Strategy;
use world::{Behaviour, Server, World};

/// Four good servers can do 55.
const CALLS_A_SECOND: f64 = 30.0;

const OURS: Picker = Picker::Ours(Strategy::LeastLatency);

/// The seeds that a test runs with where one run alone could be luck.
const SEEDS: std::ops::Range<u64> = 0..8;

fn run(picker: Picker, servers: Vec<Server>, seconds: u64, seed: u64) -> Report {
    let mut gateway = Gateway::new(picker, servers.len(), seed);
    World::new(servers, CALLS_A_SECOND, Duration::from_secs(seconds), seed).run(&mut gateway)
}

/// `count` servers of which the last is another.
fn good_but_one(count: usize, last: Server) -> Vec<Server> {
    let mut servers: Vec<Server> = (1..count).map(|_| Server::steady(Behaviour::GOOD)).collect();
    servers.push(last);
    servers
}

fn second(now: Moment) -> u64 {
    now.micros() / 1_000_000
}

const PICKERS: [Picker; 4] = [Picker::RoundRobin, Picker::LeastInFlight, Picker::Ours(Strategy::Weighted), OURS];

/// A line for each picker: what callers saw, and what the last server got.
fn table(title: &str, reports: &mut [Report]) -> String {
    let mut lines = format!(
        "\n{title}\n{:<16} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>10}\n",
        "", "p50 s", "p95 s", "p99 s", "failed", "extra", "its share", "in flight"
    );
    for (picker, report) in PICKERS.iter().zip(reports) {
        let (last, length) = (report.servers() - 1, report.length());
        lines += &format!(
            "{picker:<16} {:>8.2} {:>8.2} {:>8.2} {:>7.2}% {:>7.2}% {:>9.2}% {:>10}\n",
            report.wait(0.5),
            report.wait(0.95),
            report.wait(0.99),
            100.0 * report.failed_share(),
            100.0 * report.extra_share(),
            100.0 * report.share(last, 0..length),
            report.most_in_flight(last, 0..length),
        );
    }
    lines
}

/// Ten minutes of 30 calls a second with each picker.
fn all(servers: impl Fn() -> Vec<Server>) -> [Report; 4] {
    PICKERS.map(|picker| run(picker, servers(), 600, 1))
}

/// One of five replicas is five times slower than the others; its turn in five would be twice what it can do.
#[test]
fn a_slow_replica_does_not_set_the_tail() {
    let mut reports = all(|| good_but_one(5, Server::steady(Behaviour::GOOD.slower(5))));
    println!("{}", table("one slow replica of five", &mut reports));
    let [round_robin, least_in_flight, _, ours] = &mut reports;
    assert!(ours.wait(0.99) * 50.0 < round_robin.wait(0.99));
    assert!(ours.wait(0.99) < least_in_flight.wait(0.99));
    assert!(ours.share(4, 0..600) < 0.05);
    assert_eq!(ours.failed, 0);
}

/// Slow, but not too slow for its turn: the case in which round robin is not absurd.
#[test]
fn a_slower_replica_that_can_keep_up_gets_less() {
    let mut reports = all(|| good_but_one(5, Server::steady(Behaviour::GOOD.slower(2))));
    println!("{}", table("one of five twice as slow", &mut reports));
    let [round_robin, least_in_flight, _, ours] = &mut reports;
    assert!(ours.wait(0.99) < 0.75 * round_robin.wait(0.99));
    assert!(ours.wait(0.99) < least_in_flight.wait(0.99));
    assert!((0.04..0.12).contains(&ours.share(4, 0..600)), "less than its turn, but not nothing");
}

/// Unequal replicas at 95 % of what they can do together. Least in flight does better here: time to first token
/// contains the waiting in line that load counts already, so the fastest is given more than it can do until it is as
/// slow as the others. In the gateway the permits of a target bound that line; here nothing does.
#[test]
fn unequal_replicas_near_their_limit_stay_far_from_round_robin() {
    let mut reports = all(|| (1..=5).map(|times| Server::steady(Behaviour::GOOD.slower(times))).collect());
    println!("{}", table("five replicas, 1 to 5 times slower, at 95 % of their capacity", &mut reports));
    let [round_robin, _, _, ours] = &mut reports;
    assert!(ours.wait(0.99) * 20.0 < round_robin.wait(0.99));
    assert!(ours.wait(0.5) * 5.0 < round_robin.wait(0.5));
}

/// Nothing is wrong: a cost made of noisy latencies must not do harm.
#[test]
fn equal_replicas_are_used_equally() {
    let mut reports = all(|| good_but_one(5, Server::steady(Behaviour::GOOD)));
    println!("{}", table("five equal replicas", &mut reports));
    let [round_robin, _, _, ours] = &mut reports;
    assert!(ours.wait(0.99) < 1.1 * round_robin.wait(0.99));
    for server in 0..5 {
        assert!((ours.share(server, 0..600) - 0.2).abs() < 0.02, "{}", ours.share(server, 0..600));
        assert!(!ours.seconds(server, 0..600).iter().any(|second| second.out));
    }
}

/// The black hole: a target that fails within 2 ms always looks idle.
#[test]
fn a_target_that_fails_fast_does_not_attract_load() {
    let mut reports = all(|| good_but_one(4, Server::steady(Behaviour::BLACK_HOLE)));
    println!("{}", table("one of four fails within 2 ms", &mut reports));
    let [_, least_in_flight, weighted, ours] = &reports;
    assert!(least_in_flight.share(3, 0..600) > 0.5);
    for guarded in [weighted, ours] {
        assert!(guarded.share(3, 0..600) < 0.002, "the first five, then trial calls further and further apart");
        assert!(guarded.attempts(3, 300..600) <= 6);
        assert_eq!(guarded.failed, 0);
    }
}

/// Two of five calls fail fast: too few for the breaker's window, more than enough to stand out.
#[test]
fn a_target_that_often_fails_fast_loses_its_share() {
    let mut reports = all(|| good_but_one(4, Server::steady(Behaviour::GOOD.failing(0.4))));
    println!("{}", table("one of four fails 40 % within 2 ms", &mut reports));
    let [_, least_in_flight, _, ours] = &reports;
    assert!(least_in_flight.share(3, 0..600) > 0.25);
    assert!(ours.share(3, 0..600) < 0.02);
    assert_eq!(ours.failed, 0);
}

/// Gray failure: alive, ten times slower, 5 % errors.
#[test]
fn a_gray_failure_loses_its_share() {
    let mut reports = all(|| good_but_one(5, Server::steady(Behaviour::GOOD.slower(10).failing(0.05))));
    println!("{}", table("one of five ten times slower, 5 % errors", &mut reports));
    let [round_robin, least_in_flight, _, ours] = &mut reports;
    assert!(ours.share(4, 0..600) < 0.02);
    assert!(ours.wait(0.99) < least_in_flight.wait(0.99) / 2.0);
    assert!(ours.wait(0.99) * 100.0 < round_robin.wait(0.99));
}

/// Twenty seconds good, twenty seconds bad, for half an hour.
#[test]
fn a_flapping_target_comes_back_less_and_less_often() {
    let flapping =
        || Server::following(|now| if second(now) % 40 < 20 { Behaviour::GOOD } else { Behaviour::BLACK_HOLE });
    for picker in [Picker::Ours(Strategy::Weighted), OURS] {
        let report = run(picker, good_but_one(4, flapping()), 1800, 1);
        let times_out =
            |within| report.seconds(3, within).windows(2).filter(|pair| !pair[0].out && pair[1].out).count();
        let thirds = [0..600, 600..1200, 1200..1800].map(times_out);
        println!("{picker:<16} times that a flapping target was put out of use, by ten minutes: {thirds:?}");
        // Without growth it would be once for each of its fifteen bad spells in ten minutes.
        assert!(thirds[0] <= 6 && thirds[1] <= 5 && thirds[2] <= 4, "{thirds:?}");
        assert_eq!(report.failed, 0);
        assert!(report.extra_share() < 0.005);
    }
}

/// Down from the first to the third minute; then good again.
#[test]
fn recovery_ramps_up_without_a_herd() {
    let recovering = || {
        Server::following(|now| if (60..180).contains(&second(now)) { Behaviour::BLACK_HOLE } else { Behaviour::GOOD })
    };
    for picker in [Picker::Ours(Strategy::Weighted), OURS] {
        let mut shares = [0.0; 6];
        for seed in SEEDS {
            let report = run(picker, good_but_one(4, recovering()), 500, seed);
            let back = (180..400).find(|second| !report.seconds(3, *second..second + 1)[0].out).expect("it comes back");
            assert!(back < 180 + 150, "at most the longest open time and its jitter later");
            for (step, share) in shares.iter_mut().enumerate() {
                *share += report.share(3, back + 10 * step..back + 10 * (step + 1)) / SEEDS.count() as f64;
            }
            let usual = report.most_in_flight(0, back..back + 60);
            assert!(report.most_in_flight(3, back..back + 10) < usual);
            assert!(report.most_in_flight(3, back..back + 30) <= usual + usual / 5);
            assert_eq!(report.failed, 0);
        }
        println!("{picker:<16} share of attempts after coming back, by ten seconds: {shares:.3?}");
        assert!(shares[0] < 0.15 && shares[0] < shares[1] && shares[1] < 0.25, "{shares:?}");
        assert!(shares[3..].iter().all(|share| (share - 0.25).abs() < 0.04), "{shares:?}");
    }
}

/// Everything is down for a minute: calls end at once, and the outage is not multiplied.
#[test]
fn an_outage_of_all_is_not_a_storm() {
    let failing = || {
        Server::following(|now| if (60..120).contains(&second(now)) { Behaviour::BLACK_HOLE } else { Behaviour::GOOD })
    };
    for picker in [Picker::Ours(Strategy::Fallback), Picker::Ours(Strategy::Weighted), OURS] {
        let report = run(picker, (0..4).map(|_| failing()).collect(), 400, 1);
        let attempts = |within: std::ops::Range<usize>| -> u32 {
            (0..4).map(|server| report.attempts(server, within.clone())).sum()
        };
        let during = attempts(61..120);
        println!(
            "{picker:<16} attempts a minute before, during and after an outage of all: {} {during} {}",
            attempts(0..60),
            attempts(240..300)
        );
        assert!(during < 60, "breakers let trial calls through, no more: {during}");
        assert!(report.failed < 200 * 30, "all are back within the longest open time");
        assert!(f64::from(attempts(300..360)) > 0.9 * f64::from(attempts(0..60)));
        assert!(report.extra_share() < 0.01);
    }
}

/// Two servers fit best and could do 27 calls a second; four others fit less well. Half of what the two can do, a little
/// more than that, and more than twice as much.
#[test]
fn what_fits_best_is_busy_before_others_get_more() {
    let fits = [0.9, 0.9, 0.7, 0.7, 0.7, 0.7];
    for (rate, least_share, longest) in [(15.0, 0.95, 1.2), (30.0, 0.7, 1.6), (60.0, 0.4, 2.6)] {
        for seed in 1..4 {
            let servers: Vec<Server> = fits.iter().map(|_| Server::steady(Behaviour::GOOD)).collect();
            let mut gateway = Gateway::new(Picker::Ours(Strategy::Score), servers.len(), seed).with_meaning(&fits);
            let mut report = World::new(servers, rate, Duration::from_secs(300), seed).run(&mut gateway);
            let best = report.share(0, 0..300) + report.share(1, 0..300);
            let swings = report.unsteadiness(0, 30..300).max(report.unsteadiness(2, 30..300));
            let wait = report.wait(0.99);
            println!("score, {rate} a second: {best:.3} to the best two, p99 {wait:.2} s, unsteadiness {swings:.1}");
            assert!(best > least_share && wait < longest && swings < 3.0);
        }
    }
}
