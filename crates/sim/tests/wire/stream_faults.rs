//! Rows 10 to 22: time, cuts, chunks, the shape and order of events.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_sim::{Ending, Sim, SimFault, SimOptions};

use crate::client::*;

async fn sim() -> Sim {
    Sim::start(SimOptions::named("gamma")).await.unwrap()
}

/// How many events carry content.
fn content_events(raw: &Raw) -> usize {
    let carries = |event: &&String| {
        let Ok(value) = serde_json::from_str::<Value>(event) else { return false };
        let text = value["choices"][0]["delta"]["content"].as_str().or_else(|| value["delta"]["text"].as_str());
        text.is_some_and(|text| !text.is_empty())
    };
    raw.events().iter().filter(carries).count()
}

#[tokio::test]
async fn row_10_a_head_and_then_nothing() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            let raw = ask(&sim, dialect, stream, "hang-after-headers").await;
            assert_eq!((raw.status(), raw.end), (200, End::Silence));
            assert!(raw.bytes.ends_with(b"\r\n\r\n"), "nothing behind the head");
        }
    }
    assert!(sim.wait_until(Duration::from_secs(5), |stats| stats.cancelled == 4).await);
}

/// Asserts that an answer pauses, where it pauses, and that it is right afterwards.
async fn pauses(sim: &Sim, dialect: Dialect, stream: bool, fault: &str) {
    let mut connection = connect(sim).await;
    let body = body(dialect, stream, fault).to_string();
    connection.write_all(&request(path(dialect), "", &body)).await.unwrap();
    let before = read_for(&mut connection, SILENCE).await;
    assert_eq!(before.end, End::Silence, "{fault}");
    if fault.starts_with("slow-headers") {
        assert!(before.bytes.is_empty());
    } else if fault.starts_with("slow-first-token") {
        assert_eq!(before.status(), 200);
        assert!(before.bytes.ends_with(b"\r\n\r\n"), "nothing behind the head");
    } else if stream {
        assert_eq!(content_events(&before), 3);
    }
    let after = read_all(&mut connection).await;
    let mut bytes = before.bytes.clone();
    bytes.extend_from_slice(&after.bytes);
    Raw { bytes, ..after }.assert_right(sim, dialect, stream, fault);
}

#[tokio::test]
async fn rows_9_to_12_slow_head_slow_first_token_and_a_pause() {
    let sim = Arc::new(sim().await);
    let mut checks = JoinSet::new();
    for dialect in DIALECTS {
        for stream in [false, true] {
            for fault in ["slow-headers:5s", "slow-first-token:5s", "stall:5s@3"] {
                let sim = Arc::clone(&sim);
                checks.spawn(async move { pauses(&sim, dialect, stream, fault).await });
            }
        }
    }
    assert_eq!(checks.join_all().await.len(), 12);
}

#[tokio::test]
async fn row_12_a_stall_without_end_is_noticed_when_the_client_leaves() {
    let sim = sim().await;
    for stream in [false, true] {
        let raw = ask(&sim, Dialect::OpenAi, stream, "stall").await;
        assert_eq!(raw.end, End::Silence);
        assert_eq!(raw.body(), Err(Broken::Short));
        assert!(!raw.has_terminal());
    }
    assert!(sim.wait_until(Duration::from_secs(5), |stats| stats.cancelled == 2 && stats.in_flight == 0).await);
}

#[tokio::test]
async fn rows_13_and_14_drip_and_bandwidth() {
    let sim = Sim::start(SimOptions { answer_tokens: 2, ..SimOptions::named("g") }).await.unwrap();
    for stream in [false, true] {
        let raw = ask(&sim, Dialect::Anthropic, stream, "drip:1ms").await;
        let body = raw.body().unwrap().len();
        raw.assert_right(&sim, Dialect::Anthropic, stream, "drip");
        assert!(raw.reads > body / 8, "{} reads of {body} bytes", raw.reads);
        let slow =
            tokio::time::timeout(Duration::from_millis(200), ask(&sim, Dialect::OpenAi, stream, "bandwidth-cap:500"));
        assert!(slow.await.is_err(), "more than 100 bytes of body take more than 200 ms at 500 bytes a second");
        let quick = ask(&sim, Dialect::OpenAi, stream, "bandwidth-cap:100000").await;
        quick.assert_right(&sim, Dialect::OpenAi, stream, "bandwidth-cap");
    }
}

#[tokio::test]
async fn rows_15_and_16_cuts() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            for (fault, end, framing) in [
                ("mid-stream-cut", End::Fin, Ok(())),
                ("mid-stream-close", End::Fin, Ok(())),
                ("mid-stream-reset", End::Reset, Err(Broken::Short)),
                ("chunked-truncated", End::Fin, Err(Broken::Short)),
                ("chunked-bad-size", End::Fin, Err(Broken::BadChunk)),
            ] {
                let raw = ask(&sim, dialect, stream, &format!("{fault}:3")).await;
                assert_eq!(
                    (raw.status(), raw.end, raw.body().map(drop)),
                    (200, end, framing),
                    "{fault} {dialect} {stream}"
                );
                assert!(!raw.has_terminal(), "{fault}");
                let closes = fault == "mid-stream-close";
                assert_eq!(raw.header("transfer-encoding").is_none(), closes, "{fault}");
                if stream {
                    assert_eq!(content_events(&raw), 3, "{fault} {dialect}");
                    assert!(
                        !raw.body_so_far().contains("finish_reason\":\"")
                            && !raw.body_so_far().contains("message_delta")
                    );
                } else {
                    assert!(serde_json::from_str::<Value>(&raw.body_so_far()).is_err(), "{fault}");
                }
            }
        }
        let raw = ask(&sim, dialect, true, "no-terminal").await;
        assert!(raw.body().is_ok() && !raw.has_terminal());
        assert!(raw.body_so_far().contains("finish_reason\":\"stop") || raw.body_so_far().contains("end_turn"));
        ask(&sim, dialect, true, "mid-stream-cut:0").await;
        let last = sim.requests().pop().unwrap();
        assert_eq!((last.ending, last.fault.as_deref()), (Ending::Complete, Some("mid-stream-cut:0")));
    }
}

#[tokio::test]
async fn row_18_an_event_that_is_not_json() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for (fault, bad_at) in [("malformed-event:4", 4), ("truncated-json", 0)] {
            let raw = ask(&sim, dialect, true, fault).await;
            let events = raw.events();
            let bad: Vec<usize> = (0..events.len())
                .filter(|at| events[*at] != "[DONE]" && serde_json::from_str::<Value>(&events[*at]).is_err())
                .collect();
            let opening = if dialect == Dialect::OpenAi { 1 } else { 3 };
            assert_eq!(bad, [opening + bad_at], "{fault} {dialect}");
            assert!(raw.has_terminal());
        }
    }
}

#[tokio::test]
async fn rows_19_and_20_what_must_be_invisible() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            for fault in [
                "split-every-byte",
                "split-random",
                "sse-crlf",
                "sse-cr",
                "sse-mixed-line-ends",
                "sse-comments",
                "sse-multi-line-data",
                "sse-bom",
            ] {
                let raw = ask(&sim, dialect, stream, fault).await;
                raw.assert_right(&sim, dialect, stream, fault);
                if fault == "split-every-byte" {
                    assert!(raw.reads > 20, "{} reads of {} bytes", raw.reads, raw.bytes.len());
                }
            }
        }
        let bom = ask(&sim, dialect, true, "sse-bom").await;
        assert!(bom.body().unwrap().starts_with(&[0xef, 0xbb, 0xbf]));
        let cr = ask(&sim, dialect, true, "sse-cr").await;
        assert!(!cr.body_so_far().contains('\n') && cr.body_so_far().ends_with("\r\r"));
        let unfinished = ask(&sim, dialect, true, "sse-no-final-blank-line").await;
        assert!(unfinished.body().is_ok() && !unfinished.has_terminal());
        assert!(!unfinished.body_so_far().ends_with("\n\n"));
    }
}

#[tokio::test]
async fn row_21_error_events() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for (fault, content) in [("error-event-first", 0), ("error-event-later:0", 0), ("error-event-later:3", 3)] {
            let raw = ask(&sim, dialect, true, fault).await;
            let events = raw.events();
            assert!(raw.body().is_ok() && !raw.has_terminal());
            assert_eq!(content_events(&raw), content, "{fault} {dialect}");
            let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
            assert!(last["error"]["message"].is_string());
            assert_eq!(raw.body_so_far().contains("event: error\n"), dialect == Dialect::Anthropic);
            assert_eq!(events.len() == 1, fault == "error-event-first");
        }
    }
}

#[tokio::test]
async fn row_22_duplicates_wrong_order_and_an_afterlife() {
    let sim = sim().await;
    for dialect in DIALECTS {
        let right = ask(&sim, dialect, true, "").await.events();
        let doubled = ask(&sim, dialect, true, "duplicate-events").await.events();
        assert_eq!(doubled[0], doubled[1]);
        let extra = if dialect == Dialect::OpenAi { 2 } else { 5 };
        assert_eq!(doubled.len(), right.len() + extra);
        let swapped = ask(&sim, dialect, true, "out-of-order-events").await.events();
        let mut sorted = (right.clone(), swapped.clone());
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1);
        let last_content =
            right.iter().rposition(|event| event.contains("\"content\"") || event.contains("text_delta")).unwrap();
        assert_eq!(
            (&swapped[last_content], &swapped[last_content + 1]),
            (&right[last_content + 1], &right[last_content])
        );
        let after = ask(&sim, dialect, true, "events-after-terminal").await.events();
        assert_eq!(after[..right.len()], right);
        assert_eq!(after.len(), right.len() + 2);
    }
}

#[tokio::test]
async fn the_bytes_of_a_split_answer_are_those_of_a_right_one() {
    let with = |fault: Option<SimFault>| async move {
        let options = SimOptions { fault: fault.map(Into::into), ..SimOptions::named("same") };
        let sim = Sim::start(options).await.unwrap();
        ask(&sim, Dialect::OpenAi, true, "").await.bytes
    };
    let right = with(None).await;
    assert_eq!(with(Some(SimFault::SplitEveryByte)).await, right);
    assert_eq!(with(Some(SimFault::SplitRandom)).await, right);
}
