//! What the types of the sections cannot say: names that exist and are unique, no circles, numbers that fit together.
//!
//! Linear in the size of the document: names are looked up in maps, and "did you mean" is worked out only for
//! problems that are kept.

use std::collections::{HashMap, HashSet};
use std::fmt;

use tradewind_answers::LONGEST_VECTOR;
use tradewind_core::{Code, TargetId, nearest};
use tradewind_policy::{MOST_PROBLEMS, Problems, Root, Spanned, TimeSpan, Value};

use crate::rules::Rules;

use super::{BUILT_IN_RESPONDER, HedgeAfter, ModelEntry, Models, Reference, Strategy, Target};

/// The longest name of a model, in characters.
const LONGEST_NAME: usize = 128;
/// How many entries may stand behind each other through `use`.
pub(super) const DEEPEST_NESTING: usize = 8;
/// The largest weight.
const LARGEST_WEIGHT: u32 = 1_000_000;
/// The largest share of extra attempts.
const MOST_EXTRA: f64 = 0.2;

pub(super) fn check(models: &Models, root: &Root, problems: &mut Problems) {
    let mut check = Check {
        models,
        root,
        // Names as written, also of entries that could not be decoded: those have their own problem already.
        providers: root.names("providers").collect(),
        model_names: root.names("models").collect(),
        responders: root.names("responders").collect(),
        problems,
    };
    check.unique(models.entries.iter().map(|entry| &entry.name), "model");
    check.unique(models.responders.iter().map(|responder| &responder.name), "responder");
    let mut said = HashMap::new();
    for entry in &models.entries {
        check.name(entry);
        check.targets(entry);
        for target in &entry.targets {
            check.said_once(target, &mut said);
        }
        check.numbers(entry);
        check.last_resort(entry);
        check.choice(entry);
        check.quality(entry);
        check.cache(entry);
        check.network_policy(entry);
    }
    check.responders();
    check.embedders();
    check.queries();
    check.circles();
    check.scoring();
}

pub(super) struct Check<'a> {
    pub(super) models: &'a Models,
    pub(super) root: &'a Root,
    pub(super) providers: HashSet<&'a str>,
    model_names: HashSet<&'a str>,
    responders: HashSet<&'a str>,
    pub(super) problems: &'a mut Problems,
}

/// The path of an entry, from the path of its name or other key.
pub(super) fn above<'a, T>(value: &'a Spanned<T>, key: &str) -> &'a str {
    value.path.strip_suffix(key).and_then(|path| path.strip_suffix('.')).unwrap_or(&value.path)
}

impl<'a> Check<'a> {
    pub(super) fn refuse(&mut self, path: &str, message: impl Into<String>, hint: &str) {
        let problem = self.root.problem(Code::ConfigBadValue, path, message);
        self.problems.push(if hint.is_empty() { problem } else { problem.with_hint(hint) });
    }

    pub(super) fn unique<T: fmt::Display + 'a>(&mut self, names: impl Iterator<Item = &'a Spanned<T>>, what: &str) {
        let mut seen: HashMap<String, u32> = HashMap::new();
        for name in names {
            if let Some(line) = seen.insert(name.value.to_string(), name.place.line) {
                let message = format!("a {what} named `{}` is there already", name.shown());
                let hint = format!("give it another name; the first is on line {line}");
                self.problems.push(name.problem(Code::ConfigBadValue, message).with_hint(hint));
            }
        }
    }

    fn quality(&mut self, entry: &ModelEntry) {
        let Some(settings) = &entry.quality else { return };
        let path = format!("{}.quality", above(&entry.name, "name"));
        if !settings.is_on() {
            self.refuse(&path, "it names no gate", "write {empty: true}, or another gate, or remove `quality`");
        }
        for problem in settings.problems() {
            self.refuse(&format!("{path}.{}", problem.key), problem.message, problem.hint);
        }
    }

    fn cache(&mut self, entry: &ModelEntry) {
        let Some(settings) = &entry.cache else { return };
        let path = format!("{}.cache", above(&entry.name, "name"));
        for flaw in settings.flaws() {
            let dot = if flaw.path.is_empty() { "" } else { "." };
            self.refuse(&format!("{path}{dot}{}", flaw.path), flaw.message, flaw.hint);
        }
        if let Some(embedder) = settings.meaning.as_ref().and_then(|meaning| meaning.embedder.as_ref()) {
            self.embedder(embedder);
        }
        // Of vectors that are too long nothing would ever be kept.
        let embedder = self.models.embedder_of_answers(entry);
        if let Some(name) = embedder
            && let Some(dimensions) = self.models.embedder(name).and_then(|embedder| embedder.dimensions)
            && dimensions as usize > LONGEST_VECTOR
        {
            let message = format!(
                "vectors of `{}` have {dimensions} numbers, and answers are kept by vectors of {LONGEST_VECTOR} at most",
                name.shown()
            );
            let hint = "give it fewer `dimensions`, or name another one as `cache.meaning.embedder`";
            self.problems.push(name.problem(Code::ConfigBadValue, message).with_hint(hint));
        }
    }

    fn name(&mut self, entry: &ModelEntry) {
        let name = entry.name.as_str();
        let path = &entry.name.path;
        if name.is_empty() {
            self.refuse(path, "the name is empty", "");
        } else if name.trim() != name || name.contains(char::is_control) {
            self.refuse(path, "a model's name neither begins nor ends with a space, and has no line breaks", "");
        } else if name.chars().count() > LONGEST_NAME {
            self.refuse(path, format!("a model's name has at most {LONGEST_NAME} characters"), "");
        } else if let Some((provider, _)) = name.split_once('/')
            && self.providers.contains(provider)
        {
            let message = format!("`{}` would hide a model of the provider `{provider}`", entry.name.shown());
            self.refuse(path, message, "choose a name that does not begin with a provider's name and a slash");
        }
    }

    fn targets(&mut self, entry: &ModelEntry) {
        let path = above(&entry.name, "name");
        // Targets that could not be read have their problem already.
        let are_written = || {
            let node = self.root.node().find(&format!("{path}.targets"));
            node.is_some_and(|targets| {
                !targets.is_null() && !matches!(&targets.value, Value::List(items) if items.is_empty())
            })
        };
        if entry.targets.is_empty() && entry.last_resort.is_none() && !are_written() {
            self.refuse(path, "nothing can answer: there are no targets", "add targets: [{use: provider/model}]");
        }
        let mut used: HashMap<&str, u32> = HashMap::with_capacity(entry.targets.len());
        for target in &entry.targets {
            let reference = &target.reference;
            if let Some(line) = used.insert(&reference.value, reference.place.line) {
                let message = format!("`{}` is a target of this model already", reference.shown());
                let hint = format!("remove it, or use its weight; the first is on line {line}");
                self.problems.push(reference.problem(Code::ConfigBadValue, message).with_hint(hint));
            }
            self.reference(target);
            let path = above(reference, "use");
            if target.weight > LARGEST_WEIGHT {
                self.refuse(&format!("{path}.weight"), format!("a weight is at most {LARGEST_WEIGHT}"), "");
            }
            if target.max_in_flight == Some(0) {
                self.refuse(&format!("{path}.max-in-flight"), "it would never be called", "remove the target");
            }
        }
        let weighs_nothing = entry.targets.iter().all(|target| target.weight == 0);
        if entry.strategy == Strategy::Weighted && !entry.targets.is_empty() && weighs_nothing {
            self.refuse(&format!("{path}.targets"), "all weights are 0: none could be picked", "");
        }
    }

    fn reference(&mut self, target: &Target) {
        let reference = &target.reference;
        let text = reference.value.as_str();
        if self.model_names.contains(text) {
            let path = above(reference, "use");
            for (key, is_set) in [
                ("price", target.price.is_some()),
                ("max-in-flight", target.max_in_flight.is_some()),
                ("max-queue", target.max_queue.is_some()),
                ("max-output", target.max_output.is_some()),
                ("context", target.context.is_some()),
                ("images", target.images.is_some()),
                ("tools", target.tools.is_some()),
                ("json-schema", target.json_schema.is_some()),
                ("region", target.region.is_some()),
                ("prometheus", target.prometheus.is_some()),
            ] {
                if is_set {
                    let message = format!("`{key}` belongs to provider/model, and `{}` is a model", reference.shown());
                    let hint = "write it at the targets of that model";
                    self.refuse(&format!("{path}.{key}"), message, hint);
                }
            }
            return;
        }
        self.known(reference);
    }

    /// That `reference` is a model, or a model of a provider.
    pub(super) fn known(&mut self, reference: &Spanned<String>) {
        let text = reference.value.as_str();
        if self.model_names.contains(text) {
            return;
        }
        let (message, candidates): (String, Vec<&str>) = match text.split_once('/') {
            Some((provider, model)) if self.providers.contains(provider) && !model.is_empty() => return,
            Some((provider, "")) if self.providers.contains(provider) => {
                (format!("`{}` does not say which model of the provider", reference.shown()), Vec::new())
            }
            Some((provider, _)) if reference.raw.is_none() => {
                (format!("no provider named `{provider}`"), self.providers.iter().copied().collect())
            }
            _ => (format!("no model named `{}`", reference.shown()), self.model_names.iter().copied().collect()),
        };
        let mut problem = reference.problem(Code::ConfigUnknownName, message);
        if self.problems.len() < MOST_PROBLEMS && reference.raw.is_none() {
            problem = problem.with_hint(hint_for(text, candidates, &self.providers));
        }
        self.problems.push(problem);
    }

    /// A target is one thing wherever it is used, so two places may not say different things about it.
    fn said_once(&mut self, target: &'a Target, said: &mut HashMap<TargetId, [Option<Said<'a>>; 10]>) {
        let Some(Reference::Target(id)) = self.models.resolve(&target.reference) else { return };
        let price = target.price.map(|price| serde_json::to_string(&price).unwrap_or_default());
        let now = [
            ("price", price),
            ("max-in-flight", target.max_in_flight.map(|count| count.to_string())),
            ("max-queue", target.max_queue.map(|count| count.to_string())),
            ("max-output", target.max_output.map(|count| count.to_string())),
            ("context", target.context.map(|count| count.to_string())),
            ("images", target.images.map(|can| can.to_string())),
            ("tools", target.tools.map(|can| can.to_string())),
            ("json-schema", target.json_schema.map(|can| can.to_string())),
            ("region", target.region.clone()),
            ("prometheus", target.prometheus.as_ref().map(|prometheus| prometheus.query.clone())),
        ];
        let known = said.entry(id).or_default();
        for ((key, value), known) in now.into_iter().zip(known) {
            let Some(value) = value else { continue };
            match known {
                Some(first) if first.value != value => {
                    let message = format!("another `{key}` for `{}` than before", target.reference.shown());
                    let hint = format!("the first is on line {}; say it in one place", first.reference.place.line);
                    let path = format!("{}.{key}", above(&target.reference, "use"));
                    let problem = self.root.problem(Code::ConfigBadValue, &path, message).with_hint(hint);
                    self.problems.push(problem);
                }
                Some(_) => {}
                None => *known = Some(Said { value, reference: &target.reference }),
            }
        }
    }

    fn numbers(&mut self, entry: &ModelEntry) {
        let path = above(&entry.name, "name");
        let times = &entry.timeouts;
        let zero = TimeSpan::default();
        for (key, time) in [
            ("connect", Some(times.connect)),
            ("headers", times.headers),
            ("first-token", Some(times.first_token)),
            ("idle", Some(times.idle)),
            ("total", Some(times.total)),
        ] {
            let path = format!("{path}.timeouts.{key}");
            if time == Some(zero) {
                self.refuse(&path, format!("`{key}` is zero: no call could be answered"), "");
            } else if time.is_some_and(|time| time > times.total) && self.root.node().find(&path).is_some() {
                let message = format!("`{key}` is longer than the total of {}", times.total);
                self.refuse(&path, message, "make it shorter, or `total` longer");
            }
        }
        if let Some(hedge) = &entry.hedge {
            let path = format!("{path}.hedge");
            if !(1..=3).contains(&hedge.at_most) {
                self.refuse(&format!("{path}.at-most"), "a hedge has from 1 to 3 extra attempts", "");
            }
            if hedge.after == HedgeAfter::Time(zero) {
                let hint = "write a time span like 800ms, or p95";
                self.refuse(&format!("{path}.after"), "every call would be made twice", hint);
            }
            if entry.strategy == Strategy::Select {
                let message = "`select` calls no other target than the selected one, so it cannot hedge";
                self.refuse(&path, message, "use another strategy, or remove `hedge`");
            }
        }
        if entry.retry.extra.0 > MOST_EXTRA {
            let hint = "more than a fifth turns the failure of one provider into an overload of the others";
            self.refuse(&format!("{path}.retry.extra"), format!("`extra` is at most {MOST_EXTRA}"), hint);
        }
        if !(1..=10).contains(&entry.retry.attempts) {
            self.refuse(&format!("{path}.retry.attempts"), "a call has from 1 to 10 attempts", "");
        }
    }

    fn last_resort(&mut self, entry: &ModelEntry) {
        let Some(last_resort) = &entry.last_resort else { return };
        let name = &last_resort.rules;
        if name.value == BUILT_IN_RESPONDER || self.responders.contains(name.value.as_str()) {
            return;
        }
        let problem = name.problem(Code::ConfigUnknownName, format!("no responder named `{}`", name.shown()));
        let names = self.responders.iter().copied().chain([BUILT_IN_RESPONDER]);
        let hint = match nearest(&name.value, names).filter(|_| name.raw.is_none()) {
            Some(right) => format!("did you mean `{right}`?"),
            None => "add it to `responders`, or write `last-resort: rules` for the built-in one".to_owned(),
        };
        self.problems.push(problem.with_hint(hint));
    }

    fn responders(&mut self) {
        let models = self.models;
        for responder in &models.responders {
            let path = above(&responder.name, "name");
            if responder.name.value == BUILT_IN_RESPONDER {
                self.refuse(&responder.name.path, "`rules` is the built-in responder", "give it another name");
            } else if responder.name.trim().is_empty() {
                self.refuse(&responder.name.path, "the name is empty", "");
            }
            for flaw in Rules::flaws(responder) {
                self.refuse(&format!("{path}.{}", flaw.path), flaw.message, &flaw.hint);
            }
        }
    }

    /// Finds entries that refer to themselves through others, and chains that are too long. No recursion: a chain may
    /// be as long as the document.
    fn circles(&mut self) {
        let models = self.models;
        let mut depths: Vec<Option<usize>> = vec![None; models.entries.len()];
        for start in 0..models.entries.len() {
            if depths[start].is_none() {
                self.depth_below(start, &mut depths);
            }
        }
        for (index, depth) in depths.iter().enumerate() {
            // Only the entry where the chain becomes too long, not all those before it.
            if *depth == Some(DEEPEST_NESTING + 1) {
                let name = &models.entries[index].name;
                let message = format!("more than {DEEPEST_NESTING} models stand behind each other from here");
                self.problems.push(name.problem(Code::ConfigBadValue, message));
            }
        }
    }

    /// Fills in how many entries stand behind each other from `start` on, itself included; a circle counts as none.
    fn depth_below(&mut self, start: usize, depths: &mut [Option<usize>]) {
        let models = self.models;
        let mut on_the_way: Vec<(usize, usize, usize)> = vec![(start, 0, 0)];
        let mut is_on_the_way: HashSet<usize> = HashSet::from([start]);
        while let Some((entry, next, deepest)) = on_the_way.last().copied() {
            let Some(target) = models.entries[entry].targets.get(next) else {
                depths[entry] = Some(deepest + 1);
                is_on_the_way.remove(&entry);
                on_the_way.pop();
                if let Some(parent) = on_the_way.last_mut() {
                    parent.2 = parent.2.max(deepest + 1);
                }
                continue;
            };
            if let Some(here) = on_the_way.last_mut() {
                here.1 += 1;
            }
            let Some(Reference::Entry(child)) = models.resolve(&target.reference) else { continue };
            if is_on_the_way.contains(&child) {
                let names: Vec<String> = on_the_way
                    .iter()
                    .skip_while(|(entry, ..)| *entry != child)
                    .chain([&(child, 0, 0)])
                    .map(|(entry, ..)| models.entries[*entry].name.shown())
                    .collect();
                let message = format!("models refer to each other in a circle: {}", in_short(&names));
                let problem = target.reference.problem(Code::ConfigBadValue, message);
                self.problems.push(problem.with_hint("let one of them use provider/model instead"));
            } else if let Some(depth) = depths[child] {
                if let Some(here) = on_the_way.last_mut() {
                    here.2 = here.2.max(depth);
                }
            } else {
                is_on_the_way.insert(child);
                on_the_way.push((child, 0, 0));
            }
        }
    }
}

/// What one place says about a target.
struct Said<'a> {
    value: String,
    reference: &'a Spanned<String>,
}

fn hint_for(text: &str, candidates: Vec<&str>, providers: &HashSet<&str>) -> String {
    let (wanted, rest) = match text.split_once('/') {
        Some((provider, model)) => (provider, Some(model)),
        None => (text, None),
    };
    match (nearest(wanted, candidates), rest) {
        (Some(right), Some(model)) => format!("did you mean `{right}/{model}`?"),
        (Some(right), None) => format!("did you mean `{right}`?"),
        (None, Some(_)) if !wanted.is_empty() && !providers.contains(wanted) => {
            format!("add a provider named `{wanted}`")
        }
        _ => "write provider/model, or the name of another model".to_owned(),
    }
}

/// The way of a circle, its middle left out when it is long.
fn in_short(names: &[String]) -> String {
    if names.len() <= 8 {
        return names.join(" -> ");
    }
    format!("{} -> … -> {}", names[..4].join(" -> "), names[names.len() - 3..].join(" -> "))
}
