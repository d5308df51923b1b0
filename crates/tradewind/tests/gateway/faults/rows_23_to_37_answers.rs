//! Rows 23 to 37: the answer is not an answer, too large, a refusal, or its HTTP is unusual.

use serde_json::{Value, json};
use tradewind_core::{Dialect, FaultKind as K};

use super::table::Expect::{FallsBack, Partial, Passes, Refused};
use super::table::{check, paced_sims, side_by_side, sims, small_document};
use crate::support::{Bench, TIMES, Terminal, post, terminal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_23_wrong_content_type() {
    check(&[
        ("html-200", FallsBack(K::WrongContentType), FallsBack(K::WrongContentType)),
        ("json-for-stream", Passes, FallsBack(K::WrongContentType)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_24_empty_answers() {
    check(&[
        ("empty-body", FallsBack(K::EmptyAnswer), FallsBack(K::WrongContentType)),
        ("empty-choices", FallsBack(K::EmptyAnswer), FallsBack(K::EmptyAnswer)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_25_truncated_json() {
    check(&[("truncated-json", FallsBack(K::BadJson), FallsBack(K::BadEvent))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_26_missing_and_unknown_fields() {
    check(&[("missing-fields", FallsBack(K::BadShape), FallsBack(K::BadEvent)), ("unknown-fields", Passes, Passes)])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_27_answers_that_are_too_large() {
    check(&[
        ("huge-chunk:16777216", FallsBack(K::TooLarge), FallsBack(K::TooLarge)),
        ("huge-event:16777216", FallsBack(K::TooLarge), FallsBack(K::TooLarge)),
        ("huge-headers", FallsBack(K::TooLarge), FallsBack(K::TooLarge)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_28_compressed_answers() {
    check(&[
        ("gzip-bomb:16777216", FallsBack(K::TooLarge), FallsBack(K::TooLarge)),
        ("bad-gzip", FallsBack(K::BadEncoding), FallsBack(K::BadEncoding)),
        ("gzip-unasked", Passes, Passes),
        ("unknown-encoding", FallsBack(K::BadEncoding), FallsBack(K::BadEncoding)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_29_rate_limits_that_say_when() {
    check(&[
        ("rate-limit-seconds", FallsBack(K::RateLimited), FallsBack(K::RateLimited)),
        ("rate-limit-date", FallsBack(K::RateLimited), FallsBack(K::RateLimited)),
        ("rate-limit-vendor", FallsBack(K::RateLimited), FallsBack(K::RateLimited)),
        ("rate-limit-seconds:60s", FallsBack(K::RateLimited), FallsBack(K::RateLimited)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_30_rate_limits_that_do_not_say_when() {
    check(&[("rate-limit-bare", FallsBack(K::RateLimited), FallsBack(K::RateLimited))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_31_absurd_retry_after() {
    check(&[
        ("retry-after:1000000000", FallsBack(K::RateLimited), FallsBack(K::RateLimited)),
        ("retry-after:1e9", FallsBack(K::RateLimited), FallsBack(K::RateLimited)),
        ("retry-after-negative", FallsBack(K::RateLimited), FallsBack(K::RateLimited)),
        ("retry-after-garbage", FallsBack(K::RateLimited), FallsBack(K::RateLimited)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_32_errors_of_the_server() {
    check(&[
        ("error-500", FallsBack(K::ServerError), FallsBack(K::ServerError)),
        ("error-502", FallsBack(K::ServerError), FallsBack(K::ServerError)),
        ("error-503", FallsBack(K::ServerError), FallsBack(K::ServerError)),
        ("error-504", FallsBack(K::ServerError), FallsBack(K::ServerError)),
        ("error-529", FallsBack(K::ServerError), FallsBack(K::ServerError)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_33_keys_that_are_refused() {
    check(&[
        ("error-401", FallsBack(K::Unauthorized), FallsBack(K::Unauthorized)),
        ("error-403", FallsBack(K::Unauthorized), FallsBack(K::Unauthorized)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_34_requests_that_the_provider_refuses() {
    check(&[
        ("error-400", Refused(400), Refused(400)),
        ("error-413", Refused(413), Refused(413)),
        ("error-422", Refused(422), Refused(422)),
        ("context-too-long", Refused(400), Refused(400)),
        ("error-404", FallsBack(K::NotFound), FallsBack(K::NotFound)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_35_redirects() {
    check(&[
        ("redirect", FallsBack(K::Redirect), FallsBack(K::Redirect)),
        ("redirect:http://169.254.169.254/latest/meta-data", FallsBack(K::Redirect), FallsBack(K::Redirect)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_36_unusual_http() {
    check(&[
        ("interim-100", Passes, Passes),
        ("interim-103", Passes, Passes),
        ("http-1-0", Passes, Passes),
        ("trailers", Passes, Passes),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_37_http2() {
    check(&[
        ("h2-refused-stream", FallsBack(K::H2Refused), FallsBack(K::H2Refused)),
        ("h2-internal-error", FallsBack(K::Reset), FallsBack(K::Reset)),
        ("h2-stall", FallsBack(K::HeadersTimeout), FallsBack(K::FirstTokenTimeout)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_46_arguments_of_tool_calls() {
    check(&[
        ("tool-arguments-split", Passes, Passes),
        ("tool-arguments-invalid", FallsBack(K::BadToolCall), Partial(K::BadToolCall)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_49_usage_that_makes_no_sense() {
    check(&[
        ("usage-missing", Passes, Passes),
        ("usage-negative", Passes, Passes),
        ("usage-overflow", Passes, Passes),
        ("usage-wrong-type", Passes, Passes),
    ])
    .await;
}

/// The other operations have answers of other shapes, and each is checked by its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_24_26_other_operations() {
    // What the first attempt of each is to see.
    let cases: [(&str, [Option<&str>; 3]); 7] = [
        ("empty-choices", [Some("empty_answer"), Some("empty_answer"), None]),
        ("missing-fields", [Some("bad_shape"); 3]),
        ("empty-body", [Some("empty_answer"); 3]),
        ("truncated-json", [Some("bad_json"); 3]),
        ("html-200", [Some("wrong_content_type"); 3]),
        ("error-500", [Some("server_error"); 3]),
        ("unknown-fields", [None; 3]),
    ];
    side_by_side(cases.into_iter().map(|(fault, expected)| other_operations(fault, expected))).await;
}

/// Completions, embeddings and token counts, in this order.
async fn other_operations(fault: &'static str, expected: [Option<&'static str>; 3]) {
    const OPERATIONS: [(&str, &str); 3] =
        [("/v1/completions", "prompt"), ("/v1/embeddings", "input"), ("/v1/messages/count_tokens", "messages")];
    let (faulty, backup) = sims(fault).await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), &format!("timeouts: {TIMES}"))).await;
    for ((path, field), fault_seen) in OPERATIONS.into_iter().zip(expected) {
        let dialect = if path.ends_with("count_tokens") { "anthropic" } else { "openai" };
        let mut body = json!({"model": format!("pair-{dialect}")});
        body[field] = if field == "messages" { json!([{"role": "user", "content": "wind"}]) } else { json!("wind") };
        let answer = bench.send(&post(path, "", &body.to_string())).await;
        assert_eq!(answer.status, 200, "{fault} {path}: {}", answer.text());
        let record = bench.record(&answer).await;
        let attempts = record["attempts"].as_array().unwrap();
        let seen = if attempts.len() == 2 { attempts[0]["fault"].as_str() } else { None };
        assert_eq!((seen, &record["outcome"]), (fault_seen, &json!("ok")), "{fault} {path}: {record}");
    }
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_15_a_stream_of_completions_that_is_cut() {
    let (faulty, backup) = paced_sims("mid-stream-cut").await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), &format!("timeouts: {TIMES}"))).await;
    let body = json!({"model": "pair-openai", "prompt": "wind", "stream": true});
    let answer = bench.send(&post("/v1/completions", "", &body.to_string())).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, true), Terminal::ErrorEvent("TW3008".to_owned()));
    let finished = |event: String| {
        serde_json::from_str::<Value>(&event).is_ok_and(|event| event["choices"][0]["finish_reason"].is_string())
    };
    assert!(!answer.events().into_iter().any(finished), "a finish was invented: {}", answer.text());
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}
