//! The data about addresses and sites that rules may need, looked for where people keep it.

use std::path::Path;

use tradewind_decide::rules::{ASN_FILES, COUNTRY_FILES, Geo, GeoError, SITE_FILES};
use tradewind_policy::ways::{Condition, RuleBehavior, RuleKind, Ways};
use tradewind_runtime::files;

/// The largest file that is read.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Reads what rules need from the first of `folders` that has it. What cannot be read is told, and is as if it were not
/// there: a rule that needs it is then refused by name.
pub(crate) fn load_geo(spec: &Ways, folders: &[&Path], notes: &mut Vec<String>) -> Geo {
    let mut geo = Geo::default();
    let needs = Needs::of(spec);
    let mut load = |names: &[&str], set: fn(&mut Geo, Vec<u8>) -> Result<(), GeoError>| {
        let paths = folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
        let Some(path) = paths.into_iter().find(|path| path.is_file()) else { return };
        let read = files::read_bytes(&path, LARGEST).map_err(|error| error.to_string());
        if let Err(error) = read.and_then(|bytes| set(&mut geo, bytes).map_err(|error| error.to_string())) {
            notes.push(format!("{}: {error}", path.display()));
        }
    };
    if needs.countries {
        load(&COUNTRY_FILES, Geo::set_countries);
    }
    if needs.systems {
        load(&ASN_FILES, Geo::set_asn);
    }
    if needs.sites {
        load(&SITE_FILES, Geo::set_sites);
    }
    geo
}

/// Which data the rules of a document ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Needs {
    countries: bool,
    systems: bool,
    sites: bool,
}

impl Needs {
    fn of(spec: &Ways) -> Self {
        // What stands in a list of whole rules is known only when it has come.
        if spec.rule_providers.iter().any(|provider| provider.behavior == RuleBehavior::Classical) {
            return Self { countries: true, systems: true, sites: true };
        }
        let mut needs = Self::default();
        let rules = spec.rules.main.iter().chain(spec.rules.sub.iter().flat_map(|(_, rules)| rules));
        rules.for_each(|rule| needs.look(&rule.condition));
        needs
    }

    fn look(&mut self, condition: &Condition) {
        match &condition.kind {
            RuleKind::GeoIp { .. } => self.countries = true,
            RuleKind::IpAsn(_) => self.systems = true,
            RuleKind::GeoSite { .. } => self.sites = true,
            RuleKind::And(parts) | RuleKind::Or(parts) => parts.iter().for_each(|part| self.look(part)),
            RuleKind::Not(part) | RuleKind::SubRules(part) => self.look(part),
            _ => {}
        }
    }
}
