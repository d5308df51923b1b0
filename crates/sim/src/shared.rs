//! What all connections of a sim share: options, record, scripted answers, ids of responses, the standing fault; and the
//! choice of the fault of one call.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tradewind_core::UnixMillis;

use crate::answer::{Composed, error_body};
use crate::ask::{Ask, Endpoint};
use crate::fault::Needs;
use crate::plan::{Circumstances, Plan, plan};
use crate::request::Head;
use crate::script::Reply;
use crate::server::SimError;
use crate::stats::{Charges, Ending, KEPT_BODY, Recorder, SeenRequest};
use crate::tls::Certificates;
use crate::{Injection, ParseFaultError, ScriptedAnswer, SimFault, SimOptions, strict, text};

/// For how many models an answer can be registered.
const MOST_ANSWERS: usize = 10_000;
/// How many ids of responses are remembered; older ones are forgotten, as with a provider that keeps them for a time.
const KEPT_RESPONSES: usize = 10_000;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) options: SimOptions,
    pub(crate) recorder: Recorder,
    pub(crate) standing: Mutex<Option<Injection>>,
    pub(crate) certificates: Option<Certificates>,
    answers: Mutex<HashMap<String, Arc<ScriptedAnswer>>>,
    /// Ids that were given out, oldest first.
    minted: Mutex<VecDeque<String>>,
    /// Where redirects point to.
    elsewhere: String,
    calls: AtomicU64,
    flaps: AtomicU64,
}

/// A request that is being answered; noted as ended when dropped, also when the task is aborted.
pub(crate) struct Ticket<'a> {
    shared: &'a Shared,
    pub(crate) id: u64,
    pub(crate) ending: Ending,
}

impl<'a> Ticket<'a> {
    pub(crate) fn new(shared: &'a Shared, connection: u64, head: &Head) -> Self {
        let id = shared.recorder.begin(SeenRequest {
            number: 0,
            connection,
            method: head.method.clone(),
            path: head.path.clone(),
            model: None,
            headers: head.headers.clone(),
            body: String::new(),
            body_bytes: 0,
            fault: None,
            ending: Ending::Open,
            charged: Charges::default(),
        });
        Self { shared, id, ending: Ending::ClientGone }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.shared.recorder.end(self.id, self.ending);
    }
}

/// A fault as it applies to one call: flapping and gray have been decided.
#[derive(Default)]
pub(crate) struct Resolved {
    pub(crate) fault: Option<Injection>,
    slow: Option<f64>,
}

impl Shared {
    pub(crate) fn new(options: SimOptions, certificates: Option<Certificates>, elsewhere: String) -> Self {
        Self {
            recorder: Recorder::default(),
            standing: Mutex::new(options.fault.clone()),
            certificates,
            answers: Mutex::default(),
            minted: Mutex::default(),
            elsewhere,
            calls: AtomicU64::new(0),
            flaps: AtomicU64::new(0),
            options,
        }
    }

    pub(crate) fn set_fault(&self, fault: Option<Injection>) -> Result<(), SimError> {
        if let Some(fault) = fault.as_ref().map(Injection::fault) {
            let possible = match fault.needs() {
                Needs::Nothing => true,
                Needs::Listener => false,
                Needs::Tls => self.options.tls.is_some(),
                Needs::Http2 => self.options.tls.is_some_and(|tls| tls.http2),
            };
            if !possible {
                return Err(SimError::OnlyAtStart(fault));
            }
        }
        *self.standing.lock() = fault;
        Ok(())
    }

    /// Sets the standing fault from the body of a request: `NAME[:ARG]`, or nothing to take it away.
    pub(crate) fn set_fault_text(&self, body: &[u8]) -> Result<Option<String>, String> {
        let text = String::from_utf8_lossy(body);
        let fault = match text.trim() {
            "" | "none" => None,
            text => Some(text.parse::<Injection>().map_err(|error| error.to_string())?),
        };
        let name = fault.as_ref().map(ToString::to_string);
        self.set_fault(fault).map_err(|error| error.to_string())?;
        Ok(name)
    }

    /// Registers what a model answers, or takes it away.
    pub(crate) fn script(&self, model: &str, answer: Option<ScriptedAnswer>) -> Result<(), SimError> {
        let mut answers = self.answers.lock();
        match answer {
            Some(_) if answers.len() >= MOST_ANSWERS && !answers.contains_key(model) => {
                return Err(SimError::TooManyAnswers(MOST_ANSWERS));
            }
            Some(answer) => drop(answers.insert(model.to_owned(), Arc::new(answer))),
            None => drop(answers.remove(model)),
        }
        Ok(())
    }

    /// What a model was registered to answer.
    pub(crate) fn scripted(&self, model: &str) -> Option<Arc<ScriptedAnswer>> {
        self.answers.lock().get(model).cloned()
    }

    /// What is said to a request, or why it is refused: 404 without the endpoint, 400 for what is wrong with it.
    fn compose(&self, head: &Head, ask: &Ask) -> Result<Composed, (u16, String)> {
        let options = &self.options;
        if options.strict {
            strict::check(head, ask).map_err(|wrong| (400, wrong))?;
        }
        let script = self.scripted(&ask.model);
        let composed = Composed::new(ask, &options.name, options.seed, options.answer_tokens, script.as_deref());
        if ask.endpoint == Endpoint::Responses {
            if !options.responses {
                return Err((404, "this provider has no responses".to_owned()));
            }
            let mut minted = self.minted.lock();
            if let Some(previous) = ask.body["previous_response_id"].as_str()
                && !minted.iter().any(|known| known == previous)
            {
                return Err((400, format!("Previous response with id '{previous}' not found.")));
            }
            let id = composed.id("resp");
            if ask.body["store"] != false && !minted.contains(&id) {
                if minted.len() == KEPT_RESPONSES {
                    minted.pop_front();
                }
                minted.push_back(id);
            }
        }
        Ok(composed)
    }

    /// Which fault stands.
    pub(crate) fn standing_fault(&self) -> Option<SimFault> {
        self.standing.lock().as_ref().map(Injection::fault)
    }

    /// Takes down which fault a request gets.
    pub(crate) fn note_fault(&self, id: u64, fault: &Injection) {
        self.recorder.fault(id, &fault.to_string());
    }

    /// Randomness that depends on the seed and on how many calls came before.
    pub(crate) fn random_of_call(&self) -> fastrand::Rng {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        fastrand::Rng::with_seed(text::mix(self.options.seed ^ text::mix(call)))
    }

    /// The fault that is known before the body: by header, or, for a `POST`, the standing one.
    pub(crate) fn early_fault(&self, head: &Head) -> Result<Option<Injection>, ParseFaultError> {
        if let Some(asked) = head.header("x-sim-fault") {
            return asked.parse().map(Some);
        }
        Ok(if head.method == "POST" { self.standing.lock().clone() } else { None })
    }

    /// Decides what a fault means for this call.
    pub(crate) fn resolve(&self, fault: &Injection, random: &mut fastrand::Rng) -> Resolved {
        match fault.fault() {
            SimFault::Flapping => {
                let fails = self.flaps.fetch_add(1, Ordering::Relaxed) % 2 == 1;
                let inner = fault.argument().and_then(|text| text.parse().ok());
                let inner: Injection = inner.unwrap_or_else(|| SimFault::Error500.into());
                if fails { self.resolve(&inner, random) } else { Resolved::default() }
            }
            SimFault::Gray => {
                let factor = fault.argument().and_then(|text| text.parse().ok()).unwrap_or(10.0);
                let fails = random.u8(..20) == 0;
                Resolved { fault: fails.then(|| SimFault::Error500.into()), slow: Some(factor) }
            }
            _ => Resolved { fault: Some(fault.clone()), slow: None },
        }
    }

    /// Plans one call whose request has been read.
    pub(crate) fn plan_call(
        &self,
        head: &Head,
        body: &[u8],
        early: Option<Resolved>,
        mut random: fastrand::Rng,
        id: u64,
    ) -> Plan {
        let kept = String::from_utf8_lossy(&body[..body.len().min(KEPT_BODY)]).into_owned();
        self.recorder.body(id, kept, body.len());
        let endpoint = Endpoint::of(&head.method, &head.path);
        let by_header = head.header("x-sim-fault").is_some();
        let skips_body = body.is_empty() && early.as_ref().is_some_and(|resolved| resolved.fault.is_some());
        let read = if endpoint.has_model() && !skips_body { Some(Ask::read(endpoint.clone(), body)) } else { None };
        let mut resolved = early;
        // Drawn in any case, so that a fault does not change what else is random.
        let roll = random.f64();
        let ask = match read {
            Some(Ok((ask, suffix))) => {
                self.recorder.model(id, &ask.model);
                if let Some(suffix) = suffix.filter(|_| !by_header) {
                    match suffix.parse::<Injection>() {
                        Ok(fault) => resolved = Some(self.resolve(&fault, &mut random)),
                        Err(error) => return refused(&endpoint, 400, &error.to_string()),
                    }
                }
                match self.compose(head, &ask) {
                    Ok(composed) => Some((ask, composed)),
                    Err((status, message)) => return refused(&endpoint, status, &message),
                }
            }
            Some(Err(message)) => return refused(&endpoint, 400, &message),
            None => None,
        };
        if resolved.is_none() && endpoint.has_model() && roll < self.options.error_rate {
            let faults = &self.options.error_faults;
            resolved = (!faults.is_empty()).then(|| self.resolve(&faults[random.usize(..faults.len())], &mut random));
        }
        let Resolved { fault, slow } = resolved.unwrap_or_default();
        if let Some(fault) = &fault {
            self.note_fault(id, fault);
        }
        let now = Circumstances {
            options: &self.options,
            now: wall(),
            elsewhere: &self.elsewhere,
            slow: slow.unwrap_or(1.0),
            random,
            number: id,
        };
        plan(head, &endpoint, ask, body.len(), fault.as_ref(), now)
    }
}

fn refused(endpoint: &Endpoint, status: u16, message: &str) -> Plan {
    let body = error_body(endpoint.dialect(), status, "invalid_request_error", None, message);
    Plan::at_once(Reply::json(status, &body))
}

#[expect(clippy::disallowed_methods, reason = "the sim is a stranger to the gateway and has a clock of its own")]
fn wall() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
