//! Rows 38 to 46: how calls spread over healthy and ailing targets, and what happens when the caller goes away.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_sim::{Delay, Sim, SimOptions};

use super::table::{KINDS, side_by_side, sims, small_document};
use crate::support::{
    Bench, LIMITS, SOON, TIMES, Terminal, eventually, now, path, post, question, read_until, terminal,
};

/// Asks `model` so many times, `side_by_side` at once; returns the answers.
async fn drive(
    bench: &Arc<Bench>,
    model: &'static str,
    calls: usize,
    side_by_side: usize,
) -> Vec<crate::support::Answer> {
    let mut running = JoinSet::new();
    for _ in 0..side_by_side {
        let bench = bench.clone();
        running.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..calls / side_by_side {
                answers.push(bench.ask(Dialect::OpenAi, model, true).await);
            }
            answers
        });
    }
    let mut answers = Vec::new();
    while let Some(some) = running.join_next().await {
        answers.extend(some.unwrap());
    }
    answers
}

/// Three targets behind `least-latency`: `faulty` with a fault, two that are well.
async fn three(fault: &str) -> (Sim, [Sim; 2], Arc<Bench>) {
    // More than a busy machine adds to it, since it is what is compared.
    let delay = Delay::Uniform(Duration::from_millis(40), Duration::from_millis(60));
    let options = |name: &str| SimOptions { first_token: delay, ..SimOptions::named(name) };
    let faulty = SimOptions { fault: Some(fault.parse().unwrap()), ..options("faulty") };
    let faulty = Sim::start(faulty).await.unwrap();
    let well = [Sim::start(options("backup")).await.unwrap(), Sim::start(options("spare")).await.unwrap()];
    let mut yaml = "providers:\n".to_owned();
    for sim in [&faulty, &well[0], &well[1]] {
        let url = sim.base_url();
        yaml += &format!("  - {{name: at-{}, dialect: openai, base-url: \"{url}/v1\", discover: false}}\n", sim.name());
    }
    yaml += &format!(
        "models: [{{name: group, strategy: least-latency, timeouts: {TIMES}, \
         targets: [{{use: at-faulty/m}}, {{use: at-backup/m}}, {{use: at-spare/m}}]}}]\n"
    );
    let bench = Arc::new(Bench::start(&yaml).await);
    (faulty, well, bench)
}

fn successes(answers: &[crate::support::Answer]) -> usize {
    answers.iter().filter(|answer| terminal(answer, Dialect::OpenAi, true) == Terminal::Success).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_38_a_flapping_target_is_taken_out() {
    let (faulty, well, bench) = three("flapping").await;
    let answers = drive(&bench, "group", 400, 8).await;
    assert!(successes(&answers) >= 392, "{} of 400", successes(&answers));
    let before = faulty.stats().requests;
    assert!(before <= 60, "{before} of 400 calls went to it");
    // While it rests nothing reaches it: no oscillation.
    let answers = drive(&bench, "group", 200, 8).await;
    assert_eq!(successes(&answers), 200);
    assert!(faulty.stats().requests - before <= 10, "{} more", faulty.stats().requests - before);
    bench.is_back_at_baseline(&[&faulty, &well[0], &well[1]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_39_a_gray_target_gets_less() {
    let (faulty, well, bench) = three("gray:10").await;
    let answers = drive(&bench, "group", 400, 8).await;
    assert!(successes(&answers) >= 392, "{} of 400", successes(&answers));
    let share = faulty.stats().requests as f64 / 400.0;
    assert!(share < 0.15, "a tenth of the speed and {:.0} % of the calls", share * 100.0);
    bench.is_back_at_baseline(&[&faulty, &well[0], &well[1]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_41_a_target_that_fails_fast_does_not_attract_load() {
    let (faulty, well, bench) = three("fast-fail").await;
    let answers = drive(&bench, "group", 400, 8).await;
    assert!(successes(&answers) >= 392, "{} of 400", successes(&answers));
    assert!(faulty.stats().requests <= 20, "{} of 400 calls went to it", faulty.stats().requests);
    bench.is_back_at_baseline(&[&faulty, &well[0], &well[1]]).await;
}

/// Everything is down: the answer is quick, says when to come back, and nothing piles up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_40_all_down_fails_fast() {
    let (faulty, _) = sims("connect-refused").await;
    let backup = Sim::start(SimOptions { fault: Some("error-503".parse().unwrap()), ..SimOptions::named("backup") });
    let backup = backup.await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let settings = format!("timeouts: {TIMES}, retry: {{attempts: 2}}");
    let bench = Arc::new(Bench::start(&small_document([&faulty, &backup], folder.path(), &settings)).await);
    drive(&bench, "pair-openai", 12, 4).await;
    let asked = backup.stats().requests;
    for (dialect, stream) in KINDS.into_iter().take(2) {
        let began = now();
        let answer = bench.ask(dialect, "pair-openai", stream).await;
        let down = Terminal::ErrorStatus(503, Some("TW2001".to_owned()));
        assert_eq!(terminal(&answer, dialect, stream), down, "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let record = bench.record(&answer).await;
        assert_eq!((&record["attempts"], &record["outcome"]), (&json!([]), &json!("failed")), "{record}");
    }
    assert_eq!(backup.stats().requests, asked, "nobody is asked in vain");
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_40_rules_answer_when_all_are_down() {
    let (faulty, _) = sims("connect-refused").await;
    let backup = Sim::start(SimOptions { fault: Some("error-500".parse().unwrap()), ..SimOptions::named("backup") });
    let backup = backup.await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let settings = format!("timeouts: {TIMES}, retry: {{attempts: 2}}, last-resort: {{rules: house}}");
    let yaml = small_document([&faulty, &backup], folder.path(), &settings)
        + "responders: [{name: house, rules: [{contains: [wind], answer: From the north.}], otherwise: Nobody knows.}]\n";
    let bench = Bench::start(&yaml).await;
    for (dialect, stream) in KINDS {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), stream).await;
        assert_eq!(terminal(&answer, dialect, stream), Terminal::Success, "{}", answer.text());
        assert_eq!(answer.said(dialect), "From the north.");
        assert_eq!(answer.header("x-tradewind-target"), Some("rules/house"));
        let record = bench.record(&answer).await;
        assert_eq!((&record["outcome"], &record["chosen"]), (&json!("last_resort"), &json!("rules/house")), "{record}");
        assert_eq!(record["attempts"].as_array().unwrap().len(), 2, "{record}");
    }
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// A caller that hangs up in the middle of a stream: the provider stops long before its end, what was used is accounted, and
/// the target's health is not touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_42_a_caller_that_hangs_up_stops_the_provider() {
    let slow = SimOptions { tokens_per_second: Some(20.0), answer_tokens: 2000, ..SimOptions::named("faulty") };
    let (faulty, backup) = (Sim::start(slow).await.unwrap(), Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = small_document([&faulty, &backup], folder.path(), "timeouts: {total: 100s}")
        .replace("/m}", "/m, price: {input: 1, output: 2}}");
    let bench = Bench::start(&yaml).await;
    for (number, dialect) in [Dialect::OpenAi, Dialect::Anthropic].into_iter().enumerate() {
        let model = format!("pair-{dialect}");
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        stream.write_all(&post(path(dialect), "", &question(dialect, &model, true).to_string())).await.unwrap();
        read_until(&mut stream, "faulty").await;
        drop(stream);
        let gone = number as u64 + 1;
        assert!(faulty.wait_until(SOON, |stats| stats.cancelled == gone).await, "{:?}", faulty.stats());
        let record = bench.only_record(&model).await;
        assert_eq!((&record["outcome"], &record["fault"]), (&json!("client_gone"), &json!("client_gone")), "{record}");
        let attempt = &record["attempts"][0];
        assert_eq!((&attempt["outcome"], &record["attempts"][1]), (&json!("client_gone"), &Value::Null), "{record}");
        assert!(record["usage"]["output"].as_u64().unwrap() > 0 && record["usage"]["estimated"] == true, "{record}");
        assert!(record["cost_usd"].as_f64().unwrap() > 0.0, "{record}");
    }
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
    let health = bench
        .target("first-openai/m")
        .view(&bench.gateway.models().needs().services.health, bench.gateway.models().needs().services.clock.now());
    assert_eq!(health.error_rate, 0.0);
}

/// The same before any answer has come: whole answers, and streams that wait for their first token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_42_a_caller_that_hangs_up_while_waiting_stops_the_provider() {
    let (faulty, backup) = sims("no-headers").await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), "timeouts: {total: 100s}")).await;
    for (number, (dialect, stream)) in KINDS.into_iter().enumerate() {
        let gone = number as u64 + 1;
        // Another name for the same target, so that each call's record is found by it.
        let mut connection = TcpStream::connect(bench.address).await.unwrap();
        let body = question(dialect, &format!("pair-{dialect}"), stream).to_string();
        connection.write_all(&post(path(dialect), "", &body)).await.unwrap();
        assert!(faulty.wait_until(SOON, |stats| stats.requests == gone).await);
        drop(connection);
        assert!(faulty.wait_until(SOON, |stats| stats.cancelled == gone).await, "{:?}", faulty.stats());
    }
    eventually("each call has its record", SOON, async || bench.records("outcome=client_gone").await.len() == 4).await;
    for record in bench.records("outcome=client_gone").await {
        assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
        assert!(record["usage"]["input"].as_u64().unwrap() > 0, "the question was sent and is accounted: {record}");
    }
    assert_eq!(backup.stats().requests, 0);
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// A third of all calls fail at first: at most a fifth of them, and the reserve, are tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_44_a_retry_budget_bounds_the_storm() {
    let shaky = SimOptions {
        error_rate: 0.35,
        error_faults: vec!["error-500".parse().unwrap()],
        ..SimOptions::named("faulty")
    };
    let (faulty, backup) = (Sim::start(shaky).await.unwrap(), Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = small_document([&faulty, &backup], folder.path(), &format!("timeouts: {TIMES}, retry: {{extra: 0.1}}"));
    // A target for each call, so that no breaker opens: only the budget is in the way.
    let mut models = yaml.split("models:").next().unwrap().to_owned() + "models:\n  - {name: storm, timeouts: ";
    models += &format!("{TIMES}, strategy: weighted, retry: {{extra: 0.1}}, targets: [");
    for number in 0..64 {
        models += &format!("{{use: first-openai/m{number}}}, ");
    }
    models += "]}\n";
    let bench = Arc::new(Bench::start(&models).await);
    let began = now();
    let answers = drive(&bench, "storm", 400, 8).await;
    let seconds = began.elapsed().as_secs_f64();
    let extra = faulty.stats().requests - 400;
    assert!((extra as f64) <= 0.1 * 400.0 + 10.0 + seconds + 1.0, "{extra} extra attempts in {seconds} s");
    // While there is budget a call may still fail at each of its attempts: that one says what the provider did.
    let (refused, failed): (Vec<_>, Vec<_>) =
        answers.iter().filter(|one| one.status != 200).partition(|one| one.status == 503);
    assert!(refused.len() > 20, "the budget was hardly reached: {} calls", refused.len());
    for answer in failed {
        assert_eq!(terminal(answer, Dialect::OpenAi, true), Terminal::ErrorStatus(502, Some("TW3006".to_owned())));
        assert_eq!(bench.record(answer).await["attempts"].as_array().unwrap().len(), 4);
    }
    let record = bench.record(refused[0]).await;
    assert!(record["notes"].to_string().contains("retry budget"), "{record}");
    assert_eq!(terminal(refused[0], Dialect::OpenAi, true), Terminal::ErrorStatus(503, Some("TW2003".to_owned())));
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// A tool that the provider runs itself may have run: the outcome is unknown, and the call is not sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_45_a_call_that_may_have_had_effects_is_not_sent_again() {
    Box::pin(side_by_side(
        ["no-headers", "reset-before-response", "error-500", "mid-stream-reset:0"].map(is_not_sent_again),
    ))
    .await;
}

async fn is_not_sent_again(fault: &'static str) {
    let (faulty, backup) = sims(fault).await;
    let folder = tempfile::TempDir::new().unwrap();
    let times = "timeouts: {connect: 10s, headers: 900ms, first-token: 900ms, total: 18s}";
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), times)).await;
    for (dialect, stream) in KINDS {
        let mut body = question(dialect, &format!("pair-{dialect}"), stream);
        body["tools"] = match dialect {
            Dialect::OpenAi => json!([{"type": "code_interpreter"}]),
            Dialect::Anthropic => json!([{"type": "code_execution_20250522", "name": "code_execution"}]),
        };
        let answer = bench.ask_with(dialect, &body, "").await;
        assert!(matches!(terminal(&answer, dialect, stream), Terminal::ErrorStatus(_, Some(_))), "{fault}");
        assert_eq!(bench.record(&answer).await["attempts"].as_array().unwrap().len(), 1, "{fault}");
    }
    assert_eq!((faulty.stats().requests, backup.stats().requests), (4, 0), "{fault}");
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// Arguments that were cut at the token limit, and say so, are the caller's to handle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_46_a_tool_call_reaches_the_caller_whole() {
    let (faulty, backup) = sims("tool-arguments-split").await;
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = format!(
        "limits: {LIMITS}\n{}",
        small_document([&faulty, &backup], folder.path(), &format!("timeouts: {TIMES}"))
    );
    let bench = Bench::start(&yaml).await;
    let mut seen = Vec::new();
    for (dialect, stream) in KINDS {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), stream).await;
        assert_eq!(terminal(&answer, dialect, stream), Terminal::Success);
        let arguments = if stream {
            let events = answer.events().into_iter().filter_map(|event| serde_json::from_str::<Value>(&event).ok());
            let piece = |event: Value| match dialect {
                Dialect::OpenAi => {
                    let call = &event["choices"][0]["delta"]["tool_calls"][0];
                    call["function"]["arguments"].as_str().map(str::to_owned)
                }
                Dialect::Anthropic => event["delta"]["partial_json"].as_str().map(str::to_owned),
            };
            events.filter_map(piece).collect::<String>()
        } else {
            match dialect {
                Dialect::OpenAi => {
                    let call = &answer.json()["choices"][0]["message"]["tool_calls"][0];
                    call["function"]["arguments"].as_str().unwrap().to_owned()
                }
                Dialect::Anthropic => answer.json()["content"][0]["input"].to_string(),
            }
        };
        seen.push(serde_json::from_str::<Value>(&arguments).unwrap());
    }
    assert!(seen.iter().all(|one| *one == seen[0] && one["city"] == "Ærø \"north\""), "{seen:?}");
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}
