//! Ways that a script picks (PAC): the script, kept and reloaded; what it answers, kept for a moment; and which of the proxies that
//! it names do not work at present.
//!
//! The script is asked about scheme, host and port, `http://example.com/`: browsers hide the path of https from it as well, and
//! here one connection serves many paths. Hosts that are this machine itself (`localhost`, 127.0.0.0/8, ::1) never go through
//! a proxy, as in browsers and in Go.

mod answer;
mod engine;
mod source;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tradewind_core::{Fault, FaultKind, Moment};
use tradewind_policy::ways::{PacProxy, Unreachable};

use self::source::{Source, Stamp};
use crate::resolve::Resolver;
use crate::{Destination, Dialing, Host, Roots};

pub use self::answer::{PacStep, parse_answer};

/// How often a file is looked at.
const FILE_AGAIN: Duration = Duration::from_secs(2);
/// When a script of a URL is fetched anew.
const URL_AGAIN: Duration = Duration::from_secs(600);
/// When a script that could not be had is asked for again.
const FAILED_AGAIN: Duration = Duration::from_secs(30);
/// How long an answer is kept; it may depend on the time of day, and on names.
const ANSWER_KEPT: Duration = Duration::from_secs(30);
/// Answers that are kept.
const MOST_ANSWERS: usize = 1024;
/// How long a proxy that could not be reached is put behind the others.
const FAILING: Duration = Duration::from_secs(60);

/// A script and where it is from.
pub(crate) struct Pac {
    source: Source,
    unreachable: Unreachable,
    roots: Roots,
    state: Mutex<State>,
    /// Held by whoever gets the script.
    getting: tokio::sync::Mutex<()>,
    places: Arc<Semaphore>,
}

/// What a script says about a destination.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// At least one, those that work first.
    pub(crate) steps: Vec<PacStep>,
    /// In words.
    pub(crate) why: String,
}

#[derive(Default)]
struct State {
    script: Option<Script>,
    answers: HashMap<(Destination, bool), (Moment, Arc<str>)>,
    failing: HashMap<PacStep, Moment>,
    /// Raised when everything is forgotten, so that what was begun before is not kept.
    generation: u64,
}

#[derive(Clone)]
struct Script {
    /// Or why there is none.
    text: Result<Arc<str>, Arc<str>>,
    stamp: Option<Stamp>,
    /// When it is looked at again.
    until: Moment,
}

impl Pac {
    /// `roots` are trusted where the script is at an https URL.
    pub(crate) fn new(spec: &PacProxy, roots: &Roots) -> Self {
        Self {
            source: Source::parse(&spec.url),
            unreachable: spec.unreachable,
            roots: roots.clone(),
            state: Mutex::default(),
            getting: tokio::sync::Mutex::default(),
            places: Arc::new(Semaphore::new(engine::AT_ONCE)),
        }
    }

    /// Those that are trusted for TLS to a proxy that the script names, too.
    pub(crate) const fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Forgets everything: the network is another one, and so may be the script.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock();
        *state = State { generation: state.generation + 1, ..State::default() };
    }

    /// What the script says about `to`; `tls` is whether the URL is an https one.
    pub(crate) async fn find(&self, to: &Destination, tls: bool, dialing: &Dialing) -> Result<Said, Fault> {
        if is_own(&to.host) {
            let why = format!("{} is this machine, which is never reached through a proxy", to.host);
            return Ok(Said { steps: vec![PacStep::Direct], why });
        }
        let resolver = &dialing.resolver;
        let script = match self.script(resolver).await {
            Ok(script) => script,
            Err(why) => {
                let why = format!("the script {} cannot be had: {why}", self.source);
                return match self.unreachable {
                    Unreachable::Direct => {
                        let why = format!("{why}; `unreachable: direct` then goes without a proxy");
                        Ok(Said { steps: vec![PacStep::Direct], why })
                    }
                    Unreachable::Fail => Err(fault(why)),
                };
            }
        };
        let answer = self.answer(script, to, tls, resolver).await?;
        let steps = parse_answer(&answer);
        let shown: String = answer.chars().filter(|letter| !letter.is_control()).take(200).collect();
        if steps.is_empty() {
            return Err(fault(format!("the script {} says {shown:?} for {to}, which is no way", self.source)));
        }
        let why = match shown.trim() {
            "" => format!("the script {} says nothing, which means no proxy", self.source),
            shown => format!("the script {} says {shown}", self.source),
        };
        let (steps, skipped) = self.working_first(steps, resolver.now());
        let why = skipped.iter().fold(why, |why, step| format!("{why}; {step} could not be reached a moment ago"));
        Ok(Said { steps, why })
    }

    /// `step` could not be reached: it is put behind the others for a while.
    pub(crate) fn failed(&self, step: &PacStep, now: Moment) {
        let mut state = self.state.lock();
        state.failing.retain(|_, until| *until > now);
        if state.failing.len() < MOST_ANSWERS && *step != PacStep::Direct {
            state.failing.insert(step.clone(), now + FAILING);
        }
    }

    /// `step` works.
    pub(crate) fn worked(&self, step: &PacStep) {
        let mut state = self.state.lock();
        if !state.failing.is_empty() {
            state.failing.remove(step);
        }
    }

    /// Those that failed a moment ago come last: when nothing else works they are tried all the same.
    fn working_first(&self, steps: Vec<PacStep>, now: Moment) -> (Vec<PacStep>, Vec<PacStep>) {
        let state = self.state.lock();
        let fails = |step: &PacStep| state.failing.get(step).is_some_and(|until| *until > now);
        let (failing, mut working): (Vec<_>, Vec<_>) = steps.into_iter().partition(fails);
        working.extend(failing.iter().cloned());
        (working, failing)
    }

    /// The script, or why there is none.
    async fn script(&self, resolver: &Resolver) -> Result<Arc<str>, Arc<str>> {
        let kept = || self.state.lock().script.clone();
        let fresh = |script: &Script| script.until > resolver.now();
        let _getting = match kept() {
            Some(script) if fresh(&script) => return script.text,
            // One goes to get it, the others use what there is.
            Some(script) => match self.getting.try_lock() {
                Ok(getting) => getting,
                Err(_) => return script.text,
            },
            None => self.getting.lock().await,
        };
        let (before, generation) = {
            let state = self.state.lock();
            (state.script.clone(), state.generation)
        };
        if let Some(script) = before.as_ref().filter(|script| fresh(script)) {
            return script.text.clone();
        }
        let script = self.again(before, resolver).await;
        let text = script.text.clone();
        let mut state = self.state.lock();
        if state.generation == generation {
            if state.script.as_ref().is_none_or(|before| before.text != script.text) {
                state.answers.clear();
            }
            state.script = Some(script);
        }
        text
    }

    /// Gets the script anew, unless it is still the same.
    async fn again(&self, before: Option<Script>, resolver: &Resolver) -> Script {
        if let Some(Script { text: text @ Ok(_), stamp: stamp @ Some(_), .. }) = &before
            && self.source.stamp().await == *stamp
        {
            return Script { text: text.clone(), stamp: *stamp, until: resolver.now() + FILE_AGAIN };
        }
        let is_file = matches!(self.source, Source::File(_));
        match self.source.get(&self.roots, resolver).await {
            Ok(got) => {
                let keep = if is_file { FILE_AGAIN } else { URL_AGAIN };
                Script { text: Ok(got.text.into()), stamp: got.stamp, until: resolver.now() + keep }
            }
            Err(why) => {
                // A server that is away for a moment takes nothing with it; another network does, see `forget`.
                let before = before.and_then(|before| before.text.ok()).filter(|_| !is_file);
                let keep = if is_file { FILE_AGAIN } else { FAILED_AGAIN };
                Script { text: before.ok_or_else(|| why.into()), stamp: None, until: resolver.now() + keep }
            }
        }
    }

    async fn answer(
        &self,
        script: Arc<str>,
        to: &Destination,
        tls: bool,
        resolver: &Resolver,
    ) -> Result<Arc<str>, Fault> {
        let key = (to.clone(), tls);
        let generation = {
            let state = self.state.lock();
            if let Some((until, answer)) = state.answers.get(&key)
                && *until > resolver.now()
            {
                return Ok(answer.clone());
            }
            state.generation
        };
        let ran = engine::run(script.clone(), url(to, tls), to.host.to_string(), resolver, &self.places).await;
        let answer: Arc<str> = match ran {
            Ok(answer) => answer.into(),
            Err(error) => return Err(fault(format!("the script {}: asked about {to}, {error}", self.source))),
        };
        let now = resolver.now();
        let mut state = self.state.lock();
        let is_of_now = state.script.as_ref().is_some_and(|now| now.text.as_ref() == Ok(&script));
        if state.generation == generation && is_of_now {
            if state.answers.len() >= MOST_ANSWERS {
                state.answers.retain(|_, (until, _)| *until > now);
            }
            if state.answers.len() < MOST_ANSWERS {
                state.answers.insert(key, (now + ANSWER_KEPT, answer.clone()));
            }
        }
        Ok(answer)
    }
}

fn fault(detail: String) -> Fault {
    Fault::new(FaultKind::WayScript, detail).before_sending()
}

/// What the script is asked about: the port only where it is not the scheme's own.
fn url(to: &Destination, tls: bool) -> String {
    let (scheme, default) = if tls { ("https", 443) } else { ("http", 80) };
    match &to.host {
        _ if to.port != default => format!("{scheme}://{to}/"),
        Host::Ip(std::net::IpAddr::V6(address)) => format!("{scheme}://[{address}]/"),
        host => format!("{scheme}://{host}/"),
    }
}

/// Whether it is this machine itself.
pub(crate) fn is_own(host: &Host) -> bool {
    match host {
        Host::Ip(address) => address.to_canonical().is_loopback(),
        Host::Name(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            let start = name.len().saturating_sub("localhost".len());
            let ends = name.get(start..).is_some_and(|end| end.eq_ignore_ascii_case("localhost"));
            ends && (start == 0 || name.as_bytes()[start - 1] == b'.')
        }
    }
}

#[cfg(test)]
mod tests;
