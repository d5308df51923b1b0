//! How a target is at this moment, in a word or two. What would be decided now says it best: `decide` itself gives the
//! reason why a target may or may not be tried.

use std::time::Duration;

use serde_json::value::RawValue;
use tradewind_access::Grant;
use tradewind_core::Dialect;
use tradewind_decide::{Candidate, Reason};
use tradewind_door_models::{ModelsDoor, PreviewRequest};

use super::cast::MODEL;

/// How worried one should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Wary,
    Bad,
}

/// The state of one target.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) mood: Mood,
    /// The kind of state; a change of it is news.
    pub(super) word: &'static str,
    /// How long, or how much; empty when there is nothing to say.
    pub(super) detail: String,
}

impl State {
    fn of(candidate: &Candidate) -> Self {
        let (mood, word, detail) = match &candidate.reason {
            Reason::BreakerOpen(left) => (Mood::Bad, "breaker open", tenths(*left)),
            Reason::Trial | Reason::TrialUnderWay => (Mood::Wary, "half-open", String::new()),
            Reason::Ejected(left) => (Mood::Bad, "ejected", tenths(*left)),
            Reason::KeysCooling(left) => (Mood::Wary, "cooling", tenths(*left)),
            Reason::KeysRefused => (Mood::Bad, "key refused", String::new()),
            Reason::NotSelected => (Mood::Good, "not selected", String::new()),
            _ => match candidate.parts.slow_start {
                Some(share) => (Mood::Wary, "slow start", format!("{:.0}%", share * 100.0)),
                None => (Mood::Good, "healthy", String::new()),
            },
        };
        Self { mood, word, detail }
    }

    /// The state in full.
    pub(super) fn text(&self) -> String {
        if self.detail.is_empty() { self.word.to_owned() } else { format!("{} {}", self.word, self.detail) }
    }
}

/// A target about which nothing is known.
impl Default for State {
    fn default() -> Self {
        Self { mood: Mood::Good, word: "healthy", detail: String::new() }
    }
}

/// The states of `targets`. Call it on another thread than the gateway's: deciding draws from the thread's source of
/// random numbers, and looking must not change what is decided for the calls.
pub(super) fn look(models: &ModelsDoor, targets: &[String]) -> Vec<State> {
    let request = format!(r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":""}}]}}"#);
    let request = RawValue::from_string(request).expect("the name of the model needs no escapes");
    let asked = PreviewRequest { dialect: Dialect::OpenAi, request, path: None, headers: Default::default() };
    let candidates =
        models.preview(&asked, &Grant::anyone()).map(|preview| preview.decision.candidates).unwrap_or_default();
    let state = |target: &String| candidates.iter().find(|one| one.target.as_str() == target).map(State::of);
    targets.iter().map(|target| state(target).unwrap_or_default()).collect()
}

fn tenths(left: Duration) -> String {
    format!("{:.1}s", (left.as_secs_f64() * 10.0).ceil() / 10.0)
}
