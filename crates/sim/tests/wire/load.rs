//! The load generator against the sim and the fast upstream.

use std::time::Duration;

use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_sim::{Arrivals, BenchServer, Delay, LoadOptions, Sim, SimFault, SimOptions, compare_load, put_load};

use crate::client::DIALECTS;

fn short(mut options: LoadOptions) -> LoadOptions {
    options.lasting = Duration::from_millis(300);
    options.warm_up = Duration::from_millis(50);
    options
}

const FOUR: Arrivals = Arrivals::Closed { callers: 4 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_a_closed_loop_is_answered_and_counted() {
    let server = BenchServer::start(&SimOptions::default(), 2).unwrap();
    let mut loads = JoinSet::new();
    for dialect in DIALECTS {
        for stream in [false, true] {
            // Longer than a busy machine stands still.
            let lasting = Duration::from_secs(4);
            let load =
                LoadOptions { lasting, ..short(LoadOptions::chat(server.address(), dialect, "m", stream, FOUR)) };
            loads.spawn(async move { (stream, put_load(load).await.unwrap()) });
        }
    }
    for (stream, report) in loads.join_all().await {
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(report.ok > 50, "{report:?}");
        assert_eq!(report.total_ms.unwrap().count, report.ok);
        assert_eq!(report.first_event_ms.is_some(), stream);
        let rate = report.ok as f64 / report.seconds;
        assert!((report.per_second - rate).abs() < 1e-6);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_told_by_kind() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    for (fault, stream, kind) in [
        (SimFault::Error503, false, "status-503"),
        (SimFault::ResetBeforeResponse, false, "reset"),
        (SimFault::NoTerminal, true, "no-terminal"),
        (SimFault::ChunkedTruncated, true, "cut"),
        (SimFault::ChunkedBadSize, true, "malformed"),
        (SimFault::ContentLengthLong, false, "cut"),
    ] {
        sim.set_fault(fault).unwrap();
        let report =
            put_load(short(LoadOptions::chat(sim.address(), Dialect::OpenAi, "m", stream, FOUR))).await.unwrap();
        assert_eq!((report.ok, report.total_ms), (0, None), "{fault}");
        let kinds: Vec<&str> = report.failures.keys().map(String::as_str).collect();
        assert_eq!(kinds, [kind], "{fault}");
    }
    let port = tradewind_sim::RefusedPort::bind().unwrap();
    let report = put_load(short(LoadOptions::chat(port.address(), Dialect::OpenAi, "m", false, FOUR))).await.unwrap();
    assert_eq!(report.failures.keys().collect::<Vec<_>>(), ["connect"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_loop_keeps_its_rate_and_does_not_hide_a_stall() {
    // Each answer takes 60 ms and there is one connection for 100 calls a second: the queue grows, and so does the time.
    let options = SimOptions { first_token: Delay::Fixed(Duration::from_millis(60)), ..SimOptions::default() };
    let slow = Sim::start(options).await.unwrap();
    let one = Arrivals::Open { rate: 100.0, connections: 1 };
    let report = put_load(short(LoadOptions::chat(slow.address(), Dialect::OpenAi, "m", false, one))).await.unwrap();
    assert_eq!(report.ok, 30, "{report:?}");
    let times = report.total_ms.unwrap();
    assert!(times.max > 1200.0, "the last call was to begin at 0.35 s and ended at 1.85 s: {times:?}");
    // With connections enough, the time is that of the answer.
    let many = Arrivals::Open { rate: 100.0, connections: 50 };
    let report = put_load(short(LoadOptions::chat(slow.address(), Dialect::OpenAi, "m", false, many))).await.unwrap();
    assert_eq!(report.ok, 30);
    let times = report.total_ms.unwrap();
    assert!(times.p50 >= 60.0 && times.p50 < 600.0, "{times:?}");
    assert_eq!(report.generator_late_ms.unwrap().count, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_loop_counts_the_calls_that_it_never_came_to() {
    let options = SimOptions { first_token: Delay::Fixed(Duration::from_secs(2)), ..SimOptions::default() };
    let slow = Sim::start(options).await.unwrap();
    let one = Arrivals::Open { rate: 100.0, connections: 1 };
    let report = put_load(short(LoadOptions::chat(slow.address(), Dialect::OpenAi, "m", false, one))).await.unwrap();
    assert_eq!(report.ok + report.failed, 30, "{report:?}");
    assert_eq!(report.failures.keys().collect::<Vec<_>>(), ["unfinished"]);
    assert!(report.ok <= 3, "the backlog is given up after 5 s: {report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_tells_what_the_target_adds() {
    let quick = BenchServer::start(&SimOptions::default(), 1).unwrap();
    let options = SimOptions { first_token: Delay::Fixed(Duration::from_millis(100)), ..SimOptions::default() };
    let slow = BenchServer::start(&options, 1).unwrap();
    for stream in [false, true] {
        let at = |address| short(LoadOptions::chat(address, Dialect::OpenAi, "m", stream, FOUR));
        let comparison = compare_load(at(quick.address()), at(slow.address()), 3).await.unwrap();
        assert!((90.0..1000.0).contains(&comparison.added_p50_ms), "{comparison:?}");
        assert_eq!(comparison.added_first_event_p50_ms.is_some(), stream);
        assert!(comparison.rate_ratio < 0.5);
        let json = serde_json::to_value(&comparison).unwrap();
        assert!(json["target"]["total_ms"]["p99"].is_number());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_between_chunks_are_the_tempo_of_the_upstream() {
    let options = SimOptions { tokens_per_second: Some(50.0), answer_tokens: 5, ..SimOptions::default() };
    let server = BenchServer::start(&options, 1).unwrap();
    let report =
        put_load(short(LoadOptions::chat(server.address(), Dialect::Anthropic, "m", true, FOUR))).await.unwrap();
    assert_eq!(report.failed, 0);
    let gaps = report.gap_ms.unwrap();
    assert!((18.0..200.0).contains(&gaps.p50), "{gaps:?}");
}
