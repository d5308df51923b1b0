//! Tests of proxies and groups: for dashboards that ask, and for groups that pick by themselves.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};

use crate::group::{Asked, Group};
use crate::health::Tested;
use crate::node::{Member, Node};
use crate::probe::{Expected, ProbeError, Question, probe};
use crate::ways::{Inner, SelectError, Ways};

/// A test that has ended: of which member, and its delay when it was answered.
type Ended = (Arc<str>, Option<u16>);

/// Tests that run at once for one group or list.
const AT_ONCE: usize = 10;

/// Why a test that was asked for has no delay.
#[derive(Debug, thiserror::Error)]
pub enum DelayError {
    /// No such proxy or group.
    #[error(transparent)]
    Unknown(#[from] SelectError),
    /// The test failed.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}

impl Ways {
    /// Tests the proxy or group `name` with `url`, and returns the milliseconds that the answer took.
    ///
    /// # Errors
    /// When there is no such name, or no answer as expected in time.
    pub async fn delay(&self, name: &str, url: &str, limit: Duration, expected: &Expected) -> Result<u16, DelayError> {
        let set = self.set();
        let member = set.get(name).cloned().ok_or_else(|| SelectError::Unknown(name.to_owned()))?;
        Ok(self.delay_of(&member, url, limit, expected).await?)
    }

    /// Tests a member with `url`.
    ///
    /// # Errors
    /// When there is no answer as expected in time.
    pub async fn delay_of(
        &self,
        member: &Member,
        url: &str,
        limit: Duration,
        expected: &Expected,
    ) -> Result<u16, ProbeError> {
        let question = Question::parse(url)?;
        test(self.inner(), member, &question, expected, limit).await
    }

    /// Tests all members of `group` at once, and returns those that answered. A group that picks by itself does so again.
    ///
    /// # Errors
    /// When there is no such group, or the URL cannot be tested.
    pub async fn delays(
        &self,
        group: &Group,
        url: &str,
        limit: Duration,
        expected: &Expected,
    ) -> Result<Vec<(Arc<str>, u16)>, DelayError> {
        let question = Arc::new(Question::parse(url)?);
        // A select group has nothing to let go.
        let _ = self.unfix(group.name());
        Ok(test_all(self.inner(), group.members().iter().cloned(), &question, expected, limit).await)
    }

    /// Tests all members of a list as its own settings say.
    pub async fn check_provider(&self, nodes: &[Arc<Node>], url: &str, limit: Duration, expected: &Expected) {
        let Ok(question) = Question::parse(url) else { return };
        test_all(self.inner(), nodes.iter().cloned().map(Member::Node), &Arc::new(question), expected, limit).await;
    }
}

/// Tests one member, and enters what came of it.
async fn test(
    inner: &Arc<Inner>,
    member: &Member,
    question: &Question,
    expected: &Expected,
    limit: Duration,
) -> Result<u16, ProbeError> {
    let clock = inner.needs.clock.clone();
    let host = question.to().host.to_string();
    let leaf = leaf(member, &Asked { host: &host, source: None, now: clock.now() });
    let tested = match leaf {
        Some(leaf) => {
            probe(&leaf.outbound, question, expected, &inner.dialing(limit), &inner.needs.roots, &*clock).await
        }
        None => Err(ProbeError::Status("none: the group has no member".to_owned())),
    };
    let delay = tested.as_ref().map_or(0, |delay| *delay);
    member.health().enter(question.url(), Tested { at: clock.wall(), delay });
    tested
}

/// Tests members, a few at a time, and returns those that answered.
pub(crate) async fn test_all(
    inner: &Arc<Inner>,
    members: impl Iterator<Item = Member>,
    question: &Arc<Question>,
    expected: &Expected,
    limit: Duration,
) -> Vec<(Arc<str>, u16)> {
    let mut answered = Vec::new();
    let mut running: JoinSet<Ended> = JoinSet::new();
    let mut take = |joined: Option<Result<Ended, JoinError>>| {
        if let Some(Ok((name, Some(delay)))) = joined {
            answered.push((name, delay));
        }
    };
    for member in members {
        if running.len() >= AT_ONCE {
            take(running.join_next().await);
        }
        let (inner, question, expected) = (inner.clone(), question.clone(), expected.clone());
        running.spawn(async move {
            let tested = test(&inner, &member, &question, &expected, limit).await;
            (member.name().clone(), tested.ok())
        });
    }
    while !running.is_empty() {
        take(running.join_next().await);
    }
    answered
}

/// The proxy that a member stands for now.
fn leaf(member: &Member, asked: &Asked<'_>) -> Option<Arc<Node>> {
    let mut member = member.clone();
    loop {
        match member {
            Member::Node(node) => return Some(node),
            Member::Group(group) => member = group.look(asked)?,
        }
    }
}
