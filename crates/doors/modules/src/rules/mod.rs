//! Policy: which versions may be had, and what the go command shows of a refusal.

mod licence;
mod phrases;
mod policy;

pub use licence::{BadLicence, Licence};
pub(crate) use licence::{LONGEST_LICENCE, is_licence_file};
pub use policy::{BadRule, Refusal, RuleKind, RuleSettings, Rules, Verdict};
