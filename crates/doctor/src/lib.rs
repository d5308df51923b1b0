//! Checks the whole way out as the go command would travel it, and says what is wrong: root cause first, each finding with
//! its number in the catalogue, the evidence, a command that shows the same, and one fix.
//!
//! [`World`] is what is looked at: settings, each with where it came from, and limits. A [`Check`] looks at one thing and
//! says which checks it needs; [`examine`] runs them side by side, leaves out what a failed check makes meaningless, and
//! puts the [`Report`] in order. [`explain`] finds the cause of an error text that the go command printed, without asking
//! anybody. Nothing is changed here: [`Fix`] is a text, and running it is the command line's.

mod catalogue;
mod cause;
mod check;
mod checks;
mod explain;
mod finding;
mod fixes;
mod order;
mod probe;
mod report;
pub mod settings;
mod shell;
mod url;
mod world;

pub use catalogue::{About, about, advice};
pub use cause::Cause;
pub use check::{Check, Instead, Outcome, Run, Suspect, Tried, examine};
pub use checks::{go_checks, settings_checks};

pub use explain::explain;
pub use finding::{Finding, Fix, FixKind, Subject, Weight};
pub use fixes::{install, set_go, set_process, unset};
pub use report::{NotRun, Report};
pub use shell::{Shell, System};
pub use url::{BadUrl, Url, User};
pub use world::{Limits, World};
