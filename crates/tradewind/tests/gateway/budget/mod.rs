//! Budgets against what providers really charge: thousands of calls by several keys, whole and streamed, in every wire
//! format and translated, with callers that leave, providers that fail, retries and hedges.
//!
//! The number of calls is that of the environment variable `TRADEWIND_BUDGET_CALLS`, else 3,000.

mod attacks;
mod books;
mod callers;
mod unsent;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;
use tradewind_core::Usd;

use self::books::{Books, Pair, budgets, fetch, spent};
use self::callers::Caller;
use self::world::{EXACT, READER, ROUGH, TIGHT, World};

/// Calls at once.
const CALLERS: u64 = 48;
/// Calls between two looks at the books: what the providers remember of requests is bounded.
const ROUND: u64 = 1000;
/// The most that estimates may be off, in sum.
const ESTIMATES_WITHIN: f64 = 0.25;

fn calls() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the one place in which the tests read how long they are to run")]
    let calls = std::env::var("TRADEWIND_BUDGET_CALLS");
    calls.map_or(3000, |calls| calls.parse().expect("TRADEWIND_BUDGET_CALLS is a number"))
}

/// Makes the calls of these numbers; gives how many were answered and how many refused for want of money.
async fn make(world: &World, numbers: std::ops::Range<u64>) -> (u64, u64) {
    let (address, end) = (world.bench.address, numbers.end);
    let next = Arc::new(AtomicU64::new(numbers.start));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let next = next.clone();
        callers.spawn(async move {
            let (mut answered, mut refused) = (0, 0);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return (answered, refused);
                }
                let caller = Caller::new(number);
                let Some(answer) = caller.call(address).await else { continue };
                answered += u64::from(caller.is_answered(&answer));
                refused += u64::from(answer.status == 429 && answer.text().contains("TW1020"));
            }
        });
    }
    callers.join_all().await.into_iter().fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_booked_is_what_providers_charge() {
    let calls = calls();
    // An exact call costs some 1.2 thousandths of a dollar, and one in ten is the tight key's: half of them fit.
    let tight = Usd::from_pico(calls / 10 / 2 * 1_200_000_000);
    let world = World::start(tight).await;
    let (mut books, mut answered, mut refused) = (Books::default(), 0, 0);
    for start in (0..calls).step_by(ROUND as usize) {
        let numbers = start..calls.min(start + ROUND);
        let (more, unpaid) = make(&world, numbers.clone()).await;
        (answered, refused) = (answered + more, refused + unpaid);
        world.bench.is_back_at_baseline(&world.sims()).await;
        books.take_in(&world, numbers).await;
    }

    let (spent, budgets) = (spent(&world).await, budgets(&world).await);
    for key in EXACT.into_iter().chain(ROUGH).chain([TIGHT]) {
        assert_eq!(spent[key], books.recorded[key], "{key}: the spend book and the journal differ");
        assert_eq!(budgets[key], (spent[key], Usd::default()), "{key}: the budget and the spend book differ");
    }
    for key in EXACT.into_iter().chain([TIGHT]) {
        assert_eq!(spent[key], books.charged[key], "{key}: not what its providers charged");
    }
    assert!(spent[TIGHT] <= tight, "{} of {tight}", spent[TIGHT]);
    assert!(spent[TIGHT].dollars() > tight.dollars() - 0.01, "the tight budget was not used up: {}", spent[TIGHT]);
    assert_eq!(budgets[READER], (Usd::default(), Usd::default()));
    let status = fetch(&world, "/api/v1/status").await;
    assert_eq!(status["journal"]["dropped"], 0, "{status}");

    let all = books.all_estimated();
    say(calls, answered, refused, &books, &all);
    assert!(
        answered > calls / 2 && refused > 0 && books.reported.uses > calls / 3,
        "the calls are not what they were to be"
    );
    for end in ["client_gone client_gone", "cancelled lost_hedge", "partial cut", "failed cut", "failed deadline"] {
        assert!(books.estimated.contains_key(end), "no attempt was {end}: {:?}", books.estimated.keys());
    }
    assert!(all.excess().abs() < ESTIMATES_WITHIN, "{all:?}");
}

#[expect(clippy::print_stderr, reason = "the figures are what the long run is made for")]
fn say(calls: u64, answered: u64, refused: u64, books: &Books, all: &Pair) {
    eprintln!("{calls} calls: {answered} answered whole, {refused} refused for want of money; {:?}", books.outcomes);
    let reported = &books.reported;
    eprintln!("{:7} uses reported: booked {}, charged {}", reported.uses, reported.booked, reported.charged);
    let estimates = books.estimated.iter().map(|(end, pair)| (end.as_str(), pair)).chain([("all", all)]);
    for (end, pair) in estimates {
        let (booked, charged) = (pair.booked, pair.charged);
        eprintln!(
            "{:7} estimated: booked {booked}, charged {charged}, {:+.1} % ({end})",
            pair.uses,
            pair.excess() * 100.0
        );
    }
}
