//! What the journal's tests and its bench share: a record as a busy gateway makes them, and a clock that obeys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use smallvec::smallvec;
use tradewind_core::{Clock, DecisionId, Dialect, Moment, TargetId, UnixMillis, Usage, Usd};
use tradewind_decide::{Candidate, Parts, Reason};
use tradewind_telemetry::{Attempt, Outcome, Record};

/// 2026-11-21T20:57:01.123Z.
pub(crate) const START: UnixMillis = UnixMillis(1_795_294_621_123);

/// Stands still until it is told to move.
#[derive(Debug)]
pub(crate) struct TestClock {
    millis: AtomicU64,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { millis: AtomicU64::new(START.0) })
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.millis.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::from_micros((self.millis.load(Ordering::Relaxed) - START.0) * 1000)
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(self.millis.load(Ordering::Relaxed))
    }
}

/// The records in a row of the file, as any program may read them.
pub(crate) fn lines(packed: &[u8]) -> Vec<String> {
    let text = lz4_flex::block::decompress_size_prepended(packed).expect("length and LZ4 block");
    String::from_utf8(text).expect("JSON is UTF-8").lines().map(str::to_owned).collect()
}

/// The id of the `number`th call: one a millisecond.
pub(crate) fn id(number: u64) -> DecisionId {
    DecisionId::first_at(UnixMillis(START.0 + number))
}

/// The record of the `number`th call, one of two candidates answered.
pub(crate) fn record(number: u64) -> Record {
    let first = TargetId::new("openai/gpt-5-mini");
    let candidate = |leaf: usize, target: &TargetId| Candidate {
        leaf,
        target: target.clone(),
        rank: Some(leaf as u16 + 1),
        score: 1.0 / (leaf as f64 + 1.0),
        parts: Parts { in_flight: Some(3.0), first_token_ms: Some(123.4), cost: Some(0.37), ..Parts::default() },
        reason: Reason::CheaperOfTwo,
        eligible: true,
    };
    let mut made =
        Record::new(id(number), UnixMillis(START.0 + number), "models", "chat", Arc::from("1f6d0c2a9b3e4857"));
    made.dialect = Some(Dialect::OpenAi);
    made.stream = true;
    made.model = Arc::from("assistant");
    made.decision.candidates = smallvec![candidate(0, &first), candidate(1, &TargetId::new("anthropic/claude-sonnet"))];
    made.attempts = smallvec![Attempt {
        key: Some(0),
        first_byte: Some(Duration::from_micros(411)),
        ended: Duration::from_micros(823),
        outcome: Outcome::Ok,
        status: Some(200),
        ..Attempt::new(first.clone(), false, Duration::from_micros(31))
    }];
    made.chosen = Some(first);
    made.outcome = Outcome::Ok;
    made.status = 200;
    made.usage = Some(Usage { input: 12, output: 9, ..Usage::default() });
    made.cost = Some(Usd::from_pico(120_000_000));
    made.elapsed = Duration::from_micros(861);
    made.first_byte = Some(Duration::from_micros(430));
    made
}

/// A record whose numbers differ from its neighbours' as those of real calls do: nothing compresses too well.
pub(crate) fn busy_record(number: u64) -> Record {
    let mut made = record(number);
    // SplitMix64: the low bits of a counter would be a pattern.
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut draw = |below: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    };
    for candidate in &mut made.decision.candidates {
        candidate.parts.in_flight = Some(draw(16) as f64);
        candidate.parts.first_token_ms = Some(draw(1_000_000) as f64 / 7e3);
        candidate.parts.cost = Some(draw(1_000_000) as f64 / 3e6);
    }
    made.decision.candidates[1].score = draw(1_000_000) as f64 / 3e6;
    let micros: [u64; 5] = std::array::from_fn(|_| 20 + draw(400));
    let after = |parts: usize| Duration::from_micros(micros[..parts].iter().sum());
    made.attempts[0].started = after(1);
    made.attempts[0].first_byte = Some(after(2));
    made.attempts[0].ended = after(4);
    made.first_byte = Some(after(3));
    made.elapsed = after(5);
    made.usage = Some(Usage { input: draw(3000), output: draw(500), ..Usage::default() });
    made.cost = Some(Usd::from_pico(draw(1 << 20) * 250_000));
    made
}

/// A clock that goes on by itself.
#[derive(Debug)]
pub(crate) struct RealClock(std::time::Instant);

impl RealClock {
    #[expect(clippy::disallowed_methods, reason = "limits of time are tested with time")]
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(std::time::Instant::now()))
    }
}

impl Clock for RealClock {
    fn now(&self) -> Moment {
        Moment::START + self.0.elapsed()
    }

    fn wall(&self) -> UnixMillis {
        START
    }
}
