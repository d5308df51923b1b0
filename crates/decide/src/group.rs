//! Groups: a named set of targets with a strategy that picks among them. Groups may hold groups.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tradewind_core::ModelName;

use crate::Scoring;

/// How a group puts its members in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The selected member and no other: it never falls back by itself.
    Select,
    /// The order of the file.
    Fallback,
    /// A random order in which a member's chance to come first is its weight.
    Weighted,
    /// The cheaper of two drawn at random, by time to first token, load and errors; the others behind it by cost.
    LeastLatency,
    /// The best by meaning, load and cost; see [`Scoring`].
    Score,
}

impl Strategy {
    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Fallback => "fallback",
            Self::Weighted => "weighted",
            Self::LeastLatency => "least-latency",
            Self::Score => "score",
        }
    }

    /// Whether it looks at what calls cost in time: load, latency and errors.
    pub(crate) const fn compares_costs(self) -> bool {
        matches!(self, Self::LeastLatency | Self::Score)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A named set of members and the strategy that orders them.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: ModelName,
    /// How its members are ordered.
    pub strategy: Strategy,
    /// Its members, in the order of the file.
    pub members: Vec<Member>,
    /// `least-latency`: the share of calls, 0 to 1, that try a uniformly random member first, so that no measurement
    /// grows stale for ever. `score`: the same, among the members that only load keeps from being the best.
    pub probe_share: f64,
    /// `score`: how the members are judged.
    pub scoring: Scoring,
}

/// One member of a group.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its share relative to its siblings. A member of weight 0 is drained: it comes after all others.
    pub weight: u32,
    /// What it is.
    pub kind: MemberKind,
}

/// What a member of a group is.
#[derive(Clone, Debug)]
pub enum MemberKind {
    /// A target, by its place in the table of facts that the caller numbers.
    Target(usize),
    /// Another group, whose own order is spliced in.
    Group(Arc<Group>),
}

/// Why a group cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// A member points outside the table of targets.
    #[error("group `{group}` names target number {leaf}, but there are {leaves}")]
    OutOfBounds {
        /// The group that holds the member.
        group: ModelName,
        /// The place that the member points to.
        leaf: usize,
        /// How many targets there are.
        leaves: usize,
    },
    /// The default of [`Scoring`] is not the place of a member.
    #[error("the default of group `{group}` is member number {default}, but it has {members}")]
    NoSuchDefault {
        /// The group.
        group: ModelName,
        /// The place that the default points to.
        default: usize,
        /// How many members there are.
        members: usize,
    },
    /// Groups are nested deeper than [`Group::MAX_DEPTH`].
    #[error("group `{group}` is nested deeper than {} levels", Group::MAX_DEPTH)]
    TooDeep {
        /// The first group that is too deep.
        group: ModelName,
    },
}

impl Group {
    /// Groups nested deeper than this take no part in a decision.
    pub const MAX_DEPTH: usize = 16;

    /// The default of [`Group::probe_share`].
    pub const PROBE_SHARE: f64 = 0.02;

    /// A group with the default probe share and the default way of scoring.
    #[must_use]
    pub fn new(name: ModelName, strategy: Strategy, members: Vec<Member>) -> Self {
        Self { name, strategy, members, probe_share: Self::PROBE_SHARE, scoring: Scoring::default() }
    }

    /// The same group, judging its members by `scoring`.
    #[must_use]
    pub fn scoring(mut self, scoring: Scoring) -> Self {
        self.scoring = scoring;
        self
    }

    /// Checks once, when the configuration is loaded, what [`decide`](crate::decide) otherwise skips in silence.
    ///
    /// # Errors
    /// When a target is outside a table of `leaves` entries, groups are nested too deep, or a default is no member.
    pub fn check(&self, leaves: usize) -> Result<(), GroupError> {
        self.check_at(leaves, 0)
    }

    fn check_at(&self, leaves: usize, depth: usize) -> Result<(), GroupError> {
        if depth >= Self::MAX_DEPTH {
            return Err(GroupError::TooDeep { group: self.name.clone() });
        }
        let members = self.members.len();
        if let Some(default) = self.scoring.default.filter(|default| *default >= members) {
            return Err(GroupError::NoSuchDefault { group: self.name.clone(), default, members });
        }
        for member in &self.members {
            match &member.kind {
                MemberKind::Target(leaf) if *leaf >= leaves => {
                    return Err(GroupError::OutOfBounds { group: self.name.clone(), leaf: *leaf, leaves });
                }
                MemberKind::Target(_) => {}
                MemberKind::Group(group) => group.check_at(leaves, depth + 1)?,
            }
        }
        Ok(())
    }
}

impl Member {
    /// A target of weight 1.
    #[must_use]
    pub const fn target(leaf: usize) -> Self {
        Self { weight: 1, kind: MemberKind::Target(leaf) }
    }

    /// A group of weight 1.
    #[must_use]
    pub const fn group(group: Arc<Group>) -> Self {
        Self { weight: 1, kind: MemberKind::Group(group) }
    }

    /// The same member with another weight.
    #[must_use]
    pub const fn weighing(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_checked_for_bounds_and_depth() {
        let group = |members| Group::new(ModelName::new("g"), Strategy::Fallback, members);
        assert_eq!(group(vec![Member::target(1)]).check(2), Ok(()));
        let error = group(vec![Member::group(Arc::new(group(vec![Member::target(2)])))]).check(2).unwrap_err();
        assert_eq!(error.to_string(), "group `g` names target number 2, but there are 2");

        let error = group(vec![Member::target(0)]).scoring(Scoring::default().with_default(1)).check(1).unwrap_err();
        assert_eq!(error.to_string(), "the default of group `g` is member number 1, but it has 1");

        let mut deep = group(vec![Member::target(0)]);
        for _ in 1..Group::MAX_DEPTH {
            deep = group(vec![Member::group(Arc::new(deep))]);
        }
        assert_eq!(deep.check(1), Ok(()));
        let deeper = group(vec![Member::group(Arc::new(deep))]);
        assert_eq!(deeper.check(1).unwrap_err().to_string(), "group `g` is nested deeper than 16 levels");
    }
}
