//! What the door knows at one moment: all models and providers of one document, swapped whole.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tradewind_access::Grant;
use tradewind_core::{Code, Dialect, ModelName, Moment, TargetId, nearest};
use tradewind_decide::{Group, Member, MemberKind, Scoring, Strategy};
use tradewind_dispatch::{AnswerLimits, Lane, Terms};
use tradewind_door::{BodyLimits, Refusal};
use tradewind_egress::Roots;
use tradewind_meaning::{Described, RemoteEmbedder};
use tradewind_policy::{Routes, Shared};
use tradewind_quality::{Gates, SchemaCache};

use crate::cached::{Basis, KeptAnswers};
use crate::choosing::{Choosing, Compared};
use crate::door::Needs;
use crate::embedding::Embedding;
use crate::fit::falls_short;
use crate::link::{Link, LinkError};
use crate::model::{Extras, Model, terms};
use crate::remote::Remote;
use crate::rules::Rules;
use crate::section::{
    self, Abilities, BUILT_IN_RESPONDER, EmbedderKind, LEXICAL, ModelEntry, Models, Reference, Require, ScoreMode,
    ScoreSettings, TargetSettings,
};

/// The bounds of the door's calls.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Request bodies.
    pub body: BodyLimits,
    /// Answers.
    pub answer: AnswerLimits,
}

/// A request body may take this long altogether, however fast its pieces come.
const WHOLE_BODY: Duration = Duration::from_secs(300);

/// One document, ready to be used.
pub struct Snapshot {
    models: HashMap<String, Arc<Model>>,
    /// The names in the order of the file, for lists.
    pub(crate) names: Vec<ModelName>,
    links: Vec<Arc<Link>>,
    /// The targets that rules of `route` name.
    routed: HashMap<String, Arc<Model>>,
    settings: HashMap<TargetId, TargetSettings>,
    /// The upstream ids that each provider has told, and at which provider.
    discovered: Vec<TargetId>,
    /// What answers any name when no provider is known at all.
    any: Option<Arc<Model>>,
    pub(crate) limits: Limits,
    /// The digest of the document.
    pub(crate) policy: Arc<str>,
}

/// What a snapshot is made from.
pub(crate) struct Source<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) models: &'a Models,
    pub(crate) policy: &'a str,
    /// What providers have told about their models; targets of providers that are gone are left out.
    pub(crate) discovered: Vec<TargetId>,
    pub(crate) needs: &'a Needs,
    pub(crate) roots: &'a Roots,
    /// The schemas that answers were held against until now.
    pub(crate) schemas: &'a Arc<SchemaCache>,
    /// The document that was in place until now, whose kept answers may stay.
    pub(crate) before: Option<&'a Snapshot>,
    pub(crate) now: Moment,
}

impl Snapshot {
    pub(crate) fn new(source: Source<'_>) -> Result<Self, LinkError> {
        let Source { shared, models, policy, discovered, needs, roots, schemas, before, now } = source;
        let links: Vec<Arc<Link>> = shared
            .providers
            .iter()
            .map(|provider| Link::new(provider, needs, roots).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let limits = Limits {
            body: BodyLimits {
                size: size(shared.limits.request_body),
                idle: shared.limits.body_idle.get(),
                total: WHOLE_BODY,
            },
            answer: AnswerLimits { answer: size(shared.limits.answer_body), event: size(shared.limits.event) },
        };
        let built_in = Arc::new(Rules::built_in());
        let mut responders: HashMap<&str, Arc<Rules>> = HashMap::new();
        responders.insert(BUILT_IN_RESPONDER, built_in.clone());
        for responder in &models.responders {
            responders.insert(responder.name.value.as_str(), Arc::new(Rules::of(responder)));
        }
        let mut builder = Builder {
            by_name: links.iter().map(|link| (link.name.as_str(), link)).collect(),
            settings: models.target_settings(),
            models,
            needs,
            now,
            before,
            remotes: RefCell::default(),
            compared: RefCell::default(),
        };
        let mut built = HashMap::with_capacity(models.entries.len());
        for (index, entry) in models.entries.iter().enumerate() {
            let mut leaves = Leaves::default();
            let group = builder.group(index, &mut leaves, &mut Vec::new());
            let last_resort = entry.last_resort.as_ref().and_then(|last| responders.get(last.rules.value.as_str()));
            let model = Model::new(
                group,
                std::mem::take(&mut leaves.lanes),
                std::mem::take(&mut leaves.links),
                &needs.estimator,
                terms(Some(entry), limits.answer, now),
                last_resort.cloned(),
            );
            let abilities: Vec<Abilities> = model
                .lanes
                .iter()
                .map(|lane| {
                    builder
                        .settings
                        .get(lane.target.id())
                        .map_or_else(Abilities::default, |known| known.abilities.clone())
                })
                .collect();
            let says_nothing = abilities.iter().all(|abilities| *abilities == Abilities::default());
            let extras = Extras {
                strict: entry.strict,
                abilities: if says_nothing { Vec::new() } else { abilities },
                require: entry.require.clone(),
                routes: Routes::new(&entry.route),
                budget: entry.budget.as_ref().map(|budget| needs.budgets.of(entry.name.as_str(), *budget)),
                choosing: builder.choosing(index, &leaves.numbers)?.map(Arc::new),
                gates: entry
                    .quality
                    .as_ref()
                    .filter(|settings| settings.is_on())
                    .map(|settings| Arc::new(Gates::new(settings.clone(), schemas.clone()))),
                barred: if leaves.barred.iter().all(Option::is_none) { Vec::new() } else { leaves.barred },
                kept: builder.kept(index, &model, before)?.map(Arc::new),
            };
            built.insert(entry.name.value.as_str().to_owned(), Arc::new(model.with(extras)));
        }
        let settings = std::mem::take(&mut builder.settings);
        let mut routed = HashMap::new();
        for rule in models.entries.iter().flat_map(|entry| &entry.route) {
            let Some(Reference::Target(target)) = models.resolve(&rule.reference) else { continue };
            let Some(link) = links.iter().find(|link| link.name.as_str() == target.provider()) else { continue };
            let known = settings.get(&target).cloned().unwrap_or_default();
            let terms = terms(None, limits.answer, now);
            routed.insert(rule.reference.value.clone(), Arc::new(direct(&target, link, &known, terms, needs, now)));
        }
        let any = links.is_empty().then(|| {
            let group = Group::new(ModelName::new("any"), Strategy::Fallback, Vec::new());
            let terms = terms(None, limits.answer, now);
            Arc::new(Model::new(group, Vec::new(), Vec::new(), &needs.estimator, terms, Some(built_in)))
        });
        let known = |target: &TargetId| links.iter().any(|link| link.name.as_str() == target.provider());
        Ok(Self {
            discovered: discovered.into_iter().filter(known).collect(),
            models: built,
            names: models.entries.iter().map(|entry| entry.name.value.clone()).collect(),
            links,
            routed,
            settings,
            any,
            limits,
            policy: Arc::from(policy),
        })
    }

    /// The model that callers mean by `name`: an entry of `models`, else `provider/model`, else an upstream id that one
    /// provider alone has.
    ///
    /// # Errors
    /// 404 when there is none, with the nearest name that `grant` may use; 403 when `grant` may not use it. What is
    /// compared with the allow-list is what the name stands for, so that no other spelling gets past it.
    pub(crate) fn resolve(&self, name: &str, grant: &Grant, needs: &Needs, now: Moment) -> Result<Arc<Model>, Refusal> {
        let model = self.find(name, grant, needs, now)?;
        if grant.allows(&resource(model.name.as_str())) {
            return Ok(model);
        }
        Err(not_allowed(name, grant))
    }

    fn find(&self, name: &str, grant: &Grant, needs: &Needs, now: Moment) -> Result<Arc<Model>, Refusal> {
        if let Some(model) = self.models.get(name) {
            return Ok(model.clone());
        }
        if let Some(any) = &self.any {
            return Ok(any.clone());
        }
        if let Ok(target) = TargetId::parse(name)
            && let Some(link) = self.link(target.provider())
        {
            return Ok(Arc::new(self.direct(&target, link, needs, now)));
        }
        let is_it = |target: &&TargetId| target.model() == name;
        let allowed = |target: &&TargetId| grant.allows(&resource(target.as_str()));
        let mut at = self.discovered.iter().filter(is_it).filter(allowed);
        match (at.next(), at.next()) {
            (Some(target), None) => match self.link(target.provider()) {
                Some(link) => Ok(Arc::new(self.direct(target, link, needs, now))),
                None => Err(self.unknown(name, grant)),
            },
            (Some(first), Some(second)) => {
                let message =
                    format!("`{}` is at more than one provider: ask for `{first}` or `{second}`", short(name));
                Err(Refusal::new(Code::UnknownModel, message).in_field("model"))
            }
            (None, _) => match self.discovered.iter().find(is_it) {
                Some(target) => Err(not_allowed(target.model(), grant)),
                None => Err(self.unknown(name, grant)),
            },
        }
    }

    /// The model that a rule of `route` names.
    pub(crate) fn routed(&self, name: &str) -> Option<&Arc<Model>> {
        self.models.get(name).or_else(|| self.routed.get(name))
    }

    fn unknown(&self, name: &str, grant: &Grant) -> Refusal {
        let names = self.names.iter().map(ModelName::as_str).filter(|name| grant.allows(&resource(name)));
        let upstream = self.discovered.iter().filter(|target| grant.allows(&resource(target.as_str())));
        let upstream = upstream.flat_map(|target| [target.model(), target.as_str()]);
        let hint = match nearest(name, names.chain(upstream)) {
            Some(right) => format!("did you mean `{right}`?"),
            None => "GET /v1/models lists what there is; provider/model asks a provider directly".to_owned(),
        };
        Refusal::new(Code::UnknownModel, format!("there is no model `{}`: {hint}", short(name))).in_field("model")
    }

    /// One target, asked for by its own name.
    fn direct(&self, target: &TargetId, link: &Arc<Link>, needs: &Needs, now: Moment) -> Model {
        let settings = self.settings.get(target).cloned().unwrap_or_default();
        direct(target, link, &settings, terms(None, self.limits.answer, now), needs, now)
    }

    /// All providers that take paths which the gateway does not know, in the order of the file.
    pub(crate) fn passthrough(&self, dialect: Dialect, needs: &Needs, now: Moment) -> Option<Model> {
        let links: Vec<Arc<Link>> =
            self.links.iter().filter(|link| link.passthrough && link.dialect == dialect).cloned().collect();
        if links.is_empty() {
            return None;
        }
        let settings = TargetSettings::default();
        let lanes = links
            .iter()
            .map(|link| lane(&TargetId::new(&format!("{}/passthrough", link.name)), link, &settings, needs, now))
            .collect();
        let members = (0..links.len()).map(Member::target).collect();
        let group = Group::new(ModelName::new("passthrough"), Strategy::Fallback, members);
        Some(Model::new(group, lanes, links, &needs.estimator, terms(None, self.limits.answer, now), None))
    }

    fn link(&self, provider: &str) -> Option<&Arc<Link>> {
        self.links.iter().find(|link| link.name.as_str() == provider)
    }

    pub(crate) fn links(&self) -> &[Arc<Link>] {
        &self.links
    }

    pub(crate) fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values()
    }

    pub(crate) fn model(&self, name: &str) -> Option<&Arc<Model>> {
        self.models.get(name)
    }

    /// Takes over what was selected in the snapshot before, where the member is still there.
    pub(crate) fn keep_selections(&self, before: &Self) {
        for (name, model) in &self.models {
            if let Some(selected) = before.models.get(name).and_then(|known| known.selected_target()) {
                // A member that is gone leaves the first one selected, as in a new process.
                let _ = model.select_target(selected);
            }
        }
    }

    /// What `grant` may ask for: the names of the file first, then what providers have told.
    pub(crate) fn listed(&self, grant: &Grant) -> Vec<String> {
        let names = self.names.iter().map(ModelName::as_str);
        let listed = names.chain(self.discovered.iter().map(TargetId::as_str));
        listed.filter(|name| grant.allows(&resource(name))).map(str::to_owned).collect()
    }

    pub(crate) fn discovered(&self) -> &[TargetId] {
        &self.discovered
    }
}

/// A model of one target.
fn direct(
    target: &TargetId,
    link: &Arc<Link>,
    settings: &TargetSettings,
    terms: Terms,
    needs: &Needs,
    now: Moment,
) -> Model {
    let lane = lane(target, link, settings, needs, now);
    let group = Group::new(ModelName::new(target.as_str()), Strategy::Fallback, vec![Member::target(0)]);
    let abilities =
        if settings.abilities == Abilities::default() { Vec::new() } else { vec![settings.abilities.clone()] };
    let model = Model::new(group, vec![lane], vec![link.clone()], &needs.estimator, terms, None);
    model.with(Extras { abilities, ..Extras::default() })
}

fn not_allowed(name: &str, grant: &Grant) -> Refusal {
    let message = format!("the key `{}` may not use `{}`", grant.name().map_or("", |name| name), short(name));
    Refusal::new(Code::NotAllowed, message).in_field("model")
}

/// What an allow-list calls the model `name`.
pub(crate) fn resource(name: &str) -> String {
    ["models/", name].concat()
}

/// A name of a caller's, short enough for a message.
pub(crate) fn short(name: &str) -> String {
    name.chars().take(100).collect()
}

fn size(bytes: tradewind_policy::ByteSize) -> usize {
    usize::try_from(bytes.0).unwrap_or(usize::MAX)
}

fn lane(target: &TargetId, link: &Link, settings: &TargetSettings, needs: &Needs, now: Moment) -> Lane {
    let live = needs.targets.get(target, now);
    live.set_limits(settings.max_in_flight, settings.max_queue);
    Lane {
        target: live,
        route: link.route.clone(),
        keys: link.keys.clone(),
        server: link.server.clone(),
        max_output: u64::from(settings.max_output),
        price: settings.price,
    }
}

/// How the group of `entry` scores. The document has been checked, so that the usual weights are never taken for others.
fn scoring(entry: &ModelEntry) -> Scoring {
    let usual = ScoreSettings::default();
    let score = entry.score.as_ref().unwrap_or(&usual);
    let made = Scoring::new(score.meaning.0, score.load.0, score.cost.0).and_then(|scoring| match score.mode {
        ScoreMode::Best => Ok(scoring),
        ScoreMode::Softmax => scoring.softmax(score.temperature.0),
    });
    let scoring = made
        .or_else(|_| Scoring::new(usual.meaning.0, usual.load.0, usual.cost.0))
        .expect("the usual weights are weights");
    let default = score
        .default
        .as_ref()
        .and_then(|default| entry.targets.iter().position(|target| target.reference.value == default.value));
    default.map_or(scoring, |member| scoring.with_default(member))
}

/// The leaves of one model, each target once.
#[derive(Default)]
struct Leaves {
    numbers: HashMap<TargetId, usize>,
    lanes: Vec<Lane>,
    links: Vec<Arc<Link>>,
    /// What each lacks of what is required on every way to it.
    barred: Vec<Option<String>>,
}

struct Builder<'a> {
    by_name: HashMap<&'a str, &'a Arc<Link>>,
    settings: HashMap<TargetId, TargetSettings>,
    models: &'a Models,
    needs: &'a Needs,
    now: Moment,
    /// The document that was in place until now.
    before: Option<&'a Snapshot>,
    /// Remote embedders by their name.
    remotes: RefCell<HashMap<String, Arc<Remote>>>,
    /// What is compared, by the entry that scores.
    compared: RefCell<HashMap<usize, Arc<Compared>>>,
}

impl<'a> Builder<'a> {
    /// The group of entry `index`; its targets are numbered in `leaves`. `required` is what the entries before this one
    /// require. The document has been checked: names exist and there are no circles.
    fn group(&self, index: usize, leaves: &mut Leaves, required: &mut Vec<Option<&'a Require>>) -> Group {
        let entry = &self.models.entries[index];
        required.push(entry.require.as_ref());
        let mut members = Vec::with_capacity(entry.targets.len());
        for target in &entry.targets {
            let kind = match self.models.resolve(&target.reference) {
                Some(Reference::Target(id)) => self.leaf(&id, leaves, required).map(MemberKind::Target),
                Some(Reference::Entry(inner)) if required.len() <= Group::MAX_DEPTH => {
                    Some(MemberKind::Group(Arc::new(self.group(inner, leaves, required))))
                }
                _ => None,
            };
            if let Some(kind) = kind {
                members.push(Member { weight: target.weight, kind });
            }
        }
        required.pop();
        let strategy = match entry.strategy {
            section::Strategy::Select => Strategy::Select,
            section::Strategy::Fallback => Strategy::Fallback,
            section::Strategy::Weighted => Strategy::Weighted,
            section::Strategy::LeastLatency => Strategy::LeastLatency,
            section::Strategy::Score => Strategy::Score,
        };
        let group = Group::new(entry.name.value.clone(), strategy, members);
        if strategy == Strategy::Score { group.scoring(scoring(entry)) } else { group }
    }

    /// What is known of the members that are scored in entry `index` or behind it; nothing where none are. `numbers` are
    /// the leaves of all its targets.
    fn choosing(&self, index: usize, numbers: &HashMap<TargetId, usize>) -> Result<Option<Choosing>, LinkError> {
        let Some(scoring) = self.models.scoring(index) else { return Ok(None) };
        let mut leaves = Vec::new();
        for target in self.models.entries[scoring].targets.iter().filter(|target| target.is_described()) {
            let mut below = SmallVec::new();
            self.leaves_below(&target.reference.value, numbers, &mut below, 0);
            leaves.push(below);
        }
        Ok(Some(Choosing { compared: self.compared(scoring)?, leaves }))
    }

    /// What questions are compared with where entry `scoring` scores.
    fn compared(&self, scoring: usize) -> Result<Arc<Compared>, LinkError> {
        if let Some(known) = self.compared.borrow().get(&scoring) {
            return Ok(known.clone());
        }
        let entry = &self.models.entries[scoring];
        let usual = ScoreSettings::default();
        let score = entry.score.as_ref().unwrap_or(&usual);
        let embedding = self.embedding(score.embedder.as_ref().map_or(LEXICAL, |name| name.value.as_str()))?;
        let described = entry.targets.iter().filter(|target| target.is_described());
        let described = described.map(|target| Described::from_texts(target.good_at.clone(), target.examples.clone()));
        let before = self.before.and_then(|before| before.model(entry.name.as_str())?.extras.choosing.as_ref());
        let compared = Compared::new(described.collect(), embedding, score, before.map(|before| &*before.compared));
        let compared =
            compared.map_err(|error| LinkError::Chooser(entry.name.to_string(), error.to_string())).map(Arc::new)?;
        self.compared.borrow_mut().insert(scoring, compared.clone());
        Ok(compared)
    }

    /// The answers that are kept for entry `index`, if any are to be.
    fn kept(&self, index: usize, model: &Model, before: Option<&Snapshot>) -> Result<Option<KeptAnswers>, LinkError> {
        let entry = &self.models.entries[index];
        if entry.cache.is_none() {
            return Ok(None);
        }
        let embedder = self.models.embedder_of_answers(entry);
        let embedding = embedder.map_or(Ok(Embedding::Lexical), |name| self.embedding(&name.value))?;
        let basis = Basis::new(self.models, index, model, &self.settings);
        let known = before.and_then(|before| before.model(entry.name.as_str()));
        let known = known.and_then(|model| model.extras.kept.as_deref());
        Ok(KeptAnswers::new(entry, basis, embedding, known))
    }

    /// The leaves that the member `reference` stands for.
    fn leaves_below(
        &self,
        reference: &str,
        numbers: &HashMap<TargetId, usize>,
        below: &mut SmallVec<[usize; 1]>,
        depth: usize,
    ) {
        match self.models.resolve(reference) {
            Some(Reference::Target(target)) => below.extend(numbers.get(&target).copied()),
            Some(Reference::Entry(entry)) if depth < Group::MAX_DEPTH => {
                for target in &self.models.entries[entry].targets {
                    self.leaves_below(&target.reference.value, numbers, below, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// What the embedder `name` is.
    pub(crate) fn embedding(&self, name: &str) -> Result<Embedding, LinkError> {
        let Some(entry) = self.models.embedders.iter().find(|entry| entry.name.value == name) else {
            return Ok(Embedding::Lexical);
        };
        let failed = |why: String| LinkError::Embedder(name.to_owned(), why);
        match entry.kind {
            EmbedderKind::UniversalSentenceEncoder => {
                self.needs.embedders.encoder().map(Embedding::Local).map_err(failed)
            }
            EmbedderKind::Openai => {
                let provider = entry.provider.as_ref().map_or("", |provider| provider.value.as_str());
                let link = self.by_name.get(provider).ok_or_else(|| failed("its provider is not there".to_owned()))?;
                // One for all models, so that a provider that fails is left alone by all of them.
                let mut remotes = self.remotes.borrow_mut();
                let remote = remotes.entry(name.to_owned()).or_insert_with(|| {
                    let embedder = RemoteEmbedder {
                        model: entry.model.clone().unwrap_or_default(),
                        dimensions: entry.dimensions.map(|dimensions| dimensions as usize),
                    };
                    Arc::new(Remote::new((*link).clone(), embedder, entry.timeout.get()))
                });
                Ok(Embedding::Remote(remote.clone()))
            }
        }
    }

    /// The number of a target that stands in the last of the entries that require `required`.
    fn leaf(&self, id: &TargetId, leaves: &mut Leaves, required: &[Option<&Require>]) -> Option<usize> {
        let link = *self.by_name.get(id.provider())?;
        let unknown = TargetSettings::default();
        let settings = self.settings.get(id).unwrap_or(&unknown);
        let falls_short = |require: &&Require| falls_short(require, &settings.abilities, settings.price.as_ref());
        let lack = required.iter().flatten().find_map(falls_short);
        if let Some(number) = leaves.numbers.get(id) {
            // One way to it on which it lacks nothing is enough.
            leaves.barred[*number] = leaves.barred[*number].take().and(lack);
            return Some(*number);
        }
        let number = leaves.lanes.len();
        leaves.lanes.push(lane(id, link, settings, self.needs, self.now));
        leaves.links.push(link.clone());
        leaves.barred.push(lack);
        leaves.numbers.insert(id.clone(), number);
        Some(number)
    }
}
