//! A fleet of unequal servers at three quarters of what it can do, of which one is slow for a minute out of five: which
//! policy keeps the tail short? And what does one that answers everything with an error at once draw to itself?
//!
//! `cargo run --release -p tradewind-decide --example fleet` runs the same for an hour.

use std::time::Duration;

use tradewind_decide::Strategy;

use super::gateway::{Gateway, Picker, Polled};
use super::report::Report;
use super::scraped::Rule;
use super::world::{Behaviour, Server, World};

/// The fleet can do about 72 a second.
const CALLS_A_SECOND: f64 = 54.0;

/// The simple policies and `least-latency`: what ours has to be compared with.
pub(crate) const PEERS: [Picker; 14] = [
    Picker::RoundRobin,
    Picker::Scraped(Rule::Softmax(1.0), 5),
    Picker::Scraped(Rule::Softmax(0.1), 5),
    Picker::Scraped(Rule::Softmax(0.03), 5),
    Picker::Scraped(Rule::Least, 5),
    Picker::Scraped(Rule::Two, 5),
    Picker::Scraped(Rule::Softmax(1.0), 30),
    Picker::Scraped(Rule::Softmax(0.1), 30),
    Picker::Scraped(Rule::Softmax(0.03), 30),
    Picker::Scraped(Rule::Least, 30),
    Picker::Scraped(Rule::Two, 30),
    Picker::TwoInFlight,
    Picker::LeastInFlight,
    Picker::Ours(Strategy::LeastLatency),
];

/// `score` by load alone, in all its variants.
pub(crate) const OURS: [Picker; 6] = [
    Picker::Load { prior: None, temperature: None },
    Picker::Load { prior: Some(Polled::Average), temperature: None },
    Picker::Load { prior: Some(Polled::Instant), temperature: None },
    Picker::Load { prior: Some(Polled::Lie), temperature: None },
    Picker::Load { prior: None, temperature: Some(0.1) },
    Picker::Load { prior: None, temperature: Some(0.03) },
];

/// Four fast servers, of which the first is three times slower for a minute out of five, and four slower ones.
fn servers() -> Vec<Server> {
    let mut servers = vec![Server::following(|now| {
        let slow = now.micros() / 1_000_000 % 300 >= 240;
        if slow { Behaviour::GOOD.slower(3) } else { Behaviour::GOOD }
    })];
    servers.extend([1, 1, 1, 2, 2, 3, 4].map(|times| Server::steady(Behaviour::GOOD.slower(times))));
    servers
}

/// What one policy does with the fleet.
pub(crate) struct Row {
    pub(crate) picker: Picker,
    /// Seconds to the first byte.
    pub(crate) waits: [f64; 3],
    /// The most that one server had under way at once.
    pub(crate) most_in_flight: u32,
    /// Of the second server, which is always fast; see [`Report::unsteadiness`].
    pub(crate) unsteadiness: f64,
    /// The share of attempts that a ninth server draws which fails within 2 ms, and of calls that fail for that.
    pub(crate) black_hole: [f64; 2],
}

impl Row {
    /// Runs a policy for so many seconds of virtual time, with and without the black hole.
    pub(crate) fn of(picker: Picker, seconds: u64, seed: u64) -> Self {
        let mut usual = run(picker, servers(), seconds, seed);
        let mut with_hole = servers();
        with_hole.push(Server::steady(Behaviour::BLACK_HOLE));
        let hole = run(picker, with_hole, seconds, seed);
        let (all, settled) = (0..usual.length(), usual.length() / 10..usual.length());
        Self {
            picker,
            waits: [0.5, 0.95, 0.99].map(|quantile| usual.wait(quantile)),
            most_in_flight: (0..8).map(|server| usual.most_in_flight(server, all.clone())).max().unwrap_or(0),
            unsteadiness: usual.unsteadiness(1, settled),
            black_hole: [hole.share(8, all), hole.failed_share()],
        }
    }
}

fn run(picker: Picker, servers: Vec<Server>, seconds: u64, seed: u64) -> Report {
    let mut gateway = Gateway::new(picker, servers.len(), seed);
    World::new(servers, CALLS_A_SECOND, Duration::from_secs(seconds), seed).run(&mut gateway)
}

/// The rows in the form of Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = "| policy | p50 s | p95 s | p99 s | most in flight | unsteadiness | to a black hole | failed |\n\
                     |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let [p50, p95, p99] = row.waits;
        let [share, failed] = row.black_hole.map(|share| 100.0 * share);
        lines += &format!(
            "| {} | {p50:.2} | {p95:.2} | {p99:.2} | {} | {:.1} | {share:.2} % | {failed:.2} % |\n",
            row.picker, row.most_in_flight, row.unsteadiness
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pickers: &[Picker]) -> Vec<Row> {
        let rows: Vec<Row> = pickers.iter().map(|picker| Row::of(*picker, 420, 1)).collect();
        println!("{}", table(&rows));
        rows
    }

    fn p99(row: &Row) -> f64 {
        row.waits[2]
    }

    #[test]
    fn score_keeps_the_tail_as_short_as_the_best() {
        let (peers, ours) = (rows(&PEERS), rows(&OURS));
        let best = peers.iter().map(p99).fold(f64::INFINITY, f64::min);
        let [score, average, instant, lie, softmax, sharp] = &ours[..] else { panic!("six variants") };
        for row in [score, average, softmax, sharp] {
            assert!(p99(row) <= 1.1 * best, "{}: {} against {best}", row.picker, p99(row));
        }
        // A prior that doubles what is known already, or lies, costs something, but bounds keep it small.
        for row in [instant, lie] {
            assert!(p99(row) <= 1.5 * best, "{}: {} against {best}", row.picker, p99(row));
        }
        for row in &ours {
            assert!(row.unsteadiness < 3.0, "{}: it swings", row.picker);
            let [share, failed] = row.black_hole;
            assert!(share <= tradewind_decide::Group::PROBE_SHARE && failed == 0.0, "{}: {share} {failed}", row.picker);
        }
        for row in peers.iter().filter(|row| matches!(row.picker, Picker::Scraped(Rule::Softmax(_), _))) {
            assert!(p99(row) > 5.0 * p99(score), "{}: {}", row.picker, p99(row));
            assert!(row.black_hole[0] > 0.1, "{}: who is down keeps its share, or draws more", row.picker);
        }
        let swings =
            |rule| peers.iter().filter(move |row| matches!(row.picker, Picker::Scraped(known, _) if known == rule));
        assert!(swings(Rule::Softmax(0.03)).chain(swings(Rule::Least)).all(|row| row.unsteadiness > 10.0));
    }
}
