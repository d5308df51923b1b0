//! The labelled set: what is asked, and who would be the right one to answer.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tradewind_core::{Context, Device, Dialect, Label, Labels, SaidBy, TargetId, nearest};
use tradewind_door_models::{Models, Reference};

use super::lines;

/// Right targets of one question.
const MOST_RIGHT: usize = 64;

/// One labelled question.
#[derive(Debug)]
pub(super) struct Item {
    /// Where it stands, from 1.
    pub(super) line: usize,
    pub(super) dialect: Dialect,
    /// The body of the request, without a model.
    pub(super) body: Map<String, Value>,
    /// The right targets; none when none is.
    pub(super) right: Vec<TargetId>,
    /// Who asks.
    pub(super) context: Context,
}

/// A line as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    question: Option<String>,
    /// `null` is a value: it has to be there.
    target: Value,
    request: Option<Map<String, Value>>,
    dialect: Option<Dialect>,
    context: Option<Caller>,
}

/// Who asks; all of it counts as proven.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Caller {
    role: Option<String>,
    tenant: Option<String>,
    region: Option<String>,
    device: Option<Device>,
    tags: Vec<String>,
}

/// Reads the set at `path`. The targets in it have to be targets of `models`.
pub(super) fn read(path: &Path, models: &Models) -> anyhow::Result<Vec<Item>> {
    let known = Known::of(models);
    lines::read(path, |line, read: Line| item(line, read, &known))
}

fn item(line: usize, read: Line, known: &Known<'_>) -> Result<Item, String> {
    let Line { question, target, request, dialect, context } = read;
    let right = known.right(&target)?;
    let (body, dialect) = match (question, request) {
        // The question is in the request; beside it, it is for people.
        (_, Some(body)) => (body, dialect.unwrap_or(Dialect::OpenAi)),
        (Some(_), None) if dialect.is_some() => {
            return Err("`dialect` says what `request` is written in, and there is no `request`".to_owned());
        }
        (Some(question), None) if question.trim().is_empty() => return Err("`question` is empty".to_owned()),
        (Some(question), None) => {
            let messages = json!([{"role": "user", "content": question}]);
            (Map::from_iter([("messages".to_owned(), messages)]), Dialect::OpenAi)
        }
        (None, None) => return Err("there is neither `question` nor `request`".to_owned()),
    };
    Ok(Item { line, dialect, body, right, context: context.map_or_else(Context::default, Caller::context) })
}

impl Caller {
    fn context(self) -> Context {
        let label = |text: String| Label { text: text.into(), by: SaidBy::Key };
        let labels = Labels {
            role: self.role.map(label),
            tenant: self.tenant.map(Into::into),
            region: self.region.map(label),
            tags: self.tags.into_iter().map(label).collect(),
            overruled: Vec::new(),
        };
        Context::new(Some(Arc::new(labels)), self.device.map(|device| (device, SaidBy::Key)))
    }
}

/// The targets that may be named.
struct Known<'a> {
    models: &'a Models,
    targets: HashSet<TargetId>,
}

impl<'a> Known<'a> {
    fn of(models: &'a Models) -> Self {
        let used = models.entries.iter().flat_map(|entry| {
            let targets = entry.targets.iter().map(|target| target.reference.value.as_str());
            targets.chain(entry.route.iter().map(|rule| rule.reference.value.as_str()))
        });
        let targets = used.filter_map(|reference| match models.resolve(reference) {
            Some(Reference::Target(target)) => Some(target),
            _ => None,
        });
        Self { targets: targets.collect(), models }
    }

    fn right(&self, target: &Value) -> Result<Vec<TargetId>, String> {
        let shape = "`target` has to be \"provider/model\", a list of these, or null where none is right";
        match target {
            Value::Null => Ok(Vec::new()),
            Value::String(name) => Ok(vec![self.target(name)?]),
            Value::Array(names) if names.is_empty() => Err(format!("{shape}; the list is empty")),
            Value::Array(names) if names.len() > MOST_RIGHT => {
                Err(format!("`target` has {} targets, the most is {MOST_RIGHT}", names.len()))
            }
            Value::Array(names) => {
                let names = names.iter().map(|name| name.as_str().ok_or_else(|| shape.to_owned()));
                names.map(|name| self.target(name?)).collect()
            }
            _ => Err(shape.to_owned()),
        }
    }

    fn target(&self, name: &str) -> Result<TargetId, String> {
        if let Ok(target) = TargetId::parse(name)
            && self.targets.contains(&target)
        {
            return Ok(target);
        }
        let shown: String = name.chars().take(100).collect();
        if self.models.entry(name).is_some() {
            return Err(format!("`{shown}` is a model: name the targets behind it that are right"));
        }
        Err(match nearest(name, self.targets.iter().map(TargetId::as_str)) {
            Some(right) => format!("no model has the target `{shown}`: did you mean `{right}`?"),
            None => format!("no model has the target `{shown}`"),
        })
    }
}
