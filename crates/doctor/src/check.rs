//! Checks and what they need: a graph that is run side by side, layer by layer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;

use crate::finding::Subject;
use crate::order::put_in_order;
use crate::{Cause, Finding, NotRun, Report, Url, World};

/// Looks at one thing.
pub type Run = Box<dyn for<'a> Fn(&'a World) -> BoxFuture<'a, Outcome> + Send + Sync>;

/// One check of the graph.
pub struct Check {
    /// What it is called in "not run because …": a few words, unique, with the entry where there is one for each
    /// (`tls of https://proxy.example.com`).
    pub name: Cow<'static, str>,
    /// The checks without whose success it means nothing, by name. A name that is not in the graph is no obstacle.
    pub needs: Vec<Cow<'static, str>>,
    /// How it looks. Has to end within its own time limit.
    pub run: Run,
}

impl Check {
    /// A check that waits for something.
    pub fn new<F>(name: impl Into<Cow<'static, str>>, needs: &[&'static str], run: F) -> Self
    where
        F: for<'a> Fn(&'a World) -> BoxFuture<'a, Outcome> + Send + Sync + 'static,
    {
        Self { name: name.into(), needs: needs.iter().map(|name| Cow::Borrowed(*name)).collect(), run: Box::new(run) }
    }

    /// A check that only looks at settings and files.
    pub fn of_settings(name: &'static str, needs: &[&'static str], look: fn(&World) -> Outcome) -> Self {
        Self::new(name, needs, move |world| Box::pin(async move { look(world) }))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

/// What came of a check.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What would explain a failure to reach a host, should there be one.
    pub suspects: Vec<Suspect>,
    /// Hosts that were tried along another way than the configured one.
    pub tried: Vec<Tried>,
    /// Why the checks that need this one mean nothing now; they run when there is no reason.
    pub blocks: Option<String>,
    /// Parts of this check that made no sense.
    pub not_run: Vec<NotRun>,
    /// What was measured, for `facts` of the report. Holds no secret.
    pub facts: BTreeMap<String, Value>,
}

impl Outcome {
    /// Nothing is wrong.
    #[must_use]
    pub fn good() -> Self {
        Self::default()
    }

    /// One thing is wrong, and what needs this check means nothing because of it.
    #[must_use]
    pub fn fatal(finding: Finding) -> Self {
        Self { blocks: Some(finding.title.clone()), findings: vec![finding], ..Self::default() }
    }

    /// One thing is wrong, and the rest can be looked at all the same.
    #[must_use]
    pub fn finding(finding: Finding) -> Self {
        Self { findings: vec![finding], ..Self::default() }
    }

    /// Adds what was measured.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.facts.insert(name.into(), value.into());
        self
    }
}

/// A setting that would be the root cause if something could not be reached, and is nobody's business otherwise: hosts
/// that `NO_PROXY` names are meant to be reached directly.
#[derive(Clone, Debug)]
pub struct Suspect {
    /// What is found when the suspicion holds.
    pub finding: Finding,
    /// Of which findings it is the root cause.
    pub explains: &'static [Cause],
    /// What it is about; `None`: whatever fails.
    pub subject: Option<Subject>,
    /// How it would work if the suspicion is right. A network check that fails for the subject tries this and says so by
    /// [`Tried`]; when it does not work either, the suspect is cleared.
    pub instead: Option<Instead>,
    /// Whether the suspicion holds only when `instead` was seen to work.
    pub needs_proof: bool,
}

/// Another way than the configured one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The host through this HTTP proxy.
    HttpProxy(Url),
    /// The host through no proxy.
    NoProxy,
    /// The module from this module proxy.
    ModuleProxy(Url),
}

/// What was tried along another way than the configured one.
#[derive(Clone, Debug)]
pub struct Tried {
    /// What.
    pub subject: Subject,
    /// Which way.
    pub instead: Instead,
    /// Whether it worked.
    pub reached: bool,
}

/// Runs `checks` side by side, each as soon as what it needs has worked, and puts what they found in order.
///
/// The whole takes at most `world.limits.total`; a check that is not done by then is "not run because" of it.
pub async fn examine(world: &World, checks: &[Check]) -> Report {
    let mut graph = Graph::new(checks);
    // A limit for the whole: each check has its own, and this one holds when a check breaks its promise.
    let deadline = tokio::time::sleep(world.limits.total);
    tokio::pin!(deadline);
    let mut running = FuturesUnordered::new();
    loop {
        for index in graph.ready() {
            running.push(async move { (index, (checks[index].run)(world).await) });
        }
        tokio::select! {
            done = running.next() => match done {
                Some((index, outcome)) => graph.done(index, outcome),
                None => break,
            },
            () = &mut deadline => break,
        }
    }
    graph.give_up(world);
    put_in_order(graph.collected).without(&world.settings.secrets())
}

/// What has become of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Worked,
    Blocked(String),
}

/// Where the checks stand.
struct Graph<'a> {
    checks: &'a [Check],
    states: Vec<State>,
    collected: Outcome,
    /// Findings by the position of their check, so that the order does not depend on who was faster.
    outcomes: BTreeMap<usize, Outcome>,
}

impl<'a> Graph<'a> {
    fn new(checks: &'a [Check]) -> Self {
        let states = vec![State::Waiting; checks.len()];
        Self { checks, states, collected: Outcome::default(), outcomes: BTreeMap::new() }
    }

    fn state_of(&self, name: &str) -> Option<&State> {
        self.checks.iter().position(|check| check.name == name).map(|index| &self.states[index])
    }

    /// The checks that can begin; they count as running from now on. What is blocked is marked on the way.
    fn ready(&mut self) -> Vec<usize> {
        let mut ready = Vec::new();
        let mut again = true;
        // Blocking one check can block another that stands before it.
        while again {
            again = false;
            for (index, check) in self.checks.iter().enumerate() {
                if self.states[index] != State::Waiting {
                    continue;
                }
                let needs: Vec<&State> = check.needs.iter().filter_map(|name| self.state_of(name)).collect();
                let blocked = needs.iter().find_map(|state| match state {
                    State::Blocked(because) => Some(because.clone()),
                    _ => None,
                });
                if let Some(because) = blocked {
                    let not_run = NotRun { check: check.name.to_string(), because: because.clone() };
                    self.outcomes.entry(index).or_default().not_run.push(not_run);
                    self.states[index] = State::Blocked(because);
                    again = true;
                } else if needs.iter().all(|state| **state == State::Worked) {
                    self.states[index] = State::Running;
                    ready.push(index);
                }
            }
        }
        ready
    }

    fn done(&mut self, index: usize, outcome: Outcome) {
        self.states[index] = outcome.blocks.clone().map_or(State::Worked, State::Blocked);
        self.outcomes.insert(index, outcome);
    }

    /// Marks what has not ended, and brings everything into the order of the checks.
    fn give_up(&mut self, world: &World) {
        for (index, state) in self.states.iter().enumerate() {
            if matches!(state, State::Waiting | State::Running) {
                let limit = tradewind_core::format_duration(world.limits.total);
                let because = format!("the time limit of {limit} was over");
                let not_run = NotRun { check: self.checks[index].name.to_string(), because };
                self.outcomes.entry(index).or_default().not_run.push(not_run);
            }
        }
        for (_, outcome) in std::mem::take(&mut self.outcomes) {
            self.collected.findings.extend(outcome.findings);
            self.collected.suspects.extend(outcome.suspects);
            self.collected.tried.extend(outcome.tried);
            self.collected.not_run.extend(outcome.not_run);
            self.collected.facts.extend(outcome.facts);
        }
    }
}
