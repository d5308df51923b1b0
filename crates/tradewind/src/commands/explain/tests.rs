//! The page of each kind of ending, whole. The records are the gateway's own type, so that a field that is renamed there
//! is missed here.

use std::sync::Arc;
use std::time::Duration;

use tradewind_core::{
    Context, DecisionId, Device, Dialect, FaultKind, Label, Labels, SaidBy, TargetId, UnixMillis, Usage, Usd,
};
use tradewind_decide::{Candidate, Decision, Parts, Reason, ScoreParts, Weights};
use tradewind_telemetry::{Attempt, Choice, ComplexityParts, Kept, Led, Meaning, Outcome, Record, Trace};

use super::explain;

fn millis(millis: f64) -> Duration {
    Duration::from_micros((millis * 1000.0) as u64)
}

fn candidate(rank: u16, target: &str, reason: Reason, parts: Parts) -> Candidate {
    let (rank, eligible) = (Some(rank).filter(|rank| *rank > 0), rank > 0);
    Candidate { leaf: 0, target: TargetId::new(target), rank, score: 1.0, parts, reason, eligible }
}

fn parts(first_token_ms: f64, in_flight: f64, cost: f64) -> Parts {
    Parts {
        weight: Some(1.0),
        in_flight: Some(in_flight),
        first_token_ms: Some(first_token_ms),
        cost: Some(cost),
        ..Parts::default()
    }
}

fn attempt(target: &str, started: f64, ended: f64, outcome: Outcome) -> Attempt {
    let begun = Attempt::new(TargetId::new(target), false, millis(started));
    Attempt { ended: millis(ended), outcome, ..begun }
}

fn failed(target: &str, started: f64, ended: f64, fault: FaultKind, detail: &'static str) -> Attempt {
    Attempt { fault: Some(fault), detail: Some(detail.into()), ..attempt(target, started, ended, Outcome::Failed) }
}

fn answered(target: &str, started: f64, first_byte: f64, ended: f64) -> Attempt {
    Attempt { first_byte: Some(millis(first_byte)), status: Some(200), ..attempt(target, started, ended, Outcome::Ok) }
}

/// The record of a call that went well, without candidates and attempts.
fn record(elapsed: f64) -> Record {
    let at = UnixMillis(1_795_294_621_123);
    let begun = Record::new(DecisionId::first_at(at), at, "models", "chat", Arc::from("3f2a9c0d11e84b75"));
    Record {
        dialect: Some(Dialect::OpenAi),
        stream: true,
        model: Arc::from("assistant"),
        outcome: Outcome::Ok,
        status: 200,
        usage: Some(Usage { input: 31, output: 24, ..Usage::default() }),
        cost: Some(Usd::from_pico(121_000_000)),
        elapsed: millis(elapsed),
        ..begun
    }
}

/// What goes wrong with the whole call.
fn ending(mut record: Record, outcome: Outcome, status: u16, fault: FaultKind, detail: &'static str) -> Record {
    record.outcome = outcome;
    record.status = status;
    record.fault = Some(fault);
    record.detail = Some(detail.into());
    record
}

fn three() -> Decision {
    let candidates = [
        candidate(1, "gale/chat", Reason::CheaperOfTwo, parts(84.0, 2.0, 0.1712)),
        candidate(2, "breeze/chat", Reason::NextByCost, parts(231.4, 0.0, 0.4)),
        candidate(
            0,
            "drift/chat",
            Reason::BreakerOpen(millis(2400.0)),
            Parts { error_rate: Some(0.31), ..Parts::default() },
        ),
    ];
    Decision { candidates: candidates.into_iter().collect() }
}

fn page(record: &Record) -> String {
    explain(&serde_json::from_str(&record.to_json()).unwrap())
}

#[test]
fn an_answer() {
    let mut record = record(412.3);
    record.decision = three();
    record.chosen = Some(TargetId::new("gale/chat"));
    record.attempts = [answered("gale/chat", 0.4, 81.2, 412.3)].into_iter().collect();
    insta::assert_snapshot!(page(&record));
}

#[test]
fn a_fallback_after_two_faults() {
    let mut record = record(1412.0);
    record.decision = three();
    record.chosen = Some(TargetId::new("drift/chat"));
    record.usage = record.usage.map(|usage| Usage { cached: 16, reasoning: 8, ..usage });
    record.attempts = [
        failed("gale/chat", 0.4, 1001.0, FaultKind::HeadersTimeout, "gale/chat sent no response head within 1s"),
        failed(
            "breeze/chat",
            1001.1,
            1003.2,
            FaultKind::ServerError,
            "http://127.0.0.1:9 answered 503 Service Unavailable",
        ),
        answered("drift/chat", 1003.3, 1380.0, 1412.0),
    ]
    .into_iter()
    .collect();
    insta::assert_snapshot!(page(&record));
}

#[test]
fn a_hedge_that_won() {
    let mut record = record(390.0);
    record.decision = three();
    record.chosen = Some(TargetId::new("breeze/chat"));
    let overtaken = "another attempt of the same call was faster";
    let mut slow = failed("gale/chat", 0.3, 350.0, FaultKind::LostHedge, overtaken);
    slow.outcome = Outcome::Cancelled;
    let hedge = Attempt { hedge: true, ..answered("breeze/chat", 140.0, 350.0, 390.0) };
    record.attempts = [slow, hedge].into_iter().collect();
    insta::assert_snapshot!(page(&record));
}

#[test]
fn a_hedge_that_lost() {
    let mut record = record(390.0);
    record.stream = false;
    record.decision = three();
    record.chosen = Some(TargetId::new("gale/chat"));
    let overtaken = "another attempt of the same call was faster";
    let mut hedge = failed("breeze/chat", 140.0, 390.0, FaultKind::LostHedge, overtaken);
    hedge.outcome = Outcome::Cancelled;
    hedge.hedge = true;
    record.attempts = [answered("gale/chat", 0.3, 390.0, 390.0), hedge].into_iter().collect();
    insta::assert_snapshot!(page(&record));
}

#[test]
fn a_stream_that_broke_off() {
    let mut record = record(640.0);
    record.decision = three();
    record.chosen = Some(TargetId::new("gale/chat"));
    record.usage = record.usage.map(|usage| Usage { estimated: true, ..usage });
    record.cost = None;
    let detail = "gale/chat ended the stream without its last event";
    let mut cut = answered("gale/chat", 0.4, 81.2, 640.0);
    (cut.outcome, cut.fault, cut.detail) = (Outcome::Partial, Some(FaultKind::Cut), Some(detail.into()));
    record.attempts = [cut].into_iter().collect();
    let record = ending(record, Outcome::Partial, 200, FaultKind::Cut, detail);
    insta::assert_snapshot!(page(&record));
}

#[test]
fn a_last_resort() {
    let mut record = record(2.9);
    record.chosen = Some(TargetId::new("rules/rules"));
    record.usage = None;
    let only = candidate(1, "gale/chat", Reason::OnlyOne, parts(84.0, 0.0, 0.084));
    record.decision = Decision { candidates: [only].into_iter().collect() };
    let detail = "http://127.0.0.1:9: connection refused";
    record.attempts = [failed("gale/chat", 0.2, 1.1, FaultKind::ConnectRefused, detail)].into_iter().collect();
    record.notes = vec!["the retry budget of this model was used up".into()];
    let record = ending(record, Outcome::LastResort, 200, FaultKind::ConnectRefused, detail);
    insta::assert_snapshot!(page(&record));
}

#[test]
fn a_request_that_the_target_refused() {
    let mut record = record(61.0);
    record.decision = three();
    record.usage = None;
    record.chosen = Some(TargetId::new("gale/chat"));
    let detail = "gale/chat refused the request itself";
    let mut refused = failed("gale/chat", 0.4, 61.0, FaultKind::Rejected, detail);
    (refused.outcome, refused.status) = (Outcome::Rejected, Some(400));
    record.attempts = [refused].into_iter().collect();
    let record = ending(record, Outcome::Rejected, 400, FaultKind::Rejected, detail);
    insta::assert_snapshot!(page(&record));
}

#[test]
fn a_request_that_the_gateway_refused() {
    let mut record = record(0.2);
    record.usage = None;
    record.model = Arc::from("asistant");
    let detail = "there is no model `asistant`: did you mean `assistant`?";
    let record = ending(record, Outcome::Rejected, 404, FaultKind::Rejected, detail);
    insta::assert_snapshot!(page(&record));
}

#[test]
fn no_candidate() {
    let mut record = record(0.3);
    record.usage = None;
    let resting = [
        candidate(
            0,
            "gale/chat",
            Reason::BreakerOpen(millis(2400.0)),
            Parts { error_rate: Some(0.62), ..Parts::default() },
        ),
        candidate(0, "breeze/chat", Reason::KeysCooling(millis(900.0)), Parts::default()),
    ];
    record.decision = Decision { candidates: resting.into_iter().collect() };
    let detail = "gale/chat: breaker open for another 3s; breeze/chat: rate limited for another 900ms";
    let record = ending(record, Outcome::Failed, 503, FaultKind::Busy, detail);
    insta::assert_snapshot!(page(&record));
}

#[test]
fn everybody_failed() {
    let mut record = record(3.2);
    record.decision = three();
    record.usage = None;
    let detail = "http://127.0.0.1:9 answered 503 Service Unavailable";
    record.attempts = [
        failed("gale/chat", 0.4, 1.5, FaultKind::ServerError, detail),
        failed("breeze/chat", 1.6, 3.1, FaultKind::ServerError, detail),
    ]
    .into_iter()
    .collect();
    let record = ending(record, Outcome::Failed, 502, FaultKind::ServerError, detail);
    insta::assert_snapshot!(page(&record));
}

#[test]
fn a_caller_that_went_away() {
    let mut record = record(640.0);
    record.decision = three();
    record.chosen = Some(TargetId::new("gale/chat"));
    let mut running = answered("gale/chat", 0.4, 81.2, 640.0);
    running.outcome = Outcome::ClientGone;
    record.attempts = [running].into_iter().collect();
    let detail = "the caller went away before the end";
    let record = ending(record, Outcome::ClientGone, 499, FaultKind::ClientGone, detail);
    insta::assert_snapshot!(page(&record));
}

#[test]
fn a_record_of_another_version_is_no_reason_to_fail() {
    let page = explain(&serde_json::json!({"id": 7, "candidates": {}, "attempts": [{}, 3], "usage": []}));
    assert!(page.starts_with("decision -  -\n"), "{page}");
}

#[test]
fn a_translated_call_with_a_key_and_a_trace() {
    let mut record = record(312.0);
    record.key = Some(Arc::from("ci"));
    record.tenant = Some(Arc::from("build"));
    record.translated = Some("messages");
    record.dropped = vec!["user".to_owned(), "messages[0].content[1].cache_control".to_owned()];
    record.finish = Some("tool_use".into());
    record.overhead = Some(millis(0.07));
    record.chosen = Some(TargetId::new("anthropic/claude"));
    record.trace =
        Some(Trace::from_headers(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), None, &mut || 7));
    record.attempts.push(answered("anthropic/claude", 0.1, 200.0, 312.0));
    insta::assert_snapshot!(page(&record));
}

/// A candidate of a group that scores.
fn scored(rank: u16, target: &str, reason: Reason, score: ScoreParts) -> Candidate {
    let parts = Parts { weight: Some(1.0), in_flight: Some(2.0), cost: Some(0.2), ..Parts::default() };
    candidate(rank, target, reason, Parts { score: Some(Box::new(score)), ..parts })
}

fn choice(meaning: Option<Meaning>) -> Choice {
    let complexity =
        ComplexityParts { value: 0.42, length: 0.5, spread: 0.31, entities: 0.2, code: 0.5, constraints: 0.4 };
    Choice { meaning, complexity: Some(complexity), ..Choice::default() }
}

#[test]
fn a_choice_by_score() {
    let label = |text: &str, by| Label { text: Arc::from(text), by };
    let labels = Labels {
        role: Some(label("admin", SaidBy::Key)),
        tenant: Some(Arc::from("build")),
        region: Some(label("eu", SaidBy::Signature)),
        tags: vec![label("batch", SaidBy::Key), label("nightly", SaidBy::Signature)],
        overruled: vec!["region"],
    };
    let meaning = Meaning {
        embedder: Arc::from("encoder"),
        basis: "words and vectors",
        confidence: 0.87,
        margin: 0.41,
        abstained: false,
    };
    let set = Weights::default();
    let weights = set.with_meaning(0.7);
    let parts = ScoreParts {
        total: 0.941,
        meaning: 1.0,
        load: 0.97,
        cost: 0.31,
        weights,
        set_weights: Some(set),
        complexity: Some(0.42),
        price: Some(Usd::from_pico(4_110_000_000)),
        ..ScoreParts::default()
    };
    let mut record = record(412.3);
    record.decision.candidates = [
        scored(1, "anthropic/claude-sonnet-4-5", Reason::BestScore, parts),
        scored(
            2,
            "openai/gpt-5-mini",
            Reason::NextByScore,
            ScoreParts {
                total: 0.512,
                meaning: 0.12,
                load: 1.0,
                cost: 1.0,
                price: Some(Usd::from_pico(412_000_000)),
                prior: Some(0.8),
                quota_left: Some(0.04),
                quota_resets_s: Some(12.5),
                ..parts
            },
        ),
        scored(
            3,
            "local/qwen3",
            Reason::NextByScore,
            ScoreParts {
                total: 0.3,
                meaning: 0.4,
                load: 0.2,
                cost: 0.5,
                meaning_assumed: true,
                cost_assumed: true,
                price: None,
                quota_left: Some(1.0),
                weights: Weights::new(0.0, 1.0, 1.0).unwrap(),
                ..parts
            },
        ),
        candidate(0, "us/large", Reason::Unfit("its region is us, and has to be eu".into()), Parts::default()),
    ]
    .into_iter()
    .collect();
    record.choice = Some(Box::new(Choice {
        context: Some(Context::new(Some(Arc::new(labels)), Some((Device::Mobile, SaidBy::UserAgent)))),
        rule: Some(Led { number: 1, to: Arc::from("strong") }),
        affinity: Some("session"),
        ..choice(Some(meaning))
    }));
    record.chosen = Some(TargetId::new("anthropic/claude-sonnet-4-5"));
    record.attempts = [answered("anthropic/claude-sonnet-4-5", 0.4, 81.2, 412.3)].into_iter().collect();
    insta::assert_snapshot!(page(&record));
}

#[test]
fn a_question_that_nobody_fits() {
    let set = Weights::default();
    let meaning =
        Meaning { embedder: Arc::from("lexical"), basis: "words", confidence: 0.08, margin: 0.0, abstained: true };
    let parts = ScoreParts {
        total: 1.0,
        load: 1.0,
        cost: 1.0,
        weights: set.with_meaning(0.0),
        set_weights: Some(set),
        ..ScoreParts::default()
    };
    let mut record = record(12.0);
    record.decision.candidates = [scored(1, "up/small", Reason::DefaultNoneFits, parts)].into_iter().collect();
    record.choice = Some(Box::new(Choice { affinity: Some("prompt-cache"), ..choice(Some(meaning)) }));
    record.chosen = Some(TargetId::new("up/small"));
    insta::assert_snapshot!(page(&record));
}

#[test]
fn answers_that_were_kept() {
    let decision = DecisionId::first_at(UnixMillis(1_795_294_000_000));
    for (name, similarity) in [("the_same_request", None), ("the_same_meaning", Some(0.973))] {
        let mut record = record(0.4);
        let kind = if similarity.is_some() { "meaning" } else { "exact" };
        let cache = Some(Kept { kind, decision, age_ms: 72_400, similarity });
        record.choice = Some(Box::new(Choice { cache, ..Choice::default() }));
        record.chosen = Some(TargetId::new("up/small"));
        insta::assert_snapshot!(name, page(&record));
    }
}
