//! What the strategy `score` finds out about a question before a decision: which target it is like, how complex it is, and
//! what it belongs together with. How that is weighed against load and cost is `decide`'s.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderMap;
use smallvec::SmallVec;
use tradewind_decide::{Affinity, CallFacts, Fits, Group, Scoring, Weights};
use tradewind_dialects::view_request;
use tradewind_meaning::{
    Basis, Chooser, ChooserError, Complexity, Described, Embedder, Fit, MAX_COMPLEXITY_BYTES, Question, Vector,
};
use tradewind_telemetry::{Choice, ComplexityParts, Meaning};

use crate::ask::Ask;
use crate::embedding::{Embedders, Embedding};
use crate::json::{Broken, Json, Kind};
use crate::remote::Remote;
use crate::section;

/// In which header a caller names its session.
const SESSION: &str = "x-tradewind-session";

/// What a model with the strategy `score` knows of its members.
pub(crate) struct Choosing {
    /// What the members are good at. Swapped when the vectors of a remote embedder have come.
    pub(crate) chooser: ArcSwap<Chooser>,
    /// Whether anything was said about any member; otherwise meaning has nothing to say.
    pub(crate) is_described: bool,
    /// What was said about each member, for when vectors have come.
    pub(crate) described: Vec<Described>,
    pub(crate) embedding: Embedding,
    /// The name of the embedder.
    pub(crate) embedder: Arc<str>,
    /// The leaves of each member.
    pub(crate) leaves: Vec<SmallVec<[usize; 1]>>,
    pub(crate) abstain_below: f32,
    pub(crate) margin: f32,
    pub(crate) affinity: section::Affinity,
}

/// What is known about one call.
#[derive(Default)]
pub(crate) struct Understanding {
    /// How well each target fits, by leaf; empty when nobody asked.
    meaning: SmallVec<[Option<f32>; 4]>,
    fits: Fits,
    complexity: Option<Complexity>,
    affinity: Option<Affinity>,
}

impl Choosing {
    /// The text that is compared: what the user said last, as far as it is read.
    pub(crate) fn question(&self, ask: &Ask) -> Option<String> {
        let wire = ask.operation.wire()?;
        let view = view_request(wire, ask.body()).ok()?;
        // Nobody reads further, and keeping a vector by it takes the longer the longer it is.
        let read = &view.question[..view.question.floor_char_boundary(MAX_COMPLEXITY_BYTES)];
        (!read.trim().is_empty()).then(|| read.to_owned())
    }

    /// Whom to ask for the vector of `question` before [`Self::understand`]: nobody where it is known, or is of no use.
    pub(crate) fn to_ask(&self, question: &str, embedders: &Embedders) -> Option<&Arc<Remote>> {
        let remote = self.embedding.remote()?;
        let is_missing = self.chooser.load().has_vectors() && self.embedding.vector(embedders, question).is_none();
        is_missing.then_some(remote)
    }

    /// The provider that the vectors of the members have not come from yet.
    pub(crate) fn lacks_vectors(&self) -> Option<&Arc<Remote>> {
        self.embedding.remote().filter(|_| self.is_described && !self.chooser.load().has_vectors())
    }

    /// Takes the vectors over that `before` has of the same texts.
    pub(crate) fn keep_vectors(&self, before: &Self) {
        let is_same = self.described == before.described && self.embedding.is_like(&before.embedding);
        if is_same && self.lacks_vectors().is_some() {
            self.chooser.store(before.chooser.load_full());
        }
    }

    /// Compares by `vectors` from now on: one for each passage of each member, in their order.
    ///
    /// # Errors
    /// When they do not go together.
    pub(crate) fn put_vectors(&self, vectors: Vec<Vector>) -> Result<(), ChooserError> {
        let mut vectors = vectors.into_iter();
        let of_member = |member: &Described| vectors.by_ref().take(member.passages().len()).collect();
        let vectors: Vec<Vec<Vector>> = self.described.iter().map(of_member).collect();
        self.chooser.store(Arc::new(Chooser::with_vectors(&self.described, &vectors)?));
        Ok(())
    }

    /// Finds out about `question` what a decision over `leaves` targets needs, and notes it in `choice`.
    pub(crate) fn understand(
        &self,
        question: Option<&str>,
        ask: &Ask,
        headers: &HeaderMap,
        embedders: &Embedders,
        leaves: usize,
        choice: &mut Choice,
    ) -> Understanding {
        let affinity = self.affinity_of(ask, headers);
        choice.affinity = affinity.map(|_| match self.affinity {
            section::Affinity::None => "none",
            section::Affinity::Session => "session",
            section::Affinity::PromptCache => "prompt-cache",
        });
        let Some(question) = question else { return Understanding { affinity, ..Understanding::default() } };
        let vector = self.embedding.vector(embedders, question);
        let local: Option<&dyn Embedder> = match &self.embedding {
            Embedding::Local(encoder) => Some(&**encoder),
            Embedding::Lexical | Embedding::Remote(_) => None,
        };
        let complexity = Complexity::of(question, local);
        choice.complexity = Some(shown(&complexity));
        let mut known = Understanding { complexity: Some(complexity), affinity, ..Understanding::default() };
        if !self.is_described {
            return known;
        }
        let fit = self.chooser.load().fit(&Question { text: question, vector: vector.as_deref() });
        let abstained = fit.choice(self.abstain_below, self.margin).is_none();
        choice.meaning = Some(self.noted(&fit, abstained));
        known.meaning.resize(leaves, None);
        for (member, target) in fit.targets.iter().enumerate() {
            for leaf in self.leaves.get(member).into_iter().flatten() {
                if let Some(place) = known.meaning.get_mut(*leaf) {
                    *place = Some(target.share);
                }
            }
        }
        if abstained {
            known.fits = Fits::None;
        }
        known
    }

    fn noted(&self, fit: &Fit, abstained: bool) -> Meaning {
        Meaning {
            embedder: self.embedder.clone(),
            basis: match fit.basis {
                Basis::Fused => "words and vectors",
                Basis::Lexical if self.lacks_vectors().is_some() => {
                    "words, until the embedder has given the vectors of the targets"
                }
                Basis::Lexical => "words",
                Basis::NoVector => "words, since the embedder gave no vector",
                Basis::Dimensions { .. } => "words, since the vectors have different dimensions",
            },
            confidence: fit.confidence,
            margin: fit.margin,
            abstained,
        }
    }

    /// What keeps `ask` together with others.
    fn affinity_of(&self, ask: &Ask, headers: &HeaderMap) -> Option<Affinity> {
        match self.affinity {
            section::Affinity::None => None,
            section::Affinity::Session => match headers.get(SESSION) {
                Some(session) => Some(Affinity::of(session.as_bytes())),
                None => ask.session().map(|session| Affinity::of(session.as_bytes())),
            },
            section::Affinity::PromptCache => Some(Affinity::of(&beginning(ask))),
        }
    }
}

impl Understanding {
    /// How well target `leaf` fits, 0 to 1.
    pub(crate) fn meaning(&self, leaf: usize) -> Option<f32> {
        self.meaning.get(leaf).copied().flatten()
    }

    /// Hands on what is known of the call.
    pub(crate) fn facts<R>(
        &self,
        selected: &dyn Fn(&Group) -> Option<usize>,
        decide: impl FnOnce(&CallFacts<'_>) -> R,
    ) -> R {
        let complexity = self.complexity;
        let raised = |scoring: &Scoring| -> Weights {
            match complexity {
                Some(complexity) => {
                    let weights = scoring.weights;
                    weights.with_meaning(f64::from(complexity.weight_of_meaning(weights.meaning() as f32)))
                }
                None => scoring.weights,
            }
        };
        decide(&CallFacts {
            selected,
            weights: Some(&raised),
            complexity: complexity.map(|complexity| f64::from(complexity.value)),
            fits: self.fits,
            affinity: self.affinity,
        })
    }
}

fn shown(complexity: &Complexity) -> ComplexityParts {
    let Complexity { value, length, spread, entities, code, constraints } = *complexity;
    ComplexityParts { value, length, spread, entities, code, constraints }
}

/// The beginning of a conversation, which stays the same when it goes on: system prompt and tools, and the messages up to
/// the first of the user.
fn beginning(ask: &Ask) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Ok(body) = std::str::from_utf8(ask.body()) else { return bytes };
    let mut json = Json::new(body);
    let _ = json.object(|json, key| {
        match key.raw {
            "system" | "tools" | "instructions" => bytes.extend_from_slice(json.skip()?.as_bytes()),
            "messages" | "input" if json.kind()? == Kind::List => {
                let mut begun = false;
                json.list(|json| {
                    let item = json.skip()?;
                    if !begun {
                        bytes.extend_from_slice(item.as_bytes());
                        begun = is_users(item)?;
                    }
                    Ok(())
                })?;
            }
            "input" => bytes.extend_from_slice(json.skip()?.as_bytes()),
            _ => drop(json.skip()?),
        }
        Ok(())
    });
    bytes
}

/// Whether a message is the user's.
fn is_users(message: &str) -> Result<bool, Broken> {
    let mut found = false;
    let mut json = Json::new(message);
    if json.kind()? != Kind::Object {
        return Ok(false);
    }
    json.object(|json, key| {
        let value = json.skip()?;
        found |= key.raw == "role" && value == "\"user\"";
        Ok(())
    })?;
    Ok(found)
}
