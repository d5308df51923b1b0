//! Rules by destination: which proxy or group a connection takes.
//!
//! [`RuleSet`] is the rules of the document, compiled; [`RuleSet::first_match`] finds the first rule in order that fits a
//! connection ([`Meta`]). Nothing is looked up here: where a rule can only be answered with the address of a name or the
//! process of the caller, the answer is [`Verdict::Need`], the caller finds it out once, writes it into `Meta`, and asks
//! again. Lists of rules ([`Lists`]) and data about addresses and sites ([`Geo`]) come in as bytes.

mod addresses;
mod compiled;
mod counters;
mod domains;
mod geo;
mod level;
mod lists;
mod meta;
mod names;
mod set;

pub use self::counters::{RuleCount, RuleCounters};
pub use self::geo::{ASN_FILES, COUNTRY_FILES, Geo, GeoError, SITE_FILES};
pub use self::lists::{LARGEST_LIST, ListError, Lists, MOST_LIST_RULES, RuleList};
pub use self::meta::{Meta, Process, Resolved};
pub use self::set::{BuildError, Need, RuleInfo, RuleSet, Verdict};
