//! Rules ready for use: which one a call fits, without memory of its own; and why, for whoever asks.

use std::sync::Arc;

use serde::Serialize;
use tradewind_core::{Context, Device};

use super::{RouteRule, When, Words};
use crate::spanned::Spanned;

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub struct RouteFacts<'a> {
    /// Who calls.
    pub context: &'a Context,
    /// The name of the caller's key.
    pub key: Option<&'a str>,
    /// What the caller wrote as `model`.
    pub model: &'a str,
}

/// The rules of one entry, compiled.
#[derive(Clone, Debug, Default)]
pub struct Routes(Box<[Rule]>);

/// One rule that was looked at, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleTrace {
    /// Its place in `route`, from 0.
    pub rule: usize,
    /// What it would use.
    #[serde(rename = "use")]
    pub reference: Arc<str>,
    /// Whether it fits.
    pub fits: bool,
    /// Why, or why not.
    pub why: String,
}

/// Texts of which one has to be there; empty when there is no condition.
type AnyOf = Box<[Box<str>]>;

#[derive(Clone, Debug)]
struct Rule {
    reference: Arc<str>,
    model: AnyOf,
    key: AnyOf,
    tenant: AnyOf,
    role: AnyOf,
    region: AnyOf,
    /// A bit for each kind; 0 when there is no condition.
    device: u8,
    all_tags: AnyOf,
    any_tag: AnyOf,
    proven: bool,
}

/// The first condition that does not hold, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Miss {
    Model,
    Key,
    Tenant,
    Role,
    Region,
    RegionNotProven,
    Device,
    DeviceNotProven,
    /// The place of the tag that is missing.
    Tag(usize),
    AnyTag,
}

impl Routes {
    /// Compiles rules that were checked by [`check_routes`](super::check_routes).
    #[must_use]
    pub fn new(rules: &[RouteRule]) -> Self {
        Self(rules.iter().map(Rule::new).collect())
    }

    /// Whether there are no rules.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first rule that fits: its place, and what it uses.
    #[must_use]
    pub fn choose(&self, facts: &RouteFacts<'_>) -> Option<(usize, &Arc<str>)> {
        let place = self.0.iter().position(|rule| rule.miss(facts).is_none())?;
        Some((place, &self.0[place].reference))
    }

    /// The rules that were looked at, up to the first that fits, each with the reason.
    #[must_use]
    pub fn explain(&self, facts: &RouteFacts<'_>) -> Vec<RuleTrace> {
        let mut seen = Vec::new();
        for (place, rule) in self.0.iter().enumerate() {
            let miss = rule.miss(facts);
            let why = miss.map_or_else(|| rule.why_it_fits(facts), |miss| rule.why_not(miss, facts));
            seen.push(RuleTrace { rule: place, reference: rule.reference.clone(), fits: miss.is_none(), why });
            if miss.is_none() {
                break;
            }
        }
        seen
    }
}

const fn bit(device: Device) -> u8 {
    1 << device as u8
}

fn any_of(words: Option<&Spanned<Words<String>>>) -> AnyOf {
    words.map(|words| words.0.iter().map(|word| word.as_str().into()).collect()).unwrap_or_default()
}

/// Whether there is no condition, or `text` is one of `words`.
fn holds(words: &AnyOf, text: Option<&str>) -> bool {
    words.is_empty() || text.is_some_and(|text| words.iter().any(|word| **word == *text))
}

impl Rule {
    fn new(rule: &RouteRule) -> Self {
        let When { role, tenant, region, device, tags, any_tag, key, model, proven } = &rule.when;
        Self {
            reference: rule.reference.as_str().into(),
            model: any_of(model.as_ref()),
            key: any_of(key.as_ref()),
            tenant: any_of(tenant.as_ref()),
            role: any_of(role.as_ref()),
            region: any_of(region.as_ref()),
            device: device.as_ref().map_or(0, |words| words.0.iter().fold(0, |bits, one| bits | bit(*one))),
            all_tags: any_of(tags.as_ref()),
            any_tag: any_of(any_tag.as_ref()),
            proven: *proven,
        }
    }

    fn miss(&self, facts: &RouteFacts<'_>) -> Option<Miss> {
        let context = facts.context;
        if !holds(&self.model, Some(facts.model)) {
            return Some(Miss::Model);
        }
        if !holds(&self.key, facts.key) {
            return Some(Miss::Key);
        }
        if !holds(&self.tenant, context.tenant()) {
            return Some(Miss::Tenant);
        }
        if !holds(&self.role, context.role()) {
            return Some(Miss::Role);
        }
        if !self.region.is_empty() {
            match context.region() {
                Some((region, by)) if self.region.iter().any(|one| one.eq_ignore_ascii_case(region)) => {
                    if self.proven && !by.is_proven() {
                        return Some(Miss::RegionNotProven);
                    }
                }
                _ => return Some(Miss::Region),
            }
        }
        if self.device != 0 {
            match context.device() {
                Some((device, by)) if self.device & bit(device) != 0 => {
                    if self.proven && !by.is_proven() {
                        return Some(Miss::DeviceNotProven);
                    }
                }
                _ => return Some(Miss::Device),
            }
        }
        if let Some(missing) = self.all_tags.iter().position(|tag| !context.has_tag(tag)) {
            return Some(Miss::Tag(missing));
        }
        let has_any = self.any_tag.is_empty() || self.any_tag.iter().any(|tag| context.has_tag(tag));
        (!has_any).then_some(Miss::AnyTag)
    }

    fn why_not(&self, miss: Miss, facts: &RouteFacts<'_>) -> String {
        let context = facts.context;
        let device = context.device();
        match miss {
            Miss::Model => other("model", Some(facts.model), &either(&self.model)),
            Miss::Key => other("key", facts.key, &either(&self.key)),
            Miss::Tenant => other("tenant", context.tenant(), &either(&self.tenant)),
            Miss::Role => other("role", context.role(), &either(&self.role)),
            Miss::Region => other("region", context.region().map(|(region, _)| region), &either(&self.region)),
            Miss::Device => other("device", device.map(|(device, _)| device.name()), &self.devices()),
            Miss::RegionNotProven => not_proven("region", context.region().map(|(_, by)| by.name())),
            Miss::DeviceNotProven => not_proven("device", device.map(|(_, by)| by.name())),
            Miss::Tag(place) => format!("the tag {} is missing", self.all_tags[place]),
            Miss::AnyTag => format!("none of the tags {} is there", either(&self.any_tag)),
        }
    }

    fn why_it_fits(&self, facts: &RouteFacts<'_>) -> String {
        let context = facts.context;
        let mut said = Vec::new();
        let mut say = |words: &AnyOf, what: &str, text: Option<&str>| {
            if !words.is_empty() {
                said.push(format!("the {what} is {}", text.unwrap_or_default()));
            }
        };
        say(&self.model, "model", Some(facts.model));
        say(&self.key, "key", facts.key);
        say(&self.tenant, "tenant", context.tenant());
        say(&self.role, "role", context.role());
        if let Some((region, by)) = context.region().filter(|_| !self.region.is_empty()) {
            said.push(format!("the region is {region} ({})", by.name()));
        }
        if let Some((device, by)) = context.device().filter(|_| self.device != 0) {
            said.push(format!("the device is {device} ({})", by.name()));
        }
        let mut tags: Vec<&str> = self.all_tags.iter().map(|tag| &**tag).collect();
        for tag in &self.any_tag {
            if context.has_tag(tag) && !tags.contains(&&**tag) {
                tags.push(tag);
            }
        }
        if !tags.is_empty() {
            said.push(format!("it is tagged {}", tags.join(", ")));
        }
        if said.is_empty() { "it fits every call".to_owned() } else { said.join(", ") }
    }

    fn devices(&self) -> String {
        let meant = Device::ALL.into_iter().filter(|device| self.device & bit(*device) != 0);
        meant.map(Device::name).collect::<Vec<_>>().join(" or ")
    }
}

fn either(words: &AnyOf) -> String {
    words.join(" or ")
}

fn other(what: &str, text: Option<&str>, wanted: &str) -> String {
    match text {
        Some(text) => format!("the {what} is {text}, not {wanted}"),
        None => format!("no {what} is known, and it has to be {wanted}"),
    }
}

fn not_proven(what: &str, by: Option<&str>) -> String {
    format!("the {what} is not proven: only a {} says it", by.unwrap_or_default().replace('_', " "))
}
