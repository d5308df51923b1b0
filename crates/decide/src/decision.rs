//! What goes into a decision and what comes out of it. No choosing here.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use smallvec::SmallVec;
use tradewind_core::{TargetId, format_duration};

use crate::{HealthView, KeysView, ScoreFacts, ScoreParts};

/// What is known about one target when a call comes in.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Which target.
    pub target: &'a TargetId,
    /// Why it cannot answer this call at all, if so: another dialect, a missing feature. Ends a sentence for people.
    pub unfit: Option<Cow<'static, str>>,
    /// Its breaker, latency and errors.
    pub health: HealthView,
    /// Attempts under way at it.
    pub in_flight: u32,
    /// Tokens of those attempts, prompt and expected answer, as far as they are known; 0 when they are not.
    pub tokens_in_flight: u64,
    /// Whether its permits are all taken.
    pub saturated: bool,
    /// Whether its provider has a key that may be used for it.
    pub keys: KeysView,
    /// What only `score` looks at.
    pub score: ScoreFacts,
}

/// One target's part in a decision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Its place in the caller's table of facts.
    #[serde(skip)]
    pub leaf: usize,
    /// Which target.
    pub target: TargetId,
    /// Its turn, from 1; none when it is not eligible.
    pub rank: Option<u16>,
    /// How good it looks beside the others, 0 to 1; 0 when it is not eligible. `least-latency`: the lowest cost divided
    /// by its own; `weighted`: its share; `score`: its total; otherwise 1.
    pub score: f64,
    /// What the score was made of.
    pub parts: Parts,
    /// Why it stands where it stands.
    pub reason: Reason,
    /// Whether it may be tried.
    pub eligible: bool,
}

/// The numbers that were looked at. Absent ones are left out of JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// Weight in its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Attempts under way at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<f64>,
    /// Peak-sensitive moving average of the time to first token, milliseconds; absent while nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<f64>,
    /// Share of recent attempts that failed, 0 to 1; absent while it is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// What slow start leaves of its weight, 0 to 1; absent when it is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<f64>,
    /// What `least-latency` compares: load / weight × seconds to first token × error factor / slow start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// What its score was made of, in a group that scores. Boxed: candidates are moved on every call, and most groups do
    /// not score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<Box<ScoreParts>>,
}

/// Why a candidate stands where it stands. `Display` gives a short sentence for people, [`Reason::name`] a stable word.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Eligible: the selected member.
    Selected,
    /// Eligible: its place in the file.
    InOrder,
    /// Eligible: drawn at random by weight.
    Drawn,
    /// Eligible: the cheaper of two that were drawn at random.
    CheaperOfTwo,
    /// Eligible: no other member may answer.
    OnlyOne,
    /// Eligible: behind the first by cost.
    NextByCost,
    /// Eligible: put first by chance, so that its measurements stay fresh.
    Probe,
    /// Eligible: its breaker is half-open and lets one trial call through.
    Trial,
    /// Eligible: all its permits are taken, so it comes after the others.
    Saturated,
    /// Eligible: an outlier, but ejecting it would take away more than half of the group.
    KeptThoughEjected,
    /// Eligible: the best total.
    BestScore,
    /// Eligible: as good as the best total in all but load, and less loaded than another that was drawn at random.
    LessLoadedOfTwo,
    /// Eligible: nearly the best total, and drawn so that calls do not all flock to one kind of target.
    NearBest,
    /// Eligible: behind the first by total.
    NextByScore,
    /// Eligible: drawn at random, by the exponential of its total.
    DrawnBySoftmax,
    /// Eligible: where calls with this affinity go.
    Affinity,
    /// Eligible: the default of its group, and no member fits the call by meaning.
    DefaultNoneFits,
    /// Not eligible: a `select` group names another member.
    NotSelected,
    /// Not eligible: it cannot answer this call.
    Unfit(Cow<'static, str>),
    /// Not eligible: its breaker is open for this much longer.
    BreakerOpen(Duration),
    /// Not eligible: its breaker is half-open and the trial call is under way.
    TrialUnderWay,
    /// Not eligible: ejected as an outlier for this much longer.
    Ejected(Duration),
    /// Not eligible: each of its keys was told to slow down; the first is usable again after this.
    KeysCooling(Duration),
    /// Not eligible: the provider accepts none of its keys.
    KeysRefused,
}

impl Reason {
    /// A stable word for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Selected => "selected",
            Self::InOrder => "in-order",
            Self::Drawn => "drawn",
            Self::CheaperOfTwo => "cheaper-of-two",
            Self::OnlyOne => "only-one",
            Self::NextByCost => "next-by-cost",
            Self::Probe => "probe",
            Self::Trial => "trial",
            Self::Saturated => "saturated",
            Self::KeptThoughEjected => "kept-though-ejected",
            Self::BestScore => "best-score",
            Self::LessLoadedOfTwo => "less-loaded-of-two",
            Self::NearBest => "near-best",
            Self::NextByScore => "next-by-score",
            Self::DrawnBySoftmax => "drawn-by-softmax",
            Self::Affinity => "affinity",
            Self::DefaultNoneFits => "default-none-fits",
            Self::NotSelected => "not-selected",
            Self::Unfit(_) => "unfit",
            Self::BreakerOpen(_) => "breaker-open",
            Self::TrialUnderWay => "trial-under-way",
            Self::Ejected(_) => "ejected",
            Self::KeysCooling(_) => "keys-cooling",
            Self::KeysRefused => "keys-refused",
        }
    }

    /// Whether it says something about others that were compared with it.
    pub(crate) const fn compares(&self) -> bool {
        matches!(
            self,
            Self::CheaperOfTwo
                | Self::NextByCost
                | Self::Drawn
                | Self::BestScore
                | Self::LessLoadedOfTwo
                | Self::NearBest
                | Self::NextByScore
                | Self::DrawnBySoftmax
        )
    }

    /// How long until this reason is over by itself; `None` when time alone does not cure it.
    #[must_use]
    pub const fn ends_after(&self) -> Option<Duration> {
        match self {
            Self::BreakerOpen(left) | Self::Ejected(left) | Self::KeysCooling(left) => Some(*left),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Selected => "selected",
            Self::InOrder => "its place in the file",
            Self::Drawn => "drawn by weight",
            Self::CheaperOfTwo => "the cheaper of two drawn at random",
            Self::OnlyOne => "the only one that may answer",
            Self::NextByCost => "next by cost",
            Self::Probe => "probe: put first by chance to keep its measurements fresh",
            Self::Trial => "recovering: one trial call",
            Self::Saturated => "all its permits are taken, so after the others",
            Self::KeptThoughEjected => "an outlier, kept because at most half of a group is ejected",
            Self::BestScore => "the best score",
            Self::LessLoadedOfTwo => "as good as the best but for load, and the less loaded of two",
            Self::NearBest => "nearly the best score, drawn so that calls do not flock",
            Self::NextByScore => "next by score",
            Self::DrawnBySoftmax => "drawn by softmax over the scores",
            Self::Affinity => "where calls of this session or prompt go",
            Self::DefaultNoneFits => "the default, since none fits by meaning",
            Self::NotSelected => "not selected",
            Self::Unfit(why) => return f.write_str(why),
            Self::BreakerOpen(left) => return write!(f, "breaker open for another {}", rounded(*left)),
            Self::TrialUnderWay => "recovering: its trial call is under way",
            Self::Ejected(left) => return write!(f, "ejected as an outlier for another {}", rounded(*left)),
            Self::KeysCooling(left) => return write!(f, "rate limited for another {}", rounded(*left)),
            Self::KeysRefused => "the provider refuses every key",
        };
        f.write_str(text)
    }
}

/// A duration short enough to read: whole seconds, below one tenths, never 0 when something is left.
fn rounded(left: Duration) -> String {
    let step: u128 = if left >= Duration::from_secs(1) { 1_000_000 } else { 100_000 };
    let micros = left.as_micros().div_ceil(step) * step;
    format_duration(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The candidates of one call: the eligible ones in rank order, then the others in the order of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The candidates.
    pub candidates: SmallVec<[Candidate; 4]>,
}

impl Decision {
    /// The candidates that may be tried, in rank order.
    #[must_use]
    pub fn eligible(&self) -> &[Candidate] {
        let end = self.candidates.partition_point(|candidate| candidate.eligible);
        &self.candidates[..end]
    }

    /// When nothing may be tried: how long until the first candidate may become eligible again by itself.
    ///
    /// `None` when something may be tried, or when no candidate comes back with time alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if !self.eligible().is_empty() {
            return None;
        }
        self.candidates.iter().filter_map(|candidate| candidate.reason.ends_after()).min()
    }
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.candidates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_as_short_sentences() {
        let table = [
            (Reason::BreakerOpen(Duration::from_micros(4_960_001)), "breaker open for another 5s"),
            (Reason::BreakerOpen(Duration::from_micros(1)), "breaker open for another 100ms"),
            (Reason::Ejected(Duration::from_millis(12_300)), "ejected as an outlier for another 13s"),
            (Reason::KeysCooling(Duration::from_millis(1_420)), "rate limited for another 2s"),
            (Reason::Unfit("speaks anthropic".into()), "speaks anthropic"),
        ];
        for (reason, text) in table {
            assert_eq!(reason.to_string(), text);
        }
    }

    #[test]
    fn a_candidate_is_written_as_the_record_wants_it() {
        let candidate = Candidate {
            leaf: 3,
            target: TargetId::new("a/b"),
            rank: Some(1),
            score: 1.0,
            parts: Parts { weight: Some(2.0), cost: Some(0.25), ..Parts::default() },
            reason: Reason::CheaperOfTwo,
            eligible: true,
        };
        assert_eq!(
            serde_json::to_string(&candidate).unwrap(),
            r#"{"target":"a/b","rank":1,"score":1.0,"parts":{"weight":2.0,"cost":0.25},"reason":"the cheaper of two drawn at random","eligible":true}"#
        );
    }
}
