//! What the kept answers of a model depend on beside the calls. A reload that changes any of it forgets them: somebody
//! might not answer any more, or not pass.

use std::collections::HashMap;
use std::sync::Arc;

use tradewind_core::{Price, TargetId};
use tradewind_policy::Provider;
use tradewind_quality::QualitySettings;

use crate::link::Link;
use crate::model::Model;
use crate::section::{Abilities, ModelEntry, Models, Reference, Require, TargetSettings};

/// What the document says about who answers for a model, and how.
#[derive(PartialEq)]
pub(crate) struct Basis {
    /// The model, and those behind it.
    entries: Vec<ModelEntry>,
    /// What the models whose rules lead here ask of answers and targets.
    led_from: Vec<(String, Option<QualitySettings>, Option<Require>)>,
    leaves: Vec<Leaf>,
}

/// One target.
#[derive(PartialEq)]
struct Leaf {
    target: TargetId,
    provider: Provider,
    abilities: Abilities,
    price: Option<Price>,
}

impl Basis {
    /// For entry `index` of `models`, which was made into `model`; `settings` are those of all targets.
    pub(crate) fn new(
        models: &Models,
        index: usize,
        model: &Model,
        settings: &HashMap<TargetId, TargetSettings>,
    ) -> Self {
        let mut behind = vec![index];
        let mut at = 0;
        while let Some(entry) = behind.get(at).and_then(|index| models.entries.get(*index)) {
            for target in &entry.targets {
                if let Some(Reference::Entry(inner)) = models.resolve(&target.reference)
                    && !behind.contains(&inner)
                {
                    behind.push(inner);
                }
            }
            at += 1;
        }
        let leads_here = |entry: &&ModelEntry| {
            let mut uses = entry.route.iter().map(|rule| models.resolve(&rule.reference));
            uses.any(|to| matches!(to, Some(Reference::Entry(to)) if to == index))
        };
        let asks = |entry: &ModelEntry| (entry.name.to_string(), entry.quality.clone(), entry.require.clone());
        let leaf = |(lane, link): (&tradewind_dispatch::Lane, &Arc<Link>)| {
            let target = lane.target.id().clone();
            let abilities = settings.get(&target).map_or_else(Abilities::default, |known| known.abilities.clone());
            Leaf { target, provider: link.provider().clone(), abilities, price: lane.price }
        };
        Self {
            entries: behind.iter().filter_map(|index| models.entries.get(*index)).cloned().collect(),
            led_from: models.entries.iter().filter(leads_here).map(asks).collect(),
            leaves: model.lanes.iter().zip(model.links.iter()).map(leaf).collect(),
        }
    }
}
