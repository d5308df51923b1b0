//! What the door knows at one moment: all models and providers of one document, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tradewind_access::Grant;
use tradewind_core::{Code, Dialect, ModelName, Moment, TargetId, nearest};
use tradewind_decide::{Group, Member, MemberKind, Strategy};
use tradewind_dispatch::{AnswerLimits, Lane};
use tradewind_door::{BodyLimits, Refusal};
use tradewind_egress::Roots;
use tradewind_policy::Shared;

use crate::door::Needs;
use crate::link::{Link, LinkError};
use crate::model::{Model, terms};
use crate::rules::Rules;
use crate::section::{self, BUILT_IN_RESPONDER, Models, Reference, TargetSettings};

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
    pub(crate) now: Moment,
}

impl Snapshot {
    pub(crate) fn new(source: Source<'_>) -> Result<Self, LinkError> {
        let Source { shared, models, policy, discovered, needs, roots, now } = source;
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
        };
        let mut built = HashMap::with_capacity(models.entries.len());
        for (index, entry) in models.entries.iter().enumerate() {
            let mut leaves = Leaves::default();
            let group = builder.group(index, &mut leaves, 0);
            let last_resort = entry.last_resort.as_ref().and_then(|last| responders.get(last.rules.value.as_str()));
            let model = Model::new(
                group,
                leaves.lanes,
                leaves.links,
                &needs.estimator,
                terms(Some(entry), limits.answer, now),
                last_resort.cloned(),
            );
            built.insert(entry.name.value.as_str().to_owned(), Arc::new(model.strict(entry.strict)));
        }
        let settings = std::mem::take(&mut builder.settings);
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
        let settings = self.settings.get(target).copied().unwrap_or_default();
        let lane = lane(target, link, &settings, needs, now);
        let group = Group::new(ModelName::new(target.as_str()), Strategy::Fallback, vec![Member::target(0)]);
        let terms = terms(None, self.limits.answer, now);
        Model::new(group, vec![lane], vec![link.clone()], &needs.estimator, terms, None)
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

/// The leaves of one model, each target once.
#[derive(Default)]
struct Leaves {
    numbers: HashMap<TargetId, usize>,
    lanes: Vec<Lane>,
    links: Vec<Arc<Link>>,
}

struct Builder<'a> {
    by_name: HashMap<&'a str, &'a Arc<Link>>,
    settings: HashMap<TargetId, TargetSettings>,
    models: &'a Models,
    needs: &'a Needs,
    now: Moment,
}

impl Builder<'_> {
    /// The group of entry `index`; its targets are numbered in `leaves`. The document has been checked: names exist and
    /// there are no circles.
    fn group(&self, index: usize, leaves: &mut Leaves, depth: usize) -> Group {
        let entry = &self.models.entries[index];
        let mut members = Vec::with_capacity(entry.targets.len());
        for target in &entry.targets {
            let kind = match self.models.resolve(&target.reference) {
                Some(Reference::Target(id)) => self.leaf(&id, leaves).map(MemberKind::Target),
                Some(Reference::Entry(inner)) if depth < Group::MAX_DEPTH => {
                    Some(MemberKind::Group(Arc::new(self.group(inner, leaves, depth + 1))))
                }
                _ => None,
            };
            if let Some(kind) = kind {
                members.push(Member { weight: target.weight, kind });
            }
        }
        let strategy = match entry.strategy {
            section::Strategy::Select => Strategy::Select,
            section::Strategy::Fallback => Strategy::Fallback,
            section::Strategy::Weighted => Strategy::Weighted,
            section::Strategy::LeastLatency => Strategy::LeastLatency,
        };
        Group::new(entry.name.value.clone(), strategy, members)
    }

    fn leaf(&self, id: &TargetId, leaves: &mut Leaves) -> Option<usize> {
        if let Some(number) = leaves.numbers.get(id) {
            return Some(*number);
        }
        let link = *self.by_name.get(id.provider())?;
        let settings = self.settings.get(id).copied().unwrap_or_default();
        let number = leaves.lanes.len();
        leaves.lanes.push(lane(id, link, &settings, self.needs, self.now));
        leaves.links.push(link.clone());
        leaves.numbers.insert(id.clone(), number);
        Some(number)
    }
}
