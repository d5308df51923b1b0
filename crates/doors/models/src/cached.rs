//! The answers that are kept for one model, and how a call is answered by them. Nothing of this is made for a model
//! without `cache`.
//!
//! A call comes here when it may use the model, its limits have let it pass, and it is decided who would be asked. What is
//! kept is what the caller got, byte for byte, and it is given again in the same form only: a stream is no answer to
//! who asked for a whole. Answers of the responses API are kept for one key even where the keys of a tenant share: the ids
//! in them are sealed for one key, and another one could not go on from them.
//!
//! Of callers that ask the same at once one asks and the others wait (`waiting`), within their own time. Who asked for a
//! stream waits for no longer than a first token may take, and asks alone then.

mod basis;
mod capture;
mod reaching;
mod waiting;

use std::fmt::Write as _;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use parking_lot::Mutex;
use tradewind_answers::{
    Asked, CallerWish, Entry, ExactCache, ExactStats, Followed, Form, Keyed, Keyer, Lookup, MeaningCache,
    MeaningLimits, MeaningStats, Scope, ScopeKind, Shape,
};
use tradewind_core::{Fault, Moment, Usage, Usd};
use tradewind_dialects::view_request;
use tradewind_dispatch::{Ending, Open, Services};
use tradewind_door::{Body, Response};
use tradewind_meaning::{Embedder as _, Lexical, Vector};
use tradewind_quality::languages_of;
use tradewind_telemetry::{Kept, Outcome};

use crate::ask::{Ask, Operation};
use crate::call::ModelCall;
use crate::embedding::{Embedders, Embedding};
use crate::failure::{DROPPED, mark};
use crate::section::ModelEntry;

pub(crate) use self::basis::Basis;
pub(crate) use self::capture::{Keeping, Tee, Told};
pub(crate) use self::waiting::Patience;

/// Says that an answer was kept, and how it was found.
const CACHE: HeaderName = HeaderName::from_static("x-tradewind-cache");
/// Answers whose time is over are forgotten this often; until then they are not given, but take their place.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// The kept answers of one model.
pub(crate) struct KeptAnswers {
    store: Arc<Store>,
    /// What compares questions.
    embedding: Embedding,
}

/// What outlives a reload that does not touch the model.
struct Store {
    model: Box<str>,
    /// What they depend on.
    basis: Basis,
    keyer: Keyer,
    scope: ScopeKind,
    exact: Option<Arc<ExactCache>>,
    meaning: Option<MeaningCache>,
    swept: Mutex<Moment>,
}

/// What became of looking for a kept answer.
pub(crate) enum Found {
    /// It was there, and the call is over.
    Answer(Response),
    /// The provider is to be asked; what comes may be kept.
    Ask(Open, Option<Box<Keeping>>),
    /// The time was over before another caller's answer had come.
    Over(Open, Fault),
}

/// What was counted for one model.
#[derive(Clone, Debug)]
pub struct AnswersKept {
    /// The model.
    pub model: String,
    /// By the same request.
    pub exact: ExactStats,
    /// By meaning.
    pub meaning: MeaningStats,
}

/// How an answer was found.
#[derive(Clone, Copy)]
enum How {
    Exact,
    Meaning(f32),
}

impl KeptAnswers {
    /// The answers that are kept for `entry`: those of `before`, if nothing has changed that makes other answers.
    pub(crate) fn new(entry: &ModelEntry, basis: Basis, embedding: Embedding, before: Option<&Self>) -> Option<Self> {
        let settings = entry.cache.as_ref()?;
        let is_same = |known: &&Self| known.store.basis == basis && known.embedding.is_like(&embedding);
        if let Some(known) = before.filter(is_same) {
            return Some(Self { store: known.store.clone(), embedding });
        }
        let store = Store {
            model: entry.name.as_str().into(),
            basis,
            keyer: Keyer::new(secret()),
            scope: settings.scope,
            exact: settings.exact.as_ref().map(ExactCache::new),
            meaning: settings.meaning.as_ref().map(|settings| MeaningCache::new(MeaningLimits::from(settings))),
            swept: Mutex::default(),
        };
        Some(Self { store: Arc::new(store), embedding })
    }

    /// Forgets answers whose time is over. Call it about once a second.
    pub(crate) fn sweep(&self, now: Moment) {
        let mut swept = self.store.swept.lock();
        if now.since(*swept) < SWEEP_EVERY {
            return;
        }
        *swept = now;
        if let Some(exact) = &self.store.exact {
            exact.sweep(now);
        }
        if let Some(meaning) = &self.store.meaning {
            meaning.sweep(now);
        }
    }

    /// What was counted.
    pub(crate) fn stats(&self) -> AnswersKept {
        AnswersKept {
            model: self.store.model.to_string(),
            exact: self.store.exact.as_ref().map_or_else(ExactStats::default, |exact| exact.stats()),
            meaning: self.store.meaning.as_ref().map_or_else(MeaningStats::default, MeaningCache::stats),
        }
    }

    /// Looks for an answer to `call`.
    pub(crate) async fn look(
        &self,
        call: &ModelCall,
        mut open: Open,
        services: &Services,
        embedders: &Embedders,
        patience: Patience,
    ) -> Found {
        let wish = call.headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        let wish = CallerWish::of_header(&wish.collect::<Vec<_>>().join(","));
        let Some((ask, keyed)) = call.what.ask().filter(|_| wish.keep).zip(self.keyed(call, &open)) else {
            return Found::Ask(open, None);
        };
        let clock = &services.clock;
        let mut leader = None;
        if let Some(exact) = self.store.exact.as_ref().filter(|_| wish.take) {
            match exact.lookup(keyed.exact, clock.now()) {
                Lookup::Hit(entry, age) if wish.takes(age) => {
                    return Found::Answer(give(&entry, age, How::Exact, open, clock.now(), call.arrived));
                }
                Lookup::Hit(..) => {}
                Lookup::Lead(lead) => leader = Some(lead),
                Lookup::Follow(follower) => {
                    let began = clock.now();
                    let followed = patience.wait(follower, ask.stream, services).await;
                    open.waited(clock.now().since(began));
                    match followed {
                        Ok(Followed::Hit(entry)) => {
                            let (now, age) = (clock.now(), Duration::ZERO);
                            return Found::Answer(give(&entry, age, How::Exact, open, now, call.arrived));
                        }
                        Ok(Followed::Lead(lead)) => leader = Some(lead),
                        Ok(Followed::Alone) => {}
                        Err(fault) => return Found::Over(open, fault),
                    }
                }
            }
        }
        let mut vector = None;
        // What the embedder does not read could be anything.
        let whole = keyed.question.as_ref().filter(|question| self.embedding.reads(&question.text));
        if let (Some(meaning), Some(question)) = (&self.store.meaning, whole) {
            let began = clock.now();
            vector = self.vector(&question.text, embedders, services, patience).await;
            if matches!(self.embedding, Embedding::Remote(_)) {
                open.waited(clock.now().since(began));
            }
            let near = vector.as_ref().filter(|_| wish.take);
            let similar = near.and_then(|vector| meaning.find(question, vector.values(), clock.now()));
            if let Some(similar) = similar.filter(|similar| wish.takes(similar.age)) {
                if let Some(leader) = leader {
                    leader.share(&similar.entry);
                }
                let how = How::Meaning(similar.similarity);
                return Found::Answer(give(&similar.entry, similar.age, how, open, clock.now(), call.arrived));
            }
        }
        let keeping = Keeping::new(self.store.clone(), keyed, vector, leader, services.clock.clone(), ask);
        Found::Ask(open, Some(Box::new(keeping)))
    }

    /// What the answer to `call` is kept under; nothing where it must not be kept.
    fn keyed(&self, call: &ModelCall, open: &Open) -> Option<Keyed> {
        let ask = call.what.ask()?;
        let shape = shape(ask.operation)?;
        let record = open.look();
        let kind = if shape == Shape::Responses { ScopeKind::Key } else { self.store.scope };
        let scope = Scope::of(kind, record.tenant.as_deref(), record.key.as_deref());
        let with_question = self.store.meaning.is_some() && ask.operation.wire().is_some();
        // Vectors of two languages may lie close together, and the answer has to be in that of the question.
        let language = if with_question { format!("{:x}", language(ask)) } else { String::new() };
        let headers = reaching::headers(&call.headers);
        let variant = [
            if ask.stream { "stream" } else { "whole" },
            if ask.stream && ask.wants_usage { "usage" } else { "" },
            // Whoever comes by another name may be owed other things of an answer, such as gates.
            record.resolved.as_deref().unwrap_or_default(),
            call.query.as_deref().unwrap_or_default(),
            &headers,
            &language,
        ];
        let asked = Asked {
            scope: &scope,
            shape,
            model: &self.store.model,
            variant: &variant,
            has_effects: !ask.repeatable,
            body: ask.body(),
        };
        self.store.keyer.read(&asked, with_question).ok()
    }

    /// The vector of a question; none when a provider that gives them was not quick enough.
    async fn vector(
        &self,
        text: &str,
        embedders: &Embedders,
        services: &Services,
        patience: Patience,
    ) -> Option<Arc<Vector>> {
        if matches!(self.embedding, Embedding::Lexical) {
            return Some(Arc::new(Lexical.embed(text)));
        }
        if let Some(known) = self.embedding.vector(embedders, text) {
            return Some(known);
        }
        let clock = &*services.clock;
        let left = patience.until.since(clock.now());
        self.embedding.remote()?.learn(text, embedders, Some(left), clock).await;
        self.embedding.vector(embedders, text)
    }
}

/// The shape of what is asked for, where answers may be kept.
const fn shape(operation: Operation) -> Option<Shape> {
    Some(match operation {
        Operation::Chat => Shape::Chat,
        Operation::Responses => Shape::Responses,
        Operation::Completions => Shape::Completions,
        Operation::Messages => Shape::Messages,
        Operation::Embeddings => Shape::Embeddings,
        Operation::CountTokens | Operation::Passthrough => return None,
    })
}

/// The languages of what the user said last.
fn language(ask: &Ask) -> u32 {
    let view = ask.operation.wire().and_then(|wire| view_request(wire, ask.body()).ok());
    view.map_or(0, |view| languages_of(&view.question))
}

/// Two numbers out of the random keys of the standard library's hash maps.
fn secret() -> [u8; 16] {
    let random = || std::collections::hash_map::RandomState::new().hash_one(0);
    let mut secret = [0; 16];
    secret[..8].copy_from_slice(&random().to_ne_bytes());
    secret[8..].copy_from_slice(&random().to_ne_bytes());
    secret
}

/// The response that gives `entry` again, and the end of the record: nobody was asked, and nothing is charged.
fn give(entry: &Entry, age: Duration, how: How, mut open: Open, now: Moment, arrived: Moment) -> Response {
    let (kind, similarity) = match how {
        How::Exact => ("exact", None),
        How::Meaning(similarity) => ("meaning", Some(similarity)),
    };
    let mut response = Response::new(Body::whole(entry.body.clone()));
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&entry.content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    if !entry.dropped.is_empty()
        && let Ok(value) = HeaderValue::from_str(&entry.dropped)
    {
        headers.insert(DROPPED, value);
    }
    let mut said = format!("{kind}; age={}", age.as_secs());
    if let Some(similarity) = similarity {
        let _ = write!(said, "; similarity={similarity:.2}");
    }
    if let Ok(value) = HeaderValue::try_from(said) {
        headers.insert(CACHE, value);
    }
    mark(&mut response, Some(open.id()), Some(&entry.target));
    let record = open.edit();
    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    record.choice.get_or_insert_default().cache = Some(Kept { kind, decision: entry.decision, age_ms, similarity });
    record.chosen = Some(entry.target.clone());
    (record.usage, record.cost) = (Some(Usage::default()), Some(Usd::default()));
    record.first_byte = Some(now.since(arrived));
    open.close(Ending { outcome: Outcome::Ok, status: 200, fault: None, code: None });
    response
}

/// How the bytes of an answer to `ask` are read.
const fn form(ask: &Ask) -> Form {
    if ask.stream { Form::Events } else { Form::Whole }
}
