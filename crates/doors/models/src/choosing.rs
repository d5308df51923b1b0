//! What the strategy `score` finds out about a question before a decision: which target it is like, how complex it is, and
//! what it belongs together with. How that is weighed against load and cost is `decide`'s.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderMap;
use smallvec::SmallVec;
use tradewind_decide::{Affinity, CallFacts, Group, Scoring, Weights};
use tradewind_dialects::view_request;
use tradewind_meaning::{
    Basis, Chooser, ChooserError, Complexity, Described, Fit, MAX_COMPLEXITY_BYTES, Question, Vector,
};
use tradewind_telemetry::{Choice, ComplexityParts, Meaning};

use crate::ask::Ask;
use crate::embedding::{Embedders, Embedding};
use crate::fit::Fits;
use crate::json::{Broken, Json, Kind};
use crate::remote::Remote;
use crate::section::{self, LEXICAL, ScoreSettings};

/// In which header a caller names its session.
const SESSION: &str = "x-tradewind-session";

/// What a model knows of its members that scores, or that one which scores stands behind.
pub(crate) struct Choosing {
    /// What is compared, in one for all models that it stands in.
    pub(crate) compared: Arc<Compared>,
    /// The leaves of each described member, among those of the model that is called.
    pub(crate) leaves: Vec<SmallVec<[usize; 1]>>,
}

/// What a question is compared with, and how.
pub(crate) struct Compared {
    /// What the described members are good at. Swapped when the vectors of a remote embedder have come.
    chooser: ArcSwap<Chooser>,
    /// What was said about each member of which anything was said; of the others nothing is known.
    described: Vec<Described>,
    embedding: Embedding,
    /// The name of the embedder.
    embedder: Arc<str>,
    abstain_below: f32,
    margin: f32,
    affinity: section::Affinity,
}

/// What is known about one call.
#[derive(Default)]
pub(crate) struct Understanding {
    /// How well each target fits, by leaf; empty when nobody asked.
    meaning: SmallVec<[Option<f32>; 4]>,
    fits: tradewind_decide::Fits,
    complexity: Option<Complexity>,
    affinity: Option<Affinity>,
    /// Whether nothing is to be left to chance.
    pub(crate) settled: bool,
}

impl Compared {
    /// What `described` members are compared by, in the way of `score`. What `before` has worked out of the same texts is
    /// taken over; the rest is worked out now, which takes long where it means embedding many texts.
    ///
    /// # Errors
    /// When the texts are too many or too long.
    pub(crate) fn new(
        described: Vec<Described>,
        embedding: Embedding,
        score: &ScoreSettings,
        before: Option<&Self>,
    ) -> Result<Self, ChooserError> {
        let is_same = |before: &&Self| described == before.described && embedding.is_like(&before.embedding);
        let chooser = match (before.filter(is_same), &embedding) {
            (Some(before), _) => before.chooser.load_full(),
            (None, Embedding::Local(encoder)) => Arc::new(Chooser::with_embedder(&described, &**encoder)?),
            (None, Embedding::Lexical | Embedding::Remote(_)) => Arc::new(Chooser::lexical(&described)?),
        };
        Ok(Self {
            chooser: ArcSwap::new(chooser),
            described,
            embedding,
            embedder: Arc::from(score.embedder.as_ref().map_or(LEXICAL, |name| name.value.as_str())),
            abstain_below: score.abstain_below.0 as f32,
            margin: score.margin.0 as f32,
            affinity: score.affinity,
        })
    }

    /// The name of the embedder.
    pub(crate) fn embedder(&self) -> &str {
        &self.embedder
    }

    /// All that was said, in the order in which [`Self::put_vectors`] takes the vectors.
    pub(crate) fn passages(&self) -> Vec<String> {
        self.described.iter().flat_map(Described::passages).collect()
    }

    /// The text that is compared: what the user said last, as far as it is read. Nothing where there is nothing to
    /// compare it with.
    pub(crate) fn question(&self, ask: &Ask) -> Option<String> {
        if self.described.is_empty() {
            return None;
        }
        let wire = ask.operation.wire()?;
        let view = view_request(wire, ask.body()).ok()?;
        // Nobody reads further, and keeping a vector by it takes the longer the longer it is.
        let read = &view.question[..view.question.floor_char_boundary(MAX_COMPLEXITY_BYTES)];
        (!read.trim().is_empty()).then(|| read.to_owned())
    }

    /// Whom to ask for the vector of `question` before [`Choosing::understand`]: nobody where it is known, or is of no use.
    pub(crate) fn to_ask(&self, question: &str, embedders: &Embedders) -> Option<&Arc<Remote>> {
        let remote = self.embedding.remote()?;
        let is_missing = self.chooser.load().has_vectors() && self.embedding.vector(embedders, question).is_none();
        is_missing.then_some(remote)
    }

    /// The provider that the vectors of the members have not come from yet.
    pub(crate) fn lacks_vectors(&self) -> Option<&Arc<Remote>> {
        self.embedding.remote().filter(|_| !self.described.is_empty() && !self.chooser.load().has_vectors())
    }

    /// Compares by `vectors` from now on: one for each of [`Self::passages`].
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
}

impl Choosing {
    /// Finds out about `question` what a decision over targets of these `fits` needs, and notes it in `choice`. Compared
    /// are those alone that can be asked: how well another one fits is of no use, and would keep the gateway from saying
    /// that none does.
    pub(crate) fn understand(
        &self,
        question: Option<&str>,
        ask: &Ask,
        headers: &HeaderMap,
        embedders: &Embedders,
        fits: &Fits,
        choice: &mut Choice,
    ) -> Understanding {
        let compared = &*self.compared;
        let affinity = compared.affinity_of(ask, headers);
        choice.affinity = affinity.map(|_| match compared.affinity {
            section::Affinity::None => "none",
            section::Affinity::Session => "session",
            section::Affinity::PromptCache => "prompt-cache",
        });
        let Some(question) = question else { return Understanding { affinity, ..Understanding::default() } };
        let (vector, spread) = compared.embedding.vector_and_spread(embedders, question);
        let complexity = Complexity::of(question, spread);
        choice.complexity = Some(shown(&complexity));
        let mut known = Understanding { complexity: Some(complexity), affinity, ..Understanding::default() };
        let leaves = |member: usize| self.leaves.get(member).into_iter().flatten().copied();
        let may_be = |member: usize| leaves(member).any(|leaf| fits.unfit(leaf).is_none());
        let question = Question { text: question, vector: vector.as_deref() };
        let fit = compared.chooser.load().fit_among(&question, &may_be);
        let abstained = fit.choice(compared.abstain_below, compared.margin).is_none();
        choice.meaning = Some(compared.noted(&fit, abstained));
        for (member, target) in fit.targets.iter().enumerate().filter(|(member, _)| may_be(*member)) {
            for leaf in leaves(member) {
                known.note(leaf, target.share);
            }
        }
        if abstained {
            known.fits = tradewind_decide::Fits::None;
        }
        known
    }
}

impl Compared {
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
    /// Notes how well target `leaf` fits: a target that several members stand for as well as the best of them.
    fn note(&mut self, leaf: usize, share: f32) {
        if self.meaning.len() <= leaf {
            self.meaning.resize(leaf + 1, None);
        }
        let known = &mut self.meaning[leaf];
        *known = Some(known.map_or(share, |known| known.max(share)));
    }

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
            settled: self.settled,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(texts: &[&str], before: Option<&Compared>) -> Compared {
        let described = |text: &&str| Described::from_texts(vec![(*text).to_owned()], Vec::new());
        let described = texts.iter().map(described).collect();
        Compared::new(described, Embedding::Lexical, &ScoreSettings::default(), before).unwrap()
    }

    #[test]
    fn what_was_worked_out_of_the_same_texts_is_taken_over() {
        let first = compared(&["code", "poems"], None);
        let same = compared(&["code", "poems"], Some(&first));
        assert!(Arc::ptr_eq(&first.chooser.load_full(), &same.chooser.load_full()));
        for others in [&["code"][..], &["poems", "code"], &["code", "songs"]] {
            let other = compared(others, Some(&first));
            assert!(!Arc::ptr_eq(&first.chooser.load_full(), &other.chooser.load_full()), "{others:?}");
        }
    }

    #[test]
    fn of_several_members_a_target_has_the_best() {
        let mut known = Understanding::default();
        for (leaf, share) in [(2, 0.4), (0, 0.1), (2, 0.3), (0, 0.2)] {
            known.note(leaf, share);
        }
        assert_eq!([0, 1, 2, 3].map(|leaf| known.meaning(leaf)), [Some(0.2), None, Some(0.4), None]);
    }
}
